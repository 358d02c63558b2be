//! What a launch lists: of all that a new node may be, the instance types and offerings that EC2 may choose from.
//!
//! Many new nodes of a plan may be the same. What they list is worked out once and shared. Which pods are on a node is
//! not looked at here: that is in its shape already.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::price::Price;
use crate::model::requirement::{Operator, Requirement};
use crate::plan::LaunchOffering;
use crate::provision::amounts::Amounts;
use crate::provision::bits::Bits;
use crate::provision::intern::{Interner, Sym};
use crate::provision::template::{Shape, Template, labels_of};
use crate::provision::universe::ways::{CapacityMask, all_of};
use crate::provision::universe::{Universe, ZoneMask};

/// The most instance types that a launch lists: what one CreateFleet request takes (Karpenter: 60).
pub(crate) const INSTANCE_TYPES_MAX: usize = 60;

/// What a launch lists.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// The instance types.
    pub(crate) types: Bits,
    /// The one capacity type.
    pub(crate) way: CapacityMask,
    /// The most that an offering may cost.
    ceiling: Price,
    /// How many distinct values of each label the NodePool wants and does not get, and how many there are.
    pub(crate) lowered: Vec<(Sym, u32)>,
    /// The most that the node can turn out to have of each resource: what its NodePool's limits are charged.
    pub(crate) charged: Amounts,
    /// The price of the cheapest offering.
    pub(crate) price: Price,
}

/// What is asked about a shape, answered once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listings {
    listings: IndexMap<(usize, Shape), Arc<Listing>, FxBuildHasher>,
    printed: IndexMap<(usize, Shape), Printed, FxBuildHasher>,
    orders: IndexMap<(usize, ZoneMask, CapacityMask), Arc<[Priced]>, FxBuildHasher>,
}

/// An instance type with the price of its cheapest offering.
type Priced = (Price, u32);

/// A listing, and the same in the words of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Printed {
    pub(crate) listing: Arc<Listing>,
    pub(crate) labels: Arc<BTreeMap<String, String>>,
    pub(crate) offerings: Arc<Vec<LaunchOffering>>,
    pub(crate) requirements: Arc<Vec<Requirement>>,
}

impl Listing {
    /// What is left of a shape once this is listed of it.
    pub(crate) fn narrowed(&self, shape: &Shape) -> Shape {
        Shape { types: self.types.clone(), capacity_types: self.way, ..shape.clone() }
    }
}

impl Listings {
    /// What a launch of this shape lists.
    pub(crate) fn of(
        &mut self,
        at: usize,
        template: &Template,
        shape: &Shape,
        universe: &Universe,
    ) -> Arc<Listing> {
        let key = (at, shape.clone());
        if let Some(known) = self.listings.get(&key) {
            return Arc::clone(known);
        }
        let listing = Arc::new(self.list(template, shape, universe));
        self.listings.insert(key, Arc::clone(&listing));
        listing
    }

    /// The instance types that a launch will list, and the one capacity type that it will use.
    ///
    /// Of several capacity types the first in the order reserved, spot, on-demand is taken that leaves the NodePool
    /// its minimum values: when EC2 has none of it, its offerings are left out of the next round and the next capacity
    /// type has its turn. Spot capacity that costs more than what can be had on demand is nothing to save with, and EC2
    /// chooses what it has most of.
    fn list(&mut self, template: &Template, shape: &Shape, universe: &Universe) -> Listing {
        let mut types = shape.types.clone();
        let is_free = template.min_values.is_empty();
        // Before the capacity type is chosen: plain types on demand are better than exotic ones on spot.
        if is_free {
            types.subtract_unless_all(&universe.exotic);
        }
        let ways = CapacityType::ALL.map(|way| all_of(way) & shape.capacity_types);
        let usable = |way: &&CapacityMask| universe.is_usable(&types, shape, **way, is_free);
        let keeps = |way: &&CapacityMask| keeps_min_values(template, &types, shape, universe, **way);
        let first = ways.iter().filter(usable).find(keeps).or_else(|| ways.iter().find(usable));
        let way = first.copied().unwrap_or(shape.capacity_types);
        let ceiling = universe.ceiling(&types, shape, way, is_free);
        universe.keep_offered(&mut types, shape.zones, way);
        let lowered = lowered(template, &Shape { types: types.clone(), ..shape.clone() }, universe);
        let (types, price) =
            self.cheapest_types((template, &lowered), shape, &types, (universe, way, ceiling));
        let charged = universe.largest(&types);
        Listing { types, way, ceiling, lowered, charged, price }
    }

