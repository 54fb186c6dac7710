//! What two versions of a schema both allow: what may be sent by who was asked about the older one alone.

use std::collections::BTreeMap;

use super::Schema;

impl Schema {
    /// What of this schema `old` allowed, too: without measurements that are new, without those that are finer
    /// in any way but further values of a tag, and without those values. Where the interval is shorter than
    /// `old`'s, everything is finer. An open schema allows what another one of its namespace does.
    ///
    /// What it lets through, both do: each point fits into this schema, and tells nothing that `old` didn't.
    #[must_use]
    pub fn within(&self, old: &Self) -> Self {
        let nothing = self.nothing();
        let as_open = old.open && self.namespace == old.namespace && self.interval >= old.interval;
        let mut within = Self { open: self.open && as_open, ..nothing.clone() };
        for (name, measurement) in &self.measurements {
            let Some(before) = old.measurement(name) else { continue };
            let mut narrowed = measurement.clone();
            for (key, values) in &mut narrowed.tags {
                let allowed = before.tags.get(key);
                values.retain(|value| allowed.is_some_and(|allowed| allowed.contains(value)));
            }
            if narrowed.tags.values().any(Vec::is_empty) {
                continue;
            }
            let mut alone = nothing.clone();
            alone.measurements.insert(name.clone(), narrowed.clone());
            if alone.beyond(old).is_empty() {
                within.measurements.insert(name.clone(), narrowed);
            }
        }
        within
    }

    /// A schema of the same namespace and interval that allows nothing.
    #[must_use]
    pub fn nothing(&self) -> Self {
        let (namespace, measurements) = (self.namespace.clone(), BTreeMap::new());
        Self { namespace, interval: self.interval, open: false, measurements }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"
namespace = "app"
interval_seconds = 60

[[measurement]]
name = "hits"
kind = "counter"
description = "Hits."
tags = { outcome = ["ok", "failed"] }

[[measurement]]
name = "open"
kind = "gauge-integer"
description = "Files open."
buckets = [0, 1, 10]
"#;

    #[test]
    fn p1_of_a_schema_that_grew_only_the_old_is_within() {
        let old = Schema::from_toml(OLD).unwrap();
        let hits = ["app.hits.count"].as_slice();
        let both = ["app.hits.count", "app.open.gauge"].as_slice();
        for (from, to, expected, outcomes) in [
            ("", "", both, 2),
            (
                "[[",
                "[[measurement]]\nname = \"new\"\nkind = \"counter\"\ndescription = \"New.\"\n[[",
                both,
                2,
            ),
            ("\"failed\"]", "\"failed\", \"lost\"]", both, 2),
            (", \"failed\"", "", both, 1),
            ("[0, 1, 10]", "[0, 10]", both, 2),
            ("[0, 1, 10]", "[0, 5, 10]", hits, 2),
            ("outcome", "result", &["app.open.gauge"], 0),
            ("= 60", "= 120", both, 2),
            ("= 60", "= 30", &[], 0),
            ("\"app\"", "\"other\"", &[], 0),
            ("\"app\"", "\"app\"\nopen = true", both, 2),
        ] {
            let new = Schema::from_toml(&OLD.replacen(from, to, 1)).unwrap();
            let within = new.within(&old);
            let names: Vec<&str> = within.measurements().map(|(name, _)| name).collect();
            assert_eq!(names, expected, "{to}");
            let tags = within.measurement("app.hits.count").map(|hits| &hits.tags);
            let found = tags.and_then(|tags| tags.get("outcome")).map_or(0, Vec::len);
            assert_eq!(found, outcomes, "{to}");
            assert!(!within.is_open(), "{to}");
            assert_eq!(within.interval(), new.interval(), "{to}");
            let beyond = within.beyond(&old);
            assert!(beyond.iter().all(|change| change.measurement.is_none()), "{to}: {beyond:?}");
        }
        let open = Schema::open("fleet").unwrap();
        assert!(open.within(&open).is_open());
        for finer in [
            Schema::open("other").unwrap(),
            Schema::from_toml("namespace = \"fleet\"\nopen = true\ninterval_seconds = 10").unwrap(),
        ] {
            assert!(!finer.within(&open).is_open(), "{} is open", finer.namespace());
            assert!(!finer.beyond(&open).is_empty(), "{} isn't asked about", finer.namespace());
        }
    }
}
