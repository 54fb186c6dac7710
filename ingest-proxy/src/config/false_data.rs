//! What is done with what can't be true: the table `[false_data]`.

use std::{collections::BTreeMap, num::NonZeroU64, ops::Range};

use serde::Deserialize;
use toml::Spanned;

use crate::queue::Holding;

/// What is looked at, and what is done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FalseData {
    /// What is held back.
    pub action: Holding,
    /// For measurements, by their names in the database: the most that one session may add to their sum over
    /// all sessions in an interval, on average. Counted for a counter and a meter are events (`delta`), for a
    /// histogram and a timer their values (`sum`), either way.
    pub max_sum_per_interval: BTreeMap<String, f64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFalseData {
    action: Option<Spanned<String>>,
    pub(super) max_held_bytes: Option<NonZeroU64>,
    #[serde(default)]
    max_sum_per_interval: BTreeMap<String, Spanned<f64>>,
}

/// What is wrong: a key, where, and why.
type Wrong = (&'static str, Range<usize>, String);

pub(super) fn checked(raw: RawFalseData) -> Result<FalseData, Wrong> {
    let action = match raw.action {
        None => Holding::default(),
        Some(action) => match action.get_ref().as_str() {
            "off" => Holding::Off,
            "hold-point" => Holding::Point,
            "hold-session" => Holding::Session,
            _ => {
                let what = "\"hold-session\", \"hold-point\" or \"off\"".to_owned();
                return Err(("action", action.span(), what));
            }
        },
    };
    let mut max_sum_per_interval = BTreeMap::new();
    for (measurement, most) in raw.max_sum_per_interval {
        let span = most.span();
        let most = most.into_inner();
        if !(most.is_finite() && most > 0.0) {
            let what = format!("{measurement:?} must have a number above 0");
            return Err(("max_sum_per_interval", span, what));
        }
        max_sum_per_interval.insert(measurement, most);
    }
    Ok(FalseData { action, max_sum_per_interval })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/"))
    }

    #[test]
    fn what_is_held_is_chosen_and_a_mistake_names_line_and_key() {
        assert_eq!(parse("").unwrap().false_data.action, Holding::Session);
        let config = parse(
            "[false_data]\naction = \"hold-point\"\nmax_held_bytes = 7\n\
             max_sum_per_interval = { \"app.hits.count\" = 100, \"app.size.histogram\" = 1e9 }\n",
        )
        .unwrap();
        assert_eq!((config.queue.holding, config.queue.held_bytes), (Holding::Point, 7));
        assert_eq!(config.false_data.action, Holding::Point);
        assert_eq!(config.false_data.max_sum_per_interval["app.hits.count"], 100.0);
        for (text, line, key) in [
            ("\n[false_data]\naction = \"shout\"\n", "line 3", "`action`"),
            ("[false_data]\nmax_held_bytes = 0\n", "line 2", "max_held_bytes"),
            ("[false_data.max_sum_per_interval]\na = -1\n", "line 2", "`max_sum_per_interval`"),
            ("[false_data]\nholding = 1\n", "line 2", "holding"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(line) && error.contains(key), "{text}: {error}");
        }
    }
}
