//! The page as HTML, from plain values. Whatever comes from a store or a sink passes [`Escaped`].

use std::fmt::{self, Display, Write};

use super::{
    chart::Chart,
    query::{Measurement, Moment, Plot, Session, View, short},
    selection::{RANGES, Selection},
    status::Status,
};

/// Text as it stands in elements and in quoted attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

/// All that a page is made of.
pub(super) struct Page<'a> {
    /// What agents are given.
    pub(super) ingest: &'a str,
    pub(super) selection: &'a Selection,
    pub(super) status: &'a Status,
    pub(super) store: Store<'a>,
    pub(super) queue_limit_bytes: u64,
}

/// The embedded store.
pub(super) enum Store<'a> {
    /// There is none in the configuration.
    None,
    /// It could not be read; why.
    Failed(&'a str),
    Open {
        view: &'a View,
        limit_bytes: u64,
    },
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

impl Page<'_> {
    /// The whole document.
    pub(super) fn document(&self) -> String {
        let mut out = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Undertone ingest proxy</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <link rel=\"stylesheet\" href=\"/page.css\"><script src=\"/page.js\" defer></script></head><body>\
             <header><h1>Undertone <span>ingest proxy</span></h1><nav aria-label=\"Time range\">"
        );
        for range in RANGES {
            let current = if range == self.selection.range { " aria-current=\"true\"" } else { "" };
            let link = self.selection.with_range(range);
            let _ = write!(out, "<a href=\"{}\"{current}>{}</a>", Escaped(&link), range.label);
        }
        let _ = write!(
            out,
            "</nav></header><p class=\"address\"><span>Agents report to</span><code id=\"ingest\">{}</code>\
             <button type=\"button\" id=\"copy\" hidden>Copy</button></p>\
             <p id=\"stale\" role=\"status\" hidden></p><main id=\"live\">{}</main></body></html>",
            Escaped(self.ingest),
            self.fragment()
        );
        out
    }

    /// The part that changes.
    pub(super) fn fragment(&self) -> String {
        let mut out = String::new();
        self.tiles(&mut out);
        match &self.store {
            Store::None => out.push_str(
                "<p class=\"note\">There is no embedded store, hence nothing to chart here: points go to the sinks below, \
                 which have charts of their own. To have them here as well, add a <code>[[sink]]</code> with \
                 <code>name = \"store\"</code> and <code>type = \"embedded\"</code> to the configuration, and start \
                 the proxy again.</p>",
            ),
            Store::Failed(why) => {
                let _ = write!(out, "<p class=\"note bad\">Nothing is charted: {}.</p>", Escaped(why));
            }
            Store::Open { view, .. } => self.charts(view, &mut out),
        }
        out.push_str("<div class=\"tables\">");
        if let Store::Open { view, .. } = &self.store {
            sessions(view, &mut out);
        }
        self.sinks(&mut out);
        self.not_admitted(&mut out);
        out.push_str("</div>");
        out
    }

    fn tiles(&self, out: &mut String) {
        let status = self.status;
        out.push_str("<dl class=\"tiles\">");
        let (state, text) = match (status.bootstrap_percent, status.published) {
            (100, true) => ("good", "published"),
            (100, false) => ("busy", "publishing"),
            _ => ("busy", "connecting"),
        };
        let tor = format!("Tor bootstrapped {} %", status.bootstrap_percent);
        tile(out, "Onion service", text, Some(state), &tor);
        let failing = status.sinks.iter().filter(|sink| !sink.ok).count();
        let lag = status.sinks.iter().map(|sink| sink.lag_parcels).max().unwrap_or(0);
        let (state, text) = match failing {
            0 => ("good", "in order".to_owned()),
            _ => ("bad", format!("{failing} failing")),
        };
        tile(out, "Sinks", &text, Some(state), &format!("{} behind", counted(lag, "parcel")));
        let points = format!("{} points", grouped(status.admitted_points));
        tile(out, "Admitted parcels", &grouped(status.admitted_parcels), None, &points);
        let refused = points_refused(status);
        let why = if refused > 0 { "why: below" } else { "" };
        tile(out, "Refused points", &grouped(refused), None, why);
        if let Store::Open { view, limit_bytes } = &self.store {
            disk(out, "Store", view.store_bytes, *limit_bytes, "");
        }
        let waiting = counted(status.queue_parcels, "parcel");
        disk(out, "Queue", status.queue_bytes, self.queue_limit_bytes, &format!(", {waiting}"));
        out.push_str("</dl>");
    }

    fn charts(&self, view: &View, out: &mut String) {
        if view.sessions.is_empty() {
            out.push_str(
                "<p class=\"note\">Nothing was reported in this time. Give agents the address above, and admit their \
                 schema: <code>undertone-ingest-proxy schema add FILE</code>.</p>",
            );
        }
        legend(view, out);
        out.push_str("<div class=\"measurements\">");
        for measurement in &view.measurements {
            let name = Escaped(&measurement.name);
            let width = match measurement.plots.len() {
                0 | 1 => "one",
                2 => "two",
                _ => "many",
            };
            let _ = write!(out, "<section class=\"{width}\"><div class=\"head\"><h2>{name}</h2>");
            self.fields(measurement, out);
            out.push_str("</div><div class=\"charts\">");
            measurement.plots.iter().for_each(|plot| figure(&measurement.name, plot, view, out));
            out.push_str("</div></section>");
        }
        out.push_str("</div>");
        if view.charts_left_out > 0 {
            let more = counted(view.charts_left_out as u64, "more chart");
            let _ = write!(
                out,
                "<p class=\"note\">{more} not shown: there are too many, or reading them takes too long.</p>"
            );
        }
    }

    /// Links to other fields.
    fn fields(&self, measurement: &Measurement, out: &mut String) {
        let chosen = self.selection.field(&measurement.name);
        let shown = |field: &str| measurement.plots.iter().any(|plot| plot.field == field);
        out.push_str("<nav class=\"fields\" aria-label=\"Field\">");
        for field in &measurement.fields {
            // The same link again leads back to the default.
            let again = chosen == Some(field);
            let link = self.selection.with_field(&measurement.name, (!again).then_some(field));
            let current = if shown(field) { " aria-current=\"true\"" } else { "" };
            let _ = write!(out, "<a href=\"{}\"{current}>{}</a>", Escaped(&link), Escaped(field));
        }
        out.push_str("</nav>");
    }

    fn sinks(&self, out: &mut String) {
        out.push_str(
            "<section><h2>Sinks</h2><div class=\"wide\"><table><thead><tr><th>Sink<th>State\
             <th class=\"n\">Parcels behind<th class=\"n\">Points written<th class=\"n\">refused\
             </thead><tbody>",
        );
        for sink in &self.status.sinks {
            let (class, state) = match (&sink.last_error, sink.ok) {
                (_, true) => ("good", "ok"),
                (Some(error), false) => ("bad", error.as_str()),
                (None, false) => ("bad", "failing"),
            };
            let _ = write!(
                out,
                "<tr><td>{}<td class=\"{class}\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}",
                Escaped(&sink.name),
                Escaped(state),
                grouped(sink.lag_parcels),
                grouped(sink.written_points),
                grouped(sink.refused_points)
            );
        }
        out.push_str("</tbody></table></div></section>");
    }

    fn not_admitted(&self, out: &mut String) {
        out.push_str("<section><h2>Refused and dropped</h2>");
        if self.status.not_admitted.is_empty() {
            out.push_str("<p class=\"quiet\">Nothing so far.</p></section>");
            return;
        }
        out.push_str("<div class=\"wide\"><table><tbody>");
        for (what, unit, count) in &self.status.not_admitted {
            let _ =
                write!(out, "<tr><td>{}<td class=\"n\">{} {unit}", Escaped(what), grouped(*count));
        }
        out.push_str("</tbody></table></div></section>");
    }
}

