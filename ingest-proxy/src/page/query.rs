//! Reads what is charted from the embedded store: only reads, through a connection of its own.
//!
//! Everything is bounded: sessions, charts, and points a line, which SQLite thins out. Each statement
//! stands for itself, since a long transaction would keep the store from emptying its log.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use rusqlite::{Connection, Row, params};
use undertone_storage::{StorageError, failed, from_sql};

use super::{
    chart::{COLOURS, Line},
    scale::{TimeAxis, Unit},
    selection::Selection,
};
use crate::sink::embedded;

/// Sessions that are shown; each has a colour of its own.
pub(super) const SESSIONS_LIMIT: usize = COLOURS;
/// Charts on a page.
const CHARTS_LIMIT: usize = 60;
/// Series of a session that are looked at; an open schema bounds them not.
const SERIES_LIMIT: i64 = 500;
/// Fields of a measurement that can be chosen.
const FIELDS_LIMIT: i64 = 100;
/// After this, charts that are not there yet are left out; after half of it nothing is counted.
const TIME_LIMIT: Duration = Duration::from_secs(4);
/// Points a line, of which each stands for an equal span of time.
const BUCKETS: i64 = 240;
/// How often a range is halved for a store that doesn't reach as far back.
const MOST_HALVINGS: u32 = 4;
/// Sessions are in order of their beginning as long as they reported within the same of so many
/// parts of the range, so that those that report side by side don't change places all the time.
const STILL_THERE_PARTS: i64 = 8;

/// What a store has within a range.
pub(super) struct View {
    pub(super) time: TimeAxis,
    /// The file's size.
    pub(super) store_bytes: u64,
    pub(super) sessions: Vec<Session>,
    /// Sessions of this range that are not shown.
    pub(super) sessions_left_out: u64,
    pub(super) measurements: Vec<Measurement>,
    pub(super) charts_left_out: usize,
}

/// A session that reported within the range.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) colour: usize,
    pub(super) first: Moment,
    pub(super) last: Moment,
    /// Points within the range; none where counting them would take too long.
    pub(super) points: Option<u64>,
}

/// A time, in nanoseconds since 1970 and as the local clock says it.
pub(super) struct Moment {
    pub(super) time: i64,
    pub(super) text: String,
}

/// A measurement and its charts.
pub(super) struct Measurement {
    pub(super) name: String,
    /// All fields it has.
    pub(super) fields: Vec<String>,
    pub(super) plots: Vec<Plot>,
}

/// The history of one field for one set of tags.
pub(super) struct Plot {
    /// A JSON object.
    pub(super) tags: String,
    pub(super) field: String,
    pub(super) unit: Unit,
    pub(super) lines: Vec<Line>,
}

/// An open store.
pub(super) struct Reader {
    connection: Connection,
}

impl Reader {
    pub(super) fn open(data_dir: &Path) -> Result<Self, StorageError> {
        Ok(Self { connection: embedded::open_to_read(data_dir)? })
    }

    /// Reads what `selection` asks for, up to now.
    pub(super) fn view(
        &self,
        selection: &Selection,
        now: SystemTime,
    ) -> Result<View, StorageError> {
        self.read(selection, now).map_err(failed("cannot read the store for the operator page"))
    }

    fn read(&self, selection: &Selection, now: SystemTime) -> rusqlite::Result<View> {
        let began = Instant::now();
        let span = self.span(selection, now)?;
        let (mut sessions, sessions_left_out) = self.sessions(span.axis)?;
        let mut series = BTreeMap::new();
        for session in &mut sessions {
            let count = began.elapsed() < TIME_LIMIT / 2;
            self.add_series(session, span.axis, count, &mut series)?;
        }
        let (mut measurements, mut charts, mut charts_left_out) = (Vec::new(), 0, 0);
        for ((id, name), by_tags) in series {
            if charts == CHARTS_LIMIT || began.elapsed() > TIME_LIMIT {
                charts_left_out += by_tags.len();
                continue;
            }
            let fields = self.fields(id)?;
            let chosen = chosen(&name, &fields, selection.field(&name));
            let mut plots = Vec::new();
            for (tags, members) in by_tags {
                for (field, field_name) in &chosen {
                    if charts == CHARTS_LIMIT || began.elapsed() > TIME_LIMIT {
                        charts_left_out += 1;
                        continue;
                    }
                    charts += 1;
                    plots.push(self.plot(&name, &tags, &members, *field, field_name, span)?);
                }
            }
            let fields = fields.into_iter().map(|(_, name)| name).collect();
            measurements.push(Measurement { name, fields, plots });
        }
        measurements.sort_by(|a, b| a.name.cmp(&b.name));
        let store_bytes =
            self.number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?;
        Ok(View {
            time: span.axis,
            store_bytes: from_sql(store_bytes),
            sessions,
            sessions_left_out,
            measurements,
            charts_left_out,
        })
    }

