//! The catalogue as a list for people and for scripts: filtered, sorted, as a table or as JSON.
//!
//! Command-line arguments are the binary's; here is what they come to.

use serde::Serialize;
use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::resources::Resources;

use crate::catalog::{self, Catalog};
use crate::live::Part;
use crate::on_demand::{self, Quote};
use crate::settings::NodeClassSettings;
use crate::specification::Specification;
use crate::spot::{self, ReclaimRate};

mod filter;
mod table;

/// Which instance types to list, and in which order. Every condition must hold; an empty or absent one always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The region.
    pub region: String,
    /// Zone names: offered in at least one of them. Prices are those of these zones only.
    pub zones: Vec<String>,
    /// The architecture: `amd64` or `arm64`.
    pub arch: Option<String>,
    /// Categories such as `m`.
    pub categories: Vec<String>,
    /// Families such as `m6i`.
    pub families: Vec<String>,
    /// The oldest generation.
    pub generation_min: Option<u64>,
    /// The fewest vCPUs.
    pub vcpus_min: Option<u64>,
    /// The most vCPUs.
    pub vcpus_max: Option<u64>,
    /// The least memory in MiB.
    pub memory_mib_min: Option<u64>,
    /// The most memory in MiB.
    pub memory_mib_max: Option<u64>,
    /// The fewest GPUs.
    pub gpus_min: Option<u64>,
    /// Sold like this, with a price. Only prices of this kind are listed.
    pub capacity_type: Option<CapacityType>,
    /// A pattern for the name, in which `*` is any text and `?` any one character.
    pub name: Option<String>,
    /// The order.
    pub sort: Sort,
    /// How many rows at most.
    pub limit: Option<usize>,
}

/// The order of a listing. Rows that are equal in it are in order of name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// By family, and within it from small to large.
    #[default]
    Name,
    /// The cheapest first; those without a price last.
    Price,
    /// The fewest vCPUs first.
    Cpu,
    /// The least memory first.
    Memory,
}

/// What a filter asks for and the catalogue does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found:?}, expected one of {}", known.join(", "))]
pub struct UnknownValue {
    /// The field of the filter.
    pub field: &'static str,
    /// What was asked for.
    pub found: String,
    /// What there is.
    pub known: Vec<String>,
}

/// The rows that a filter lets through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The region.
    pub region: String,
    /// The rows in the order asked for.
    pub rows: Vec<Row>,
    /// How many more rows there would be without the limit.
    pub omitted: usize,
    /// Where the figures are from, and when; says what is estimated.
    pub sources: Vec<String>,
}

/// One instance type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What EC2 says about it.
    #[serde(flatten)]
    pub specification: Specification,
    /// What the kubelet of a node would report.
    pub capacity: Resources,
    /// What of it is left for pods.
    pub allocatable: Resources,
    /// The lowest on-demand price over the zones.
    pub on_demand: Option<Quote>,
    /// The cheapest zone for spot capacity.
    pub spot: Option<SpotQuote>,
    /// Every zone that offers it.
    pub zones: Vec<ZoneRow>,
}

/// The price of spot capacity with its zone and what it risks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpotQuote {
    /// The zone's name.
    pub zone: String,
    /// The price there.
    #[serde(flatten)]
    pub quote: Quote,
    /// How often it is reclaimed there; always an estimate.
    pub reclaim_rate: ReclaimRate,
}

/// One instance type in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRow {
    /// The zone's name.
    pub zone: String,
    /// The zone's id.
    pub zone_id: String,
    /// The on-demand price there.
    pub on_demand: Option<Quote>,
    /// The spot price there.
    pub spot: Option<Quote>,
    /// How often spot instances are reclaimed there; always an estimate.
    pub reclaim_rate: Option<ReclaimRate>,
}

