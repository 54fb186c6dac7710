//! The queries of a Grafana dashboard, asked as Grafana would ask them.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use undertone_tests::influxdb2::{Influxd, Row};

/// A dashboard's file.
pub(crate) struct Dashboard(Value);

/// What the variables are set to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) measurement: &'a str,
    /// A session, or `.*` for all, as the dashboard itself says.
    pub(crate) session: &'a str,
}

impl Dashboard {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Ok(Self(serde_json::from_str(&fs::read_to_string(path)?)?))
    }

    /// Title and query of everything that a panel asks.
    pub(crate) fn queries(&self) -> Result<Vec<(&str, &str)>> {
        let panels = self.0["panels"].as_array().context("no panels")?;
        let mut queries = Vec::new();
        for panel in panels {
            let title = panel["title"].as_str().context("a panel without a title")?;
            for target in panel["targets"].as_array().into_iter().flatten() {
                queries.push((title, target["query"].as_str().context("no query")?));
            }
        }
        Ok(queries)
    }

    /// The one query of a panel.
    pub(crate) fn query(&self, title: &str) -> Result<&str> {
        let mut all = self.queries()?.into_iter().filter(|(of, _)| *of == title);
        all.next().map(|(_, query)| query).with_context(|| format!("no panel {title:?}"))
    }

    /// A variable: what its list is made of.
    pub(crate) fn variable(&self, name: &str) -> Result<&Value> {
        let all = self.0["templating"]["list"].as_array().into_iter().flatten();
        all.into_iter().find(|one| one["name"] == name).with_context(|| format!("no ${name}"))
    }

    /// What a variable offers.
    pub(crate) fn offers(
        &self,
        name: &str,
        choice: Choice<'_>,
        database: &Influxd,
    ) -> Result<Vec<String>> {
        let query = self.variable(name)?["query"]["query"].as_str().context("no query")?;
        let rows = ask(query, choice, database)?;
        rows.iter().map(|row| Ok(row.get("_value").context("no _value")?.clone())).collect()
    }
}

/// Asks a query with Grafana's variables in place.
pub(crate) fn ask(query: &str, choice: Choice<'_>, database: &Influxd) -> Result<Vec<Row>> {
    let filled = query
        .replace("${bucket}", choice.bucket)
        .replace("${measurement}", choice.measurement)
        .replace("${session:regex}", choice.session);
    ensure!(!filled.contains("${"), "a variable that nobody declared: {filled}");
    // Grafana's own. Imports come first.
    let grafana = "option v = {timeRangeStart: -1h, timeRangeStop: 1m, windowPeriod: 10s}";
    let (imports, body): (Vec<&str>, Vec<&str>) =
        filled.lines().partition(|line| line.starts_with("import "));
    let flux = format!("{}\n{grafana}\n{}", imports.join("\n"), body.join("\n"));
    database.query_flux(&flux).with_context(|| flux)
}
