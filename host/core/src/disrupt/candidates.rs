//! Which nodes could be disrupted at all, what keeps the others, and which one goes first.

use std::collections::BTreeMap;

use crate::event::ObjectKey;
use crate::model::node::{Node, NodeClaim};
use crate::model::node_pool::{ConsolidationPolicy, NodePool};
use crate::model::pod::Pod;
use crate::model::time::Timestamp;
use crate::pdb::budgets_of;
use crate::state::Snapshot;
use crate::why::Blocker;

/// A node that may move, as far as it alone is concerned.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) claim: &'a NodeClaim,
    pub(crate) pool: &'a NodePool,
    /// The pods that would have to go somewhere else.
    pub(crate) pods: Vec<&'a Pod>,
    /// Whether no pod is worth keeping the node for.
    pub(crate) is_empty: bool,
    /// What moving it saves per disruption, to compare candidates by.
    pub(crate) savings_ratio: u128,
}

/// A node that has been quiet for long enough, or when it will have been.
pub(crate) enum Quiet<'a> {
    Yes(&'a NodePool),
    At(Timestamp),
    Never,
}

/// Whether a node has been quiet for as long as its NodePool wants.
pub(crate) fn quiet<'a>(snapshot: &'a Snapshot, claim: &NodeClaim, now: Timestamp) -> Quiet<'a> {
    let (Some(pool), Some(initialized)) = (snapshot.node_pools.get(&claim.node_pool), claim.initialized)
    else {
        return Quiet::Never;
    };
    let Some(span) = pool.disruption.consolidate_after.filter(|_| pool.replicas.is_none()) else {
        return Quiet::Never;
    };
    let since = claim.last_pod_event.map_or(initialized, |event| event.max(initialized));
    if since + span <= now { Quiet::Yes(pool) } else { Quiet::At(since + span) }
}

/// The nodes that may move at `now`, those with the best savings first; what keeps others that are quiet; and when
/// the next one will have been quiet long enough.
pub(crate) fn candidates<'a>(
    snapshot: &'a Snapshot,
    now: Timestamp,
) -> (Vec<Candidate<'a>>, Vec<(String, Blocker)>, Option<Timestamp>) {
    let expected = nodes_with_expected_pods(snapshot, now);
    let (mut candidates, mut blocked, mut next) = (Vec::new(), Vec::new(), None::<Timestamp>);
    for claim in snapshot.claims.values().filter(|claim| !snapshot.is_leaving(claim)) {
        let Some(node) = snapshot.node_of_claim(claim).filter(|node| node.deleting.is_none()) else {
            continue;
        };
        let pool = match quiet(snapshot, claim, now) {
            Quiet::Yes(pool) => pool,
            Quiet::At(at) => {
                next = Some(next.map_or(at, |next| next.min(at)));
                continue;
            }
            Quiet::Never => continue,
        };
        if let Some(until) = expected.get(claim.name.as_str()) {
            next = Some(next.map_or(*until, |next| next.min(*until)));
            continue;
        }
        match candidate(snapshot, (claim, node, pool), now) {
            Ok(candidate) => candidates.push(candidate),
            Err(blocker) => blocked.push((claim.name.clone(), blocker)),
        }
    }
    candidates.retain(|candidate| {
        candidate.is_empty || candidate.pool.disruption.policy != ConsolidationPolicy::WhenEmpty
    });
    candidates.sort_by(|left, right| {
        (right.savings_ratio, &left.claim.name).cmp(&(left.savings_ratio, &right.claim.name))
    });
    (candidates, blocked, next)
}

fn nodes_with_expected_pods(snapshot: &Snapshot, now: Timestamp) -> BTreeMap<&str, Timestamp> {
    let mut expected: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for (node, until) in snapshot.nominations.values().filter(|(_, until)| *until > now) {
        let latest = expected.entry(node).or_insert(*until);
        *latest = (*latest).max(*until);
    }
    expected
}

fn candidate<'a>(
    snapshot: &'a Snapshot,
    (claim, node, pool): (&'a NodeClaim, &'a Node, &'a NodePool),
    now: Timestamp,
) -> Result<Candidate<'a>, Blocker> {
    if node.do_not_disrupt || claim.do_not_disrupt {
        return Err(Blocker::NodeDoNotDisrupt);
    }
    let mut pods = Vec::new();
    for pod in snapshot.pods_on(&node.name) {
        if pod.is_do_not_disrupt(now) && !pod.phase.is_terminal() && pod.deleting.is_none() {
            return Err(Blocker::PodDoNotDisrupt { pod: pod.full_name() });
        }
        let is_static = pod.spec.owner.as_ref().is_some_and(|owner| owner.kind == "Node");
        if !is_static {
            blocked_by_budget(snapshot, pod)?;
        }
        if is_reschedulable(pod) {
            pods.push(pod);
        }
    }
    let costs: Vec<_> = pods.iter().map(|pod| eviction_cost(pod).max(0)).collect();
    let is_empty = costs.iter().all(|cost| *cost == 0);
    let cost = costs.iter().map(|cost| u128::from(cost.unsigned_abs())).sum::<u128>() + u128::from(ONE);
    let price = claim.instance.as_ref().map_or(0, |instance| instance.price.micros());
    let savings_ratio = (u128::from(price) << 64) / cost;
    Ok(Candidate { claim, pool, pods, is_empty, savings_ratio })
}

fn blocked_by_budget(snapshot: &Snapshot, pod: &Pod) -> Result<(), Blocker> {
    let budgets = budgets_of(snapshot, pod);
    let name = |(namespace, name): &ObjectKey| format!("{namespace}/{name}");
    let blocking = budgets.iter().find(|(_, allowed)| *allowed == 0 || budgets.len() > 1);
    match blocking {
        None => Ok(()),
        Some((key, _)) => Err(Blocker::PodDisruptionBudget { pod: pod.full_name(), budget: name(key) }),
    }
}

/// Whether a pod would need another place if its node went away.
pub(crate) fn is_reschedulable(pod: &Pod) -> bool {
    let from_stateful_set = pod.spec.owner.as_ref().is_some_and(|owner| owner.kind == "StatefulSet");
    let active = !pod.phase.is_terminal() && (pod.deleting.is_none() || from_stateful_set);
    active && !pod.belongs_to_node()
}

/// The unit of eviction costs: the cost of a pod with neither priority nor deletion cost.
const ONE: u64 = 1 << 27;

/// What evicting a pod costs in units of 2^-27: `1 + deletionCost / 2^27 + priority / 2^25`, between -10 and 10
/// (Karpenter).
fn eviction_cost(pod: &Pod) -> i64 {
    let one = i64::try_from(ONE).unwrap_or(i64::MAX);
    let cost = one + i64::from(pod.spec.deletion_cost) + 4 * i64::from(pod.spec.priority);
    cost.clamp(-10 * one, 10 * one)
}
