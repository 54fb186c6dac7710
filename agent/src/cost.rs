//! What reporting costs in traffic, in parts, from figures that were measured. Pure.
//!
//! Bytes are those of the TCP streams to and from the guard, which is what a volume-based tariff counts, but for the
//! headers of packets: a few per cent more. `make privacy-wire` measures them and fails if they are wrong.

use crate::{profile::Profile, scope::Scope};

/// A month has 30 days.
const MONTH_SECONDS: f64 = 30.0 * 24.0 * 3_600.0;

/// Bytes a month, in parts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// Pushes that hold a batch.
    pub own: f64,
    /// Pushes of the same size that hold nothing.
    pub chaff: f64,
    /// Looking up the onion service and circuits to it, anew for each session.
    pub sessions: f64,
    /// Tor in this process when nothing is pushed: padding. None where another tor runs.
    pub idle: Option<f64>,
    /// Tor's directory, kept up to date. None where another tor runs.
    pub directory: Option<f64>,
}

impl Cost {
    /// One push on a circuit that is there already. Measured.
    pub const PUSH_BYTES: u64 = 6_300;
    /// Descriptor, introduction and rendezvous for a new session, and circuits in place of those. Measured.
    pub const SESSION_BYTES: u64 = 33_000;
    /// A minute of a Tor in this process that has nothing to do. Measured.
    pub const IDLE_BYTES_A_MINUTE: u64 = 1_400;
    /// A month of the directory, reckoned. A new consensus every 1.8 h on average (dir-spec, "Client operation"), as a
    /// difference of 63 kB (proposal 140, section 3.1), and each of 9,000 relays once with 0.5 kB.
    pub const DIRECTORY_BYTES_A_MONTH: u64 = 30_000_000;

    /// Of an agent of this profile and scope, where the points of a batch fill so many parcels. In
    /// [`Profile::Fleet`] the scope says nothing.
    pub fn monthly(profile: Profile, scope: Scope, parcels_a_batch: f64, tor_here: bool) -> Self {
        let rhythm = profile.rhythm(scope);
        let (sessions, reporting) = match profile.rotation(scope) {
            Some(rotation) if !scope.is_batch() => {
                let (life, silence) = rotation.means();
                let cycle = (life + silence).as_secs_f64();
                (MONTH_SECONDS / cycle, life.as_secs_f64() / cycle)
            }
            _ => (0.0, 1.0),
        };
        let seconds = MONTH_SECONDS * reporting;
        let cuts = seconds / rhythm.cut_mean.as_secs_f64();
        let slots = seconds / rhythm.slot_mean_in_effect().as_secs_f64();
        let push = Self::PUSH_BYTES as f64;
        // A slot finds nothing if no cut came since the last one; both come at random times. Where what waits
        // has a slot to itself (profile `anonymous`), all slots together are what there is.
        let empty = slots * slots / (slots + cuts);
        let (own, chaff) = if profile.sends_backlog_at_once() {
            (cuts * parcels_a_batch, empty)
        } else {
            let own = (cuts * parcels_a_batch).min(slots);
            (own, slots - own)
        };
        // Every push of a session that has one batch is its first.
        let alone = scope.is_batch() && profile.has_scopes();
        let sessions = if alone { own + chaff } else { sessions };
        Self {
            own: own * push,
            chaff: chaff * push,
            sessions: sessions * Self::SESSION_BYTES as f64,
            idle: tor_here.then_some(MONTH_SECONDS / 60.0 * Self::IDLE_BYTES_A_MINUTE as f64),
            directory: tor_here.then_some(Self::DIRECTORY_BYTES_A_MONTH as f64),
        }
    }

    /// All of it.
    pub fn total(&self) -> f64 {
        let tor = self.idle.unwrap_or(0.0) + self.directory.unwrap_or(0.0);
        self.own + self.chaff + self.sessions + tor
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::profile::Rhythm;

    #[test]
    fn an_anonymous_agent_has_as_many_pushes_as_slots() {
        let cost = Cost::monthly(Profile::Anonymous, Scope::default(), 1.0, true);
        // 6.5 h of life and silence, 6.0 of them with a slot every 171 s: 14,000 pushes.
        let pushes = (cost.own + cost.chaff) / Cost::PUSH_BYTES as f64;
        assert!((pushes - 14_000.0).abs() < 200.0, "{pushes}");
        let more = Cost::monthly(Profile::Anonymous, Scope::default(), 100.0, true);
        assert!((more.total() - cost.total()).abs() < 1.0, "what is measured costs nothing more");
        let sessions = cost.sessions / Cost::SESSION_BYTES as f64;
        assert!((sessions - 110.5).abs() < 1.0, "{sessions}");
        let parts = cost.own + cost.chaff + cost.sessions;
        assert_eq!(Cost::monthly(Profile::Anonymous, Scope::default(), 1.0, false).total(), parts);
    }

    #[test]
    fn a_fleet_pays_for_what_it_measures() {
        let fleet = Profile::Fleet(Rhythm::every(Duration::from_secs(240)));
        let cost = Cost::monthly(fleet, Scope::default(), 2.0, true);
        assert!((cost.own - 21_600.0 * Cost::PUSH_BYTES as f64).abs() < 1.0);
        // 15,155 slots, of which 8,850 find nothing.
        assert!((cost.chaff / Cost::PUSH_BYTES as f64 - 8_850.0).abs() < 10.0, "{}", cost.chaff);
        assert_eq!(cost.sessions, 0.0);
    }
}
