//! The way of a session's parcels: onion addresses, to each of them circuits that no other session has, and what
//! is known of those. Ends with the session.
//!
//! The addresses are of one deployment, in an order that is drawn at random. Parcels go to the first until that
//! fails, then to the next, and so on around (decision 0023). When they go, it changes nothing about.

use rand::seq::SliceRandom;
use undertone_wire::endpoint::Endpoint;

use crate::{
    clock::Randomness,
    pusher::{FailureKind, Outcome},
    transport::Isolation,
};

/// After so many pushes in a row that failed, Tor is asked for everything anew.
const FAILURES_LIMIT: u32 = 5;

/// How one session's parcels are sent.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// One for each address; never none.
    circuits: Vec<Circuit>,
    /// Which of them parcels go to that have not been anywhere yet.
    current: usize,
}

/// How one address is reached.
#[derive(Debug, Clone)]
pub(crate) struct Circuit {
    pub(crate) endpoint: Endpoint,
    pub(crate) isolation: Isolation,
    /// Pushes that failed since the circuit was last given up.
    failed: u32,
    /// Pushes that hung since one was last answered.
    pub(crate) hung: u32,
}

impl Circuit {
    pub(crate) fn new(endpoint: Endpoint, isolation: Isolation) -> Self {
        Self { endpoint, isolation, failed: 0, hung: 0 }
    }

    /// Leaves the circuit behind, which is returned.
    fn leave(&mut self) -> Isolation {
        self.failed = 0;
        let left = self.isolation;
        self.isolation = left.next();
        left
    }
}

impl Route {
    /// None without an address. The first circuit has this isolation, each of the others one of its own.
    pub(crate) fn new(
        endpoints: &[Endpoint],
        isolation: Isolation,
        randomness: &mut Randomness,
    ) -> Option<Self> {
        let mut endpoints = endpoints.to_vec();
        endpoints.shuffle(randomness);
        let mut endpoints = endpoints.into_iter();
        let mut circuits = vec![Circuit::new(endpoints.next()?, isolation)];
        circuits.extend(
            endpoints.map(|endpoint| Circuit::new(endpoint, Isolation::random(randomness))),
        );
        Some(Self { circuits, current: 0 })
    }

    /// That to the address that a parcel may have reached, if it is one of the deployment's; else the one that is
    /// taken now.
    pub(crate) fn circuit(&self, reached: Option<&Endpoint>) -> &Circuit {
        let index = reached.and_then(|endpoint| self.index(endpoint));
        &self.circuits[index.unwrap_or(self.current)]
    }

    /// Whether the address that a parcel may have reached isn't the one that the others go to now.
    pub(crate) fn is_left(&self, reached: Option<&Endpoint>) -> bool {
        reached.is_some_and(|endpoint| self.circuits[self.current].endpoint != *endpoint)
    }

    /// Whether there are several addresses.
    pub(crate) fn has_several(&self) -> bool {
        self.circuits.len() > 1
    }

    /// All that the session may have circuits under.
    pub(crate) fn isolations(&self) -> impl Iterator<Item = Isolation> {
        self.circuits.iter().map(|circuit| circuit.isolation)
    }

    /// Goes where another session's parcels go, which knows better whom there is a way to.
    pub(crate) fn follow(&mut self, other: &Self) {
        if let Some(index) = self.index(&other.circuits[other.current].endpoint) {
            self.current = index;
        }
    }

    /// Takes note of what became of a push to this address, and says whether its circuit is to be left behind:
    /// then the next push finds descriptor and circuit anew. `handed`: the address may have got something.
    ///
    /// arti waits ten minutes for the answer to an introduction that died with the proxy, and asks a
    /// directory for the same descriptor once in fifteen; new attempts would join the old (decision
    /// 0010).
    pub(crate) fn learn(
        &mut self,
        endpoint: &Endpoint,
        outcome: Outcome,
        handed: bool,
    ) -> Option<Isolation> {
        let index = self.index(endpoint)?;
        let turns = self.has_several() && index == self.current && elsewhere(outcome, handed);
        if turns {
            self.current = (index + 1) % self.circuits.len();
        }
        let circuit = &mut self.circuits[index];
        match outcome {
            Outcome::Taken | Outcome::Malformed => {
                (circuit.failed, circuit.hung) = (0, 0);
                None
            }
            Outcome::Failed(_) if !turns && circuit.failed + 1 < FAILURES_LIMIT => {
                circuit.failed += 1;
                None
            }
            Outcome::Failed(_) | Outcome::Hung(_) => {
                circuit.hung += u32::from(matches!(outcome, Outcome::Hung(_)));
                Some(circuit.leave())
            }
        }
    }

