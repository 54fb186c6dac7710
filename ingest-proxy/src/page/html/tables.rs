//! How the proxy is doing, as tiles and tables.

use std::fmt::Write;

use super::{
    Escaped, Page, Store,
    words::{bytes, counted, grouped, time_ago},
};
use crate::page::{
    query::{Moment, Session, View},
    status::Status,
};

/// What one looks at first.
pub(super) fn tiles(page: &Page<'_>, out: &mut String) {
    let status = page.status;
    out.push_str("<dl class=\"tiles\">");
    // Agents can often get through before Arti knows that the address is published.
    let (state, text, more) = match (status.bootstrap_percent, status.published) {
        (100, true) => ("good", "up", "published".to_owned()),
        (100, false) => ("good", "up", "being published".to_owned()),
        (percent, _) => ("busy", "connecting", format!("Tor at {percent} %")),
    };
    tile(out, "Onion service", text, Some(state), &more);
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
    if let Store::Open { view, limit_bytes } = &page.store {
        disk(out, "Store", view.store_bytes, *limit_bytes, "");
    }
    let waiting = counted(status.queue_parcels, "parcel");
    disk(out, "Queue", status.queue_bytes, page.queue_limit_bytes, &format!(", {waiting}"));
    out.push_str("</dl>");
}

/// Which sessions reported in this time.
pub(super) fn sessions(view: &View, out: &mut String) {
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
            points.map_or_else(|| "many".to_owned(), grouped)
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

/// Where points go, and how far they are behind.
pub(super) fn sinks(status: &Status, out: &mut String) {
    out.push_str(
        "<section><h2>Sinks</h2><div class=\"wide\"><table><thead><tr><th>Sink<th>State\
         <th class=\"n\">Parcels behind<th class=\"n\">Points written<th class=\"n\">refused\
         </thead><tbody>",
    );
    for sink in &status.sinks {
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

/// What didn't get in, and why.
pub(super) fn not_admitted(status: &Status, out: &mut String) {
    out.push_str("<section><h2>Refused and dropped</h2>");
    if status.not_admitted.is_empty() {
        out.push_str("<p class=\"quiet\">Nothing so far.</p></section>");
        return;
    }
    out.push_str("<div class=\"wide\"><table><tbody>");
    for (what, unit, count) in &status.not_admitted {
        let _ = write!(out, "<tr><td>{}<td class=\"n\">{} {unit}", Escaped(what), grouped(*count));
    }
    out.push_str("</tbody></table></div></section>");
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
