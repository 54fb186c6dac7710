//! The numbers of a parcel, under short names.

use std::collections::BTreeMap;

use undertone_wire::{FieldValue, Name, Point, Tags};

/// One number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fact {
    /// Which series and field, by [`Names`].
    pub name: u16,
    /// How many intervals before sealing it was measured.
    pub before: i64,
    /// What it is.
    pub value: f64,
}

/// What the numbers are called: measurement, tags and field.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Names {
    names: Vec<String>,
    series: Vec<Series>,
}

/// A series and where its fields stand.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    measurement: Name,
    tags: Tags,
    fields: BTreeMap<Name, u16>,
}

impl Names {
    /// The names that are known so far, in the order of their numbers.
    pub fn list(&self) -> &[String] {
        &self.names
    }

    /// The numbers of points. Buckets of histograms are left out: their sum and extremes say most of it.
    pub(super) fn facts(&mut self, points: &[Point]) -> Vec<Fact> {
        let mut facts = Vec::with_capacity(points.len() * 3);
        for point in points {
            let before = point.timestamp.unwrap_or_default();
            let series = self.series(point);
            for (field, value) in &point.fields {
                let bucket =
                    field.starts_with('b') && field[1..].bytes().all(|b| b.is_ascii_digit());
                let value = match value {
                    _ if bucket => continue,
                    FieldValue::Integer(value) => *value as f64,
                    FieldValue::Unsigned(value) => *value as f64,
                    FieldValue::Float(value) => *value,
                    _ => continue,
                };
                facts.push(Fact { name: self.name(series, field), before, value });
            }
        }
        facts
    }

    fn series(&mut self, point: &Point) -> usize {
        let same =
            |series: &Series| series.measurement == point.measurement && series.tags == point.tags;
        self.series.iter().position(same).unwrap_or_else(|| {
            let (measurement, tags) = (point.measurement.clone(), point.tags.clone());
            self.series.push(Series { measurement, tags, fields: BTreeMap::new() });
            self.series.len() - 1
        })
    }

    fn name(&mut self, series: usize, field: &str) -> u16 {
        let Series { measurement, tags, fields } = &mut self.series[series];
        if let Some(name) = fields.get(field) {
            return *name;
        }
        let tags: String = tags.iter().map(|(key, value)| format!(",{key}={value}")).collect();
        let index = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        self.names.push(format!("{measurement}{tags} {field}"));
        fields.insert(field.into(), index);
        index
    }
}
