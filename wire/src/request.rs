//! The one HTTP request that delivers a parcel, and its sizes.
//!
//! Head and body together are [`REQUEST_LENGTH`] bytes whatever they say (invariant P4).

use http::{HeaderValue, Method, Request, Uri, header};

use crate::endpoint::OnionAddress;

/// A push in bytes, head included: exactly eight Tor DATA cells, whether a cell carries 488 bytes
/// (relay cell format 1) or 498 (format 0).
pub const REQUEST_LENGTH: usize = 3_904;
/// The body: what the head leaves.
pub const BODY_LENGTH: usize = REQUEST_LENGTH - HEAD_LENGTH;
/// The path that takes parcels.
pub const PATH: &str = "/v1/batch";

/// Request line, `host`, `content-length` and the empty line, in bytes. An address has always 62.
const HEAD_LENGTH: usize = "POST /v1/batch HTTP/1.1\r\n".len()
    + "host: ".len()
    + 62
    + "\r\ncontent-length: 3785\r\n\r\n".len();

/// The request that delivers `body` to `onion`.
///
/// It carries two headers, of constant length; nothing in it tells one agent from another.
pub fn push<B>(onion: &OnionAddress, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(PATH);
    // An address is letters, digits and a dot, which every header value may hold.
    if let Ok(host) = HeaderValue::from_str(onion.as_str()) {
        request.headers_mut().insert(header::HOST, host);
    }
    request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(BODY_LENGTH));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p4_the_head_is_as_long_as_its_constant_says() {
        assert_eq!(HEAD_LENGTH, 119);
        assert_eq!(BODY_LENGTH.to_string(), "3785");
    }
}
