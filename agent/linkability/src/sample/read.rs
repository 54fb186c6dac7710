//! Reads samples: CSV and line protocol.

use undertone_wire::line_protocol::{self, Value};

use super::{Reading, SampleError, readings::Readings, series::AllSeries};

/// Whether the first line is a header.
pub(super) fn is_csv(text: &str, device: &str) -> bool {
    let columns: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    [device, "time", "measurement"].iter().all(|column| columns.contains(column))
}

pub(super) fn csv(
    text: &str,
    device: &str,
    series: &mut AllSeries<'_>,
    readings: &mut Readings,
) -> Result<(), SampleError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns =
        reader.headers().map_err(|error| SampleError::Line(1, error.to_string()))?.clone();
    for (row, record) in reader.records().enumerate() {
        // A cell may hold ends of lines.
        let record = record.map_err(|error| {
            let line = error.position().map_or(row + 2, |at| at.line() as usize);
            SampleError::Line(line, error.to_string())
        })?;
        let line = record.position().map_or(row + 2, |at| at.line() as usize);
        let cell = |column: &str| {
            let place = columns.iter().position(|known| known == column)?;
            record.get(place).filter(|cell| !cell.is_empty()).map(str::to_owned)
        };
        let number = |column: &str| {
            let cell = cell(column).ok_or_else(|| format!("`{column}` is missing"))?;
            let number: Option<f64> = cell.parse().ok();
            number.filter(|n| n.is_finite()).ok_or_else(|| format!("`{column}` is no number"))
        };
        let mut reading = || {
            let name = cell("measurement").ok_or("`measurement` is missing")?;
            let measurement = series.place(&name, cell)?;
            let (at, value) = (number("time")?, number("value")?);
            let times = if cell("times").is_some() { number("times")? } else { 1.0 };
            let device = cell(device).ok_or_else(|| format!("`{device}` is missing"))?;
            Ok::<_, String>((device, Reading { at, measurement, value, times: 1 }, times))
        };
        let (device, reading, times) = reading().map_err(|why| SampleError::Line(line, why))?;
        readings.add(line, device, reading, times)?;
    }
    Ok(())
}

pub(super) fn lines(
    text: &str,
    device: &str,
    series: &mut AllSeries<'_>,
    readings: &mut Readings,
) -> Result<(), SampleError> {
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut read = || {
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
            let measurement = series.place(&line.measurement, tag)?;
            let at =
                line.timestamp.ok_or("no time; nanoseconds since 1970 are meant")? as f64 / 1e9;
            let value = field("value").ok_or("no field `value` that is a number")?;
            let times = field("times").unwrap_or(1.0);
            Ok::<_, String>((owner, Reading { at, measurement, value, times: 1 }, times))
        };
        let (device, reading, times) = read().map_err(|why| SampleError::Line(index + 1, why))?;
        readings.add(index + 1, device, reading, times)?;
    }
    Ok(())
}
