//! The page as HTML, from plain values. Whatever comes from a store or a sink passes [`Escaped`].

mod charts;
mod held;
mod tables;
mod words;

use std::fmt::{self, Display, Write};

use super::{
    form::Forms,
    query::View,
    selection::{RANGES, Selection},
    status::Status,
};

/// Text as it stands in elements and in quoted attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

/// All that a page is made of.
pub(super) struct Page<'a> {
    /// What agents are given.
    pub(super) ingest: &'a str,
    /// Makes what changes something.
    pub(super) forms: &'a Forms,
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

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <title>Undertone ingest proxy</title>\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"light dark\">\
    <link rel=\"stylesheet\" href=\"/page.css\"><script src=\"/page.js\" defer></script></head><body>\
    <header><h1>Undertone <span>ingest proxy</span></h1><nav aria-label=\"Time range\">";

impl Page<'_> {
    /// The whole document.
    pub(super) fn document(&self) -> String {
        let mut out = HEAD.to_owned();
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
        tables::tiles(self, &mut out);
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
            Store::Open { view, .. } => charts::charts(view, self.selection, &mut out),
        }
        out.push_str("<div class=\"tables\">");
        held::suspects(self, &mut out);
        if let Store::Open { view, .. } = &self.store {
            tables::sessions(view, &mut out);
        }
        tables::sinks(self.status, &mut out);
        tables::not_admitted(self.status, &mut out);
        out.push_str("</div>");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        page::{
            chart::Line,
            query::{Measurement, Moment, Plot, Session},
            scale::{TimeAxis, Unit},
        },
        queue::{Held, Suspect},
        writer::SinkState,
    };
    use std::time::Duration;

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
        View {
            time: TimeAxis { from: 0, to: 10, offset_seconds: 0 },
            store_bytes: 3 << 20,
            sessions: vec![Session {
                id: name.to_owned(),
                colour: 0,
                first: moment(1),
                last: moment(2),
                points: Some(1_234),
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

    fn suspect(name: &str) -> (Suspect, Vec<Held>) {
        let held = Held { age: Duration::ZERO, reason: name.to_owned(), lines: name.to_owned() };
        let suspect = Suspect {
            session: name.to_owned(),
            first: Duration::ZERO,
            last: Duration::ZERO,
            reasons: vec![(name.to_owned(), 2)],
            held_points: 3,
        };
        (suspect, vec![held])
    }

    fn document(status: &Status, store: Store<'_>, ingest: &str) -> String {
        let selection = Selection::parse("");
        let forms = Forms::new().unwrap();
        let (forms, selection) = (&forms, &selection);
        Page { ingest, forms, selection, status, store, queue_limit_bytes: 1 << 30 }.document()
    }

    #[test]
    fn everything_that_came_from_elsewhere_is_escaped() {
        let mut sink = SinkState::default();
        (sink.name, sink.last_error) = (HOSTILE.to_owned(), Some(HOSTILE.to_owned()));
        let status = Status {
            sinks: vec![sink],
            not_admitted: vec![(HOSTILE.to_owned(), "points", 1)],
            suspects: vec![suspect(HOSTILE)],
            flagged: 7,
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
        let status = Status { suspects: vec![suspect("plain")], flagged: 1, ..Status::default() };
        let html = document(&status, Store::Open { view: &view, limit_bytes: 1 }, "x");
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
}
