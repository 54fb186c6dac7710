//! The batch that parcels are made of here: a file server's instruments over four intervals, as an agent
//! would cut them.

use undertone_instruments::{Distribution, Histogram};
use undertone_wire::Point;

/// The schema of [`points`], which a proxy must know to admit them.
pub(crate) const SCHEMA: &str = r#"namespace = "bench"
interval_seconds = 60

[[measurement]]
name = "connections"
kind = "counter"
description = "Connections accepted."
digits = "all"
linkable = true

[[measurement]]
name = "egress"
kind = "meter"
description = "Bytes sent."
digits = "all"
linkable = true

[[measurement]]
name = "latency"
kind = "timer"
description = "Time to answer, by outcome."
digits = "all"
linkable = true

[measurement.tags]
outcome = ["ok", "not_found"]

[[measurement]]
name = "open"
kind = "gauge-integer"
description = "Files being sent now."
linkable = true

[[measurement]]
name = "size"
kind = "histogram"
description = "Sizes of the files that were sent."
digits = "all"
linkable = true
"#;

const INTERVALS: i64 = 4;

/// 24 points with timestamps in intervals.
pub(crate) fn points() -> Vec<Point> {
    (0..INTERVALS).flat_map(|before| interval(before, 1 + INTERVALS - before)).collect()
}

fn interval(before: i64, number: i64) -> Vec<Point> {
    let rates = |point: Point| {
        let rate = number as f64 / 7.0;
        let point = point.field("m1", rate * 1.01).field("m5", rate * 1.003);
        point.field("m15", rate * 1.0007).field("mean", rate)
    };
    let counted = |name: &str| {
        Point::new(name).at(before).field("count", number * 4_321).field("delta", number * 321)
    };
    let distributed = |point: Point, spread: i64| {
        let histogram = Histogram::<()>::default();
        (0..40).for_each(|n| histogram.update(spread * (1 + n * n * number % 97)));
        distribution(point, number, &histogram.take())
    };
    vec![
        counted("bench.connections.count"),
        rates(counted("bench.egress.meter")),
        rates(distributed(Point::new("bench.latency.timer").tag("outcome", "ok"), 150_000))
            .at(before),
        rates(distributed(Point::new("bench.latency.timer").tag("outcome", "not_found"), 40_000))
            .at(before),
        Point::new("bench.open.gauge").field("value", number % 5).at(before),
        distributed(Point::new("bench.size.histogram"), 512).at(before),
    ]
}

fn distribution(point: Point, number: i64, taken: &Distribution) -> Point {
    let point = point.field("count", number * 40).field("delta", taken.count as i64);
    let point = point.field("min", taken.min).field("max", taken.max).field("sum", taken.sum);
    let bucket =
        |point: Point, &(index, count): &(i32, u64)| point.field(format!("b{index}"), count);
    taken.buckets.iter().fold(point, bucket)
}
