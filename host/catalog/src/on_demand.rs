//! On-demand prices.
//!
//! In us-east-1 the price is the published one: of the type where the table has it, else the family's price of one
//! vCPU times the number of vCPUs (within 0.2 % of the list). In every other region it is an **estimate**: the
//! us-east-1 price times the ratio of `data/price-ratios.csv` for the region and the category.

use std::fmt;

use serde::Serialize;
use whittle_core::model::price::Price;

use crate::specification::Specification;
use crate::tables::Tables;

/// Where and when the on-demand prices were published, and what is estimated.
pub const SOURCE: &str = "On-demand prices: us-east-1 as published by AWS, 2026-07-20; other regions are estimated \
from us-east-1 by a ratio per region and category.";

/// The region whose list prices are in the tables.
pub const LISTED_REGION: &str = "us-east-1";

/// A price with what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    /// The price per hour; serialised as millionths of a US dollar.
    #[serde(rename = "microUsdPerHour")]
    pub price: Price,
    /// Whether it is an estimate rather than a published figure or the user's own.
    pub estimated: bool,
}

impl fmt::Display for Quote {
    /// `$0.0960`, or `~$0.1181` if it is an estimate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.estimated { "~" } else { "" }, self.price)
    }
}

/// The on-demand price of an instance type in a region by the tables; `None` where its family has no price.
pub(crate) fn on_demand_price(tables: &Tables, region: &str, specification: &Specification) -> Option<Quote> {
    let of_type = tables.type_prices.get(specification.name).copied();
    let of_family = || tables.vcpu_prices.get(specification.family()).map(|vcpu| *vcpu * specification.vcpus);
    let listed = of_type.or_else(of_family)?;
    if region == LISTED_REGION {
        return Some(Quote { price: listed, estimated: false });
    }
    let ratio = |category| tables.price_ratios.get(&(region, category));
    let per_mille = ratio(specification.category()).or_else(|| ratio("*"))?;
    Some(Quote { price: listed.scaled(per_mille * 1_000), estimated: true })
}
