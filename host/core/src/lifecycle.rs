//! The life of a NodeClaim: it is launched, joins, becomes ready, grows old, is drained and ends.
//!
//! Each step is a function of what is known and the time. A step that has not taken effect is simply asked for
//! again, so nothing has to be remembered across a restart.

pub mod demoted;
pub mod drain;
pub mod given;
pub mod leftover;
pub mod repair;
pub mod standing;
mod volumes;

use crate::model::labels;
use crate::model::node::{Node, NodeClaim};
use crate::model::time::{Duration, Timestamp};
use crate::plan::{Action, Delete, DeleteReason, NodeRef, Termination};
use crate::provision::existing::is_ephemeral;
use crate::state::Snapshot;

use self::drain::{Drain, Evictable};
use self::volumes::awaited;

/// A NodeClaim that has no instance after this long is given up (Karpenter: launch timeout).
pub const LAUNCH_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long a node may take to join unless somebody has set something else (Karpenter: registration timeout, from when the
/// condition `Registered` is there).
pub const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// A node is kept at least this long after its end was decided, so that load balancers see it go.
pub const DRAIN_MIN: Duration = Duration::from_secs(5);

/// What is due now, and when to look again if nothing happens until then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// What to do now.
    pub actions: Vec<Action>,
    /// When something will be due that no event announces.
    pub next: Option<Timestamp>,
}

impl Due {
    /// Looks again at `at`, unless something else is due earlier.
    pub fn wake(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Adds what another part of the decision found.
    pub fn extend(&mut self, other: Self) {
        self.actions.extend(other.actions);
        if let Some(at) = other.next {
            self.wake(at);
        }
    }
}

/// The next step of every NodeClaim that has one.
#[must_use]
pub fn lifecycle(snapshot: &Snapshot, now: Timestamp) -> Due {
    let mut due = Due::default();
    let mut drain = Drain::new(snapshot, now);
    for claim in snapshot.claims.values() {
        let node = snapshot.node_of_claim(claim);
        if snapshot.refused.contains(&claim.name) {
            if claim.deleting.is_none() {
                due.actions.push(delete(claim, DeleteReason::InsufficientCapacity));
            }
            due.actions.push(Action::Finalize(NodeRef { claim: claim.name.clone(), node: None }));
        } else if let Some(since) = claim.deleting {
            terminate(snapshot, (claim, node, since), &mut drain, &mut due);
        } else if snapshot.terminated.contains(&claim.name) {
            due.actions.push(delete(claim, DeleteReason::InstanceGone));
        } else {
            grow(snapshot, (claim, node), now, &mut due);
        }
    }
    repair::repair(snapshot, now, &mut due);
    due
}

fn delete(claim: &NodeClaim, reason: DeleteReason) -> Action {
    Action::Delete(Delete { claim: claim.name.clone(), reason })
}

fn node_ref(claim: &NodeClaim, node: &Node) -> NodeRef {
    NodeRef { claim: claim.name.clone(), node: Some(node.name.clone()) }
}

/// From launch to old age.
fn grow(snapshot: &Snapshot, (claim, node): (&NodeClaim, Option<&Node>), now: Timestamp, due: &mut Due) {
    if let Some(span) = claim.expire_after {
        let at = claim.created + span;
        if at <= now {
            due.actions.push(delete(claim, DeleteReason::Expired));
            return;
        }
        due.wake(at);
    }
    if claim.instance.is_none() {
        give_up_after(claim, claim.created + LAUNCH_TIMEOUT, now, due);
        return;
    }
    match (node, claim.registered, claim.initialized) {
        (None, None, _) => {
            give_up_after(claim, claim.created + snapshot.settings.registration_timeout, now, due);
        }
        (Some(node), None, _) => due.actions.push(Action::Register(node_ref(claim, node))),
        (None, Some(_), _) => due.actions.push(delete(claim, DeleteReason::InstanceGone)),
        (Some(node), Some(_), _) if node.deleting.is_some() => {
            due.actions.push(delete(claim, DeleteReason::NodeDeleted));
        }
        (Some(node), Some(_), None) if is_initialized(claim, node) => {
            due.actions.push(Action::Initialize(node_ref(claim, node)));
        }
        // What it was closed for did not come to pass, or whoever closed it is gone.
        (Some(node), Some(_), Some(_)) if is_closed(node) && !snapshot.is_leaving(claim) => {
            due.actions.push(Action::Uncordon(node_ref(claim, node)));
        }
        (Some(_), Some(_), _) => {}
    }
}

/// Whether a node takes no more pods, because it is being taken away.
pub(crate) fn is_closed(node: &Node) -> bool {
    node.taints.iter().any(|taint| taint.key == labels::DISRUPTED_TAINT)
}

fn give_up_after(claim: &NodeClaim, at: Timestamp, now: Timestamp, due: &mut Due) {
    if at <= now {
        due.actions.push(delete(claim, DeleteReason::NeverJoined));
    } else {
        due.wake(at);
    }
}

/// Whether a node is ready for its pods: the kubelet says so, nothing marks it as starting any more, and all
/// resources that its pods were promised are there.
fn is_initialized(claim: &NodeClaim, node: &Node) -> bool {
    let starting = node.taints.iter().any(|taint| {
        is_ephemeral(taint)
            || claim.startup_taints.iter().any(|s| s.key == taint.key && s.effect == taint.effect)
    });
    let expected = claim.instance.as_ref().map(|instance| &instance.capacity);
    let missing = claim.requests.iter().any(|(name, _)| {
        node.allocatable.get(name) == 0 && expected.is_some_and(|capacity| capacity.get(name) > 0)
    });
    node.ready && !starting && !missing
}

/// From the decision to end it to the end.
fn terminate(
    snapshot: &Snapshot,
    (claim, node, since): (&NodeClaim, Option<&Node>, Timestamp),
    drain: &mut Drain<'_>,
    due: &mut Due,
) {
    if let Some(node) = node
        && !snapshot.terminated.contains(&claim.name)
    {
        due.actions.extend(drain.cordon(claim, node));
        match drain.evictions(claim, node, since) {
            Evictable::Some { evictions, next } => {
                due.actions.extend(evictions.into_iter().map(Action::Evict));
                if let Some(next) = next {
                    due.wake(next);
                }
                return;
            }
            Evictable::None if since + DRAIN_MIN > drain.now() => {
                due.wake(since + DRAIN_MIN);
                return;
            }
            Evictable::None if !awaited(snapshot, node, drain.now()).is_empty() => {
                let deadline = drain::deadline(claim, since);
                if deadline.is_none_or(|at| at > drain.now()) {
                    deadline.into_iter().for_each(|at| due.wake(at));
                    return;
                }
            }
            Evictable::None => {}
        }
    }
    match &claim.instance {
        Some(instance) if !snapshot.terminated.contains(&claim.name) => {
            due.actions.push(Action::Terminate(Termination {
                claim: claim.name.clone(),
                provider_id: instance.provider_id.clone(),
            }));
        }
        Some(_) | None => due.actions.push(Action::Finalize(NodeRef {
            claim: claim.name.clone(),
            node: node.map(|node| node.name.clone()),
        })),
    }
}
