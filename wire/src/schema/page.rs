//! A schema as a page that users can read: what is collected, in words, and how exactly.
//!
//! Everything that a schema allows stands on it, and nothing that only its author would understand. A
//! vendor can publish it as it is.

mod html;
mod markdown;

use super::{Digits, Kind, Measurement, Schema};

/// What a page says, whatever it is written in.
struct Page {
    title: String,
    /// Paragraphs; the first words of some are to be noticed.
    introduction: Vec<(Option<&'static str>, String)>,
    entries: Vec<Entry>,
}

/// What a page says of one measurement.
struct Entry {
    name: String,
    description: String,
    linkable: bool,
    /// What it is about, and the text.
    rows: Vec<(&'static str, String)>,
}

impl Schema {
    /// What is collected, for users to read: a page in Markdown (CommonMark with tables).
    pub fn to_markdown(&self) -> String {
        markdown::write(&Page::of(self))
    }

    /// The same as one HTML file that needs no other, for light and dark.
    pub fn to_html(&self) -> String {
        html::write(&Page::of(self))
    }
}

impl Page {
    fn of(schema: &Schema) -> Self {
        let mut introduction = vec![(
            None,
            format!(
                "Reported every {} are the numbers below. Version of this list: {}.",
                seconds(schema.interval().as_secs()),
                schema.version()
            ),
        )];
        let session = "Reports have a random session number, so that those of one session can be added \
                       up. It is made anew from time to time, and says nothing of the machine or who uses it.";
        introduction.push((None, session.to_owned()));
        introduction.push(if schema.is_open() {
            let what = "What other programs on the machine hand over is sent as well, under its own \
                        names and with its own times. Only text is left out.";
            (Some("More than is listed."), what.to_owned())
        } else {
            let what = "Another number, another split, and text of any kind are refused before they \
                        leave the machine, and again where they arrive.";
            (Some("Nothing else."), what.to_owned())
        });
        let linkable = schema.linkable().count();
        if linkable > 0 {
            let what = format!(
                "{linkable} of {} are so exact that reports of one machine might be recognized as such \
                 by them. They are marked.",
                schema.measurements().count()
            );
            introduction.push((Some("Linkable."), what));
        }
        let entries = schema.measurements().map(|(name, measurement)| Entry::of(name, measurement));
        Self {
            title: format!("What {} collects", schema.namespace()),
            introduction,
            entries: entries.collect(),
        }
    }
}

impl Entry {
    fn of(full_name: &str, measurement: &Measurement) -> Self {
        let mut rows = vec![("What it is", kind(measurement.kind).to_owned())];
        if let Some(unit) = measurement.unit() {
            let unit = if measurement.kind == Kind::Timer { "nanoseconds" } else { unit };
            rows.push(("Unit", unit.to_owned()));
        }
        for (key, values) in &measurement.tags {
            rows.push(("Split by", format!("{key}: {}", values.join(", "))));
        }
        rows.push(("How exactly", precision(measurement)));
        if let Some([least, greatest]) = measurement.range {
            rows.push((
                "Values",
                format!("{least} to {greatest}; what lies outside is told as these"),
            ));
        }
        if let Some(most) = measurement.max_per_second {
            rows.push(("At most", format!("{most} a second; what is more isn't told")));
        }
        rows.push(("Stored as", full_name.to_owned()));
        Self {
            name: measurement.name.clone(),
            description: measurement.description.clone(),
            linkable: measurement.linkable,
            rows,
        }
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "A count: since the last report, and since the session began",
        Kind::GaugeInteger | Kind::GaugeFloat => "A value, as it is at that moment",
        Kind::Meter => {
            "A count: since the last report, and since the session began; and how often a second"
        }
        Kind::Histogram => {
            "Values: how many, their sum, the least, the greatest, and how they spread"
        }
        Kind::Timer => {
            "Durations: how many, their sum, the least, the greatest, and how they spread"
        }
    }
}

fn precision(measurement: &Measurement) -> String {
    let Measurement { buckets, digits, .. } = measurement;
    if buckets.is_empty() {
        return match digits {
            Digits::Rounded(1) => "Rounded to 1 significant digit".to_owned(),
            Digits::Rounded(digits) => format!("Rounded to {digits} significant digits"),
            Digits::All => "With all digits".to_owned(),
        };
    }
    let buckets: Vec<String> = buckets.iter().map(f64::to_string).collect();
    format!("As one of {}: the highest that isn't above it", buckets.join(", "))
}

fn seconds(seconds: u64) -> String {
    if seconds == 1 { "second".to_owned() } else { format!("{seconds} seconds") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
namespace = "app"

[[measurement]]
name = "open"
kind = "gauge-integer"
description = "Files <open>, now | then & *here*."
unit = "files"
buckets = [0, 1, 10]

[[measurement]]
name = "size"
kind = "histogram"
description = "Sizes."
digits = "all"
range = [0, 1000]
max_per_second = 77
linkable = true
tags = { outcome = ["ok", "failed"] }
"#;

    #[test]
    fn a_page_says_all_that_a_schema_allows_and_marks_what_is_linkable() {
        let schema = Schema::from_toml(TEXT).unwrap();
        for page in [schema.to_markdown(), schema.to_html()] {
            let everything = [
                "What app collects",
                "60 seconds",
                &schema.version(),
                "Nothing else.",
                "1 of 2",
                "open",
                "files",
                "one of 0, 1, 10",
                "app.open.gauge",
                "Sizes.",
                "With all digits",
                "0 to 1000",
                "77 a second",
                "outcome: ok, failed",
                "app.size.histogram",
            ];
            for part in everything {
                assert!(page.contains(part), "{part}: {page}");
            }
            assert_eq!(page.matches("linkable").count(), 1, "one is marked: {page}");
        }
        let coarse = TEXT.replace("digits = \"all\"\n", "").replace("linkable = true\n", "");
        let page = Schema::from_toml(&coarse).unwrap().to_markdown();
        assert!(!page.to_lowercase().contains("linkable"), "{page}");
        let open = Schema::open("fleet").unwrap().to_html();
        assert!(open.contains("More than is listed.") && !open.contains("Nothing else"), "{open}");
    }

    #[test]
    fn what_an_author_wrote_is_text_and_nothing_more() {
        let schema = Schema::from_toml(TEXT).unwrap();
        let html = schema.to_html();
        assert!(html.contains("Files &lt;open&gt;, now | then &amp; *here*."), "{html}");
        for outside in ["http:", "https:", "<script", "src=", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
        let markdown = schema.to_markdown();
        let expected = r"Files \<open\>, now \| then \& \*here\*.";
        assert!(markdown.contains(expected), "{markdown}");
    }
}