/// Lists the instance types that a NodeClass with these settings can launch and the filter lets through. Zones of
/// the settings narrow the list as those of the filter do. [`AmiFamily::Custom`] can launch everything.
///
/// [`AmiFamily::Custom`]: crate::settings::AmiFamily::Custom
///
/// # Errors
///
/// The filter names a region, zone, architecture, category or family that the catalogue does not have.
pub fn list(
    catalog: &Catalog,
    settings: &NodeClassSettings,
    filter: &Filter,
) -> Result<Listing, UnknownValue> {
    filter::check(catalog, filter)?;
    let types = catalog.instance_types(&filter.region, settings).unwrap_or_default();
    let mut rows: Vec<_> = types
        .iter()
        .filter_map(|instance_type| {
            let specification = catalog.specification(&instance_type.name)?;
            if !filter::admits(filter, specification) {
                return None;
            }
            let zones = zone_rows(catalog, instance_type, filter);
            let on_demand = zones.iter().filter_map(|zone| zone.on_demand).min();
            let spot = cheapest_spot(&zones);
            let wanted = match filter.capacity_type {
                None => !zones.is_empty(),
                Some(CapacityType::OnDemand) => on_demand.is_some(),
                Some(CapacityType::Spot) => spot.is_some(),
                Some(CapacityType::Reserved) => false,
            };
            wanted.then(|| Row {
                specification: specification.clone(),
                capacity: instance_type.capacity.clone(),
                allocatable: instance_type.allocatable(),
                on_demand,
                spot,
                zones,
            })
        })
        .collect();
    filter::sort(&mut rows, filter.sort);
    let kept = filter.limit.unwrap_or(rows.len()).min(rows.len());
    let omitted = rows.len() - kept;
    rows.truncate(kept);
    let sources = sources(catalog, &filter.region);
    Ok(Listing { region: filter.region.clone(), rows, omitted, sources })
}

impl Listing {
    /// The listing as indented JSON that ends with a line feed. Prices are whole millionths of a US dollar per hour,
    /// each with whether it is an estimate.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("a listing holds text, numbers and maps keyed by text") + "\n"
    }

    /// The list as a table of aligned columns with a note below that says where the figures are from. Estimates are
    /// marked with `~`; columns in which no row has anything are left out. Ends with a line feed.
    #[must_use]
    pub fn to_table(&self) -> String {
        table::render(self)
    }
}

/// What the note below a listing says.
fn sources(catalog: &Catalog, region: &str) -> Vec<String> {
    let mut sources = [catalog::SOURCE, on_demand::SOURCE, spot::SOURCE].map(str::to_owned).to_vec();
    let found = |part: Part| Some(format!("{} at {}", part.words(), catalog.found_at(region, part)?));
    let found: Vec<_> = Part::ALL.into_iter().filter_map(found).collect();
    if !found.is_empty() {
        sources.push(format!("Found in AWS, which goes before these: {}.", found.join(", ")));
    }
    match catalog.own_prices() {
        0 => {}
        count => sources.push(format!("Prices of your own, which go before these: {count}.")),
    }
    sources
}

/// The zones of the filter that offer the type, with the prices that the filter asks for.
fn zone_rows(catalog: &Catalog, instance_type: &InstanceType, filter: &Filter) -> Vec<ZoneRow> {
    let mut rows: Vec<ZoneRow> = Vec::new();
    let in_zones = |zone: &String| filter.zones.is_empty() || filter.zones.contains(zone);
    for offering in instance_type.offerings.iter().filter(|offering| in_zones(&offering.zone)) {
        if rows.last().is_none_or(|row| row.zone != offering.zone) {
            let (zone, zone_id) = (offering.zone.clone(), offering.zone_id.clone());
            rows.push(ZoneRow { zone, zone_id, on_demand: None, spot: None, reclaim_rate: None });
        }
        let asked_for = filter.capacity_type.is_none_or(|asked| asked == offering.capacity_type);
        let Some(row) = rows.last_mut().filter(|_| asked_for && offering.available) else { continue };
        let quote = Some(Quote { price: offering.price, estimated: offering.estimated });
        match offering.capacity_type {
            CapacityType::Spot => {
                row.spot = quote;
                row.reclaim_rate = catalog.reclaim_rate(&filter.region, &instance_type.name, &row.zone);
            }
            CapacityType::OnDemand => row.on_demand = quote,
            CapacityType::Reserved => {}
        }
    }
    rows
}

/// The cheapest zone for spot capacity; of equals, the first by name.
fn cheapest_spot(zones: &[ZoneRow]) -> Option<SpotQuote> {
    let quotes = zones.iter().filter_map(|zone| Some((zone.spot?, zone.reclaim_rate?, &zone.zone)));
    let (quote, reclaim_rate, zone) = quotes.min_by_key(|(quote, _, _)| *quote)?;
    Some(SpotQuote { zone: zone.clone(), quote, reclaim_rate })
}

#[cfg(test)]
mod tests;
