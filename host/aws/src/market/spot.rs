//! Spot prices as they are now.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::SpotPrice;
use whittle_catalog::names::kept;
use whittle_catalog::price_book::parse_dollars;
use whittle_core::model::price::Price;

use crate::connect::Clients;
use crate::error::Failure;

/// So many prices on a page, the most that EC2 gives.
const PAGE: i32 = 1_000;
/// What instances run, as EC2 names it here. Which of both it says depends on how old the account is.
const PRODUCTS: [&str; 2] = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"];

/// The price of each instance type in each zone that has one. EC2 gives a history, and of one that begins now the newest
/// entry of each.
pub(super) async fn prices(
    clients: &Clients,
    now: SystemTime,
) -> Result<BTreeMap<(&'static str, &'static str), Price>, Failure> {
    let products = PRODUCTS.map(str::to_owned).to_vec();
    let asked = clients.ec2.describe_spot_price_history();
    let asked = asked.start_time(DateTime::from(now)).set_product_descriptions(Some(products));
    let found = asked.into_paginator().page_size(PAGE).items().send().try_collect().await;
    let found = found.map_err(|error| Failure::of("ec2:DescribeSpotPriceHistory", &error))?;
    Ok(newest(&found))
}

/// The newest price by instance type and zone; of several at one moment the highest. What is not a price is left out.
fn newest(history: &[SpotPrice]) -> BTreeMap<(&'static str, &'static str), Price> {
    let mut found: BTreeMap<_, (i128, Price)> = BTreeMap::new();
    for one in history {
        let (Some(name), Some(zone)) = (one.instance_type(), one.availability_zone()) else { continue };
        let price = one.spot_price().and_then(parse_dollars).filter(|price| *price > Price::ZERO);
        let Some(price) = price else { continue };
        let at = one.timestamp().map_or(i128::MIN, DateTime::as_nanos);
        let known = found.entry((kept(name.as_str()), kept(zone))).or_insert((at, price));
        *known = (*known).max((at, price));
    }
    found.into_iter().map(|(pool, (_, price))| (pool, price)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_price_of_a_pool_is_its_price() {
        let entry = |name: &str, zone: &str, price: &str, at: i64| {
            let entry = SpotPrice::builder().instance_type(name.into()).availability_zone(zone);
            entry.spot_price(price).timestamp(DateTime::from_secs(at)).build()
        };
        let history = [
            entry("m99.large", "a", "0.0400", 20),
            entry("m99.large", "a", "0.0300", 10),
            entry("m99.large", "b", "0.0310", 10),
            entry("m99.large", "b", "0.0320", 10),
            entry("c99.large", "a", "cheap", 10),
            entry("r99.large", "a", "0.0000", 10),
            SpotPrice::builder().spot_price("1").build(),
        ];
        let expected = BTreeMap::from([
            (("m99.large", "a"), Price::from_micros(40_000)),
            (("m99.large", "b"), Price::from_micros(32_000)),
        ]);
        assert_eq!(newest(&history), expected);
    }
}
