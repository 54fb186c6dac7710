//! Consent, as the library keeps it: nothing without it, only what was agreed to with it, and an end of everything
//! when it is taken back.
//!
//! A failure: a socket, a thread or a file of an agent without consent, by any entry point; anything sent that
//! wasn't agreed to, or after a denial; anything left on the disk; an agent that hangs, reports or is
//! copied in a forked child. Not a failure: reading files, deleting what was there before, and how long an end takes within
//! its limit.

mod forks;
pub(crate) mod trace;

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use undertone::{
    Agent, Answer, Consent, Ingest, OffReason, Profile, Rhythm, Schema, State, Transport,
};
use undertone_tests::{
    capture::SocksCapture, folder::Folder, ports, process::Process, programs, wait,
};
use undertone_wire::{
    parcel::unseal,
    request::{BODY_LENGTH, REQUEST_LENGTH},
};

use crate::host::{NOBODY, unreachable_tor};
use trace::{Done, done, traced};

/// How long a program may take, on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(120);
const SECOND: Duration = Duration::from_secs(1);

undertone::instruments! {
    pub struct Metrics in "grown" {
        /// What was always there.
        old: Counter,
        /// What a later version declares.
        new: Counter,
    }
}

/// A place for a program that calls every entry point.
struct Place {
    folder: Folder,
}

impl Place {
    fn new(answer: Option<&str>) -> Result<Self> {
        let folder = Folder::new("entries")?;
        fs::write(folder.join("tor.toml"), unreachable_tor(&[ports::free()?]))?;
        if let Some(answer) = answer {
            fs::write(folder.join("answer"), answer)?;
        }
        Ok(Self { folder })
    }

    fn arguments(&self, command: &mut Command) {
        for (name, file) in
            [("consent", "answer"), ("data-dir", "data"), ("tor-config", "tor.toml")]
        {
            command.arg(format!("--{name}")).arg(self.folder.join(file));
        }
        command.args(["--ingest", NOBODY]);
    }

    /// Runs the program until its end under a trace; what it did and said.
    fn trace(&self, more: &[&str], variable: Option<&str>) -> Result<(Done, String)> {
        let trace = self.folder.join("trace");
        let mut command = traced(&trace, &programs::binary("entries")?);
        self.arguments(&mut command);
        command.args(more).envs(variable.map(|name| (name, "1")));
        let mut process = Process::spawn("entries", self.folder.path(), command)?;
        let status = process.wait(PATIENCE)?;
        ensure!(status.success(), "{status}\n{}", process.log());
        let text = fs::read_to_string(&trace)?;
        ensure!(text.contains("+++ exited with 0 +++"), "no trace: {text}");
        Ok((done(&text), process.stdout()))
    }

    /// What stands in its folder, the program's own output aside.
    fn files(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.folder.path())?;
        let mut names = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<String>>>()?;
        names
            .retain(|name| !["trace", "entries.out", "entries.err", "tor.toml"].contains(&&**name));
        names.sort();
        Ok(names)
    }
}

