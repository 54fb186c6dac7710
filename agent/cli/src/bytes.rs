//! Numbers of bytes as text. Pure.

/// Bytes for people: two significant digits, in units of a thousand.
pub(crate) fn readable(bytes: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let digits = usize::from(value < 9.95 && unit > 0);
    format!("{value:.digits$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_readable() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1_000.0, "1.0 kB"),
            (9_960.0, "10 kB"),
            (5e15, "5000 TB"),
        ] {
            assert_eq!(readable(bytes), text);
        }
    }
}
