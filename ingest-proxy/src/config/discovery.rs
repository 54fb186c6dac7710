//! The table `[discovery]`: who may find the onion service, and how many may come at once (invariant S6).

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

/// A mistake: its key, where it is, what is wrong.
type Mistake = (&'static str, Range<usize>, String);

/// What tor's extension for introduction points can say.
const LARGEST: u32 = i32::MAX as u32;

/// Who may find the onion service, and how many may come at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiscoveryConfig {
    /// Whether only the clients may find it; unless set, as soon as one was added.
    pub restricted: Option<bool>,
    /// How many introductions each introduction point lets through in a second, in the long run.
    pub introductions_per_second: u32,
    /// And at once, after a pause.
    pub introductions_burst: u32,
    /// Whether who comes has to compute for it while many do.
    pub pow: bool,
}

impl Default for DiscoveryConfig {
    /// With three introduction points 75 a second: half an hour's worth of agents returns within one
    /// interval of theirs, and circuits that prove nothing stay below the limit of circuits (decision 0029).
    fn default() -> Self {
        Self {
            restricted: None,
            introductions_per_second: 25,
            introductions_burst: 200,
            pow: false,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDiscovery {
    restricted: Option<bool>,
    introductions_per_second: Option<Spanned<u32>>,
    introductions_burst: Option<Spanned<u32>>,
    pow: Option<Spanned<bool>>,
}

/// Reads what is set over the defaults.
pub(super) fn checked(raw: RawDiscovery) -> Result<DiscoveryConfig, Mistake> {
    let mut discovery = DiscoveryConfig { restricted: raw.restricted, ..Default::default() };
    let within = |key, value: &Spanned<u32>| match value.get_ref() {
        1..=LARGEST => Ok(*value.get_ref()),
        _ => Err((key, value.span(), format!("a number from 1 to {LARGEST}"))),
    };
    if let Some(value) = &raw.introductions_per_second {
        discovery.introductions_per_second = within("introductions_per_second", value)?;
    }
    if let Some(value) = &raw.introductions_burst {
        discovery.introductions_burst = within("introductions_burst", value)?;
    }
    if discovery.introductions_burst < discovery.introductions_per_second {
        let value = raw.introductions_burst.or(raw.introductions_per_second);
        let what =
            "at least as many as `introductions_per_second`, or introduction points ignore both";
        return Err(("introductions_burst", value.map_or(0..0, |v| v.span()), what.to_owned()));
    }
    if let Some(pow) = raw.pow {
        if *pow.get_ref() && !cfg!(feature = "onion-pow") {
            let what = "this program was built without proof of work: `cargo build --features onion-pow` builds it, \
                        with code under the LGPL";
            return Err(("pow", pow.span(), what.to_owned()));
        }
        discovery.pow = pow.into_inner();
    }
    Ok(discovery)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn parse(text: &str) -> Result<DiscoveryConfig, String> {
        Config::parse(text, Path::new("")).map(|config| config.discovery)
    }

    #[test]
    fn what_is_set_wins_over_the_defaults() {
        assert_eq!(parse(""), Ok(DiscoveryConfig::default()));
        let text = "[discovery]\nrestricted = true\nintroductions_per_second = 5\nintroductions_burst = 9\npow = false\n";
        let expected = DiscoveryConfig {
            restricted: Some(true),
            introductions_per_second: 5,
            introductions_burst: 9,
            pow: false,
        };
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn mistakes_name_line_and_key() {
        for (text, key, what) in [
            ("introductions_per_second = 0", "introductions_per_second", "from 1 to"),
            ("introductions_burst = 3000000000", "introductions_burst", "from 1 to"),
            ("introductions_burst = 24", "introductions_burst", "at least"),
            ("introductions_per_second = 201", "introductions_burst", "at least"),
            ("clients = 7", "clients", "unknown field"),
        ] {
            let error = parse(&format!("[discovery]\n{text}\n")).unwrap_err();
            let all = error.contains("line 2") && error.contains(key) && error.contains(what);
            assert!(all, "{text}\n→ {error}");
        }
    }

    #[cfg(not(feature = "onion-pow"))]
    #[test]
    fn proof_of_work_is_refused_by_a_program_that_has_none() {
        let error = parse("[discovery]\npow = true\n").unwrap_err();
        assert!(
            error.contains("line 2: `pow`") && error.contains("--features onion-pow"),
            "{error}"
        );
    }
}
