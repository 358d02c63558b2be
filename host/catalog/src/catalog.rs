//! The catalogue as a whole: what can be asked of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use whittle_core::model::instance_type::{CapacityType, InstanceType, Offering};
use whittle_core::model::price::Price;
use whittle_core::model::time::Timestamp;

use crate::capacity::capacity;
use crate::labels::labels;
use crate::live::merged::{Merged, SpotFound};
use crate::live::{Live, Part};
use crate::on_demand::{self, Quote};
use crate::overhead::overhead;
use crate::price_book::PriceBook;
use crate::settings::{NodeClassSettings, ReservedInstances};
use crate::specification::Specification;
use crate::spot::{self, Pool, ReclaimRate};
use crate::tables::{Region, TABLES, Tables, by_name};
use crate::zone::Zone;

/// Where and when specifications and zones were recorded.
pub const SOURCE: &str =
    "Instance types and zones: as EC2 describes them, recorded in moto 5.2.5, 2026-10-27.";

/// Instance types and prices. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog {
    tables: &'static Tables,
    live: Option<Arc<Merged>>,
    book: Arc<PriceBook>,
}

/// A region that the catalogue does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue has no region {region:?}, only {}", known.join(", "))]
pub struct UnknownRegion {
    /// What was asked for.
    pub region: String,
    /// The regions that there are.
    pub known: Vec<&'static str>,
}

impl Catalog {
    /// The catalogue of the embedded tables. The first call parses them.
    #[must_use]
    pub fn embedded() -> Self {
        Self { tables: &TABLES, live: None, book: Arc::default() }
    }

    /// The catalogue with prices of the user's own; a later book goes before an earlier one.
    #[must_use]
    pub fn with_prices(self, book: PriceBook) -> Self {
        let merged = Arc::unwrap_or_clone(self.book).overridden_by(book);
        Self { book: Arc::new(merged), ..self }
    }

    /// How many prices are the user's own.
    #[must_use]
    pub fn own_prices(&self) -> usize {
        self.book.len()
    }

    /// The catalogue with what was found of a region, in place of what was found earlier. It goes before the tables, and
    /// after prices of the user's own.
    #[must_use]
    pub fn with_live(self, live: Live) -> Self {
        Self { live: Some(Arc::new(Merged::new(self.tables, live))), ..self }
    }

    /// When a part of what is known of a region was found; `None` when it is the tables'.
    #[must_use]
    pub fn found_at(&self, region: &str, part: Part) -> Option<Timestamp> {
        self.live_of(region)?.live.found_at(part)
    }

