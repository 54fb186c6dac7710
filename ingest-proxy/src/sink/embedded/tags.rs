//! Tags as JSON text, so that `tags ->> 'key'` works in SQL. Sorted by key: equal tags are equal
//! text.

use undertone_wire::Tags;

/// The tag that has a column of its own.
pub(super) const SESSION: &str = "session";

/// All tags but the session, as a JSON object (RFC 8259).
pub(super) fn to_json(tags: &Tags) -> String {
    let mut json = String::from("{");
    for (key, value) in tags.iter().filter(|(key, _)| *key != SESSION) {
        if json.len() > 1 {
            json.push(',');
        }
        push_string(key, &mut json);
        json.push(':');
        push_string(value, &mut json);
    }
    json.push('}');
    json
}

fn push_string(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                json.push('\\');
                json.push(character);
            }
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", character as u32)),
            _ => json.push(character),
        }
    }
    json.push('"');
}
