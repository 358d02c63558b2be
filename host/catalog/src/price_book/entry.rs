//! The two forms that are written by hand: CSV and JSON.

use std::collections::btree_map::Entry as MapEntry;

use serde::Deserialize;
use serde_json::Value;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::price::Price;

use super::{Key, PriceBook, PriceFileError, PriceFileErrors, parse_dollars};
use crate::catalog::Catalog;

/// The header of the CSV form.
const HEADER: &str = "region,zone,type,capacity_type,usd_per_hour";

/// One price as it stands in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    region: String,
    #[serde(default)]
    zone: String,
    #[serde(rename = "type")]
    instance_type: String,
    capacity_type: String,
    usd_per_hour: Value,
}

/// A book in the making, with what was wrong so far.
struct Reader<'a> {
    file: &'a str,
    catalog: &'a Catalog,
    book: PriceBook,
    errors: Vec<PriceFileError>,
}

/// Reads the CSV form.
pub(super) fn parse_csv(file: &str, text: &str, catalog: &Catalog) -> Result<PriceBook, PriceFileErrors> {
    let mut reader = Reader { file, catalog, book: PriceBook::default(), errors: Vec::new() };
    let lines = text.lines().map(str::trim).enumerate();
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    match lines.next() {
        Some((_, HEADER)) => {}
        Some((index, line)) => reader.wrong(format!("line {}", index + 1), quoted(line), HEADER),
        None => reader.wrong("line 1".to_owned(), "nothing".to_owned(), HEADER),
    }
    for (index, line) in lines {
        let place = format!("line {}", index + 1);
        let cells: Vec<_> = line.split(',').map(|cell| cell.trim().to_owned()).collect();
        match <[String; 5]>::try_from(cells) {
            Ok([region, zone, instance_type, capacity_type, usd]) => {
                let usd_per_hour = Value::String(usd);
                reader.take(&place, Entry { region, zone, instance_type, capacity_type, usd_per_hour });
            }
            Err(cells) => reader.wrong(place, format!("{} columns", cells.len()), "5 columns"),
        }
    }
    reader.finish()
}

/// Reads the JSON form.
pub(super) fn parse_json(file: &str, text: &str, catalog: &Catalog) -> Result<PriceBook, PriceFileErrors> {
    let mut reader = Reader { file, catalog, book: PriceBook::default(), errors: Vec::new() };
    match serde_json::from_str::<Vec<Value>>(text) {
        Err(error) => reader.wrong(format!("line {}", error.line()), error.to_string(), "JSON"),
        Ok(entries) => {
            for (index, entry) in entries.into_iter().enumerate() {
                let place = format!("entry {}", index + 1);
                match serde_json::from_value::<Entry>(entry.clone()) {
                    Ok(entry) => reader.take(&place, entry),
                    Err(error) => {
                        let expected = format!("an object with {HEADER} ({error})");
                        reader.wrong(place, entry.to_string(), &expected);
                    }
                }
            }
        }
    }
    reader.finish()
}

impl Reader<'_> {
    fn wrong(&mut self, place: String, found: String, expected: &str) {
        let expected = expected.to_owned();
        self.errors.push(PriceFileError { file: self.file.to_owned(), place, found, expected });
    }

    /// Checks every field of an entry, so that one reading of the file shows all mistakes.
    fn take(&mut self, place: &str, entry: Entry) {
        let before = self.errors.len();
        self.check_place_and_type(place, &entry);
        // What is reserved is paid for already and has no price of its own.
        let capacity_type = CapacityType::from_label(&entry.capacity_type)
            .filter(|capacity_type| *capacity_type != CapacityType::Reserved);
        if capacity_type.is_none() {
            let expected = "spot or on-demand";
            self.wrong(format!("{place}, capacity_type"), quoted(&entry.capacity_type), expected);
        }
        let price = dollars(&entry.usd_per_hour);
        if price.is_none() {
            let expected = "dollars per hour such as 0.0416";
            self.wrong(format!("{place}, usd_per_hour"), entry.usd_per_hour.to_string(), expected);
        }
        let (Some(capacity_type), Some(price)) = (capacity_type, price) else { return };
        if self.errors.len() > before {
            return;
        }
        let zone = Some(entry.zone).filter(|zone| !zone.is_empty());
        let key = Key { region: entry.region, instance_type: entry.instance_type, capacity_type, zone };
        match self.book.prices.entry(key) {
            MapEntry::Vacant(vacant) => {
                vacant.insert(price);
            }
            MapEntry::Occupied(occupied) => {
                let found = format!("a second price for {}", occupied.key().instance_type);
                self.wrong(place.to_owned(), found, "one price per region, zone, type and capacity type");
            }
        }
    }

    fn check_place_and_type(&mut self, place: &str, entry: &Entry) {
        match self.catalog.zones(&entry.region) {
            Err(unknown) => {
                let expected = format!("one of {}", unknown.known.join(", "));
                self.wrong(format!("{place}, region"), quoted(&entry.region), &expected);
            }
            Ok(zones) if !entry.zone.is_empty() && !zones.iter().any(|zone| zone.name == entry.zone) => {
                let names: Vec<_> = zones.iter().map(|zone| zone.name).collect();
                let expected = format!("one of {}, or nothing for all", names.join(", "));
                self.wrong(format!("{place}, zone"), quoted(&entry.zone), &expected);
            }
            Ok(_) => {}
        }
        if self.catalog.specification(&entry.instance_type).is_none() {
            let expected = "an instance type of the catalogue such as m6i.large";
            self.wrong(format!("{place}, type"), quoted(&entry.instance_type), expected);
        }
    }

    fn finish(self) -> Result<PriceBook, PriceFileErrors> {
        if self.errors.is_empty() { Ok(self.book) } else { Err(PriceFileErrors { errors: self.errors }) }
    }
}

/// A price above zero from a JSON string or number.
fn dollars(value: &Value) -> Option<Price> {
    let price = match value {
        Value::String(text) => parse_dollars(text),
        Value::Number(number) => parse_dollars(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    price.filter(|price| *price > Price::ZERO)
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
