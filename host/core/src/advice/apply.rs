//! What advice makes of a snapshot before something is decided.
//!
//! Advice narrows: pods get one more requirement, NodePools one more taint or label, offerings another price or none.
//! So it is laid over a copy of the state, the decision is made on that copy as on any other, and what the plan says of
//! the copy is put back to what is so. Nothing in the decisions themselves knows of advice, and a plan made with it is
//! judged on the true snapshot like any other.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ask::Group;
use super::capacity::{Choice, Share, Supply};
use super::consolidation::Quiet;
use super::taints::Outfit;
use super::words::LivingNode;
use crate::event::Event;
use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::node_pool::NodePool;
use crate::model::pod::{Owner, Pod};
use crate::model::requirement::{Operator, Requirement};
use crate::model::time::{Duration, Timestamp};
use crate::state::ClusterState;

/// A node that is not to move is asked about again after so long, if nothing happens before.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Lays choices over the pods of `groups`: each share's pods may be on the best of its capacity types that can be had.
pub fn choose(
    state: &mut ClusterState,
    (groups, choices): (&[Group], &[Choice]),
    market: &[Supply],
    now: Timestamp,
) {
    for (group, choice) in groups.iter().zip(choices) {
        let Choice::Split(split) = choice else { continue };
        let mut pods = group.pods.iter();
        for share in &split.shares {
            let some = pods.by_ref().take(usize::try_from(share.pods).unwrap_or(usize::MAX));
            let some: Vec<&String> = some.collect();
            let Some(only) = narrowed(share, &group.words.capacity_types, market) else { continue };
            for uid in some {
                restrict(state, uid, &only, now);
            }
        }
    }
}

/// What a share's pods are narrowed to: the first of its capacity types of which anything is available, all of them
/// when nothing is. `None` when they are what the group has anyway, in the order that is kept anyway.
fn narrowed(share: &Share, allowed: &[CapacityType], market: &[Supply]) -> Option<Vec<CapacityType>> {
    if share.prefer == allowed {
        return None;
    }
    let is_available = |one: &&CapacityType| {
        let of_type = market.iter().filter(|supply| supply.capacity_type == **one);
        of_type.into_iter().any(|supply| supply.offerings > supply.unavailable)
    };
    match share.prefer.iter().find(is_available) {
        Some(first) => Some(vec![*first]),
        None => Some(share.prefer.clone()),
    }
}

fn restrict(state: &mut ClusterState, uid: &str, only: &[CapacityType], now: Timestamp) {
    let Some(pod) = state.snapshot().pods.get(uid) else { return };
    let values = only.iter().map(|one| one.label());
    let requirement = Requirement::new(labels::CAPACITY_TYPE, Operator::In, values);
    let mut spec = (*pod.spec).clone();
    if spec.node_affinity.is_empty() {
        spec.node_affinity.push(Vec::new());
    }
    spec.node_affinity.iter_mut().for_each(|alternative| alternative.push(requirement.clone()));
    let pod = Pod { spec: Arc::new(spec), ..pod.clone() };
    state.apply(Event::Pod(Arc::new(pod)), now);
}

/// Takes pods out of what is decided about.
pub fn hide<'a>(state: &mut ClusterState, uids: impl IntoIterator<Item = &'a String>, now: Timestamp) {
    for uid in uids {
        let Some(pod) = state.snapshot().pods.get(uid) else { continue };
        let hidden = match pod.node {
            None => Pod { unschedulable: false, ..pod.clone() },
            // On a node that goes: a pod that leaves already needs no other place.
            Some(_) => Pod { deleting: Some(now), ..pod.clone() },
        };
        state.apply(Event::Pod(Arc::new(hidden)), now);
    }
}

/// Gives all NodePools what an outfit asks for, so that nodes launched now carry it.
pub fn dress(state: &mut ClusterState, outfit: &Outfit, now: Timestamp) {
    let pools: Vec<NodePool> = state.snapshot().node_pools.values().cloned().collect();
    for mut pool in pools {
        for taint in outfit.taints.iter().filter(|taint| !pool.taints.contains(taint)).collect::<Vec<_>>() {
            pool.taints.push(taint.clone());
        }
        let known = pool.startup_taints.clone();
        pool.startup_taints
            .extend(outfit.startup_taints.iter().filter(|taint| !known.contains(taint)).cloned());
        for (key, value) in &outfit.labels {
            // What the NodePool says about a label holds.
            let is_the_pools = pool.requirements.iter().any(|one| one.key == *key);
            if !is_the_pools {
                pool.labels.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        state.apply(Event::NodePool(Box::new(pool)), now);
    }
}

/// Lays over the nodes how long they must be quiet. A NodePool's own time is never shortened: it is a rule, and advice
/// chooses among what the rules allow.
pub fn rest(state: &mut ClusterState, nodes: &[LivingNode], quiet: &[Quiet], now: Timestamp) {
    for (node, quiet) in nodes.iter().zip(quiet) {
        let Some(own) = node.consolidate_after else { continue };
        let Some(claim) = state.snapshot().claims.get(&node.claim) else { continue };
        let since = claim.last_pod_event.max(claim.initialized).unwrap_or(claim.created);
        let since = match quiet {
            Quiet::Default => continue,
            Quiet::Span(span) if *span <= own => continue,
            Quiet::Span(span) => since + span.saturating_sub(own),
            Quiet::Never(_) => now + ASKED_AGAIN_AFTER,
        };
        let mut claim = claim.clone();
        claim.last_pod_event = Some(since);
        state.apply(Event::NodeClaim(Box::new(claim)), now);
    }
}

/// Keeps NodeClaims where they are, as [`Quiet::Never`] does.
pub fn keep(state: &mut ClusterState, claims: &BTreeSet<String>, now: Timestamp) {
    for name in claims {
        let Some(mut claim) = state.snapshot().claims.get(name).cloned() else { continue };
        claim.last_pod_event = Some(now + ASKED_AGAIN_AFTER);
        state.apply(Event::NodeClaim(Box::new(claim)), now);
    }
}

/// Pods of these workloads that run stay with the capacity type that they run on: were they moved to another, the next
/// answer would move them back.
pub fn keep_sides(state: &mut ClusterState, workloads: &BTreeSet<(String, Option<Owner>)>, now: Timestamp) {
    if workloads.is_empty() {
        return;
    }
    let snapshot = state.snapshot();
    let is_divided = |pod: &Pod| workloads.contains(&(pod.spec.namespace.clone(), pod.spec.owner.clone()));
    let mut sides: Vec<(String, CapacityType)> = Vec::new();
    for claim in snapshot.claims.values() {
        let (Some(instance), Some(node)) = (&claim.instance, snapshot.node_of_claim(claim)) else { continue };
        let pods = snapshot.pods_on(&node.name).filter(|pod| is_divided(pod));
        sides.extend(pods.map(|pod| (pod.uid.clone(), instance.capacity_type)));
    }
    for (uid, side) in sides {
        restrict(state, &uid, &[side], now);
    }
}
