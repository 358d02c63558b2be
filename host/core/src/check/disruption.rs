//! May this node be taken away, now?
//!
//! A disruption is judged where it is decided: when the node is cordoned, or deleted at once. The deletion of a node
//! that was cordoned earlier follows from that decision and is not judged again, as its pods have begun to move.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::labels::selects;
use crate::check::placement::{free, is_reschedulable, requests_of};
use crate::check::world::{Place, World, launches};
use crate::check::{Rule, Violation, broken, drift};
use crate::model::labels::DISRUPTED_TAINT;
use crate::model::node::{ConditionStatus, NodeClaim};
use crate::model::node_pool::{
    Budget, BudgetNodes, ConsolidationPolicy, DisruptionReason, NodePool, PodDisruptionBudget,
};
use crate::model::pod::Pod;
use crate::model::requirement::{Taint, TaintEffect, untolerated};
use crate::model::resources::Resources;
use crate::model::time::Timestamp;
use crate::plan::{Action, DeleteReason};
use crate::settings::Repair;

/// A disruption that the plan decides on.
pub(super) struct Decision<'w, 'a> {
    pub(super) claim: &'a NodeClaim,
    pub(super) place: &'w Place<'a>,
    pub(super) pool: Option<&'a NodePool>,
    pub(super) reason: DisruptionReason,
}

/// Judges the ends that the plan decides on, in order.
pub(super) fn check(world: &World<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut decisions: Vec<Decision<'_, '_>> = Vec::new();
    let mut seen = BTreeSet::new();
    for action in &world.plan.actions {
        let (name, reason, deletes) = match action {
            Action::Cordon(cordon) => (cordon.claim.as_str(), cordon.reason, false),
            Action::Delete(delete) => (delete.claim.as_str(), delete.reason, true),
            _ => continue,
        };
        let Some(claim) = world.snapshot.claims.get(name) else {
            violations.push(broken(Rule::Candidate, name, "no such NodeClaim", "one that exists"));
            continue;
        };
        if !seen.insert(name) {
            continue;
        }
        let DeleteReason::Disrupted(reason) = reason else {
            violations.extend(other_reason(world, claim, reason));
            continue;
        };
        match world.places.get(name) {
            Some(_) if claim.deleting.is_some() && deletes => {
                let found = "a NodeClaim that is being deleted already";
                violations.push(broken(Rule::Candidate, name, found, "one that is not"));
            }
            // A node that goes is cordoned as part of its drain; one that was cordoned before is decided on.
            Some(place) if claim.deleting.is_none() && !is_cordoned(place) => {
                let pool = world.snapshot.node_pools.get(&claim.node_pool);
                decisions.push(Decision { claim, place, pool, reason });
            }
            Some(place) if deletes && reason == DisruptionReason::Drifted => {
                violations.extend(drift::check_end(world, claim, place));
            }
            Some(_) | None => {}
        }
    }
    let mut spare = None;
    for decision in &decisions {
        violations.extend(candidate(world, decision));
        violations.extend(pods(world, decision));
        violations.extend(consolidation(world, decision));
        if decision.reason == DisruptionReason::Underutilized {
            let spare = spare.get_or_insert_with(|| room_elsewhere(world));
            violations.extend(pods_fit(world, decision, spare));
        }
        if decision.reason == DisruptionReason::Drifted {
            violations.extend(drift::check(world, decision));
        }
    }
    violations.extend(budgets(world, &decisions));
    violations
}

fn is_cordoned(place: &Place<'_>) -> bool {
    place.node.is_some_and(|node| node.taints.iter().any(|taint| taint.key == DISRUPTED_TAINT))
}

