//! Products as the Pricing service lists them, each a text of JSON.
//!
//! Only what a node can be bought at is a price here: Linux on demand without licences, for shared tenancy, and for bare
//! metal for dedicated tenancy, as AWS files it there. China is listed in yuan, everything else in US dollars; the number
//! is taken as it stands, because prices are compared within a region only.

use std::collections::BTreeMap;

use serde::Deserialize;
use whittle_core::model::price::Price;

use crate::price_book::parse_dollars;

/// The family that bare metal is listed in.
pub const BARE_METAL: &str = "Compute Instance (bare metal)";
/// The family of everything else.
pub const VIRTUAL: &str = "Compute Instance";

/// The price of an instance type in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPrice {
    /// The region.
    pub region: String,
    /// The instance type.
    pub instance_type: String,
    /// What an hour costs on demand.
    pub price: Price,
}

#[derive(Deserialize)]
struct Offer {
    product: Product,
    #[serde(default)]
    terms: Terms,
}

#[derive(Deserialize)]
struct Product {
    #[serde(rename = "productFamily", default)]
    family: String,
    attributes: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Terms {
    #[serde(rename = "OnDemand", default)]
    on_demand: BTreeMap<String, Term>,
}

#[derive(Deserialize)]
struct Term {
    #[serde(rename = "priceDimensions")]
    dimensions: BTreeMap<String, Dimension>,
}

#[derive(Deserialize)]
struct Dimension {
    unit: String,
    #[serde(rename = "pricePerUnit")]
    price_per_unit: BTreeMap<String, String>,
}

/// The attributes of what is bought, for this family: the tenancy differs.
#[must_use]
pub fn attributes(family: &str) -> [(&'static str, &'static str); 5] {
    let tenancy = if family == BARE_METAL { "Dedicated" } else { "Shared" };
    [
        ("operatingSystem", "Linux"),
        ("tenancy", tenancy),
        ("preInstalledSw", "NA"),
        ("capacitystatus", "Used"),
        ("marketoption", "OnDemand"),
    ]
}

/// The price of a product; `None` if it is not one that a node can be bought at.
///
/// # Errors
///
/// The text is not a product with terms.
pub fn list_price(product: &str) -> Result<Option<ListPrice>, serde_json::Error> {
    serde_json::from_str(product).map(|offer| price(&offer))
}

fn price(offer: &Offer) -> Option<ListPrice> {
    let attribute = |name: &str| offer.product.attributes.get(name).map(String::as_str);
    let is_other = |(name, value): &(&str, &str)| attribute(name).is_some_and(|found| found != *value);
    if attributes(&offer.product.family).iter().any(is_other) {
        return None;
    }
    let (region, instance_type) = (attribute("regionCode")?, attribute("instanceType")?);
    let currency = if region.starts_with("cn-") { "CNY" } else { "USD" };
    let dimensions = offer.terms.on_demand.values().flat_map(|term| term.dimensions.values());
    let price = dimensions
        .filter(|dimension| dimension.unit == "Hrs")
        .filter_map(|dimension| parse_dollars(dimension.price_per_unit.get(currency)?))
        .find(|price| *price > Price::ZERO)?;
    Some(ListPrice { region: region.to_owned(), instance_type: instance_type.to_owned(), price })
}

#[cfg(test)]
mod tests {
    use whittle_core::model::price::Price;

    use super::{ListPrice, list_price};

    fn product(region: &str, price_per_unit: &serde_json::Value) -> String {
        let dimension = serde_json::json!({"unit": "Hrs", "pricePerUnit": price_per_unit});
        serde_json::json!({
            "product": {
                "productFamily": "Compute Instance",
                "attributes": {"instanceType": "m99.large", "regionCode": region, "tenancy": "Shared"},
            },
            "terms": {"OnDemand": {"X.Y": {"priceDimensions": {"X.Y.Z": dimension}}}},
        })
        .to_string()
    }

    #[test]
    fn china_is_listed_in_yuan_and_everything_else_in_dollars() {
        let both = serde_json::json!({"USD": "0.1000000000", "CNY": "0.7000000000"});
        let priced = |region: &str| list_price(&product(region, &both)).unwrap();
        let expected = |region: &str, micros| {
            let price = Price::from_micros(micros);
            Some(ListPrice { region: region.to_owned(), instance_type: "m99.large".to_owned(), price })
        };
        assert_eq!(priced("cn-north-1"), expected("cn-north-1", 700_000));
        assert_eq!(priced("eu-west-1"), expected("eu-west-1", 100_000));
    }

    #[test]
    fn what_costs_nothing_has_no_price() {
        let free = serde_json::json!({"USD": "0.0000000000"});
        assert_eq!(list_price(&product("eu-west-1", &free)).unwrap(), None);
        assert!(list_price("{}").is_err());
    }
}
