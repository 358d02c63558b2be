//! A price below which no plan can be, found without a planner.
//!
//! Whatever the demand is weighed by, say half by CPU and half by memory, each instance type covers some part of it,
//! and at best all is bought where a part costs least. That holds for every weighing, so the dearest of many is a
//! bound. It knows nothing of whole nodes, of architectures and of where pods have to be: no plan need reach it.

use whittle_core::model::instance_type::InstanceType;
use whittle_core::model::labels;
use whittle_core::model::price::Price;
use whittle_core::model::requirement::{Operator, Requirement};
use whittle_core::model::resources::Resources;
use whittle_core::state::Snapshot;

/// Weights are tried in steps of one part in so many.
const STEPS: u32 = 100;

/// CPU, memory and pods.
type Amounts = [f64; 3];

/// The bound for all waiting pods, on what the NodePools of a snapshot may launch.
pub(crate) fn lower_bound(snapshot: &Snapshot) -> Price {
    let demand = snapshot.waiting().fold(Resources::default(), |sum, (group, uids)| {
        sum.plus(&snapshot.group(group).spec.requests.times(uids.count() as u64))
    });
    let demand = amounts(&demand);
    let offers = offers(snapshot);
    let mut bound: f64 = 0.0;
    for cpu in 0..=STEPS {
        for memory in 0..=STEPS - cpu {
            let weights = [cpu, memory, STEPS - cpu - memory].map(|part| f64::from(part) / f64::from(STEPS));
            let price = |(price, has): &(f64, Amounts)| {
                let covered: f64 = (0..3).map(|at| weights[at] * has[at] / demand[at]).sum();
                price / covered
            };
            bound = bound.max(offers.iter().map(price).fold(f64::INFINITY, f64::min));
        }
    }
    Price::from_micros(bound as u64)
}

/// What a node of each type has for pods besides those of DaemonSets, at the type's lowest price.
fn offers(snapshot: &Snapshot) -> Vec<(f64, Amounts)> {
    let sets = snapshot.daemon_sets.values();
    let daemons = sets.fold(Resources::default(), |sum, set| sum.plus(&set.spec.requests));
    let mut offers = Vec::new();
    for pool in snapshot.node_pools.values() {
        let class = &snapshot.node_classes[&pool.node_class];
        for it in class.instance_types.iter() {
            if let Some(price) = lowest_price(it, &pool.requirements) {
                offers.push((price.micros() as f64, amounts(&it.allocatable().minus(&daemons))));
            }
        }
    }
    offers
}

fn amounts(resources: &Resources) -> Amounts {
    [resources.cpu_millis as f64, resources.memory_bytes as f64, resources.pods as f64]
}

/// The lowest price at which a NodePool with these requirements may buy a type.
fn lowest_price(it: &InstanceType, requirements: &[Requirement]) -> Option<Price> {
    let of_offering = |requirement: &&Requirement| requirement.key == labels::CAPACITY_TYPE;
    let of_type = |requirement: &&Requirement| !of_offering(requirement);
    let no_values = Vec::new();
    let fits = requirements.iter().filter(of_type).all(|requirement| {
        let values = it.labels.get(&requirement.key).unwrap_or(&no_values);
        values.iter().any(|value| holds(requirement, value))
    });
    let bought = it.offerings.iter().filter(|offering| {
        let way = offering.capacity_type.label();
        offering.available && requirements.iter().filter(of_offering).all(|wanted| holds(wanted, way))
    });
    bought.map(|offering| offering.price).min().filter(|_| fits)
}

/// Whether a label with this value fulfils a requirement.
fn holds(requirement: &Requirement, value: &str) -> bool {
    let listed = requirement.values.iter().any(|wanted| wanted == value);
    let number = |text: &str| text.parse::<i64>().ok();
    let limit = requirement.values.first().and_then(|limit| number(limit));
    let compared = number(value).zip(limit).map(|(value, limit)| value.cmp(&limit));
    match requirement.operator {
        Operator::In => listed,
        Operator::NotIn => !listed,
        Operator::Exists => true,
        Operator::DoesNotExist => false,
        Operator::Gt => compared.is_some_and(|order| order.is_gt()),
        Operator::Lt => compared.is_some_and(|order| order.is_lt()),
        Operator::Gte => compared.is_some_and(|order| order.is_ge()),
        Operator::Lte => compared.is_some_and(|order| order.is_le()),
    }
}