/// Whether a reason other than a disruption of ours is the case, as far as that can be seen.
fn other_reason(world: &World<'_>, claim: &NodeClaim, reason: DeleteReason) -> Option<Violation> {
    let violation = |found: &str, expected: &str| Some(broken(Rule::Reason, &claim.name, found, expected));
    let is_old = |lives| world.now >= claim.created + lives;
    match reason {
        DeleteReason::Expired if !claim.expire_after.is_some_and(is_old) => {
            violation("a node that is not that old", "one older than its expireAfter")
        }
        DeleteReason::Interrupted if !world.snapshot.notices.contains_key(&claim.name) => {
            violation("no notice by EC2", "one")
        }
        DeleteReason::InsufficientCapacity if !world.snapshot.refused.contains(&claim.name) => {
            violation("a NodeClaim that EC2 has not refused", "one that it has")
        }
        DeleteReason::NeverJoined if claim.registered.is_some() => {
            violation("a node that has joined", "one that has not")
        }
        DeleteReason::NodeDeleted
            if world.snapshot.node_of_claim(claim).is_some_and(|node| node.deleting.is_none()) =>
        {
            violation("a Node that nobody deleted", "one that somebody did")
        }
        DeleteReason::Unhealthy if !is_unwell(world, claim) => {
            violation("a node that says nothing bad of itself, or that nobody wants repaired", "another")
        }
        DeleteReason::Requested
            if claim.deleting.is_none()
                && world.snapshot.node_of_claim(claim).is_none_or(|node| node.deleting.is_none()) =>
        {
            violation("a node whose deletion nobody asked for", "one that is being deleted")
        }
        // That an instance is gone is seen on EC2's side only.
        DeleteReason::InstanceGone
        | DeleteReason::Requested
        | DeleteReason::Expired
        | DeleteReason::Interrupted
        | DeleteReason::InsufficientCapacity
        | DeleteReason::NeverJoined
        | DeleteReason::NodeDeleted
        | DeleteReason::Unhealthy
        | DeleteReason::Disrupted(_) => None,
    }
}

/// Whether a node says anything bad of itself, and the operator wants such nodes given up. How long it has to have said
/// so is not asked here.
fn is_unwell(world: &World<'_>, claim: &NodeClaim) -> bool {
    let node = world.snapshot.node_of_claim(claim);
    let is_bad =
        node.is_some_and(|node| node.conditions.iter().any(|one| one.status != ConditionStatus::True));
    is_bad && world.snapshot.settings.repair == Repair::WhenUnhealthy
}

fn candidate(world: &World<'_>, decision: &Decision<'_, '_>) -> Vec<Violation> {
    let Decision { claim, place, .. } = decision;
    let mut violations = Vec::new();
    if claim.initialized.is_none() || place.node.is_none() {
        let found = "a node that is not initialized";
        violations.push(broken(Rule::Candidate, &claim.name, found, "one that is"));
    }
    let expected = place.there.iter().find(|pod| pod.node.is_none());
    if let Some(pod) = expected {
        let found = format!("pod {} expected on it", pod.full_name());
        violations.push(broken(
            Rule::Candidate,
            &claim.name,
            found,
            "a node that no waiting pod is expected on",
        ));
    }
    if claim.do_not_disrupt || place.node.is_some_and(|node| node.do_not_disrupt) {
        let found = "a node that asks to be left alone";
        violations.push(broken(Rule::DoNotDisrupt, &claim.name, found, "one that does not"));
    }
    if world.snapshot.notices.contains_key(&claim.name) {
        let found = "a node that EC2 has given notice for";
        violations.push(broken(Rule::Candidate, &claim.name, found, "one that stays"));
    }
    violations
}

/// The pods on the node: none asks to be left alone, and PodDisruptionBudgets let all of them go. A drifted node
/// whose drain is bounded in time goes regardless of its pods.
fn pods(world: &World<'_>, decision: &Decision<'_, '_>) -> Vec<Violation> {
    let Decision { claim, place, reason, .. } = decision;
    if *reason == DisruptionReason::Drifted && claim.termination_grace_period.is_some() {
        return Vec::new();
    }
    let on_node = place.node.into_iter().flat_map(|node| world.snapshot.pods_on(&node.name));
    let mut violations = Vec::new();
    for pod in on_node.filter(|pod| pod.deleting.is_none()) {
        if pod.is_do_not_disrupt(world.now) {
            let found = format!("pod {} that asks to be left alone", pod.full_name());
            violations.push(broken(Rule::DoNotDisrupt, &claim.name, found, "none"));
        }
        violations.extend(disruption_budgets(world, claim, pod));
    }
    violations
}

