//! PodDisruptionBudgets: which cover a pod, and what they allow.

use crate::event::ObjectKey;
use crate::model::node_pool::PodDisruptionBudget;
use crate::model::pod::{Pod, PodPhase, PodSpec};
use crate::provision::selector::selects;
use crate::state::Snapshot;

/// The budgets that have a say in the eviction of a pod, each with the evictions that it allows now.
pub(crate) fn budgets_of(snapshot: &Snapshot, pod: &Pod) -> Vec<(ObjectKey, u32)> {
    if pod.phase.is_terminal() || pod.deleting.is_some() {
        return Vec::new();
    }
    let unready = pod.phase == PodPhase::Running && !pod.ready;
    selecting(snapshot, &pod.spec)
        .filter(|(_, budget)| !(unready && budget.always_allow_unready))
        .map(|(key, budget)| (key.clone(), budget.disruptions_allowed))
        .collect()
}

/// The budgets that select pods like these.
pub(crate) fn selecting<'a>(
    snapshot: &'a Snapshot,
    spec: &'a PodSpec,
) -> impl Iterator<Item = (&'a ObjectKey, &'a PodDisruptionBudget)> {
    let of_namespace = (spec.namespace.clone(), String::new());
    let budgets = snapshot.disruption_budgets.range(of_namespace..);
    let budgets = budgets.take_while(|((namespace, _), _)| *namespace == spec.namespace);
    budgets.filter(|(_, budget)| budget.selector.as_ref().is_some_and(|s| selects(s, &spec.labels)))
}

/// Whether PodDisruptionBudgets will never let a pod be evicted: one that allows no disruption at all, or several.
pub(crate) fn is_blocked_always(snapshot: &Snapshot, pod: &Pod) -> bool {
    let budgets = budgets_of(snapshot, pod);
    let never = |(key, _): &(ObjectKey, u32)| snapshot.disruption_budgets[key].blocks_always;
    budgets.len() > 1 || budgets.iter().any(never)
}
