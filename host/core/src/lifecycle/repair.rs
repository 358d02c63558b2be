//! Node repair: a node that has been unhealthy for too long is ended by force, unless too many are at once.

use std::collections::BTreeMap;

use crate::model::node::{ConditionStatus, Node, NodeClaim};
use crate::model::time::{Duration, Timestamp};
use crate::plan::{Action, Delete, DeleteReason};
use crate::settings::Repair;
use crate::state::Snapshot;

use super::Due;

/// What a node may say of its health, and for how long, until it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The condition.
    pub kind: &'static str,
    /// What it says when the node is not well.
    pub status: ConditionStatus,
    /// How long it may say so.
    pub tolerated: Duration,
}

const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);

/// What EC2's nodes are repaired for (Karpenter on AWS; the conditions besides `Ready` are those of EKS' node monitoring
/// agent).
pub const POLICIES: [Policy; 7] = [
    sign("Ready", ConditionStatus::False, HALF_AN_HOUR),
    sign("Ready", ConditionStatus::Unknown, HALF_AN_HOUR),
    sign("AcceleratedHardwareReady", ConditionStatus::False, Duration::from_secs(10 * 60)),
    sign("StorageReady", ConditionStatus::False, HALF_AN_HOUR),
    sign("NetworkingReady", ConditionStatus::False, HALF_AN_HOUR),
    sign("KernelReady", ConditionStatus::False, HALF_AN_HOUR),
    sign("ContainerRuntimeReady", ConditionStatus::False, HALF_AN_HOUR),
];

/// No more than so many of a hundred nodes of a NodePool, rounded up, may be unhealthy for any to be repaired: when more
/// are, it is not the nodes (Karpenter).
const UNHEALTHY_MAX_PERCENT: usize = 20;
/// When too many are unhealthy they are looked at again after this long (Karpenter: 5 min).
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(300);

const fn sign(kind: &'static str, status: ConditionStatus, tolerated: Duration) -> Policy {
    Policy { kind, status, tolerated }
}

/// Whether a condition of this kind may be a reason to repair a node.
#[must_use]
pub fn is_repaired(kind: &str) -> bool {
    POLICIES.iter().any(|policy| policy.kind == kind)
}

/// When a node will have been, or was, unhealthy for too long, and what of; the earliest.
#[must_use]
pub fn unhealthy_at(node: &Node) -> Option<(Timestamp, &'static str)> {
    let signs = node.conditions.iter().flat_map(|condition| {
        let meant =
            move |policy: &&Policy| policy.kind == condition.kind && policy.status == condition.status;
        POLICIES.iter().filter(meant).map(|policy| (condition.since + policy.tolerated, policy.kind))
    });
    signs.min()
}

/// A node that would be repaired, were not too many others unhealthy as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Braked {
    /// The NodeClaim.
    pub claim: String,
    /// How many nodes of its NodePool, or of the cluster where it has none, are unhealthy.
    pub unhealthy: usize,
    /// Of how many.
    pub nodes: usize,
}

/// The nodes that are given up at `now`, if the operator wants that, and those that are not because too many are.
pub(super) fn repair(snapshot: &Snapshot, now: Timestamp, due: &mut Due) {
    if snapshot.settings.repair == Repair::Never {
        return;
    }
    let mut pools = Pools::default();
    for claim in snapshot.claims.values().filter(|claim| claim.deleting.is_none()) {
        let Some(node) = snapshot.node_of_claim(claim).filter(|_| claim.initialized.is_some()) else {
            continue;
        };
        let Some((at, _)) = unhealthy_at(node) else { continue };
        if at > now {
            due.wake(at);
        } else if pools.brake(snapshot, claim, now).is_some() {
            due.wake(now + LOOK_AGAIN_AFTER);
        } else {
            let reason = DeleteReason::Unhealthy;
            due.actions.push(Action::Delete(Delete { claim: claim.name.clone(), reason }));
        }
    }
}

/// The unhealthy nodes that are not repaired because too many are.
#[must_use]
pub fn braked(snapshot: &Snapshot, now: Timestamp) -> Vec<Braked> {
    if snapshot.settings.repair == Repair::Never {
        return Vec::new();
    }
    let mut pools = Pools::default();
    let given_up = snapshot
        .claims
        .values()
        .filter(|claim| claim.deleting.is_none() && is_given_up(snapshot, claim, now));
    given_up.filter_map(|claim| pools.brake(snapshot, claim, now)).collect()
}

fn is_given_up(snapshot: &Snapshot, claim: &NodeClaim, now: Timestamp) -> bool {
    let node = snapshot.node_of_claim(claim);
    node.and_then(unhealthy_at).is_some_and(|(at, _)| at <= now)
}

/// How many nodes each NodePool has, and how many of them are given up; by no name those of the whole cluster. Counted when
/// it is first asked for: most of the time nobody is unhealthy.
#[derive(Debug, Default)]
struct Pools {
    counted: Option<BTreeMap<String, (usize, usize)>>,
}

impl Pools {
    /// What keeps a node from being repaired: too many of its NodePool are unhealthy; without a NodePool, of the cluster.
    fn brake(&mut self, snapshot: &Snapshot, claim: &NodeClaim, now: Timestamp) -> Option<Braked> {
        let counted = self.counted.get_or_insert_with(|| count(snapshot, now));
        let (nodes, unhealthy) = counted.get(&claim.node_pool).copied().unwrap_or_default();
        let allowed = (nodes * UNHEALTHY_MAX_PERCENT).div_ceil(100);
        (unhealthy > allowed).then(|| Braked { claim: claim.name.clone(), unhealthy, nodes })
    }
}

fn count(snapshot: &Snapshot, now: Timestamp) -> BTreeMap<String, (usize, usize)> {
    let mut counted: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for claim in snapshot.claims.values().filter(|claim| snapshot.node_of_claim(claim).is_some()) {
        let is_given_up = usize::from(is_given_up(snapshot, claim, now));
        let pool = Some(claim.node_pool.clone()).filter(|pool| !pool.is_empty());
        for name in pool.into_iter().chain([String::new()]) {
            let (nodes, unhealthy) = counted.entry(name).or_default();
            *nodes += 1;
            *unhealthy += is_given_up;
        }
    }
    counted
}
