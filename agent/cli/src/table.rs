//! Points as a table for a terminal, in which nothing that stands in them does anything. Nothing is rounded or
//! left out: what is shown is what is sent.

use std::io::{self, Write};

use undertone::{FieldValue, Point};

/// One row a field; times as they are sent.
pub(crate) fn table<'a>(
    points: impl IntoIterator<Item = &'a Point>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut rows = vec![["MEASUREMENT", "TIME", "TAGS", "FIELD", "VALUE"].map(str::to_owned)];
    for point in points {
        let tags: Vec<String> =
            point.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let time = point.timestamp.map(|time| time.to_string()).unwrap_or_default();
        let mut once = [printable(&point.measurement), time, printable(&tags.join(" "))];
        for (field, value) in &point.fields {
            // Once a point is enough.
            let [measurement, time, tags] = std::mem::take(&mut once);
            rows.push([measurement, time, tags, printable(field), shown(value)]);
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let [w0, w1, w2, w3] = [0, 1, 2, 3].map(|column| width(column).unwrap_or(0));
    for [measurement, time, tags, field, value] in &rows {
        writeln!(out, "{measurement:w0$}  {time:w1$}  {tags:w2$}  {field:w3$}  {value}")?;
    }
    Ok(())
}

fn shown(value: &FieldValue) -> String {
    match value {
        FieldValue::Float(value) => value.to_string(),
        FieldValue::Integer(value) => value.to_string(),
        FieldValue::Unsigned(value) => value.to_string(),
        FieldValue::Boolean(value) => value.to_string(),
        FieldValue::String(value) => printable(value),
    }
}

/// The same text without what a terminal obeys: a mount point may be called anything.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '�' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_field() {
        let points = [
            Point::new("cpu").tag("cpu", "cpu0").field("idle", 99.5).field("user", 0.256).at(1),
            Point::new("system").field("n\u{1b}[1m", 2_u64).at(1),
        ];
        let mut out = Vec::new();
        table(&points, &mut out).unwrap();
        let expected = "MEASUREMENT  TIME  TAGS      FIELD  VALUE\n\
                        cpu 1 cpu=cpu0 idle 99.5 user 0.256\n\
                        system 1 n�[1m 2\n";
        let found = String::from_utf8(out).unwrap();
        assert_eq!(
            found.split_whitespace().collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>()
        );
    }
}
