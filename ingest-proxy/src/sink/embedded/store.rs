//! The store's tables and how points get into them. Everything here blocks.
//!
//! A sample is one field of one series at one time; writing it again replaces it. Its value keeps
//! SQLite's type; `kind` says what SQLite's types can't: booleans are 0 and 1, and an unsigned
//! number above 2^63−1 is decimal text.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use undertone_storage::{FileFormat, StorageError, WallClock, failed, from_sql, truncate_wal};
use undertone_wire::{FieldValue, Point, Tags};

use super::tags::{self, SESSION};
use super::{EmbeddedLimits, EmbeddedStats};
use crate::lines;
use crate::sink::RefusedPoint;

/// The open file.
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) limits: EmbeddedLimits,
    pub(super) clock: WallClock,
    pub(super) deleted_old: u64,
    pub(super) deleted_full: u64,
    /// Whether something was deleted since the log was last emptied.
    pub(super) deleted: bool,
}

impl Store {
    pub(super) fn open(
        folder: &Path,
        limits: EmbeddedLimits,
        clock: WallClock,
    ) -> Result<Self, StorageError> {
        let connection = undertone_storage::open(folder, &FORMAT, clock())?;
        // An earlier process may have ended between deleting and emptying the log.
        Ok(Self { connection, limits, clock, deleted_old: 0, deleted_full: 0, deleted: true })
    }

    /// Writes all points that can be written, in one transaction; returns the others.
    pub(super) fn write(&mut self, points: &[Point]) -> Result<Vec<RefusedPoint>, StorageError> {
        let mut refused = Vec::new();
        let mut line = String::new();
        let mut run = || {
            let transaction = self.connection.transaction()?;
            let mut insert = Insert::new(&transaction);
            for (index, point) in points.iter().enumerate() {
                // What line protocol can't say could not be exported either.
                line.clear();
                match (lines::append(point, &mut line), point.timestamp) {
                    (Ok(()), Some(time)) => insert.point(point, time)?,
                    (Err(error), _) => {
                        refused.push(RefusedPoint { index, reason: error.to_string() });
                    }
                    (Ok(()), None) => {}
                }
            }
            insert.finish()?;
            transaction.commit()
        };
        run().map_err(failed("cannot write to the store"))?;
        Ok(refused)
    }

    pub(super) fn stats(&self) -> EmbeddedStats {
        EmbeddedStats {
            bytes: self.file_bytes(),
            deleted_old: self.deleted_old,
            deleted_full: self.deleted_full,
        }
    }

    /// Empties the log, so that the file is complete by itself.
    pub(super) fn finish(&mut self) -> Result<(), StorageError> {
        truncate_wal(&self.connection).map(drop)
    }

    pub(super) fn pragma(&self, name: &str) -> u64 {
        self.connection.pragma_query_value(None, name, |row| row.get(0)).map_or(0, from_sql)
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.pragma("page_count") * self.pragma("page_size")
    }
}

/// One transaction's writing; it looks each name up once.
struct Insert<'a> {
    transaction: &'a Transaction<'a>,
    measurements: HashMap<String, i64>,
    fields: HashMap<(i64, String), i64>,
    series: HashMap<(i64, Tags), Series>,
}

/// A series, and the times that this transaction wrote to it.
struct Series {
    id: i64,
    oldest: i64,
    newest: i64,
}

impl<'a> Insert<'a> {
    fn new(transaction: &'a Transaction<'a>) -> Self {
        Self {
            transaction,
            measurements: HashMap::new(),
            fields: HashMap::new(),
            series: HashMap::new(),
        }
    }