fn disruption_budgets(world: &World<'_>, claim: &NodeClaim, pod: &Pod) -> Option<Violation> {
    let is_static = pod.spec.owner.as_ref().is_some_and(|owner| owner.kind == "Node");
    if is_static || tolerates_disruption(pod) {
        return None;
    }
    let budgets = world.snapshot.disruption_budgets.values();
    let covering: Vec<&PodDisruptionBudget> = budgets
        .filter(|budget| {
            budget.namespace == pod.spec.namespace && selects(budget.selector.as_ref(), &pod.spec.labels)
        })
        .collect();
    let pod_name = pod.full_name();
    if covering.len() > 1 {
        let found = format!("pod {pod_name} under {} PodDisruptionBudgets", covering.len());
        return Some(broken(Rule::PodDisruptionBudget, &claim.name, found, "at most one"));
    }
    let blocking = covering.into_iter().find(|budget| {
        let exempt = budget.always_allow_unready && !pod.ready;
        (budget.disruptions_allowed == 0 || budget.blocks_always) && !exempt
    })?;
    let found = format!(
        "PodDisruptionBudget {}/{} of pod {pod_name} allowing none",
        blocking.namespace, blocking.name
    );
    Some(broken(Rule::PodDisruptionBudget, &claim.name, found, "one that allows a disruption"))
}

/// Whether a pod stays on a node that is being taken away and goes with it.
pub(super) fn tolerates_disruption(pod: &Pod) -> bool {
    let taint = Taint { key: DISRUPTED_TAINT.into(), value: String::new(), effect: TaintEffect::NoSchedule };
    untolerated(&[taint], &pod.spec.tolerations).is_none()
}

/// What the NodePool says on consolidation, and whether a node that goes as empty is empty.
fn consolidation(world: &World<'_>, decision: &Decision<'_, '_>) -> Vec<Violation> {
    let Decision { claim, place, pool, reason } = decision;
    let mut violations = Vec::new();
    let Some(pool) = pool else {
        let found = format!("NodePool {:?}, which does not exist", claim.node_pool);
        return vec![broken(Rule::Candidate, &claim.name, found, "a NodePool")];
    };
    if *reason == DisruptionReason::Drifted {
        return violations;
    }
    let mut violation = |found: String, expected: &str| {
        violations.push(broken(Rule::Consolidation, &claim.name, found, expected));
    };
    let underutilized = *reason == DisruptionReason::Underutilized;
    if underutilized && pool.disruption.policy == ConsolidationPolicy::WhenEmpty {
        violation("the policy WhenEmpty".to_owned(), "one that allows underutilized nodes to go");
    }
    if pool.replicas.is_some() {
        violation("a NodePool with a fixed number of nodes".to_owned(), "one that follows its pods");
    }
    let quiet_since = claim.last_pod_event.max(claim.initialized).unwrap_or(claim.created);
    match pool.disruption.consolidate_after {
        None => violation("consolidateAfter Never".to_owned(), "a time"),
        Some(wanted) if world.now.since(quiet_since) < wanted => {
            let found = format!("{} of quiet", world.now.since(quiet_since));
            violation(found, &format!("{wanted}"));
        }
        Some(_) => {}
    }
    let remaining = place.there.iter().find(|pod| is_reschedulable(pod) && costs_something(pod));
    if let (DisruptionReason::Empty, Some(pod)) = (*reason, remaining) {
        let found = format!("pod {} on it", pod.full_name());
        violations.push(broken(Rule::Empty, &claim.name, found, "no pod besides those of DaemonSets"));
    }
    violations
}

/// Whether the eviction of a pod costs anything: 1 + deletion cost / 2^27 + priority / 2^25 is above zero (spec:
/// 4.2), multiplied out.
fn costs_something(pod: &Pod) -> bool {
    (1_i64 << 27) + i64::from(pod.spec.deletion_cost) + 4 * i64::from(pod.spec.priority) > 0
}

