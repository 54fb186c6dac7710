//! What clients of InfluxDB write, who sign nothing: it has been checked, and is limited like parcels.

use super::*;

impl Admission {
    /// Decides about points of a session whose client signs nothing, and counts what else of its request
    /// was refused. A session that there is no place for yet is told to come again: its client knows what
    /// that means, and keeps its points.
    pub(crate) async fn admit_unsigned(
        &self,
        session: SessionId,
        points: Vec<Point>,
        refused: Vec<(&'static str, u64)>,
        circuit: &Arc<Circuit>,
    ) -> Verdict {
        if !self.sessions().may_ask(session, self.now()) {
            return self.too_much(Excess::Session);
        }
        let Ok(_place) = self.batches.acquire().await else { return Verdict::Undecided };
        if !self.sessions().has_place(session, circuit, self.now()) {
            return self.too_much(Excess::NewSession);
        }
        let tag = Name::from(session.to_string());
        let marked = |mut point: Point| {
            point.tags.insert(SESSION_TAG.into(), tag.clone());
            point
        };
        let admission = queue::Admission {
            // Nobody else knows it: a client that repeats its points overwrites them.
            parcel_id: rand::random(),
            points: points.into_iter().map(marked).collect(),
            refused,
            session: Some(*session.as_bytes()),
            ..queue::Admission::default()
        };
        match self.weigh(session, admission) {
            Ok(admission) => self.commit(session, admission).await,
            Err(TooMuch::Points) => self.too_much(Excess::SessionPoints),
            Err(TooMuch::Parcels) => self.too_much(Excess::SessionParcels),
        }
    }

    /// Counts what was refused of a request of which nothing is left, by a commit like any other.
    pub(crate) async fn count_refused(&self, refused: Vec<(&'static str, u64)>) -> Verdict {
        let reason = refused.first().map(|(reason, _)| *reason);
        let admission = queue::Admission {
            parcel_id: rand::random(),
            refused,
            refused_whole: reason,
            ..queue::Admission::default()
        };
        match self.queue.admit(admission).await {
            Ok(_) => Verdict::Taken,
            Err(_) => {
                self.counts.count_undecided();
                Verdict::Undecided
            }
        }
    }
}
