//! Arithmetic in whole numbers that neither overflows nor divides by zero.

/// `part` of `whole` in parts per million, rounded to nearest; a million when `whole` is zero. At most `u32::MAX`.
#[must_use]
pub fn parts_per_million(part: u64, whole: u64) -> u32 {
    if whole == 0 {
        return 1_000_000;
    }
    let whole = u128::from(whole);
    let parts = (u128::from(part) * 1_000_000 + whole / 2) / whole;
    u32::try_from(parts).unwrap_or(u32::MAX)
}

/// `percent` per cent of `whole`, rounded up.
#[must_use]
pub fn percent_rounded_up(whole: u64, percent: u32) -> u64 {
    let product = u128::from(whole) * u128::from(percent);
    u64::try_from(product.div_ceil(100)).unwrap_or(u64::MAX)
}

/// `percent` per cent of `whole`, rounded down.
#[must_use]
pub fn percent_rounded_down(whole: u64, percent: u32) -> u64 {
    let product = u128::from(whole) * u128::from(percent);
    u64::try_from(product / 100).unwrap_or(u64::MAX)
}

/// What `micros_per_hour` comes to in `millis` milliseconds, in millionths of a dollar, rounded down.
#[must_use]
pub fn cost_over(micros_per_hour: u64, millis: u64) -> u64 {
    let product = u128::from(micros_per_hour) * u128::from(millis);
    u64::try_from(product / 3_600_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overflows_and_nothing_divides_by_zero() {
        assert_eq!(parts_per_million(1, 0), 1_000_000);
        assert_eq!(parts_per_million(u64::MAX, 1), u32::MAX);
        assert_eq!(percent_rounded_up(u64::MAX, 200), u64::MAX);
        assert_eq!(cost_over(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn shares_round_as_their_names_say() {
        assert_eq!((percent_rounded_up(5, 50), percent_rounded_down(5, 50)), (3, 2));
        assert_eq!(parts_per_million(2, 3), 666_667);
        assert_eq!(cost_over(1_000_000, 1_800_000), 500_000);
    }
}
