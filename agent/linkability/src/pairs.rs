//! Which sessions could be the one before which: what every attacker starts from, and what it is judged by.

use std::collections::HashMap;

use crate::seen::Session;

/// Sessions in the order of their beginning, and for some of them what could have come before.
#[derive(Debug)]
pub struct Pairs {
    /// All sessions.
    pub sessions: Vec<Session>,
    /// Those that an attacker is asked about.
    pub questions: Vec<Question>,
    /// How many sessions begin in an hour.
    pub rate: f64,
}

/// A session whose agent had another one before, and what could be that.
#[derive(Debug)]
pub struct Question {
    /// The session, by its place in [`Pairs::sessions`].
    pub session: usize,
    /// Its agent's session before; what is asked for.
    pub answer: usize,
    /// Sessions that ended within reach before it began.
    pub candidates: Vec<u32>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    /// How long a session may have ended before, in seconds.
    pub reach: f64,
    /// Sessions that begin before this are not asked about, in seconds: the crowd was still gathering.
    pub from: f64,
    /// How many sessions are asked about, spread evenly.
    pub at_most: usize,
}

/// Parcels may overtake each other on their way.
const OVERTAKING: f64 = 15.0;

impl Pairs {
    /// All questions about these sessions.
    pub fn new(mut sessions: Vec<Session>, asking: Asking) -> Self {
        sessions.sort_by(|a, b| a.begin.total_cmp(&b.begin).then(a.agent.cmp(&b.agent)));
        let mut ends: Vec<u32> = (0..sessions.len() as u32).collect();
        ends.sort_by(|a, b| sessions[*a as usize].end.total_cmp(&sessions[*b as usize].end));
        let end = |place: u32| sessions[place as usize].end;
        let mut latest = HashMap::new();
        let mut questions = Vec::new();
        for (place, session) in sessions.iter().enumerate() {
            let before = latest.insert(session.agent, place);
            let Some(answer) = before.filter(|_| session.begin >= asking.from) else { continue };
            questions.push(Question { session: place, answer, candidates: Vec::new() });
        }
        let every = questions.len().div_ceil(asking.at_most.max(1)).max(1);
        let mut questions: Vec<Question> = questions.into_iter().step_by(every).collect();
        let joined = Joined::new(&sessions);
        for question in &mut questions {
            let begin = sessions[question.session].begin;
            let first = ends.partition_point(|place| end(*place) < begin - asking.reach);
            let last = ends.partition_point(|place| end(*place) <= begin + OVERTAKING);
            let others =
                ends[first..last].iter().filter(|place| **place as usize != question.session);
            question.candidates = others.copied().collect();
            for other in joined.of(&sessions[question.session], question.session) {
                if !question.candidates.contains(&other) {
                    question.candidates.push(other);
                }
            }
        }
        let begun: Vec<f64> =
            sessions.iter().map(|s| s.begin).filter(|begin| *begin >= asking.from).collect();
        let hours =
            begun.last().zip(begun.first()).map_or(1.0, |(last, first)| (last - first) / 3_600.0);
        Self { sessions, questions, rate: begun.len() as f64 / hours.max(1e-9) }
    }

    /// How often it would be right to guess at random: one in the sessions that begin in the run.
    pub fn chance(&self) -> f64 {
        1.0 / (self.sessions.len().max(1) as f64)
    }

    /// A question's session and one of its candidates, the older one first.
    pub fn pair(&self, question: &Question, candidate: u32) -> (&Session, &Session) {
        (&self.sessions[candidate as usize], &self.sessions[question.session])
    }
}

/// What is a candidate however long ago it ended: whoever had the same ID or circuit, and whoever sent what had
/// waited when the session began.
struct Joined {
    ids: HashMap<u128, Vec<u32>>,
    circuits: HashMap<u128, Vec<u32>>,
    late: Vec<(f64, u32)>,
}

/// How long before or after a session's beginning, in seconds.
const TOGETHER: f64 = 60.0;

impl Joined {
    fn new(sessions: &[Session]) -> Self {
        let mut joined = Self { ids: HashMap::new(), circuits: HashMap::new(), late: Vec::new() };
        for (place, session) in sessions.iter().enumerate() {
            let place = place as u32;
            joined.ids.entry(session.id).or_default().push(place);
            joined.circuits.entry(session.circuits[1]).or_default().push(place);
            joined.late.extend(session.late.map(|late| (late, place)));
        }
        joined.late.sort_by(|a, b| a.0.total_cmp(&b.0));
        joined
    }

    fn of(&self, session: &Session, place: usize) -> Vec<u32> {
        let mut found = Vec::new();
        // A crowd without a program has neither.
        let mut add = |places: &HashMap<u128, Vec<u32>>, of: u128| {
            let places = places.get(&of).filter(|_| of != 0).into_iter().flatten();
            found.extend(places.copied().filter(|other| (*other as usize) < place));
        };
        add(&self.ids, session.id);
        add(&self.circuits, session.circuits[0]);
        let first = self.late.partition_point(|(late, _)| *late < session.begin - TOGETHER);
        let late =
            self.late[first..].iter().take_while(|(late, _)| *late < session.begin + TOGETHER);
        found.extend(late.map(|(_, other)| *other).filter(|other| (*other as usize) < place));
        found.sort_unstable();
        found.dedup();
        found
    }
}
