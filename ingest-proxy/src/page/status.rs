//! How the proxy is doing, for the page: the numbers of `/health` and `/metrics`, without a store.

use crate::{
    health::Report,
    queue::{Held, Queue, Suspect},
    writer::SinkState,
};

/// Flagged sessions that are shown.
const SUSPECTS: usize = 20;
/// Parcels' worth of held points that are shown of each.
const HELD: usize = 3;

/// A moment's state.
#[derive(Debug, Clone, Default)]
pub(super) struct Status {
    pub(super) bootstrap_percent: u8,
    pub(super) published: bool,
    pub(super) admitted_parcels: u64,
    pub(super) admitted_points: u64,
    /// What else happened to requests, parcels and points: what, in which unit, how many.
    pub(super) not_admitted: Vec<(String, &'static str, u64)>,
    pub(super) queue_parcels: u64,
    pub(super) queue_bytes: u64,
    pub(super) sinks: Vec<SinkState>,
    /// Sessions that are flagged, in all.
    pub(super) flagged: u64,
    /// The latest of them, with the latest that is held of each.
    pub(super) suspects: Vec<(Suspect, Vec<Held>)>,
}

impl Status {
    pub(super) fn of(report: &Report) -> Self {
        let progress = *report.progress.borrow();
        let stats = report.queue.stats();
        let mut not_admitted: Vec<_> = stats
            .refused()
            .map(|(reason, count)| (explained(reason).to_owned(), "points", count))
            .collect();
        let parcels = stats.refused_parcels();
        not_admitted.extend(
            parcels.map(|(reason, count)| (explained(reason).to_owned(), "parcels", count)),
        );
        not_admitted.extend([
            (
                "no parcel for this deployment, since the start".to_owned(),
                "requests",
                report.admission.counts().malformed(),
            ),
            (
                "could not be stored, since the start".to_owned(),
                "requests",
                report.admission.counts().undecided(),
            ),
            ("came again".to_owned(), "parcels", stats.replayed()),
            ("dropped: the queue was full".to_owned(), "parcels", stats.dropped_full().parcels),
            (
                "dropped: waited too long for a sink".to_owned(),
                "parcels",
                stats.dropped_old().parcels,
            ),
            ("refused by a sink".to_owned(), "points", stats.quarantined()),
        ]);
        let excess = report.admission.counts().excess();
        not_admitted.extend(excess.map(|(reason, count)| {
            (format!("{}, since the start", too_much(reason)), "requests", count)
        }));
        not_admitted.retain(|(_, _, count)| *count > 0);
        Self {
            bootstrap_percent: progress.bootstrap_percent,
            published: progress.published,
            admitted_parcels: stats.admitted().parcels,
            admitted_points: stats.admitted().points,
            not_admitted,
            queue_parcels: stats.waiting_parcels,
            queue_bytes: stats.waiting_bytes,
            sinks: report.sinks.iter().map(|sink| sink.borrow().clone()).collect(),
            flagged: stats.suspects,
            suspects: Vec::new(),
        }
    }

    /// Adds what is held; where it can't be read, nothing.
    pub(super) async fn read_suspects(&mut self, queue: &Queue) {
        if self.flagged == 0 {
            return;
        }
        for suspect in queue.suspects(SUSPECTS).await.unwrap_or_default() {
            let held = queue.held(&suspect.session, HELD).await.unwrap_or_default();
            self.suspects.push((suspect, held));
        }
    }
}

/// A reason of `undertone_requests_limited_total` in words.
fn too_much(reason: &str) -> &str {
    match reason {
        "circuit" => "too many of one circuit",
        "session" => "too many of one session",
        "session_points" => "too many points of one session",
        "session_parcels" => "too many parcels of one session",
        "slow" => "sent too slowly",
        other => other,
    }
}

/// A reason of `undertone_points_refused_total` in words.
fn explained(reason: &str) -> &str {
    match reason {
        "measurement" => "measurement not in the schema",
        "tag" => "a tag too many or too few",
        "tag_value" => "tag value not in the schema",
        "fields" => "fields of another kind of instrument",
        "bucket" => "value not one of the buckets",
        "time" => "older than 48 hours",
        "batch_bytes" => "batches that are larger than they may be",
        "batch_points" => "more points in a batch than it may have",
        "new_session" => "new sessions without a place",
        "new_series" => "new series beyond those of an hour",
        "session_series" => "more series than a session may have",
        "second_session_on_circuit" => "a second session on a circuit",
        other => other,
    }
}
