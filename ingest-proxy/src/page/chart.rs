//! One chart as SVG: axes, one `<path>` for each session, the last value at its end.
//!
//! Pure: what goes in are numbers and names, what comes out is text. Colours are classes of the style
//! sheet, since the page allows no styles of its own.

use std::fmt::Write;

use super::{
    html::Escaped,
    scale::{TimeAxis, Unit, ValueAxis},
};

/// One session's history.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// The session's, below [`COLOURS`].
    pub(super) colour: usize,
    /// What it is called in tooltips.
    pub(super) session: String,
    /// Time in nanoseconds and value, in order of time. The last one is the newest sample as it is.
    pub(super) points: Vec<(i64, f64)>,
}

/// What all lines of a chart share.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) unit: Unit,
    pub(super) time: TimeAxis,
    pub(super) lines: &'a [Line],
}

/// Colours in the style sheet.
pub(super) const COLOURS: usize = 12;

// Units of the drawing, about CSS pixels.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 58.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = HEIGHT - 24.0;
/// From one text's base line to the next, at least.
const LINE_HEIGHT: f64 = 13.0;
/// Columns with a tooltip each.
const COLUMNS: usize = 32;
/// A pause this much longer than is usual for a line interrupts it.
const GAP_FACTOR: i64 = 4;

impl Chart<'_> {
    pub(super) fn draw(&self, out: &mut String) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let values = ValueAxis::over(points().map(|(_, value)| *value));
        let _ = write!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            Escaped(self.title)
        );
        self.draw_axes(&values, out);
        for line in self.lines {
            let path = self.path(line, &values);
            let _ = write!(out, "<path class=\"line c{}\" d=\"{path}\"/>", line.colour % COLOURS);
        }
        self.draw_ends(&values, out);
        self.draw_tooltips(out);
        out.push_str("</svg>");
    }

    fn draw_axes(&self, values: &ValueAxis, out: &mut String) {
        for mark in &values.marks {
            let y = y(values, *mark);
            let class = if *mark == 0.0 { "zero" } else { "grid" };
            let _ = write!(
                out,
                "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                self.unit.mark(*mark, values)
            );
        }
        for mark in self.time.marks() {
            let x = self.x(mark);
            // A text that would stick out of the drawing is left out, and its mark stays.
            let text = if x < RIGHT + 30.0 { self.time.mark_text(mark) } else { String::new() };
            let _ = write!(
                out,
                "<line class=\"tick\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{BOTTOM}\" y2=\"{:.1}\"/>\
                 <text class=\"time\" x=\"{x:.1}\" y=\"{:.1}\">{text}</text>",
                BOTTOM + 4.0,
                HEIGHT - 6.0
            );
        }
    }

    /// The line's course; interrupted where nothing came for unusually long.
    fn path(&self, line: &Line, values: &ValueAxis) -> String {
        let mut pauses: Vec<i64> =
            line.points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        pauses.sort_unstable();
        let usual = pauses.get(pauses.len() / 2).copied().unwrap_or(0);
        let mut path = String::new();
        let mut before = None;
        for (time, value) in &line.points {
            let joined = before.is_some_and(|before| time - before <= GAP_FACTOR * usual);
            let command = if joined { 'L' } else { 'M' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x(*time), y(values, *value));
            // A point by itself becomes a dot, by the round end of a line without length.
            if !joined {
                path.push_str("h0");
            }
            before = Some(*time);
        }
        path
    }

    /// Each line's last value beside its end, moved where two would lie on each other.
    fn draw_ends(&self, values: &ValueAxis, out: &mut String) {
        let mut ends: Vec<(&Line, i64, f64)> = self
            .lines
            .iter()
            .filter_map(|line| line.points.last().map(|(time, value)| (line, *time, *value)))
            .collect();
        ends.sort_by(|(_, _, a), (_, _, b)| b.total_cmp(a));
        let wanted: Vec<f64> = ends.iter().map(|(_, _, value)| y(values, *value) + 4.0).collect();
        let places = apart(&wanted, TOP + 4.0, BOTTOM + 4.0);
        for ((line, time, value), place) in ends.into_iter().zip(places) {
            let (x, y) = (self.x(time), y(values, value));
            let colour = line.colour % COLOURS;
            let _ = write!(
                out,
                "<circle class=\"c{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"/>\
                 <text class=\"last c{colour}\" x=\"{:.1}\" y=\"{place:.1}\">{}</text>",
                RIGHT + 6.0,
                self.unit.text(value)
            );
        }
    }

    /// Invisible columns that say, when pointed at, what each line has there.
    fn draw_tooltips(&self, out: &mut String) {
        let mut texts = vec![String::new(); COLUMNS];
        let mut times = vec![0; COLUMNS];
        for line in self.lines {
            // The last point in each column.
            let mut in_column: [Option<(i64, f64)>; COLUMNS] = [None; COLUMNS];
            for point in &line.points {
                let column = (self.time.place(point.0) * COLUMNS as f64) as usize;
                in_column[column.min(COLUMNS - 1)] = Some(*point);
            }
            for (column, point) in in_column.into_iter().enumerate() {
                let Some((time, value)) = point else { continue };
                times[column] = time.max(times[column]);
                let text = self.unit.text(value);
                let _ = write!(texts[column], "\n{}  {text}", Escaped(&line.session));
            }
        }
        let width = (RIGHT - LEFT) / COLUMNS as f64;
        for (column, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            let _ = write!(
                out,
                "<rect class=\"tip\" x=\"{:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{:.1}\">\
                 <title>{}{text}</title></rect>",
                LEFT + column as f64 * width,
                BOTTOM - TOP,
                self.time.moment(times[column])
            );
        }
    }

    fn x(&self, time: i64) -> f64 {
        LEFT + (RIGHT - LEFT) * self.time.place(time)
    }
}

