//! The schemas that this proxy admits: a folder with one TOML file for each namespace.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind as IoErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::sleep};
use undertone_storage::{make_private_folder, sync_folder};
use undertone_wire::schema::{Schema, SchemaError};

use crate::{
    error::{Error, ErrorKind},
    writer::stopped,
};

const FOLDER: &str = "schemas";
/// Between two looks whether a schema was added.
const LOOK: Duration = Duration::from_secs(1);

/// All schemas, by namespace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schemas(BTreeMap<String, Schema>);

/// The schemas that are admitted now. Clones see the same ones.
#[derive(Debug, Clone, Default)]
pub struct CurrentSchemas(Arc<RwLock<Arc<Schemas>>>);

impl CurrentSchemas {
    /// Those of now. What holds them sees no change.
    pub fn now(&self) -> Arc<Schemas> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, schemas: Schemas) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(schemas);
    }

    /// Follows what is added to a data folder until `stop` says so. Damaged files change nothing.
    pub(crate) async fn follow(self, data_dir: PathBuf, mut stop: watch::Receiver<bool>) {
        // What was added while this proxy opened is looked at, too.
        let (mut seen, mut before, mut failed) = (None, None, None);
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = sleep(LOOK) => {}
            }
            // A folder that is gone says nothing; what still changes is not read yet.
            let Some(now) = files(&data_dir) else { continue };
            let settled = before.replace(now.clone()).is_some_and(|before| before == now);
            if !settled || seen.as_ref() == Some(&now) {
                continue;
            }
            match Schemas::load(&data_dir) {
                Ok(schemas) => {
                    seen = Some(now);
                    if schemas != *self.now() {
                        let count = schemas.0.len();
                        tracing::info!("schemas changed: {count} namespaces are admitted");
                        self.replace(schemas);
                    }
                }
                // Told once for the same files, and tried again: it may pass.
                Err(error) if failed.as_ref() != Some(&now) => {
                    failed = Some(now);
                    tracing::error!("schemas changed, and the old ones stay: {error:#}");
                }
                Err(_) => {}
            }
        }
    }
}

impl From<Schemas> for CurrentSchemas {
    fn from(schemas: Schemas) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(schemas))))
    }
}

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
            .and_then(|()| fs::rename(&beside, &path))
            .and_then(|()| sync_folder(&folder));
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

    /// Whether a name is in a namespace that is closed, declared there or not.
    pub fn claims(&self, measurement: &str) -> bool {
        let mut closed = self.0.values().filter(|schema| !schema.is_open());
        closed.any(|schema| {
            let rest = measurement.strip_prefix(schema.namespace());
            rest.is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// All of them, by namespace.
    pub fn iter(&self) -> impl Iterator<Item = &Schema> {
        self.0.values()
    }
}

/// By what a changed file is known: a file that takes another's place has another inode.
type Seen = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// The files in the folder of schemas; none where it can't be read.
fn files(data_dir: &Path) -> Option<Seen> {
    let entries = fs::read_dir(data_dir.join(FOLDER)).ok()?;
    let seen = entries.map(|entry| {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        Some((entry.path(), (metadata.ino(), metadata.modified().ok())))
    });
    seen.collect()
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

    #[tokio::test(start_paused = true)]
    async fn a_running_proxy_follows_what_is_added_and_keeps_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let current = CurrentSchemas::default();
        let stop = watch::Sender::new(false);
        let following =
            tokio::spawn(current.clone().follow(folder.path().to_owned(), stop.subscribe()));
        let file = folder.path().join("my.toml");
        let count = async |wanted: usize| {
            for _ in 0..10 {
                sleep(LOOK).await;
            }
            assert_eq!(current.now().iter().count(), wanted);
        };
        for (number, namespace) in [(1, "a"), (2, "b")] {
            fs::write(&file, format!("namespace = \"{namespace}\"\n")).unwrap();
            Schemas::add(folder.path(), &file).unwrap();
            count(number).await;
        }
        fs::write(folder.path().join(FOLDER).join("c.toml"), "damaged").unwrap();
        sleep(3 * LOOK).await;
        assert_eq!(current.now().iter().count(), 2);
        fs::remove_file(folder.path().join(FOLDER).join("c.toml")).unwrap();
        fs::remove_file(folder.path().join(FOLDER).join("a.toml")).unwrap();
        count(1).await;
        stop.send_replace(true);
        following.await.unwrap();
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
