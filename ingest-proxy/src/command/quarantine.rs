//! `quarantine`: lines that sinks refused for good.

use std::{
    io::{self, Write},
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use undertone_ingest_proxy::{
    Config, Control,
    queue::{Kept, Which},
};

#[derive(Subcommand)]
pub(super) enum Quarantine {
    /// Print refused lines, oldest first: number, time, sink, reason and line
    List {
        #[command(flatten)]
        lines: Lines,
        /// Print CSV
        #[arg(long)]
        csv: bool,
    },
    /// Put lines back into the queue, for the sink that refused them, once the cause is mended
    Retry {
        #[command(flatten)]
        lines: Lines,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Delete lines, also from the disk
    Delete {
        #[command(flatten)]
        lines: Lines,
        /// All of them
        #[arg(long)]
        all: bool,
    },
}

#[derive(Args)]
pub(super) struct Lines {
    /// Only those that this sink refused
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Only those with these numbers, which `list` prints
    #[arg(value_name = "NUMBER")]
    ids: Vec<i64>,
}

impl Lines {
    fn which(self) -> Which {
        Which { sink: self.sink, ids: self.ids }
    }

    /// Those that were named: what changes something is not done to all by mistake.
    fn named(self, all: bool) -> Result<Which> {
        let some = self.sink.is_some() || !self.ids.is_empty();
        ensure!(some || all, "say which: --all, --sink NAME or numbers");
        ensure!(self.ids.is_empty() || !all, "either --all or numbers");
        Ok(self.which())
    }
}

#[tokio::main(flavor = "current_thread")]
pub(super) async fn quarantine(config: Config, action: Quarantine) -> Result<()> {
    let control = Control::of(&config).await?;
    match action {
        Quarantine::List { lines, csv } => list(&control, &lines.which(), csv).await?,
        Quarantine::Retry { lines, all } => {
            let number = control.put_back(lines.named(all)?).await?;
            eprintln!("{number} lines put back: they are written behind what waits");
        }
        Quarantine::Delete { lines, all } => {
            let number = control.delete(lines.named(all)?).await?;
            eprintln!("{number} lines deleted");
        }
    }
    Ok(control.close().await?)
}

async fn list(control: &Control<'_>, which: &Which, csv: bool) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut table = csv.then(|| csv::Writer::from_writer(Vec::new()));
    if let Some(table) = &mut table {
        table.write_record(["number", "time", "sink", "reason", "line"])?;
    }
    let mut after = 0;
    loop {
        let lines = control.quarantine(which.clone(), after).await?;
        let Some(last) = lines.last() else { break };
        after = last.id;
        for kept in &lines {
            let [number, time] = [kept.id.to_string(), time(kept)];
            let line = &kept.line;
            match &mut table {
                Some(table) => {
                    table.write_record([&number, &time, &line.sink, &line.reason, &line.line])?;
                }
                // A reason has no control characters; a line of ours has none either.
                None => writeln!(
                    out,
                    "{number}\t{time}\t{}\t{}\t{}",
                    line.sink, line.reason, line.line
                )?,
            }
        }
        if let Some(full) = table.take() {
            out.write_all(&full.into_inner().context("write CSV")?)?;
            table = Some(csv::Writer::from_writer(Vec::new()));
        }
    }
    if let Some(rest) = table {
        out.write_all(&rest.into_inner().context("write CSV")?)?;
    }
    Ok(out.flush()?)
}

fn time(kept: &Kept) -> String {
    let since = Duration::from_secs(u64::try_from(kept.refused_at).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}
