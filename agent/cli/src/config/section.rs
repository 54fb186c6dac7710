//! A table whose keys are known: reads values of the right type, and refuses all other keys.

use std::path::PathBuf;

use super::{
    error::{ConfigError, Place},
    tree::{Entry, Table, Value, join},
};

/// How alike a key must be to one that exists to be taken for a misspelling of it; 1 is equal.
const ALIKE: f64 = 0.75;
/// At most so many characters of a value are quoted.
const QUOTED: usize = 24;

/// A table, from which values are taken by key.
#[derive(Debug)]
pub(super) struct Section {
    path: String,
    place: Place,
    entries: Table,
    keys: &'static [&'static str],
}

/// A value, with what is needed to say that it is wrong.
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) place: Place,
    key: String,
}

/// A text of a configuration.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) text: String,
    from_environment: bool,
}

impl Section {
    /// The table `path`, which has no other than these keys.
    pub(super) fn new(
        path: &str,
        place: Place,
        entries: Table,
        keys: &'static [&'static str],
    ) -> Result<Self, ConfigError> {
        let unknown = entries.iter().find(|(key, _)| !keys.contains(&key.as_str()));
        if let Some((key, entry)) = unknown {
            let reason = format!("there is no such key; {}", suggestion(key, keys));
            return Err(entry.place.wrong(join(path, &shortened(key)), reason));
        }
        Ok(Self { path: path.to_owned(), place, entries, keys })
    }

    /// An error about a key that isn't there.
    pub(super) fn missing(&self, key: &str, reason: &str) -> ConfigError {
        self.place.wrong(join(&self.path, key), reason)
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<Found<Text>>, ConfigError> {
        self.take(key, "a text in quotes", |value| match value {
            Value::Text { text, from_environment } => Some(Text { text, from_environment }),
            _ => None,
        })
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<Found<f64>>, ConfigError> {
        self.take(key, "a number", |value| match value {
            Value::Integer(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        })
    }

    pub(super) fn boolean(&mut self, key: &str) -> Result<Option<Found<bool>>, ConfigError> {
        self.take(key, "true or false", |value| match value {
            Value::Boolean(value) => Some(value),
            _ => None,
        })
    }

    pub(super) fn texts(
        &mut self,
        key: &str,
    ) -> Result<Option<Found<Vec<Found<Text>>>>, ConfigError> {
        let full = join(&self.path, key);
        self.take(key, "a list of texts: [\"one\", \"two\"]", |value| {
            let Value::List(list) = value else { return None };
            let mut texts = Vec::new();
            for Entry { place, value } in list {
                let Value::Text { text, from_environment } = value else { return None };
                let value = Text { text, from_environment };
                texts.push(Found { value, place, key: full.clone() });
            }
            Some(texts)
        })
    }

    pub(super) fn table(&mut self, key: &str) -> Result<Option<Found<Table>>, ConfigError> {
        self.take(key, "a table", |value| match value {
            Value::Table(table) => Some(table),
            _ => None,
        })
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables(&mut self, key: &str) -> Result<Vec<Found<Table>>, ConfigError> {
        let full = join(&self.path, key);
        let found = self.take(key, "one or more tables, each with the head [[…]]", |value| {
            let Value::List(list) = value else { return None };
            let mut tables = Vec::new();
            for Entry { place, value } in list {
                let Value::Table(table) = value else { return None };
                tables.push(Found { value: table, place, key: full.clone() });
            }
            Some(tables)
        })?;
        Ok(found.map(|found| found.value).unwrap_or_default())
    }

    fn take<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<Found<T>>, ConfigError> {
        debug_assert!(self.keys.contains(&key), "{key} is read and not listed");
        let Some(Entry { place, value }) = self.entries.remove(key) else { return Ok(None) };
        let key = join(&self.path, key);
        match read(value) {
            Some(value) => Ok(Some(Found { value, place, key })),
            None => Err(place.wrong(key, format!("this must be {wanted}"))),
        }
    }
}

impl<T> Found<T> {
    /// An error about this value.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> ConfigError {
        self.place.wrong(self.key.clone(), reason)
    }
}

impl Found<Text> {
    pub(super) fn as_str(&self) -> &str {
        &self.value.text
    }

    /// The value for an error: its beginning, or nothing of it where it may be a secret.
    pub(super) fn quoted(&self) -> String {
        match self.value.from_environment {
            true => "what the variable says".to_owned(),
            false => format!("{:?}", shortened(self.as_str())),
        }
    }

    /// The value as a path, relative to the folder of the file that names it.
    pub(super) fn path(&self) -> Result<PathBuf, ConfigError> {
        if self.as_str().is_empty() {
            return Err(self.wrong("a path is needed"));
        }
        Ok(self.place.folder().join(self.as_str()))
    }

    /// The one of `choices` that this is.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == self.as_str()) {
            return Ok(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let help = match self.value.from_environment {
            true => one_of(&names),
            false => suggestion(self.as_str(), &names),
        };
        Err(self.wrong(format!("{} is not possible; {help}", self.quoted())))
    }
}

/// What was meant, if that can be guessed; else what there is.
fn suggestion(word: &str, known: &[&str]) -> String {
    let word = shortened(word);
    let best = known
        .iter()
        .map(|known| (strsim::jaro_winkler(&word, known), known))
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match best {
        Some((likeness, known)) if likeness >= ALIKE => format!("did you mean `{known}`?"),
        _ => one_of(known),
    }
}

fn one_of(known: &[&str]) -> String {
    format!("there are: {}", known.join(", "))
}

fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
