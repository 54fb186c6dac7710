//! What passes on a link, cut into windows of equal length, and what a classifier is told of each: numbers, sizes,
//! gaps, directions, bursts and the first pieces. Pure, but for the drawing of turns.

use std::{
    fmt::Write,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use crate::link::Piece;

/// When an agent is busy and when it is idle.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Turns; in each, the agent is once busy and once idle, in an order that is drawn.
    pub turns: usize,
    /// How long after a change nothing is looked at: so long may what was recorded before be on its way.
    pub settling: Duration,
    /// Length of a window.
    pub window: Duration,
    /// Windows between two changes.
    pub windows: u32,
}

/// A time in which an agent was busy, or idle, throughout.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Where its first window begins.
    pub from: Instant,
    /// Which of the two.
    pub busy: bool,
}

/// One window.
#[derive(Debug, Clone)]
pub struct Window {
    /// Which span of its agent it belongs to.
    pub span: usize,
    /// Whether the agent was busy.
    pub busy: bool,
    /// As [`names`] says; NaN for what isn't there.
    pub features: Vec<f64>,
}

/// Pieces at most so far apart belong to one burst.
const BURST: f64 = 0.1;
/// How many pieces at the beginning are told one by one.
const FIRST: usize = 12;
/// The features before those.
const SUMMARY: [&str; 21] = [
    "pieces_out",
    "bytes_out",
    "largest_out",
    "mean_out",
    "deviation_out",
    "pieces_in",
    "bytes_in",
    "largest_in",
    "mean_in",
    "deviation_in",
    "gap_smallest",
    "gap_median",
    "gap_mean",
    "gap_largest",
    "gap_deviation",
    "bursts",
    "burst_bytes_largest",
    "burst_bytes_mean",
    "burst_seconds_largest",
    "burst_seconds_mean",
    "answer_seconds_mean",
];

impl Plan {
    /// Busy or not, in this order.
    pub fn draw(&self) -> Vec<bool> {
        let random = RandomState::new();
        let turn = |turn: usize| {
            let busy_first = random.hash_one(turn) & 1 == 0;
            [busy_first, !busy_first]
        };
        (0..self.turns).flat_map(turn).collect()
    }

    /// The part of a span that is looked at.
    pub fn observed(&self) -> Duration {
        self.window * self.windows
    }

    /// How long all of it takes.
    pub fn duration(&self) -> Duration {
        (self.settling + self.observed()) * u32::try_from(2 * self.turns).unwrap_or(u32::MAX)
    }

    /// The windows of these spans. Pieces are in the order of time.
    pub fn cut(&self, pieces: &[Piece], spans: &[Span]) -> Vec<Window> {
        let mut windows = Vec::new();
        for (number, span) in spans.iter().enumerate() {
            for window in 0..self.windows {
                let from = span.from + self.window * window;
                let begin = pieces.partition_point(|piece| piece.at < from);
                let end = pieces.partition_point(|piece| piece.at < from + self.window);
                let features = features(&pieces[begin..end]);
                windows.push(Window { span: number, busy: span.busy, features });
            }
        }
        windows
    }
}

/// The names of the features.
pub fn names() -> Vec<String> {
    let first = (0..FIRST).map(|number| format!("piece_{number}"));
    SUMMARY.map(str::to_owned).into_iter().chain(first).collect()
}

/// A table for the classifier; its first line names the columns.
pub fn csv_head() -> String {
    format!("kind,agent,span,busy,{}\n", names().join(","))
}

/// The lines of one agent's windows.
pub fn csv(kind: &str, agent: usize, windows: &[Window]) -> String {
    let mut text = String::new();
    for Window { span, busy, features } in windows {
        let _ = write!(text, "{kind},{agent},{span},{}", u8::from(*busy));
        for feature in features {
            let _ = match feature.is_nan() {
                true => write!(text, ","),
                false => write!(text, ",{feature:.6}"),
            };
        }
        text.push('\n');
    }
    text
}

