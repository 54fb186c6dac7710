//! The annotated CSV of Flux, read into rows. Several tables follow each other, each with a header;
//! an error in the middle of an answer of status 200 is a table of its own.

use anyhow::{Result, bail, ensure};

use super::Row;

/// The rows of a CSV text with headers, as InfluxDB 2 writes them.
pub fn rows(text: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut header: Option<Vec<String>> = None;
    for record in records(text)? {
        if record.iter().all(String::is_empty) {
            header = None;
        } else if record[0].starts_with('#') {
            // Annotations of the next table: not asked for, since all values are read as text.
            header = None;
        } else if let Some(names) = &header {
            ensure!(names.len() == record.len(), "{names:?} and {record:?} differ in length");
            let row: Row = names.iter().cloned().zip(record).collect();
            match row.get("error") {
                Some(error) if names.iter().any(|name| name == "reference") => bail!("{error}"),
                _ => rows.push(row),
            }
        } else {
            header = Some(record);
        }
    }
    for row in &mut rows {
        // The first column bears the annotations and has no name.
        row.remove("");
    }
    Ok(rows)
}

/// RFC 4180.
fn records(text: &str) -> Result<Vec<Vec<String>>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut value = String::new();
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                value.push('"');
            }
            '"' => quoted = !quoted,
            _ if quoted => value.push(character),
            ',' => record.push(std::mem::take(&mut value)),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => {
                record.push(std::mem::take(&mut value));
                records.push(std::mem::take(&mut record));
            }
            _ => value.push(character),
        }
    }
    ensure!(!quoted, "a quote without its end");
    if !value.is_empty() || !record.is_empty() {
        record.push(value);
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_quotes_and_annotations() {
        let text = "#datatype,string,long\r\n#group,false,false\r\n#default,_result,\r\n\
                    ,result,table,name\r\n,_result,0,\"a, \"\"b\"\"\nc\"\r\n,_result,0,d\r\n\r\n\
                    ,result,table,count\r\n,_result,1,7\r\n\r\n";
        let rows = rows(text).unwrap();
        let columns = |name| rows.iter().map(|row| row.get(name).map(String::as_str)).collect();
        let names: Vec<Option<&str>> = columns("name");
        assert_eq!(names, [Some("a, \"b\"\nc"), Some("d"), None]);
        let counts: Vec<Option<&str>> = columns("count");
        assert_eq!(counts, [None, None, Some("7")]);
        assert!(!rows[0].contains_key(""));
    }

    #[test]
    fn errors() {
        let text = ",error,reference\r\n,it failed,897\r\n";
        assert_eq!(rows(text).unwrap_err().to_string(), "it failed");
        assert!(rows("\"open").is_err());
        assert!(rows("").unwrap().is_empty());
    }
}