    /// The names of the regions, in order.
    pub fn regions(&self) -> impl Iterator<Item = &'static str> + use<> {
        let found = self.live.as_ref().and_then(|live| live.region.as_ref()).map(|region| region.name);
        let names: BTreeSet<_> = self.tables.regions.keys().copied().chain(found).collect();
        names.into_iter()
    }

    /// The zones of a region by name.
    ///
    /// # Errors
    ///
    /// The region is not in the catalogue.
    pub fn zones(&self, region: &str) -> Result<&[Zone], UnknownRegion> {
        self.region(region).map(|region| region.zones.as_slice())
    }

    /// Every instance type as EC2 describes it, by name.
    #[must_use]
    pub fn specifications(&self) -> &[Specification] {
        self.live.as_ref().map_or(&self.tables.specifications, |live| &live.specifications)
    }

    /// The instance type with this name as EC2 describes it.
    #[must_use]
    pub fn specification(&self, name: &str) -> Option<&Specification> {
        by_name(self.specifications(), name)
    }

    /// The instance types that a NodeClass with these settings can launch in a region, by name, each with an
    /// offering per zone and way of buying. Types that no zone of the class has are left out; types without a price
    /// stay, with offerings at [`Price::MAX`] that are not available.
    ///
    /// # Errors
    ///
    /// The region is not in the catalogue.
    pub fn instance_types(
        &self,
        region: &str,
        settings: &NodeClassSettings,
    ) -> Result<Vec<InstanceType>, UnknownRegion> {
        let region = self.region(region)?;
        let offered = region.offered.keys().filter_map(|name| self.specification(name));
        Ok(offered
            .filter_map(|specification| self.instance_type_in(region, specification, settings))
            .collect())
    }

    /// One instance type as [`Catalog::instance_types`] lists it; `None` if it would not. For classes whose settings
    /// depend on the type.
    ///
    /// # Errors
    ///
    /// The region is not in the catalogue.
    pub fn instance_type(
        &self,
        region: &str,
        name: &str,
        settings: &NodeClassSettings,
    ) -> Result<Option<InstanceType>, UnknownRegion> {
        let region = self.region(region)?;
        let specification = self.specification(name);
        Ok(specification.and_then(|found| self.instance_type_in(region, found, settings)))
    }

    /// The on-demand price of an instance type in a zone: the user's own, else the one that was found, else by the
    /// tables. `None` if it is not offered there or has no price.
    #[must_use]
    pub fn on_demand_price(&self, region: &str, instance_type: &str, zone: &str) -> Option<Quote> {
        let pool = self.pool(region, instance_type, zone)?;
        self.pool_price(&pool, CapacityType::OnDemand)
    }

    /// The spot price of an instance type in a zone: the user's own, else the one that was found, else the model's. `None`
    /// as for on-demand, and where none was found although others were found in the zone.
    #[must_use]
    pub fn spot_price(&self, region: &str, instance_type: &str, zone: &str) -> Option<Quote> {
        let pool = self.pool(region, instance_type, zone)?;
        self.pool_price(&pool, CapacityType::Spot)
    }

    /// What an instance counts for that runs in a capacity reservation, which is paid for whether it runs or not: next
    /// to nothing. `None` as for on-demand.
    #[must_use]
    pub fn reserved_price(&self, region: &str, instance_type: &str, zone: &str) -> Option<Quote> {
        let pool = self.pool(region, instance_type, zone)?;
        self.pool_price(&pool, CapacityType::Reserved)
    }

    /// How often spot instances of a type are reclaimed in a zone; always an estimate. `None` if the type is not
    /// offered there as spot capacity.
    #[must_use]
    pub fn reclaim_rate(&self, region: &str, instance_type: &str, zone: &str) -> Option<ReclaimRate> {
        let pool = self.pool(region, instance_type, zone)?;
        pool.specification.sold_as_spot.then(|| spot::reclaim_rate(self.tables, &pool))
    }

    fn live_of(&self, region: &str) -> Option<&Merged> {
        self.live.as_deref().filter(|merged| merged.live.region == region)
    }

    fn region(&self, name: &str) -> Result<&Region, UnknownRegion> {
        let found = match self.live_of(name) {
            Some(merged) => merged.region.as_ref(),
            None => self.tables.regions.get(name),
        };
        found.ok_or_else(|| UnknownRegion { region: name.to_owned(), known: self.regions().collect() })
    }

    fn pool<'a>(&'a self, region: &str, instance_type: &str, zone: &'a str) -> Option<Pool<'a>> {
        let region = self.region(region).ok()?;
        let specification = self.specification(instance_type)?;
        let here = region.zones_with(specification.name).any(|found| found.name == zone);
        here.then_some(Pool { region, specification, zone })
    }

    fn pool_price(&self, pool: &Pool<'_>, capacity_type: CapacityType) -> Option<Quote> {
        let specification = pool.specification;
        let found = |price| Quote { price, estimated: false };
        let own = |capacity_type| self.book.price(pool, capacity_type).map(found);
        let live = self.live_of(pool.region.name);
        let on_demand = || {
            own(CapacityType::OnDemand)
                .or_else(|| live?.on_demand(specification.name).map(found))
                .or_else(|| on_demand::on_demand_price(self.tables, pool.region.name, specification))
        };
        match capacity_type {
            CapacityType::Reserved => {
                let on_demand = self.pool_price(pool, CapacityType::OnDemand)?;
                Some(Quote { price: reserved(on_demand.price), ..on_demand })
            }
            CapacityType::OnDemand if specification.sold_on_demand => on_demand(),
            CapacityType::Spot if specification.sold_as_spot => {
                own(CapacityType::Spot).or_else(|| {
                    match live.map_or(SpotFound::Unknown, |live| live.spot(pool)) {
                        SpotFound::Price(price) => Some(found(price)),
                        SpotFound::Nothing => None,
                        SpotFound::Unknown => {
                            let price = spot::spot_price(self.tables, pool, on_demand()?.price);
                            Some(Quote { price, estimated: true })
                        }
                    }
                })
            }
            CapacityType::OnDemand | CapacityType::Spot => None,
        }
    }

    fn instance_type_in(
        &self,
        region: &Region,
        specification: &Specification,
        settings: &NodeClassSettings,
    ) -> Option<InstanceType> {
        if !settings.can_launch(specification) {
            return None;
        }
        let offerings = self.offerings(region, specification, settings);
        if offerings.is_empty() {
            return None;
        }
        let capacity = capacity(specification, settings);
        let overhead = overhead(specification, settings, &capacity);
        let labels = labels(specification, region.name, settings);
        Some(InstanceType { name: specification.name.to_owned(), labels, capacity, overhead, offerings })
    }

    /// The offerings by zone, and within a zone spot before on-demand before capacity reservations.
    fn offerings(
        &self,
        region: &Region,
        specification: &Specification,
        settings: &NodeClassSettings,
    ) -> Vec<Offering> {
        let in_class = |zone: &Zone| {
            settings.zones.as_ref().is_none_or(|zones| zones.iter().any(|name| name == zone.name))
        };
        let mut offerings = Vec::new();
        for zone in region.zones_with(specification.name).filter(in_class) {
            let pool = Pool { region, specification, zone: zone.name };
            let zone_id = settings.zone_ids.get(zone.name).map_or(zone.id, String::as_str);
            let sold = [
                (CapacityType::Spot, specification.sold_as_spot),
                (CapacityType::OnDemand, specification.sold_on_demand),
            ];
            for (capacity_type, _) in sold.into_iter().filter(|(_, sold)| *sold) {
                let quote = self.pool_price(&pool, capacity_type);
                offerings.push(Offering {
                    zone: zone.name.to_owned(),
                    zone_id: zone_id.to_owned(),
                    capacity_type,
                    price: quote.map_or(Price::MAX, |quote| quote.price),
                    estimated: quote.is_some_and(|quote| quote.estimated),
                    available: quote.is_some(),
                    reservation: None,
                });
            }
            let quote = self.pool_price(&pool, CapacityType::Reserved);
            let reserved = settings.reservations.iter();
            let here =
                |one: &&ReservedInstances| one.instance_type == specification.name && one.zone == zone.name;
            offerings.extend(reserved.filter(here).map(|one| Offering {
                zone: zone.name.to_owned(),
                zone_id: zone_id.to_owned(),
                capacity_type: CapacityType::Reserved,
                price: quote.map_or(Price::MAX, |quote| quote.price),
                estimated: quote.is_some_and(|quote| quote.estimated),
                available: quote.is_some() && one.reservation.instances > 0,
                reservation: Some(one.reservation.clone()),
            }));
        }
        offerings
    }
}

/// A ten-millionth of the price on demand, and never nothing (Karpenter divides by as much).
fn reserved(on_demand: Price) -> Price {
    Price::from_micros(on_demand.micros().div_ceil(10_000_000))
}
