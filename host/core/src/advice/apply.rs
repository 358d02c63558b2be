//! What advice makes of a snapshot before something is decided.
//!
//! Advice narrows: pods get one more requirement, NodePools one more taint or label, offerings another price or none.
//! So it is laid over a copy of the state, the decision is made on that copy as on any other, and what the plan says of
//! the copy is put back to what is so. Nothing in the decisions themselves knows of advice, and a plan made with it is
//! judged on the true snapshot like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ask::Group;
use super::ask::supplies::Catalogue;
use super::capacity::{Choice, Share, Supply};
use super::consolidation::Quiet;
use super::offerings::{Judgement, Verdict};
use super::taints::Outfit;
use super::words::LivingNode;
use crate::event::Event;
use crate::model::instance_type::{CapacityType, InstanceType};
use crate::model::labels;
use crate::model::node_pool::{NodeClass, NodePool};
use crate::model::pod::{Owner, Pod};
use crate::model::price::Price;
use crate::model::requirement::{Operator, Requirement};
use crate::model::time::{Duration, Timestamp};
use crate::plan::{Action, Launch, LaunchOffering, Plan};
use crate::state::{ClusterState, Snapshot};

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

/// What NodePools were told about their offerings, so that a plan can be put back to true prices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// By NodePool and offering (type, zone, capacity type, reservation) the factor in parts per million.
    scales: BTreeMap<String, BTreeMap<Way, u32>>,
}

type Way = (String, String, CapacityType, Option<String>);

/// Lays judgements over the offerings of NodePools: what is forbidden is not for sale, what is scaled has another
/// price. NodePools with judgements of their own get an EC2NodeClass of their own on the copy.
pub fn judge(
    state: &mut ClusterState,
    judgements: &BTreeMap<String, (Catalogue, Vec<Judgement>)>,
    now: Timestamp,
) -> Judged {
    let mut judged = Judged::default();
    let pools: Vec<NodePool> = state.snapshot().node_pools.values().cloned().collect();
    let none = Vec::new();
    let of_pool = |pool: &NodePool| judgements.get(&pool.name).map_or(&none, |(_, judgements)| judgements);
    for pool in &pools {
        let Some((catalogue, said)) = judgements.get(&pool.name).filter(|(_, said)| !said.is_empty()) else {
            continue;
        };
        let Some(class) = state.snapshot().node_classes.get(&pool.node_class).cloned() else { continue };
        let mut types: Vec<InstanceType> = class.instance_types.to_vec();
        let scales = judged.scales.entry(pool.name.clone()).or_default();
        for Judgement { offering, verdict } in said {
            let place = usize::try_from(*offering).ok().and_then(|at| catalogue.places.get(at));
            let Some((at, place)) = place else { continue };
            let Some(instance_type) = types.get_mut(*at) else { continue };
            let name = instance_type.name.clone();
            let Some(offering) = instance_type.offerings.get_mut(*place) else { continue };
            match verdict {
                Verdict::Forbid(_) => offering.available = false,
                Verdict::Scale(scale) => {
                    offering.price = offering.price.scaled(u64::from(*scale));
                    let reservation = offering.reservation.as_ref().map(|one| one.id.clone());
                    let way = (name, offering.zone.clone(), offering.capacity_type, reservation);
                    scales.insert(way, *scale);
                }
            }
        }
        let shared =
            pools.iter().any(|other| other.node_class == pool.node_class && of_pool(other) != of_pool(pool));
        let name = if shared { format!("{} for {}", class.name, pool.name) } else { class.name.clone() };
        state.apply(
            Event::NodeClass(NodeClass { name: name.clone(), instance_types: types.into(), ..class }),
            now,
        );
        if shared {
            let pool = NodePool { node_class: name, ..pool.clone() };
            state.apply(Event::NodePool(Box::new(pool)), now);
        }
    }
    judged
}

/// Puts a plan that was made on a copy back to what is so: true EC2NodeClasses and prices, the cheapest first.
pub fn restore(plan: &mut Plan, snapshot: &Snapshot, judged: &Judged) {
    if judged.scales.is_empty() {
        return;
    }
    for action in &mut plan.actions {
        if let Action::Launch(launch) = action {
            restore_launch(launch, snapshot, judged);
        }
    }
}

fn restore_launch(launch: &mut Launch, snapshot: &Snapshot, judged: &Judged) {
    let Some(pool) = snapshot.node_pools.get(&launch.node_pool) else { return };
    if launch.node_class != pool.node_class {
        launch.node_class.clone_from(&pool.node_class);
        Arc::make_mut(&mut launch.labels).insert(labels::NODE_CLASS.to_owned(), pool.node_class.clone());
        let mut requirements = (*launch.requirements).clone();
        for one in requirements.iter_mut().filter(|one| one.key == labels::NODE_CLASS) {
            one.values = vec![pool.node_class.clone()];
        }
        launch.requirements = Arc::new(requirements);
    }
    let Some(scales) = judged.scales.get(&launch.node_pool).filter(|scales| !scales.is_empty()) else {
        return;
    };
    let Some(class) = snapshot.node_classes.get(&pool.node_class) else { return };
    let prices = true_prices(class, &launch.offerings);
    let scale = |offering: &LaunchOffering| scales.get(&way(offering)).copied().unwrap_or(1_000_000);
    let mut offerings: Vec<LaunchOffering> = launch.offerings.iter().cloned().collect();
    for offering in &mut offerings {
        offering.price = prices.get(&way(offering)).copied().unwrap_or(offering.price);
    }
    // EC2 takes the cheapest of what is listed. What is cheaper than the best only in dollars would be taken in its
    // stead, so it is not listed; what is dearer may stay, for when there is nothing better.
    if let Some(best) = offerings.first().cloned()
        && !pool.requirements.iter().any(|requirement| requirement.min_values.is_some())
    {
        offerings.retain(|other| scale(other) <= scale(&best) || other.price >= best.price);
    }
    offerings.sort_by_key(|offering| offering.price);
    launch.offerings = Arc::new(offerings);
}

fn way(offering: &LaunchOffering) -> Way {
    (
        offering.instance_type.clone(),
        offering.zone.clone(),
        offering.capacity_type,
        offering.reservation.clone(),
    )
}

fn true_prices(class: &NodeClass, listed: &[LaunchOffering]) -> BTreeMap<Way, Price> {
    let names: BTreeSet<&str> = listed.iter().map(|offering| offering.instance_type.as_str()).collect();
    let types = class.instance_types.iter().filter(|it| names.contains(it.name.as_str()));
    let mut prices = BTreeMap::new();
    for instance_type in types {
        for offering in &instance_type.offerings {
            let reservation = offering.reservation.as_ref().map(|one| one.id.clone());
            let way =
                (instance_type.name.clone(), offering.zone.clone(), offering.capacity_type, reservation);
            prices.insert(way, offering.price);
        }
    }
    prices
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
