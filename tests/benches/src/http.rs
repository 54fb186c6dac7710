//! As much HTTP as the clients here need, on a connection that is there already.

use std::io::{BufRead, Read};

use anyhow::{Context, Result};

/// Reads one answer to its end and returns its status.
pub(crate) fn status(answer: &mut impl BufRead) -> Result<u16> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("not a status line: {line:?}"))?;
    let mut length = 0;
    loop {
        line.clear();
        answer.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    std::io::copy(&mut answer.take(length), &mut std::io::sink())?;
    Ok(status)
}
