//! Every instrument with known numbers: each field of each point is what go-metrics would have made of
//! them.
//!
//! A failure: a name, field or type that isn't go-metrics'; a count, sum, extreme or mean that isn't
//! exact; a percentile or spread outside the documented 1/32; InfluxDB and the store of two opinions.
//! Not a failure: how long the agent needs for Tor, or how often its averages moved in that time.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use undertone_tests::{influxdb2::Influxd, proxy::Proxy, tor_network::TorNetwork, wait};

use crate::fixtures::{ARRIVAL, Reporter};

/// What is recorded in one interval each. 2^53 + 1 is a number that no float can hold.
const INTERVALS: [&str; 3] = [
    "inc 10, dec 1, dec 2, open 7, load -2.5, mark 1, mark 39, \
     size -40000, size -5, size 0, size 3, size 31, size 1000, size 9007199254740993, \
     ok 1500000, ok 2500000, ok 100, failed 30000000000",
    "inc 1, open -3, load 0.1, size 1000, size 1100, size 1210, size 1331, size 1464, size 1610, \
     size 1771, size 1948, size 2143, size 2357, size 2593",
    "clear, inc 3, open 10",
];
/// What is recorded last, and leaves with the drain.
const LAST: &str = "dec 1000, mark 5, size -7, failed 1";
/// Marks before the averages move for the first time.
const MARKS: f64 = 40.0;
/// Readings that are waited for, a second apart: the averages have moved twice by then.
const READINGS: i64 = 12;

#[test]
fn every_field_of_every_instrument_is_what_go_metrics_makes_of_it() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let database = Influxd::start()?;
    let mut proxy =
        Proxy::on(&tor.arti_toml()?)?.influxdb2(&database)?.start(&[&Reporter::schema()?])?;
    let arguments = INTERVALS.map(|script| format!("--interval={script}"));
    let arguments = [&arguments[..], &[format!("--last={LAST}")]].concat();
    let reporter = Reporter::start(tor, proxy.ingest(), &arguments)?;
    let session = reporter.session.clone();
    wait::until("some readings", ARRIVAL, || {
        let store = Points::in_store(&proxy, &session)?;
        Ok((store.last_reading() >= READINGS).then_some(()))
    })?;
    let log = reporter.stop()?;
    assert!(log.contains("readings_refused: 0") && log.contains("series_dropped: 0"), "{log}");

    let expected = Expected::from_log(&log)?;
    for place in ["the store", "InfluxDB"] {
        let points = wait::until(&format!("the last reading in {place}"), ARRIVAL, || {
            let points = match place {
                "InfluxDB" => Points::in_influxdb(&database, &session)?,
                _ => Points::in_store(&proxy, &session)?,
            };
            Ok((points.last_reading() == expected.last).then_some(points))
        })?;
        expected.check(&points).context(place)?;
    }
    proxy.stop()
}

/// A field's value with its type.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Integer(i64),
    Float(f64),
}

type Fields = BTreeMap<String, Value>;

/// Measurement, and outcome if it has one.
type Series = (String, String);

/// What a database has, by the number of the reading: all points of one have the same time.
struct Points(BTreeMap<i64, BTreeMap<Series, Fields>>);

impl Points {
    fn in_store(proxy: &Proxy, session: &str) -> Result<Self> {
        Self::new(proxy.sqlite3(&format!(
            "SELECT time, measurement, coalesce(tags ->> 'outcome', ''), field, kind,
                    iif(kind = 'f', printf('%!.17g', value), value)
             FROM point WHERE session = '{session}'"
        ))?)
    }

    fn in_influxdb(database: &Influxd, session: &str) -> Result<Self> {
        let rows = database.query_flux(&format!(
            r#"import "types"
               from(bucket: "{}") |> range(start: -1d, stop: 1d)
               |> filter(fn: (r) => r.session == "{session}")
               |> map(fn: (r) => ({{
                    time: string(v: int(v: r._time)), measurement: r._measurement,
                    outcome: if exists r.outcome then r.outcome else "", field: r._field,
                    kind: if types.isType(v: r._value, type: "int") then "i"
                          else if types.isType(v: r._value, type: "float") then "f" else "?",
                    value: string(v: r._value)
                  }}))"#,
            database.bucket
        ))?;
        let columns = ["time", "measurement", "outcome", "field", "kind", "value"];
        Self::new(rows.iter().map(|row| columns.map(|column| row[column].clone()).into()).collect())
    }

