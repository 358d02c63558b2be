//! Which nodes could be disrupted at all, what keeps the others, and which one goes first.

use std::collections::BTreeMap;

use crate::disrupt::kinds::{Kinds, ONE};
use crate::model::node::{Node, NodeClaim};
use crate::model::node_pool::{ConsolidationPolicy, NodePool};
use crate::model::time::Timestamp;
use crate::state::Snapshot;
use crate::state::groups::GroupId;
use crate::why::Blocker;

/// A node that may move, as far as it alone is concerned.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) claim: &'a NodeClaim,
    pub(crate) pool: &'a NodePool,
    /// The pods that would have to go somewhere else, by group.
    pub(crate) pods: Vec<GroupPods>,
    /// Whether no pod is worth keeping the node for.
    pub(crate) is_empty: bool,
    /// What moving it saves per disruption, to compare candidates by.
    pub(crate) savings_ratio: u128,
}

/// Pods of one group on one node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupPods {
    pub(crate) group: GroupId,
    /// Those that run.
    pub(crate) staying: u32,
    /// Those that are leaving and will come back under the same name.
    pub(crate) coming_back: u32,
}

/// A node that has been quiet for long enough, or when it will have been.
pub(crate) enum Quiet<'a> {
    Yes(&'a NodePool),
    At(Timestamp),
    Never(&'static str),
}

/// Why a node is left in peace, or that it is not.
pub(crate) enum Rest<'a> {
    Never(&'static str),
    NotQuiet(Timestamp),
    Expects(Timestamp),
    Quiet(&'a NodePool),
}

/// Whether a round would look at one node.
pub(crate) fn rest<'a>(snapshot: &'a Snapshot, claim: &NodeClaim, now: Timestamp) -> Rest<'a> {
    match quiet(snapshot, claim, now) {
        Quiet::Never(why) => Rest::Never(why),
        Quiet::At(at) => Rest::NotQuiet(at),
        Quiet::Yes(pool) => {
            let expected = snapshot.nominations.values().filter(|(place, _)| *place == claim.name);
            let until = expected.map(|(_, until)| *until).filter(|until| *until > now).max();
            until.map_or(Rest::Quiet(pool), Rest::Expects)
        }
    }
}

/// Whether a node has been quiet for as long as its NodePool wants.
pub(crate) fn quiet<'a>(snapshot: &'a Snapshot, claim: &NodeClaim, now: Timestamp) -> Quiet<'a> {
    let Some(pool) = snapshot.node_pools.get(&claim.node_pool) else {
        return Quiet::Never("its NodePool is gone");
    };
    let Some(initialized) = claim.initialized else {
        return Quiet::Never("it is not initialized");
    };
    if pool.replicas.is_some() {
        return Quiet::Never("its NodePool has a fixed number of nodes (spec.replicas)");
    }
    let Some(span) = pool.disruption.consolidate_after else {
        return Quiet::Never("its NodePool says so (consolidateAfter: Never)");
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
    let mut kinds = Kinds::new(snapshot, now);
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
            Quiet::Never(_) => continue,
        };
        if let Some(until) = expected.get(claim.name.as_str()) {
            next = Some(next.map_or(*until, |next| next.min(*until)));
            continue;
        }
        match candidate((snapshot, &mut kinds), (claim, node, pool), Blocking::ByPods) {
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

/// The nodes on which pods are expected, and until when.
pub(crate) fn nodes_with_expected_pods(snapshot: &Snapshot, now: Timestamp) -> BTreeMap<&str, Timestamp> {
    let mut expected: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for (node, until) in snapshot.nominations.values().filter(|(_, until)| *until > now) {
        let latest = expected.entry(node).or_insert(*until);
        *latest = (*latest).max(*until);
    }
    expected
}

/// Who may keep a node from moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// The node itself, and its pods.
    ByPods,
    /// The node itself.
    ByNode,
}

/// A node as a candidate, or what keeps it.
pub(crate) fn candidate<'a>(
    (snapshot, kinds): (&'a Snapshot, &mut Kinds<'_>),
    (claim, node, pool): (&'a NodeClaim, &'a Node, &'a NodePool),
    blocking: Blocking,
) -> Result<Candidate<'a>, Blocker> {
    if node.do_not_disrupt || claim.do_not_disrupt {
        return Err(Blocker::NodeDoNotDisrupt);
    }
    if blocking == Blocking::ByPods
        && let Some(blocker) = kinds.blocker(&node.name)
    {
        return Err(blocker);
    }
    let mut pods = Vec::new();
    let mut disruption = 0;
    for (group, staying, leaving) in snapshot.all_groups_on(&node.name) {
        let kind = kinds.of(group);
        let staying = if kind.reschedulable { staying } else { 0 };
        let coming_back = if kind.comes_back { leaving } else { 0 };
        if staying + coming_back > 0 {
            let each = u128::from(kind.cost.max(0).unsigned_abs());
            disruption += each * u128::from(staying + coming_back);
            pods.push(GroupPods { group, staying, coming_back });
        }
    }
    let price = claim.instance.as_ref().map_or(0, |instance| instance.price.micros());
    let savings_ratio = (u128::from(price) << 64) / (disruption + u128::from(ONE));
    Ok(Candidate { claim, pool, pods, is_empty: disruption == 0, savings_ratio })
}