fn features(pieces: &[Piece]) -> Vec<f64> {
    let mut features = Vec::new();
    for from_agent in [true, false] {
        let sizes: Vec<f64> = pieces
            .iter()
            .filter(|piece| piece.from_agent == from_agent)
            .map(|piece| piece.bytes as f64)
            .collect();
        features.extend([sizes.len() as f64, sizes.iter().sum(), largest(&sizes)]);
        features.extend([mean(&sizes), deviation(&sizes)]);
    }
    let mut gaps: Vec<f64> =
        pieces.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64()).collect();
    gaps.sort_by(f64::total_cmp);
    features.extend([
        gaps.first().copied().unwrap_or(f64::NAN),
        gaps.get(gaps.len() / 2).copied().unwrap_or(f64::NAN),
        mean(&gaps),
        largest(&gaps),
        deviation(&gaps),
    ]);
    let bursts: Vec<&[Piece]> =
        pieces.chunk_by(|a, b| (b.at - a.at).as_secs_f64() <= BURST).collect();
    let bytes: Vec<f64> = bursts.iter().map(|b| b.iter().map(|p| p.bytes as f64).sum()).collect();
    let seconds: Vec<f64> =
        bursts.iter().map(|b| (b[b.len() - 1].at - b[0].at).as_secs_f64()).collect();
    let answers: Vec<f64> = bursts.iter().filter_map(|burst| answer(burst)).collect();
    features.extend([bursts.len() as f64, largest(&bytes), mean(&bytes)]);
    features.extend([largest(&seconds), mean(&seconds), mean(&answers)]);
    let signed = |piece: &Piece| piece.bytes as f64 * if piece.from_agent { 1.0 } else { -1.0 };
    let first = pieces.iter().map(signed).chain(std::iter::repeat(f64::NAN));
    features.extend(first.take(FIRST));
    features
}

/// From the first piece of the agent's to the first that came back.
fn answer(burst: &[Piece]) -> Option<f64> {
    let asked = burst.iter().find(|piece| piece.from_agent)?.at;
    let answered = burst.iter().find(|piece| !piece.from_agent && piece.at >= asked)?.at;
    Some((answered - asked).as_secs_f64())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

/// The area under the curve: how often a value of the first class is larger than one of the second, ties counted
/// half. What isn't there is smaller than all.
pub fn auc(first: &[f64], second: &[f64]) -> f64 {
    let number = |value: &f64| if value.is_nan() { f64::NEG_INFINITY } else { *value };
    let mut larger = 0.0;
    for a in first.iter().map(number) {
        for b in second.iter().map(number) {
            larger += if a > b {
                1.0
            } else if a == b {
                0.5
            } else {
                0.0
            };
        }
    }
    larger / (first.len() * second.len()) as f64
}

/// The standard error of that area where there is nothing to tell (H. Mann and D. Whitney, 1947).
pub fn auc_error(first: usize, second: usize) -> f64 {
    let (first, second) = (first as f64, second as f64);
    ((first + second + 1.0) / (12.0 * first * second)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let (settling, window) = (Duration::from_secs(1), Duration::from_secs(2));
        Plan { turns: 3, settling, window, windows: 2 }
    }

    #[test]
    fn each_turn_is_once_busy_and_once_idle() {
        let drawn = plan().draw();
        assert_eq!(drawn.len(), 6);
        assert!(drawn.chunks(2).all(|turn| turn[0] != turn[1]), "{drawn:?}");
        assert_eq!(plan().duration(), Duration::from_secs(30));
    }

    #[test]
    fn windows_hold_what_falls_into_them() {
        let from = Instant::now();
        let piece = |millis, bytes, from_agent| Piece {
            at: from + Duration::from_millis(millis),
            bytes,
            from_agent,
        };
        let pieces = [piece(0, 536, true), piece(50, 1_072, false), piece(1_000, 536, true)];
        let windows = plan().cut(&pieces, &[Span { from, busy: true }]);
        assert_eq!((windows.len(), windows[0].busy), (2, true));
        let of = |name: &str| {
            let index = names().iter().position(|found| found == name).unwrap();
            (windows[0].features[index], windows[1].features[index])
        };
        assert_eq!(of("bytes_out"), (1_072.0, 0.0));
        assert_eq!(of("bursts"), (2.0, 0.0));
        assert_eq!(of("burst_bytes_largest").0, 1_608.0);
        assert!((of("answer_seconds_mean").0 - 0.05).abs() < 1e-9 && of("gap_mean").1.is_nan());
        assert_eq!(of("piece_1").0, -1_072.0);
        assert_eq!(windows[0].features.len(), names().len());
        let lines = csv("x", 7, &windows);
        let columns = csv_head().matches(',').count();
        assert!(lines.lines().all(|line| line.matches(',').count() == columns), "{lines}");
    }

    #[test]
    fn areas_are_those_of_mann_and_whitney() {
        assert_eq!(auc(&[2.0, 3.0], &[0.0, 1.0]), 1.0);
        assert_eq!(auc(&[1.0, f64::NAN], &[1.0, f64::NAN]), 0.5);
        assert!((auc_error(1_500, 1_500) - 0.01054).abs() < 1e-5);
    }
}
