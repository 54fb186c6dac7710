//! Which steps there were, and what struck there.

use std::{collections::BTreeMap, fmt};

use super::fault::Errno;

/// All steps of one kind: the same call of the same process on the same file in the same situation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// In which situation.
    pub situation: &'static str,
    /// Which process.
    pub process: &'static str,
    /// Which file.
    pub file: String,
    /// Which system call.
    pub call: String,
}

/// What strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The process is killed.
    Kill,
    /// The disk says no.
    Error(Errno),
    /// The power goes.
    Power,
}

const COLUMNS: [(Column, &str); 4] = [
    (Column::Kill, "kill"),
    (Column::Error(Errno::Enospc), "ENOSPC"),
    (Column::Error(Errno::Eio), "EIO"),
    (Column::Power, "power"),
];

/// Of a row and a column.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    wanted: usize,
    hit: usize,
}

/// Everything, and what went wrong.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<Row, (usize, BTreeMap<Column, Count>)>,
    failures: Vec<String>,
}

impl Table {
    /// What went wrong.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// How many steps were struck.
    pub fn hits(&self) -> usize {
        self.rows.values().flat_map(|(_, columns)| columns.values()).map(|count| count.hit).sum()
    }

    pub(super) fn step(&mut self, row: &Row) {
        self.rows.entry(row.clone()).or_default().0 += 1;
    }

    pub(super) fn wanted(&mut self, row: &Row, column: Column) {
        self.count(row, column).wanted += 1;
    }

    pub(super) fn hit(&mut self, row: &Row, column: Column) {
        self.count(row, column).hit += 1;
    }

    pub(super) fn fail(&mut self, what: String) {
        self.failures.push(what);
    }

    fn count(&mut self, row: &Row, column: Column) -> &mut Count {
        self.rows.entry(row.clone()).or_default().1.entry(column).or_default()
    }
}

/// As Markdown: hits of how many that were wanted; errors strike once, and from there on; power is lost in two ways.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| Situation | File | Call | N | kill | ENOSPC | EIO | power |")?;
        writeln!(f, "|---|---|---|---:|---:|---:|---:|---:|")?;
        let mut sums = [Count::default(); COLUMNS.len()];
        let mut steps = 0;
        for (row, (count, columns)) in &self.rows {
            steps += count;
            let file = if row.file.is_empty() { "." } else { &row.file };
            write!(f, "| {} | {} | {} | {count} |", row.situation, file, row.call)?;
            for (sum, (column, _)) in sums.iter_mut().zip(COLUMNS) {
                let Count { wanted, hit } = columns.get(&column).copied().unwrap_or_default();
                sum.wanted += wanted;
                sum.hit += hit;
                write!(f, " {hit}/{wanted} |")?;
            }
            writeln!(f)?;
        }
        write!(f, "| all | | | {steps} |")?;
        for Count { wanted, hit } in sums {
            write!(f, " {hit}/{wanted} |")?;
        }
        writeln!(f)
    }
}
