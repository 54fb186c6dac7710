//! A page in Markdown, which a terminal shows well enough, too.

use super::{Entry, Page};

/// What Markdown gives a meaning to, anywhere in a line.
const SPECIAL: &str = "\\`*_[]<>|&~#";

pub(super) fn write(page: &Page) -> String {
    let mut text = format!("# {}\n", escaped(&page.title));
    for (notice, paragraph) in &page.introduction {
        let notice = notice.map(|notice| format!("**{notice}** ")).unwrap_or_default();
        text += &format!("\n{notice}{}\n", escaped(paragraph));
    }
    for entry in &page.entries {
        write_entry(entry, &mut text);
    }
    text
}

fn write_entry(entry: &Entry, text: &mut String) {
    let mark = if entry.linkable { " (linkable)" } else { "" };
    *text += &format!("\n## {}{mark}\n\n{}\n\n", escaped(&entry.name), escaped(&entry.description));
    *text += "| | |\n|---|---|\n";
    for (about, what) in &entry.rows {
        *text += &format!("| {about} | {} |\n", escaped(what));
    }
}

/// Letters, digits, dots and underlines within words mean nothing.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let in_word = c == '_'
            && before.is_alphanumeric()
            && rest.peek().is_some_and(|c| c.is_alphanumeric());
        let begins_a_list = matches!(c, '+' | '-' | '=') && escaped.is_empty();
        if begins_a_list || SPECIAL.contains(c) && !in_word {
            escaped.push('\\');
        }
        escaped.push(c);
        before = c;
    }
    escaped
}
