//! The commented example: every key with its default.

/// What `undertone config example` prints.
pub const EXAMPLE: &str = include_str!("../../undertone.example.toml");