    /// From the beginning of a bucket, so that buckets are the same the next time. While the store
    /// is younger than the range, only half of it is shown, or half of that.
    fn span(&self, selection: &Selection, now: SystemTime) -> rusqlite::Result<Span> {
        let to = nanoseconds(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        let age = to - self.number("SELECT coalesce(min(oldest), 0) FROM series")?;
        let mut length = nanoseconds(selection.range.length);
        let shortest = length >> MOST_HALVINGS;
        while length > shortest && age < length / 2 - length / BUCKETS {
            length /= 2;
        }
        let bucket = length / BUCKETS;
        let from = (to / bucket - BUCKETS + 1) * bucket;
        let offset_seconds =
            self.number("SELECT unixepoch('now', 'localtime') - unixepoch('now')")?;
        Ok(Span { axis: TimeAxis { from, to, offset_seconds }, bucket })
    }

    /// Those that reported last, in order of their beginning, and how many more there are.
    fn sessions(&self, time: TimeAxis) -> rusqlite::Result<(Vec<Session>, u64)> {
        let mut statement = self.connection.prepare_cached(
            "WITH known AS (
                 SELECT session, min(oldest) AS first, max(newest) AS last,
                        row_number() OVER (ORDER BY min(oldest), session) - 1 AS place
                 FROM series WHERE session <> '' GROUP BY session
             )
             SELECT session, first, datetime(first / 1000000000, 'unixepoch', 'localtime'),
                    last, datetime(last / 1000000000, 'unixepoch', 'localtime'),
                    place, count(*) OVER ()
             FROM known WHERE last >= ?1
             ORDER BY last / ?2 DESC, first, session LIMIT ?3",
        )?;
        let mut total = 0;
        let part = (time.to - time.from) / STILL_THERE_PARTS;
        let rows = statement.query_map(params![time.from, part, SESSIONS_LIMIT as i64], |row| {
            total = row.get(6)?;
            Ok(Session {
                id: row.get(0)?,
                colour: from_sql(row.get(5)?) as usize % COLOURS,
                first: moment(row, 1)?,
                last: moment(row, 3)?,
                points: Some(0),
            })
        })?;
        let mut sessions: Vec<Session> = rows.collect::<Result<_, _>>()?;
        sessions.sort_by(|a, b| (a.first.time, &a.id).cmp(&(b.first.time, &b.id)));
        give_each_a_colour(&mut sessions);
        let left_out = from_sql(total).saturating_sub(sessions.len() as u64);
        Ok((sessions, left_out))
    }

    /// A session's series within the range, by measurement and tags, and how many points they have.
    fn add_series(
        &self,
        session: &mut Session,
        time: TimeAxis,
        count: bool,
        all: &mut BTreeMap<(i64, String), BTreeMap<String, Vec<Member>>>,
    ) -> rusqlite::Result<()> {
        // In this order for the index, which begins with the measurement.
        let mut statement = self.connection.prepare_cached(
            "SELECT measurement.id, measurement.name, tags, series.id,
                    CASE WHEN ?3 THEN (SELECT count(*) FROM (
                        SELECT DISTINCT time FROM sample WHERE series = series.id AND time >= ?2
                    )) END
             FROM measurement
             CROSS JOIN series ON series.measurement = measurement.id AND session = ?1
             WHERE newest >= ?2 LIMIT ?4",
        )?;
        let mut rows = statement.query(params![session.id, time.from, count, SERIES_LIMIT])?;
        while let Some(row) = rows.next()? {
            let member = Member {
                series: row.get(3)?,
                colour: session.colour,
                session: short(&session.id).to_owned(),
            };
            let points: Option<i64> = row.get(4)?;
            session.points = session.points.zip(points).map(|(sum, more)| sum + from_sql(more));
            let by_tags = all.entry((row.get(0)?, row.get(1)?)).or_default();
            by_tags.entry(row.get(2)?).or_default().push(member);
        }
        Ok(())
    }