fn figure(measurement: &str, plot: &Plot, view: &View, out: &mut String) {
    let tags = tags_in_words(&plot.tags);
    let title = [measurement, &plot.field, &tags].join(" ");
    let chart =
        Chart { title: title.trim_end(), unit: plot.unit, time: view.time, lines: &plot.lines };
    let _ = write!(
        out,
        "<figure data-measurement=\"{}\" data-field=\"{}\"><figcaption><b>{}</b> {}</figcaption>",
        Escaped(measurement),
        Escaped(&plot.field),
        Escaped(&plot.field),
        Escaped(&tags)
    );
    if plot.lines.is_empty() {
        out.push_str("<p class=\"quiet\">No values in this time.</p>");
    } else {
        chart.draw(out);
    }
    out.push_str("</figure>");
}

/// Which session has which colour.
fn legend(view: &View, out: &mut String) {
    out.push_str("<p class=\"legend\">");
    for session in &view.sessions {
        let id = Escaped(short(&session.id));
        let _ = write!(out, "<span><i class=\"c{}\"></i>{id}</span>", session.colour);
    }
    out.push_str("</p>");
}

fn sessions(view: &View, out: &mut String) {
    out.push_str(
        "<section class=\"sessions\"><h2>Sessions</h2><div class=\"wide\"><table><thead><tr><th>Session<th>First seen\
         <th>Last seen<th class=\"n\">Points in this time</thead><tbody>",
    );
    for Session { id, colour, first, last, points } in &view.sessions {
        let ago = |moment: &Moment| {
            let ago = time_ago((view.time.to - moment.time) / 1_000_000_000);
            format!("<td title=\"{}\">{ago}", Escaped(&moment.text))
        };
        let _ = write!(
            out,
            "<tr><td><i class=\"c{colour}\"></i><code>{}</code>{}{}<td class=\"n\">{}",
            Escaped(id),
            ago(first),
            ago(last),
            grouped(*points)
        );
    }
    out.push_str("</tbody></table></div>");
    if view.sessions_left_out > 0 {
        let more = counted(view.sessions_left_out, "more session");
        let _ = write!(
            out,
            "<p class=\"quiet\">{more} of this time not shown, neither here nor in charts.</p>"
        );
    }
    out.push_str("</section>");
}

