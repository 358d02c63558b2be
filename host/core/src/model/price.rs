//! Money. One type, so that nobody ever adds dollars to micro-dollars.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub};

use serde::{Deserialize, Serialize};

/// Millionths of a US dollar per hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Price(u64);

impl Price {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);
    /// Dearer than everything that is for sale.
    pub const MAX: Self = Self(u64::MAX);

    /// A price from millionths of a US dollar per hour.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Millionths of a US dollar per hour.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The difference, zero when `other` is dearer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This price scaled by parts per million, rounded to nearest.
    #[must_use]
    pub fn scaled(self, parts_per_million: u64) -> Self {
        let scaled = (u128::from(self.0) * u128::from(parts_per_million) + 500_000) / 1_000_000;
        Self(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

impl Add for Price {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Price {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Price {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
}

impl Mul<u64> for Price {
    type Output = Self;
    fn mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

impl Sum for Price {
    fn sum<I: Iterator<Item = Self>>(prices: I) -> Self {
        prices.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Price {
    /// Dollars per hour with four decimals, as EC2 price lists print them: `$0.0416`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ten_thousandths = self.0.saturating_add(50) / 100;
        write!(f, "${}.{:04}", ten_thousandths / 10_000, ten_thousandths % 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::Price;

    #[test]
    fn a_price_prints_as_dollars_with_four_decimals() {
        assert_eq!(Price::from_micros(41_600).to_string(), "$0.0416");
        assert_eq!(Price::from_micros(12_345_678).to_string(), "$12.3457");
    }

    #[test]
    fn scaling_rounds_to_the_nearest_micro_dollar() {
        assert_eq!(Price::from_micros(100_001).scaled(500_000), Price::from_micros(50_001));
        assert_eq!(Price::MAX.scaled(2_000_000), Price::MAX);
    }
}
