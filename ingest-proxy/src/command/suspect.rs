//! The command `suspect`.

use anyhow::Result;
use clap::Subcommand;
use undertone_ingest_proxy::{Config, SuspectAction};

/// What is done about sessions that are flagged.
#[derive(Subcommand)]
pub(super) enum Suspect {
    /// List them: since when, why, how many points are held
    List,
    /// Print what is held of one, as line protocol
    Show {
        /// The session, as `list` prints it
        session: String,
    },
    /// Write what is held of one to the sinks after all, and take its flag away
    Release {
        /// The session, as `list` prints it
        session: String,
    },
    /// Delete what is held of one; it stays flagged
    Delete {
        /// The session, as `list` prints it
        session: String,
    },
}

#[tokio::main(flavor = "current_thread")]
pub(super) async fn suspect(config: &Config, action: Suspect) -> Result<()> {
    let action = match action {
        Suspect::List => SuspectAction::List,
        Suspect::Show { session } => SuspectAction::Show(session),
        Suspect::Release { session } => SuspectAction::Release(session),
        Suspect::Delete { session } => SuspectAction::Delete(session),
    };
    print!("{}", undertone_ingest_proxy::suspect(config, &action).await?);
    Ok(())
}
