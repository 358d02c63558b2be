//! Nodes that are not what is asked for any more: which of them go at once, and which are replaced first.
//!
//! A node that has pods is replaced in steps, each of which follows from what is known, so that none is lost with a
//! restart: it is marked (`ClusterState::replace`), from when on its pods need places elsewhere, which `provision` finds
//! as for any node that leaves; it takes no more pods; it goes when all places are ready. Where a pod has no place any
//! more, or it takes too long, the node stays after all.

use std::collections::BTreeSet;

use crate::disrupt::budget::Budgets;
use crate::disrupt::candidates::{Blocking, candidate, nodes_with_expected_pods};
use crate::disrupt::kinds::Kinds;
use crate::disrupt::{Move, Round};
use crate::drift::{counts_later, drift};
use crate::event::NoticeKind;
use crate::interruption::is_ready_elsewhere;
use crate::lifecycle::{Due, is_closed};
use crate::model::node::NodeClaim;
use crate::model::node_pool::DisruptionReason;
use crate::model::pod::Pod;
use crate::model::time::{Duration, Timestamp};
use crate::plan::{Action, Cordon, Delete, DeleteReason};
use crate::provision::will_be_evicted;
use crate::state::Snapshot;
use crate::why::{Blocker, MoveBlocked};

/// A replacement that is not ready after this long is given up, and the node stays (Karpenter: 10 min at least).
pub const REPLACED_WITHIN: Duration = Duration::from_secs(600);

const REASON: DisruptionReason = DisruptionReason::Drifted;

/// Drifted nodes that may go, as far as they alone are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drifted {
    /// Those without pods that would need another place: they may go at once, all of them.
    pub at_once: Round,
    /// The others, those first that have been drifted for longest: one of them may be replaced.
    pub with_pods: Vec<Move>,
}

/// Drifted nodes that may go at `now`, within their NodePools' budgets, and what keeps the others.
#[must_use]
pub fn drifted(snapshot: &Snapshot, now: Timestamp) -> Drifted {
    let mut found = Drifted::default();
    let expected = nodes_with_expected_pods(snapshot, now);
    let mut kinds = Kinds::new(snapshot, now);
    let (mut empty, mut used) = (Vec::new(), Vec::new());
    for claim in snapshot.claims.values().filter(|claim| !snapshot.is_leaving(claim)) {
        if let Some(at) = counts_later(snapshot, claim, now) {
            found.at_once.next = found.at_once.next.map_or(Some(at), |next| Some(next.min(at)));
        }
        let Some(node) = snapshot.node_of_claim(claim).filter(|node| node.deleting.is_none()) else {
            continue;
        };
        let Some(pool) = snapshot.node_pools.get(&claim.node_pool).filter(|pool| pool.replicas.is_none())
        else {
            continue;
        };
        if claim.initialized.is_none() || drift(snapshot, claim, now).is_none() {
            continue;
        }
        if let Some(until) = expected.get(claim.name.as_str()) {
            found.at_once.next = found.at_once.next.map_or(Some(*until), |next| Some(next.min(*until)));
            continue;
        }
        // Whoever bounds the drain of a node in time accepts that its pods are ended when it drifts (Karpenter).
        let bounded = claim.termination_grace_period.is_some();
        let blocking = if bounded { Blocking::ByNode } else { Blocking::ByPods };
        match candidate((snapshot, &mut kinds), (claim, node, pool), blocking) {
            Ok(candidate) if candidate.pods.is_empty() => empty.push(candidate),
            Ok(candidate) => used.push(candidate),
            Err(why) => found.at_once.blocked.push(MoveBlocked { claim: claim.name.clone(), why }),
        }
    }
    let mut budgets = Budgets::new(now);
    used.sort_by_key(|candidate| (candidate.claim.drifted.unwrap_or(now), &candidate.claim.name));
    for (candidate, is_empty) in
        empty.iter().map(|one| (one, true)).chain(used.iter().map(|one| (one, false)))
    {
        let claim = candidate.claim.name.clone();
        if !budgets.is_left(snapshot, candidate.pool, REASON) {
            let why = Blocker::NodePoolBudget { node_pool: candidate.pool.name.clone() };
            found.at_once.blocked.push(MoveBlocked { claim, why });
        } else if is_empty {
            budgets.take(candidate.pool);
            found.at_once.moves.push(Move { claim, reason: REASON });
        } else {
            found.with_pods.push(Move { claim, reason: REASON });
        }
    }
    found
}

