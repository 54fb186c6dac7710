//! The host never suffers: a program that links the agent runs, counts and ends as it would without.
//!
//! A failure: another exit code than 0, a panic, memory that grows by 8 MiB or more once the agent is
//! steady, a shutdown that takes a second longer than its limit, a thread or a process that stays, a
//! state that names another trouble than there is, a number that is lost or doubled where the ingest
//! side can be reached. Not a failure: that nothing is delivered where it can't be, or how long a
//! program goes on until it has seen what it waits for.

mod program;

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use undertone_tests::{
    capture::{Behaviour, SocksCapture},
    folder::Folder,
    ports,
    proxy::Proxy,
    tor_network::TorNetwork,
};

use crate::fixtures::{ARRIVAL, Sums, arrives, in_namespace, in_store, settable_faketime};
use program::{Host, Start, schema, sent};

/// A valid address that nobody publishes on the private network.
pub(crate) const NOBODY: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
/// How long a program takes to end that waits for nothing, on a loaded machine.
const PROMPTLY: Duration = Duration::from_secs(10);
/// Long enough for what waits to be sent on a loaded machine.
const LONG_SHUTDOWN: f64 = 60.0;

#[test]
fn programs_of_every_kind_are_counted_exactly() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let configuration = tor.arti_toml()?;
    let proxy = Proxy::on(&configuration)?.start(&[&schema()?])?;
    let start = |name: &str, arguments: &[&str]| -> Result<Start> {
        let start = Start::with_tor(name, &configuration, proxy.ingest())?;
        let start = start.arguments(&["--until-sent", "3"]).arguments(arguments);
        Ok(start.shutdown_limit(LONG_SHUTDOWN))
    };
    let shared = Folder::new("shared")?;
    // Two at once in one folder; in a tokio runtime and in none; with a rustls provider of the
    // program's that comes first, and one that comes later.
    let hosts = [
        start("first", &[])?.data_dir(shared.path()).go()?,
        start("second", &["--tokio"])?.data_dir(shared.path()).go()?,
        start("before", &["--tokio", "--provider", "before"])?.go()?,
        start("after", &["--provider", "after"])?.go()?,
    ];
    let mut counted = Sums::new();
    for host in hosts {
        let ended = host.end()?;
        assert_eq!((&*ended.state, ended.number("threads ")?), ("Quiet", 1.0));
        counted.insert(ended.session, ended.counted);
    }
    assert_eq!(counted.len(), 4, "each program is a session of its own");
    for measurement in ["host.rounds.count", "host.pace.meter", "host.size.histogram"] {
        arrives(measurement, &counted, || in_store(&proxy, measurement, "delta"))?;
    }
    let mut folders = fs::read_dir(shared.path())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<String>>>()?;
    folders.sort();
    assert_eq!(folders, ["tor-0", "tor-1"], "two programs had a Tor each");
    Ok(())
}

#[test]
fn a_program_that_exits_at_once_is_not_held_up() -> Result<()> {
    let configuration = unreachable_tor(&[ports::free()?]);
    for arguments in [&["--exit-at-once"][..], &["--exit-at-once", "--tokio"]] {
        let mut host =
            Start::with_tor("at-once", &configuration, NOBODY)?.arguments(arguments).go()?;
        let status = host.process.wait(PROMPTLY)?;
        ensure!(status.code() == Some(0), "{status}\n{}", host.process.log());
        ensure!(!host.process.log().contains("panicked"), "{}", host.process.log());
        assert_eq!(members(host.process.pid())?, 0, "a process stayed");
    }
    Ok(())
}

/// How many processes of a group there are.
pub(crate) fn members(group: u32) -> Result<usize> {
    let stats = fs::read_dir("/proc")?
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    // After the name, which stands in brackets: state, parent, group.
    let groups = stats.filter_map(|stat| {
        stat.rsplit(')').next()?.split_whitespace().nth(2).and_then(|group| group.parse().ok())
    });
    Ok(groups.filter(|found: &u32| *found == group).count())
}

#[test]
fn p1_without_consent_there_is_no_thread_no_file_and_no_connection() -> Result<()> {
    let capture = SocksCapture::start()?;
    let configuration = unreachable_tor(&[capture.address().port()]);
    let mut do_not_track = Command::new("env");
    do_not_track.arg("DO_NOT_TRACK=1");
    for (command, arguments, state) in [
        (Command::new("env"), &["--without-consent"][..], "Off(NoConsent)"),
        (do_not_track, &[], "Off(DoNotTrack)"),
    ] {
        let start = Start::with_tor("without", &configuration, NOBODY)?.arguments(arguments);
        let place = start.place();
        let ended = start.inside(command)?.end()?;
        assert_eq!(ended.state, state);
        assert_eq!(ended.session, "");
        // Counted while it counts and before it shuts down: the program's own two.
        assert_eq!(ended.number("threads while off ")?, 2.0);
        assert!(!place.exists(), "a data folder was made");
    }
    assert_eq!(capture.connections(), 0);
    Ok(())
}

