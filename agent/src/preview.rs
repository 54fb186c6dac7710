//! What would go out now, shown without changing anything: the real batch, the real gate, the real cut, on
//! copies of what is there.

use undertone_wire::{
    Point,
    batch::Payload,
    parcel::{self, Age},
    schema::{Refusal, Schema},
    session::SessionId,
};

use crate::{batch::Batch, gate::Gate, points::Inbox, spool::Spool};

/// The most parcels that are cut for a preview of points: as many as may wait.
const PARCELS_LIMIT: usize = 256;

/// What would go out now.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Preview {
    /// The parcels, in the order in which they would be sent. Those that wait already come first.
    pub parcels: Vec<PreviewParcel>,
    /// What didn't pass the gate, by name: since the agent's start, or of the points that were asked about.
    pub refused: Vec<Refused>,
    /// Series and points that don't fit into any parcel.
    pub dropped: usize,
}

/// A parcel as it would be sent. One without points is chaff, as is what is sent when there is none.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct PreviewParcel {
    /// The session that it would go out under; none where no agent runs.
    pub session: Option<SessionId>,
    /// Its points; if it waits already, with the times that they were sealed with.
    pub points: Vec<Point>,
}

/// Readings that the gate refused. This stays on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The measurement's name; `…` for all beyond the first 64.
    pub measurement: String,
    /// Why.
    pub why: Refusal,
    /// How many.
    pub count: u64,
}

impl Preview {
    /// What would leave of these points under an open schema, and in which parcels. No agent is needed.
    pub fn of(schema: &Schema, points: Vec<Point>) -> Self {
        let (inbox, outside) = Inbox::new();
        // The first points always find room.
        let _ = outside.add(points);
        let mut preview = Self::default();
        preview.cut(None, inbox, Gate::new(schema.clone().into()));
        preview
    }

    /// Of an agent's session; `batch` is what would be cut now.
    pub(crate) fn of_session(
        session: SessionId,
        spool: &Spool,
        mut batch: Batch,
        inbox: &Inbox,
        gate: &Gate,
    ) -> Self {
        let mut preview = Self::default();
        for waiting in spool.parcels() {
            let body = waiting.body(Age::default());
            // What this agent has sealed itself can be read.
            let read = parcel::read_unverified(&body).ok();
            preview.parcels.push(PreviewParcel {
                session: read.as_ref().map(|parcel| parcel.session.id()),
                points: read.and_then(|parcel| parcel.payload.decode().ok()).unwrap_or_default(),
            });
        }
        if !batch.is_empty() {
            let cut = batch.cut();
            preview.dropped += cut.dropped;
            preview.add(Some(session), &cut.payload);
        }
        preview.cut(Some(session), inbox.copy(), gate.clone());
        preview
    }

    /// All points of all parcels.
    pub fn points(&self) -> impl Iterator<Item = &Point> {
        self.parcels.iter().flat_map(|parcel| &parcel.points)
    }

    /// What an inbox gives, at last the refusals of the gate.
    fn cut(&mut self, session: Option<SessionId>, mut inbox: Inbox, mut gate: Gate) {
        while self.parcels.len() < PARCELS_LIMIT
            && let Some(cut) = inbox.cut(&mut gate)
        {
            self.dropped += cut.dropped;
            self.add(session, &cut.payload);
        }
        self.refused = gate
            .refused()
            .iter()
            .map(|((measurement, why), count)| Refused {
                measurement: measurement.clone(),
                why: *why,
                count: *count,
            })
            .collect();
    }

    fn add(&mut self, session: Option<SessionId>, payload: &Payload) {
        let points = payload.decode().unwrap_or_default();
        self.parcels.push(PreviewParcel { session, points });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use undertone_wire::{Tags, endpoint::DeploymentId, reading::Reading};

    use super::*;
    use crate::{
        clock::Clock,
        session::Session,
        snapshot::{Sample, Series},
        spool::{Sealed, Way},
    };

    fn sample(measurement: &str, count: i64) -> Sample {
        let series = Series { measurement: measurement.into(), tags: Tags::default() };
        Sample { series, reading: Reading::counter(count, 1) }
    }

    const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

    #[test]
    fn p9_a_preview_is_what_goes_out_next_and_changes_nothing() {
        let declared = "namespace = \"app\"\n[[measurement]]\nname = \"things\"\nkind = \"counter\"\n\
                        description = \"Things.\"\n";
        let mut gate = Gate::new(Arc::new(Schema::from_toml(declared).unwrap()));
        let (mut batch, mut spool, inbox) = (Batch::default(), Spool::new(DAY), Inbox::new().0);
        let mut session = Session::new(DeploymentId::from([2; 32]), &Clock::simulated(1).0);
        let read = |batch: &mut Batch, gate: &mut Gate, count| {
            let samples = [sample("app.things.count", count), sample("app.secret.count", count)];
            batch.add(samples.into_iter().filter_map(|sample| gate.pass(sample)).collect());
        };
        read(&mut batch, &mut gate, 1);
        let first = batch.cut().payload;
        let sealed = Sealed { parcel: session.seal(&first), route: None };
        spool.add(sealed, std::time::Duration::ZERO);
        read(&mut batch, &mut gate, 2);
        read(&mut batch, &mut gate, 3);

        let look = || Preview::of_session(session.id(), &spool, batch.clone(), &inbox, &gate);
        let preview = look();
        assert_eq!(look(), preview, "looking changes nothing");
        let second = batch.cut().payload;
        let expected = [first, second].map(|payload| PreviewParcel {
            session: Some(session.id()),
            points: payload.decode().unwrap(),
        });
        assert_eq!(preview.parcels, expected);
        assert_eq!(preview.points().count(), 3);
        let refused: Vec<(&str, u64)> =
            preview.refused.iter().map(|r| (&*r.measurement, r.count)).collect();
        assert_eq!(refused, [("app.secret.count", 3)]);
    }

    #[test]
    fn p9_points_are_previewed_by_the_gate_and_in_the_parcels_of_an_agent() {
        let schema = Schema::open("fleet").unwrap();
        let text = Point::new("system").field("uptime_format", "1 day").at(1);
        let with_number = text.clone().field("uptime", 1_i64);
        let preview = Preview::of(&schema, vec![text, with_number]);
        let left = Point::new("system").field("uptime", 1_i64).at(1);
        assert_eq!(preview.parcels.len(), 1);
        assert_eq!(preview.parcels[0].points, std::slice::from_ref(&left));
        assert_eq!((preview.refused.len(), preview.refused[0].count), (1, 2));
        assert_eq!(Preview::of(&schema, Vec::new()), Preview::default());
        let many = Preview::of(&schema, vec![left; 5_000]);
        assert_eq!(many.points().count(), 5_000);
        assert!(many.parcels.len() > 4, "{} parcels", many.parcels.len());
    }
}
