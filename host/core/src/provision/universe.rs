//! Everything an EC2NodeClass can launch, laid out so that a question about instance types is a few bitwise
//! ANDs: for each label value, each resource level and each way to buy, the set of instance types that have it.

pub(crate) mod ways;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::instance_type::{CapacityType, InstanceType};
use crate::model::labels;
use crate::model::price::Price;
use crate::provision::amounts::{self, Amounts, Axes};
use crate::provision::bits::Bits;
use crate::provision::intern::{Interner, Sym};
use crate::provision::requirements::Values;
use crate::provision::template::Shape;
use crate::provision::universe::ways::{CapacityMask, Ways, all_of};

/// A set of zones by position in `Universe::zones`.
pub(crate) type ZoneMask = u64;

/// The most zones a universe can have. AWS's largest region has 6 zones, and 20-odd local ones.
const ZONES_MAX: usize = 64;

/// How many resources every row has: CPU, memory, local storage, pods.
pub(crate) const STANDARD_AXES: usize = 4;

/// What a label key is to instance types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// The zone, by name.
    Zone,
    /// The zone, by id.
    ZoneId,
    /// How it is bought.
    CapacityType,
    /// The capacity reservation it is bought from, by id.
    ReservationId,
    /// How that reservation was bought.
    ReservationType,
    /// The node's own name.
    Hostname,
    /// A label of the instance type, of which a node has exactly one possible value.
    Single,
    /// A label of the instance type, of which a node may have one of several values.
    Several,
    /// Nothing: a label that a NodePool defines, or nobody.
    Custom,
}

/// The instance types of an EC2NodeClass, indexed.
#[derive(Clone, Debug)]
pub(crate) struct Universe {
    pub(crate) types: Arc<[InstanceType]>,
    /// Zone names, sorted.
    pub(crate) zones: Vec<Sym>,
    zone_ids: Vec<Sym>,
    keys: BTreeMap<Sym, KeyIndex>,
    /// What is left for pods, by type.
    allocatable: Vec<Amounts>,
    /// What is there, by type: what NodePool limits count.
    pub(crate) capacity: Vec<Amounts>,
    levels: Vec<Levels>,
    capacity_levels: Vec<Levels>,
    /// How instances can be bought in a zone.
    pub(crate) ways: Ways,
    /// Price by type, zone and way; `None` where it cannot be bought.
    prices: Vec<Option<Price>>,
    offered: Vec<Bits>,
    /// For each way to buy the types that can be bought so, cheapest first.
    by_price: Vec<Vec<(Price, u32)>>,
    /// Bare metal and accelerators: left out of a launch as long as something else will do (Karpenter: exotic filter).
    pub(crate) exotic: Bits,
    /// Types that have their CPUs for a part of the time only, and earn the rest as credits (EC2: burstable performance).
    pub(crate) burstable: Bits,
    known: WellKnown,
}

/// The keys with a meaning of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WellKnown {
    pub(crate) zone: Sym,
    pub(crate) zone_id: Sym,
    pub(crate) capacity_type: Sym,
    pub(crate) reservation_id: Sym,
    pub(crate) reservation_type: Sym,
    pub(crate) hostname: Sym,
    pub(crate) capacity_types: [Sym; 3],
}

