//! Amounts as people read them.

/// A number and what it counts.
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn bytes(count: u64) -> String {
    let steps = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match steps.into_iter().find(|(factor, _)| count >= *factor) {
        Some((factor, unit)) => {
            let text = format!("{:.1}", count as f64 / factor as f64);
            format!("{} {unit}", text.trim_end_matches(".0"))
        }
        None => format!("{count} B"),
    }
}

pub(super) fn time_ago(seconds: i64) -> String {
    match seconds.max(0) {
        0..90 => format!("{} s ago", seconds.max(0)),
        90..5_400 => format!("{} min ago", seconds / 60),
        5_400..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1_023, 1_536, 1 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "1 GiB"]);
        assert_eq!(
            [-1, 89, 90, 7_200, 172_800].map(time_ago),
            ["0 s ago", "89 s ago", "1 min ago", "2 h ago", "2 d ago"]
        );
        assert_eq!([counted(1, "parcel"), counted(0, "parcel")], ["1 parcel", "0 parcels"]);
    }
}