    /// The cheapest types, as many as a launch may list, but so many values of each label as the pool wants, or as
    /// there are.
    fn cheapest_types(
        &mut self,
        (template, lowered): (&Template, &[(Sym, u32)]),
        shape: &Shape,
        types: &Bits,
        (universe, way, ceiling): (&Universe, CapacityMask, Price),
    ) -> (Bits, Price) {
        let order = self.by_price(template.universe, universe, shape.zones, way);
        let affordable = order.iter().take_while(|(price, _)| *price <= ceiling);
        let mut by_price = affordable.filter(|(_, at)| types.contains(*at as usize));
        let mut listed = Bits::none(universe.len());
        let mut cheapest = Price::MAX;
        for (price, at) in by_price.by_ref().take(INSTANCE_TYPES_MAX) {
            cheapest = cheapest.min(*price);
            listed.insert(*at as usize);
        }
        if template.min_values.is_empty() {
            return (listed, cheapest);
        }
        let missing = |listed: &Bits| {
            let kept = Shape { types: listed.clone(), ..shape.clone() };
            let short = template.min_values.iter().map(|(key, wanted)| {
                in_force(lowered, *key, *wanted).saturating_sub(values_left(&kept, *key, universe))
            });
            short.fold(0, u32::saturating_add)
        };
        // Rather a longer list than one that breaks the pool's own rule, but by what it needs alone.
        let mut short = missing(&listed);
        for (_, at) in by_price {
            if short == 0 {
                break;
            }
            listed.insert(*at as usize);
            let left = missing(&listed);
            if left == short {
                listed.remove(*at as usize);
            }
            short = left;
        }
        (listed, cheapest)
    }

    /// All types that can be bought in these zones in this way, cheapest first.
    pub(crate) fn by_price(
        &mut self,
        at: usize,
        universe: &Universe,
        zones: ZoneMask,
        way: CapacityMask,
    ) -> Arc<[Priced]> {
        let order = self.orders.entry((at, zones, way)).or_insert_with(|| {
            let types = 0..u32::try_from(universe.len()).unwrap_or(u32::MAX);
            let mut priced: Vec<Priced> = types
                .filter_map(|at| universe.cheapest(at as usize, zones, way).map(|price| (price, at)))
                .collect();
            priced.sort_by_key(|(price, at)| (*price, &universe.types[*at as usize].name));
            priced.into()
        });
        Arc::clone(order)
    }

    /// What a launch of this shape lists, in the words of a plan.
    pub(crate) fn print(
        &mut self,
        at: usize,
        template: &Template,
        shape: &Shape,
        (universe, interner): (&Universe, &Interner),
    ) -> Printed {
        let key = (at, shape.clone());
        if let Some(known) = self.printed.get(&key) {
            return known.clone();
        }
        let listing = self.of(at, template, shape, universe);
        let narrowed = listing.narrowed(shape);
        let labels = Arc::new(labels_of(template, &narrowed, interner));
        let offerings = Arc::new(offerings(universe, &narrowed, listing.ceiling, interner));
        let requirements = Arc::new(requirements(template, &listing, universe, &narrowed, interner));
        let printed = Printed { listing, labels, offerings, requirements };
        self.printed.insert(key, printed.clone());
        printed
    }
}

/// How many distinct values of a label a node of this shape may still have.
pub(crate) fn values_left(shape: &Shape, key: Sym, universe: &Universe) -> u32 {
    shape.domains(key, universe).map_or(0, |values| u32::try_from(values.len()).unwrap_or(u32::MAX))
}

/// Whether of what can be bought in one way enough distinct values of each label are left.
pub(crate) fn keeps_min_values(
    template: &Template,
    types: &Bits,
    shape: &Shape,
    universe: &Universe,
    way: CapacityMask,
) -> bool {
    if template.min_values.is_empty() {
        return true;
    }
    let mut bought = Shape { types: types.clone(), ..shape.clone() };
    universe.keep_offered(&mut bought.types, shape.zones, way);
    template.min_values.iter().all(|(key, wanted)| values_left(&bought, *key, universe) >= *wanted)
}

/// The first label of which no one way to buy leaves enough distinct values, with how many are wanted and how many
/// would be left.
pub(crate) fn lacking_values(
    template: &Template,
    shape: &Shape,
    universe: &Universe,
) -> Option<(Sym, u32, u32)> {
    let ways = CapacityType::ALL.map(|way| all_of(way) & shape.capacity_types);
    let keeps = |way: &CapacityMask| keeps_min_values(template, &shape.types, shape, universe, *way);
    if ways.iter().any(keeps) {
        return None;
    }
    let left = |key: Sym| {
        let bought = ways.iter().map(|way| {
            let mut bought = shape.clone();
            universe.keep_offered(&mut bought.types, shape.zones, *way);
            values_left(&bought, key, universe)
        });
        bought.max().unwrap_or(0)
    };
    let counted = template.min_values.iter().map(|(key, wanted)| (*key, *wanted, left(*key)));
    let mut counted: Vec<_> = counted.collect();
    // Each may be kept alone: then the first has to give.
    counted.sort_by_key(|(_, wanted, left)| left >= wanted);
    counted.first().copied()
}

