//! A peer in another language: a program that is asked on standard input, a line a question, and
//! answers with the nanoseconds that it took.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

/// A peer that runs. Dropping it closes its input, at which it ends.
pub(crate) struct Peer {
    pipes: RefCell<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    child: Child,
}

impl Peer {
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let started = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.with_context(|| program.display().to_string())?;
        let input = child.stdin.take().context("no input")?;
        let output = child.stdout.take().context("no output")?;
        Ok(Self { pipes: RefCell::new(Some((input, BufReader::new(output)))), child })
    }

    /// Asks, and returns the nanoseconds that were answered.
    pub(crate) fn ask(&self, question: &str) -> Result<f64> {
        let mut pipes = self.pipes.borrow_mut();
        let (input, output) = pipes.as_mut().context("it has ended")?;
        writeln!(input, "{question}")?;
        input.flush()?;
        let mut answer = String::new();
        output.read_line(&mut answer)?;
        answer.trim().parse().with_context(|| format!("it answered {answer:?} to {question:?}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.pipes.take();
        let _ = self.child.wait();
    }
}
