//! Which of the routes is asked for. Whatever is wrong, nothing says what.

use hyper::{
    Method,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    http::request::Parts,
};
use undertone_wire::influxdb::{Dialect, Precision, parameter};

use crate::config::CompatibilityConfig;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Whether anybody is here.
    Ping,
    /// To take lines, whose times are in this unit.
    Write(Precision),
}

impl Route {
    /// None if it is no request to these routes, or not by who may make one.
    pub(super) fn of(head: &Parts, config: &CompatibilityConfig) -> Option<Self> {
        let (uri, headers) = (&head.uri, &head.headers);
        let ping = matches!(head.method, Method::GET | Method::HEAD) && uri.path() == "/ping";
        if !(ping || Self::is_write(head)) || uri.scheme().is_some() {
            return None;
        }
        // Two lengths: what is between may have taken the other one.
        if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
            return None;
        }
        if config.token.as_ref().is_some_and(|token| !token.is_in(uri, headers)) {
            return None;
        }
        if ping {
            return Some(Self::Ping);
        }
        let name = match Dialect::of(uri) {
            Dialect::V1 => "db",
            Dialect::V2 => "bucket",
        };
        let is_named = |name: &str| config.databases.iter().any(|database| database == name);
        if !config.databases.is_empty() && !parameter(uri, name).is_some_and(|it| is_named(&it)) {
            return None;
        }
        Precision::of(uri).map(Self::Write)
    }

    /// Whether somebody means to write.
    pub(super) fn is_write(head: &Parts) -> bool {
        head.method == Method::POST && matches!(head.uri.path(), "/write" | "/api/v2/write")
    }
}