#[test]
fn whatever_fails_the_program_does_not() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let network = tor.arti_toml()?;
    let proxy = Proxy::on(&network)?.start(&[&schema()?])?;
    let elsewhere = format!("{}#{}", proxy.ingest(), "07".repeat(32));
    let mute = mute_server()?;
    let captures = [
        Behaviour::Answer(b"\x16\x03\x01garbage\r\n\r\n".to_vec()),
        Behaviour::Answer(vec![b'x'; 4 << 20]),
        Behaviour::CloseUnanswered,
        Behaviour::CloseAtOnce,
        Behaviour::Refuse(4),
        Behaviour::Silent,
        Behaviour::default(),
    ];
    let captures = captures
        .into_iter()
        .map(|behaviour| {
            let capture = SocksCapture::start()?;
            capture.behave(behaviour);
            Ok(capture)
        })
        .collect::<Result<Vec<_>>>()?;
    let [garbage, flood, unanswered, closed, refused, silent, untouched] = &captures[..] else {
        unreachable!("seven were made")
    };

    // All at once: most of them mostly wait.
    let mut hosts: Vec<(&str, &str, Host)> = Vec::new();
    let mut add = |name, state, host: Result<Host>| -> Result<()> {
        hosts.push((name, state, host.context(name)?));
        Ok(())
    };
    let with_tor = |configuration: &str, ingest: &str, failures: &str| {
        let start = Start::with_tor("failing", configuration, ingest)?;
        Ok::<_, anyhow::Error>(start.arguments(&["--until-failed", failures]))
    };
    let closed_tor = unreachable_tor(&[ports::free()?, ports::free()?, ports::free()?]);
    add("Tor's ports closed", "Tor", with_tor(&closed_tor, NOBODY, "3")?.go())?;
    add("Tor's ports mute", "Tor", with_tor(&unreachable_tor(&[mute]), NOBODY, "2")?.go())?;
    add("nobody's address", "Endpoint", with_tor(&network, NOBODY, "2")?.go())?;
    add("another deployment", "Refused", with_tor(&network, &elsewhere, "20")?.go())?;
    add("disk full", "DataFolder", on_tmpfs(with_tor(&network, NOBODY, "5")?, FILLED))?;
    add("disk read-only", "DataFolder", on_tmpfs(with_tor(&network, NOBODY, "5")?, READ_ONLY))?;

    let with_socks = |address: &str, failures: &str, more: &[&str]| {
        let start = Start::with_socks("failing", address, NOBODY)?.arguments(more);
        start.arguments(&["--rhythm", "0.02", "--until-failed", failures]).go()
    };
    let no_room = Start::with_socks("failing", &untouched.address().to_string(), NOBODY)?;
    let no_room = no_room.arguments(&["--rhythm", "0.02", "--until-failed", "50"]);
    add("no room for the ledger", "DataFolder", on_tmpfs(no_room, FILLED))?;
    let nowhere = format!("127.0.0.1:{}", ports::free()?);
    let at = |capture: &SocksCapture| capture.address().to_string();
    add("SOCKS port closed", "Tor", with_socks(&nowhere, "300", &[]))?;
    add("an answer of garbage", "Protocol", with_socks(&at(garbage), "300", &["--tokio"]))?;
    add("an endless answer", "Protocol", with_socks(&at(flood), "100", &[]))?;
    add("closed without answer", "Protocol", with_socks(&at(unanswered), "300", &[]))?;
    add("closed at once", "Protocol", with_socks(&at(closed), "300", &[]))?;
    add("refused by SOCKS", "Endpoint", with_socks(&at(refused), "300", &["--tokio"]))?;
    add("no answer", "Unavailable", with_socks(&at(silent), "1", &[]))?;
    add("no answer yet", "Bootstrapping", with_socks(&at(silent), "1", &["--for", "3"]))?;

    for (name, state, host) in hosts {
        let ended = host.end().context(name)?;
        let state = match state {
            "Bootstrapping" => state.to_owned(),
            kind => format!("Failing({kind})"),
        };
        assert_eq!((ended.state.as_str(), ended.number("threads ")?), (&*state, 1.0), "{name}");
    }
    assert_eq!(untouched.connections(), 0, "what the ledger can't hold isn't sent (P9)");
    Ok(())
}