impl WellKnown {
    pub(crate) fn new(interner: &mut Interner) -> Self {
        Self {
            zone: interner.intern(labels::ZONE),
            zone_id: interner.intern(labels::ZONE_ID),
            capacity_type: interner.intern(labels::CAPACITY_TYPE),
            reservation_id: interner.intern(labels::RESERVATION_ID),
            reservation_type: interner.intern(labels::RESERVATION_TYPE),
            hostname: interner.intern(labels::HOSTNAME),
            capacity_types: CapacityType::ALL.map(|capacity_type| interner.intern(capacity_type.label())),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct KeyIndex {
    values: BTreeMap<Sym, Bits>,
    present: Bits,
    several: bool,
}

/// For one resource: the distinct amounts that types have, and the types that have at least so much.
#[derive(Clone, Debug, Default)]
struct Levels {
    amounts: Vec<u64>,
    at_least: Vec<Bits>,
}

impl Levels {
    /// The most that any of `types` has.
    fn most(&self, types: &Bits) -> u64 {
        // The more is asked for, the fewer have it.
        let levels = self.at_least.partition_point(|having| having.intersects(types));
        levels.checked_sub(1).map_or(0, |level| self.amounts[level])
    }

    /// The types that have more than so much.
    fn above(&self, amount: u64) -> Option<&Bits> {
        self.at_least.get(self.amounts.partition_point(|known| *known <= amount))
    }
}

impl Universe {
    /// Builds the index. Types beyond those that fit into 64 zones are not there.
    pub(crate) fn new(types: Arc<[InstanceType]>, axes: &mut Axes, interner: &mut Interner) -> Self {
        let known = WellKnown::new(interner);
        let (zones, zone_ids) = zones_of(&types, interner);
        let ways = Ways::new(&types, interner);
        let capacity: Vec<_> = types.iter().map(|it| axes.row(&it.capacity)).collect();
        let allocatable: Vec<_> = types.iter().map(|it| axes.row(&it.allocatable())).collect();
        let mut universe = Self {
            keys: keys_of(&types, interner),
            levels: levels_of(&allocatable),
            capacity_levels: levels_of(&capacity),
            prices: vec![None; types.len() * zones.len() * ways.len()],
            offered: vec![Bits::none(types.len()); zones.len() * ways.len()],
            by_price: Vec::new(),
            ways,
            exotic: those(&types, is_exotic),
            burstable: those(&types, is_burstable),
            types,
            zones,
            zone_ids,
            allocatable,
            capacity,
            known,
        };
        universe.index_offerings(interner);
        universe
    }

    fn index_offerings(&mut self, interner: &Interner) {
        let types = Arc::clone(&self.types);
        for (at, instance_type) in types.iter().enumerate() {
            for offering in instance_type.offerings.iter().filter(|offering| offering.available) {
                let zone = interner.find(&offering.zone);
                let Some(zone) = self.zones.iter().position(|known| Some(*known) == zone) else { continue };
                let reservation = offering.reservation.as_ref().and_then(|one| interner.find(&one.id));
                let Some(way) = self.ways.of(offering.capacity_type, reservation) else { continue };
                let way = self.way(zone, way);
                self.offered[way].insert(at);
                let price = &mut self.prices[at * self.offered.len() + way];
                *price = Some(price.map_or(offering.price, |known| known.min(offering.price)));
            }
        }
        self.by_price = (0..self.offered.len()).map(|way| self.priced(way)).collect();
    }

    /// The types that can be bought in one way, cheapest first.
    fn priced(&self, way: usize) -> Vec<(Price, u32)> {
        let types = self.offered[way]
            .iter()
            .filter_map(|at| Some((self.prices[at * self.offered.len() + way]?, u32::try_from(at).ok()?)));
        let mut types: Vec<_> = types.collect();
        types.sort_unstable();
        types
    }

    /// Takes an offering away that EC2 is thought not to have now.
    pub(crate) fn withdraw(&mut self, instance_type: usize, zone: usize, capacity_type: CapacityType) {
        let ways: Vec<_> = self.ways(1 << zone, all_of(capacity_type)).collect();
        for way in ways {
            self.offered[way].remove(instance_type);
            self.prices[instance_type * self.offered.len() + way] = None;
            self.by_price[way].retain(|(_, at)| *at as usize != instance_type);
        }
    }

    /// Takes the ways to buy away whose reservation has nothing left.
    pub(crate) fn withdraw_ways(&mut self, gone: CapacityMask) {
        let ways: Vec<_> = self.ways(self.all_zones(), gone).collect();
        for way in ways {
            self.by_price[way].clear();
            let types = std::mem::replace(&mut self.offered[way], Bits::none(self.types.len()));
            for at in types.iter() {
                self.prices[at * self.offered.len() + way] = None;
            }
        }
    }

    fn way(&self, zone: usize, way: usize) -> usize {
        zone * self.ways.len() + way
    }

    pub(crate) fn len(&self) -> usize {
        self.types.len()
    }

    pub(crate) fn all_zones(&self) -> ZoneMask {
        (0..self.zones.len()).fold(0, |mask, zone| mask | 1 << zone)
    }

    pub(crate) fn axis(&self, key: Sym) -> Axis {
        let known = &self.known;
        match key {
            _ if key == known.zone => Axis::Zone,
            _ if key == known.zone_id => Axis::ZoneId,
            _ if key == known.capacity_type => Axis::CapacityType,
            _ if key == known.reservation_id => Axis::ReservationId,
            _ if key == known.reservation_type => Axis::ReservationType,
            _ if key == known.hostname => Axis::Hostname,
            _ => match self.keys.get(&key) {
                Some(index) if index.several => Axis::Several,
                Some(_) => Axis::Single,
                None => Axis::Custom,
            },
        }
    }

    pub(crate) fn zone_mask(&self, values: &Values, interner: &Interner) -> ZoneMask {
        mask_of(&self.zones, values, interner)
    }

    pub(crate) fn zone_id_mask(&self, values: &Values, interner: &Interner) -> ZoneMask {
        mask_of(&self.zone_ids, values, interner)
    }

    pub(crate) fn capacity_mask(&self, values: &Values, interner: &Interner) -> CapacityMask {
        let admitted = CapacityType::ALL.into_iter().zip(self.known.capacity_types);
        let admitted = admitted.filter(|(_, label)| values.admits(*label, interner));
        admitted.fold(0, |mask, (capacity_type, _)| mask | all_of(capacity_type))
    }

    /// The types that can have one of `values` for the label.
    pub(crate) fn matching(&self, key: Sym, values: &Values, interner: &Interner) -> Bits {
        let mut matching = Bits::none(self.len());
        let Some(index) = self.keys.get(&key) else {
            return if values.admits_absence() { Bits::all(self.len()) } else { matching };
        };
        for (value, types) in &index.values {
            if values.admits(*value, interner) {
                matching.unite(types);
            }
        }
        if values.admits_absence() {
            let mut absent = Bits::all(self.len());
            absent.subtract(&index.present);
            matching.unite(&absent);
        }
        matching
    }

    /// The values of a type label that are left among `types`.
    pub(crate) fn values_among(&self, key: Sym, types: &Bits) -> Vec<Sym> {
        let index = self.keys.get(&key);
        let values = index.into_iter().flat_map(|index| index.values.iter());
        values.filter(|(_, having)| having.intersects(types)).map(|(value, _)| *value).collect()
    }

    /// Drops the types that have less of something than all of these rows together.
    pub(crate) fn keep_fitting(&self, types: &mut Bits, rows: &[&[u64]]) {
        let axes = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        for axis in 0..axes {
            let wanted = rows.iter().fold(0, |sum: u64, row| sum.saturating_add(amounts::at(row, axis)));
            if wanted == 0 {
                continue;
            }
            let enough = self.levels.get(axis).and_then(|levels| {
                let level = levels.amounts.partition_point(|amount| *amount < wanted);
                levels.at_least.get(level)
            });
            match enough {
                Some(enough) => types.intersect(enough),
                None => types.clear(),
            }
        }
    }

    /// Drops the types that cannot be bought in any of these zones in any of these ways.
    pub(crate) fn keep_offered(&self, types: &mut Bits, zones: ZoneMask, capacity_types: CapacityMask) {
        types.intersect_any(self.ways(zones, capacity_types).map(|way| &self.offered[way]));
    }

    /// Whether any of `types` can be bought in one of these zones in one of these ways.
    pub(crate) fn is_offered(&self, types: &Bits, zones: ZoneMask, capacity_types: CapacityMask) -> bool {
        self.ways(zones, capacity_types).any(|way| self.offered[way].intersects(types))
    }

    /// The zones and capacity types of a shape in which any of its types can be bought.
    pub(crate) fn offered_to(&self, shape: &Shape) -> (ZoneMask, CapacityMask) {
        let ways = self.ways(shape.zones, shape.capacity_types);
        let offered = ways.filter(|way| self.offered[*way].intersects(&shape.types));
        offered.fold((0, 0), |(zones, capacity_types), way| {
            let (zone, way) = (way / self.ways.len(), way % self.ways.len());
            (zones | 1 << zone, capacity_types | 1 << way)
        })
    }

    fn ways(
        &self,
        zones: ZoneMask,
        capacity_types: CapacityMask,
    ) -> impl Iterator<Item = usize> + Clone + '_ {
        let zones = (0..self.zones.len()).filter(move |zone| zones & (1 << zone) != 0);
        zones.flat_map(move |zone| {
            let ways = 0..self.ways.len();
            ways.filter(move |way| capacity_types & (1 << way) != 0).map(move |way| self.way(zone, way))
        })
    }

    /// The ways to buy any type of a shape from a capacity reservation.
    pub(crate) fn reserved_for(&self, shape: &Shape) -> CapacityMask {
        let reserved = self.ways.reservations(shape.capacity_types).map(|(way, _)| 1 << way);
        reserved.filter(|way| self.is_offered(&shape.types, shape.zones, *way)).fold(0, |all, way| all | way)
    }

    /// Every way to buy a type in these zones in these ways: zone, way and price.
    pub(crate) fn offerings(
        &self,
        instance_type: usize,
        zones: ZoneMask,
        capacity_types: CapacityMask,
    ) -> impl Iterator<Item = (usize, usize, Price)> + '_ {
        self.ways(zones, capacity_types).filter_map(move |way| {
            let price = self.prices[instance_type * self.offered.len() + way]?;
            Some((way / self.ways.len(), way % self.ways.len(), price))
        })
    }

    /// The cheapest way to buy a type.
    pub(crate) fn cheapest(
        &self,
        instance_type: usize,
        zones: ZoneMask,
        capacity_types: CapacityMask,
    ) -> Option<Price> {
        self.offerings(instance_type, zones, capacity_types).map(|(_, _, price)| price).min()
    }

    /// The cheapest way to buy any type that a node of this shape can have.
    pub(crate) fn cheapest_of(&self, shape: &Shape) -> Price {
        self.cheapest_among(&shape.types, shape.zones, shape.capacity_types)
    }

    fn cheapest_among(&self, types: &Bits, zones: ZoneMask, capacity_types: CapacityMask) -> Price {
        let cheapest = |way: usize| {
            let mut priced = self.by_price[way].iter();
            priced.find(|(_, at)| types.contains(*at as usize)).map(|(price, _)| *price)
        };
        self.ways(zones, capacity_types).filter_map(cheapest).min().unwrap_or(Price::MAX)
    }

    /// The most that any of `types` may cost when it is bought in this way: spot capacity no more than the cheapest that
    /// can be had on demand instead (Karpenter: spot offering filter).
    ///
    /// Where the NodePool wants minimum values, and so is not free to choose, there is no such limit.
    pub(crate) fn ceiling(&self, types: &Bits, shape: &Shape, way: CapacityMask, is_free: bool) -> Price {
        let on_demand = all_of(CapacityType::OnDemand) & shape.capacity_types;
        let is_limited = is_free && way == all_of(CapacityType::Spot) && on_demand != 0;
        if is_limited { self.cheapest_among(types, shape.zones, on_demand) } else { Price::MAX }
    }

    /// Whether any of `types` can be bought in this way at no more than the ceiling.
    pub(crate) fn is_usable(&self, types: &Bits, shape: &Shape, way: CapacityMask, is_free: bool) -> bool {
        match self.ceiling(types, shape, way, is_free) {
            Price::MAX => self.is_offered(types, shape.zones, way),
            ceiling => self.cheapest_among(types, shape.zones, way) <= ceiling,
        }
    }

    /// The largest capacity of each resource among `types`: what a launch may take of a NodePool's limits.
    pub(crate) fn largest(&self, types: &Bits) -> Amounts {
        self.capacity_levels.iter().map(|levels| levels.most(types)).collect()
    }

    /// Drops the types that are larger than this in some resource.
    pub(crate) fn keep_no_larger(&self, types: &mut Bits, amounts: &[Option<u64>]) {
        for (levels, most) in self.capacity_levels.iter().zip(amounts) {
            if let Some(above) = most.and_then(|most| levels.above(most)) {
                types.subtract(above);
            }
        }
    }

    /// What a type leaves for pods, by axis.
    pub(crate) fn allocatable(&self, instance_type: usize) -> &[u64] {
        &self.allocatable[instance_type]
    }

    /// The most of each standard resource that any of `types` leaves for pods.
    pub(crate) fn most(&self, types: &Bits) -> [u64; STANDARD_AXES] {
        std::array::from_fn(|axis| self.levels.get(axis).map_or(0, |levels| levels.most(types)))
    }

    pub(crate) fn zones_in(&self, mask: ZoneMask) -> Vec<Sym> {
        named(&self.zones, mask)
    }

    pub(crate) fn zone_ids_in(&self, mask: ZoneMask) -> Vec<Sym> {
        named(&self.zone_ids, mask)
    }

    pub(crate) fn capacity_types_in(&self, mask: CapacityMask) -> Vec<Sym> {
        let labels = CapacityType::ALL.into_iter().zip(self.known.capacity_types);
        labels.filter(|(one, _)| mask & all_of(*one) != 0).map(|(_, label)| label).collect()
    }
}

fn those(types: &[InstanceType], is_one: fn(&InstanceType) -> bool) -> Bits {
    let mut those = Bits::none(types.len());
    let found = types.iter().enumerate().filter(|(_, instance_type)| is_one(instance_type));
    found.for_each(|(at, _)| those.insert(at));
    those
}

fn is_exotic(instance_type: &InstanceType) -> bool {
    let metal = instance_type.name.split('.').nth(1).is_some_and(|size| size.starts_with("metal"));
    let devices = [labels::GPU_COUNT, labels::ACCELERATOR_COUNT];
    metal || devices.iter().any(|key| instance_type.labels.contains_key(*key))
}

fn is_burstable(instance_type: &InstanceType) -> bool {
    let categories = instance_type.labels.get(labels::INSTANCE_CATEGORY);
    categories.is_some_and(|categories| categories.iter().any(|category| category == "t"))
}

fn named(names: &[Sym], mask: u64) -> Vec<Sym> {
    let chosen = names.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
    chosen.map(|(_, name)| *name).collect()
}

fn mask_of(names: &[Sym], values: &Values, interner: &Interner) -> u64 {
    let admitted = names.iter().enumerate().filter(|(_, name)| values.admits(**name, interner));
    admitted.fold(0, |mask, (at, _)| mask | 1 << at)
}

fn zones_of(types: &[InstanceType], interner: &mut Interner) -> (Vec<Sym>, Vec<Sym>) {
    let offerings = types.iter().flat_map(|instance_type| &instance_type.offerings);
    let zones: BTreeMap<_, _> =
        offerings.map(|offering| (offering.zone.as_str(), offering.zone_id.as_str())).collect();
    zones.iter().take(ZONES_MAX).map(|(zone, id)| (interner.intern(zone), interner.intern(id))).unzip()
}

fn keys_of(types: &[InstanceType], interner: &mut Interner) -> BTreeMap<Sym, KeyIndex> {
    let mut keys: BTreeMap<Sym, KeyIndex> = BTreeMap::new();
    for (at, instance_type) in types.iter().enumerate() {
        for (key, values) in &instance_type.labels {
            let index = keys
                .entry(interner.intern(key))
                .or_insert_with(|| KeyIndex { present: Bits::none(types.len()), ..KeyIndex::default() });
            index.present.insert(at);
            index.several |= values.len() > 1;
            for value in values {
                let having = index.values.entry(interner.intern(value));
                having.or_insert_with(|| Bits::none(types.len())).insert(at);
            }
        }
    }
    keys
}

fn levels_of(allocatable: &[Amounts]) -> Vec<Levels> {
    let axes = allocatable.iter().map(Vec::len).max().unwrap_or(0);
    (0..axes)
        .map(|axis| {
            let mut by_amount: Vec<_> =
                allocatable.iter().enumerate().map(|(at, row)| (amounts::at(row, axis), at)).collect();
            by_amount.sort_unstable();
            let mut levels = Levels::default();
            let mut having = Bits::none(allocatable.len());
            for (amount, at) in by_amount.into_iter().rev() {
                having.insert(at);
                if levels.amounts.last() == Some(&amount) {
                    levels.at_least.pop();
                    levels.amounts.pop();
                }
                levels.amounts.push(amount);
                levels.at_least.push(having.clone());
            }
            levels.amounts.reverse();
            levels.at_least.reverse();
            levels
        })
        .collect()
}

#[cfg(test)]
mod tests;
