//! NodePool budgets: how many nodes may be disrupted at once, and for which reason.

use std::collections::BTreeMap;

use crate::model::node::NodeClaim;
use crate::model::node_pool::{Budget, BudgetNodes, DisruptionReason, NodePool};
use crate::state::Snapshot;

/// What NodePools' budgets allow, and what one round has taken of them.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    allowed: BTreeMap<(String, DisruptionReason), u64>,
    /// Nodes by NodePool, whatever the reason: a node that leaves for one reason is gone for all others.
    taken: BTreeMap<String, u64>,
}

impl Budgets {
    /// Takes one node out of its NodePool's budget for a reason, if there is one left.
    pub(crate) fn take(&mut self, snapshot: &Snapshot, pool: &NodePool, reason: DisruptionReason) -> bool {
        let key = (pool.name.clone(), reason);
        let allowed = *self.allowed.entry(key).or_insert_with(|| allowed(snapshot, pool, reason));
        let taken = self.taken.entry(pool.name.clone()).or_default();
        let is_left = *taken < allowed;
        *taken += u64::from(is_left);
        is_left
    }
}

/// How many more nodes of a pool may be disrupted now for a reason: the strictest budget, less the nodes that
/// are not ready or on their way out already. A pool without budgets for the reason has no bound.
///
/// A budget with a schedule counts as always in force: it never allows more than it says.
pub(crate) fn allowed(snapshot: &Snapshot, pool: &NodePool, reason: DisruptionReason) -> u64 {
    let claims: Vec<_> = snapshot
        .claims
        .values()
        .filter(|claim| claim.node_pool == pool.name && claim.initialized.is_some())
        .collect();
    let nodes = u64::try_from(claims.len()).unwrap_or(u64::MAX);
    let away = claims.iter().filter(|claim| is_away(snapshot, claim)).count();
    let applies = |budget: &&Budget| budget.reasons.is_empty() || budget.reasons.contains(&reason);
    let budgets = pool.disruption.budgets.iter().filter(applies);
    let strictest = budgets.map(|budget| match budget.nodes {
        BudgetNodes::Count(count) => count,
        BudgetNodes::Percent(percent) => nodes.saturating_mul(percent.into()).div_ceil(100),
    });
    let bound = strictest.min().unwrap_or(u64::MAX);
    bound.saturating_sub(u64::try_from(away).unwrap_or(u64::MAX))
}

fn is_away(snapshot: &Snapshot, claim: &NodeClaim) -> bool {
    let ready = snapshot.node_of_claim(claim).is_some_and(|node| node.ready);
    !ready || snapshot.is_leaving(claim)
}