#[test]
fn p1_without_consent_no_entry_point_makes_a_socket_a_thread_or_a_file() -> Result<()> {
    let other =
        format!("granted\n{}", Schema::open("other")?.to_toml().replace("open = true\n", ""));
    for (answer, more, variable, state) in [
        (None, &[][..], None, "NoConsent"),
        (Some(&*other), &[], None, "NoConsent"),
        (Some("denied\n"), &["--deny"], None, "Denied"),
        (Some("granted\n"), &[], Some("DO_NOT_TRACK"), "DoNotTrack"),
        (Some("granted\n"), &[], Some("UNDERTONE_OFF"), "SwitchedOff"),
    ] {
        let place = Place::new(answer)?;
        let (done, said) = place.trace(more, variable)?;
        assert_eq!(done, Done::default(), "{answer:?} {variable:?}");
        ensure!(said.contains(&format!("state Off({state})")), "not {state}:\n{said}");
        assert_eq!(place.files()?, answer.iter().map(|_| "answer").collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn p1_a_denial_ends_tor_and_deletes_what_it_kept() -> Result<()> {
    let place = Place::new(Some("granted"))?;
    let (done, said) = place.trace(&["--deny"], None)?;
    // The control: the same trace shows what is done with consent.
    ensure!(done.sockets > 0 && done.threads > 0 && done.files > 0, "{done:?}\n{said}");
    ensure!(said.contains("state Bootstrapping"), "{said}");
    ensure!(said.ends_with("state Off(Denied)\nthreads 1\n"), "{said}");
    assert_eq!(place.files()?, ["answer"]);
    assert_eq!(Answer::read(&place.folder.join("answer")), Answer::Denied);

    // What a denial that was cut short left goes at the next start, and nothing is made for that.
    fs::create_dir_all(place.folder.join("data/tor-0/state"))?;
    fs::write(place.folder.join("data/tor-0/state/guards"), "kept")?;
    // The lock goes last.
    fs::write(place.folder.join("data/tor-0/lock"), "")?;
    let (done, said) = place.trace(&[], None)?;
    assert_eq!((done, place.files()?), (Done::default(), vec!["answer".to_owned()]), "{said}");
    Ok(())
}

#[test]
fn p1_after_a_denial_nothing_is_sent() -> Result<()> {
    let (place, capture) = (Place::new(Some("granted"))?, SocksCapture::start()?);
    let mut command = programs::binary("entries")?;
    place.arguments(&mut command);
    command.args(["--socks", &capture.address().to_string(), "--deny"]);
    command.env_remove("DO_NOT_TRACK").env_remove("UNDERTONE_OFF");
    let mut process = Process::spawn("entries", place.folder.path(), command)?;
    process.wait_for("the denial", PATIENCE, |log| log.contains("denied Stat").then_some(()))?;
    let status = process.wait(PATIENCE)?;
    ensure!(status.success(), "{status}\n{}", process.log());
    let said = process.stdout();
    ensure!(said.ends_with("state Off(Denied)\nthreads 1\n"), "{said}");
    ensure!(capture.requests().len() > 2, "it sent nothing before");

    // Another agent of the same answer doesn't begin, and one that runs ends by itself.
    let before = capture.connections();
    let answer = place.folder.join("answer");
    ensure!(grown(&capture, Consent::file(&answer))?.state() == State::Off(OffReason::Denied));
    assert_eq!(capture.connections(), before);
    fs::write(&answer, "granted")?;
    let agent = grown(&capture, Consent::file(&answer))?;
    wait::until("a push", PATIENCE, || Ok((agent.statistics().parcels_sent > 0).then_some(())))?;
    fs::remove_file(&answer)?;
    wait::until("its end", PATIENCE, || {
        Ok((agent.state() == State::Off(OffReason::NoConsent)).then_some(()))
    })?;
    ensure!(agent.session().is_none());
    Ok(())
}

#[test]
fn p1_of_a_schema_that_grew_only_the_old_is_sent() -> Result<()> {
    let (folder, capture) = (Folder::new("grown")?, SocksCapture::start()?);
    let answer = folder.join("answer");
    let grown_schema = Schema::try_from(Metrics::DECLARATION)?.every(SECOND)?;
    let old = grown_schema.measurements().map(|(_, measurement)| measurement.clone());
    let old = Schema::new("grown", SECOND, old.filter(|measurement| measurement.name == "old"))?;
    Answer::Granted(Some(old.clone())).write(&answer)?;

    let agent = grown(&capture, Consent::file(&answer))?;
    let metrics: Metrics = agent.instruments()?;
    let pending: Vec<String> = agent.consent().pending().iter().map(ToString::to_string).collect();
    assert_eq!(pending, ["new      grown.new.count. What a later version declares."]);
    let names = sent(&capture, &metrics, "grown.old.count")?;
    assert_eq!(names, ["grown.old.count"], "more than was agreed to");
    // Also where it is declared anew within the run.
    agent.replace_schema(grown_schema.clone())?;
    let refused = || agent.statistics().readings_refused;
    let before = refused();
    wait::until("more that is refused", PATIENCE, || Ok((refused() > before + 2).then_some(())))?;
    let names = sent(&capture, &metrics, "grown.old.count")?;
    assert_eq!(names, ["grown.old.count"], "more than was agreed to");
    ensure!(agent.statistics().readings_refused > 0, "{:?}", agent.statistics());
    agent.consent().grant()?;
    ensure!(agent.consent().pending().is_empty());
    agent.shutdown(SECOND).wait();

    // The control: from the next start on, all of it.
    let agent = grown(&capture, Consent::file(&answer))?;
    let metrics: Metrics = agent.instruments()?;
    let names = sent(&capture, &metrics, "grown.new.count")?;
    assert_eq!(names, ["grown.new.count", "grown.old.count"]);
    agent.shutdown(SECOND).wait();
    Ok(())
}

#[test]
fn p3_our_programs_forbid_core_dumps() -> Result<()> {
    let folder = Folder::new("cores")?;
    for name in ["undertone", "undertone-ingest-proxy"] {
        let trace = folder.join(name);
        let mut command = Command::new("strace");
        command.args(["-e", "trace=prctl,prlimit64,setrlimit", "-o"]).arg(&trace);
        command.arg(programs::binary(name)?.get_program()).arg("--version");
        command.env_remove("UNDERTONE_PERMIT_DEBUGGING");
        ensure!(command.output()?.status.success(), "{name}");
        let text = fs::read_to_string(&trace)?;
        ensure!(
            text.contains("PR_SET_DUMPABLE, SUID_DUMP_DISABLE"),
            "{name} may be dumped\n{text}"
        );
        ensure!(text.contains("RLIMIT_CORE, {rlim_cur=0"), "{name} has no limit\n{text}");
    }
    Ok(())
}

fn grown(capture: &SocksCapture, consent: Consent) -> Result<Agent> {
    Ok(Agent::builder(NOBODY.parse()?)
        .schema(Schema::try_from(Metrics::DECLARATION)?.every(SECOND)?)
        .profile(Profile::Fleet(Rhythm::every(Duration::from_millis(100))))
        .transport(Transport::socks(capture.address()))
        .consent(consent)
        .start()?)
}

/// Counts with both until a point of this name was sent; the names of all points so far.
fn sent(capture: &SocksCapture, metrics: &Metrics, name: &str) -> Result<Vec<String>> {
    let ingest: Ingest = NOBODY.parse()?;
    wait::until(name, PATIENCE, || {
        metrics.old.inc();
        metrics.new.inc();
        let mut names = Vec::new();
        for request in capture.requests() {
            let body = &request[REQUEST_LENGTH - BODY_LENGTH..];
            let payload = unseal(body, &ingest.deployment).context("unsealing")?.payload;
            names
                .extend(payload.decode()?.into_iter().map(|point| point.measurement.into_string()));
        }
        names.sort();
        names.dedup();
        Ok(names.iter().any(|found| found == name).then_some(names))
    })
}
