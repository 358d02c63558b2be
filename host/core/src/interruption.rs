//! What to do when EC2 takes an instance back: the replacement first, then the drain, and both in time.
//!
//! Provisioning looks after the pods of such a node from the moment of the notice. Here it is decided when the
//! node stops taking pods (at once) and when its pods are asked to leave (when their new nodes are ready, or when
//! waiting longer would cost them their grace period).

use crate::advice::interruption::Reaction;
use crate::event::{Notice, NoticeKind};
use crate::lifecycle::Due;
use crate::model::labels;
use crate::model::node::{Node, NodeClaim};
use crate::model::pod::Pod;
use crate::model::time::{Duration, Timestamp};
use crate::plan::{Action, Cordon, Delete, DeleteReason};
use crate::state::Snapshot;

/// The longest time that pods are given to stop out of the two minutes that EC2 gives. Pods that ask for more get
/// no more: their replacements would have no time to start.
const GRACE_MAX: Duration = Duration::from_secs(60);
/// Time for evictions to be carried out before the grace periods start.
const SLACK: Duration = Duration::from_secs(10);

/// EC2 gives so much time after it has said that it takes an instance back. A drain for another reason gets as much.
const DRAIN_TIME: Duration = Duration::from_secs(120);

/// What a notice is taken for, given what policies make of it (`Default` without any): a node that has to go is one
/// that EC2 takes back, by a deadline; `None` when nobody is to move.
///
/// Karpenter drains for maintenance and for an instance that stops, and does nothing about a recommendation to
/// rebalance; so does this, with the replacement first where there is time for one.
#[must_use]
pub fn meant(notice: Notice, reaction: Reaction) -> Option<Notice> {
    let by = |deadline| Notice { kind: NoticeKind::Reclaim, deadline, ..notice.clone() };
    match (notice.kind, reaction) {
        (_, Reaction::DrainNow) | (NoticeKind::StateChange, Reaction::Default) => Some(by(notice.received)),
        // EC2 has announced when it takes the instance; that its pods leave in time is not up for advice.
        (NoticeKind::Reclaim, _) => Some(notice),
        (NoticeKind::Rebalance, Reaction::ReplaceThenDrain) => Some(by(notice.received + DRAIN_TIME)),
        (NoticeKind::Rebalance, Reaction::Default | Reaction::Ignore | Reaction::Cordon) => Some(notice),
        (NoticeKind::Maintenance, Reaction::Default | Reaction::ReplaceThenDrain)
        | (NoticeKind::StateChange, Reaction::ReplaceThenDrain) => Some(by(notice.deadline)),
        (NoticeKind::Maintenance | NoticeKind::StateChange, Reaction::Ignore | Reaction::Cordon) => None,
    }
}

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
            // A drain is under way already; a rebalance recommendation alone moves nothing (Karpenter); of the others
            // `meant` makes a reclaim before the state hears of them.
            NoticeKind::Reclaim
            | NoticeKind::StateChange
            | NoticeKind::Maintenance
            | NoticeKind::Rebalance => {}
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
        Some((_, until)) if *until > now => is_ready_elsewhere(snapshot, pod, now),
        Some(_) | None => !snapshot.homeless.contains(&pod.uid),
    })
}

/// Whether a pod is expected on a node that is ready for it.
pub(crate) fn is_ready_elsewhere(snapshot: &Snapshot, pod: &Pod, now: Timestamp) -> bool {
    let expected = snapshot.nominations.get(&pod.uid).filter(|(_, until)| *until > now);
    expected.is_some_and(|(place, _)| match snapshot.claims.get(place) {
        Some(claim) => claim.initialized.is_some(),
        // A node of somebody else is there; a NodeClaim that is just being made is not.
        None => snapshot.nodes.contains_key(place),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a notice is taken for: until when the node has to be empty, in seconds; or that it stays.
    fn deadline(kind: NoticeKind, reaction: Reaction) -> Option<u64> {
        let provider_id = "aws:///a/i-1".to_owned();
        let received = Timestamp::EPOCH + Duration::from_secs(10);
        let deadline = Timestamp::EPOCH + Duration::from_secs(3_600);
        let meant = meant(Notice { provider_id, kind, received, deadline }, reaction)?;
        (meant.kind == NoticeKind::Reclaim).then(|| meant.deadline.millis() / 1_000)
    }

    #[test]
    fn what_a_notice_is_taken_for_is_a_table() {
        use NoticeKind::{Maintenance, Rebalance, Reclaim, StateChange};
        let reactions = [
            Reaction::Default,
            Reaction::Ignore,
            Reaction::Cordon,
            Reaction::ReplaceThenDrain,
            Reaction::DrainNow,
        ];
        let (at_once, in_two_minutes, in_time) = (Some(10), Some(130), Some(3_600));
        for (kind, expected) in [
            (Reclaim, [in_time, in_time, in_time, in_time, at_once]),
            (StateChange, [at_once, None, None, in_time, at_once]),
            (Maintenance, [in_time, None, None, in_time, at_once]),
            (Rebalance, [None, None, None, in_two_minutes, at_once]),
        ] {
            assert_eq!(reactions.map(|reaction| deadline(kind, reaction)), expected, "{kind:?}");
        }
    }
}
