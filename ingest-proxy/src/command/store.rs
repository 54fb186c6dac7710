//! The commands that read the embedded store: `query`, `export` and `backup`.

use std::{
    io::{self, Write},
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use undertone_ingest_proxy::{
    Config,
    sink::embedded::{self, Selection},
    transfer,
};

/// How often a transfer tells how far it is.
const TELL: Duration = Duration::from_secs(1);

/// What `query` is asked for.
#[derive(Args)]
pub(super) struct Query {
    /// Print CSV, a row for each field, instead of line protocol
    #[arg(long)]
    csv: bool,
    /// Only this measurement, such as app.connections.count
    #[arg(long, value_name = "NAME")]
    measurement: Option<String>,
    /// Only this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only what was measured in the last, such as 90s, 15min, 1h or 7days
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
}

pub(super) fn query(folder: &Path, query: Query) -> Result<()> {
    let since = query.since.map(|since| {
        SystemTime::now().checked_sub(since).context("--since is before the beginning of time")
    });
    let selection = Selection {
        measurement: query.measurement,
        session: query.session,
        since: since.transpose()?,
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    if query.csv {
        embedded::csv(folder, &selection, &mut out)?;
    } else {
        embedded::export(folder, &selection, &mut out)?;
    }
    Ok(out.flush()?)
}

pub(super) fn backup(folder: &Path, file: &Path) -> Result<()> {
    let bytes = embedded::backup(folder, file).with_context(|| format!("{}", file.display()))?;
    eprintln!("{}: {bytes} bytes", file.display());
    Ok(())
}

/// Prints everything.
pub(super) fn print(folder: &Path) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    embedded::export(folder, &Selection::default(), &mut out)?;
    Ok(out.flush()?)
}

/// Writes everything to a sink.
#[tokio::main]
pub(super) async fn export(config: Config, sink: &str) -> Result<()> {
    let mut told = Instant::now();
    let done = transfer(&config, sink, |so_far| {
        if told.elapsed() >= TELL {
            told = Instant::now();
            eprintln!("{} points written", so_far.written);
        }
    });
    let done = done.await?;
    eprintln!("{sink}: {} points written, {} refused", done.written, done.refused);
    ensure!(done.refused == 0, "{sink} refused some points; all others were written");
    Ok(())
}
