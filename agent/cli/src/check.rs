//! What a configuration makes this machine do, in plain sentences, and what that costs a month.

use std::io::{self, Write};

use undertone::{Cost, Ledger, Rhythm, Scope};
use undertone_collectors::listener::SocketMode;

use crate::{
    bytes::readable,
    config::{Config, ListenerConfig, Transport},
    permission::permitted,
    reporter,
};

/// As long as nobody has looked at `preview`.
const PARCELS_A_BATCH: f64 = 1.0;

/// Writes it.
pub(crate) fn check(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let files: Vec<String> = config.files.iter().map(|file| file.display().to_string()).collect();
    writeln!(out, "The configuration is valid: {}.", files.join(", "))?;
    match permitted(config) {
        Ok(_) => writeln!(out, "Consent is given. `undertone run` will")?,
        Err(silence) => writeln!(out, "For now {silence}. Otherwise `undertone run` would")?,
    }
    for sentence in sentences(config) {
        writeln!(out, "- {sentence};")?;
    }
    writeln!(out, "- write to nothing else, and open no other port.")?;
    write_cost(config, out)
}

/// What it makes this machine do, a sentence each.
pub(crate) fn sentences(config: &Config) -> Vec<String> {
    let mut sentences = Vec::new();
    let parts: Vec<&str> = config.host.collect.iter().map(|part| part.name()).collect();
    sentences.push(if parts.is_empty() {
        "read nothing from this machine itself".to_owned()
    } else {
        let seconds = config.host.interval.as_secs_f64();
        format!("read {} of this machine every {seconds} s", parts.join(", "))
    });
    for listener in &config.listeners {
        let who = match listener {
            ListenerConfig::Unix { mode: SocketMode::User, .. } => "from programs of this user",
            ListenerConfig::Unix { mode: SocketMode::Group, .. } => {
                "from programs of this user and of the socket's group"
            }
            ListenerConfig::Unix { mode: SocketMode::All, .. } => {
                "from all programs on this machine"
            }
            ListenerConfig::Tcp { .. } => "from programs on this machine that know the token",
        };
        sentences.push(format!("take line protocol on {listener}, {who}"));
    }
    sentences.push(match &config.alias {
        Some(alias) => format!("mark every point with the tag host={alias}"),
        None => "add no name of this machine to its points".to_owned(),
    });
    let agent = &config.agent;
    let to = match &agent.ingest {
        Some(ingest) => {
            let onion = ingest.endpoints.first().map_or("", |endpoint| endpoint.onion.as_str());
            let begin: String = onion.chars().take(8).collect();
            match ingest.endpoints.len() {
                1 => format!("the onion service {begin}…"),
                many => format!("one of {many} onion services ({begin}… and others)"),
            }
        }
        None => "an onion service that isn't named yet (`ingest`)".to_owned(),
    };
    let push = agent.push_every.as_secs_f64();
    sentences.push(format!(
        "push to {to}, about every {push} s at random times, whether there is something to say or \
         not"
    ));
    sentences.push(match &agent.transport {
        Transport::Embedded(tor) if tor.is_empty() => format!(
            "run a Tor in its own process, whose state is kept in {}",
            agent.data_dir.display()
        ),
        Transport::Embedded(_) => {
            // arti, asked for its opinion, would open a socket to the system's name service.
            let checked = if permitted(config).is_ok() { "" } else { " (not checked yet)" };
            format!(
                "run a Tor in its own process, with the settings under [tor]{checked}, whose state \
                 is kept in {}",
                agent.data_dir.display()
            )
        }
        Transport::Socks(address) => format!("use the tor that runs at {address}"),
    });
    if let Some(keys) = &agent.client_keys {
        sentences.push(format!(
            "find the onion service by the key for it in {}, if not everybody may find it",
            keys.display()
        ));
    }
    sentences.push(match agent.ledger {
        Ledger::Disk => format!(
            "keep in {} what it sent in the last 24 hours, at most 64 MiB, for `undertone sent`",
            agent.data_dir.display()
        ),
        _ => "keep in memory what it sent in the last 24 hours, at most 4 MiB".to_owned(),
    });
    let namespace = &agent.namespace;
    sentences.push(format!(
        "send what was measured as it is, with its times: the proxy must admit the open schema \
         `{namespace}` (`undertone schema export`)"
    ));
    sentences
}

fn write_cost(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let agent = &config.agent;
    let tor_here = matches!(agent.transport, Transport::Embedded(_));
    let rhythm = Rhythm::every(agent.push_every);
    let cost = Cost::monthly(reporter::profile(agent), Scope::default(), PARCELS_A_BATCH, tor_here);
    let (cut, slot) = (rhythm.cut_mean.as_secs_f64(), rhythm.slot_mean_in_effect().as_secs_f64());
    let (push, idle) = (kilobytes(Cost::PUSH_BYTES), kilobytes(Cost::IDLE_BYTES_A_MINUTE));
    let theirs = "that of the tor that runs already".to_owned();
    let of_tor = |text: String| if tor_here { text } else { theirs.clone() };
    let parts = [
        ("own pushes", Some(cost.own), format!("a batch every {cut} s, {push} kB for each parcel")),
        (
            "chaff",
            Some(cost.chaff),
            format!(
                "the same size with nothing in it, when nothing waits at a slot (every {slot:.2} s)"
            ),
        ),
        ("idle Tor", cost.idle, of_tor(format!("{idle} kB a minute: padding"))),
        (
            "directory",
            cost.directory,
            of_tor("which relays there are, about every two hours".to_owned()),
        ),
        ("together", Some(cost.total()), String::new()),
    ];
    writeln!(out, "\nTraffic a month, to and from the first Tor relay:")?;
    for (name, bytes, why) in parts {
        let bytes = bytes.map_or_else(|| "–".to_owned(), readable);
        writeln!(out, "{}", format!("  {name:<10}  {bytes:>8}  {why}").trim_end())?;
    }
    writeln!(
        out,
        "Assumed: 30 days; what is measured between two batches fits into one parcel (`undertone \
         preview`\nsays into how many it fits); circuits last. Counted are the bytes of TCP streams; \
         packets' headers come\non top. The first start takes about 5 MB more, for the whole directory \
         and to learn how fast circuits are."
    )
}

/// Without a needless zero.
fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000.0
}
