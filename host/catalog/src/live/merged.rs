//! The tables of a region under what was found of it, put together once so that looking up costs no more than before.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::model::price::Price;

use super::Live;
use crate::specification::Specification;
use crate::spot::Pool;
use crate::tables::{Region, Tables};
use crate::zone::Zone;

/// What is known of one region, and of all instance types.
#[derive(Debug)]
pub(crate) struct Merged {
    /// What was found.
    pub(crate) live: Live,
    /// Every instance type, by name.
    pub(crate) specifications: Vec<Specification>,
    /// The region; `None` when neither the tables nor what was found say which zones it has and what they offer.
    pub(crate) region: Option<Region>,
    /// The zones of which there are spot prices.
    spot_zones: BTreeSet<&'static str>,
}

/// What was found of a spot pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpotFound {
    /// Its price.
    Price(Price),
    /// Its zone has prices, and it has none: there is no such capacity now.
    Nothing,
    /// Nothing is known of its zone.
    Unknown,
}

impl Merged {
    /// The tables under what was found.
    pub(crate) fn new(tables: &Tables, live: Live) -> Self {
        let spot = live.spot.as_ref();
        Self {
            specifications: specifications(tables, &live),
            region: region(tables, &live),
            spot_zones: spot
                .map(|spot| spot.what.keys().map(|(_, zone)| *zone).collect())
                .unwrap_or_default(),
            live,
        }
    }

    /// The price on demand that was found.
    pub(crate) fn on_demand(&self, instance_type: &str) -> Option<Price> {
        self.live.on_demand.as_ref()?.what.get(instance_type).copied()
    }

    /// What was found of a spot pool.
    pub(crate) fn spot(&self, pool: &Pool<'_>) -> SpotFound {
        let Some(spot) = &self.live.spot else { return SpotFound::Unknown };
        match spot.what.get(&(pool.specification.name, pool.zone)) {
            Some(price) => SpotFound::Price(*price),
            None if self.spot_zones.contains(pool.zone) => SpotFound::Nothing,
            None => SpotFound::Unknown,
        }
    }
}

fn specifications(tables: &Tables, live: &Live) -> Vec<Specification> {
    let Some(found) = &live.specifications else { return tables.specifications.clone() };
    let embedded = tables.specifications.iter().map(|one| (one.name, one));
    let found = found.what.iter().map(|one| (one.name, one));
    let by_name: BTreeMap<_, _> = embedded.chain(found).collect();
    by_name.into_values().cloned().collect()
}

fn region(tables: &Tables, live: &Live) -> Option<Region> {
    let embedded = tables.regions.get(live.region);
    let mut zones = match &live.zones {
        Some(found) => found.what.clone(),
        None => embedded?.zones.clone(),
    };
    zones.sort_by_key(|zone| zone.name);
    let offered = match (&live.offered, embedded) {
        (Some(found), _) => placed(&zones, found.what.iter().map(|(name, zones)| (*name, zones.clone()))),
        (None, Some(region)) => {
            let names = |positions: &[usize]| positions.iter().map(|at| region.zones[*at].name).collect();
            placed(&zones, region.offered.iter().map(|(name, positions)| (*name, names(positions))))
        }
        (None, None) => return None,
    };
    Some(Region { name: live.region, zones, offered })
}

/// By instance type, the positions of its zones. What no zone of these offers is left out.
fn placed(
    zones: &[Zone],
    offered: impl Iterator<Item = (&'static str, BTreeSet<&'static str>)>,
) -> BTreeMap<&'static str, Vec<usize>> {
    let positions = offered.map(|(name, names)| {
        let within = zones.iter().enumerate().filter(|(_, zone)| names.contains(zone.name));
        (name, within.map(|(position, _)| position).collect::<Vec<_>>())
    });
    positions.filter(|(_, positions)| !positions.is_empty()).collect()
}
