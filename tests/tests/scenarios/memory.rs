//! What a session leaves in its process's memory.
//!
//! A failure: the seed of a session's key, or what Ed25519 makes of it, anywhere in memory after the
//! session. Not a failure: public keys and parcels, which memory that isn't used again may hold.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha512};
use undertone_tests::{capture::SocksCapture, folder::Folder, process::Process, programs, wait};
use undertone_wire::{
    endpoint::Ingest,
    parcel::unseal,
    request::{BODY_LENGTH, REQUEST_LENGTH},
    session::{SessionKey, SessionPublicKey},
};

use crate::fixtures::{ARRIVAL, ENDING};

const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
/// A session of an hour, on average, lasts a second or two.
const FASTER: &str = "2000";
/// How far from its public half a private key may be, in bytes: they are in one structure.
const NEIGHBOURHOOD: usize = 512;

#[test]
fn p3_a_session_s_key_is_gone_from_memory_when_it_ends() -> Result<()> {
    let (capture, folder) = (SocksCapture::start()?, Folder::new("memory")?);
    let mut command = programs::binary("rotating")?;
    command
        .args(["--ingest", ONION, "--scope", "30m", "--faster", FASTER])
        .args(["--socks", &capture.address().to_string()])
        .current_dir(folder.path());
    let mut process = Process::spawn("rotating", folder.path(), command)?;
    // The control: while a session lives, its key is found.
    let (public, seed) = wait::until("a session that lives", ARRIVAL, || {
        let Some(public) = last_session(&capture)? else { return Ok(None) };
        process.pause()?;
        // Of a session that has ended meanwhile there is none.
        let seed = private_key(&memory(process.pid())?, &public);
        process.resume()?;
        Ok(seed.map(|seed| (public, seed)))
    })?;
    let expanded = Sha512::digest(seed);
    for _ in 0..3 {
        let now = last_session(&capture)?;
        wait::until("another session", ARRIVAL, || {
            let last = last_session(&capture)?;
            Ok((last != now && last != Some(public)).then_some(()))
        })?;
        process.pause()?;
        let memory = memory(process.pid())?;
        process.resume()?;
        for (what, secret) in [
            ("the seed", &seed[..]),
            ("the scalar", &expanded[..32]),
            ("the prefix", &expanded[32..]),
        ] {
            assert_eq!(
                count(&memory, secret),
                0,
                "{what} of a session that has ended is in memory"
            );
        }
    }
    process.terminate(ENDING)?;
    Ok(())
}

/// Who sent the last whole request.
fn last_session(capture: &SocksCapture) -> Result<Option<SessionPublicKey>> {
    let ingest: Ingest = ONION.parse()?;
    let requests = capture.requests();
    let Some(request) = requests.last() else { return Ok(None) };
    let body = request.get(REQUEST_LENGTH - BODY_LENGTH..).context("a push")?;
    Ok(Some(unseal(body, &ingest.deployment)?.session))
}

/// All memory of a process that it can write.
fn memory(pid: u32) -> Result<Vec<Vec<u8>>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let file = File::open(format!("/proc/{pid}/mem"))?;
    let mut regions = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        if !rights.starts_with("rw") {
            continue;
        }
        let (begin, end) = range.split_once('-').context("a range")?;
        let (begin, end) = (u64::from_str_radix(begin, 16)?, u64::from_str_radix(end, 16)?);
        let mut bytes = vec![0; usize::try_from(end - begin)?];
        // The kernel's own pages can't be read.
        if file.read_exact_at(&mut bytes, begin).is_ok() {
            regions.push(bytes);
        }
    }
    Ok(regions)
}

/// The private half of a key, if it stands beside its public half.
fn private_key(memory: &[Vec<u8>], public: &SessionPublicKey) -> Option<[u8; 32]> {
    for region in memory {
        for place in places(region, public.as_bytes()) {
            let end = (place + NEIGHBOURHOOD).min(region.len());
            let beside = &region[place.saturating_sub(NEIGHBOURHOOD)..end];
            let candidates = beside.windows(32).filter_map(|window| window.try_into().ok());
            let mut candidates =
                candidates.filter(|window: &[u8; 32]| window.iter().any(|b| *b != 0));
            if let Some(seed) =
                candidates.find(|seed| SessionKey::from_seed(seed).public() == *public)
            {
                return Some(seed);
            }
        }
    }
    None
}

fn count(memory: &[Vec<u8>], bytes: &[u8]) -> usize {
    memory.iter().map(|region| places(region, bytes).count()).sum()
}

/// Where these bytes begin.
fn places<'a>(region: &'a [u8], bytes: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = bytes[0];
    let begins = region.iter().enumerate().filter(move |(_, byte)| **byte == first);
    begins.map(|(place, _)| place).filter(move |place| region[*place..].starts_with(bytes))
}
