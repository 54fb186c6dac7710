//! One value of a point, as it was written and as each database tells it: equal to the last bit, in its type.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;
use undertone_tests::{influxdb2::Influxd, proxy::Proxy};

/// A field of a point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told {
    pub(super) measurement: String,
    pub(super) tags: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub(super) time: i64,
    pub(super) field: String,
    pub(super) value: Value,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// The bits of a float.
    Float(u64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
}

impl Told {
    /// With the name that the operator gave the machine, whatever it called itself.
    pub(super) fn of_host(mut self, alias: &str) -> Self {
        self.tags.insert("host".to_owned(), alias.to_owned());
        self
    }

    /// Which point it is of.
    pub(super) fn point(&self) -> (&str, &BTreeMap<String, String>, i64) {
        (&self.measurement, &self.tags, self.time)
    }
}

/// A point as the Go program says that it wrote it, without what is text.
pub(super) fn by_write_points(described: &Json) -> Result<Vec<Told>> {
    let text = |json: &Json| Ok::<_, anyhow::Error>(json.as_str().context("no text")?.to_owned());
    let tags = described["tags"].as_object().context("no tags")?;
    let tags = tags.iter().map(|(key, value)| Ok((key.clone(), text(value)?)));
    let tags: BTreeMap<_, _> = tags.collect::<Result<_>>()?;
    let fields = described["fields"].as_array().context("no fields")?;
    let fields = fields.iter().filter(|field| field[1] != "string");
    fields
        .map(|field| {
            let value = text(&field[2])?;
            Ok(Told {
                measurement: text(&described["measurement"])?,
                tags: tags.clone(),
                time: text(&described["timestamp"])?.parse()?,
                field: text(&field[0])?,
                value: match field[1].as_str().unwrap_or_default() {
                    "float" => Value::Float(value.parse()?),
                    "integer" => Value::Integer(value.parse()?),
                    "unsigned" => Value::Unsigned(value.parse()?),
                    "boolean" => Value::Boolean(value.parse()?),
                    other => bail!("write-points knows no type {other}"),
                },
            })
        })
        .collect()
}

/// All that the embedded store has, as `sqlite3` sees it; floats as their bytes, since it prints only
/// some of their digits.
pub(super) fn in_store(proxy: &Proxy) -> Result<Vec<Told>> {
    let rows = proxy.sqlite3(
        "SELECT json_array(measurement, json(tags), time || '', field, kind, \
         CASE kind WHEN 'f' THEN hex(ieee754_to_blob(value)) ELSE value || '' END) FROM point",
    )?;
    rows.iter()
        .map(|row| {
            type Columns = (String, BTreeMap<String, String>, String, String, String, String);
            let row: Columns = serde_json::from_str(&row.join("\t"))?;
            let (measurement, tags, time, field, kind, value) = row;
            let value = match kind.as_str() {
                "f" => Value::Float(u64::from_str_radix(&value, 16)?),
                "i" => Value::Integer(value.parse()?),
                "u" => Value::Unsigned(value.parse()?),
                "b" => Value::Boolean(value == "1"),
                other => bail!("the store has the type {other}"),
            };
            Ok(Told { measurement, tags, time: time.parse()?, field, value })
        })
        .collect()
}

/// All that InfluxDB has, as its own Flux engine sees it.
pub(super) fn in_influxdb(database: &Influxd) -> Result<Vec<Told>> {
    let rows = database.query_flux(&format!(
        "import \"types\"\n\
         from(bucket: \"{}\") |> range(start: -3d, stop: 1d) |> map(fn: (r) => ({{r with \
         _at: int(v: r._time), _kind: if types.isType(v: r._value, type: \"float\") then \"f\" \
         else if types.isType(v: r._value, type: \"int\") then \"i\" \
         else if types.isType(v: r._value, type: \"uint\") then \"u\" \
         else if types.isType(v: r._value, type: \"bool\") then \"b\" else \"other\"}}))",
        database.bucket
    ))?;
    rows.into_iter()
        .map(|mut row| {
            let mut take = |column: &str| row.remove(column).with_context(|| column.to_owned());
            let value = take("_value")?;
            let value = match take("_kind")?.as_str() {
                "f" => Value::Float(value.parse::<f64>()?.to_bits()),
                "i" => Value::Integer(value.parse()?),
                "u" => Value::Unsigned(value.parse()?),
                "b" => Value::Boolean(value.parse()?),
                _ => bail!("InfluxDB has another type: {value:?}"),
            };
            let (measurement, field) = (take("_measurement")?, take("_field")?);
            let time = take("_at")?.parse()?;
            for column in ["result", "table", "_start", "_stop", "_time"] {
                take(column)?;
            }
            ensure!(!take("session")?.is_empty(), "no session");
            let tags = row.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            Ok(Told { measurement, tags, time, field, value })
        })
        .collect()
}
