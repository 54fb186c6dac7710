//! The user's answer on the command line: shown, asked for, given and taken back.
//!
//! Only the answer itself is ever written here, and only where somebody says so.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use undertone::{Answer, Pending, Schema, delete_data};

use crate::{
    check,
    command::Exit,
    config::{Config, Standing},
    permission::{Silence, permitted},
    reporter,
};

/// How long a denial waits for an agent that runs, which looks at the answer once a second and has two more to
/// end.
const AGENT_LIMIT: Duration = Duration::from_secs(10);

/// What is asked for, said in front of the question.
const QUESTION: &str = "May it? [y/N] ";

/// Says what was answered, where, and what of the schema isn't agreed to.
pub(crate) fn status(config: &Config, out: &mut impl Write) -> Result<Exit> {
    let standing = config.consent.standing(&config.agent.namespace);
    let word = match standing {
        Standing::Unasked => "unasked",
        Standing::Granted => "granted",
        Standing::Outgrown => "granted for less than this",
        Standing::DeniedHere | Standing::DeniedInFile => "denied",
    };
    writeln!(out, "consent   {word}")?;
    if let Some(place) = config.consent.place() {
        writeln!(out, "said      in the configuration: {place}")?;
    }
    let file = config.consent.file.display();
    match &config.consent.answer {
        Answer::Granted(Some(agreed)) => {
            let (namespace, version) = (agreed.namespace(), agreed.version());
            writeln!(out, "answer    granted for {namespace}, version {version}: {file}")?;
        }
        Answer::Granted(None) => writeln!(out, "answer    granted: {file}")?,
        Answer::Denied => writeln!(out, "answer    denied: {file}")?,
        _ => writeln!(out, "answer    none: {file}")?,
    }
    let schema = reporter::schema(&config.agent.namespace)?;
    writeln!(out, "schema    {}, version {}", schema.namespace(), schema.version())?;
    if standing != Standing::Granted {
        for pending in Pending::of(&schema, &config.consent.answer) {
            writeln!(out, "pending   {pending}")?;
        }
    }
    let Err(silence) = permitted(config) else {
        writeln!(out, "`undertone run` would report.")?;
        return Ok(Exit::Done);
    };
    writeln!(out, "`undertone run` would not report: {silence}.")?;
    Ok(Exit::Silent)
}

/// Shows what would be done and asks for an answer.
pub(crate) fn ask(config: &Config, out: &mut impl Write) -> Result<Exit> {
    may_answer(config)?;
    if !io::stdin().is_terminal() {
        bail!(
            "there is nobody to ask, since standard input is no terminal: say `undertone consent \
             grant` or `undertone consent deny`"
        );
    }
    writeln!(out, "If you agree, `undertone run` will")?;
    for sentence in check::sentences(config) {
        writeln!(out, "- {sentence};")?;
    }
    writeln!(out, "- write to nothing else, and open no other port.")?;
    show(&reporter::schema(&config.agent.namespace)?, out)?;
    write!(out, "{QUESTION}")?;
    out.flush()?;
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line).context("read the answer")? == 0 {
        writeln!(out)?;
        bail!("there was no answer, so nothing is changed");
    }
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => grant(config, out),
        _ => deny(config, out),
    }
}

/// Writes down that all of the schema is agreed to.
pub(crate) fn grant(config: &Config, out: &mut impl Write) -> Result<Exit> {
    may_answer(config)?;
    let (namespace, file) = (&config.agent.namespace, &config.consent.file);
    let schema = reporter::schema(namespace)?;
    let version = schema.version();
    let wrote = || format!("write the answer to {}", file.display());
    Answer::Granted(Some(schema)).write(file).with_context(wrote)?;
    writeln!(out, "Granted for {namespace}, version {version}: {}", file.display())?;
    Ok(Exit::Done)
}

/// Writes down that nothing is agreed to, which wins over the configuration, and deletes what agents have
/// left.
pub(crate) fn deny(config: &Config, out: &mut impl Write) -> Result<Exit> {
    let file = &config.consent.file;
    let wrote = || format!("write the answer to {}", file.display());
    // First, so that an agent that runs ends, and one that starts deletes what this doesn't.
    Answer::Denied.write(file).with_context(wrote)?;
    writeln!(out, "Denied: {}", file.display())?;
    out.flush()?;
    let found = delete_data(&config.agent.data_dir, AGENT_LIMIT);
    for path in &found.deleted {
        writeln!(out, "Deleted: {}", path.display())?;
    }
    if found.deleted.is_empty() && found.left.is_empty() {
        writeln!(out, "There was nothing to delete in {}", config.agent.data_dir.display())?;
    }
    for path in &found.left {
        writeln!(out, "NOT deleted: {}", path.display())?;
    }
    if found.left.is_empty() {
        return Ok(Exit::Done);
    }
    bail!(
        "a program that runs still uses what is left, or this user may not delete it: end it, then try again"
    )
}

/// Consent can't be given where something else says no.
fn may_answer(config: &Config) -> Result<()> {
    if let Some(silence) = Silence::of_environment() {
        return Err(silence.into());
    }
    if config.consent.standing(&config.agent.namespace) == Standing::DeniedHere {
        let place = config.consent.place().unwrap_or_default();
        bail!(
            "{place} says that consent is denied: remove that line, for it wins over every answer"
        );
    }
    Ok(())
}

/// A schema as a user reads it.
fn show(schema: &Schema, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\nWhat leaves, by the schema {}, version {}:",
        schema.namespace(),
        schema.version()
    )?;
    for (name, measurement) in schema.measurements() {
        let unit = measurement.unit().map(|unit| format!(", in {unit}")).unwrap_or_default();
        let linkable = match measurement.linkable {
            true => " LINKABLE: so fine that this machine might be recognized by it.",
            false => "",
        };
        writeln!(out, "- {name}{unit}: {}{linkable}", measurement.description)?;
        for (key, values) in &measurement.tags {
            writeln!(out, "  with {key}: {}", values.join(", "))?;
        }
    }
    if schema.is_open() {
        writeln!(
            out,
            "- everything that is read or handed over as above, exactly and with its time. LINKABLE: this \
             machine is recognized by it; that is what it is for."
        )?;
    }
    writeln!(out)
}