    fn fields(&self, measurement: i64) -> rusqlite::Result<Vec<(i64, String)>> {
        self.connection
            .prepare_cached(
                "SELECT id, name FROM field WHERE measurement = ? ORDER BY name LIMIT ?",
            )?
            .query_map([measurement, FIELDS_LIMIT], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    fn plot(
        &self,
        measurement: &str,
        tags: &str,
        members: &[Member],
        field: i64,
        field_name: &str,
        span: Span,
    ) -> rusqlite::Result<Plot> {
        let mut lines = Vec::new();
        for member in members {
            let points = self.points(member.series, field, field_name, span)?;
            if !points.is_empty() {
                let (colour, session) = (member.colour, member.session.clone());
                lines.push(Line { colour, session, points });
            }
        }
        let unit = Unit::of(kind(measurement), field_name);
        Ok(Plot { tags: tags.to_owned(), field: field_name.to_owned(), unit, lines })
    }

    /// One point for each bucket that has samples, at its last sample's time; the last point is the
    /// newest sample as it is.
    fn points(
        &self,
        series: i64,
        field: i64,
        field_name: &str,
        span: Span,
    ) -> rusqlite::Result<Vec<(i64, f64)>> {
        // With only `max(time)` as an aggregate, SQLite takes `value` from the row that has it.
        let thinned = match field_name {
            "count" => "value",
            "min" => "min(value)",
            "max" => "max(value)",
            _ => "avg(value)",
        };
        let in_range =
            "FROM sample WHERE series = ?1 AND field = ?2 AND time >= ?3 AND kind <> 's'";
        let mut points: Vec<(i64, f64)> = self
            .connection
            .prepare_cached(&format!(
                "SELECT max(time), CAST({thinned} AS REAL) {in_range} GROUP BY time / ?4 ORDER BY 1"
            ))?
            .query_map(params![series, field, span.axis.from, span.bucket], point)?
            .collect::<Result<_, _>>()?;
        let newest =
            format!("SELECT time, CAST(value AS REAL) {in_range} ORDER BY time DESC LIMIT 1");
        let newest = self
            .connection
            .prepare_cached(&newest)?
            .query_map(params![series, field, span.axis.from], point)?
            .next()
            .transpose()?;
        if let (Some(last), Some(newest)) = (points.last_mut(), newest) {
            *last = newest;
        }
        points.retain(|(_, value)| value.is_finite());
        Ok(points)
    }

    fn number(&self, sql: &str) -> rusqlite::Result<i64> {
        self.connection.query_row(sql, [], |row| row.get(0))
    }
}

/// The range, and how long a bucket of it is, in nanoseconds.
#[derive(Clone, Copy)]
struct Span {
    axis: TimeAxis,
    bucket: i64,
}

/// One session's part in a chart.
struct Member {
    series: i64,
    colour: usize,
    session: String,
}

/// A session keeps the colour of its place among all in the store, whatever the range. Of two with the
/// same the later one gets the next that is free.
fn give_each_a_colour(sessions: &mut [Session]) {
    let mut taken = [false; COLOURS];
    for session in sessions {
        let wanted = session.colour..session.colour + COLOURS;
        let free = wanted.map(|colour| colour % COLOURS).find(|colour| !taken[*colour]);
        session.colour = free.unwrap_or(session.colour);
        taken[session.colour] = true;
    }
}

/// The beginning of a session's ID, which tells it from all others on a page.
pub(super) fn short(session: &str) -> &str {
    session.split('-').next().unwrap_or(session)
}

/// What a measurement's name ends in.
fn kind(measurement: &str) -> &str {
    measurement.rsplit('.').next().unwrap_or_default()
}

/// Fields of a host's measurements that say most, the best first.
const TELLING: [&str; 6] =
    ["usage_user", "used_percent", "load1", "bytes_recv", "write_bytes", "uptime"];

/// The fields to draw: what the operator wants if it is there, else what says most.
fn chosen(measurement: &str, fields: &[(i64, String)], wanted: Option<&str>) -> Vec<(i64, String)> {
    let find = |names: &[&str]| -> Vec<(i64, String)> {
        let known = names.iter().filter_map(|name| fields.iter().find(|(_, field)| field == name));
        known.cloned().collect()
    };
    let wanted = find(wanted.as_slice());
    if !wanted.is_empty() {
        return wanted;
    }
    let usual = find(match kind(measurement) {
        "count" => &["delta"],
        "meter" => &["m1"],
        "histogram" | "timer" => &["mean", "p95"],
        _ => &["value"],
    });
    // Points from elsewhere have many fields: one that most want to see, else the first.
    let usual = if usual.is_empty() { find(&TELLING).into_iter().take(1).collect() } else { usual };
    if usual.is_empty() { fields.first().cloned().into_iter().collect() } else { usual }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Moment> {
    Ok(Moment { time: row.get(column)?, text: row.get(column + 1)? })
}

fn point(row: &Row<'_>) -> rusqlite::Result<(i64, f64)> {
    Ok((row.get(0)?, row.get(1)?))
}