    fn point(&mut self, point: &Point, time: i64) -> rusqlite::Result<()> {
        let measurement = self.measurement(&point.measurement)?;
        let series = self.series(measurement, &point.tags, time)?;
        for (name, value) in &point.fields {
            let field = self.field(measurement, name)?;
            let (kind, value) = stored(value);
            self.transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO sample (series, time, field, kind, value)
                     VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![series, time, field, kind, value])?;
        }
        Ok(())
    }

    /// Notes how far each series now reaches.
    fn finish(self) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "UPDATE series SET oldest = min(oldest, ?2), newest = max(newest, ?3)
             WHERE id = ?1 AND (oldest > ?2 OR newest < ?3)",
        )?;
        for series in self.series.values() {
            statement.execute(params![series.id, series.oldest, series.newest])?;
        }
        Ok(())
    }

    fn measurement(&mut self, name: &str) -> rusqlite::Result<i64> {
        if let Some(&id) = self.measurements.get(name) {
            return Ok(id);
        }
        let id = self.id_of(
            "SELECT id FROM measurement WHERE name = ?",
            "INSERT INTO measurement (name) VALUES (?)",
            params![name],
        )?;
        self.measurements.insert(name.to_owned(), id);
        Ok(id)
    }

    fn field(&mut self, measurement: i64, name: &str) -> rusqlite::Result<i64> {
        let key = (measurement, name.to_owned());
        if let Some(&id) = self.fields.get(&key) {
            return Ok(id);
        }
        let id = self.id_of(
            "SELECT id FROM field WHERE measurement = ? AND name = ?",
            "INSERT INTO field (measurement, name) VALUES (?, ?)",
            params![measurement, name],
        )?;
        self.fields.insert(key, id);
        Ok(id)
    }

    fn series(&mut self, measurement: i64, tags: &Tags, time: i64) -> rusqlite::Result<i64> {
        let key = (measurement, tags.clone());
        if let Some(series) = self.series.get_mut(&key) {
            series.oldest = series.oldest.min(time);
            series.newest = series.newest.max(time);
            return Ok(series.id);
        }
        let session = tags.get(SESSION).map_or("", |session| session.as_str());
        let json = tags::to_json(tags);
        let find = "SELECT id FROM series WHERE measurement = ? AND session = ? AND tags = ?";
        let found = self
            .transaction
            .prepare_cached(find)?
            .query_row(params![measurement, session, json], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => {
                self.transaction
                    .prepare_cached(
                        "INSERT INTO series (measurement, session, tags, oldest, newest)
                         VALUES (?1, ?2, ?3, ?4, ?4)",
                    )?
                    .execute(params![measurement, session, json, time])?;
                self.transaction.last_insert_rowid()
            }
        };
        self.series.insert(key, Series { id, oldest: time, newest: time });
        Ok(id)
    }

    fn id_of(
        &self,
        find: &str,
        insert: &str,
        values: impl rusqlite::Params + Copy,
    ) -> rusqlite::Result<i64> {
        let found = self
            .transaction
            .prepare_cached(find)?
            .query_row(values, |row| row.get(0))
            .optional()?;
        match found {
            Some(id) => Ok(id),
            None => {
                self.transaction.prepare_cached(insert)?.execute(values)?;
                Ok(self.transaction.last_insert_rowid())
            }
        }
    }
}

fn stored(value: &FieldValue) -> (&'static str, Value) {
    match value {
        FieldValue::Float(value) => (FLOAT, Value::Real(*value)),
        FieldValue::Integer(value) => (INTEGER, Value::Integer(*value)),
        FieldValue::Unsigned(value) => (
            UNSIGNED,
            i64::try_from(*value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer),
        ),
        FieldValue::Boolean(value) => (BOOLEAN, Value::Integer(i64::from(*value))),
        FieldValue::String(value) => (STRING, Value::Text(value.clone())),
    }
}

/// A value as it was stored; `None`: nothing that [`stored`] makes.
pub(super) fn restored(kind: &str, value: Value) -> Option<FieldValue> {
    match (kind, value) {
        (FLOAT, Value::Real(value)) => Some(FieldValue::Float(value)),
        (INTEGER, Value::Integer(value)) => Some(FieldValue::Integer(value)),
        (UNSIGNED, Value::Integer(value)) => u64::try_from(value).ok().map(FieldValue::Unsigned),
        (UNSIGNED, Value::Text(value)) => value.parse().ok().map(FieldValue::Unsigned),
        (BOOLEAN, Value::Integer(value)) => Some(FieldValue::Boolean(value != 0)),
        (STRING, Value::Text(value)) => Some(FieldValue::String(value)),
        _ => None,
    }
}

const FLOAT: &str = "f";
const INTEGER: &str = "i";
const UNSIGNED: &str = "u";
const BOOLEAN: &str = "b";
const STRING: &str = "s";

pub(super) const FORMAT: FileFormat = FileFormat {
    name: "store.sqlite3",
    exclusive: false,
    migrations: &["
        CREATE TABLE measurement (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE
        ) STRICT;
        CREATE TABLE field (
            id INTEGER PRIMARY KEY,
            measurement INTEGER NOT NULL,
            name TEXT NOT NULL,
            UNIQUE (measurement, name)
        ) STRICT;
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            measurement INTEGER NOT NULL,
            session TEXT NOT NULL,    -- empty: none
            tags TEXT NOT NULL,       -- a JSON object, without the session
            oldest INTEGER NOT NULL,  -- times in nanoseconds since 1970
            newest INTEGER NOT NULL,
            UNIQUE (measurement, session, tags)
        ) STRICT;
        CREATE INDEX series_by_age ON series (oldest);
        CREATE TABLE sample (
            series INTEGER NOT NULL,
            time INTEGER NOT NULL,    -- nanoseconds since 1970
            field INTEGER NOT NULL,
            kind TEXT NOT NULL,       -- f float, i integer, u unsigned, b boolean, s string
            value ANY NOT NULL,
            PRIMARY KEY (series, time, field)
        ) STRICT, WITHOUT ROWID;
        CREATE VIEW point AS
            SELECT measurement.name AS measurement, session, tags, field.name AS field,
                   time, kind, value
            FROM sample
            JOIN series ON series.id = sample.series
            JOIN field ON field.id = sample.field
            JOIN measurement ON measurement.id = series.measurement;
    "],
};
