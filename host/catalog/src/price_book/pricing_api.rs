//! The form that the AWS Pricing API answers in.

use serde::Deserialize;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::price::Price;

use super::{Key, PriceBook, PriceFileError, PriceFileErrors};
use crate::catalog::Catalog;
use crate::price_list::{ListPrice, list_price};

/// A page or several pages merged, as `aws pricing get-products` prints them.
#[derive(Deserialize)]
struct Answer {
    /// Each a product as JSON inside a string.
    #[serde(rename = "PriceList")]
    price_list: Vec<String>,
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
        match list_price(product) {
            Ok(price) => book.prices.extend(price.and_then(|price| entry(price, catalog))),
            Err(error) => errors.push(wrong(format!("PriceList[{index}]"), &error, "a product with terms")),
        }
    }
    if errors.is_empty() { Ok(book) } else { Err(PriceFileErrors { errors }) }
}

/// A price of an instance type that the catalogue knows.
fn entry(listed: ListPrice, catalog: &Catalog) -> Option<(Key, Price)> {
    let ListPrice { region, instance_type, price } = listed;
    catalog.specification(&instance_type)?;
    Some((Key { region, instance_type, capacity_type: CapacityType::OnDemand, zone: None }, price))
}
