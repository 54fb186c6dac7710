//! Nothing of the machine is in what is sent: the same seed and the same work give the same bytes.
//!
//! A failure: a request, its place in the order, or a SOCKS credential that differs between two
//! machines, users, languages, folders or dates. Not a failure: that another seed gives others, which
//! is the control, or when the requests come in real time.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use undertone_tests::{
    capture::{SocksCapture, Stream},
    folder::Folder,
    process::Process,
    programs,
};

use crate::fixtures::{ENDING, faketime, in_namespace};

/// An address that is never connected to: SOCKS ends at the capture.
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
/// Simulated: some 250 requests.
const HOURS: &str = "12";
/// Sets what only a shell and a namespace can, and becomes the program.
const SCRIPT: &str = r#"umask "$1"; cd "$2"; hostname "$3"; shift 3; exec "$@""#;

/// A machine, as far as a program can see it.
struct Surroundings {
    name: &'static str,
    umask: &'static str,
    variables: &'static [(&'static str, &'static str)],
    more_path: &'static str,
    days_ahead: u32,
}

const HERE: Surroundings = Surroundings {
    name: "alices-laptop",
    umask: "022",
    variables: &[
        ("USER", "alice"),
        ("LOGNAME", "alice"),
        ("HOME", "/home/alice"),
        ("TZ", "Asia/Kathmandu"),
        ("LANG", "C"),
        ("LC_ALL", "C"),
    ],
    more_path: "/home/alice/bin",
    days_ahead: 0,
};

const ELSEWHERE: Surroundings = Surroundings {
    name: "relay7",
    umask: "077",
    variables: &[
        ("USER", "bob"),
        ("LOGNAME", "bob.the.builder"),
        ("HOME", "/srv/bob"),
        ("TZ", "America/St_Johns"),
        ("LANG", "de_DE.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
    ],
    more_path: "/opt/very/special/software/bin",
    days_ahead: 400,
};

/// What was sent, and what the program saw around it.
struct Run {
    sent: Vec<Sent>,
    saw: Vec<String>,
}

/// All that came on one stream.
#[derive(PartialEq)]
struct Sent {
    credentials: Option<(Vec<u8>, Vec<u8>)>,
    target: (String, u16),
    bytes: Vec<u8>,
}

#[test]
fn requests_do_not_depend_on_the_machine() -> Result<()> {
    let here = run(&HERE, 7)?;
    let elsewhere = run(&ELSEWHERE, 7)?;
    for (here, elsewhere) in here.saw.iter().zip(&elsewhere.saw) {
        ensure!(here != elsewhere, "both runs saw {here:?}: this test shows nothing of it");
    }
    assert!(here.sent.len() > 200, "{} requests", here.sent.len());
    assert_eq!(here.sent.len(), elsewhere.sent.len());
    for (number, (here, elsewhere)) in here.sent.iter().zip(&elsewhere.sent).enumerate() {
        assert!(here == elsewhere, "request {number} differs");
    }

    let control = run(&HERE, 8)?;
    for request in &control.sent {
        let equals =
            |other: &Sent| other.credentials == request.credentials || other.bytes == request.bytes;
        let same = here.sent.iter().any(equals);
        assert!(!same, "another seed sends what this one sends");
    }
    Ok(())
}

/// What is in a folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let name = |entry: std::io::Result<fs::DirEntry>| Ok(entry?.file_name().display().to_string());
    let mut names = fs::read_dir(folder)?.map(name).collect::<Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

fn run(surroundings: &Surroundings, seed: u64) -> Result<Run> {
    let (capture, folder) = (SocksCapture::start()?, Folder::new(surroundings.name)?);
    let work = folder.join("work");
    fs::create_dir(&work)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let program = programs::binary("noninterfering")?;

    let mut command = in_namespace("--uts");
    command
        .args(["sh", "-c", SCRIPT, "sh", surroundings.umask])
        .args([work.as_path(), Path::new(surroundings.name)])
        .arg("env")
        .args(faketime(&format!("+{}d", surroundings.days_ahead))?)
        .arg(program.get_program())
        .args(["--socks", &capture.address().to_string(), "--ingest", ONION])
        .args(["--seed", &seed.to_string(), "--hours", HOURS])
        .env("PATH", format!("{path}:{}", surroundings.more_path))
        .envs(surroundings.variables.iter().copied());
    let mut process = Process::spawn("noninterfering", folder.path(), command)?;
    let status = process.wait(ENDING)?;
    ensure!(status.success(), "{status}\n{}", process.log());
    assert_eq!(names(&work)?, ["noninterfering-data"]);
    assert_eq!(names(&work.join("noninterfering-data"))?, ["tor-0"]);
    let own = names(&work.join("noninterfering-data/tor-0"))?;
    assert_eq!(own, ["ledger", "lock"], "with a SOCKS transport there is nothing else to write");

    let sent = |Stream { credentials, host, port, bytes, .. }| Sent {
        credentials,
        target: (host, port),
        bytes,
    };
    let log = process.stdout();
    Ok(Run {
        sent: capture.streams().into_iter().map(sent).collect(),
        saw: log.lines().filter(|line| line.starts_with("here ")).map(str::to_owned).collect(),
    })
}