/// The pods of a node that need another place before it goes.
pub fn pods_to_move<'a>(
    snapshot: &'a Snapshot,
    claim: &NodeClaim,
    now: Timestamp,
) -> impl Iterator<Item = &'a Pod> + use<'a> {
    let node = snapshot.node_of_claim(claim);
    let pods = node.into_iter().flat_map(|node| snapshot.pods_on(&node.name));
    pods.filter(move |pod| will_be_evicted(snapshot, pod, now))
}

/// Whether a node is being replaced and a pod of it has no place yet: nobody has looked for one since the process
/// began, or the last one that was found has run out.
#[must_use]
pub fn wants_places(snapshot: &Snapshot, now: Timestamp) -> bool {
    replaced(snapshot).any(|(claim, _)| {
        pods_to_move(snapshot, claim, now).any(|pod| {
            let expected = snapshot.nominations.get(&pod.uid);
            let has_place =
                expected.is_some_and(|(place, until)| *until > now && snapshot.is_expected(place));
            !has_place && !snapshot.homeless.contains(&pod.uid)
        })
    })
}

/// The nodes that were to be replaced and stay after all: they are what is asked for again, a pod of theirs has no place,
/// or it takes too long.
#[must_use]
pub fn given_up(snapshot: &Snapshot, now: Timestamp) -> BTreeSet<String> {
    let stays = |claim: &NodeClaim, since: Timestamp| {
        let is_stranded = |pod: &Pod| snapshot.homeless.contains(&pod.uid);
        since + REPLACED_WITHIN <= now
            || drift(snapshot, claim, now).is_none()
            || pods_to_move(snapshot, claim, now).any(is_stranded)
    };
    let found = replaced(snapshot).filter(|(claim, since)| stays(claim, *since));
    found.map(|(claim, _)| claim.name.clone()).collect()
}

/// The next steps of nodes that are being replaced: they take no more pods, and go when all their pods could go elsewhere.
#[must_use]
pub fn replacements(snapshot: &Snapshot, now: Timestamp) -> Due {
    let mut due = Due::default();
    for (claim, since) in replaced(snapshot) {
        let Some(node) = snapshot.node_of_claim(claim) else { continue };
        let reason = DeleteReason::Disrupted(REASON);
        if !is_closed(node) {
            let (claim, node) = (claim.name.clone(), node.name.clone());
            due.actions.push(Action::Cordon(Cordon { claim, node, reason }));
        }
        if pods_to_move(snapshot, claim, now).all(|pod| is_ready_elsewhere(snapshot, pod, now)) {
            due.actions.push(Action::Delete(Delete { claim: claim.name.clone(), reason }));
        } else {
            due.wake(since + REPLACED_WITHIN);
        }
    }
    due
}

/// The NodeClaims that are being replaced, and since when.
fn replaced(snapshot: &Snapshot) -> impl Iterator<Item = (&NodeClaim, Timestamp)> {
    let is_taken_back = |claim: &NodeClaim| {
        snapshot.notices.get(&claim.name).is_some_and(|notice| notice.kind == NoticeKind::Reclaim)
    };
    // What EC2 takes back goes in its own time.
    let claims =
        snapshot.claims.values().filter(move |claim| claim.deleting.is_none() && !is_taken_back(claim));
    claims.filter_map(|claim| Some((claim, snapshot.replaced_since(claim)?)))
}
