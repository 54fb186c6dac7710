//! What is asked, and in the words of which version of InfluxDB.

use std::borrow::Cow;

use hyper::{Method, Uri};
use undertone_wire::influxdb::{Precision, parameter};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// To take lines.
    Write(Precision),
    /// Whether anybody is here.
    Ping,
    /// How it is going.
    Health,
    /// A query, which may also stand in the body.
    Query(Option<String>),
}

/// What can't be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RouteError {
    NotFound,
    Precision,
}

impl Route {
    pub(super) fn parse(method: &Method, uri: &Uri) -> Result<Self, RouteError> {
        match (method.as_str(), uri.path()) {
            ("POST", "/write" | "/api/v2/write") => {
                Precision::of(uri).map(Self::Write).ok_or(RouteError::Precision)
            }
            ("GET" | "HEAD", "/ping") => Ok(Self::Ping),
            ("GET", "/health") => Ok(Self::Health),
            ("POST", "/query") => Ok(Self::Query(parameter(uri, "q").map(Cow::into_owned))),
            _ => Err(RouteError::NotFound),
        }
    }
}

/// Whether a query is the one that clients send before they write: to create a database.
pub(super) fn is_create_database(query: &str) -> bool {
    let query = query.trim().trim_end_matches(';');
    let mut words = query.split_whitespace();
    let mut next_is = |word: &str| words.next().is_some_and(|next| next.eq_ignore_ascii_case(word));
    next_is("CREATE") && next_is("DATABASE") && words.next().is_some() && !query.contains(';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_creating_a_database_is_answered() {
        for (query, expected) in [
            ("CREATE DATABASE telegraf", true),
            (" create database \"a b\" WITH DURATION 1d ; ", true),
            ("CREATE DATABASE", false),
            ("CREATE DATABASE a; DROP DATABASE a", false),
            ("CREATE USER a", false),
            ("SHOW DATABASES", false),
            ("", false),
        ] {
            assert_eq!(is_create_database(query), expected, "{query}");
        }
    }
}
