//! Is reserved capacity promised once, and does a launch that is promised some list nothing else?
//!
//! That a pod waits for a reservation rather than having a dearer node is not here: a plan that is too dear is legal.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::world::{World, launches};
use crate::check::{Rule, Violation, broken};
use crate::model::instance_type::CapacityType;
use crate::model::labels::RESERVATION_ID;
use crate::model::node::NodeClaim;
use crate::model::requirement::{Operator, Requirement};
use crate::plan::{Launch, Plan};
use crate::state::Snapshot;

/// Judges what the launches of a plan list of reserved capacity, in order.
pub(super) fn check(world: &World<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let instances = instances(world.snapshot);
    let mut promised = promised_before(world.snapshot, world.plan);
    for launch in launches(world.plan) {
        violations.extend(alone(launch));
        let listed: BTreeSet<&str> =
            launch.offerings.iter().filter_map(|one| one.reservation.as_deref()).collect();
        let stated: BTreeSet<&str> = stated(&launch.requirements).collect();
        if !listed.is_empty() && listed != stated {
            let found = format!("{listed:?} listed and {stated:?} required");
            violations.push(broken(
                Rule::Reservation,
                &launch.claim,
                found,
                "the same capacity reservations",
            ));
        }
        for id in listed {
            let promised = promised.entry(id).or_default();
            *promised += 1;
            let has = instances.get(id).copied().unwrap_or(0);
            if *promised > has {
                let found = format!("{promised} instances of {id} promised");
                violations.push(broken(Rule::Reservation, &launch.claim, found, &format!("at most {has}")));
            }
        }
    }
    violations
}

/// The reservations of which nothing was left before the plan: they are for sale no more.
pub(super) fn spent<'a>(snapshot: &'a Snapshot, plan: &Plan) -> BTreeSet<&'a str> {
    let promised = promised_before(snapshot, plan);
    let is_spent = |id: &str, has: u32| promised.get(id).is_some_and(|promised| *promised >= has) || has == 0;
    instances(snapshot).into_iter().filter(|(id, has)| is_spent(id, *has)).map(|(id, _)| id).collect()
}

/// A launch of reserved capacity lists nothing else: all of it was held for this.
fn alone(launch: &Launch) -> Option<Violation> {
    let is_reserved = |capacity_type: CapacityType| capacity_type == CapacityType::Reserved;
    let any = launch.offerings.iter().any(|one| is_reserved(one.capacity_type));
    let other = launch.offerings.iter().find(|one| !is_reserved(one.capacity_type)).filter(|_| any)?;
    let found = format!("{} beside reserved capacity", other.capacity_type);
    Some(broken(Rule::Reservation, &launch.claim, found, "reserved capacity alone"))
}

/// How many instances each reservation has: the fewest that any EC2NodeClass says.
fn instances(snapshot: &Snapshot) -> BTreeMap<&str, u32> {
    let mut instances: BTreeMap<&str, u32> = BTreeMap::new();
    let types = snapshot.node_classes.values().flat_map(|class| class.instance_types.iter());
    for one in types.flat_map(|one| &one.offerings).filter_map(|offering| offering.reservation.as_ref()) {
        let known = instances.entry(&one.id).or_insert(one.instances);
        *known = one.instances.min(*known);
    }
    instances
}

/// How many instances of each reservation run, or may come of launches that were decided before.
fn promised_before<'a>(snapshot: &'a Snapshot, plan: &Plan) -> BTreeMap<&'a str, u32> {
    // The state may remember already that it asked for what the plan launches: it is added one by one.
    let launched: BTreeSet<&str> = launches(plan).map(|launch| launch.claim.as_str()).collect();
    let asked = snapshot.asked.values().filter(|claim| !launched.contains(claim.name.as_str()));
    let mut promised = BTreeMap::new();
    for claim in snapshot.claims.values().chain(asked) {
        if !snapshot.refused.contains(&claim.name) {
            for id in ids(claim) {
                *promised.entry(id).or_default() += 1;
            }
        }
    }
    promised
}

fn ids(claim: &NodeClaim) -> BTreeSet<&str> {
    match &claim.instance {
        Some(instance) => instance.reservation.as_deref().into_iter().collect(),
        None => stated(&claim.requirements).collect(),
    }
}

fn stated(requirements: &[Requirement]) -> impl Iterator<Item = &str> {
    let of_key = |one: &&Requirement| one.key == RESERVATION_ID && one.operator == Operator::In;
    requirements.iter().filter(of_key).flat_map(|one| one.values.iter().map(String::as_str))
}
