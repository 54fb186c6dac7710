//! A page in HTML: one file, no script, nothing loaded from anywhere.

use super::{Entry, Page};

const STYLE: &str = include_str!("page.css");

pub(super) fn write(page: &Page) -> String {
    let title = escaped(&page.title);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for (notice, paragraph) in &page.introduction {
        let notice =
            notice.map(|n| format!("<strong>{}</strong> ", escaped(n))).unwrap_or_default();
        html += &format!("<p>{notice}{}</p>\n", escaped(paragraph));
    }
    for entry in &page.entries {
        write_entry(entry, &mut html);
    }
    html + "</main>\n</body>\n</html>\n"
}

fn write_entry(entry: &Entry, html: &mut String) {
    let mark = if entry.linkable { " <mark>linkable</mark>" } else { "" };
    *html += &format!(
        "<section>\n<h2>{}{mark}</h2>\n<p>{}</p>\n<table>\n",
        escaped(&entry.name),
        escaped(&entry.description)
    );
    for (about, what) in &entry.rows {
        *html += &format!("<tr><th scope=\"row\">{about}</th><td>{}</td></tr>\n", escaped(what));
    }
    *html += "</table>\n</section>\n";
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}
