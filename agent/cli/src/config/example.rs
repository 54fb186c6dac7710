//! The commented example: every key with its default.

/// What `undertone config example` prints.
pub(crate) const EXAMPLE: &str = include_str!("../../undertone.example.toml");
