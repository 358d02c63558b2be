//! Kubernetes quantities (`250m`, `2Gi`, `1e3`) as whole numbers, by exact integer arithmetic.
//!
//! CPU becomes thousandths and everything else whole units, both rounded up as Kubernetes does. Source: the
//! grammar in the documentation of `k8s.io/apimachinery/pkg/api/resource.Quantity`. No floating point.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use whittle_core::model::resources::{CPU, Resources};

use crate::names;
use crate::problem::{At, Defect};

/// A quantity beyond this is absurd: Kubernetes caps there, and so nobody can mean it.
const AMOUNT_MAX: u128 = i64::MAX as u128;

/// What a quantity must look like, for messages.
pub const EXPECTED: &str = "a quantity such as 2, 500m, 1.5 or 2Gi, not negative and below 2^63";

/// An exact non-negative number: `digits` × 2^`two` × 10^`ten`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exact {
    digits: u128,
    two: u32,
    ten: i32,
}

/// The quantity `text` in thousandths, rounded up; `None` when it is malformed, negative or beyond 2^63.
#[must_use]
pub fn millis(text: &str) -> Option<u64> {
    exact(text)?.scaled(3)
}

/// The quantity `text` in whole units, rounded up; `None` when it is malformed, negative or beyond 2^63.
#[must_use]
pub fn whole(text: &str) -> Option<u64> {
    exact(text)?.scaled(0)
}

/// The amount of the resource `name`: CPU in thousandths, everything else in whole units.
#[must_use]
pub fn amount(name: &str, quantity: &Quantity) -> Option<u64> {
    if name == CPU { millis(&quantity.0) } else { whole(&quantity.0) }
}

/// A list of resources as the core has it. Quantities that cannot be read are added to `defects`.
pub fn resources(
    quantities: Option<&BTreeMap<String, Quantity>>,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Resources {
    let mut resources = Resources::default();
    for (name, quantity) in quantities.into_iter().flatten() {
        names::key(name, &at.key(name), defects);
        match amount(name, quantity) {
            Some(amount) => resources.set(name, amount),
            None => defects.push(Defect::new(&at.key(name), format!("{:?}", quantity.0), EXPECTED)),
        }
    }
    resources
}

/// The amount of the resource `name` as Kubernetes writes it: `1500m`, `2`, `4294967296`.
#[must_use]
pub fn quantity(name: &str, amount: u64) -> Quantity {
    if name != CPU {
        return Quantity(amount.to_string());
    }
    Quantity(if amount.is_multiple_of(1_000) { (amount / 1_000).to_string() } else { format!("{amount}m") })
}

/// Amounts as Kubernetes writes them; what is zero is left out.
#[must_use]
pub fn quantities(resources: &Resources) -> BTreeMap<String, Quantity> {
    resources.iter().map(|(name, amount)| (name.to_owned(), quantity(name, amount))).collect()
}

impl Exact {
    /// The number times 10^`places`, rounded up; `None` beyond the limit.
    fn scaled(self, places: i32) -> Option<u64> {
        if self.digits == 0 {
            return Some(0);
        }
        let power = self.ten.checked_add(places)?;
        let ten = 10_u128.checked_pow(power.unsigned_abs());
        let amount = if power >= 0 {
            self.digits.checked_mul(ten?)?.checked_mul(1 << self.two)?
        } else {
            // Divisors beyond 10^38 leave less than one, which is rounded up to one.
            ten.map_or(Some(1), |ten| Some(self.digits.checked_mul(1 << self.two)?.div_ceil(ten)))?
        };
        if amount > AMOUNT_MAX { None } else { u64::try_from(amount).ok() }
    }
}

fn exact(text: &str) -> Option<Exact> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    if integer.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = integer
        .bytes()
        .chain(fraction.bytes())
        .try_fold(0_u128, |digits, byte| digits.checked_mul(10)?.checked_add(u128::from(byte - b'0')))?;
    let (two, ten) = scale(suffix)?;
    Some(Exact { digits, two, ten: ten.checked_sub(i32::try_from(fraction.len()).ok()?)? })
}

/// The powers of two and of ten that a suffix stands for.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    let scale = match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        exponent => (0, exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(scale)
}

#[cfg(test)]
mod tests {
    use super::{millis, quantities, quantity, whole};

    #[test]
    fn quantities_are_read_exactly_and_rounded_up() {
        let table: &[(&str, Option<u64>, Option<u64>)] = &[
            ("0", Some(0), Some(0)),
            ("1", Some(1_000), Some(1)),
            ("+1", Some(1_000), Some(1)),
            ("250m", Some(250), Some(1)),
            ("0.1", Some(100), Some(1)),
            (".5", Some(500), Some(1)),
            ("5.", Some(5_000), Some(5)),
            ("1.5", Some(1_500), Some(2)),
            ("0.0001", Some(1), Some(1)),
            ("100u", Some(1), Some(1)),
            ("1500000n", Some(2), Some(1)),
            ("1k", Some(1_000_000), Some(1_000)),
            ("1Ki", Some(1_024_000), Some(1_024)),
            ("1.5Gi", Some(1_610_612_736_000), Some(1_610_612_736)),
            ("128974848", Some(128_974_848_000), Some(128_974_848)),
            ("129e6", Some(129_000_000_000), Some(129_000_000)),
            ("129M", Some(129_000_000_000), Some(129_000_000)),
            ("123Mi", Some(128_974_848_000), Some(128_974_848)),
            ("1E3", Some(1_000_000), Some(1_000)),
            ("1e-3", Some(1), Some(1)),
            ("2E", None, Some(2_000_000_000_000_000_000)),
            ("7Ei", None, Some(8_070_450_532_247_928_832)),
            ("8Ei", None, None),
            ("9223372036854775807", None, Some(9_223_372_036_854_775_807)),
            ("9223372036854775808", None, None),
            ("1e1000000000", None, None),
            ("1e-1000000000", Some(1), Some(1)),
            ("0e99999", Some(0), Some(0)),
            ("1.00000000000000000000000000000000000000000000000000000", Some(1_000), Some(1)),
        ];
        for (text, wanted_millis, wanted_whole) in table {
            assert_eq!((millis(text), whole(text)), (*wanted_millis, *wanted_whole), "{text}");
        }
    }

    #[test]
    fn malformed_negative_and_absurd_quantities_are_refused() {
        let long = "9".repeat(1_000_000);
        let texts = [
            "", "-1", "-250m", "m", ".", "1..2", "1.2.3", "1 Gi", "1gi", "1K", "1e", "1e1.5", "0x10", "1Gi2",
            "٣", &long,
        ];
        for text in texts {
            assert_eq!((millis(text), whole(text)), (None, None), "{text:.20}");
        }
    }

    #[test]
    fn cpu_is_written_in_cores_when_it_is_whole() {
        assert_eq!(quantity("cpu", 2_000).0, "2");
        assert_eq!(quantity("cpu", 1_500).0, "1500m");
        assert_eq!(quantity("memory", 1_500).0, "1500");
        assert_eq!(quantities(&whittle_core::model::resources::Resources::default()).len(), 0);
    }
}
