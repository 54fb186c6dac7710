//! The table of ratios, for the terminal and for `docs/benchmarks.md`.

use std::fmt::Write;

use crate::comparison::Comparison;
use crate::texts;

/// One line a peer.
pub(crate) fn rows(comparisons: &[Comparison]) -> Vec<[String; 7]> {
    let mut rows = Vec::new();
    for comparison in comparisons {
        let Some((ours, peers)) = comparison.contenders.split_first() else { continue };
        for peer in peers {
            let (Some(own), Some(theirs), Some(ratio)) =
                (ours.median(), peer.median(), comparison.ratio(peer))
            else {
                continue;
            };
            rows.push([
                comparison.what.clone(),
                comparison.unit.clone(),
                number(own),
                peer.name.clone(),
                number(theirs),
                number(ratio.medians),
                format!("{}–{}", number(ratio.least), number(ratio.most)),
            ]);
        }
    }
    rows
}

/// For people at a terminal.
pub(crate) fn plain(comparisons: &[Comparison]) -> String {
    let mut table = vec![texts::COLUMNS.map(str::to_owned)];
    table.extend(rows(comparisons));
    let width =
        |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..texts::COLUMNS.len()).map(width).collect();
    let mut text = String::new();
    for row in table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

/// The whole document.
pub(crate) fn document(machine: &[(&str, String)], comparisons: &[Comparison]) -> String {
    let mut text = texts::BEGIN.to_owned();
    for (what, it_is) in machine {
        let _ = writeln!(text, "| {what} | {it_is} |");
    }
    text += texts::TABLE;
    for part in texts::PARTS {
        let of_part: Vec<_> =
            comparisons.iter().filter(|comparison| comparison.part == part.name).collect();
        let _ = writeln!(text, "| **{}** | | | | | | |", part.name);
        for comparison in of_part {
            for mut row in rows(std::slice::from_ref(comparison)) {
                if comparison.loses_to(&row[3]) {
                    row[5] = format!("**{}**", row[5]);
                }
                let _ = writeln!(text, "| {} |", row.join(" | "));
            }
        }
    }
    for part in texts::PARTS {
        let _ = write!(text, "\n### {}\n\n{}\n\n{}\n", part.title, part.how, part.slower);
    }
    text
}

impl Comparison {
    fn loses_to(&self, peer: &str) -> bool {
        let peer = self.contenders.iter().find(|contender| contender.name == peer);
        let ratio = peer.and_then(|peer| self.ratio(peer));
        // What is nearer to 1 than the machine is steady is called even.
        ratio.is_some_and(|ratio| ratio.medians < 0.95)
    }
}

/// With three digits that count.
fn number(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_a_peer_and_what_is_lost_stands_out() {
        let comparison = Comparison::new("instruments", "counter, inc", "ns/call", true)
            .with("undertone", vec![2.0; 3])
            .with("faster", vec![1.0; 3])
            .with("slower", vec![250.0; 3]);
        let document = document(&[("Kernel", "6".to_owned())], &[comparison]);
        for line in [
            "| Kernel | 6 |\n",
            "| counter, inc | ns/call | 2.00 | faster | 1.00 | **0.50** | 0.50–0.50 |\n",
            "| counter, inc | ns/call | 2.00 | slower | 250 | 125 | 125–125 |\n",
        ] {
            assert!(document.contains(line), "{line} is not in {document}");
        }
    }
}
