//! The command line.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use undertone::{Ingest, Scope};

use crate::{
    check, client_key,
    config::{Config, ConfigError, DEFAULT_PATH, EXAMPLE},
    consent, doctor,
    permission::Silence,
    preview, reporter, run,
    schema::{self, FileError, Format},
    score::{self, TraceError},
    sent::{self, Asked},
};

/// Reports on this machine through Tor to an ingest side of yours. Does nothing without consent.
#[derive(Debug, Parser)]
#[command(name = "undertone", version, after_help = MORE)]
pub struct Command {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    action: Action,
}

const MORE: &str = "\
Examples:
  undertone config example > undertone.toml            a configuration to begin with
  undertone --config undertone.toml check              what it would do, and what it would cost
  undertone --config undertone.toml preview            what would go out now
  undertone --config undertone.toml doctor             what is in the way
  undertone schema show fileserver.toml                what a program reports, for users to read
  undertone score --schema s.toml --trace sample.csv   how well devices could be followed by that
  undertone --config undertone.toml schema export > fleet.toml
  undertone-ingest-proxy schema add fleet.toml         on the machine of the proxy
  undertone --config undertone.toml run                until Ctrl-C
  undertone --config undertone.toml sent --since 1h    what went out
  undertone --config undertone.toml consent deny       ends that, and deletes what it has kept

Signals, while it runs:
  SIGHUP           reads the configuration again; an invalid one changes nothing
  SIGINT, SIGTERM  send what waits and end within 10 s; a second one ends at once

Exit codes:
  0    done
  1    it failed, the doctor found something, or two schemas differ
  2    the configuration, a schema, a sample or the command line is wrong
  3    nothing was done, for want of consent, or since DO_NOT_TRACK or UNDERTONE_OFF is set
  130  ended at once by a second signal";

