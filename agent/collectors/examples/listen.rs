//! Prints what programs write: `listen SOCKET [ADDRESS TOKEN]`, until standard input ends.

use std::{error::Error, io::Read as _};

use undertone_collectors::listener::{Listener, ListenerConfig, Token};
use undertone_wire::{Point, line_protocol};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let config = ListenerConfig {
        unix: Some(arguments.next().ok_or("listen SOCKET [ADDRESS TOKEN]")?.into()),
        tcp: arguments.next().map(|address| address.parse()).transpose()?,
        token: arguments.next().map(Token::new).transpose()?,
        ..ListenerConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = Listener::bind(config)?;
        let end_of_input = async {
            let read = || std::io::stdin().read_to_end(&mut Vec::new());
            drop(tokio::task::spawn_blocking(read).await);
        };
        let print = |points: Vec<Point>| {
            let mut lines = String::new();
            for point in points {
                if let Err(error) = line_protocol::write(&point, &mut lines) {
                    eprintln!("{error}");
                }
            }
            print!("{lines}");
            Ok(())
        };
        listener.serve(print, end_of_input).await;
        Ok(())
    })
}
