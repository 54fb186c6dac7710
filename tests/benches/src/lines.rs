//! Line protocol: text into lines, and points into text.
//!
//! One text of 3,000 lines of three kinds: one field; three integers under two tags; ten floats under
//! two tags. All have a timestamp in nanoseconds. Of each parsed line a part is looked at, so that
//! nothing is left out.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use influxdb_line_protocol::{LineProtocolBuilder, parse_lines};
use undertone_wire::line_protocol::{parse, write};
use undertone_wire::{FieldValue, Point};

use crate::measure::{Comparison, Contender, fastest};
use crate::peer::Peer;

const KINDS: [&str; 3] = [
    "weather,location=us-midwest temperature=82.5",
    "net,host=web1,interface=eth0 bytes_sent=18446744i,bytes_recv=44073709i,drop_in=0i",
    "cpu,cpu=cpu-total,host=web1 usage_guest=0,usage_guest_nice=0,usage_idle=95.23809523809524,\
     usage_iowait=0.12531328320802004,usage_irq=0,usage_nice=0,usage_softirq=0.25062656641604,\
     usage_steal=0,usage_system=1.3784461152882206,usage_user=3.007518796992481",
];
const LINES: usize = 3_000;
const BEGIN: i64 = 1_700_000_000_000_000_000;

pub(crate) fn measure(go: Option<&Path>) -> Result<()> {
    let go = go.map(Peer::start).transpose()?;
    let text = text(LINES);
    let points: Vec<Point> = parse(&text).map(|line| Ok(line?.into())).collect::<Result<_>>()?;
    ensure!(points.len() == LINES, "a line is missing");
    parsing(&text, go.as_ref())?;
    writing(&points)
}

/// A text of so many lines.
pub(crate) fn text(lines: usize) -> String {
    let line = |n| format!("{} {}\n", KINDS[n % KINDS.len()], BEGIN + n as i64);
    (0..lines).map(line).collect()
}

fn parsing(text: &str, go: Option<&Peer>) -> Result<()> {
    let each = text.len() / LINES;
    let mut borrowed = vec![
        rate("undertone", || {
            let mut fields = 0;
            for line in parse(black_box(text)) {
                fields += line?.fields.len();
            }
            Ok(black_box(fields))
        }),
        rate("influxdb-line-protocol", || {
            let mut fields = 0;
            for line in parse_lines(black_box(text)) {
                fields += line?.field_set.len();
            }
            Ok(black_box(fields))
        }),
    ];
    let mut owned = vec![rate("undertone", || {
        let mut fields = 0;
        for line in parse(black_box(text)) {
            fields += black_box(Point::from(line?)).fields.len();
        }
        Ok(fields)
    })];
    for contenders in [&mut borrowed, &mut owned] {
        let Some(go) = go else { continue };
        // The program makes the same text of the same kinds.
        let question = format!("parse {LINES} 1 {}", KINDS.join("\t"));
        contenders.push(Contender::new("InfluxDB 2 (Go)", move || {
            let nanoseconds = fastest(|| go.ask(&question))?;
            Ok(LINES as f64 / nanoseconds * 1e3)
        }));
    }
    comparison(format!("parse lines of {each} B")).between(borrowed)?;
    comparison(format!("parse lines of {each} B into owned points")).between(owned)
}

fn writing(points: &[Point]) -> Result<()> {
    comparison("write".to_owned()).between(vec![
        rate("undertone", || {
            let mut text = String::new();
            for point in black_box(points) {
                write(point, &mut text)?;
            }
            Ok(black_box(text).len())
        }),
        rate("influxdb-line-protocol", || {
            let mut text = LineProtocolBuilder::new();
            for point in black_box(points) {
                text = build(text, point)?;
            }
            Ok(black_box(text.build()).len())
        }),
    ])
}

/// The same point by the crate's builder, whose type changes with the first field.
fn build(
    text: LineProtocolBuilder<Vec<u8>>,
    point: &Point,
) -> Result<LineProtocolBuilder<Vec<u8>>> {
    let mut line = text.measurement(&point.measurement);
    for (key, value) in &point.tags {
        line = line.tag(key, value);
    }
    let mut fields = point.fields.iter();
    let (key, first) = fields.next().context("a point without fields")?;
    let mut line = match first {
        FieldValue::Float(value) => line.field(key, *value),
        FieldValue::Integer(value) => line.field(key, *value),
        FieldValue::Unsigned(value) => line.field(key, *value),
        FieldValue::Boolean(value) => line.field(key, *value),
        FieldValue::String(value) => line.field(key, value.as_str()),
    };
    for (key, value) in fields {
        line = match value {
            FieldValue::Float(value) => line.field(key, *value),
            FieldValue::Integer(value) => line.field(key, *value),
            FieldValue::Unsigned(value) => line.field(key, *value),
            FieldValue::Boolean(value) => line.field(key, *value),
            FieldValue::String(value) => line.field(key, value.as_str()),
        };
    }
    Ok(line.timestamp(point.timestamp.context("a point without a time")?).close_line())
}

fn comparison(what: String) -> Comparison<'static> {
    Comparison { part: "lines", what, unit: "M lines/s", less_is_better: false }
}

fn rate<'a>(name: &str, mut work: impl FnMut() -> Result<usize> + 'a) -> Contender<'a> {
    Contender::new(name, move || {
        let seconds = fastest(|| {
            let start = Instant::now();
            work()?;
            Ok(start.elapsed().as_secs_f64())
        })?;
        Ok(LINES as f64 / seconds / 1e6)
    })
}
