//! Without consent the standalone agent makes no socket, no thread and no file, whatever it is asked to do.
//!
//! A failure: a system call of those in any of its commands, which are taken from its own `--help`; or a
//! trace that wouldn't show them. Not a failure: reading files, and saying why nothing is done.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use undertone_tests::{
    folder::Folder,
    ports,
    process::{Process, Signal},
    programs,
};

use crate::{
    consent::trace::{Done, done, traced},
    host::{NOBODY, unreachable_tor},
};

/// A traced program is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ways in which there is no consent: what the configuration says, what the answer's file says, and a variable
/// that is set.
const SILENT: [(&str, Option<&str>, Option<&str>); 6] = [
    ("", None, None),
    ("consent = \"denied\"", None, None),
    ("consent = \"denied\"", Some("granted\n"), None),
    ("consent = \"granted\"", Some("denied\n"), None),
    ("consent = \"granted\"", None, Some("DO_NOT_TRACK")),
    ("consent = \"granted\"", Some("granted\n"), Some("UNDERTONE_OFF")),
];

#[test]
fn p1_without_consent_no_command_makes_a_socket_a_thread_or_a_file() -> Result<()> {
    let commands = commands()?;
    for wanted in [
        &["run"][..],
        &["preview"],
        &["sent"],
        &["doctor"],
        &["check"],
        &["schema", "export"],
        &["consent", "ask"],
    ] {
        ensure!(commands.iter().any(|command| command == wanted), "{wanted:?} of {commands:?}");
    }
    let folder = Folder::new("silence")?;
    let schema = folder.join("schema.toml").display().to_string();
    fs::write(&schema, "namespace = \"app\"\n")?;
    let tor = unreachable_tor(&[ports::free()?]);
    for (consent, answer, variable) in SILENT {
        let config = configure(&folder, consent, &tor)?;
        for command in &commands {
            let case = format!("{command:?} ({consent}, {answer:?}, {variable:?})");
            let file = folder.join("answer");
            match answer {
                Some(text) => fs::write(&file, text)?,
                None => drop(fs::remove_file(&file)),
            }
            let trace = folder.join("trace");
            let files = files(command);
            let arguments = [command.clone(), vec![schema.clone(); files]].concat();
            let status = strace(&trace, &config, &arguments)?
                .envs(variable.map(|name| (name, "1")))
                .stdin(Stdio::null())
                .stdout(fs::File::create(folder.join("out"))?)
                .stderr(fs::File::create(folder.join("err"))?)
                .status()?;
            let expected: &[i32] = match command[0].as_str() {
                "run" | "preview" => &[3],
                "doctor" => &[1],
                "consent" => &[0, 1, 2, 3],
                _ if files > 0 => &[0],
                // A command of commands alone says what they are.
                _ => &[0, 2],
            };
            ensure!(
                status.code().is_some_and(|code| expected.contains(&code)),
                "{case} {status}: {}",
                fs::read_to_string(folder.join("err"))?
            );
            let text = fs::read_to_string(&trace)?;
            ensure!(text.contains("+++ exited with"), "no trace of {command:?}: {text}");
            assert_eq!(done(&text), allowed(command, answer, &file)?, "{case}\n{text}");
        }
        ensure!(!folder.join("data").exists(), "a data folder was made");
        ensure!(!folder.join("write.sock").exists(), "a socket was made");
    }
    Ok(())
}

/// Whoever says yes or no by a command has that written down, and nothing else is made.
fn allowed(command: &[String], answer: Option<&str>, file: &Path) -> Result<Done> {
    let says = matches!(command, [first, second] if first == "consent" && ["grant", "deny"].contains(&second.as_str()));
    let now = fs::read_to_string(file).ok();
    let files = usize::from(says && now.as_deref() != answer);
    ensure!(files == 1 || now.as_deref() == answer, "{command:?} changed the answer");
    Ok(Done { files, ..Done::default() })
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
    let config = configure(&folder, "consent = \"granted\"", &unreachable_tor(&[ports::free()?]))?;
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

/// How many schema files a command reads.
fn files(command: &[String]) -> usize {
    match command.join(" ").as_str() {
        "schema check" | "schema show" => 1,
        "schema diff" => 2,
        _ => 0,
    }
}

fn configure(folder: &Folder, consent: &str, tor: &str) -> Result<std::path::PathBuf> {
    let mut text = format!(
        "{consent}\nconsent_file = \"answer\"\ningest = \"{NOBODY}\"\ndata_dir = \"data\"\n\
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
    let mut command = traced(trace, &programs::binary("undertone")?);
    command.arg("--config").arg(config).args(arguments).env_remove("UNDERTONE_LOG");
    Ok(command)
}
