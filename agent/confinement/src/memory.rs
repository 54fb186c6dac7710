//! Keeps the keys in this process's memory out of core dumps. For programs of ours: an agent inside another
//! program leaves that program's process as it is.

use std::env;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Set to anything but `0` or nothing, it permits debuggers, as `permit_debugging` of arti does.
const PERMIT: &str = "UNDERTONE_PERMIT_DEBUGGING";

/// Forbids core dumps of this process and, by their limit, of those that it starts.
///
/// On Linux the process also can't be read any more by debuggers of the same user (`PR_SET_DUMPABLE` of 0), and
/// its folder in `/proc` belongs to root: only root can trace it or list what it has open. The variable
/// `UNDERTONE_PERMIT_DEBUGGING` leaves that out. What fails is left as it is.
pub fn forbid_core_dumps() {
    #[cfg(target_os = "linux")]
    if env::var_os(PERMIT).is_none_or(|value| value.is_empty() || value == "0") {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Also a dump that a program is to be handed (core_pattern), for which the limit doesn't count.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    // The hard limit stays: whoever starts this may have reasons for it.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
}
