//! PodDisruptionBudgets: which cover a pod, and what they allow.

use crate::event::ObjectKey;
use crate::model::node_pool::PodDisruptionBudget;
use crate::model::pod::{Pod, PodPhase};
use crate::provision::selector::selects;
use crate::state::Snapshot;

/// The budgets that have a say in the eviction of a pod, each with the evictions that it allows now.
pub(crate) fn budgets_of(snapshot: &Snapshot, pod: &Pod) -> Vec<(ObjectKey, u32)> {
    if pod.phase.is_terminal() || pod.deleting.is_some() {
        return Vec::new();
    }
    let of_namespace = (pod.spec.namespace.clone(), String::new());
    let budgets = snapshot.disruption_budgets.range(of_namespace..);
    let budgets = budgets.take_while(|((namespace, _), _)| *namespace == pod.spec.namespace);
    budgets
        .filter(|(_, budget)| covers(budget, pod))
        .map(|(key, budget)| (key.clone(), budget.disruptions_allowed))
        .collect()
}

fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selected = budget.selector.as_ref().is_some_and(|s| selects(s, &pod.spec.labels));
    let unready = pod.phase == PodPhase::Running && !pod.ready;
    selected && !(unready && budget.always_allow_unready)
}
