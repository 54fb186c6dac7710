//! The schemas that this proxy admits: a folder with one TOML file for each namespace.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind as IoErrorKind,
    path::{Path, PathBuf},
};

use undertone_wire::schema::{Schema, SchemaError};

use crate::{
    error::{Error, ErrorKind},
    sqlite::make_private_folder,
};

const FOLDER: &str = "schemas";

/// All schemas, by namespace.
#[derive(Debug, Clone, Default)]
pub struct Schemas(BTreeMap<String, Schema>);

impl Schemas {
    /// Reads those that were added to a data folder.
    ///
    /// # Errors
    /// With file, line and key if one of them is damaged.
    pub fn load(data_dir: &Path) -> Result<Self, Error> {
        let folder = data_dir.join(FOLDER);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(cannot("read", &folder).because(error)),
        };
        let mut schemas = Self::default();
        for entry in entries {
            let path = entry.map_err(|error| cannot("read", &folder).because(error))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                schemas.insert(read(&path)?);
            }
        }
        Ok(schemas)
    }

    /// Checks a schema file and keeps it in a data folder, in place of the namespace's former one.
    /// Returns it with its new place.
    ///
    /// # Errors
    /// With file, line and key if it is no schema; if the folder can't be written.
    pub fn add(data_dir: &Path, file: &Path) -> Result<(Schema, PathBuf), Error> {
        let schema = read(file)?;
        let folder = data_dir.join(FOLDER);
        make_private_folder(&folder).map_err(|error| cannot("make", &folder).because(error))?;
        let others = Self::load(data_dir)?;
        if let (true, Some(other)) = (schema.is_open(), others.open())
            && other.namespace() != schema.namespace()
        {
            let what =
                format!("namespace {} is open already, and only one can be", other.namespace());
            return Err(Error::new(ErrorKind::Configuration, what));
        }
        for (name, _) in schema.measurements() {
            match others.of(name) {
                Some(other) if other.namespace() != schema.namespace() => {
                    let what =
                        format!("{name} is declared by namespace {} already", other.namespace());
                    return Err(Error::new(ErrorKind::Configuration, what));
                }
                _ => {}
            }
        }
        let path = folder.join(format!("{}.toml", schema.namespace()));
        // Written beside and moved, so that a running proxy never reads half a file.
        let beside = path.with_extension("new");
        let written = fs::write(&beside, schema.to_toml())
            .and_then(|()| fs::File::open(&beside)?.sync_all())
            .and_then(|()| fs::rename(&beside, &path));
        written.map_err(|error| cannot("write", &path).because(error))?;
        Ok((schema, path))
    }

    /// Adds a schema, in place of the namespace's former one.
    pub fn insert(&mut self, schema: Schema) {
        self.0.insert(schema.namespace().to_owned(), schema);
    }

    /// The schema that declares a measurement.
    pub fn of(&self, measurement: &str) -> Option<&Schema> {
        self.0.values().find(|schema| schema.measurement(measurement).is_some())
    }

    /// The one that is open to what nobody declares, if there is one.
    pub fn open(&self) -> Option<&Schema> {
        self.0.values().find(|schema| schema.is_open())
    }

    /// All of them, by namespace.
    pub fn iter(&self) -> impl Iterator<Item = &Schema> {
        self.0.values()
    }
}

fn read(path: &Path) -> Result<Schema, Error> {
    let text = fs::read_to_string(path).map_err(|error| cannot("read", path).because(error))?;
    Schema::from_toml(&text).map_err(|error: SchemaError| {
        Error::new(ErrorKind::Configuration, format!("schema {}", path.display())).because(error)
    })
}

fn cannot(verb: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Storage, format!("{verb} {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_loaded_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.toml");
        for interval in [10, 20] {
            fs::write(&file, format!("namespace = \"app\"\ninterval_seconds = {interval}\n"))
                .unwrap();
            Schemas::add(folder.path(), &file).unwrap();
            let loaded = Schemas::load(folder.path()).unwrap();
            let intervals: Vec<u64> = loaded.iter().map(|s| s.interval().as_secs()).collect();
            assert_eq!(intervals, [interval]);
        }
    }

    #[test]
    fn only_one_namespace_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.toml");
        let add = |namespace: &str| {
            fs::write(&file, format!("namespace = \"{namespace}\"\nopen = true\n")).unwrap();
            Schemas::add(folder.path(), &file).map(drop)
        };
        assert!(add("fleet").is_ok() && add("fleet").is_ok());
        assert_eq!(add("other").unwrap_err().kind(), ErrorKind::Configuration);
    }

    #[test]
    fn a_damaged_schema_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        let path = folder.path().join(FOLDER).join("app.toml");
        fs::write(&path, "namespace = \"app\"\nintervall = 3\n").unwrap();
        let error = anyhow::Error::from(Schemas::load(folder.path()).unwrap_err());
        let text = format!("{error:#}");
        assert!(text.contains("app.toml: line 2: ") && text.contains("intervall"), "{text}");
    }
}
