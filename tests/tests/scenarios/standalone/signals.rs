//! What signals do to an agent that gets nothing through, and what obstacles do to a reload.
//!
//! A failure: an end that doesn't come, a second signal that is waited upon, a listener that is lost to a
//! configuration that can't be had. Not a failure: that nothing is delivered.

use anyhow::{Result, ensure};
use undertone_tests::{ports, process::Signal};

use super::machine::Machine;
use crate::host::{NOBODY, unreachable_tor};

fn cut_off() -> Result<Machine> {
    let mut machine = Machine::new(&unreachable_tor(&[ports::free()?]), NOBODY)?;
    machine.configure("")?;
    machine.start()?;
    Ok(machine)
}

#[test]
fn an_agent_that_gets_nothing_through_ends_in_time_or_at_once() -> Result<()> {
    for signal in [Signal::INT, Signal::TERM] {
        cut_off()?.stop(signal)?;
    }
    let mut machine = cut_off()?;
    machine.signal(Signal::INT)?;
    machine.wait_for("ending: sending what waits")?;
    machine.ends_with(Signal::INT, 130).map(drop)
}

#[test]
fn a_reload_that_cannot_be_had_leaves_listeners_as_they_were() -> Result<()> {
    let mut machine = cut_off()?;
    machine.configure("[[listener]]\nunix = \"missing/write.sock\"")?;
    machine.reload("the new inputs can't be started, the old ones go on")?;
    ensure!(!machine.log().contains("reloaded"), "{}", machine.log());
    let point = "story number=1i";
    machine.write(point)?;
    machine.is_alone_on_its_socket()?;

    machine.configure("[[listener]]\nunix = \"second.sock\"")?;
    machine.reload("reloaded: the session goes on")?;
    machine.write(point)?;
    ensure!(machine.is_alone_on_its_socket().is_err(), "the second listener isn't there");

    machine.configure("")?;
    machine.reload("reloaded: the session goes on")?;
    machine.write(point)?;
    machine.is_alone_on_its_socket()?;
    machine.stop(Signal::TERM).map(drop)
}