/// What is free on the places that stay and are ready for pods, once the plan's pods are there.
fn room_elsewhere<'w, 'a>(world: &'w World<'a>) -> Vec<(&'w Place<'a>, Resources)> {
    let ready = |place: &&Place<'_>| {
        place.leaving.is_none()
            && place.launch.is_none()
            && place.claim.is_none_or(|claim| claim.initialized.is_some())
    };
    let places = world.places.values().filter(ready);
    places
        .filter_map(|place| {
            let shape = place.shapes.first()?;
            Some((place, free(world, place, shape).minus(&requests_of(&place.coming))))
        })
        .collect()
}

/// Each pod of an underutilized node has a place in the plan, or there is a node with room for it. A replacement is
/// trusted to hold what the plan puts there.
fn pods_fit(
    world: &World<'_>,
    decision: &Decision<'_, '_>,
    elsewhere: &[(&Place<'_>, Resources)],
) -> Vec<Violation> {
    let Decision { claim, place, .. } = decision;
    if launches(world.plan).any(|launch| launch.replaces.contains(&claim.name)) {
        return Vec::new();
    }
    let fits = |pod: &Pod| {
        elsewhere.iter().any(|(place, free)| {
            let group = world.snapshot.group_of(&pod.uid).map(|group| world.snapshot.group(group));
            pod.spec.requests.fits_in(free)
                && untolerated(&place.taints, &pod.spec.tolerations).is_none()
                && place.fulfils_one_of(&pod.spec.node_affinity)
                && group.is_none_or(|group| group.volumes.iter().all(|volume| place.fulfils_one_of(volume)))
        })
    };
    let stranded = place.there.iter().filter(|pod| pod.node.is_some() && is_reschedulable(pod) && !fits(pod));
    stranded
        .map(|pod| {
            let found = format!("pod {} that fits nowhere else", pod.full_name());
            broken(Rule::PodsFit, &claim.name, found, "a place for each pod")
        })
        .collect()
}

/// In order, each disruption is one more than those that are under way and those that the plan has decided on.
fn budgets(world: &World<'_>, decisions: &[Decision<'_, '_>]) -> Vec<Violation> {
    let decided: BTreeSet<&str> = decisions.iter().map(|decision| decision.claim.name.as_str()).collect();
    let mut disrupted: BTreeMap<&str, u64> = BTreeMap::new();
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for place in world.places.values() {
        let (Some(claim), Some(node)) = (place.claim, place.node) else { continue };
        if claim.initialized.is_none() {
            continue;
        }
        *totals.entry(&claim.node_pool).or_default() += 1;
        let going = claim.deleting.is_some() || node.deleting.is_some() || is_cordoned(place);
        if (going || !node.ready) && !decided.contains(claim.name.as_str()) {
            *disrupted.entry(&claim.node_pool).or_default() += 1;
        }
    }
    let mut violations = Vec::new();
    for Decision { claim, pool, reason, .. } in decisions {
        let Some(pool) = pool else { continue };
        let count = disrupted.entry(&pool.name).or_default();
        *count += 1;
        let total = totals.get(pool.name.as_str()).copied().unwrap_or(0);
        let allowed = allowed(pool, *reason, total, world.now);
        if allowed.is_some_and(|allowed| *count > allowed) {
            let found = format!("{count} of {total} nodes of NodePool {} disrupted at once", pool.name);
            let expected = format!("at most {} for {reason:?}", allowed.unwrap_or_default());
            violations.push(broken(Rule::Budget, &claim.name, found, &expected));
        }
    }
    violations
}

/// How many of a NodePool's nodes may be disrupted at once for a reason; `None` for any number. A budget says nothing
/// while its window is closed; one whose window cannot be read counts as if it were open.
fn allowed(pool: &NodePool, reason: DisruptionReason, total: u64, now: Timestamp) -> Option<u64> {
    let matching = |budget: &&Budget| budget.reasons.is_empty() || budget.reasons.contains(&reason);
    let open =
        |budget: &&Budget| budget.window.as_ref().is_none_or(|window| window.is_open(now).unwrap_or(true));
    let in_force = pool.disruption.budgets.iter().filter(matching).filter(open);
    let allowances = in_force.map(|budget| match budget.nodes {
        BudgetNodes::Count(count) => count,
        BudgetNodes::Percent(percent) => (total * u64::from(percent)).div_ceil(100),
    });
    allowances.min()
}
