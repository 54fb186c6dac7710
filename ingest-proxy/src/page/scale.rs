//! Axes: from values and times to nice marks, and both as text. No drawing.

use std::ops::Range;

/// Marks on a value axis, about.
const MARKS: f64 = 4.0;
/// Below this share of the greatest value, variation would not be seen on an axis that begins at zero.
const VISIBLE_SHARE: f64 = 0.1;

/// Beyond it, differences between two numbers are no longer numbers.
const FARTHEST: f64 = 1e300;

/// What a field's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Number,
    PerSecond,
    Nanoseconds,
}

/// The value axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueAxis {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Ascending, within the axis.
    pub(super) marks: Vec<f64>,
}

/// The time axis, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeAxis {
    pub(super) from: i64,
    pub(super) to: i64,
    /// Local time minus UTC.
    pub(super) offset_seconds: i64,
}

impl Unit {
    /// Of a field of a measurement with this kind at its name's end.
    pub(super) fn of(kind: &str, field: &str) -> Self {
        match (kind, field) {
            (_, "m1" | "m5" | "m15" | "meanrate") | ("meter", "mean") => Self::PerSecond,
            ("timer", "sum" | "min" | "max" | "mean" | "stddev") => Self::Nanoseconds,
            ("timer", percentile) if percentile.starts_with('p') => Self::Nanoseconds,
            _ => Self::Number,
        }
    }

    /// Three digits, with the SI prefix or the unit of time that makes them short; whole numbers
    /// below 100,000 as they are.
    pub(super) fn text(self, value: f64) -> String {
        self.text_with(value, DIGITS)
    }

    /// The same for a mark of this axis: with as many digits as it takes to tell it from the next.
    pub(super) fn mark(self, value: f64, axis: &ValueAxis) -> String {
        let apart = axis.marks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::MAX, f64::min);
        let largest = axis.low.abs().max(axis.high.abs());
        let digits = 1.0 + (largest / apart).log10().ceil();
        self.text_with(value, (digits as usize).clamp(DIGITS, MOST_DIGITS))
    }

    fn text_with(self, value: f64, digits: usize) -> String {
        match self {
            _ if value == 0.0 => "0".to_owned(),
            Self::Number if value.fract() == 0.0 && value.abs() < 1e5 => format!("{value:.0}"),
            Self::Number => scaled(value, digits, &NUMBERS),
            Self::PerSecond => format!("{}/s", scaled(value, digits, &NUMBERS)),
            Self::Nanoseconds => scaled(value, digits, &TIMES),
        }
    }
}

/// Digits of a number where nothing asks for more.
const DIGITS: usize = 3;
/// More have no room beside a chart.
const MOST_DIGITS: usize = 6;