fn tile(out: &mut String, name: &str, value: &str, state: Option<&str>, small: &str) {
    let class = state.unwrap_or("plain");
    let _ = write!(
        out,
        "<div><dt>{name}</dt><dd class=\"{class}\">{value}</dd><dd class=\"quiet\">{small}</dd></div>"
    );
}

fn disk(out: &mut String, name: &str, used: u64, limit: u64, more: &str) {
    let _ = write!(
        out,
        "<div><dt>{name}</dt><dd class=\"plain\">{}</dd><dd class=\"quiet\">of {}{more}\
         <meter min=\"0\" max=\"{limit}\" high=\"{}\" value=\"{used}\"></meter></dd></div>",
        bytes(used),
        bytes(limit),
        limit / 10 * 9
    );
}

fn points_refused(status: &Status) -> u64 {
    let of_points = status.not_admitted.iter().filter(|(_, unit, _)| *unit == "points");
    of_points.map(|(_, _, count)| count).sum()
}

/// `{"outcome":"ok"}` as `outcome ok`. Names of a schema have nothing in them that JSON escapes.
fn tags_in_words(json: &str) -> String {
    json.chars()
        .filter_map(|c| match c {
            '{' | '}' | '"' => None,
            ':' => Some('='),
            ',' => Some(' '),
            c => Some(c),
        })
        .collect()
}

fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(count: u64) -> String {
    let steps = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match steps.into_iter().find(|(factor, _)| count >= *factor) {
        Some((factor, unit)) => {
            let text = format!("{:.1}", count as f64 / factor as f64);
            format!("{} {unit}", text.trim_end_matches(".0"))
        }
        None => format!("{count} B"),
    }
}

