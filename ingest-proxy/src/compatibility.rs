//! Routes for clients of InfluxDB, off unless the configuration turns them on: `POST /write`,
//! `POST /api/v2/write`, `GET` and `HEAD /ping`, as TorfluxDB's users had them.
//!
//! Nothing is forwarded. A body is received within bounds (S2), each line is read, checked and written
//! anew (S3), and what is left goes the way of parcels: places for sessions, the queue, an answer after
//! the commit (D1). The answers are constants without a body, whatever a database says (S4): 204 taken,
//! 400 not a request to these routes, 413 send less at once, 503 come again. Good lines are stored beside
//! bad ones, which are counted by reason, so that a client neither repeats for ever nor loses good ones.
//!
//! The file list is the way of a request: `route`, `body`, `check`, `session`.

mod body;
mod check;
mod route;
mod session;
#[cfg(test)]
mod tests;

use std::{io, path::Path, sync::Arc, time::SystemTime};

use hyper::{Request, StatusCode, body::Incoming};
use undertone_wire::influxdb::{BodyError, Precision, Text};

use self::{body::Bodies, check::Checked, route::Route, session::ClientSessions};
use crate::{
    admission::{Admission, Excess, Verdict},
    config::{ClientSession, CompatibilityConfig, Limits, count},
    error::Error,
    front::Circuit,
    schemas::CurrentSchemas,
};

/// Sessions that one body may have: so many commits it costs at most.
const SESSIONS_OF_A_BODY: usize = 16;

/// What a request to these routes is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// A status and nothing else.
    Status(StatusCode),
    /// That somebody is here.
    Pong,
}

impl From<Verdict> for Said {
    fn from(verdict: Verdict) -> Self {
        Self::Status(match verdict {
            Verdict::Taken => StatusCode::NO_CONTENT,
            Verdict::Malformed => StatusCode::BAD_REQUEST,
            Verdict::Undecided => StatusCode::SERVICE_UNAVAILABLE,
        })
    }
}

/// Answers requests of clients of InfluxDB.
#[derive(Debug)]
pub(crate) struct Compatibility {
    config: CompatibilityConfig,
    admission: Arc<Admission>,
    schemas: CurrentSchemas,
    limits: Arc<Limits>,
    sessions: ClientSessions,
    bodies: Bodies,
}

impl Compatibility {
    /// Reads the secret that clients' own sessions are hashed with, or makes it, where they have such.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if it can't be read or written.
    pub(crate) fn open(
        mut config: CompatibilityConfig,
        data_dir: &Path,
        admission: Arc<Admission>,
        schemas: CurrentSchemas,
        limits: Arc<Limits>,
    ) -> Result<Self, Error> {
        let sessions = match config.session {
            ClientSession::Circuit => ClientSessions::by_circuit(),
            ClientSession::Client => ClientSessions::by_tag(data_dir, &config.client_tag)?,
        };
        // What a session may never bring at once would be asked for again for ever.
        config.lines = config.lines.min(count(limits.points_per_session_per_hour));
        let bodies = Bodies::new(&config);
        Ok(Self { config, admission, schemas, limits, sessions, bodies })
    }

    /// What a request is answered with; an error ends the stream without an answer.
    pub(crate) async fn respond(
        &self,
        request: Request<Incoming>,
        circuit: &Arc<Circuit>,
    ) -> io::Result<Said> {
        let (head, mut body) = request.into_parts();
        let refused = |status| {
            self.admission.counts().count_malformed();
            Ok(Said::Status(status))
        };
        let Some(route) = Route::of(&head, &self.config) else {
            // Whoever is cut off while it writes may never see the answer, and comes again.
            if Route::is_write(&head) {
                body::discard(&mut body, self.config.body_bytes, self.limits.body()).await;
            }
            return refused(StatusCode::BAD_REQUEST);
        };
        let precision = match route {
            Route::Ping => return Ok(Said::Pong),
            Route::Write(precision) => precision,
        };
        let received = self.bodies.receive(&head.headers, &mut body, self.limits.body()).await;
        let (bytes, place) = match received {
            Ok(received) => received,
            Err(body::NoBody::Full) => {
                self.admission.counts().count_excess(Excess::Bodies);
                return Ok(Said::Status(StatusCode::SERVICE_UNAVAILABLE));
            }
            Err(body::NoBody::Bad(BodyError::TooSlow)) => {
                self.admission.counts().count_excess(Excess::Slow);
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(body::NoBody::Bad(BodyError::Broken)) => return refused(StatusCode::BAD_REQUEST),
            Err(body::NoBody::Bad(why)) => {
                body::discard(&mut body, self.config.body_bytes, self.limits.body()).await;
                return refused(match why {
                    BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                    _ => StatusCode::BAD_REQUEST,
                });
            }
        };
        let Some(checked) = self.read(&bytes, precision) else {
            return refused(StatusCode::PAYLOAD_TOO_LARGE);
        };
        drop(bytes);
        let verdict = self.admit(checked, circuit).await;
        drop(place);
        Ok(verdict.into())
    }

    /// The lines of a body, by session; none if there are too many.
    fn read(&self, bytes: &[u8], precision: Precision) -> Option<Checked> {
        let (now, schemas) = (SystemTime::now(), self.schemas.now());
        let text = Text::of(bytes);
        let points = text.points(precision, check::nanoseconds(now));
        check::check(points, &self.config, &self.sessions, &schemas, now)
    }

    /// One admission for each session; what isn't decided for one is asked for again for all, and
    /// overwrites itself where it was taken.
    async fn admit(&self, checked: Checked, circuit: &Arc<Circuit>) -> Verdict {
        let Checked { sessions, mut refused } = checked;
        let mut by_session = Vec::new();
        for (number, (tag, points)) in sessions.into_iter().enumerate() {
            let session = self.sessions.of(tag.as_deref(), circuit);
            match session {
                None => check::refuse(&mut refused, "second_session_on_circuit", points.len()),
                Some(_) if number >= SESSIONS_OF_A_BODY => {
                    check::refuse(&mut refused, "sessions_of_a_body", points.len());
                }
                Some(session) => by_session.push((session, points)),
            }
        }
        let mut refused: Vec<(&'static str, u64)> = refused.into_iter().collect();
        for (session, points) in by_session {
            let counts = std::mem::take(&mut refused);
            let verdict = self.admission.admit_unsigned(session, points, counts, circuit).await;
            if verdict != Verdict::Taken {
                return verdict;
            }
        }
        if refused.is_empty() {
            Verdict::Taken
        } else {
            self.admission.count_refused(refused).await
        }
    }
}
