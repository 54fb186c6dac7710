//! `make controls`: shows of the tests of invariants that they fail when the mechanism is gone.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use undertone_tests::controls::patch::{self, Control};
use undertone_tests::controls::report::{Outcome, Row, table};
use undertone_tests::controls::run::Run;
use undertone_tests::{controls, janitor};

/// Applies each patch in tests/controls to a copy of the project, and expects its test to fail.
#[derive(Parser)]
struct Arguments {
    /// Only controls whose names begin like this
    #[arg(long)]
    control: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let done = run(&arguments);
    // Also after a failure: everything that was started is gone.
    janitor::dismiss()?;
    done
}

fn run(arguments: &Arguments) -> Result<()> {
    let root = controls::root();
    let controls = patch::all(&root)?;
    let begin = arguments.control.as_deref().unwrap_or_default();
    let chosen: Vec<&Control> =
        controls.iter().filter(|control| control.name.starts_with(begin)).collect();
    ensure!(!chosen.is_empty(), "no control in {} begins with {begin:?}", patch::FOLDER);

    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = std::path::absolute(target)?;
    std::fs::create_dir_all(target.join("controls"))?;
    let lock = std::fs::File::create(target.join("controls/lock"))?;
    lock.try_lock().context("another run of the controls uses target/controls")?;

    let mut rows = Vec::new();
    let mut sound = Vec::new();
    for control in chosen {
        match control.objection(&root)? {
            Some(why) => {
                rows.push(Row::new(control, Outcome::Refused(why), std::time::Duration::ZERO))
            }
            None => sound.push(control),
        }
    }
    say(&format!("{} controls", sound.len()));
    let runner = Run::prepare(&root, &target)?;
    let known = runner.without_patches(&sound, &say)?;
    let count = sound.len();
    for (number, control) in sound.into_iter().enumerate() {
        say(&format!("{} of {count}, {}: {}", number + 1, control.name, control.takes_out));
        let row = runner.with_patch(control, &known)?;
        say(&format!("  {}, {} s", row.outcome, row.took.as_secs()));
        rows.push(row);
    }

    print!("\n{}", table(&rows));
    std::io::stdout().flush()?;
    let failed = rows.iter().filter(|row| row.outcome != Outcome::Caught).count();
    if failed > 0 {
        bail!("{failed} of {} controls failed", rows.len());
    }
    println!("all {} controls were caught", rows.len());
    Ok(())
}

/// Progress, for who waits.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "controls: {what}");
}
