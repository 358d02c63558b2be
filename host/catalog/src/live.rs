//! What was found of one region while the process runs, which goes before what is embedded.
//!
//! Who finds it is not here: an adapter asks EC2 and Pricing, and says when. Each part stands alone, because each is found
//! by calls of its own, and some may fail: what a part does not say is as the tables have it.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::model::price::Price;
use whittle_core::model::time::Timestamp;

use crate::specification::Specification;
use crate::zone::Zone;

pub(crate) mod merged;

/// What was found of a region. The default is nothing, of no region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// The region's name.
    pub region: &'static str,
    /// What the instance types are like. A type of the tables that is not among them stays as it is.
    pub specifications: Option<Found<Vec<Specification>>>,
    /// All zones that the account can use, with the ids that they have in this account.
    pub zones: Option<Found<Vec<Zone>>>,
    /// All instance types that are offered, each with the names of the zones that do.
    pub offered: Option<Found<BTreeMap<&'static str, BTreeSet<&'static str>>>>,
    /// Prices on demand by instance type. A type that is not among them has the price of the tables.
    pub on_demand: Option<Found<BTreeMap<&'static str, Price>>>,
    /// Spot prices by instance type and zone. What is not among them, although its zone is, cannot be had as spot capacity
    /// now; in a zone without any the model's estimates stay.
    pub spot: Option<Found<BTreeMap<(&'static str, &'static str), Price>>>,
}

/// Something, and when it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: T,
}

/// A part of the catalogue, found by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What instance types are like.
    Specifications,
    /// The zones and their ids.
    Zones,
    /// Which zone offers what.
    Offerings,
    /// Prices on demand.
    OnDemandPrices,
    /// Spot prices.
    SpotPrices,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Specifications, Self::Zones, Self::Offerings, Self::OnDemandPrices, Self::SpotPrices];

    /// What it is, for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Specifications => "instance types",
            Self::Zones => "zones",
            Self::Offerings => "what zones offer",
            Self::OnDemandPrices => "on-demand prices",
            Self::SpotPrices => "spot prices",
        }
    }
}

impl Live {
    /// Nothing was found yet of this region.
    #[must_use]
    pub fn nothing_of(region: &'static str) -> Self {
        Self { region, ..Self::default() }
    }

    /// With what was found later, which may be a part of it. What instance types are like and prices on demand are added
    /// to those that are known, because they stay true; zones, offerings and spot prices replace them, because what is not
    /// said any more is not there any more. Where nothing at all is said, that is a mistake and not a region that sells
    /// nothing: what is known stays.
    #[must_use]
    pub fn updated_by(self, later: Self) -> Self {
        Self {
            region: later.region,
            specifications: added(
                self.specifications,
                some(later.specifications, Vec::is_empty),
                |known, new| {
                    let renewed: BTreeSet<_> = new.iter().map(|one| one.name).collect();
                    known.retain(|one| !renewed.contains(one.name));
                    known.extend(new);
                },
            ),
            zones: some(later.zones, Vec::is_empty).or(self.zones),
            offered: some(later.offered, BTreeMap::is_empty).or(self.offered),
            on_demand: added(self.on_demand, some(later.on_demand, BTreeMap::is_empty), |known, new| {
                known.extend(new)
            }),
            spot: some(later.spot, BTreeMap::is_empty).or(self.spot),
        }
    }

    /// When a part was found; `None` when it was not.
    #[must_use]
    pub fn found_at(&self, part: Part) -> Option<Timestamp> {
        match part {
            Part::Specifications => self.specifications.as_ref().map(|found| found.at),
            Part::Zones => self.zones.as_ref().map(|found| found.at),
            Part::Offerings => self.offered.as_ref().map(|found| found.at),
            Part::OnDemandPrices => self.on_demand.as_ref().map(|found| found.at),
            Part::SpotPrices => self.spot.as_ref().map(|found| found.at),
        }
    }
}

/// What was found, if it is anything.
fn some<T>(found: Option<Found<T>>, is_empty: impl FnOnce(&T) -> bool) -> Option<Found<T>> {
    found.filter(|found| !is_empty(&found.what))
}

/// What is known with what is new, as of the latter.
fn added<T>(known: Option<Found<T>>, new: Option<Found<T>>, add: impl FnOnce(&mut T, T)) -> Option<Found<T>> {
    match (known, new) {
        (Some(mut known), Some(new)) => {
            add(&mut known.what, new.what);
            Some(Found { at: new.at, what: known.what })
        }
        (known, new) => new.or(known),
    }
}
