//! Prices on demand, as the Pricing service lists them: virtual machines, and bare metal, which is listed apart.

use std::collections::BTreeMap;

use aws_sdk_pricing::types::{Filter, FilterType};
use futures::future::join_all;
use whittle_catalog::names::kept;
use whittle_catalog::price_list::{BARE_METAL, VIRTUAL, attributes, list_price};
use whittle_core::model::price::Price;

use crate::connect::Clients;
use crate::error::Failure;

/// So many products on a page, the most that the service gives.
const PAGE: i32 = 100;
/// EC2 as the service names it.
const SERVICE: &str = "AmazonEC2";

/// Prices by instance type, and why there are not more of them.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) prices: BTreeMap<&'static str, Price>,
    pub(super) failure: Option<Failure>,
}

/// The prices of a region.
pub(super) async fn prices(clients: &Clients, region: &str) -> Listed {
    let families = [VIRTUAL, BARE_METAL].map(|family| of_family(clients, region, family));
    let mut all = Listed::default();
    for listed in join_all(families).await {
        all.prices.extend(listed.prices);
        all.failure = all.failure.or(listed.failure);
    }
    all
}

async fn of_family(clients: &Clients, region: &str, family: &str) -> Listed {
    let mut listed = Listed::default();
    let filters = match filters(region, family) {
        Ok(filters) => filters,
        Err(failure) => return Listed { failure: Some(failure), ..listed },
    };
    let asked = clients.pricing.get_products().service_code(SERVICE).set_filters(Some(filters));
    let mut pages = asked.into_paginator().page_size(PAGE).send();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => listed.prices.extend(read(page.price_list(), region)),
            Err(error) => {
                return Listed { failure: Some(Failure::of("pricing:GetProducts", &error)), ..listed };
            }
        }
    }
    listed
}

/// What is asked for: what a node is bought as.
fn filters(region: &str, family: &str) -> Result<Vec<Filter>, Failure> {
    let of_all = [("regionCode", region), ("serviceCode", SERVICE), ("productFamily", family)];
    let filters = of_all.into_iter().chain(attributes(family)).map(|(field, value)| {
        let filter = Filter::builder().r#type(FilterType::TermMatch).field(field).value(value);
        filter.build().map_err(|error| Failure {
            operation: "pricing:GetProducts",
            code: None,
            message: error.to_string(),
        })
    });
    filters.collect()
}

/// The prices that products of a page have in a region. What is no product is logged and left out.
fn read(products: &[String], region: &str) -> BTreeMap<&'static str, Price> {
    let mut prices = BTreeMap::new();
    for product in products {
        match list_price(product) {
            Ok(Some(listed)) if listed.region == region => {
                prices.insert(kept(&listed.instance_type), listed.price);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("Pricing lists what is no product with terms: {error}"),
        }
    }
    prices
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products in the form that the service documents, with figures that are nobody's.
    fn products() -> Vec<String> {
        let products: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("shapes/products.json")).unwrap();
        products.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_page_of_products_is_read_for_one_region() {
        let mut page = products();
        page.push("{}".to_owned());
        let expected = BTreeMap::from([
            ("m99.large", Price::from_micros(111_000)),
            ("m99.metal", Price::from_micros(7_104_000)),
        ]);
        assert_eq!(read(&page, "eu-west-1"), expected);
        assert_eq!(read(&page, "cn-north-1"), BTreeMap::from([("m99.large", Price::from_micros(1_234_500))]));
        assert_eq!(read(&page, "eu-west-2"), BTreeMap::new());
    }

    #[test]
    fn virtual_machines_are_asked_for_shared_and_bare_metal_dedicated() {
        let asked = |family: &str| -> Vec<String> {
            let filters = filters("eu-west-1", family).unwrap();
            filters.iter().map(|one| format!("{}={}", one.field, one.value)).collect()
        };
        let expected = |family: &str, tenancy: &str| {
            [
                "regionCode=eu-west-1",
                "serviceCode=AmazonEC2",
                &format!("productFamily={family}"),
                "operatingSystem=Linux",
                &format!("tenancy={tenancy}"),
                "preInstalledSw=NA",
                "capacitystatus=Used",
                "marketoption=OnDemand",
            ]
            .map(str::to_owned)
            .to_vec()
        };
        assert_eq!(asked(VIRTUAL), expected("Compute Instance", "Shared"));
        assert_eq!(asked(BARE_METAL), expected("Compute Instance (bare metal)", "Dedicated"));
    }
}
