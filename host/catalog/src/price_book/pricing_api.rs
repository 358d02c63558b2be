//! The form that the AWS Pricing API answers in.

use std::collections::BTreeMap;

use serde::Deserialize;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::price::Price;

use super::{Key, PriceBook, PriceFileError, PriceFileErrors, parse_dollars};
use crate::catalog::Catalog;

/// A page or several pages merged, as `aws pricing get-products` prints them.
#[derive(Deserialize)]
struct Answer {
    /// Each a product as JSON inside a string.
    #[serde(rename = "PriceList")]
    price_list: Vec<String>,
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

/// Reads what the Pricing API answered.
pub(super) fn parse(file: &str, text: &str, catalog: &Catalog) -> Result<PriceBook, PriceFileErrors> {
    let wrong = |place: String, error: &serde_json::Error, expected: &str| {
        let (found, expected) = (error.to_string(), expected.to_owned());
        PriceFileError { file: file.to_owned(), place, found, expected }
    };
    let answer: Answer = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}", error.line());
        let expected = "the JSON that `aws pricing get-products` prints, with its PriceList";
        PriceFileErrors { errors: vec![wrong(place, &error, expected)] }
    })?;
    let (mut book, mut errors) = (PriceBook::default(), Vec::new());
    for (index, product) in answer.price_list.iter().enumerate() {
        match serde_json::from_str::<Offer>(product) {
            Ok(offer) => book.prices.extend(price(&offer, catalog)),
            Err(error) => errors.push(wrong(format!("PriceList[{index}]"), &error, "a product with terms")),
        }
    }
    if errors.is_empty() { Ok(book) } else { Err(PriceFileErrors { errors }) }
}

/// The price of a product, if it is one that a node can be bought at.
fn price(offer: &Offer, catalog: &Catalog) -> Option<(Key, Price)> {
    let attribute = |name: &str| offer.product.attributes.get(name).map(String::as_str);
    let tenancy =
        if offer.product.family == "Compute Instance (bare metal)" { "Dedicated" } else { "Shared" };
    let wanted = [
        ("operatingSystem", "Linux"),
        ("tenancy", tenancy),
        ("preInstalledSw", "NA"),
        ("capacitystatus", "Used"),
        ("marketoption", "OnDemand"),
    ];
    if wanted.iter().any(|(name, value)| attribute(name).is_some_and(|found| found != *value)) {
        return None;
    }
    let specification = catalog.specification(attribute("instanceType")?)?;
    let region = attribute("regionCode")?;
    let dimensions = offer.terms.on_demand.values().flat_map(|term| term.dimensions.values());
    let price = dimensions
        .filter(|dimension| dimension.unit == "Hrs")
        .filter_map(|dimension| parse_dollars(dimension.price_per_unit.get("USD")?))
        .find(|price| *price > Price::ZERO)?;
    let key = Key {
        region: region.to_owned(),
        instance_type: specification.name.to_owned(),
        capacity_type: CapacityType::OnDemand,
        zone: None,
    };
    Some((key, price))
}
