//! From a new node in the making to a launch: which instance types and offerings EC2 may choose from.

use std::collections::BTreeMap;

use crate::model::instance_type::{CapacityType, InstanceType};
use crate::model::labels;
use crate::model::price::Price;
use crate::model::requirement::{Operator, Requirement};
use crate::plan::{Launch, LaunchOffering};
use crate::provision::amounts;
use crate::provision::bits::Bits;
use crate::provision::draft::Draft;
use crate::provision::problem::Problem;
use crate::provision::template::{Shape, Template, labels_of};
use crate::provision::universe::{CapacityMask, Universe};

/// The most instance types that a launch lists: what one CreateFleet request takes (Karpenter: 60).
pub(crate) const INSTANCE_TYPES_MAX: usize = 60;

impl Problem<'_> {
    /// The instance types that a launch will list, and the one capacity type that it will use.
    ///
    /// Of several capacity types the first in the order reserved, spot, on-demand is taken: when EC2 has none of
    /// it, its offerings are left out of the next round and the next capacity type has its turn.
    pub(crate) fn listed(&self, template: &Template, shape: &Shape) -> (Bits, CapacityMask) {
        let universe = &self.universes[template.universe];
        let mut types = shape.types.clone();
        // Before the capacity type is chosen: plain types on demand are better than exotic ones on spot.
        if template.min_values.is_empty() {
            drop_exotic(&mut types, universe);
        }
        let ways = CapacityType::ALL.map(|way| 1 << way as u8);
        let usable = |way: &&CapacityMask| {
            shape.capacity_types & **way != 0 && universe.is_offered(&types, shape.zones, **way)
        };
        let way = ways.iter().find(usable).copied().unwrap_or(shape.capacity_types);
        universe.keep_offered(&mut types, shape.zones, way);
        (self.cheapest_types(template, shape, &types, way), way)
    }

    /// The cheapest types, as many as a launch may list, but so many values of each label as the pool wants.
    fn cheapest_types(&self, template: &Template, shape: &Shape, types: &Bits, way: CapacityMask) -> Bits {
        let universe = &self.universes[template.universe];
        let mut by_price: Vec<_> = types
            .iter()
            .filter_map(|at| universe.cheapest(at, shape.zones, way).map(|price| (price, at)))
            .collect();
        by_price.sort_by_key(|(price, at)| (*price, &universe.types[*at].name));
        let mut listed = Bits::none(universe.len());
        by_price.iter().take(INSTANCE_TYPES_MAX).for_each(|(_, at)| listed.insert(*at));
        let enough = |listed: &Bits| {
            template.min_values.iter().all(|(key, wanted)| {
                let kept = Shape { types: listed.clone(), ..shape.clone() };
                kept.domains(*key, universe).is_some_and(|values| values.len() >= *wanted as usize)
            })
        };
        // Rather a longer list than one that breaks the pool's own rule.
        let mut rest = by_price.iter().skip(INSTANCE_TYPES_MAX);
        while !enough(&listed) {
            match rest.next() {
                Some((_, at)) => listed.insert(*at),
                None => break,
            }
        }
        listed
    }

    /// The launch of a new node.
    pub(crate) fn launch(&self, draft: &Draft, claim: String, pods: Vec<String>) -> Launch {
        let template = &self.templates[draft.template];
        let universe = &self.universes[template.universe];
        let (types, way) = self.listed(template, &draft.shape);
        let shape = Shape { types, capacity_types: way, ..draft.shape.clone() };
        let pool = &template.pool;
        Launch {
            claim,
            node_pool: pool.name.clone(),
            node_class: pool.node_class.clone(),
            labels: labels_of(template, &shape, self.interner),
            taints: pool.taints.clone(),
            startup_taints: pool.startup_taints.clone(),
            requirements: self.requirements_of(template, &shape),
            offerings: self.offerings(universe, &shape),
            requests: self.requests_of(template, draft, &shape.types),
            pods,
            expire_after: pool.expire_after,
            termination_grace_period: pool.termination_grace_period,
            replaces: Vec::new(),
        }
    }

    fn offerings(&self, universe: &Universe, shape: &Shape) -> Vec<LaunchOffering> {
        let mut offerings = Vec::new();
        for at in shape.types.iter() {
            for (zone, capacity_type, price) in universe.offerings(at, shape.zones, shape.capacity_types) {
                let instance_type = universe.types[at].name.clone();
                let zone = self.interner.text(universe.zones[zone]).to_owned();
                offerings.push(LaunchOffering { instance_type, zone, capacity_type, price });
            }
        }
        offerings.sort_by(|left, right| order(left).cmp(&order(right)));
        offerings
    }

    fn requirements_of(&self, template: &Template, shape: &Shape) -> Vec<Requirement> {
        let universe = &self.universes[template.universe];
        let mut by_key: BTreeMap<&str, Vec<Requirement>> = BTreeMap::new();
        for requirement in &template.pool.requirements {
            let key = labels::normalized(&requirement.key);
            by_key.entry(key).or_default().push(requirement.clone());
        }
        for (key, values) in shape.custom.iter() {
            let key = self.interner.text(*key);
            by_key.insert(key, values.to_requirements(key, self.interner));
        }
        let types: Vec<_> = shape.types.iter().map(|at| universe.types[at].name.clone()).collect();
        let zones = universe.zones_in(shape.zones);
        let ways = universe.capacity_types_in(shape.capacity_types);
        let texts = |syms: Vec<_>| syms.into_iter().map(|sym| self.interner.text(sym).to_owned());
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

    /// What the node's pods will ask for, with the least that DaemonSets take on any of the listed types.
    fn requests_of(
        &self,
        template: &Template,
        draft: &Draft,
        types: &Bits,
    ) -> crate::model::resources::Resources {
        let overheads = template.overheads.iter().filter(|overhead| overhead.types.intersects(types));
        let least = overheads.map(|overhead| overhead.requests.clone()).min().unwrap_or_default();
        let mut requests = draft.requests.clone();
        amounts::add(&mut requests, &least);
        self.axes.resources(&requests)
    }
}

fn order(offering: &LaunchOffering) -> (Price, &str, &str, CapacityType) {
    (offering.price, &offering.instance_type, &offering.zone, offering.capacity_type)
}

/// Bare metal and accelerators are left out as long as something else will do (Karpenter: exotic filter).
fn drop_exotic(types: &mut Bits, universe: &Universe) {
    let mut plain = types.clone();
    for at in types.iter().filter(|at| is_exotic(&universe.types[*at])) {
        plain.remove(at);
    }
    if !plain.is_empty() {
        *types = plain;
    }
}

fn is_exotic(instance_type: &InstanceType) -> bool {
    const ACCELERATORS: [&str; 2] =
        ["karpenter.k8s.aws/instance-gpu-count", "karpenter.k8s.aws/instance-accelerator-count"];
    let metal = instance_type.name.split('.').nth(1).is_some_and(|size| size.starts_with("metal"));
    metal || ACCELERATORS.iter().any(|key| instance_type.labels.contains_key(*key))
}
