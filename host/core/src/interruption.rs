//! What to do when EC2 takes an instance back: the replacement first, then the drain, and both in time.
//!
//! Provisioning looks after the pods of such a node from the moment of the notice. Here it is decided when the
//! node stops taking pods (at once) and when its pods are asked to leave (when their new nodes are ready, or when
//! waiting longer would cost them their grace period).

use crate::event::{Notice, NoticeKind};
use crate::lifecycle::Due;
use crate::model::labels;
use crate::model::node::{Node, NodeClaim};
use crate::model::time::{Duration, Timestamp};
use crate::plan::{Action, Cordon, Delete, DeleteReason};
use crate::state::Snapshot;

/// The longest time that pods are given to stop out of the two minutes that EC2 gives. Pods that ask for more get
/// no more: their replacements would have no time to start.
const GRACE_MAX: Duration = Duration::from_secs(60);
/// Time for evictions to be carried out before the grace periods start.
const SLACK: Duration = Duration::from_secs(10);

/// What is due for instances that EC2 takes back.
#[must_use]
pub fn interruption(snapshot: &Snapshot, now: Timestamp) -> Due {
    let mut due = Due::default();
    for (name, notice) in &snapshot.notices {
        let Some(claim) = snapshot.claims.get(name) else { continue };
        match notice.kind {
            NoticeKind::Reclaim if claim.deleting.is_none() => {
                reclaim(snapshot, (claim, notice), now, &mut due);
            }
            // A drain is under way already; a rebalance recommendation alone moves nothing (Karpenter).
            NoticeKind::Reclaim | NoticeKind::Rebalance => {}
        }
    }
    due
}

fn reclaim(snapshot: &Snapshot, (claim, notice): (&NodeClaim, &Notice), now: Timestamp, due: &mut Due) {
    let node = snapshot.node_of_claim(claim);
    if let Some(node) = node
        && !node.taints.iter().any(|taint| taint.key == labels::DISRUPTED_TAINT)
    {
        let reason = DeleteReason::Interrupted;
        due.actions.push(Action::Cordon(Cordon {
            claim: claim.name.clone(),
            node: node.name.clone(),
            reason,
        }));
    }
    let latest = latest_drain(snapshot, node, notice);
    if latest <= now || are_replacements_ready(snapshot, node, now) {
        due.actions
            .push(Action::Delete(Delete { claim: claim.name.clone(), reason: DeleteReason::Interrupted }));
    } else {
        due.wake(latest);
    }
}

/// When the pods must be asked to leave at the latest, to have their grace periods before the instance goes.
fn latest_drain(snapshot: &Snapshot, node: Option<&Node>, notice: &Notice) -> Timestamp {
    let pods = node.into_iter().flat_map(|node| snapshot.pods_on(&node.name));
    let longest = pods.map(|pod| pod.spec.termination_grace_period).max().unwrap_or_default();
    notice.deadline - (longest.min(GRACE_MAX) + SLACK)
}

/// Whether every pod that needs a place could go there now. A pod that is expected nowhere fits on nodes that are
/// there, unless the last plan found no place for it: then it stays where it is for as long as it can.
fn are_replacements_ready(snapshot: &Snapshot, node: Option<&Node>, now: Timestamp) -> bool {
    let Some(node) = node else { return true };
    snapshot.pods_on(&node.name).all(|pod| match snapshot.nominations.get(&pod.uid) {
        Some((place, until)) if *until > now => match snapshot.claims.get(place) {
            Some(claim) => claim.initialized.is_some(),
            // A node of somebody else is there; a NodeClaim that is just being made is not.
            None => snapshot.nodes.contains_key(place),
        },
        Some(_) | None => !snapshot.homeless.contains(&pod.uid),
    })
}
