//! Reads samples: CSV and line protocol.

use std::collections::BTreeMap;

use undertone::{Schema, SchemaError};
use undertone_wire::{
    line_protocol::{self, Value},
    schema::Measurement,
};

use super::{Reading, SampleError};

/// A schema whose tags stand in names.
pub(super) struct Flat {
    pub(super) schema: Schema,
    /// By each name that a measurement may be given, its declaration.
    declared: BTreeMap<String, Measurement>,
    /// By a name with its tags, the place in the schema.
    places: BTreeMap<String, usize>,
}

impl Flat {
    pub(super) fn new(schema: &Schema) -> Result<Self, SchemaError> {
        let (mut flat, mut declared) = (Vec::new(), BTreeMap::new());
        for (full, measurement) in schema.measurements() {
            declared.insert(full.to_owned(), measurement.clone());
            declared.insert(measurement.name.clone(), measurement.clone());
            let mut names = vec![measurement.name.clone()];
            for (key, values) in &measurement.tags {
                let with = |name: &String| {
                    values.iter().map(|value| format!("{name}.{key}.{value}")).collect::<Vec<_>>()
                };
                names = names.iter().flat_map(with).collect();
            }
            flat.extend(names.into_iter().map(|name| Measurement {
                name,
                tags: BTreeMap::new(),
                ..measurement.clone()
            }));
        }
        let schema = Schema::new(schema.namespace(), schema.interval(), flat)?;
        let order = schema.measurements().map(|(_, measurement)| measurement.name.clone());
        let places = order.enumerate().map(|(place, name)| (name, place)).collect();
        Ok(Self { schema, declared, places })
    }

    /// The place of a measurement with its tags.
    fn place(&self, name: &str, tag: impl Fn(&str) -> Option<String>) -> Result<usize, String> {
        let shown: String = name.chars().take(40).collect();
        let measurement =
            self.declared.get(name).ok_or_else(|| format!("{shown:?} is not in the schema"))?;
        let mut flat = measurement.name.clone();
        for (key, values) in &measurement.tags {
            let value = tag(key).ok_or_else(|| format!("`{key}` is missing"))?;
            if !values.contains(&value) {
                return Err(format!("`{key}` has a value that the schema doesn't allow"));
            }
            flat += &format!(".{key}.{value}");
        }
        self.places.get(&flat).copied().ok_or_else(|| format!("{shown:?} is not in the schema"))
    }
}

/// Whether the first line is a header.
pub(super) fn is_csv(text: &str, device: &str) -> bool {
    let columns: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    [device, "time", "measurement"].iter().all(|column| columns.contains(column))
}

pub(super) fn csv(
    text: &str,
    device: &str,
    flat: &Flat,
    add: &mut impl FnMut(String, Reading),
) -> Result<(), SampleError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns =
        reader.headers().map_err(|error| SampleError::Line(1, error.to_string()))?.clone();
    for (row, record) in reader.records().enumerate() {
        let line = row + 2;
        let record = record.map_err(|error| SampleError::Line(line, error.to_string()))?;
        let cell = |column: &str| {
            let place = columns.iter().position(|known| known == column)?;
            record.get(place).filter(|cell| !cell.is_empty()).map(str::to_owned)
        };
        let number = |column: &str| {
            let cell = cell(column).ok_or_else(|| format!("`{column}` is missing"))?;
            let number: Option<f64> = cell.parse().ok();
            number.filter(|n| n.is_finite()).ok_or_else(|| format!("`{column}` is no number"))
        };
        let reading = || {
            let name = cell("measurement").ok_or("`measurement` is missing")?;
            let measurement = flat.place(&name, cell)?;
            let (at, value) = (number("time")?, number("value")?);
            let times = if cell("times").is_some() { number("times")? as u32 } else { 1 };
            let device = cell(device).ok_or_else(|| format!("`{device}` is missing"))?;
            Ok::<_, String>((device, Reading { at, measurement, value, times }))
        };
        let (device, reading) = reading().map_err(|why| SampleError::Line(line, why))?;
        add(device, reading);
    }
    Ok(())
}

pub(super) fn lines(
    text: &str,
    device: &str,
    flat: &Flat,
    add: &mut impl FnMut(String, Reading),
) -> Result<(), SampleError> {
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let read = || {
            let parsed = line_protocol::parse(line).next().ok_or("no line")?;
            let line = parsed.map_err(|error| error.to_string())?;
            let tag = |key: &str| {
                line.tags.iter().find(|(known, _)| known == key).map(|(_, v)| v.to_string())
            };
            let field = |key: &str| {
                let (_, value) = line.fields.iter().find(|(known, _)| known == key)?;
                Some(match value {
                    Value::Float(value) => *value,
                    Value::Integer(value) => *value as f64,
                    Value::Unsigned(value) => *value as f64,
                    _ => return None,
                })
            };
            let owner = tag(device).ok_or_else(|| format!("no tag `{device}`"))?;
            let measurement = flat.place(&line.measurement, tag)?;
            let at =
                line.timestamp.ok_or("no time; nanoseconds since 1970 are meant")? as f64 / 1e9;
            let value = field("value").ok_or("no field `value` that is a number")?;
            let times = field("times").unwrap_or(1.0) as u32;
            Ok::<_, String>((owner, Reading { at, measurement, value, times }))
        };
        let (device, reading) = read().map_err(|why| SampleError::Line(index + 1, why))?;
        add(device, reading);
    }
    Ok(())
}
