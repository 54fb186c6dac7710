//! Reads points back out of the store, in bounded memory, and gives them as line protocol.

use std::io::{self, Write};
use std::path::Path;

use rusqlite::{Connection, Row};
use undertone_storage::{StorageError, StorageErrorKind, failed};
use undertone_wire::{Name, Point, Tags};

use super::open_to_read;
use super::selection::Selection;
use super::store::restored;
use super::tags::SESSION;
use crate::lines;

/// Writes points of the store in `data_dir` as line protocol, with times in nanoseconds; returns how
/// many. Also works while a proxy writes to the store; what it writes after the start is not seen.
///
/// Fields of one series and time are on one line; series follow one another, each in order of time.
///
/// # Errors
/// If there is no store, a newer version wrote it, it is damaged, or `out` refuses.
pub fn export(
    data_dir: &Path,
    selection: &Selection,
    out: &mut dyn Write,
) -> Result<u64, StorageError> {
    let mut line = String::new();
    let count = each_point(data_dir, selection, &mut |point| {
        line.clear();
        lines::append(&point, &mut line)?;
        out.write_all(line.as_bytes()).map_err(refused)
    })?;
    out.flush().map_err(refused)?;
    Ok(count)
}

/// Hands over each point that [`export`] would write; returns how many.
pub(crate) fn each_point(
    data_dir: &Path,
    selection: &Selection,
    take: &mut dyn FnMut(Point) -> Result<(), StorageError>,
) -> Result<u64, StorageError> {
    let connection = open_to_read(data_dir)?;
    let broken = failed("cannot read the store");
    let mut statement = connection.prepare(SELECTED).map_err(&broken)?;
    let mut rows = statement.query(selection.parameters()).map_err(&broken)?;

    let mut current: Option<Open> = None;
    let mut count = 0;
    let mut flush = |open: &Open| {
        count += 1;
        take(open.point.clone())
    };
    while let Some(row) = rows.next().map_err(&broken)? {
        let series: i64 = row.get(SERIES).map_err(&broken)?;
        let time: i64 = row.get(TIME).map_err(&broken)?;
        let mut open = match current.take() {
            Some(open) if open.series == series && open.point.timestamp == Some(time) => open,
            Some(mut open) => {
                flush(&open)?;
                if open.series == series {
                    open.point.fields.clear();
                    open.point.timestamp = Some(time);
                    open
                } else {
                    Open::new(&connection, row, series, time)?
                }
            }
            None => Open::new(&connection, row, series, time)?,
        };
        let field: String = row.get(FIELD).map_err(&broken)?;
        let kind: String = row.get(KIND).map_err(&broken)?;
        let value = restored(&kind, row.get(VALUE).map_err(&broken)?).ok_or_else(|| {
            StorageError::new(StorageErrorKind::Corrupt, "a stored value has another type")
        })?;
        open.point.fields.insert(field.into(), value);
        current = Some(open);
    }
    if let Some(open) = current {
        flush(&open)?;
    }
    Ok(count)
}

/// The point that rows are being gathered for.
struct Open {
    series: i64,
    point: Point,
}

impl Open {
    fn new(
        connection: &Connection,
        row: &Row<'_>,
        series: i64,
        time: i64,
    ) -> Result<Self, StorageError> {
        let run = || {
            let session: String = row.get(SESSION_COLUMN)?;
            let tags: String = row.get(TAGS)?;
            let mut point = Point::new(row.get::<_, String>(MEASUREMENT)?).at(time);
            point.tags = connection
                .prepare_cached("SELECT key, value FROM json_each(?)")?
                .query_map([tags], |row| Ok((name(row, 0)?, name(row, 1)?)))?
                .collect::<Result<Tags, _>>()?;
            if !session.is_empty() {
                point.tags.insert(SESSION.into(), session.into());
            }
            Ok(Self { series, point })
        };
        run().map_err(failed("cannot read a series"))
    }
}

pub(super) fn refused(error: io::Error) -> StorageError {
    StorageError::new(StorageErrorKind::Io, "cannot write the output").with_source(error)
}

/// What a [`Selection`] leaves. The joins are fixed in the order in which the tables are sorted, so
/// that nothing is sorted.
pub(super) const SELECTED: &str = "
    SELECT series.id, sample.time, measurement.name, series.session, series.tags,
           field.name, sample.kind, sample.value
    FROM series
    CROSS JOIN measurement ON measurement.id = series.measurement
    CROSS JOIN sample ON sample.series = series.id
    CROSS JOIN field ON field.id = sample.field
    WHERE (?1 IS NULL OR measurement.name = ?1)
      AND (?2 IS NULL OR series.session = ?2)
      AND series.newest >= ?3 AND sample.time >= ?3
    ORDER BY series.id, sample.time, sample.field";

pub(super) const SERIES: usize = 0;
pub(super) const TIME: usize = 1;
pub(super) const MEASUREMENT: usize = 2;
pub(super) const SESSION_COLUMN: usize = 3;
pub(super) const TAGS: usize = 4;
pub(super) const FIELD: usize = 5;
pub(super) const KIND: usize = 6;
pub(super) const VALUE: usize = 7;

/// A name in a column.
fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<Name> {
    row.get::<_, String>(column).map(Name::from)
}
