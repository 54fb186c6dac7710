//! What this machine says, as line protocol: `host [SECONDS]` reads again after so long (1), so that
//! there are percentages.

use std::{error::Error, thread, time::Duration};

use undertone_collectors::host::{Host, HostConfig};
use undertone_wire::line_protocol;

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(1), |seconds| seconds.parse())?;
    let mut host = Host::new(HostConfig::default());
    host.read();
    thread::sleep(Duration::from_secs(seconds));
    let mut lines = String::new();
    for point in host.read() {
        line_protocol::write(&point, &mut lines)?;
    }
    print!("{lines}");
    eprintln!("left out, in two reads: {:?}", host.skipped());
    Ok(())
}
