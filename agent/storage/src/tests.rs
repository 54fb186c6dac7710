//! What an older version wrote is read, and what can't be is left as it is.

use std::fs;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const FIRST: &str = "CREATE TABLE parcel (id INTEGER PRIMARY KEY, lines TEXT NOT NULL) STRICT;";
const SECOND: &str = "ALTER TABLE parcel ADD COLUMN session TEXT NOT NULL DEFAULT 'before';";

fn format(migrations: &'static [&'static str]) -> FileFormat {
    FileFormat { name: "file.sqlite3", migrations, exclusive: true }
}

fn at(folder: &TempDir, format: &FileFormat) -> Result<Connection, StorageError> {
    open(folder.path(), format, SystemTime::UNIX_EPOCH)
}

fn version(connection: &Connection) -> i64 {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn an_older_format_is_migrated_and_nothing_is_lost() {
    let folder = TempDir::new().unwrap();
    let old = at(&folder, &format(&[FIRST])).unwrap();
    old.execute("INSERT INTO parcel (lines) VALUES ('m f=1')", []).unwrap();
    drop(old);
    let path = folder.path().join("file.sqlite3");
    let error = open_to_read(&path, &format(&[FIRST, SECOND])).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::OlderFormat);
    assert!(error.to_string().contains("has format 1, this program reads 2"), "{error}");
    for _ in 0..2 {
        let new = at(&folder, &format(&[FIRST, SECOND])).unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let row: (String, String) =
            new.query_row("SELECT lines, session FROM parcel", [], row).unwrap();
        assert_eq!(row, ("m f=1".to_owned(), "before".to_owned()));
        assert_eq!(version(&new), 2);
    }
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let folder = TempDir::new().unwrap();
    drop(at(&folder, &format(&[FIRST])).unwrap());
    let error = at(&folder, &format(&[FIRST, SECOND, "CREATE TABLE parcel (id INTEGER)"]));
    assert_eq!(error.unwrap_err().to_string(), "cannot migrate the tables");
    let left = at(&folder, &format(&[FIRST])).unwrap();
    assert_eq!(version(&left), 1);
    assert!(left.prepare("SELECT session FROM parcel").is_err(), "the second was taken back");
}

#[test]
fn a_newer_format_is_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(at(&folder, &format(&[FIRST, SECOND])).unwrap());
    let path = folder.path().join("file.sqlite3");
    let before = fs::read(&path).unwrap();
    let error = at(&folder, &format(&[FIRST])).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::NewerFormat);
    assert!(fs::read(&path).unwrap() == before);
}
