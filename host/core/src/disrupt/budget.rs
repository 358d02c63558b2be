//! NodePool budgets: how many nodes may be disrupted at once, and for which reason.

use std::collections::BTreeMap;

use crate::model::node::NodeClaim;
use crate::model::node_pool::{Budget, BudgetNodes, DisruptionReason, NodePool};
use crate::model::time::Timestamp;
use crate::state::Snapshot;

/// What NodePools' budgets allow, and what one round has taken of them.
#[derive(Debug)]
pub(crate) struct Budgets {
    now: Timestamp,
    allowed: BTreeMap<(String, DisruptionReason), u64>,
    /// Nodes by NodePool, whatever the reason: a node that leaves for one reason is gone for all others.
    taken: BTreeMap<String, u64>,
}

impl Budgets {
    /// Budgets of which nothing has been taken yet, as they stand at `now`.
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self { now, allowed: BTreeMap::new(), taken: BTreeMap::new() }
    }

    /// Whether a NodePool's budget for a reason has a node left.
    pub(crate) fn is_left(&mut self, snapshot: &Snapshot, pool: &NodePool, reason: DisruptionReason) -> bool {
        let taken = self.taken.get(&pool.name).copied().unwrap_or(0);
        let key = (pool.name.clone(), reason);
        let now = self.now;
        taken < *self.allowed.entry(key).or_insert_with(|| allowed(snapshot, pool, reason, now))
    }

    /// Takes one node out of a NodePool's budgets.
    pub(crate) fn take(&mut self, pool: &NodePool) {
        *self.taken.entry(pool.name.clone()).or_default() += 1;
    }
}

/// How many more nodes of a pool may be disrupted now for a reason: the strictest budget, less the nodes that
/// are not ready or on their way out already. A pool without budgets for the reason has no bound.
#[must_use]
pub fn allowed(snapshot: &Snapshot, pool: &NodePool, reason: DisruptionReason, now: Timestamp) -> u64 {
    let claims: Vec<_> = snapshot
        .claims
        .values()
        .filter(|claim| claim.node_pool == pool.name && claim.initialized.is_some())
        .collect();
    let nodes = u64::try_from(claims.len()).unwrap_or(u64::MAX);
    let away = claims.iter().filter(|claim| is_away(snapshot, claim)).count();
    let concerns = |budget: &&Budget| budget.reasons.is_empty() || budget.reasons.contains(&reason);
    let budgets = pool.disruption.budgets.iter().filter(concerns);
    let bound = budgets.filter_map(|budget| bound(budget, nodes, now)).min().unwrap_or(u64::MAX);
    bound.saturating_sub(u64::try_from(away).unwrap_or(u64::MAX))
}

/// How many nodes at once a budget allows; `None` while its window is closed. A budget whose schedule cannot be
/// read allows none, as Karpenter has it.
fn bound(budget: &Budget, nodes: u64, now: Timestamp) -> Option<u64> {
    match budget.window.as_ref().map(|window| window.is_open(now)) {
        Some(Some(false)) => None,
        Some(None) => Some(0),
        None | Some(Some(true)) => Some(match budget.nodes {
            BudgetNodes::Count(count) => count,
            BudgetNodes::Percent(percent) => nodes.saturating_mul(percent.into()).div_ceil(100),
        }),
    }
}

fn is_away(snapshot: &Snapshot, claim: &NodeClaim) -> bool {
    let ready = snapshot.node_of_claim(claim).is_some_and(|node| node.ready);
    !ready || snapshot.is_leaving(claim)
}
