//! Looks for what is in the way, from consent to the proxy, one line each. Sends nothing that was measured.

mod machine;
mod network;

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::Result;
use undertone::Ledger;

use crate::{
    command::Exit,
    config::{Config, Transport},
    permission::permitted,
};

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    /// It is well; or nothing can be found out, and this is to be done.
    Ok(String),
    /// It isn't; what to do.
    Fails(String),
    /// It wasn't looked at; why.
    Skipped(String),
}

/// Writes a line for each thing that must be right.
pub(crate) fn doctor(path: &Path, offline: bool, out: &mut impl Write) -> Result<Exit> {
    let mut report = Report { out, failed: false };
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            report.line("configuration", &Finding::Fails(error.to_string()))?;
            return Ok(Exit::Failed);
        }
    };
    let files = format!("valid, {} file(s)", config.files.len());
    report.line("configuration", &Finding::Ok(files))?;
    let ingest = match permitted(&config) {
        Ok(ingest) => ingest.clone(),
        Err(silence) => {
            report.line("consent", &Finding::Fails(silence.to_string()))?;
            let nothing = Finding::Skipped("not looked at without consent".to_owned());
            for name in ["clock", "data folder", "Tor", "ingest", "schema"] {
                report.line(name, &nothing)?;
            }
            return Ok(Exit::Failed);
        }
    };
    report.line("consent", &Finding::Ok("granted".to_owned()))?;
    report.line("clock", &machine::clock(&config.files))?;
    let folder = match &config.agent.transport {
        Transport::Socks(_) if config.agent.ledger != Ledger::Disk => {
            let why = "not needed: the Tor is another program's, and the ledger is in memory";
            Finding::Ok(why.to_owned())
        }
        _ => machine::data_folder(&config.agent.data_dir),
    };
    report.line("data folder", &folder)?;
    if offline {
        for name in ["Tor", "ingest"] {
            report.line(name, &Finding::Skipped("not looked at with --offline".to_owned()))?;
        }
    } else {
        let _ =
            writeln!(io::stderr(), "Looking for the proxy through Tor; this can take minutes …");
        for (name, finding) in network::findings(&config.agent, &ingest) {
            report.line(&name, &finding)?;
        }
    }
    report.line("schema", &schema(&config))?;
    Ok(if report.failed { Exit::Failed } else { Exit::Done })
}

/// The proxy never tells what it admits.
fn schema(config: &Config) -> Finding {
    let namespace = &config.agent.namespace;
    Finding::Ok(format!(
        "the proxy must admit `{namespace}`, and never says whether it does. Here: `undertone schema \
         export > {namespace}.toml`; there: `undertone-ingest-proxy schema add {namespace}.toml`"
    ))
}

struct Report<'a, W> {
    out: &'a mut W,
    failed: bool,
}

impl<W: Write> Report<'_, W> {
    fn line(&mut self, name: &str, finding: &Finding) -> io::Result<()> {
        let (word, text) = match finding {
            Finding::Ok(text) => ("ok", text),
            Finding::Fails(text) => ("FAILS", text),
            Finding::Skipped(text) => ("–", text),
        };
        self.failed |= word == "FAILS";
        writeln!(self.out, "{word:5}  {name:13}  {text}")?;
        self.out.flush()
    }
}
