//! Bodies: received within a size and a time, decompressed within another size.

use http_body_util::BodyExt as _;
use hyper::{
    body::{Body as _, Incoming},
    header::{EXPECT, HeaderMap},
};
use tokio::time::timeout;
use undertone_wire::influxdb::{Body, BodyError, BodyLimits};

use super::config::Limits;

/// The whole body, decompressed as its head says.
pub(super) async fn receive(
    headers: &HeaderMap,
    body: &mut Incoming,
    limits: &Limits,
) -> Result<Vec<u8>, BodyError> {
    let sizes = BodyLimits { received: limits.body_bytes, decompressed: limits.decompressed_bytes };
    let plain = Body::new(headers, body.size_hint().lower(), sizes)?;
    match timeout(limits.body, collect(body, plain)).await {
        Ok(collected) => collected,
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// Takes what a client that is refused still sends, within the limits: one that is cut off while it
/// writes may never see the answer. Who asked beforehand whether to send it sends nothing.
pub(super) async fn discard(headers: &HeaderMap, mut body: Incoming, limits: &Limits) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let mut room = limits.body_bytes;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len());
            let Some(rest) = room.checked_sub(length) else { break };
            room = rest;
        }
    };
    let _ = timeout(limits.body, all).await;
}

async fn collect(body: &mut Incoming, mut plain: Body) -> Result<Vec<u8>, BodyError> {
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        plain.write(&data)?;
    }
    plain.finish()
}
