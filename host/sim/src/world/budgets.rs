//! PodDisruptionBudgets: their status, kept up to date pod by pod, and what they say to an eviction.

use std::collections::BTreeSet;

use whittle_core::event::{Event, ObjectKey};
use whittle_core::model::node_pool::PodDisruptionBudget;
use whittle_core::model::pod::{Pod, PodSpec};

use super::World;
use crate::input::{Amount, BudgetRule, BudgetSpec, WorkloadKey};
use crate::scheduler::rules::{SpecOrd, matches_labels};

/// A budget and what its status is computed from.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    spec: BudgetSpec,
    /// Pods that it covers, and those of them that are ready and stay.
    pods: u64,
    healthy: u64,
    /// Pods that it covers and that no workload of this world makes.
    bare: u64,
    workloads: BTreeSet<WorkloadKey>,
}

impl Budget {
    fn covers(&self, namespace: &str, spec: &PodSpec) -> bool {
        let selector = self.spec.selector.as_ref();
        spec.namespace == namespace
            && selector.is_some_and(|selector| matches_labels(&selector.requirements, &spec.labels))
    }

    /// How many of its pods may go now, when its workloads want `wanted` pods together
    /// (kube-controller-manager, `updatePdbStatus`).
    fn allowed(&self, wanted: u64) -> u64 {
        let expected = wanted + self.bare;
        let keep = match self.spec.rule {
            BudgetRule::MinAvailable(Amount::Count(count)) => count,
            BudgetRule::MinAvailable(share) => share.of(expected),
            BudgetRule::MaxUnavailable(amount) => expected.saturating_sub(amount.of(expected)),
        };
        if self.pods == 0 { 0 } else { self.healthy.saturating_sub(keep) }
    }

    fn blocks_always(&self) -> bool {
        matches!(
            self.spec.rule,
            BudgetRule::MaxUnavailable(Amount::Count(0) | Amount::Percent(0))
                | BudgetRule::MinAvailable(Amount::Percent(100..))
        )
    }
}

/// Why an eviction is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// `namespace/name` of the budget.
    pub(super) budget: String,
}

impl World {
    /// A budget is there or has changed.
    pub(super) fn put_budget(&mut self, key: ObjectKey, spec: BudgetSpec) {
        let mut budget = Budget { spec, pods: 0, healthy: 0, bare: 0, workloads: BTreeSet::new() };
        budget.workloads = self.workloads_like(|pod| budget.covers(&key.0, pod));
        for entry in self.pods.values() {
            if !budget.covers(&key.0, &entry.pod.spec) {
                continue;
            }
            budget.pods += 1;
            budget.healthy += u64::from(is_healthy(&entry.pod));
            budget.bare += u64::from(entry.workload.is_none());
        }
        self.budgets.insert(key.clone(), budget);
        self.budgets_by_spec.clear();
        self.budgets_changed.insert(key);
    }

    pub(super) fn budgets_gain_workload(&mut self, workload: &WorkloadKey) {
        let spec = std::sync::Arc::clone(&self.workloads[workload].wanted.pod);
        for (key, budget) in self.budgets.iter_mut().filter(|(key, budget)| budget.covers(&key.0, &spec)) {
            budget.workloads.insert(workload.clone());
            self.budgets_changed.insert(key.clone());
        }
    }

    pub(super) fn budgets_lose_workload(&mut self, workload: &WorkloadKey) {
        for (key, budget) in &mut self.budgets {
            if budget.workloads.remove(workload) {
                self.budgets_changed.insert(key.clone());
            }
        }
    }

    /// A workload wants another number of pods.
    pub(super) fn budgets_follow(&mut self, workload: &WorkloadKey) {
        let affected = self.budgets.iter().filter(|(_, budget)| budget.workloads.contains(workload));
        self.budgets_changed.extend(affected.map(|(key, _)| key.clone()));
    }

