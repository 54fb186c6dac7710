//! What the dashboard must show of what file servers were asked for.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use undertone_tests::influxdb2::{Influxd, Row};

use super::dashboard::{Choice, Dashboard, ask};
use crate::fixtures::{Load, Sums};

/// Asks everything that the dashboard asks.
pub(crate) fn pictures(
    dashboard: &Dashboard,
    database: &Influxd,
    load: &Load,
    admitted: u64,
) -> Result<()> {
    let all = dashboard.variable("session")?["allValue"].as_str().context("no allValue")?;
    let (bucket, counter) = (&*database.bucket, "fileserver.connections.count");
    let choice = Choice { bucket, measurement: counter, session: all };
    assert_eq!(dashboard.offers("bucket", choice, database)?, [bucket]);
    let measurements = dashboard.offers("measurement", choice, database)?;
    assert!(measurements.iter().any(|name| name == counter), "{measurements:?}");
    let mut sessions = dashboard.offers("session", choice, database)?;
    sessions.sort();
    assert_eq!(sessions, load.connections.keys().cloned().collect::<Vec<_>>());

    let queries = dashboard.queries()?;
    ensure!(queries.len() >= 12, "{}", queries.len());
    for (title, query) in queries {
        let mut found = 0;
        for measurement in [counter, "fileserver.open.gauge"] {
            for session in [all, &sessions[0]] {
                let rows = ask(query, Choice { bucket, measurement, session }, database);
                found += rows.with_context(|| title.to_owned())?.len();
            }
        }
        assert!(found > 0, "{title} shows nothing: {query}");
    }

    let shows = |title: &str, choice| ask(dashboard.query(title)?, choice, database);
    let one = |title: &str| -> Result<u64> { number(&shows(title, choice)?[0], "_value") };
    let points = one("Points admitted")?;
    assert_eq!((one("Sessions now")?, points), (2, admitted));
    let most = shows("Sessions over time", choice)?;
    let most = most.iter().map(|row| number(row, "_value")).collect::<Result<Vec<_>>>()?;
    assert_eq!(most.into_iter().max(), Some(2));

    let expected: BTreeMap<&str, i64> = [
        (counter, load.connections.values().sum()),
        ("fileserver.egress.meter", load.bytes.values().sum()),
        ("fileserver.size.histogram", load.connections.values().sum()),
        ("fileserver.latency.timer", load.connections.values().sum()),
    ]
    .into();
    for title in ["Totals in this time range", "Deltas, summed over all sessions"] {
        let sums = sums(&shows(title, choice)?, "_measurement", "_value")?;
        let sums: BTreeMap<&str, i64> = sums.iter().map(|(name, sum)| (&**name, *sum)).collect();
        assert_eq!(sums, expected, "{title}");
    }
    let title = "Points admitted, by measurement";
    let by_measurement = sums(&shows(title, choice)?, "_measurement", "_value")?;
    assert_eq!(by_measurement.values().sum::<i64>(), admitted as i64);
    assert_eq!(by_measurement.len(), measurements.len());

    let each = shows("$measurement: what each interval added", choice)?;
    assert_eq!(sums(&each, "session", "_value")?, load.connections);
    let first = Choice { session: &sessions[0], ..choice };
    let each = shows("$measurement: what each interval added", first)?;
    let only = [(sessions[0].clone(), load.connections[&sessions[0]])];
    assert_eq!(sums(&each, "session", "_value")?, only.into());
    let mut last = Sums::new();
    for row in shows("$measurement: total within each session", choice)? {
        last.insert(row["session"].clone(), number(&row, "_value")? as i64);
    }
    assert_eq!(last, load.connections);

    let rates = shows("Meters: events a second", choice)?;
    let fields: BTreeSet<&str> = rates.iter().map(|row| &*row["_field"]).collect();
    assert_eq!(fields, BTreeSet::from(["m1", "m15", "m5"]));
    let times = shows("Timers: p50, p95, p99", choice)?;
    let lines: BTreeSet<(&str, &str)> =
        times.iter().map(|row| (&*row["_field"], &*row["outcome"])).collect();
    let lines: Vec<_> = lines.into_iter().filter(|(_, outcome)| *outcome == "ok").collect();
    assert_eq!(lines, [("p50", "ok"), ("p95", "ok"), ("p99", "ok")]);
    let table = shows("Sessions, the latest first", choice)?;
    let points_of = sums(&table, "session", "points")?;
    assert_eq!(points_of.keys().cloned().collect::<Vec<_>>(), sessions);
    assert_eq!(points_of.values().sum::<i64>(), points as i64);
    Ok(())
}

/// Sums of a column by another.
fn sums(rows: &[Row], by: &str, column: &str) -> Result<Sums> {
    let mut sums = Sums::new();
    for row in rows {
        let key = row.get(by).with_context(|| format!("no {by} in {row:?}"))?;
        *sums.entry(key.clone()).or_default() += number(row, column)? as i64;
    }
    Ok(sums)
}

fn number(row: &Row, column: &str) -> Result<u64> {
    let text = row.get(column).with_context(|| format!("no {column} in {row:?}"))?;
    text.parse().with_context(|| format!("{row:?}"))
}