/// Factors ascending, each with what stands behind a number from there on.
type Steps = [(f64, &'static str)];

const NUMBERS: [(f64, &str); 6] =
    [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P")];
const TIMES: [(f64, &str); 6] =
    [(1.0, " ns"), (1e3, " µs"), (1e6, " ms"), (1e9, " s"), (6e10, " min"), (3.6e12, " h")];

/// What is written without an exponent.
const READABLE: Range<f64> = 1e-4..1e18;

fn scaled(value: f64, digits: usize, steps: &Steps) -> String {
    let unscaled = steps.first().map_or("", |(_, suffix)| suffix);
    if !READABLE.contains(&value.abs()) {
        return format!("{value:.1e}{unscaled}");
    }
    // A little early, so that 999.9 becomes 1k and not 1000.
    let reached = steps.iter().rev().find(|(factor, _)| value.abs() >= factor * 0.9995);
    let (factor, suffix) = reached.copied().unwrap_or((1.0, unscaled));
    format!("{}{suffix}", with_digits(value / factor, digits))
}

fn with_digits(value: f64, digits: usize) -> String {
    let magnitude = value.abs().log10().floor();
    let text = format!("{value:.*}", (digits as f64 - 1.0 - magnitude).max(0.0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

impl ValueAxis {
    /// An axis that holds all of these, with marks at 1, 2 or 5 times a power of ten. It begins at
    /// zero where that hides nothing.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .map(|value| value.clamp(-FARTHEST, FARTHEST))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let (mut low, mut high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let varies = low < high && high - low < VISIBLE_SHARE * high.abs().max(low.abs());
        if !varies {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if low >= high {
            high = low + 1.0;
        }
        let step = nice_step((high - low) / MARKS);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let count = (last - first).clamp(1.0, 100.0) as i32;
        let marks = (0..=count).map(|i| (first + f64::from(i)) * step).collect();
        Self { low: first * step, high: last * step, marks }
    }

    /// Where a value is: 0 at the low end, 1 at the high one.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// The smallest of 1, 2, 5, 10 … that isn't below `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= step * 0.999);
    digit.unwrap_or(10.0) * power
}

const SECOND: i64 = 1_000_000_000;

/// Round spans between two marks, ascending.
const TICKS_SECONDS: [i64; 15] =
    [10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800];
/// The smallest of them is taken that cuts an axis into no more parts.
const MOST_TICKS: i64 = 5;

impl TimeAxis {
    /// Where a time is: 0 at the beginning, 1 now.
    pub(super) fn place(&self, time: i64) -> f64 {
        let share = (time - self.from) as f64 / (self.to - self.from).max(1) as f64;
        share.clamp(0.0, 1.0)
    }

    /// Round times of the local clock within the axis.
    pub(super) fn marks(&self) -> impl Iterator<Item = i64> {
        let tick = self.tick_seconds() * SECOND;
        let offset = self.offset_seconds * SECOND;
        let first = (self.from + offset).div_euclid(tick) + 1;
        (first..).map(move |n| n * tick - offset).take_while(|time| *time <= self.to)
    }

    /// The day where marks are days apart, else hours and minutes.
    pub(super) fn mark_text(&self, time: i64) -> String {
        match self.tick_seconds() {
            86_400.. => self.day(time),
            60.. => self.clock(time)[..5].to_owned(),
            _ => self.clock(time),
        }
    }

    fn tick_seconds(&self) -> i64 {
        let fits = |tick: &&i64| self.to - self.from <= MOST_TICKS * SECOND * **tick;
        TICKS_SECONDS.iter().find(fits).copied().unwrap_or(TICKS_SECONDS[TICKS_SECONDS.len() - 1])
    }

    /// A moment, as exactly as the range asks for.
    pub(super) fn moment(&self, time: i64) -> String {
        let clock = self.clock(time);
        if self.to - self.from > 24 * 3_600 * SECOND {
            format!("{} {clock}", self.day(time))
        } else {
            clock
        }
    }

    fn clock(&self, time: i64) -> String {
        let seconds = self.local_seconds(time).rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }

    fn day(&self, time: i64) -> String {
        // Some 1970-01-01 was a Thursday. The date is by Howard Hinnant's `civil_from_days`.
        let days = self.local_seconds(time).div_euclid(24 * 3_600);
        let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
        let of_era = (days + 719_468).rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        format!("{weekday} {}", of_year - (153 * month + 2) / 5 + 1)
    }

    fn local_seconds(&self, time: i64) -> i64 {
        time.div_euclid(SECOND) + self.offset_seconds
    }
}

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_marks_have_different_texts() {
        for values in [[43.81e9, 43.8104e9], [0.0, 1.0], [390_123.0, 390_150.0], [-5.0, 5e6]] {
            let axis = ValueAxis::over(values.into_iter());
            let text = |mark: &f64| Unit::Number.mark(*mark, &axis);
            let texts: Vec<String> = axis.marks.iter().map(text).collect();
            assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:?}");
        }
    }

    #[test]
    fn numbers_are_short() {
        use Unit::{Nanoseconds, Number, PerSecond};
        for (unit, value, text) in [
            (Number, 0.0, "0"),
            (Number, 42.0, "42"),
            (Number, -7.0, "-7"),
            (Number, 12_345.0, "12345"),
            (Number, 123_456.0, "123k"),
            (Number, 999_999.0, "1M"),
            (Number, 0.123_456, "0.123"),
            (Number, 1_234.5, "1.23k"),
            (Number, 1e300, "1.0e300"),
            (Number, 1e-9, "1.0e-9"),
            (PerSecond, 53_200_000.0, "53.2M/s"),
            (PerSecond, 0.0, "0"),
            (PerSecond, 0.5, "0.5/s"),
            (Nanoseconds, 870.0, "870 ns"),
            (Nanoseconds, 1_240_000.0, "1.24 ms"),
            (Nanoseconds, 2.5e9, "2.5 s"),
            (Nanoseconds, 9e10, "1.5 min"),
        ] {
            assert_eq!(unit.text(value), text);
        }
    }

    #[test]
    fn units_follow_from_kind_and_field() {
        for (kind, field, unit) in [
            ("meter", "mean", Unit::PerSecond),
            ("timer", "mean", Unit::Nanoseconds),
            ("timer", "p95", Unit::Nanoseconds),
            ("timer", "meanrate", Unit::PerSecond),
            ("timer", "delta", Unit::Number),
            ("timer", "variance", Unit::Number),
            ("histogram", "p95", Unit::Number),
            ("gauge", "value", Unit::Number),
        ] {
            assert_eq!(Unit::of(kind, field), unit, "{kind} {field}");
        }
    }

    #[test]
    fn value_axes_have_few_round_marks() {
        for (values, marks) in [
            (&[][..], &[0.0, 0.5, 1.0][..]),
            (&[0.0], &[0.0, 0.5, 1.0]),
            (&[3.0, 9.0], &[0.0, 5.0, 10.0]),
            (&[7.0], &[0.0, 2.0, 4.0, 6.0, 8.0]),
            (&[-2.0, 6.0], &[-2.0, 0.0, 2.0, 4.0, 6.0]),
            (&[-5.0], &[-6.0, -4.0, -2.0, 0.0]),
            // Hardly different: zero is left out.
            (&[1_000.0, 1_008.0], &[1_000.0, 1_002.0, 1_004.0, 1_006.0, 1_008.0]),
            (&[f64::NAN, 3.0, 9.0], &[0.0, 5.0, 10.0]),
        ] {
            assert_eq!(ValueAxis::over(values.iter().copied()).marks, marks, "{values:?}");
        }
        for exponent in -12..=18 {
            let axis = ValueAxis::over([0.0, 3.7 * 10_f64.powi(exponent)].into_iter());
            assert!((3..=6).contains(&axis.marks.len()), "{axis:?}");
            assert_eq!((axis.place(axis.low), axis.place(axis.high)), (0.0, 1.0));
        }
        let extreme = ValueAxis::over([f64::MIN, f64::MAX].into_iter());
        assert!(extreme.marks.len() <= 101);
    }

    #[test]
    fn times_are_those_of_the_local_clock() {
        // 2024-02-29 12:10:00 UTC, in a zone 5½ hours ahead.
        let to = 1_709_208_600 * SECOND;
        let quarter = 15 * 60 * SECOND;
        let axis = TimeAxis { from: to - 4 * quarter, to, offset_seconds: 19_800 };
        let marks: Vec<_> = axis.marks().map(|time| axis.mark_text(time)).collect();
        assert_eq!(marks, ["16:45", "17:00", "17:15", "17:30"]);
        assert_eq!(axis.moment(to), "17:40:00");
        assert_eq!((axis.place(to), axis.place(to - 2 * quarter)), (1.0, 0.5));

        let week = 7 * 24 * 3_600 * SECOND;
        let axis = TimeAxis { from: to - week, to, offset_seconds: 0 };
        let marks: Vec<_> = axis.marks().map(|time| axis.mark_text(time)).collect();
        assert_eq!(marks, ["Fri 23", "Sun 25", "Tue 27", "Thu 29"]);
        assert_eq!(axis.moment(to + 24 * 3_600 * SECOND), "Fri 1 12:10:00");

        let axis = TimeAxis { from: to - 100 * SECOND, to, offset_seconds: 0 };
        let marks: Vec<_> = axis.marks().map(|time| axis.mark_text(time)).collect();
        assert_eq!(marks, ["12:08:30", "12:09:00", "12:09:30", "12:10:00"]);
    }
}
