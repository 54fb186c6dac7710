//! Parcels: what sealing and unsealing add to the signature and the compression that are in them.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use ed25519_dalek::{Signer, SigningKey};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use undertone_wire::batch::Payload;
use undertone_wire::endpoint::{DeploymentId, OnionAddress};
use undertone_wire::line_protocol;
use undertone_wire::parcel::{Age, Parcel, ParcelId, unseal};
use undertone_wire::session::SessionKey;

use crate::batch;
use crate::measure::{Comparison, Contender, fastest};

/// Of a slice.
const TIMES: u32 = 60;
const SEED: [u8; 32] = [7; 32];
/// As the payload's own.
const LEVEL: i32 = 3;
/// The Tor Project's; nothing connects to it.
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

pub(crate) fn measure() -> Result<()> {
    let points = batch::points();
    let payload = Payload::encode(&points)?;
    let mut text = String::new();
    points.iter().try_for_each(|point| line_protocol::write(point, &mut text))?;
    let bytes = payload.as_bytes();
    eprintln!(
        "parcels: {} points, {} bytes of text, {} bytes of payload",
        points.len(),
        text.len(),
        bytes.len()
    );
    let deployment = DeploymentId::of(&ONION.parse::<OnionAddress>()?);
    let session = SessionKey::from_seed(&SEED);
    let id = ParcelId([9; 16]);
    let body = Parcel::seal(&session, id, &deployment, &payload).body(Age::default());
    ensure!(unseal(&body, &deployment)?.payload.decode()? == points, "what went in comes out");

    let dalek = SigningKey::from_bytes(&SEED);
    let public = dalek.verifying_key();
    let ring = Ed25519KeyPair::from_seed_unchecked(&SEED).map_err(|e| anyhow!("{e}"))?;
    // As long as what a parcel's signature covers: domain, version, ID, deployment, payload.
    let message = [&[1; 19 + 1 + 16 + 32], bytes].concat();
    let signature = dalek.sign(&message);
    let ring_public = UnparsedPublicKey::new(&ED25519, public.to_bytes());
    let frame = bytes.get(1..).context("an empty payload")?;
    let compress = || zstd::bulk::compress(text.as_bytes(), LEVEL);
    let decompress = || zstd::bulk::decompress(frame, 64 * 1024);

    compare(
        "seal a payload",
        vec![
            rate("undertone", || Ok(Parcel::seal(&session, id, &deployment, &payload))),
            rate("ed25519-dalek, sign alone", || Ok(dalek.sign(&message))),
            rate("ring, sign alone", || Ok(ring.sign(&message))),
        ],
    )?;
    compare(
        "unseal a body",
        vec![
            rate("undertone", || Ok(unseal(&body, &deployment)?)),
            rate("ed25519-dalek, verify alone", || Ok(public.verify_strict(&message, &signature)?)),
            rate("ring, verify alone", || {
                ring_public.verify(&message, &signature.to_bytes()).map_err(|e| anyhow!("{e}"))
            }),
        ],
    )?;
    compare(
        "points into a payload",
        vec![
            rate("undertone", || Ok(Payload::encode(&points)?)),
            rate("zstd, compress alone", || Ok(compress()?)),
        ],
    )?;
    compare(
        "a payload into points",
        vec![
            rate("undertone", || Ok(payload.decode()?)),
            rate("zstd, decompress alone", || Ok(decompress()?)),
        ],
    )?;
    compare(
        "points into a body",
        vec![
            rate("undertone", || {
                let payload = Payload::encode(&points)?;
                Ok(Parcel::seal(&session, id, &deployment, &payload).body(Age::default()))
            }),
            rate("zstd and ed25519-dalek alone", || Ok((compress()?, dalek.sign(&message)))),
        ],
    )?;
    compare(
        "a body into points",
        vec![
            rate("undertone", || Ok(unseal(&body, &deployment)?.payload.decode()?)),
            rate("zstd and ed25519-dalek alone", || {
                public.verify_strict(&message, &signature)?;
                Ok(decompress()?)
            }),
        ],
    )
}

fn compare(what: &str, contenders: Vec<Contender<'_>>) -> Result<()> {
    let what = what.to_owned();
    let unit = "thousand/s";
    Comparison { part: "parcels", what, unit, less_is_better: false }.between(contenders)
}

fn rate<'a, T>(name: &str, mut work: impl FnMut() -> Result<T> + 'a) -> Contender<'a> {
    Contender::new(name, move || {
        let seconds = fastest(|| {
            let start = Instant::now();
            for _ in 0..TIMES {
                black_box(work()?);
            }
            Ok(start.elapsed().as_secs_f64())
        })?;
        Ok(f64::from(TIMES) / seconds / 1e3)
    })
}
