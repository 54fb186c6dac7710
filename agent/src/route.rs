//! The way of a session's parcels: one onion address, circuits that no other session has, and what is
//! known of them. Ends with the session.

use undertone_wire::endpoint::Endpoint;

use crate::{pusher::Outcome, transport::Isolation};

/// After so many pushes in a row that failed, Tor is asked for everything anew.
const FAILURES_LIMIT: u32 = 5;

/// How one session's parcels are sent.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) isolation: Isolation,
    /// Pushes that failed since the circuit was last given up.
    failed: u32,
    /// Pushes that hung since one was last answered.
    pub(crate) hung: u32,
}

impl Route {
    pub(crate) fn new(endpoint: Endpoint, isolation: Isolation) -> Self {
        Self { endpoint, isolation, failed: 0, hung: 0 }
    }

    /// Takes note of what became of a push, and says whether its circuit is to be left behind: then the
    /// next push finds descriptor and circuit anew.
    ///
    /// arti waits ten minutes for the answer to an introduction that died with the proxy, and asks a
    /// directory for the same descriptor once in fifteen; new attempts would join the old (decision
    /// 0010).
    pub(crate) fn learn(&mut self, outcome: Outcome) -> Option<Isolation> {
        match outcome {
            Outcome::Taken | Outcome::Malformed => {
                (self.failed, self.hung) = (0, 0);
                None
            }
            Outcome::Failed(_) if self.failed + 1 < FAILURES_LIMIT => {
                self.failed += 1;
                None
            }
            Outcome::Failed(_) | Outcome::Hung(_) => {
                self.hung += u32::from(matches!(outcome, Outcome::Hung(_)));
                Some(self.leave())
            }
        }
    }

    /// Leaves the circuit behind, which is returned.
    pub(crate) fn leave(&mut self) -> Isolation {
        self.failed = 0;
        let left = self.isolation;
        self.isolation = left.next();
        left
    }
}