#[derive(Debug, Args)]
struct Place {
    /// Configuration file (TOML); conf.d/*.toml beside it are part of it
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Report until Ctrl-C or SIGTERM
    Run,
    /// Show what would go out now; reads twice over one interval, sends nothing, touches no network
    #[command(after_help = PREVIEW)]
    Preview {
        /// Print line protocol instead of a table
        #[arg(long)]
        raw: bool,
    },
    /// Show what was sent in the last 24 hours, chaff included; reads the ledger, touches no network
    #[command(after_help = SENT)]
    Sent {
        /// Write the requests themselves, byte for byte: one after another, 3,904 bytes each
        #[arg(long)]
        raw: bool,
        /// Only what is not older than this, such as 1h or 30m
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        since: Option<Duration>,
        /// Only of the session whose ID begins like this
        #[arg(long, value_name = "ID")]
        session: Option<String>,
    },
    /// Check the configuration; say what it makes this machine do, and what that costs a month
    #[command(after_help = CHECK)]
    Check,
    /// Look for what is in the way, from consent to the proxy; sends nothing that was measured
    #[command(after_help = DOCTOR)]
    Doctor {
        /// Leave out what needs the network
        #[arg(long)]
        offline: bool,
    },
    /// Whether this machine may report: show, ask, grant, deny
    #[command(subcommand)]
    Consent(ConsentAction),
    /// Keys for onion services that only their clients may find. Needs no consent, touches no network
    #[command(subcommand)]
    ClientKey(ClientKeyAction),
    /// Schemas: what may be reported; check, show and compare them. Needs no consent, touches no network
    #[command(subcommand)]
    Schema(SchemaAction),
    /// Measure how well devices could be followed by what a schema would report of a sample of data
    #[command(after_help = SCORE)]
    Score {
        /// The schema (TOML)
        #[arg(long, value_name = "FILE")]
        schema: PathBuf,
        /// The sample (CSV or line protocol)
        #[arg(long, value_name = "FILE")]
        trace: PathBuf,
        /// The column, or the tag, that tells devices apart
        #[arg(long, value_name = "NAME", default_value = "device")]
        device_tag: String,
        /// How long sessions last: a mean life from 30m to 24h, or batch
        #[arg(long, value_name = "SCOPE", default_value = "6h")]
        scope: Scope,
        /// Decides every draw
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// About the configuration
    #[command(subcommand)]
    Config(ConfigAction),
}

const PREVIEW: &str = "\
Examples:
  undertone preview
  undertone preview --raw | wc -l";
const SENT: &str = "\
Examples:
  undertone sent --since 1h
  undertone sent --raw > requests; split --bytes 3904 requests request-
  undertone sent --raw | xxd | less

Times are UTC by this machine's clock, and were not sent. In the proxy's database the tag `session` has the same IDs.
What is under way, or was cut off, may have arrived or not.";
const CHECK: &str = "\
Examples:
  undertone check && systemctl reload undertone

Exits with 2, naming file, line and key, if the configuration is wrong.";
const DOCTOR: &str = "\
Examples:
  undertone doctor
  undertone doctor --offline

Exits with 1 if anything fails.";

const SCORE: &str = "\
Replays the sample, on this machine alone, through the schema's rounding and under sessions of the profile
anonymous, pairs what would be seen, and says how often that is right, by which measurements, and what being
coarser would change. Takes about half a second for each day of each device.

A sample has readings of at least 10 devices over days. As CSV, with times in seconds, a column for each tag
that the schema has, and `times` if a value stands for several:
  device,time,measurement,value,outcome
  a,1764000000,connections,3,
  a,1764000007.5,latency,1200000,ok

The same as line protocol, with times in nanoseconds:
  connections,device=a value=3 1764000000000000000
  latency,device=a,outcome=ok value=1200000 1764000007500000000

The value of a counter or meter is what was counted since the reading before; of a timer, nanoseconds.

Examples:
  undertone score --schema fileserver.toml --trace sample.csv
  undertone score --schema fileserver.toml --trace sample.lp --device-tag host --scope batch

Exits with 1 if there is too little to tell, with 2 if a file is wrong.";

const SCHEMA_CHECK: &str = "\
Examples:
  undertone schema check fileserver.toml

Exits with 2, naming line and key, if it is wrong.";
const SCHEMA_SHOW: &str = "\
Examples:
  undertone schema show fileserver.toml
  undertone schema show --html fileserver.toml > what-we-collect.html";
const SCHEMA_DIFF: &str = "\
Examples:
  undertone schema diff fileserver-1.toml fileserver-2.toml

Exits with 0 if they say the same, 1 if they differ, 2 if one of them is wrong. What is new or finer
needs to be consented to again.";

#[derive(Debug, Subcommand)]
enum ConsentAction {
    /// Say what was answered, and what of the schema isn't agreed to
    #[command(after_help = CONSENT_STATUS)]
    Status,
    /// Show what would be done and sent, and ask on the terminal
    #[command(after_help = "Examples:\n  undertone consent ask")]
    Ask,
    /// Agree to all of the schema, for this machine
    #[command(after_help = "Examples:\n  undertone consent grant && systemctl start undertone")]
    Grant,
    /// Say no, which wins over the configuration; delete what Tor and the agent have kept
    #[command(after_help = CONSENT_DENY)]
    Deny,
}

#[derive(Debug, Subcommand)]
enum ClientKeyAction {
    /// Make a key, and print the public line that the proxy is to be told
    #[command(after_help = CLIENT_KEY_NEW)]
    New {
        /// The folder for the secret key [default: `client_keys` of the configuration]
        folder: Option<PathBuf>,
        /// What the ingest side's `address` prints [default: `ingest` of the configuration]
        #[arg(long, value_name = "STRING")]
        ingest: Option<Ingest>,
    },
}

const CLIENT_KEY_NEW: &str = "\
Examples:
  undertone client-key new /etc/undertone/client-keys
  undertone-ingest-proxy client add attic descriptor:x25519:...    on the machine of the proxy

The folder gets a file for each onion service, as C tor has them in its ClientOnionAuthDir: with a SOCKS port,
make the key there.";

const CONSENT_STATUS: &str = "\
Examples:
  undertone consent status

Exits with 0 if `undertone run` would report, else with 3.";
const CONSENT_DENY: &str = "\
Examples:
  undertone consent deny

An agent that runs ends within seconds, sends nothing more, and what it had kept is deleted. Exits with 1 if
something could not be deleted.";

#[derive(Debug, Subcommand)]
enum SchemaAction {
    /// Check a schema file; say its version, and what of it is linkable
    #[command(after_help = SCHEMA_CHECK)]
    Check {
        /// The schema (TOML)
        file: PathBuf,
    },
    /// Show a schema as a page that users can read, and that a vendor can publish
    #[command(after_help = SCHEMA_SHOW)]
    Show {
        /// The schema (TOML)
        file: PathBuf,
        /// In Markdown, which it is anyway
        #[arg(long)]
        markdown: bool,
        /// As one HTML file, for light and dark
        #[arg(long, conflicts_with = "markdown")]
        html: bool,
    },
    /// Tell what differs between two versions: what is new, finer, coarser, reworded or gone
    #[command(after_help = SCHEMA_DIFF)]
    Diff {
        /// The schema as it was (TOML)
        old: PathBuf,
        /// The schema as it is now (TOML)
        new: PathBuf,
    },
    /// Print this configuration's schema as TOML, for `undertone-ingest-proxy schema add`
    #[command(after_help = "Examples:\n  undertone schema export > fleet.toml")]
    Export,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Print the commented example, which has every key with its default
    #[command(after_help = "Examples:\n  undertone config example > undertone.toml")]
    Example,
}

/// How it ended. The numbers stand in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0.
    Done,
    /// 1.
    Failed,
    /// 2.
    Configuration,
    /// 3.
    Silent,
    /// 130.
    AtOnce,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Configuration => 2,
            Self::Silent => 3,
            Self::AtOnce => 130,
        }
    }
}