    fn new(rows: Vec<Vec<String>>) -> Result<Self> {
        let mut by_time: BTreeMap<String, BTreeMap<Series, Fields>> = BTreeMap::new();
        for row in rows {
            let Ok([time, measurement, outcome, field, kind, value]) = <[String; 6]>::try_from(row)
            else {
                bail!("not six columns")
            };
            let value = match &*kind {
                "i" => Value::Integer(value.parse()?),
                "f" => Value::Float(value.parse()?),
                _ => bail!("{measurement} {field} is of the type {kind}"),
            };
            let point = by_time.entry(time).or_default().entry((measurement, outcome)).or_default();
            point.insert(field, value);
        }
        let readings = by_time.into_values().filter_map(|points| {
            let number = points.get(&series("reading.gauge"))?.get("value")?;
            let Value::Integer(number) = *number else { return None };
            Some((number, points))
        });
        Ok(Self(readings.collect()))
    }

    fn last_reading(&self) -> i64 {
        self.0.keys().next_back().copied().unwrap_or(-1)
    }
}

fn series(name: &str) -> Series {
    (format!("reporter.{name}"), String::new())
}

/// What was recorded, by reading.
struct Expected {
    recorded: BTreeMap<i64, &'static str>,
    last: i64,
}

/// What instruments hold at a reading.
#[derive(Default)]
struct State {
    things: i64,
    open: i64,
    load: f64,
    marks: Counted,
    sizes: Counted,
    ok: Counted,
    failed: Counted,
}

#[derive(Default)]
struct Counted {
    count: i64,
    interval: Vec<i64>,
}

impl Expected {
    /// Which script is in which reading, as the program printed it.
    fn from_log(log: &str) -> Result<Self> {
        let lines = log.lines().filter_map(|line| line.strip_prefix("recorded in reading "));
        let readings: Vec<i64> = lines
            .map(|line| Ok(line.split(' ').next().context("no number")?.parse()?))
            .collect::<Result<_>>()?;
        let scripts = INTERVALS.iter().chain([&LAST]).copied();
        let recorded: BTreeMap<i64, &str> = readings.iter().copied().zip(scripts).collect();
        assert_eq!(recorded.len(), INTERVALS.len() + 1, "each in a reading of its own: {log}");
        let last = *readings.last().context("nothing was recorded")?;
        Ok(Self { recorded, last })
    }

    fn check(&self, points: &Points) -> Result<()> {
        let numbers: Vec<i64> = points.0.keys().copied().collect();
        assert_eq!(numbers, (0..=self.last).collect::<Vec<_>>(), "each reading is there");
        let (mut state, mut averages) = (State::default(), Averages::default());
        for (number, points) in &points.0 {
            let things_before = state.things;
            state.begin_interval();
            state.record(self.recorded.get(number).copied().unwrap_or_default())?;
            state.check(things_before, points).with_context(|| format!("reading {number}"))?;
            averages.check(&state, points);
        }
        assert!(averages.ticks >= 2, "the averages have moved {} times", averages.ticks);
        Ok(())
    }
}

impl State {
    fn begin_interval(&mut self) {
        for counted in [&mut self.marks, &mut self.sizes, &mut self.ok, &mut self.failed] {
            counted.interval.clear();
        }
    }

    fn record(&mut self, script: &str) -> Result<()> {
        for record in script.split(',').map(str::trim).filter(|record| !record.is_empty()) {
            let (what, number) = record.split_once(' ').unwrap_or((record, "1"));
            let whole = || number.parse::<i64>();
            match what {
                "inc" => self.things += whole()?,
                "dec" => self.things -= whole()?,
                "clear" => self.things = 0,
                "open" => self.open = whole()?,
                "load" => self.load = number.parse()?,
                "mark" => self.marks.add(whole()?, whole()?),
                "size" => self.sizes.add(1, whole()?),
                "ok" => self.ok.add(1, whole()?),
                "failed" => self.failed.add(1, whole()?),
                _ => bail!("{record:?}"),
            }
        }
        Ok(())
    }

