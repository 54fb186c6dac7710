//! The switches in the environment that win over every answer.

use std::env;

use super::OffReason;

/// Each variable with what an agent says that is off because of it.
const SWITCHES: [(&str, OffReason); 2] =
    [("DO_NOT_TRACK", OffReason::DoNotTrack), ("UNDERTONE_OFF", OffReason::SwitchedOff)];

/// Which variable of the environment switches everything off, whatever was answered: `DO_NOT_TRACK` or
/// `UNDERTONE_OFF`, set to anything but `0` or nothing.
pub fn switched_off() -> Option<OffReason> {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    SWITCHES.into_iter().find(|(name, _)| set(name)).map(|(_, reason)| reason)
}