fn time_ago(seconds: i64) -> String {
    match seconds.max(0) {
        0..90 => format!("{} s ago", seconds.max(0)),
        90..5_400 => format!("{} min ago", seconds / 60),
        5_400..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        page::{
            chart::Line,
            scale::{TimeAxis, Unit},
        },
        writer::SinkState,
    };

    /// Ends whatever it might stand in.
    const HOSTILE: &str = "\"'></title></svg><script>alert(1)</script>&";

    fn view(name: &str) -> View {
        let moment = |time| Moment { time, text: name.to_owned() };
        let line = Line { colour: 0, session: name.to_owned(), points: vec![(1, 2.0), (2, 3.0)] };
        let plot = Plot {
            tags: format!("{{\"a\":\"{name}\"}}"),
            field: name.to_owned(),
            unit: Unit::Number,
            lines: vec![line],
        };
        let tick = std::time::Duration::from_secs(1);
        View {
            time: TimeAxis { from: 0, to: 10, tick, offset_seconds: 0 },
            store_bytes: 3 << 20,
            sessions: vec![Session {
                id: name.to_owned(),
                colour: 0,
                first: moment(1),
                last: moment(2),
                points: 1_234,
            }],
            sessions_left_out: 5,
            measurements: vec![Measurement {
                name: name.to_owned(),
                fields: vec![name.to_owned()],
                plots: vec![plot],
            }],
            charts_left_out: 1,
        }
    }

    fn document(status: &Status, store: Store<'_>, ingest: &str) -> String {
        let selection = Selection::parse("");
        Page { ingest, selection: &selection, status, store, queue_limit_bytes: 1 << 30 }.document()
    }

    #[test]
    fn everything_that_came_from_elsewhere_is_escaped() {
        let mut sink = SinkState::default();
        (sink.name, sink.last_error) = (HOSTILE.to_owned(), Some(HOSTILE.to_owned()));
        let status = Status {
            sinks: vec![sink],
            not_admitted: vec![(HOSTILE.to_owned(), "points", 1)],
            ..Status::default()
        };
        let view = view(HOSTILE);
        let open = Store::Open { view: &view, limit_bytes: 1 << 30 };
        for html in
            [document(&status, open, HOSTILE), document(&status, Store::Failed(HOSTILE), HOSTILE)]
        {
            assert!(!html.contains("<script>alert") && !html.contains("\"'>"), "{html}");
            assert!(html.contains("&quot;&#39;&gt;&lt;/title&gt;&lt;/svg&gt;&lt;script&gt;"));
        }
    }

    #[test]
    fn nothing_is_inline_that_the_policy_forbids() {
        let view = view("plain");
        let html = document(&Status::default(), Store::Open { view: &view, limit_bytes: 1 }, "x");
        assert!(!html.contains("style=") && !html.contains("<style") && !html.contains(" on"));
        assert_eq!(html.matches("<script").count(), 1);
        assert!(html.contains("5 more sessions") && html.contains("1 more chart not shown"));
        assert!(html.contains("1,234"), "points");
    }

    #[test]
    fn without_a_store_it_says_what_to_do() {
        let html = document(&Status::default(), Store::None, "x");
        assert!(html.contains("no embedded store") && html.contains("type = \"embedded\""));
        assert!(!html.contains("<svg"));
    }

    #[test]
    fn amounts_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1_023, 1_536, 1 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "1 GiB"]);
        assert_eq!(
            [-1, 89, 90, 7_200, 172_800].map(time_ago),
            ["0 s ago", "89 s ago", "1 min ago", "2 h ago", "2 d ago"]
        );
        assert_eq!(tags_in_words("{\"a\":\"b\",\"c\":\"d\"}"), "a=b c=d");
        assert_eq!([counted(1, "parcel"), counted(0, "parcel")], ["1 parcel", "0 parcels"]);
    }
}
