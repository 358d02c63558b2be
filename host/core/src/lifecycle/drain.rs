//! Emptying a node: which pods leave now, which wait, which stay.
//!
//! Pods leave in four tiers, each waiting for all earlier ones (Karpenter): ordinary pods, ordinary DaemonSet
//! pods, critical pods, critical DaemonSet pods.

use std::collections::BTreeMap;

use crate::disrupt::kinds::blocker;
use crate::event::ObjectKey;
use crate::model::labels;
use crate::model::node::{Node, NodeClaim};
use crate::model::pod::Pod;
use crate::model::requirement::{Taint, TaintEffect, Toleration};
use crate::model::time::{Duration, Timestamp};
use crate::pdb::budgets_of;
use crate::plan::{Action, Cordon, DeleteReason, Eviction};
use crate::state::Snapshot;
use crate::why::Blocker;

/// A pod that has not ended this long after it should have is not waited for any more.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// The least time that a pod is given when its node's time is up.
const GRACE_MIN: Duration = Duration::from_secs(1);
/// The priority from which a pod is critical (`system-cluster-critical`).
const CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// Drains of one decision: they share what PodDisruptionBudgets allow.
pub(super) struct Drain<'a> {
    snapshot: &'a Snapshot,
    now: Timestamp,
    /// Evictions already asked for under each PodDisruptionBudget.
    spent: BTreeMap<ObjectKey, u32>,
}

/// What is left to drain.
pub(super) enum Evictable {
    /// Pods are left: those to evict now, which may be none, and when the next step is due.
    Some { evictions: Vec<Eviction>, next: Option<Timestamp> },
    /// No pod is left.
    None,
}

impl<'a> Drain<'a> {
    pub(super) const fn new(snapshot: &'a Snapshot, now: Timestamp) -> Self {
        Self { snapshot, now, spent: BTreeMap::new() }
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Keeps new pods off a node that does not say so yet.
    pub(super) fn cordon(&self, claim: &NodeClaim, node: &Node) -> Option<Action> {
        let cordoned = node.taints.iter().any(|taint| taint.key == labels::DISRUPTED_TAINT);
        let interrupted = self.snapshot.notices.contains_key(&claim.name);
        let reason = if interrupted { DeleteReason::Interrupted } else { DeleteReason::Requested };
        (!cordoned)
            .then(|| Action::Cordon(Cordon { claim: claim.name.clone(), node: node.name.clone(), reason }))
    }

    /// The pods of a node that leave now.
    pub(super) fn evictions(&mut self, claim: &NodeClaim, node: &Node, since: Timestamp) -> Evictable {
        let deadline = deadline(claim, since);
        let pods: Vec<_> =
            self.snapshot.pods_on(&node.name).filter(|pod| is_drained(pod, self.now)).collect();
        let Some(first) = pods.iter().map(|pod| tier(pod)).min() else { return Evictable::None };
        let mut evictions = Vec::new();
        let mut next: Option<Timestamp> = None;
        for pod in pods {
            let grace = pod.spec.termination_grace_period;
            let forced_at = deadline.map(|deadline| deadline - grace);
            let eviction = |forced| Eviction { pod: pod.uid.clone(), claim: claim.name.clone(), forced };
            match (forced_at, deadline) {
                (Some(at), Some(deadline)) if at <= self.now => {
                    // One that has been given longer has to stop earlier now. The API counts whole seconds.
                    let latest = deadline.max(self.now) + GRACE_MIN;
                    if pod.stops_by().is_none_or(|by| by > latest) {
                        evictions.push(eviction(Some(deadline.since(self.now).max(GRACE_MIN))));
                    }
                }
                (at, _) => {
                    next = [next, at].into_iter().flatten().min();
                    if tier(pod) == first && self.may_leave(pod) {
                        evictions.push(eviction(None));
                    }
                }
            }
            if let Some(by) = pod.stops_by() {
                next = [next, Some(by + STUCK_AFTER)].into_iter().flatten().min();
            }
        }
        Evictable::Some { evictions, next }
    }

    /// Whether a pod may be evicted now. An eviction counts against its PodDisruptionBudget at once.
    fn may_leave(&mut self, pod: &Pod) -> bool {
        if pod.deleting.is_some() || pod.is_do_not_disrupt(self.now) {
            return false;
        }
        let budgets = budgets_of(self.snapshot, pod);
        let left = |(key, allowed): &(ObjectKey, u32)| self.spent.get(key).copied().unwrap_or(0) < *allowed;
        // The eviction API answers with an error when two budgets cover a pod.
        if budgets.len() > 1 || !budgets.iter().all(left) {
            return false;
        }
        for (key, _) in budgets {
            *self.spent.entry(key).or_default() += 1;
        }
        true
    }
}

/// When a drain that began at `since` must be over: when its NodeClaim's grace period ends, or earlier where somebody has
/// said so.
pub(crate) fn deadline(claim: &NodeClaim, since: Timestamp) -> Option<Timestamp> {
    let by_grace = claim.termination_grace_period.map(|span| since + span);
    [by_grace, claim.terminate_by].into_iter().flatten().min()
}

/// A pod that holds up the drain of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The NodeClaim.
    pub claim: String,
    /// The Node.
    pub node: String,
    /// What keeps the pod.
    pub why: Blocker,
}

/// The pods that would have to leave their nodes now and may not, the first of each node.
#[must_use]
pub fn held(snapshot: &Snapshot, now: Timestamp) -> Vec<Held> {
    let mut found = Vec::new();
    for claim in snapshot.claims.values() {
        let Some((since, node)) = claim.deleting.zip(snapshot.node_of_claim(claim)) else { continue };
        if snapshot.terminated.contains(&claim.name) {
            continue;
        }
        let by = deadline(claim, since);
        let is_forced = |pod: &Pod| by.is_some_and(|by| by - pod.spec.termination_grace_period <= now);
        let pods: Vec<_> = snapshot.pods_on(&node.name).filter(|pod| is_drained(pod, now)).collect();
        let first = pods.iter().map(|pod| tier(pod)).min();
        let waits = |pod: &&&Pod| pod.deleting.is_none() && Some(tier(pod)) == first && !is_forced(pod);
        let held = pods.iter().filter(waits).find_map(|pod| blocker(snapshot, pod, now));
        found.extend(held.map(|why| Held { claim: claim.name.clone(), node: node.name.clone(), why }));
    }
    found
}

/// Whether a drain waits for a pod.
pub(crate) fn is_drained(pod: &Pod, now: Timestamp) -> bool {
    let is_static = pod.spec.owner.as_ref().is_some_and(|owner| owner.kind == "Node");
    let stuck = pod.stops_by().is_some_and(|by| by + STUCK_AFTER <= now);
    !is_static && !pod.phase.is_terminal() && !stuck && !tolerates_disruption(&pod.spec.tolerations)
}

/// Whether pods ask to stay on nodes that are being taken away, by tolerating their taint by name or all taints.
pub(crate) fn tolerates_disruption(tolerations: &[Toleration]) -> bool {
    let taint = Taint {
        key: labels::DISRUPTED_TAINT.to_owned(),
        value: String::new(),
        effect: TaintEffect::NoSchedule,
    };
    tolerations.iter().any(|toleration| toleration.tolerates(&taint))
}

fn tier(pod: &Pod) -> u8 {
    let critical = pod.spec.priority >= CRITICAL_PRIORITY;
    u8::from(critical) * 2 + u8::from(pod.belongs_to_node())
}
