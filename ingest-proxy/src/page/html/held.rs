//! Sessions that said what can't be, what is held of them, and the buttons for it.

use std::fmt::Write;

use super::{
    Escaped, Page,
    words::{counted, grouped, time_ago},
};
use crate::{
    page::form::{Action, PATH},
    queue::{Held, Suspect},
    suspects::explained,
};

/// The most of a parcel's held points that is shown, in characters.
const SHOWN: usize = 2_000;

/// Nothing at all where nobody is flagged.
pub(super) fn suspects(page: &Page<'_>, out: &mut String) {
    let status = page.status;
    if status.suspects.is_empty() {
        return;
    }
    out.push_str(
        "<section class=\"suspects\"><h2>Held back</h2><p class=\"quiet\">What these sessions said can't be \
         true. It is in no database unless you release it.</p><div class=\"wide\"><table><thead><tr>\
         <th>Session<th>Flagged<th>Why<th class=\"n\">Points held<th></thead><tbody>",
    );
    for (suspect, held) in &status.suspects {
        row(page, suspect, held, out);
    }
    out.push_str("</tbody></table></div>");
    let more = status.flagged.saturating_sub(status.suspects.len() as u64);
    if more > 0 {
        let more = counted(more, "more session");
        let _ = write!(out, "<p class=\"quiet\">{more} not shown: <code>suspect list</code>.</p>");
    }
    out.push_str("</section>");
}

fn row(page: &Page<'_>, suspect: &Suspect, held: &[Held], out: &mut String) {
    let first = time_ago(i64::try_from(suspect.first.as_secs()).unwrap_or(i64::MAX));
    let session = Escaped(&suspect.session);
    let _ = write!(out, "<tr><td><code>{session}</code><td>{first}<td>");
    for (number, (reason, points)) in suspect.reasons.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        let _ = write!(out, "{comma}{} ({})", Escaped(explained(reason)), grouped(*points));
    }
    for held in held {
        let lines: String = held.lines.chars().take(SHOWN).collect();
        let _ = write!(
            out,
            "<details><summary>{}</summary><pre>{}</pre></details>",
            Escaped(explained(&held.reason)),
            Escaped(&lines)
        );
    }
    let _ = write!(out, "<td class=\"n\">{}<td>", grouped(suspect.held_points));
    for (action, label) in [(Action::Release, "Release"), (Action::Delete, "Delete")] {
        let _ = write!(
            out,
            "<form method=\"post\" action=\"{PATH}\"><input type=\"hidden\" name=\"session\" value=\"{session}\">\
             <input type=\"hidden\" name=\"token\" value=\"{}\">\
             <button name=\"action\" value=\"{}\">{label}</button></form>",
            page.forms.token(action, &suspect.session),
            action.name()
        );
    }
}
