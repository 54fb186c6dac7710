//! The store as CSV (RFC 4180): the columns of the view `point`, a row for each field of each point.

use std::io::Write;
use std::path::Path;

use csv::WriterBuilder;
use rusqlite::types::ValueRef;

use super::export::{
    FIELD, KIND, MEASUREMENT, SELECTED, SESSION_COLUMN, TAGS, TIME, VALUE, refused,
};
use super::selection::Selection;
use super::store::FORMAT;
use undertone_storage::{StorageError, StorageErrorKind, failed, open_to_read};

/// Writes points of the store in `data_dir` as CSV with a line of names; returns the number of rows
/// without it. Also works while a proxy writes to the store.
///
/// Values stand as in the store: booleans are 0 and 1, tags a JSON object.
///
/// # Errors
/// If there is no store, a newer version wrote it, it is damaged, or `out` refuses.
pub fn csv(
    data_dir: &Path,
    selection: &Selection,
    out: &mut dyn Write,
) -> Result<u64, StorageError> {
    let connection = open_to_read(&data_dir.join(FORMAT.name), &FORMAT)?;
    let broken = failed("cannot read the store");
    let mut statement = connection.prepare(SELECTED).map_err(&broken)?;
    let mut rows = statement.query(selection.parameters()).map_err(&broken)?;
    let mut table = WriterBuilder::new().from_writer(out);
    let unwritten = |error: csv::Error| {
        StorageError::new(StorageErrorKind::Io, "cannot write the output").with_source(error)
    };
    table.write_record(COLUMNS.map(|(name, _)| name)).map_err(unwritten)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(&broken)? {
        for (_, column) in COLUMNS {
            let value = row.get_ref(column).map_err(&broken)?;
            match value {
                ValueRef::Null => table.write_field(""),
                ValueRef::Integer(value) => table.write_field(value.to_string()),
                // The shortest text that is read as the same number.
                ValueRef::Real(value) => table.write_field(format!("{value:?}")),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => table.write_field(bytes),
            }
            .map_err(unwritten)?;
        }
        table.write_record(None::<&[u8]>).map_err(unwritten)?;
        count += 1;
    }
    table.flush().map_err(refused)?;
    Ok(count)
}

const COLUMNS: [(&str, usize); 7] = [
    ("time", TIME),
    ("measurement", MEASUREMENT),
    ("session", SESSION_COLUMN),
    ("tags", TAGS),
    ("field", FIELD),
    ("kind", KIND),
    ("value", VALUE),
];