    /// Everything but the averages.
    fn check(&self, things_before: i64, points: &BTreeMap<Series, Fields>) -> Result<()> {
        let names: Vec<(&str, &str)> =
            points.keys().map(|(name, outcome)| (name.as_str(), outcome.as_str())).collect();
        let expected = [
            ("reporter.latency.timer", "failed"),
            ("reporter.latency.timer", "ok"),
            ("reporter.load.gauge", ""),
            ("reporter.marks.meter", ""),
            ("reporter.open.gauge", ""),
            ("reporter.reading.gauge", ""),
            ("reporter.sizes.histogram", ""),
            ("reporter.things.count", ""),
        ];
        assert_eq!(names, expected);

        let things = [("count", self.things), ("delta", self.things - things_before)];
        assert_eq!(points[&series("things.count")], integers(things));
        // The highest bucket that isn't above it, or the lowest of all.
        let bucket = [10, 5, 2, 1].into_iter().find(|bucket| *bucket <= self.open).unwrap_or(0);
        assert_eq!(points[&series("open.gauge")], integers([("value", bucket)]));
        let load = Fields::from([("value".to_owned(), Value::Float(self.load))]);
        assert_eq!(points[&series("load.gauge")], load);

        let marks = &points[&series("marks.meter")];
        assert_eq!(keys(marks), "count delta m1 m15 m5 mean");
        self.marks.check_totals(marks, self.marks.interval.iter().sum());
        self.sizes.check(&points[&series("sizes.histogram")], "count delta");
        for (outcome, counted) in [("ok", &self.ok), ("failed", &self.failed)] {
            let latency = &points[&("reporter.latency.timer".to_owned(), outcome.to_owned())];
            counted.check(latency, "count delta m1 m15 m5 meanrate");
        }
        Ok(())
    }
}

impl Counted {
    fn add(&mut self, count: i64, value: i64) {
        self.count += count;
        self.interval.push(value);
    }

    fn check_totals(&self, fields: &Fields, delta: i64) {
        assert_eq!((integer(fields, "count"), integer(fields, "delta")), (self.count, delta));
    }

    /// A histogram's fields, and which others there are.
    fn check(&self, fields: &Fields, others: &str) {
        self.check_totals(fields, self.interval.len() as i64);
        let mut names: Vec<&str> = others.split(' ').collect();
        let mut values = self.interval.clone();
        values.sort_unstable();
        if let [min, .., max] | [min @ max] = values[..] {
            names.extend(["max", "mean", "min", "p50", "p75", "p95", "p99", "p999", "p9999"]);
            names.extend(["stddev", "sum", "variance"]);
            assert_eq!((integer(fields, "min"), integer(fields, "max")), (min, max));
            assert_eq!(integer(fields, "sum"), values.iter().sum::<i64>());
            check_statistics(&values, fields);
        }
        names.sort_unstable();
        assert_eq!(keys(fields), names.join(" "));
    }
}