impl Command {
    /// Does what was asked for, and tells of what went wrong.
    pub fn run(self) -> ExitCode {
        let exit = self.act().unwrap_or_else(|error| {
            if error.downcast_ref::<io::Error>().is_some_and(is_broken_pipe) {
                // Whoever reads has read enough.
                return Exit::Done;
            }
            let _ = writeln!(io::stderr(), "undertone: {error:#}");
            if error.is::<ConfigError>() || error.is::<FileError>() || error.is::<TraceError>() {
                Exit::Configuration
            } else if error.is::<Silence>() {
                Exit::Silent
            } else {
                Exit::Failed
            }
        });
        ExitCode::from(exit.code())
    }

    fn act(self) -> anyhow::Result<Exit> {
        let path = self.place.config;
        let mut out = io::stdout().lock();
        match self.action {
            Action::Run => {
                drop(out);
                return run::run(&path);
            }
            Action::Preview { raw } => preview::preview(&Config::load(&path)?, raw, &mut out)?,
            Action::Sent { raw, since, session } => {
                sent::sent(&Config::load(&path)?, &Asked { raw, since, session }, &mut out)?;
            }
            Action::Check => check::check(&Config::load(&path)?, &mut out)?,
            Action::Doctor { offline } => return doctor::doctor(&path, offline, &mut out),
            Action::Consent(action) => {
                let config = Config::load(&path)?;
                let act = match action {
                    ConsentAction::Status => consent::status,
                    ConsentAction::Ask => consent::ask,
                    ConsentAction::Grant => consent::grant,
                    ConsentAction::Deny => consent::deny,
                };
                return act(&config, &mut out);
            }
            Action::ClientKey(ClientKeyAction::New { folder, ingest }) => {
                let agent = client_key::agent(&path)?;
                client_key::new(agent.as_ref(), folder, ingest, &mut out)?;
            }
            Action::Score { schema, trace, device_tag, scope, seed } => {
                score::score(&schema, &trace, &device_tag, scope, seed, &mut out)?;
            }
            Action::Schema(SchemaAction::Check { file }) => schema::check(&file, &mut out)?,
            Action::Schema(SchemaAction::Show { file, html, .. }) => {
                let format = if html { Format::Html } else { Format::Markdown };
                schema::show(&file, format, &mut out)?;
            }
            Action::Schema(SchemaAction::Diff { old, new }) => {
                return schema::diff(&old, &new, &mut out);
            }
            Action::Schema(SchemaAction::Export) => {
                let config = Config::load(&path)?;
                write!(out, "{}", reporter::schema(&config.agent.namespace)?.to_toml())?;
            }
            Action::Config(ConfigAction::Example) => write!(out, "{EXAMPLE}")?,
        }
        out.flush()?;
        Ok(Exit::Done)
    }
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}
