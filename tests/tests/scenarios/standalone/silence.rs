//! Without consent the standalone agent makes no socket, no thread and no file, whatever it is asked to do.
//!
//! A failure: a system call of those in any of its commands, which are taken from its own `--help`; or a
//! trace that wouldn't show them. Not a failure: reading files, and saying why nothing is done.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use undertone_tests::{
    folder::Folder,
    ports,
    process::{Process, Signal},
    programs,
};

use crate::host::{NOBODY, unreachable_tor};

/// What makes sockets, threads and processes, and files.
const CALLS: &str =
    "trace=socket,socketpair,clone,clone3,fork,vfork,open,openat,creat,mkdir,mkdirat";
/// A traced program is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program did that needs consent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    sockets: usize,
    threads: usize,
    files: usize,
}

#[test]
fn p1_without_consent_no_command_makes_a_socket_a_thread_or_a_file() -> Result<()> {
    let commands = commands()?;
    for wanted in [&["run"][..], &["preview"], &["doctor"], &["check"], &["schema", "export"]] {
        ensure!(commands.iter().any(|command| command == wanted), "{wanted:?} of {commands:?}");
    }
    let folder = Folder::new("silence")?;
    let tor = unreachable_tor(&[ports::free()?]);
    for (consent, do_not_track) in [("denied", "0"), ("granted", "1")] {
        let config = configure(&folder, consent, &tor)?;
        for command in &commands {
            let trace = folder.join("trace");
            let status = strace(&trace, &config, command)?
                .env("DO_NOT_TRACK", do_not_track)
                .stdout(fs::File::create(folder.join("out"))?)
                .stderr(fs::File::create(folder.join("err"))?)
                .status()?;
            let expected: &[i32] = match command[0].as_str() {
                "run" | "preview" => &[3],
                "doctor" => &[1],
                // A command of commands alone says what they are.
                _ => &[0, 2],
            };
            ensure!(
                status.code().is_some_and(|code| expected.contains(&code)),
                "{command:?} {status}: {}",
                fs::read_to_string(folder.join("err"))?
            );
            let text = fs::read_to_string(&trace)?;
            ensure!(text.contains("+++ exited with"), "no trace of {command:?}: {text}");
            assert_eq!(done(&text), Done::default(), "{command:?} ({consent})\n{text}");
        }
        ensure!(!folder.join("data").exists(), "a data folder was made");
        ensure!(!folder.join("write.sock").exists(), "a socket was made");
    }
    Ok(())
}

#[test]
fn p1_simulating_agents_for_a_score_makes_no_socket_a_thread_or_a_file() -> Result<()> {
    let folder = Folder::new("silence")?;
    let config = configure(&folder, "denied", &unreachable_tor(&[ports::free()?]))?;
    let (schema, sample) = (folder.join("schema.toml"), folder.join("sample.csv"));
    let measurement = "name = \"pages\"\nkind = \"counter\"\ndescription = \"Pages.\"\n";
    fs::write(&schema, format!("namespace = \"app\"\n[[measurement]]\n{measurement}"))?;
    let readings: String = (0..40).map(|n| format!("a,{},pages,1\n", 1_800 * n)).collect();
    fs::write(&sample, format!("device,time,measurement,value\n{readings}"))?;
    let (schema, sample) = (schema.display().to_string(), sample.display().to_string());
    let arguments = ["score", "--schema", &schema, "--trace", &sample].map(str::to_owned);
    let trace = folder.join("trace");
    let output = strace(&trace, &config, &arguments)?.output()?;
    let error = String::from_utf8(output.stderr)?;
    ensure!(error.contains("too little to tell: 1 devices"), "it was simulated: {error}");
    let text = fs::read_to_string(&trace)?;
    assert_eq!(done(&text), Done::default(), "{text}");
    Ok(())
}

#[test]
fn p1_with_consent_the_same_trace_shows_sockets_threads_and_files() -> Result<()> {
    let folder = Folder::new("silence")?;
    let config = configure(&folder, "granted", &unreachable_tor(&[ports::free()?]))?;
    let trace = folder.join("trace");
    let command = strace(&trace, &config, &["run".to_owned()])?;
    let mut process = Process::spawn("strace", folder.path(), command)?;
    process.wait_for("a socket, a thread and a file in the trace", PATIENCE, |_| {
        let done = done(&fs::read_to_string(&trace).unwrap_or_default());
        (done.sockets > 0 && done.threads > 0 && done.files > 0).then_some(())
    })?;
    // What strace follows is in its group, and ends with it.
    process.signal(Signal::TERM)?;
    process.kill().map(drop)
}

/// All commands that `--help` names, and those below them.
fn commands() -> Result<Vec<Vec<String>>> {
    let mut found = vec![Vec::new()];
    let mut next = 0;
    while next < found.len() {
        let command: Vec<String> = found[next].clone();
        next += 1;
        let output = programs::binary("undertone")?.args(&command).arg("--help").output()?;
        let help = String::from_utf8(output.stdout)?;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().context("a command without a name")?;
            if name != "help" {
                found.push([command.clone(), vec![name.to_owned()]].concat());
            }
        }
    }
    found.remove(0);
    found.push(vec!["help".to_owned()]);
    found.push(vec!["--version".to_owned()]);
    Ok(found)
}

fn configure(folder: &Folder, consent: &str, tor: &str) -> Result<std::path::PathBuf> {
    let mut text = format!(
        "consent = \"{consent}\"\ningest = \"{NOBODY}\"\ndata_dir = \"data\"\n\
         [host]\ninterval_seconds = 1\n[[listener]]\nunix = \"write.sock\"\n[tor]\n"
    );
    for line in tor.lines() {
        let table = line.strip_prefix('[').filter(|rest| rest.contains(']') && !rest.contains('{'));
        text += &table.map_or(line.to_owned(), |rest| format!("[tor.{rest}"));
        text.push('\n');
    }
    let file = folder.join("undertone.toml");
    fs::write(&file, text)?;
    Ok(file)
}

fn strace(trace: &Path, config: &Path, arguments: &[String]) -> Result<Command> {
    let program = programs::binary("undertone")?;
    let mut command = Command::new("strace");
    command.args(["-f", "-e", CALLS, "-e", "signal=none", "-o"]).arg(trace);
    command.arg("--").arg(program.get_program());
    command.arg("--config").arg(config).args(arguments);
    command.env_remove("DO_NOT_TRACK").env_remove("UNDERTONE_LOG");
    Ok(command)
}

fn done(trace: &str) -> Done {
    let mut done = Done::default();
    for line in trace.lines() {
        // A process ID, then the call.
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        let name = call.split('(').next().unwrap_or_default();
        match name {
            "socket" | "socketpair" => done.sockets += 1,
            "clone" | "clone3" | "fork" | "vfork" => done.threads += 1,
            "creat" | "mkdir" | "mkdirat" => done.files += 1,
            _ if call.contains("O_CREAT") => done.files += 1,
            _ => {}
        }
    }
    done
}
