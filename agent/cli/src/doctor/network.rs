//! Tor, and the proxy behind it.

use std::time::Duration;

use undertone::{Consent, FailureKind, Ingest, TorStatus, probe};

use super::Finding;
use crate::{
    config::AgentConfig,
    progress::{explain, trouble},
    reporter,
};

/// For each onion address; a Tor that has never been in the network needs most of it.
const LIMIT: Duration = Duration::from_secs(120);

/// A line for Tor, and one for each onion address.
pub(super) fn findings(agent: &AgentConfig, ingest: &Ingest) -> Vec<(String, Finding)> {
    let transport = reporter::transport(agent);
    // Whoever calls this has the answer already.
    let consent = Consent::callback(|| true);
    match probe(&consent, ingest, &transport, Some(agent.data_dir.clone()), LIMIT) {
        Ok(probed) => explained(&probed.failures, probed.tor),
        Err(error) => vec![("Tor".to_owned(), Finding::Fails(error.to_string()))],
    }
}

fn explained(
    failures: &[Option<FailureKind>],
    status: Option<TorStatus>,
) -> Vec<(String, Finding)> {
    // Who got beyond Tor has shown that it works.
    let of_tor = |failure: &Option<FailureKind>| {
        failure.filter(|kind| matches!(kind, FailureKind::Tor | FailureKind::DataFolder))
    };
    let tor = match failures.iter().find(|failure| of_tor(failure).is_none()) {
        Some(_) => Finding::Ok("it finds its way into the network".to_owned()),
        None => {
            let kind = failures.iter().find_map(of_tor).unwrap_or(FailureKind::Tor);
            Finding::Fails(format!("{}{}", explain(kind), trouble(status)))
        }
    };
    let tor_fails = matches!(tor, Finding::Fails(_));
    let mut lines = vec![("Tor".to_owned(), tor)];
    for (index, failure) in failures.iter().enumerate() {
        let name = match failures.len() {
            1 => "ingest".to_owned(),
            _ => format!("ingest {}", index + 1),
        };
        let finding = match failure {
            None => Finding::Ok("an Undertone proxy answers there".to_owned()),
            Some(_) if tor_fails && of_tor(failure).is_some() => {
                Finding::Skipped("not reached without Tor".to_owned())
            }
            Some(kind) => Finding::Fails(explain(*kind).to_owned()),
        };
        lines.push((name, finding));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_got_beyond_tor_shows_that_it_works() {
        let words = |failures: &[Option<FailureKind>]| -> String {
            explained(failures, None)
                .iter()
                .map(|(_, finding)| match finding {
                    Finding::Ok(_) => '+',
                    Finding::Fails(_) => '!',
                    Finding::Skipped(_) => '-',
                })
                .collect()
        };
        use FailureKind::{DataFolder, Endpoint, Protocol, Tor};
        assert_eq!(words(&[None]), "++");
        assert_eq!(words(&[Some(Tor)]), "!-");
        assert_eq!(words(&[Some(DataFolder)]), "!-");
        assert_eq!(words(&[Some(Endpoint), None]), "+!+");
        assert_eq!(words(&[Some(Protocol)]), "+!");
        assert_eq!(words(&[None, Some(Tor)]), "++!");
    }
}
