//! The user's answer on the command line, beside an agent that runs and one that doesn't; and that nothing secret
//! is said about it.
//!
//! A failure: a denial that leaves an agent running or anything of Tor's on the disk, or that loses against the
//! configuration; a yes that nobody said; an address, a path, a name or a key in a log. Not a failure:
//! that nothing is delivered.

use anyhow::{Context, Result, ensure};
use undertone::{Answer, Ingest};
use undertone_tests::{capture::SocksCapture, ports, wait};
use undertone_wire::{
    parcel::unseal,
    request::{BODY_LENGTH, REQUEST_LENGTH},
};

use super::machine::Machine;
use crate::{
    fixtures::ARRIVAL,
    host::{NOBODY, unreachable_tor},
};

#[test]
fn p1_a_denial_beside_an_agent_that_runs_ends_it_and_deletes() -> Result<()> {
    let mut machine = Machine::new(&unreachable_tor(&[ports::free()?]), NOBODY)?;
    machine.configure("")?;
    machine.start()?;
    let state = machine.file("data/tor-0/state");
    wait::until("Tor's state", ARRIVAL, || Ok(state.exists().then_some(())))?;
    let (code, said) = machine.output(&["consent", "deny"])?;
    ensure!(code == 0 && said.starts_with("Denied: "), "{code} {said}");
    let log = machine.ends(3)?;
    ensure!(log.contains("consent was denied"), "{log}");
    ensure!(!machine.file("data/tor-0").exists(), "Tor's state is left");
    assert_eq!(Answer::read(&machine.file("data/consent")), Answer::Denied);

    // It wins over the configuration, until somebody says otherwise.
    let (code, said) = machine.output(&["consent", "status"])?;
    ensure!(code == 3 && said.starts_with("consent   denied\n"), "{code} {said}");
    ensure!(machine.output(&["run"])?.0 == 3);
    let (code, said) = machine.output(&["consent", "ask"])?;
    ensure!(code == 1, "it asked where nobody is: {said}");
    let (code, said) = machine.output(&["consent", "grant"])?;
    ensure!(code == 0, "{said}");
    let (code, said) = machine.output(&["consent", "status"])?;
    ensure!(code == 0 && said.starts_with("consent   granted\n"), "{code} {said}");
    machine.start()?;

    machine.configure("consent = \"denied\"")?;
    machine.ends_with(undertone_tests::process::Signal::HUP, 3)?;
    let (code, said) = machine.output(&["consent", "grant"])?;
    ensure!(code == 1, "it granted what the configuration denies: {said}");
    Ok(())
}

#[test]
fn p1_who_is_asked_and_does_not_say_yes_has_said_no() -> Result<()> {
    let machine = Machine::new(&unreachable_tor(&[ports::free()?]), NOBODY)?;
    machine.configure("#consent =")?;
    assert_eq!(machine.output(&["run"])?.0, 3, "nobody was asked yet");
    let answer = || Answer::read(&machine.file("data/consent"));
    for (typed, code) in [("y\n", 0), ("\n", 0), ("perhaps\n", 0), ("YES\n", 0), ("n\n", 0)] {
        let (found, said) = machine.typed("consent ask", typed)?;
        ensure!(found == code, "{typed:?} {found}: {said}");
        ensure!(said.contains("read system, memory of this machine"), "{said}");
        ensure!(said.contains("LINKABLE"), "{said}");
        let granted = typed.to_lowercase().starts_with('y');
        ensure!(
            matches!(answer(), Answer::Granted(Some(_))) == granted,
            "{typed:?} {:?}",
            answer()
        );
        ensure!((answer() == Answer::Denied) != granted, "{typed:?} {:?}", answer());
    }
    Ok(())
}

#[test]
fn p3_no_log_tells_what_is_secret() -> Result<()> {
    let capture = SocksCapture::start()?;
    let mut machine = Machine::new("", NOBODY)?;
    machine.configure(&format!(
        "data_dir = \"secret-folder\"\nalias = \"secret-alias\"\n\
         transport = \"socks5://{}\"\nhost.collect = []\n\
         log.level = \"trace\"\nlog.tor_level = \"trace\"",
        capture.address()
    ))?;
    machine.start()?;
    machine.write("secret_measurement secret_field=4242424242i")?;
    let ingest: Ingest = NOBODY.parse()?;
    let (mut secrets, mut parcels) = (vec![NOBODY[..16].to_owned()], 0);
    wait::until("the point", ARRIVAL, || {
        for request in capture.requests().iter().skip(parcels) {
            parcels += 1;
            let body = &request[REQUEST_LENGTH - BODY_LENGTH..];
            let parcel = unseal(body, &ingest.deployment).context("unsealing")?;
            let hexadecimal = |bytes: &[u8]| data_encoding::HEXLOWER.encode(&bytes[..8]);
            secrets.extend([hexadecimal(parcel.session.as_bytes()), hexadecimal(&parcel.id.0)]);
            secrets.push(format!("{:?}", &parcel.session.as_bytes()[..8]));
            secrets.push(format!("{:?}", &body[100..108]));
            if !parcel.payload.decode()?.is_empty() {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })?;
    secrets.extend(["secret", "4242424242", "POST /v1"].map(str::to_owned));
    let log = machine.stop(undertone_tests::process::Signal::TERM)?;
    ensure!(log.contains("TRACE") || log.contains("DEBUG"), "a log of everything: {log}");
    for secret in secrets {
        // Lists of numbers without their brackets.
        let secret = secret.trim_matches(['[', ']']);
        ensure!(!log.contains(secret), "the log tells {secret}:\n{log}");
    }
    Ok(())
}
