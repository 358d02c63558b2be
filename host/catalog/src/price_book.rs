//! Prices of the user's own, which replace the catalogue's.
//!
//! Three forms are read, told apart by the first character.
//!
//! 1. CSV. Lines that begin with `#` are remarks; the first other line must be the header shown.
//!
//!    ```csv
//!    region,zone,type,capacity_type,usd_per_hour
//!    ap-northeast-2,,m6i.large,on-demand,0.118
//!    ap-northeast-2,ap-northeast-2a,m6i.large,spot,0.0371
//!    ```
//!
//!    An empty zone means every zone of the region. Prices are decimal dollars per hour.
//! 2. JSON: a list of objects with the same keys; the zone may be left out, the price is a number or a string.
//! 3. What `aws pricing get-products --service-code AmazonEC2` prints: its Linux prices on demand for shared tenancy
//!    are taken, and for bare metal those for dedicated tenancy, as AWS files them there. Everything else in it, and
//!    types that the catalogue does not know, are passed over.
//!
//! The first two are written by hand, so a mistake in them must not pass in silence: every error is reported, with
//! its place, what was found there and what was expected, and none of the file is used.

use std::collections::BTreeMap;
use std::fmt;

use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::price::Price;

use crate::catalog::Catalog;
use crate::spot::Pool;

mod entry;
mod pricing_api;

/// Prices by region, instance type, capacity type and zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceBook {
    /// A zone of `None` stands for every zone without an entry of its own.
    prices: BTreeMap<Key, Price>,
}

/// What a price is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    region: String,
    instance_type: String,
    capacity_type: CapacityType,
    zone: Option<String>,
}

/// Everything that is wrong with a price file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PriceFileErrors {
    /// The errors in the order of the file; never empty.
    pub errors: Vec<PriceFileError>,
}

impl fmt::Display for PriceFileErrors {
    /// One error per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.errors.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// One thing that is wrong with a price file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, {place}: found {found}, expected {expected}")]
pub struct PriceFileError {
    /// The file, as it was named to us.
    pub file: String,
    /// Where in it: `line 3`, or `entry 3` in JSON, with the field.
    pub place: String,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

impl PriceBook {
    /// Reads a price file in any of the forms above. `file` names it in errors.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file: syntax, an unknown region, zone, instance type or capacity type, a
    /// price that is none, an entry given twice.
    pub fn parse(file: &str, text: &str, catalog: &Catalog) -> Result<Self, PriceFileErrors> {
        // Spreadsheets write a byte order mark before the first column.
        let text = text.trim_start_matches('\u{feff}');
        match text.trim_start().chars().next() {
            Some('{') => pricing_api::parse(file, text, catalog),
            Some('[') => entry::parse_json(file, text, catalog),
            _ => entry::parse_csv(file, text, catalog),
        }
    }

    /// Adds the prices of another book; where both have one, the other's is kept.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        self.prices.extend(other.prices);
        self
    }

    /// How many prices it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.prices.len()
    }

    /// Whether it holds no price.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prices.is_empty()
    }

    /// The price of an instance type bought like this in this zone, if the book has one.
    pub(crate) fn price(&self, pool: &Pool<'_>, capacity_type: CapacityType) -> Option<Price> {
        if self.prices.is_empty() {
            return None;
        }
        let mut key = Key {
            region: pool.region.name.to_owned(),
            instance_type: pool.specification.name.to_owned(),
            capacity_type,
            zone: Some(pool.zone.to_owned()),
        };
        self.prices.get(&key).copied().or_else(|| {
            key.zone = None;
            self.prices.get(&key).copied()
        })
    }
}

/// Decimal dollars (or yuan) as a price, rounded to the nearest millionth; `None` if it is no decimal number.
#[must_use]
pub fn parse_dollars(text: &str) -> Option<Price> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let micros = |part: &str| format!("{part:0<7.7}").parse::<u64>().ok();
    let dollars = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?;
    let tenths_of_micros = micros(fraction)?;
    dollars.checked_add((tenths_of_micros + 5) / 10).map(Price::from_micros)
}

#[cfg(test)]
mod tests;