/// go-metrics' `SampleMean`, `SampleVariance`, `SampleStdDev` and `SamplePercentiles` on the values
/// themselves, against what was computed from buckets.
fn check_statistics(sorted: &[i64], fields: &Fields) {
    let values: Vec<f64> = sorted.iter().map(|value| *value as f64).collect();
    let (count, sum) = (values.len() as f64, sorted.iter().sum::<i64>() as f64);
    let mean = sum / count;
    assert!(is_close(float(fields, "mean"), mean), "mean {mean}: {fields:?}");

    let exact = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    let root_mean_square = (values.iter().map(|v| v * v).sum::<f64>() / count).sqrt();
    let stddev = float(fields, "stddev");
    assert!((stddev - exact).abs() <= root_mean_square / 32.0, "stddev {exact}: {fields:?}");
    assert!(is_close(float(fields, "variance"), stddev * stddev), "{fields:?}");

    for (key, share) in [
        ("p50", 0.5),
        ("p75", 0.75),
        ("p95", 0.95),
        ("p99", 0.99),
        ("p999", 0.999),
        ("p9999", 0.9999),
    ] {
        let position = share * (count + 1.0);
        let (expected, bound) = if position < 1.0 {
            (values[0], 0.0)
        } else if position >= count {
            (values[values.len() - 1], 0.0)
        } else {
            let (lower, upper) = (values[position as usize - 1], values[position as usize]);
            let between = |lower: f64, upper: f64| lower + position.fract() * (upper - lower);
            (between(lower, upper), between(lower.abs(), upper.abs()) / 32.0)
        };
        let off = (float(fields, key) - expected).abs();
        assert!(off <= bound, "{key} is off by {off} from {expected}: {fields:?}");
    }
}

/// Moving averages and mean rates, which depend on when a reading was made.
#[derive(Default)]
struct Averages {
    ticks: i32,
    elapsed: f64,
}

impl Averages {
    /// Each five seconds, go-metrics' `EWMA` takes in the events of that time: the first time as they
    /// are, later with the weight 1 − e^(−5/60/minutes).
    fn check(&mut self, state: &State, points: &BTreeMap<Series, Fields>) {
        let marks = &points[&series("marks.meter")];
        let decay = |minutes: f64| (-5.0 / 60.0 / minutes).exp();
        let m1 = float(marks, "m1");
        let ticks = match m1 {
            0.0 => 0,
            _ => 1 + ((m1 * 5.0 / MARKS).ln() / decay(1.0).ln()).round() as i32,
        };
        assert!(
            [self.ticks, self.ticks + 1].contains(&ticks),
            "{ticks} ticks after {}",
            self.ticks
        );
        self.ticks = ticks;

        let meters = [("", "marks.meter", "mean", MARKS, &state.marks)];
        let timers = [("ok", 3.0, &state.ok), ("failed", 1.0, &state.failed)];
        let timers = timers.map(|(outcome, first, counted)| {
            (outcome, "latency.timer", "meanrate", first, counted)
        });
        let mut elapsed = None;
        for (outcome, name, mean, first, counted) in meters.into_iter().chain(timers) {
            let fields = &points[&(format!("reporter.{name}"), outcome.to_owned())];
            for (key, minutes) in [("m1", 1.0), ("m5", 5.0), ("m15", 15.0)] {
                let rate = match ticks {
                    0 => 0.0,
                    _ => first / 5.0 * decay(minutes).powi(ticks - 1),
                };
                assert!(is_close(float(fields, key), rate), "{name} {key} {rate}: {fields:?}");
            }
            let rate = float(fields, mean);
            if counted.count == 0 {
                assert_eq!(rate, 0.0, "{name} {mean}");
                continue;
            }
            // All are read at one time, which lies behind the ticks.
            let seconds = counted.count as f64 / rate;
            assert!(is_close(seconds, *elapsed.get_or_insert(seconds)), "{name}: {seconds} s");
            assert!(seconds > self.elapsed && seconds >= f64::from(5 * ticks), "{seconds} s");
        }
        self.elapsed = elapsed.unwrap_or(self.elapsed);
    }
}

fn integers<const N: usize>(fields: [(&str, i64); N]) -> Fields {
    fields.into_iter().map(|(key, value)| (key.to_owned(), Value::Integer(value))).collect()
}

fn integer(fields: &Fields, key: &str) -> i64 {
    match fields.get(key) {
        Some(Value::Integer(value)) => *value,
        other => panic!("{key} is {other:?}"),
    }
}

fn float(fields: &Fields, key: &str) -> f64 {
    match fields.get(key) {
        Some(Value::Float(value)) => *value,
        other => panic!("{key} is {other:?}"),
    }
}

fn keys(fields: &Fields) -> String {
    fields.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Equal but for what adding in another order, or writing as decimal text, may change.
fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}