/// A gauge of the program's that never answers stops the agent, and nobody else.
#[test]
fn a_gauge_that_blocks_does_not_hold_up_the_shutdown() -> Result<()> {
    let capture = SocksCapture::start()?;
    for more in [&[][..], &["--tokio"]] {
        let start = Start::with_socks("stuck", &capture.address().to_string(), NOBODY)?;
        let host = start.arguments(&["--stuck-gauge", "--for", "2"]).arguments(more).go()?;
        host.end()?;
    }
    Ok(())
}

/// Rhythm, ages and timeouts are of the monotonic clock, and dates are the proxy's; arti bears a
/// consensus that is from a day ahead.
#[test]
fn a_clock_that_is_set_back_a_day_changes_nothing() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let proxy = Proxy::on(&tor.arti_toml()?)?.start(&[&schema()?])?;
    let start = Start::with_tor("clock", &tor.arti_toml()?, proxy.ingest())?
        .arguments(&["--until-sent", "12"])
        .shutdown_limit(LONG_SHUTDOWN);
    let clock = start.beside("clock");
    set(&clock, "+0")?;
    let mut command = Command::new("env");
    command.args(settable_faketime(&clock)?);
    let mut host = start.inside(command)?;
    host.process.wait_for("two parcels", ARRIVAL, |log| (sent(log) >= 2).then_some(()))?;
    set(&clock, "-1d")?;
    let ended = host.end()?;

    let steps = ended.wall_clock();
    let back = steps.windows(2).filter(|pair| pair[1] < pair[0] - 80_000).count();
    assert_eq!(back, 1, "the program saw its clock go back once: {steps:?}");
    let counted = Sums::from([(ended.session.clone(), ended.counted)]);
    arrives("host.rounds.count", &counted, || in_store(&proxy, "host.rounds.count", "delta"))?;
    // The proxy's clock is what points are dated by.
    let old =
        "SELECT count(*) FROM point WHERE time < (strftime('%s', 'now') - 40000) * 1000000000";
    assert_eq!(proxy.sqlite3(old)?, [["0"]]);
    Ok(())
}

/// Sets the clock of a program under libfaketime, in one step.
fn set(clock: &Path, offset: &str) -> Result<()> {
    let new = clock.with_extension("new");
    fs::write(&new, offset)?;
    Ok(fs::rename(new, clock)?)
}

/// Makes the data folder a tiny file system, which is filled unless it is read-only, and becomes what
/// follows.
const ON_TMPFS: &str = r#"
mkdir -p "$0" && mount -t tmpfs -o "size=64k,mode=700,$1" undertone "$0" || exit 90
[ "$1" = ro ] || dd if=/dev/zero of="$0/filling" bs=1k 2>/dev/null
shift
exec "$@"
"#;
const FILLED: &str = "rw";
const READ_ONLY: &str = "ro";

fn on_tmpfs(start: Start, how: &str) -> Result<Host> {
    let mut command = in_namespace("--mount");
    command.args(["sh", "-c", ON_TMPFS]).arg(start.place()).arg(how);
    start.inside(command)
}

/// A server that accepts and says nothing, for as long as this process lives.
fn mute_server() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    Ok(port)
}

/// arti's configuration of a network whose relays are behind these ports: no real ones. Patience is
/// short, so that several pushes fail while a test waits; by default the first takes two minutes.
pub(crate) fn unreachable_tor(ports: &[u16]) -> String {
    let mut relays = String::new();
    for (number, port) in (1..).zip(ports) {
        let rsa: String = format!("{number:02x}").repeat(20);
        // 32 bytes in base64, hence a last digit of two bits.
        let ed: String = format!("{}A", char::from(b'A' + number).to_string().repeat(42));
        relays += &format!(
            "{{ rsa_identity = \"{rsa}\", ed_identity = \"{ed}\", orports = [\"127.0.0.1:{port}\"] }},\n"
        );
    }
    let authorities: Vec<String> = ["A", "B", "C"].map(|digit| digit.repeat(40)).into();
    format!(
        "[tor_network]\nauthorities = {{ v3idents = {authorities:?}, uploads = [], downloads = [], \
         votes = [] }}\nfallback_caches = [\n{relays}]\n\
         [path_rules]\nipv4_subnet_family_prefix = 33\nipv6_subnet_family_prefix = 129\n\
         reachable_addrs = [\"*:*\"]\n[address_filter]\nallow_local_addrs = true\n\
         [storage.permissions]\ndangerously_trust_everyone = true\n\
         [download_schedule.retry_bootstrap]\nattempts = 2\n\
         [circuit_timing]\nrequest_timeout = \"3 seconds\"\nrequest_max_retries = 2\n"
    )
}