fn y(values: &ValueAxis, value: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * values.place(value)
}

/// Moves ascending places so that they are a line's height from each other, as far as there is room,
/// first down and then back up from the lower end.
fn apart(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let room = (bottom - top) / (wanted.len().max(2) - 1) as f64;
    let distance = LINE_HEIGHT.min(room);
    let mut places = wanted.to_vec();
    for i in 1..places.len() {
        places[i] = places[i].max(places[i - 1] + distance);
    }
    let mut limit = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(limit).max(top);
        limit = *place - distance;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn line(colour: usize, points: &[(i64, f64)]) -> Line {
        let points = points.iter().map(|(time, value)| (time * SECOND, *value)).collect();
        Line { colour, session: format!("session-{colour}"), points }
    }

    fn draw(lines: &[Line]) -> String {
        let time = TimeAxis { from: 0, to: 900 * SECOND, offset_seconds: 0 };
        let mut out = String::new();
        Chart { title: "a <b> & c", unit: Unit::Number, time, lines }.draw(&mut out);
        out
    }

    #[test]
    fn one_path_a_line_and_its_last_value() {
        let svg = draw(&[line(0, &[(0, 1.0), (60, 3.0)]), line(13, &[(60, 2.0)]), line(2, &[])]);
        assert_eq!(svg.matches("<path ").count(), 3);
        assert!(svg.contains("class=\"last c0\"") && svg.contains(">3</text>"), "{svg}");
        // Colours begin anew after the last one.
        assert!(svg.contains("class=\"last c1\""), "{svg}");
        assert!(svg.contains("a &lt;b&gt; &amp; c"), "{svg}");
        assert!(svg.contains("<title>00:01:00\nsession-0  3\nsession-13  2</title>"), "{svg}");
    }

    #[test]
    fn a_line_is_interrupted_where_nothing_came() {
        let svg = draw(&[line(0, &[(0, 1.0), (10, 1.0), (20, 1.0), (30, 1.0), (500, 1.0)])]);
        let path = svg.split("d=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 3), "{path}");
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let svg = draw(&[line(0, &[(-100, f64::MAX), (2_000, f64::MIN)])]);
        for x in svg.split("x1=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!((0.0..=WIDTH).contains(&x.parse().unwrap()), "{x}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn labels_lie_apart_and_within() {
        assert_eq!(apart(&[20.0, 20.0, 100.0], 10.0, 160.0), [20.0, 33.0, 100.0]);
        assert_eq!(apart(&[158.0, 159.0, 160.0], 10.0, 160.0), [134.0, 147.0, 160.0]);
        let crowded = apart(&[50.0; 30], 10.0, 160.0);
        assert!(crowded.iter().all(|place| (10.0..=160.0).contains(place)), "{crowded:?}");
    }
}
