//! The files of a configuration as one tree, in which each entry knows where it stands.
//!
//! This knows TOML and variables, and no key.

use std::{collections::BTreeMap, fs, io, ops::Range, path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::{
    error::{ConfigError, Place},
    variables::{Environment, expand},
};

/// Configurations are small; another file was named by mistake.
const FILE_LIMIT: u64 = 1 << 20;

/// Entries by key.
pub(super) type Table = BTreeMap<String, Entry>;

/// A value, and where its key stands.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What TOML can say.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text { text: String, from_environment: bool },
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Date(toml::value::Datetime),
    List(Vec<Entry>),
    Table(Table),
}

/// Reads one file.
pub(super) fn read(path: &Path, environment: Environment<'_>) -> Result<Table, ConfigError> {
    let unreadable = |error: io::Error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "; `undertone config example` prints one to begin with",
            _ => "",
        };
        ConfigError::unreadable(path, format!("this file can't be read: {error}{help}"))
    };
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_LIMIT {
        return Err(ConfigError::unreadable(path, "this file is too large for a configuration"));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    parse(&text, path, environment)
}

/// Reads the text of the file `path`.
pub(super) fn parse(
    text: &str,
    path: &Path,
    environment: Environment<'_>,
) -> Result<Table, ConfigError> {
    let reader = Reader { text, file: path.into(), environment };
    let table = DeTable::parse(text).map_err(|error| {
        let place = reader.place(error.span().unwrap_or(0..0));
        let line = text.lines().nth(place.line - 1).unwrap_or_default();
        place.wrong(key_in(line), format!("not TOML: {}", error.message()))
    })?;
    reader.table(table.into_inner(), "")
}

/// Adds the entries of a later file. A key stands in one file alone; tables are joined, and
/// `[[table]]`s are added.
pub(super) fn merge(into: &mut Table, other: Table, path: &str) -> Result<(), ConfigError> {
    for (key, entry) in other {
        let full = join(path, &key);
        let Some(existing) = into.get_mut(&key) else {
            into.insert(key, entry);
            continue;
        };
        match (&mut existing.value, entry.value) {
            (Value::Table(existing), Value::Table(other)) => merge(existing, other, &full)?,
            (Value::List(existing), Value::List(other))
                if existing.iter().chain(&other).all(Entry::is_table) =>
            {
                existing.extend(other);
            }
            _ => {
                let reason = format!("set here and in {}: keep one of the two", existing.place);
                return Err(entry.place.wrong(full, reason));
            }
        }
    }
    Ok(())
}

/// A key inside a table.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A tree as TOML, for whoever else is to read it.
pub(super) fn to_toml(table: &Table) -> toml::Table {
    table.iter().map(|(key, entry)| (key.clone(), entry.to_toml())).collect()
}

/// All that is no table, with its full key.
pub(super) fn leaves(table: &Table, path: &str) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    for (key, entry) in table {
        let full = join(path, key);
        match &entry.value {
            Value::Table(inner) => found.extend(leaves(inner, &full)),
            _ => found.push((full, entry.place.clone())),
        }
    }
    found
}

impl Entry {
    fn is_table(&self) -> bool {
        matches!(self.value, Value::Table(_))
    }

    /// Whether any text in it is from the environment.
    pub(super) fn is_from_environment(&self) -> bool {
        match &self.value {
            Value::Text { from_environment, .. } => *from_environment,
            Value::List(list) => list.iter().any(Self::is_from_environment),
            Value::Table(table) => table.values().any(Self::is_from_environment),
            _ => false,
        }
    }

    fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::Text { text, .. } => toml::Value::String(text.clone()),
            Value::Integer(value) => toml::Value::Integer(*value),
            Value::Float(value) => toml::Value::Float(*value),
            Value::Boolean(value) => toml::Value::Boolean(*value),
            Value::Date(value) => toml::Value::Datetime(*value),
            Value::List(list) => toml::Value::Array(list.iter().map(Self::to_toml).collect()),
            Value::Table(table) => toml::Value::Table(to_toml(table)),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    file: Arc<Path>,
    environment: Environment<'a>,
}

impl Reader<'_> {
    fn table(&self, table: DeTable<'_>, path: &str) -> Result<Table, ConfigError> {
        let mut entries = Table::new();
        for (key, value) in table {
            let place = self.place(key.span());
            let full = join(path, key.get_ref());
            let value = self.value(value.into_inner(), &place, &full)?;
            entries.insert(key.into_inner().into_owned(), Entry { place, value });
        }
        Ok(entries)
    }

    fn value(&self, value: DeValue<'_>, place: &Place, key: &str) -> Result<Value, ConfigError> {
        Ok(match value {
            DeValue::String(text) => {
                let expanded =
                    expand(&text, self.environment).map_err(|reason| place.wrong(key, reason))?;
                Value::Text { text: expanded.text, from_environment: expanded.from_environment }
            }
            DeValue::Integer(integer) => Value::Integer(
                i64::from_str_radix(integer.as_str(), integer.radix())
                    .map_err(|_| place.wrong(key, "this number is too large"))?,
            ),
            DeValue::Float(float) => Value::Float(
                float.as_str().parse().map_err(|_| place.wrong(key, "this is no number"))?,
            ),
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(value) => Value::Date(value),
            DeValue::Array(list) => {
                let mut entries = Vec::new();
                for value in list {
                    let place = self.place(value.span());
                    let value = self.value(value.into_inner(), &place, key)?;
                    entries.push(Entry { place, value });
                }
                Value::List(entries)
            }
            DeValue::Table(table) => Value::Table(self.table(table, key)?),
        })
    }

    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.as_bytes().iter().take(span.start);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Place { file: Arc::clone(&self.file), line }
    }
}

/// The key that a line of TOML seems to set, or the table that it seems to begin.
fn key_in(line: &str) -> String {
    let name = line.trim_start().trim_start_matches('[');
    name.chars()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
        .take(64)
        .collect()
}
