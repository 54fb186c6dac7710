//! What would go out now: inputs are read twice over one interval, and go through the library's own gate and
//! into its own parcels. Nothing is sent, and neither the network nor the disk is touched.

use std::{
    io::{self, Write},
    thread,
};

use anyhow::Result;
use undertone::{Point, Preview};
use undertone_wire::line_protocol;

use crate::{
    config::Config,
    inputs::{collector, mark, now},
    permission::permitted,
    reporter,
    table::{printable, table},
};

/// Reads, and writes a table, or line protocol if it is to be raw.
pub(crate) fn preview(config: &Config, raw: bool, out: &mut impl Write) -> Result<()> {
    permitted(config)?;
    let preview = Preview::of(&reporter::schema(&config.agent.namespace)?, read(config));
    if raw {
        let mut lines = String::new();
        for point in preview.points() {
            line_protocol::write(point, &mut lines)?;
        }
        write!(out, "{lines}")?;
        return Ok(());
    }
    table(preview.points(), out)?;
    let seconds = config.host.interval.as_secs_f64();
    let (points, parcels) = (preview.points().count(), preview.parcels.len());
    writeln!(
        out,
        "\n{points} points every {seconds} s, in {parcels} parcels of 3,904 bytes if they went out at once."
    )?;
    for refused in &preview.refused {
        let name = printable(&refused.measurement);
        writeln!(out, "Left out of {name}, {} times: {}.", refused.count, refused.why)?;
    }
    if preview.dropped > 0 {
        writeln!(out, "Left out, too large for any parcel: {} points.", preview.dropped)?;
    }
    for listener in &config.listeners {
        writeln!(out, "Not shown: what programs will write to {listener}.")?;
    }
    writeln!(out, "Nothing was sent.")?;
    Ok(())
}

/// What this machine says; what of it may leave is the gate's to say.
fn read(config: &Config) -> Vec<Point> {
    if config.host.collect.is_empty() {
        return Vec::new();
    }
    let mut host = collector(&config.host);
    // Rates are known from the second reading on.
    drop(host.read());
    tell(config);
    thread::sleep(config.host.interval);
    let alias = config.alias.as_deref();
    now(host.read()).into_iter().map(|point| mark(point, alias)).collect()
}

/// Somebody waits in front of an empty screen meanwhile.
fn tell(config: &Config) {
    let seconds = config.host.interval.as_secs_f64();
    let _ = writeln!(io::stderr(), "Reading this machine twice, {seconds} s apart …");
}
