//! The charts with their headings and links.

use std::fmt::Write;

use super::{Escaped, words::counted};
use crate::page::{
    chart::Chart,
    query::{Measurement, Plot, View, short},
    selection::Selection,
};

/// All measurements, each under its name.
pub(super) fn charts(view: &View, selection: &Selection, out: &mut String) {
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
        fields(measurement, selection, out);
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
fn fields(measurement: &Measurement, selection: &Selection, out: &mut String) {
    let chosen = selection.field(&measurement.name);
    let shown = |field: &str| measurement.plots.iter().any(|plot| plot.field == field);
    out.push_str("<nav class=\"fields\" aria-label=\"Field\">");
    for field in &measurement.fields {
        // The same link again leads back to the default.
        let again = chosen == Some(field);
        let link = selection.with_field(&measurement.name, (!again).then_some(field));
        let current = if shown(field) { " aria-current=\"true\"" } else { "" };
        let _ = write!(out, "<a href=\"{}\"{current}>{}</a>", Escaped(&link), Escaped(field));
    }
    out.push_str("</nav>");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_words() {
        assert_eq!(tags_in_words("{\"a\":\"b\",\"c\":\"d\"}"), "a=b c=d");
        assert_eq!(tags_in_words("{}"), "");
    }
}
