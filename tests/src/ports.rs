//! Free loopback ports, such that several test runs at once don't get the same one.
//!
//! A port is taken for as long as this process lives: by a socket of an abstract name that holds its
//! number, so a database that is down for a while finds its port free again. Ports lie below those
//! that the kernel gives to outgoing connections, of which a Tor network makes many.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

const LOWEST: u16 = 10_000;

/// One free port on 127.0.0.1.
pub fn free() -> Result<u16> {
    let end = ephemeral_start();
    for attempt in 0..2_000_u64 {
        let random = RandomState::new().hash_one(attempt);
        let port = LOWEST + (random % u64::from(end - LOWEST)) as u16;
        if reserve(port)? && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {LOWEST} and {end} on 127.0.0.1");
}

/// Where the ports for outgoing connections begin.
fn ephemeral_start() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        // An unusual range that leaves too little below it: share it then.
        .filter(|&start| start > LOWEST + 2_000)
        .unwrap_or(32_768)
}

fn reserve(port: u16) -> Result<bool> {
    static RESERVED: Mutex<Option<HashMap<u16, UnixListener>>> = Mutex::new(None);
    let name = SocketAddr::from_abstract_name(format!("undertone-test-port-{port}"))?;
    let socket = match UnixListener::bind_addr(&name) {
        Ok(socket) => socket,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Ok(false),
        Err(error) => return Err(error).context("reserving a port"),
    };
    let mut reserved = RESERVED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    reserved.get_or_insert_default().insert(port, socket);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_twice() {
        let ports: HashSet<u16> = (0..200).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 200);
        for &port in &ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
            assert!(!reserve(port).unwrap());
        }
    }
}
