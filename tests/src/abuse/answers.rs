//! What is answered, byte for byte, and what must never be in it (invariants P8, S4).

use std::collections::BTreeMap;

/// All that anybody is ever told. Nothing is said to who has not said anything whole.
const KNOWN: &[(&str, &str)] = &[
    ("none", ""),
    ("204", "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
    ("400", "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
    ("503", "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
    // What the HTTP library says by itself, to who speaks HTTP/1.0 and to heads that are too large.
    ("400 (1.0)", "HTTP/1.0 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
    (
        "431",
        "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    ),
    ("414", "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
];

/// How many streams were answered how.
#[derive(Debug, Default, Clone)]
pub struct Answers {
    counts: BTreeMap<&'static str, u64>,
    /// What was wrong, and with what; the first few.
    pub(crate) wrong: Vec<String>,
    wrongs: u64,
}

/// What an answer is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected(pub(crate) &'static [&'static str]);

pub(crate) const TAKEN: Expected = Expected(&["204"]);
pub(crate) const MALFORMED: Expected = Expected(&["400"]);
pub(crate) const NOTHING: Expected = Expected(&["none"]);
/// To heads that are none, or one of another version.
pub(crate) const REFUSED: Expected = Expected(&["400", "400 (1.0)", "431", "414", "none"]);
/// Whatever is known.
pub(crate) const ANY: Expected =
    Expected(&["none", "204", "400", "503", "400 (1.0)", "431", "414"]);

impl Answers {
    /// Counts an answer; one that isn't as expected, or has one of `secrets` in it, is wrong.
    pub(crate) fn count(
        &mut self,
        what: &str,
        answer: &[u8],
        expected: Expected,
        secrets: &[String],
    ) {
        let known = KNOWN.iter().find(|(_, text)| text.as_bytes() == answer);
        let name = known.map_or("other", |(name, _)| name);
        *self.counts.entry(name).or_default() += 1;
        let told = secrets.iter().find(|secret| contains(answer, secret.as_bytes()));
        if let Some(secret) = told {
            self.wrong(format!("{what}: {secret:?} is in the answer"));
        } else if !expected.0.contains(&name) {
            let answer = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
            self.wrong(format!("{what}: answered {answer:?}, expected one of {:?}", expected.0));
        }
    }

    /// Something else that is wrong.
    pub(crate) fn wrong(&mut self, what: String) {
        self.wrongs += 1;
        if self.wrong.len() < 5 && !self.wrong.contains(&what) {
            self.wrong.push(what);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.wrongs += other.wrongs;
        let room = 5_usize.saturating_sub(self.wrong.len());
        self.wrong.extend(other.wrong.into_iter().take(room));
    }

    /// How many there were.
    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many were so.
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// In words, the most frequent first.
    pub(crate) fn words(&self) -> String {
        let mut counts: Vec<_> = self.counts.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let words: Vec<_> = counts.iter().map(|(name, count)| format!("{name}: {count}")).collect();
        words.join(", ")
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let fold = |bytes: &[u8]| bytes.to_ascii_lowercase();
    let (text, part) = (fold(text), fold(part));
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_an_answer_that_tells_a_secret_or_differs_by_a_byte_is_wrong() {
        let secrets = ["Secret-Token".to_owned()];
        let malformed = KNOWN[2].1;
        let wrong = |answer: &str, expected| {
            let mut answers = Answers::default();
            answers.count("it", answer.as_bytes(), expected, &secrets);
            assert_eq!(answers.total(), 1);
            answers.wrongs
        };
        assert_eq!(wrong(malformed, MALFORMED), 0);
        assert_eq!(wrong(malformed, TAKEN), 1);
        assert_eq!(wrong(&malformed.replace("close", "closf"), ANY), 1);
        assert_eq!(wrong(&format!("{malformed}a"), ANY), 1);
        assert_eq!(wrong("HTTP/1.1 400 secret-token", ANY), 1);
    }
}
