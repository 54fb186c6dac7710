//! Which points a sink gets: those of the namespaces that its configuration names, or all.

use std::collections::{BTreeMap, BTreeSet};

use crate::schemas::Schemas;

/// A sink's namespaces, and whose each measurement is.
#[derive(Debug, Clone, Default)]
pub struct Route {
    namespaces: Option<BTreeSet<String>>,
    owners: BTreeMap<String, String>,
    /// Whose everything is that no schema declares.
    open: Option<String>,
}

impl Route {
    /// The route of a sink that is given these namespaces; `None`: all.
    pub fn new(namespaces: Option<BTreeSet<String>>, schemas: &Schemas) -> Self {
        let mut owners = BTreeMap::new();
        if namespaces.is_some() {
            for schema in schemas.iter() {
                for (name, _) in schema.measurements() {
                    owners.insert(name.to_owned(), schema.namespace().to_owned());
                }
            }
        }
        let open = schemas.open().map(|schema| schema.namespace().to_owned());
        Self { namespaces, owners, open }
    }

    /// Whether points of this measurement go there.
    ///
    /// A measurement that no schema declares belongs to the open one; without one it is known by its
    /// beginning.
    pub fn takes(&self, measurement: &str) -> bool {
        let Some(namespaces) = &self.namespaces else { return true };
        match self.owners.get(measurement).or(self.open.as_ref()) {
            Some(owner) => namespaces.contains(owner),
            None => namespaces.iter().any(|namespace| {
                let rest = measurement.strip_prefix(namespace.as_str());
                rest.is_some_and(|rest| rest.starts_with('.'))
            }),
        }
    }

    /// Whether points of this namespace go there.
    pub fn takes_namespace(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|namespaces| namespaces.contains(namespace))
    }

    /// Those of its namespaces that no schema has: misspelt, or not added yet.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let known = self.owners.values().chain(&self.open).map(String::as_str);
        let known: BTreeSet<&str> = known.collect();
        let namespaces = self.namespaces.iter().flatten().map(String::as_str);
        namespaces.filter(move |namespace| !known.contains(namespace))
    }
}

#[cfg(test)]
mod tests {
    use undertone_wire::schema::Schema;

    use super::*;

    #[test]
    fn a_point_goes_where_its_namespace_is_named() {
        let mut schemas = Schemas::default();
        for (namespace, name) in [("a", "x.y"), ("a.x", "z"), ("b", "x")] {
            let schema = format!(
                "namespace = \"{namespace}\"\n[[measurement]]\nname = \"{name}\"\nkind = \"counter\"\n\
                 description = \"Some.\"\n"
            );
            schemas.insert(Schema::from_toml(&schema).unwrap());
        }
        let declared = schemas.clone();
        let of = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            Route::new(Some(names), &declared)
        };
        for (names, taken) in [
            (&["a"][..], [true, false, false, true, false]),
            (&["a.x"], [false, true, false, true, false]),
            (&["b", "a.x"], [false, true, true, true, false]),
            (&["c"], [false, false, false, false, false]),
        ] {
            let route = of(names);
            let measurements =
                ["a.x.y.count", "a.x.z.count", "b.x.count", "a.x.gone.count", "ab.x.count"];
            assert_eq!(measurements.map(|name| route.takes(name)), taken, "{names:?}");
        }
        assert!(Route::new(None, &schemas).takes("anything"));
        assert!(of(&["a"]).takes_namespace("a") && !of(&["a"]).takes_namespace("a.x"));
        assert!(Route::new(None, &schemas).takes_namespace("a"));
        assert_eq!(of(&["a", "c"]).unknown().collect::<Vec<_>>(), ["c"]);
        assert_eq!(Route::new(None, &schemas).unknown().count(), 0);

        schemas.insert(Schema::open("fleet").unwrap());
        let route = |name: &str| Route::new(Some([name.to_owned()].into()), &schemas);
        assert!(route("fleet").takes("cpu") && !route("a").takes("cpu"));
        assert!(!route("fleet").takes("b.x.count") && route("fleet").unknown().count() == 0);
    }
}