/// The labels of which there are fewer distinct values than the NodePool wants, with how many there are. None but where
/// minimum values may be lowered: elsewhere no pod has joined such a node.
fn lowered(template: &Template, shape: &Shape, universe: &Universe) -> Vec<(Sym, u32)> {
    let mut lowered = Vec::new();
    for (key, wanted) in &template.min_values {
        let left = values_left(shape, *key, universe);
        if left < *wanted && !lowered.contains(&(*key, left)) {
            lowered.push((*key, left));
        }
    }
    lowered
}

/// How many distinct values of a label a launch has to keep where its NodePool wants so many.
fn in_force(lowered: &[(Sym, u32)], key: Sym, wanted: u32) -> u32 {
    lowered.iter().find(|(other, _)| *other == key).map_or(wanted, |(_, left)| wanted.min(*left))
}

fn offerings(universe: &Universe, shape: &Shape, ceiling: Price, interner: &Interner) -> Vec<LaunchOffering> {
    let mut offerings = Vec::new();
    for at in shape.types.iter() {
        let all = universe.offerings(at, shape.zones, shape.capacity_types);
        for (zone, way, price) in all.filter(|(_, _, price)| *price <= ceiling) {
            let capacity_type = universe.ways.capacity_type(way);
            let offering = LaunchOffering {
                instance_type: universe.types[at].name.clone(),
                zone: interner.text(universe.zones[zone]).to_owned(),
                capacity_type,
                reservation: universe.ways.reservation(way).map(|one| interner.text(one.id).to_owned()),
                price,
            };
            // Reserved capacity costs next to nothing: what it would cost otherwise says which is the least.
            let on_demand = || universe.cheapest(at, 1 << zone, all_of(CapacityType::OnDemand));
            let is_reserved = capacity_type == CapacityType::Reserved;
            offerings.push((if is_reserved { on_demand() } else { None }, offering));
        }
    }
    offerings.sort_by(|left, right| order(left).cmp(&order(right)));
    offerings.into_iter().map(|(_, offering)| offering).collect()
}

fn requirements(
    template: &Template,
    listing: &Listing,
    universe: &Universe,
    shape: &Shape,
    interner: &Interner,
) -> Vec<Requirement> {
    let mut by_key: BTreeMap<&str, Vec<Requirement>> = BTreeMap::new();
    for requirement in &template.pool.requirements {
        let key = labels::normalized(&requirement.key);
        by_key.entry(key).or_default().push(requirement.clone());
    }
    for (key, values) in shape.custom.iter() {
        let key = interner.text(*key);
        by_key.insert(key, values.to_requirements(key, interner));
    }
    let types: Vec<_> = shape.types.iter().map(|at| universe.types[at].name.clone()).collect();
    let zones = universe.zones_in(shape.zones);
    let ways = universe.capacity_types_in(shape.capacity_types);
    let reserved = universe.reserved_for(shape);
    let ids = universe.ways.reservations(reserved).map(|(_, one)| one.id).collect();
    let texts = |syms: Vec<_>| syms.into_iter().map(|sym| interner.text(sym).to_owned());
    for (key, mut values) in [
        (labels::INSTANCE_TYPE, types),
        (labels::ZONE, texts(zones).collect()),
        (labels::CAPACITY_TYPE, texts(ways).collect()),
        (labels::RESERVATION_ID, texts(ids).collect()),
    ] {
        if values.is_empty() {
            continue;
        }
        values.sort_unstable();
        by_key.insert(key, vec![Requirement::new(key, Operator::In, values)]);
    }
    state_min_values(&mut by_key, template, listing, interner);
    by_key.into_values().flatten().collect()
}

/// Of several minimum values of a label the largest counts, and is stated once; of those that cannot be kept, what can.
fn state_min_values(
    by_key: &mut BTreeMap<&str, Vec<Requirement>>,
    template: &Template,
    listing: &Listing,
    interner: &Interner,
) {
    for requirement in by_key.values_mut().flatten() {
        requirement.min_values = None;
    }
    for (key, wanted) in &template.min_values {
        let kept = in_force(&listing.lowered, *key, *wanted);
        let requirements = by_key.get_mut(interner.text(*key));
        if let Some(first) = requirements.and_then(|requirements| requirements.first_mut()) {
            first.min_values = first.min_values.max(Some(kept));
        }
    }
}

type Order<'a> = (Price, Option<Price>, &'a str, &'a str, CapacityType, Option<&'a str>);

fn order((on_demand, offering): &(Option<Price>, LaunchOffering)) -> Order<'_> {
    let LaunchOffering { instance_type, zone, capacity_type, reservation, price } = offering;
    (*price, *on_demand, instance_type, zone, *capacity_type, reservation.as_deref())
}
