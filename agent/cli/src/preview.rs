//! What would go out now: inputs are read twice over one interval, nothing is sent, and neither the network
//! nor the disk is touched.

use std::{
    io::{self, Write},
    thread,
};

use anyhow::Result;
use undertone::{FieldValue, Point, Schema};
use undertone_wire::{batch::Payload, line_protocol};

use crate::{
    config::Config,
    inputs::{collector, mark, now},
    permission::permitted,
    reporter,
};

/// The most points that one parcel is tried with.
const PARCEL_POINTS: usize = 1_024;

/// Reads, and writes a table, or line protocol if it is to be raw.
pub(crate) fn preview(config: &Config, raw: bool, out: &mut impl Write) -> Result<()> {
    permitted(config)?;
    let points = read(config)?;
    if raw {
        let mut lines = String::new();
        for point in &points {
            line_protocol::write(point, &mut lines)?;
        }
        write!(out, "{lines}")?;
        return Ok(());
    }
    table(&points, out)?;
    let seconds = config.host.interval.as_secs_f64();
    let parcels = parcels(&points);
    writeln!(
        out,
        "\n{} points every {seconds} s, in {parcels} parcels of 3,904 bytes if they went out at once.",
        points.len()
    )?;
    for listener in &config.listeners {
        writeln!(out, "Not shown: what programs will write to {listener}.")?;
    }
    writeln!(out, "Nothing was sent.")?;
    Ok(())
}

/// What this machine says, as it would leave.
fn read(config: &Config) -> Result<Vec<Point>> {
    if config.host.collect.is_empty() {
        return Ok(Vec::new());
    }
    let schema = reporter::schema(&config.agent.namespace)?;
    let mut host = collector(&config.host);
    // Rates are known from the second reading on.
    drop(host.read());
    tell(config);
    thread::sleep(config.host.interval);
    let alias = config.alias.as_deref();
    let points = now(host.read()).into_iter().map(|point| mark(point, alias));
    Ok(points.filter_map(|point| leaving(point, &schema)).collect())
}

/// Somebody waits in front of an empty screen meanwhile.
fn tell(config: &Config) {
    let seconds = config.host.interval.as_secs_f64();
    let _ = writeln!(io::stderr(), "Reading this machine twice, {seconds} s apart …");
}

/// What of a point leaves: fields that are text don't.
fn leaving(mut point: Point, schema: &Schema) -> Option<Point> {
    point.fields.retain(|_, value| !matches!(value, FieldValue::String(_)));
    schema.check_open(&point).is_ok().then_some(point)
}

/// How many parcels points fill.
fn parcels(mut points: &[Point]) -> usize {
    let mut parcels = 0;
    while !points.is_empty() {
        let mut count = points.len().min(PARCEL_POINTS);
        while count > 1 && Payload::encode(&points[..count]).is_err() {
            count = count * 3 / 4;
        }
        points = &points[count..];
        parcels += 1;
    }
    parcels
}

/// One row a field.
fn table(points: &[Point], out: &mut impl Write) -> io::Result<()> {
    let mut rows = vec![["MEASUREMENT", "TAGS", "FIELD", "VALUE"].map(str::to_owned)];
    for point in points {
        let tags: Vec<String> =
            point.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let (mut measurement, mut tags) =
            (printable(&point.measurement), printable(&tags.join(" ")));
        for (field, value) in &point.fields {
            // Once a point is enough.
            let (measurement, tags) = (std::mem::take(&mut measurement), std::mem::take(&mut tags));
            rows.push([measurement, tags, printable(field), shown(value)]);
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2].map(|column| width(column).unwrap_or(0));
    for [measurement, tags, field, value] in &rows {
        let [w0, w1, w2] = widths;
        writeln!(out, "{measurement:w0$}  {tags:w1$}  {field:w2$}  {value}")?;
    }
    Ok(())
}

fn shown(value: &FieldValue) -> String {
    match value {
        FieldValue::Float(value) => format!("{value:.2}"),
        FieldValue::Integer(value) => value.to_string(),
        FieldValue::Unsigned(value) => value.to_string(),
        FieldValue::Boolean(value) => value.to_string(),
        FieldValue::String(value) => printable(value),
    }
}

/// A mount point may be called anything; a terminal obeys some of it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '�' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_field() {
        let points = [
            Point::new("cpu").tag("cpu", "cpu0").field("idle", 99.5).field("user", 0.25).at(1),
            Point::new("system").field("n\u{1b}[1m", 2_u64).at(1),
        ];
        let mut out = Vec::new();
        table(&points, &mut out).unwrap();
        let expected = "MEASUREMENT  TAGS      FIELD  VALUE\n\
                        cpu          cpu=cpu0  idle   99.50\n                        user   0.25\n\
                        system                 n�[1m  2\n";
        let found = String::from_utf8(out).unwrap();
        assert_eq!(
            found.split_whitespace().collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>()
        );
    }

    #[test]
    fn text_does_not_leave_and_points_fill_parcels() {
        let schema = Schema::open("fleet").unwrap();
        let point = Point::new("system").field("uptime_format", "1 day").at(1);
        assert_eq!(leaving(point.clone(), &schema), None);
        let left = leaving(point.field("uptime", 1_i64), &schema).unwrap();
        assert_eq!(left.fields.len(), 1);
        assert_eq!(parcels(&[]), 0);
        assert_eq!(parcels(&vec![left; 1_025]), 2);
    }
}
