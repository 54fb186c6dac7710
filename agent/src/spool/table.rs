//! The spool's file: `spool.sqlite3`, in a numbered folder of the data folder. The only module with SQL in the
//! agent; everything here blocks.

use std::{collections::BTreeMap, path::Path, time::SystemTime};

use rusqlite::{Connection, params};
use undertone_storage::{
    FileFormat, StorageError, failed, from_sql, open, release_free_pages, truncate_wal,
};
use undertone_wire::{
    parcel::{Age, Parcel, ParcelId},
    request::BODY_LENGTH,
};

use super::{Fate, elapsed::Stamp};

/// An open file.
pub(super) struct Table {
    connection: Connection,
}

/// A parcel as it was written, not verified yet.
pub(super) struct Row {
    pub(super) id: [u8; 16],
    pub(super) body: Vec<u8>,
    pub(super) sealed: Stamp,
}

/// What is to be changed in one commit.
#[derive(Default)]
pub(super) struct Change {
    pub(super) kept: Vec<(Parcel, Stamp)>,
    pub(super) gone: Vec<(ParcelId, Fate)>,
}

impl Table {
    pub(super) fn open(folder: &Path) -> Result<Self, StorageError> {
        let connection = open(folder, &FORMAT, SystemTime::now())?;
        Ok(Self { connection })
    }

    /// All parcels, the oldest first.
    pub(super) fn rows(&self) -> Result<Vec<Row>, StorageError> {
        let run = || {
            let mut statement = self.connection.prepare(
                "SELECT id, body, boot, boot_milliseconds, wall_milliseconds FROM parcel ORDER BY seq",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Row {
                    id: row.get(0)?,
                    body: row.get(1)?,
                    sealed: Stamp {
                        boot: row.get(2)?,
                        boot_milliseconds: row.get(3)?,
                        wall_milliseconds: row.get(4)?,
                    },
                })
            })?;
            rows.collect()
        };
        run().map_err(failed("cannot read the spool"))
    }

    /// Parcels that this spool has given up since it was made, by reason.
    pub(super) fn dropped(&self) -> Result<BTreeMap<String, u64>, StorageError> {
        let run = || {
            let mut statement = self.connection.prepare("SELECT reason, parcels FROM dropped")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, from_sql(row.get(1)?))))?;
            rows.collect()
        };
        run().map_err(failed("cannot read the spool's counts"))
    }

    /// All or nothing; on the disk when this returns.
    pub(super) fn change(&mut self, change: &Change) -> Result<(), StorageError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for (parcel, sealed) in &change.kept {
                let body: [u8; BODY_LENGTH] = parcel.body(Age::default());
                // What is tried again, since a commit was not seen to succeed, may be there.
                transaction
                    .prepare_cached(
                        "INSERT OR IGNORE INTO parcel
                             (id, body, boot, boot_milliseconds, wall_milliseconds)
                         VALUES (?, ?, ?, ?, ?)",
                    )?
                    .execute(params![
                        parcel.id().0,
                        body,
                        sealed.boot,
                        sealed.boot_milliseconds,
                        sealed.wall_milliseconds
                    ])?;
            }
            for (id, fate) in &change.gone {
                let rows = transaction
                    .prepare_cached("DELETE FROM parcel WHERE id = ?")?
                    .execute([id.0])?;
                if let (1.., Some(reason)) = (rows, reason(*fate)) {
                    count(&transaction, reason)?;
                }
            }
            transaction.commit()
        };
        run(&mut self.connection).map_err(failed("cannot write the spool"))
    }

    /// Drops what can't be sent as it is.
    pub(super) fn drop_unreadable(&mut self, ids: &[[u8; 16]]) -> Result<(), StorageError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for id in ids {
                transaction.execute("DELETE FROM parcel WHERE id = ?", [id])?;
                count(&transaction, "unreadable")?;
            }
            transaction.commit()
        };
        run(&mut self.connection).map_err(failed("cannot write the spool"))
    }

    /// What was sent or dropped is gone from the disk (invariant S7).
    pub(super) fn tidy(&self) -> Result<(), StorageError> {
        release_free_pages(&self.connection)?;
        truncate_wal(&self.connection).map(drop)
    }
}

fn reason(fate: Fate) -> Option<&'static str> {
    match fate {
        Fate::Decided => None,
        Fate::TooMany => Some("too many"),
        Fate::TooOld => Some("too old"),
    }
}

fn count(connection: &Connection, reason: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO dropped (reason, parcels) VALUES (?, 1)
             ON CONFLICT (reason) DO UPDATE SET parcels = parcels + 1",
        )?
        .execute([reason])
        .map(drop)
}

/// The spool's file.
pub(super) const FORMAT: FileFormat = FileFormat {
    name: "spool.sqlite3",
    exclusive: true,
    migrations: &["
        CREATE TABLE parcel (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id BLOB NOT NULL UNIQUE,
            body BLOB NOT NULL,                  -- as it is sent, but for its age
            boot TEXT NOT NULL,                  -- when it was sealed: see elapsed.rs
            boot_milliseconds INTEGER NOT NULL,
            wall_milliseconds INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE dropped (
            reason TEXT PRIMARY KEY,
            parcels INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
    "],
};
