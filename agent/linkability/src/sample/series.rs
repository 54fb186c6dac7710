//! The series of a sample: each is a measurement with a value for each of its tags.
//!
//! Instruments with labels exist only where a program was compiled with them, so that each series becomes a
//! measurement of its own, under a name that is made up: what it is really called need be no name that a schema
//! would take. Only series that occur are made, since the product of all values of all tags has no bound.

use std::collections::{BTreeMap, HashMap};

use undertone::{Schema, SchemaError};
use undertone_wire::schema::Measurement;

/// More series than this are no sample of one program, and take days.
pub(super) const SERIES_LIMIT: usize = 1_000;

pub(super) struct AllSeries<'a> {
    schema: &'a Schema,
    /// By each name that a measurement may be given, what it is called in the database; none where two could be
    /// meant.
    names: BTreeMap<&'a str, Option<&'a str>>,
    /// In the order in which they occur: measurement and values of its tags.
    places: HashMap<(&'a str, Vec<String>), usize>,
}

impl<'a> AllSeries<'a> {
    pub(super) fn new(schema: &'a Schema) -> Self {
        let mut names = BTreeMap::new();
        for (full, measurement) in schema.measurements() {
            let short = names.entry(measurement.name.as_str()).or_insert(Some(full));
            if *short != Some(full) {
                *short = None;
            }
        }
        names.extend(schema.measurements().map(|(full, _)| (full, Some(full))));
        Self { schema, names, places: HashMap::new() }
    }

    /// The place of a measurement with its tags.
    pub(super) fn place(
        &mut self,
        name: &str,
        tag: impl Fn(&str) -> Option<String>,
    ) -> Result<usize, String> {
        let shown: String = name.chars().take(40).collect();
        let unknown = || format!("{shown:?} is not in the schema");
        let full = self.names.get(name).ok_or_else(unknown)?.ok_or_else(|| {
            format!("{shown:?} is more than one measurement of the schema; give the name that it has in the database")
        })?;
        let measurement = self.schema.measurement(full).ok_or_else(unknown)?;
        let mut series = (full, Vec::with_capacity(measurement.tags.len()));
        for (key, values) in &measurement.tags {
            let value = tag(key).ok_or_else(|| format!("`{key}` is missing"))?;
            if !values.contains(&value) {
                return Err(format!("`{key}` has a value that the schema doesn't allow"));
            }
            series.1.push(value);
        }
        let next = self.places.len();
        if let Some(place) = self.places.get(&series) {
            return Ok(*place);
        }
        if next == SERIES_LIMIT {
            return Err(format!(
                "{shown:?} with these tags would be series number {}, and at most {SERIES_LIMIT} can be replayed; \
                 score fewer measurements at a time, or leave out tags in the schema and in the sample",
                next + 1
            ));
        }
        self.places.insert(series, next);
        Ok(next)
    }

    /// A schema with a measurement for each series, at its place, and what each is really called.
    pub(super) fn flat(self) -> Result<(Schema, BTreeMap<String, String>), SchemaError> {
        let schema = self.schema;
        let (mut flat, mut titles) = (Vec::new(), BTreeMap::new());
        for ((full, values), place) in self.places {
            let Some(measurement) = schema.measurement(full) else { continue };
            // As many digits as the limit has, so that the order of names is that of places.
            let name = format!("s{place:04}");
            let tags: String =
                measurement.tags.keys().zip(values).map(|(key, v)| format!(",{key}={v}")).collect();
            titles.insert(schema.full_name(&name, measurement.kind), format!("{full}{tags}"));
            flat.push(Measurement { name, tags: BTreeMap::new(), ..measurement.clone() });
        }
        Ok((Schema::new(schema.namespace(), schema.interval(), flat)?, titles))
    }
}
