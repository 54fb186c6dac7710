//! arti's configuration: its defaults, a TOML text of the user's, and the folders that we choose.

use std::path::Path;

use arti_client::TorClientConfig;
use tor_config::{
    ConfigurationSource, ConfigurationSources,
    load::{ConfigResolveOptions, ResolutionResults, resolve_return_results},
    sources::MustRead,
};

/// Why a text is no configuration of arti's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// Not TOML, or a value that arti refuses; the text says where.
    #[error("{0}")]
    Value(String),
    /// A key that arti doesn't have.
    #[error("arti has no key `{0}`")]
    UnknownKey(String),
    /// A folder whose name isn't UTF-8, which arti's configuration can't name.
    #[error("the folder's name isn't UTF-8")]
    FolderName,
}

/// arti's configuration from `texts` (its own TOML keys; a later text wins over an earlier one, and
/// all of them over arti's defaults), with Tor's state and cache in `state_dir` and `cache_dir`.
///
/// # Errors
/// [`ConfigurationError`] if a text isn't a configuration of arti's.
pub fn configuration(
    texts: &[&str],
    state_dir: &Path,
    cache_dir: &Path,
) -> Result<TorClientConfig, ConfigurationError> {
    let folders = format!(
        "storage.state_dir = {{ literal = {} }}\nstorage.cache_dir = {{ literal = {} }}\n",
        named(state_dir)?,
        named(cache_dir)?,
    );
    let mut sources = ConfigurationSources::new_empty();
    for text in texts.iter().copied().chain([folders.as_str()]) {
        let source = ConfigurationSource::from_verbatim(text.to_owned());
        sources.push_source(source, MustRead::MustRead);
    }
    let tree = sources.load().map_err(|error| ConfigurationError::Value(error.to_string()))?;
    let resolved: ResolutionResults<TorClientConfig> =
        resolve_return_results(&tree, &ConfigResolveOptions::default())
            .map_err(|error| ConfigurationError::Value(error.to_string()))?;
    match resolved.unrecognized.first() {
        Some(key) => Err(ConfigurationError::UnknownKey(key.to_string())),
        None => Ok(resolved.value),
    }
}

/// A path as a TOML string.
fn named(path: &Path) -> Result<String, ConfigurationError> {
    path.to_str().map(quoted).ok_or(ConfigurationError::FolderName)
}

/// A text as a TOML string.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<TorClientConfig, ConfigurationError> {
        configuration(&[text], Path::new("/state \"$1\""), Path::new("/cache"))
    }

    #[test]
    fn no_text_means_the_defaults() {
        assert!(with("").is_ok());
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = with("[channel]\npaddding = \"reduced\"\n").map(drop);
        assert!(
            matches!(error, Err(ConfigurationError::UnknownKey(key)) if key == "channel.paddding")
        );
    }

    #[test]
    fn a_wrong_value_is_refused() {
        assert!(matches!(with("[channel]\npadding = 7\n"), Err(ConfigurationError::Value(_))));
        assert!(matches!(with("[channel\n"), Err(ConfigurationError::Value(_))));
    }
}
