//! What the files say at the end, by the `sqlite3` program.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

use super::parcels::{self, MEASUREMENT, Sealed};

/// What must be there.
#[derive(Debug)]
pub struct Expected<'a> {
    /// What the store must hold: of each parcel exactly one row.
    pub stored: &'a [Sealed],
    /// What the queue must have counted, exactly once each.
    pub counted: &'a [Sealed],
}

/// Holds a data folder, in which nothing runs, against that.
///
/// # Errors
/// If anything is lost, doubled or damaged.
pub fn holds(data: &Path, expected: &Expected<'_>) -> Result<()> {
    for file in ["queue.sqlite3", "store.sqlite3"] {
        let verdict = query(&data.join(file), "PRAGMA integrity_check")?;
        ensure!(verdict == [["ok"]], "{file}: {verdict:?}");
    }
    let rows = query(
        &data.join("store.sqlite3"),
        &format!(
            "SELECT session, value FROM point WHERE measurement = '{MEASUREMENT}' AND field = 'delta'"
        ),
    )?;
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in rows {
        let [session, value] = &row[..] else { bail!("{row:?}") };
        found.entry(session.clone()).or_default().push(value.parse()?);
    }
    let wanted = parcels::sums(expected.stored);
    ensure!(found == wanted, "the store has {found:?}\nand must have {wanted:?}");

    let queue = data.join("queue.sqlite3");
    let counts: BTreeMap<String, u64> = query(&queue, "SELECT name, value FROM counter")?
        .into_iter()
        .filter_map(|row| Some((row.first()?.clone(), row.get(1)?.parse().ok()?)))
        .collect();
    let count = |name: &str| counts.get(name).copied().unwrap_or(0);
    let points = expected.counted.iter().filter(|parcel| parcel.delta.is_some()).count() as u64;
    let refused: u64 =
        counts.iter().filter(|(name, _)| name.starts_with("refused:")).map(|(_, n)| n).sum();
    for (name, found, wanted) in [
        ("admitted parcels", count("admitted_parcels"), expected.counted.len() as u64),
        ("admitted points", count("admitted_points"), points),
        ("delivered points", count("delivered_points"), points),
        ("refused points", refused, expected.counted.iter().map(|parcel| parcel.refused).sum()),
        ("quarantined lines", count("quarantined"), 0),
    ] {
        ensure!(found == wanted, "{name}: {found} instead of {wanted}");
    }
    let waiting = query(&queue, "SELECT count(*) FROM parcel")?;
    ensure!(waiting == [["0"]], "{waiting:?} parcels wait");
    Ok(())
}

/// How many files in a folder have been set aside.
pub fn set_aside(data: &Path, file: &str) -> Result<usize> {
    let aside = format!("{file}.corrupt-");
    let mut count = 0;
    for entry in fs::read_dir(data)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        count += usize::from(
            name.starts_with(&aside) && !name.ends_with("-wal") && !name.ends_with("-shm"),
        );
    }
    Ok(count)
}

/// The rows of a query.
pub fn query(file: &Path, sql: &str) -> Result<Vec<Vec<String>>> {
    ensure!(file.exists(), "{} is not there", file.display());
    let output = Command::new("sqlite3").args(["-separator", "\t"]).arg(file).arg(sql).output();
    let output = output.context("run sqlite3")?;
    ensure!(output.status.success(), "sqlite3: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}