    pub(super) fn budget_gains(&mut self, spec: SpecOrd, pod: &Pod) {
        let bare = pod.spec.owner.is_none();
        self.change_budgets(spec, &pod.spec, |budget| {
            budget.pods += 1;
            budget.bare += u64::from(bare);
            budget.healthy += u64::from(is_healthy(pod));
        });
    }

    pub(super) fn budget_loses(&mut self, spec: SpecOrd, pod: &Pod) {
        let bare = pod.spec.owner.is_none();
        self.change_budgets(spec, &pod.spec, |budget| {
            budget.pods = budget.pods.saturating_sub(1);
            budget.bare = budget.bare.saturating_sub(u64::from(bare));
            budget.healthy = budget.healthy.saturating_sub(u64::from(is_healthy(pod)));
        });
    }

    pub(super) fn budget_changes(&mut self, spec: SpecOrd, before: &Pod, after: &Pod) {
        match (is_healthy(before), is_healthy(after)) {
            (true, false) => {
                self.change_budgets(spec, &after.spec, |budget| {
                    budget.healthy = budget.healthy.saturating_sub(1)
                });
            }
            (false, true) => self.change_budgets(spec, &after.spec, |budget| budget.healthy += 1),
            (true, true) | (false, false) => {}
        }
    }

    fn change_budgets(&mut self, ord: SpecOrd, spec: &PodSpec, change: impl Fn(&mut Budget)) {
        for key in self.budgets_of(ord, spec) {
            if let Some(budget) = self.budgets.get_mut(&key) {
                change(budget);
                self.budgets_changed.insert(key);
            }
        }
    }

    /// The budgets that cover pods of a specification. Found once for each, because pods come and go all the time.
    fn budgets_of(&mut self, ord: SpecOrd, spec: &PodSpec) -> Vec<ObjectKey> {
        if let Some(known) = self.budgets_by_spec.get(&ord) {
            return known.clone();
        }
        let covering = self.budgets.iter().filter(|(key, budget)| budget.covers(&key.0, spec));
        let found: Vec<ObjectKey> = covering.map(|(key, _)| key.clone()).collect();
        self.budgets_by_spec.insert(ord, found.clone());
        found
    }

    /// Asks the budgets whether a pod may be evicted now.
    pub(super) fn ask_budgets(&self, pod: &Pod) -> Result<(), Refused> {
        let mut covering = self.budgets.iter().filter(|(key, budget)| budget.covers(&key.0, &pod.spec));
        let Some((key, budget)) = covering.next() else { return Ok(()) };
        let refused = || Err(Refused { budget: format!("{}/{}", key.0, key.1) });
        if covering.next().is_some() {
            // The eviction API refuses pods that more than one budget covers.
            return refused();
        }
        let is_free = !pod.ready && budget.spec.always_allow_unready;
        if is_free || budget.allowed(self.wanted_by(&budget.workloads)) > 0 { Ok(()) } else { refused() }
    }

    fn wanted_by(&self, workloads: &BTreeSet<WorkloadKey>) -> u64 {
        workloads.iter().filter_map(|key| self.replicas(key)).sum()
    }

    /// Tells whoever watches about budgets that have changed.
    pub(super) fn publish_budgets(&mut self) {
        for key in std::mem::take(&mut self.budgets_changed) {
            let Some(budget) = self.budgets.get(&key) else { continue };
            let allowed = budget.allowed(self.wanted_by(&budget.workloads));
            let (namespace, name) = key;
            self.outbox.push(Event::PodDisruptionBudget(PodDisruptionBudget {
                selector: budget.spec.selector.clone(),
                disruptions_allowed: u32::try_from(allowed).unwrap_or(u32::MAX),
                always_allow_unready: budget.spec.always_allow_unready,
                blocks_always: budget.blocks_always(),
                namespace,
                name,
            }));
        }
    }
}

fn is_healthy(pod: &Pod) -> bool {
    pod.ready && pod.deleting.is_none()
}
