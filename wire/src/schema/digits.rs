//! Significant digits: how a number is made coarse before it leaves.
//!
//! Rounded is to the nearest number with so many digits, and half-way to the one whose last digit is
//! even, so that sums over many numbers stay right on average. What is rounded stays as it is when it
//! is rounded again.

pub use undertone_instruments::Digits;

/// To which side a number is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Towards {
    /// The nearest; half-way the even one.
    Nearest,
    /// Not above the number.
    Down,
    /// Not below the number.
    Up,
}

/// An integer with so many digits. Where 64 bits can't hold it, the nearest that has them and that they
/// can; upwards and downwards, their end.
pub(crate) fn integer(value: i64, digits: Digits, towards: Towards) -> i64 {
    let (magnitude, negative) = (value.unsigned_abs(), value < 0);
    let rounded = |towards| {
        let rounded = unsigned(magnitude, digits, towards);
        if negative {
            0_i64.checked_sub_unsigned(rounded)
        } else {
            0_i64.checked_add_unsigned(rounded)
        }
    };
    let (towards_zero, from_zero) = (rounded(Towards::Down), rounded(Towards::Up));
    let nearest = match towards {
        Towards::Nearest => rounded(Towards::Nearest).or(towards_zero),
        Towards::Down if negative => from_zero.or(Some(i64::MIN)),
        Towards::Up if !negative => from_zero.or(Some(i64::MAX)),
        Towards::Down | Towards::Up => towards_zero,
    };
    nearest.unwrap_or(value)
}

/// A number that isn't negative, with so many digits; above the greatest, the greatest that has them.
pub(crate) fn unsigned(value: u64, digits: Digits, towards: Towards) -> u64 {
    let Digits::Rounded(digits) = digits else { return value };
    let length = value.checked_ilog10().map_or(0, |log| log + 1);
    let Some(unit) = length.checked_sub(digits.into()).and_then(|n| 10_u64.checked_pow(n)) else {
        return value;
    };
    let (kept, rest) = (value / unit, value % unit);
    let up = match towards {
        Towards::Down => false,
        Towards::Up => rest > 0,
        Towards::Nearest if rest == unit - rest => kept % 2 == 1,
        Towards::Nearest => rest > unit - rest,
    };
    let above = kept.checked_add(up.into()).and_then(|kept| kept.checked_mul(unit));
    above.unwrap_or(kept * unit)
}

/// A finite number with so many decimal digits: what `{:e}` writes with them, read again.
pub(crate) fn float(value: f64, digits: Digits) -> f64 {
    let Digits::Rounded(digits) = digits else { return value };
    let after_the_first = usize::from(digits.saturating_sub(1));
    let rounded = format!("{value:.after_the_first$e}").parse().unwrap_or(value);
    // Rounded up, the greatest of all would be infinite.
    if f64::is_finite(rounded) { rounded } else { f64::MAX.copysign(value) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO: Digits = Digits::Rounded(2);

    #[test]
    fn numbers_are_rounded_to_their_first_digits() {
        for (value, rounded) in [
            (0, 0),
            (99, 99),
            (-99, -99),
            (104, 100),
            (105, 100),
            (106, 110),
            (115, 120),
            (995, 1_000),
            (-1_251, -1_300),
            (i64::MAX, 9_200_000_000_000_000_000),
            (i64::MIN, -9_200_000_000_000_000_000),
        ] {
            assert_eq!(integer(value, TWO, Towards::Nearest), rounded, "{value}");
            assert_eq!(integer(value, Digits::All, Towards::Nearest), value);
        }
        for (value, rounded) in [
            (0.0, 0.0),
            (0.125, 0.12),
            (0.375, 0.38),
            (-1.251, -1.3),
            (99.6, 100.0),
            (1e-310, 1e-310),
        ] {
            assert_eq!(float(value, TWO), rounded, "{value}");
        }
    }

    #[test]
    fn what_64_bits_cannot_hold_is_rounded_to_what_they_can() {
        let five = Digits::Rounded(5);
        let most = 9_223_300_000_000_000_000;
        assert_eq!(integer(i64::MAX, five, Towards::Nearest), most);
        assert_eq!(integer(i64::MIN, five, Towards::Nearest), -most);
        assert_eq!(integer(i64::MIN, five, Towards::Down), i64::MIN);
        assert_eq!(integer(i64::MAX, five, Towards::Up), i64::MAX);
        assert_eq!(float(f64::MAX, TWO), f64::MAX);
    }

    proptest! {
        #[test]
        fn rounding_is_near_and_rounds_what_is_rounded_no_more(
            value: i64, narrowing in 0_u32..64, digits in 1_u8..=Digits::LIMIT,
        ) {
            let value = value >> narrowing;
            let digits = Digits::Rounded(digits);
            let [nearest, down, up] = [Towards::Nearest, Towards::Down, Towards::Up]
                .map(|towards| integer(value, digits, towards));
            let Digits::Rounded(n) = digits else { unreachable!() };
            let bound = value.unsigned_abs() as f64 * 0.5 * 10_f64.powi(1 - i32::from(n));
            prop_assert!(down <= value && value <= up && [down, up].contains(&nearest));
            if value.unsigned_abs() < 1 << 62 {
                prop_assert!(value.abs_diff(nearest) as f64 <= bound + 0.5);
                for rounded in [nearest, down, up] {
                    prop_assert_eq!(integer(rounded, digits, Towards::Nearest), rounded);
                }
            }
        }

        #[test]
        fn floats_are_rounded_once(value: f64, digits in 1_u8..=Digits::LIMIT) {
            prop_assume!(value.is_finite());
            let rounded = float(value, Digits::Rounded(digits));
            prop_assert_eq!(float(rounded, Digits::Rounded(digits)), rounded);
        }
    }
}
