//! What can be bought: by capacity type and zone, and offering by offering for one NodePool.

use std::collections::BTreeMap;

use super::fit::allows;
use super::{is_open, shown};
use crate::advice::capacity::Supply;
use crate::advice::history::History;
use crate::advice::offerings::{Offering, Question, Type};
use crate::advice::words::Reads;
use crate::model::instance_type::{CapacityType, InstanceType};
use crate::model::labels;
use crate::model::node_pool::NodePool;
use crate::model::price::Price;
use crate::model::time::Timestamp;
use crate::state::{OfferingKey, Snapshot};

/// What can be bought by the NodePools that are open, by capacity type and zone.
#[must_use]
pub fn market(snapshot: &Snapshot, history: &History, now: Timestamp) -> Vec<Supply> {
    let mut supplies: BTreeMap<(CapacityType, &str), Supply> = BTreeMap::new();
    let pools = snapshot.node_pools.values().filter(|pool| is_open(snapshot, pool));
    let mut classes: Vec<&str> = pools.map(|pool| pool.node_class.as_str()).collect();
    classes.sort_unstable();
    classes.dedup();
    for class in classes.into_iter().filter_map(|name| snapshot.node_classes.get(name)) {
        for instance_type in class.instance_types.iter() {
            for offering in &instance_type.offerings {
                let key = (offering.capacity_type, offering.zone.as_str());
                let supply = supplies.entry(key).or_insert_with(|| Supply {
                    capacity_type: offering.capacity_type,
                    zone: offering.zone.clone(),
                    ..Supply::default()
                });
                supply.offerings += 1;
                let name = (instance_type.name.clone(), offering.zone.clone(), offering.capacity_type);
                if !offering.available || !snapshot.is_available(&name, now) {
                    supply.unavailable += 1;
                } else if supply.cheapest == Price::ZERO || offering.price < supply.cheapest {
                    supply.cheapest = offering.price;
                }
            }
        }
    }
    for instance in snapshot.claims.values().filter_map(|claim| claim.instance.as_ref()) {
        if let Some(supply) = supplies.get_mut(&(instance.capacity_type, instance.zone.as_str())) {
            supply.running += 1;
        }
    }
    for ((capacity_type, zone), supply) in &mut supplies {
        let is_meant = |key: &OfferingKey| key.2 == *capacity_type && key.1 == *zone;
        supply.reclaims = history.reclaims(now, is_meant);
        supply.recent_reclaims = history.recent_reclaims(now, is_meant);
        supply.shortages = history.shortages(now, is_meant);
    }
    supplies.into_values().collect()
}

/// What one NodePool can buy, and which offering of the catalogue each place of the question means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    /// The question.
    pub question: Question,
    /// For each offering of the question its instance type and its offering, by place in the EC2NodeClass.
    pub places: Vec<(usize, usize)>,
}

/// What a NodePool can buy; `None` when it cannot have new nodes.
#[must_use]
pub fn catalogue(
    snapshot: &Snapshot,
    pool: &NodePool,
    (history, now): (&History, Timestamp),
    reads: &Reads,
) -> Option<Catalogue> {
    let class = snapshot.node_classes.get(&pool.node_class).filter(|_| is_open(snapshot, pool))?;
    let pasts = history.by_offering(now);
    let mut running: BTreeMap<(&str, &str, CapacityType), u32> = BTreeMap::new();
    for instance in snapshot.claims.values().filter_map(|claim| claim.instance.as_ref()) {
        let key = (instance.instance_type.as_str(), instance.zone.as_str(), instance.capacity_type);
        *running.entry(key).or_default() += 1;
    }
    let mut question = Question { node_pool: pool.name.clone(), ..Question::default() };
    let mut places = Vec::new();
    for (at, instance_type) in class.instance_types.iter().enumerate() {
        if !may_be(pool, instance_type) {
            continue;
        }
        let mut of_type = Vec::new();
        for (place, offering) in instance_type.offerings.iter().enumerate() {
            let is_wanted = allows(&pool.requirements, labels::CAPACITY_TYPE, offering.capacity_type.label())
                && allows(&pool.requirements, labels::ZONE, &offering.zone);
            if is_wanted {
                of_type.push((place, offering));
            }
        }
        if of_type.is_empty() {
            continue;
        }
        let ord = u32::try_from(question.types.len()).unwrap_or(u32::MAX);
        let first = |values: &Vec<String>| values.first().cloned();
        let all: BTreeMap<String, String> = instance_type
            .labels
            .iter()
            .filter_map(|(key, values)| Some((key.clone(), first(values)?)))
            .collect();
        question.types.push(Type {
            name: instance_type.name.clone(),
            allocatable: instance_type.allocatable(),
            labels: shown(&all, &reads.offering_labels),
        });
        for (place, offering) in of_type {
            let key = (instance_type.name.clone(), offering.zone.clone(), offering.capacity_type);
            let (reclaims, shortages) = pasts.get(&key).copied().unwrap_or_default();
            let runs = (instance_type.name.as_str(), offering.zone.as_str(), offering.capacity_type);
            question.offerings.push(Offering {
                instance_type: ord,
                zone: offering.zone.clone(),
                capacity_type: offering.capacity_type,
                price: offering.price,
                estimated: offering.estimated,
                available: offering.available && snapshot.is_available(&key, now),
                running: running.get(&runs).copied().unwrap_or(0),
                reclaims,
                shortages,
            });
            places.push((at, place));
        }
    }
    Some(Catalogue { question, places })
}

/// Whether the NodePool's requirements allow an instance type, by the labels that it has.
fn may_be(pool: &NodePool, instance_type: &InstanceType) -> bool {
    let is_elsewhere = |key: &str| matches!(key, labels::CAPACITY_TYPE | labels::ZONE | labels::ZONE_ID);
    pool.requirements.iter().all(|requirement| {
        let key = labels::normalized(&requirement.key);
        match instance_type.labels.get(key) {
            Some(values) => values.iter().any(|value| super::fit::holds(requirement, Some(value))),
            None if is_elsewhere(key) || !labels::is_well_known(key) => true,
            None => super::fit::holds(requirement, None),
        }
    })
}
