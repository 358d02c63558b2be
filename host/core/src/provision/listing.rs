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
use crate::provision::intern::Interner;
use crate::provision::template::{Shape, Template};
use crate::provision::universe::{CapacityMask, Universe, ZoneMask};

/// The most instance types that a launch lists: what one CreateFleet request takes (Karpenter: 60).
pub(crate) const INSTANCE_TYPES_MAX: usize = 60;

/// What a launch lists.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// The instance types.
    pub(crate) types: Bits,
    /// The one capacity type.
    pub(crate) way: CapacityMask,
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

/// A listing in the words of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Printed {
    pub(crate) offerings: Arc<Vec<LaunchOffering>>,
    pub(crate) requirements: Arc<Vec<Requirement>>,
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
    /// Of several capacity types the first in the order reserved, spot, on-demand is taken: when EC2 has none of
    /// it, its offerings are left out of the next round and the next capacity type has its turn.
    fn list(&mut self, template: &Template, shape: &Shape, universe: &Universe) -> Listing {
        let mut types = shape.types.clone();
        // Before the capacity type is chosen: plain types on demand are better than exotic ones on spot.
        if template.min_values.is_empty() {
            types.subtract_unless_all(&universe.exotic);
        }
        let ways = CapacityType::ALL.map(|way| 1 << way as u8);
        let usable = |way: &&CapacityMask| {
            shape.capacity_types & **way != 0 && universe.is_offered(&types, shape.zones, **way)
        };
        let way = ways.iter().find(usable).copied().unwrap_or(shape.capacity_types);
        universe.keep_offered(&mut types, shape.zones, way);
        let (types, price) = self.cheapest_types(template, shape, &types, (universe, way));
        let charged = universe.largest(&types);
        Listing { types, way, charged, price }
    }

    /// The cheapest types, as many as a launch may list, but so many values of each label as the pool wants.
    fn cheapest_types(
        &mut self,
        template: &Template,
        shape: &Shape,
        types: &Bits,
        (universe, way): (&Universe, CapacityMask),
    ) -> (Bits, Price) {
        let order = self.by_price(template.universe, universe, shape.zones, way);
        let mut by_price = order.iter().filter(|(_, at)| types.contains(*at as usize));
        let mut listed = Bits::none(universe.len());
        let mut cheapest = Price::MAX;
        for (price, at) in by_price.by_ref().take(INSTANCE_TYPES_MAX) {
            cheapest = cheapest.min(*price);
            listed.insert(*at as usize);
        }
        let enough = |listed: &Bits| {
            template.min_values.iter().all(|(key, wanted)| {
                let kept = Shape { types: listed.clone(), ..shape.clone() };
                kept.domains(*key, universe).is_some_and(|values| values.len() >= *wanted as usize)
            })
        };
        // Rather a longer list than one that breaks the pool's own rule.
        while !enough(&listed) {
            match by_price.next() {
                Some((_, at)) => listed.insert(*at as usize),
                None => break,
            }
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

    /// A listing in the words of a plan. `shape` is what is listed, not what the node might have been.
    pub(crate) fn print(
        &mut self,
        at: usize,
        template: &Template,
        shape: &Shape,
        (universe, interner): (&Universe, &Interner),
    ) -> Printed {
        let key = (at, shape.clone());
        let printed = self.printed.entry(key).or_insert_with(|| Printed {
            offerings: Arc::new(offerings(universe, shape, interner)),
            requirements: Arc::new(requirements(template, universe, shape, interner)),
        });
        printed.clone()
    }
}

fn offerings(universe: &Universe, shape: &Shape, interner: &Interner) -> Vec<LaunchOffering> {
    let mut offerings = Vec::new();
    for at in shape.types.iter() {
        for (zone, capacity_type, price) in universe.offerings(at, shape.zones, shape.capacity_types) {
            let instance_type = universe.types[at].name.clone();
            let zone = interner.text(universe.zones[zone]).to_owned();
            offerings.push(LaunchOffering { instance_type, zone, capacity_type, price });
        }
    }
    offerings.sort_by(|left, right| order(left).cmp(&order(right)));
    offerings
}

fn requirements(
    template: &Template,
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
    let texts = |syms: Vec<_>| syms.into_iter().map(|sym| interner.text(sym).to_owned());
    for (key, mut values) in [
        (labels::INSTANCE_TYPE, types),
        (labels::ZONE, texts(zones).collect()),
        (labels::CAPACITY_TYPE, texts(ways).collect()),
    ] {
        values.sort_unstable();
        let min_values = by_key.get(key).and_then(|known| known.iter().find_map(|r| r.min_values));
        let requirement = Requirement { min_values, ..Requirement::new(key, Operator::In, values) };
        by_key.insert(key, vec![requirement]);
    }
    by_key.into_values().flatten().collect()
}

fn order(offering: &LaunchOffering) -> (Price, &str, &str, CapacityType) {
    (offering.price, &offering.instance_type, &offering.zone, offering.capacity_type)
}