    /// Leaves the circuit to this address behind, which is returned.
    pub(crate) fn leave(&mut self, endpoint: &Endpoint) -> Option<Isolation> {
        let index = self.index(endpoint)?;
        Some(self.circuits[index].leave())
    }

    fn index(&self, endpoint: &Endpoint) -> Option<usize> {
        self.circuits.iter().position(|circuit| circuit.endpoint == *endpoint)
    }
}

/// Whether another address may do better: not where Tor itself or the disk fails.
fn elsewhere(outcome: Outcome, handed: bool) -> bool {
    match outcome {
        Outcome::Taken | Outcome::Malformed => false,
        Outcome::Failed(FailureKind::Tor | FailureKind::DataFolder) => handed,
        Outcome::Failed(_) | Outcome::Hung(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const ONIONS: [&str; 2] = [
        "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion",
        "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion",
    ];

    fn route(seed: u64, number: usize) -> Route {
        let endpoints: Vec<Endpoint> =
            ONIONS[..number].iter().map(|onion| onion.parse().unwrap()).collect();
        let mut randomness = Randomness::seed_from_u64(seed);
        Route::new(&endpoints, Isolation([7; 16]), &mut randomness).unwrap()
    }

    #[test]
    fn d3_which_address_comes_first_is_drawn() {
        let first = |seed| route(seed, 2).circuit(None).endpoint.clone();
        let of_first = (0..400).filter(|seed| first(*seed) == first(0)).count();
        assert!((140..=260).contains(&of_first), "{of_first} of 400");
    }

    #[test]
    fn d3_p7_what_cannot_be_reached_is_left_with_its_circuit() {
        for (outcome, handed, turns) in [
            (Outcome::Taken, true, false),
            (Outcome::Malformed, true, false),
            (Outcome::Failed(FailureKind::Endpoint), false, true),
            (Outcome::Hung(FailureKind::Tor), false, true),
            (Outcome::Failed(FailureKind::Unavailable), true, true),
            (Outcome::Failed(FailureKind::Protocol), true, true),
            (Outcome::Hung(FailureKind::Unavailable), true, true),
            (Outcome::Failed(FailureKind::Tor), false, false),
            (Outcome::Failed(FailureKind::DataFolder), false, false),
        ] {
            let mut route = route(1, 2);
            let first = route.circuit(None).clone();
            let left = route.learn(&first.endpoint, outcome, handed);
            assert_eq!(route.is_left(Some(&first.endpoint)), turns, "{outcome:?}");
            assert_eq!(left == Some(first.isolation), turns, "{outcome:?}");
            // Who has been there goes there again, on another circuit.
            let again = route.circuit(Some(&first.endpoint));
            assert_eq!(again.endpoint, first.endpoint);
            assert_eq!(again.isolation == first.isolation, !turns, "{outcome:?}");
            let mut isolations: Vec<_> = route.isolations().map(|i| i.0).collect();
            isolations.extend(left.map(|i| i.0));
            let all = isolations.len();
            isolations.sort();
            isolations.dedup();
            assert_eq!(isolations.len(), all, "circuits are shared");
        }
    }

    #[test]
    fn one_address_is_never_left_and_its_circuit_after_five_failures() {
        let mut route = route(1, 1);
        let endpoint = route.circuit(None).endpoint.clone();
        let failed = Outcome::Failed(FailureKind::Endpoint);
        let left: Vec<bool> =
            (0..10).map(|_| route.learn(&endpoint, failed, false).is_some()).collect();
        assert_eq!(left.iter().filter(|left| **left).count(), 2);
        assert!(left[4] && left[9] && !route.is_left(Some(&endpoint)));
    }

    #[test]
    fn what_may_have_reached_an_address_is_not_what_turns_back_to_it() {
        let mut route = route(3, 2);
        let (first, failed) =
            (route.circuit(None).endpoint.clone(), Outcome::Failed(FailureKind::Endpoint));
        route.learn(&first, failed, false);
        let second = route.circuit(None).endpoint.clone();
        assert_ne!(first, second);
        // A retry to the address that was left changes nothing for the others.
        route.learn(&first, failed, false);
        assert_eq!(route.circuit(None).endpoint, second);
        route.learn(&second, failed, false);
        assert_eq!(route.circuit(None).endpoint, first, "around");
    }
}
