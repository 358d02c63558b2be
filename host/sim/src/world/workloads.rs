//! What makes pods: Deployments, StatefulSets, DaemonSets, Jobs and CronJobs.
//!
//! Each workload is looked at again when one of its pods or its wishes change (`to_reconcile`), never all of them.
//! A Deployment whose template has changed rolls with the surge that Kubernetes has by default, a quarter; a
//! StatefulSet rolls when its pods are replaced for other reasons. Left out: progress deadlines, revisions, and
//! back-off limits, since pods of this world never fail by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whittle_core::event::Event;
use whittle_core::model::labels;
use whittle_core::model::node_pool::DaemonSet;
use whittle_core::model::pod::PodSpec;
use whittle_core::model::requirement::{TaintEffect, Toleration, TolerationOperator};
use whittle_core::model::time::Duration;

use super::pods::{NewPod, PodEntry};
use super::{Happening, World};
use crate::input::{WorkloadKey, WorkloadKind, WorkloadSpec};
use crate::journal::EntryKind;
use crate::random::five_letters;
use crate::scheduler::PodOrd;
use crate::scheduler::rules::SpecOrd;
use crate::words::counted;

/// How many pods a roll may add, in percent (Deployment, `maxSurge`, the default).
const SURGE_PERCENT: u64 = 25;

/// A workload and its pods.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) wanted: WorkloadSpec,
    spec: SpecOrd,
    /// Pods that have not been asked to stop and have not ended.
    live: BTreeSet<PodOrd>,
    /// Names that are taken: those of all pods of a StatefulSet until they are gone.
    ordinals: BTreeMap<u64, PodOrd>,
    /// The pod on each node, of a DaemonSet.
    by_node: BTreeMap<String, PodOrd>,
    succeeded: u64,
    runs: u64,
    /// Whether pods of an earlier template may still be there.
    rolling: bool,
}

impl World {
    /// A workload is there or has changed.
    pub(super) fn put_workload(&mut self, key: WorkloadKey, mut wanted: WorkloadSpec) {
        if matches!(wanted.kind, WorkloadKind::DaemonSet) {
            wanted.pod = with_daemon_tolerations(&wanted.pod);
            let (namespace, name) = (key.namespace.clone(), key.name.clone());
            let spec = Arc::clone(&wanted.pod);
            self.outbox.push(Event::DaemonSet(DaemonSet { namespace, name, spec }));
            self.daemon_sets.insert(key.clone());
            self.nodes_for_daemons.extend(self.nodes.keys().cloned());
        }
        let spec = self.scheduler.spec(&wanted.pod, &self.namespaces);
        if let WorkloadKind::CronJob { schedule, .. } = &wanted.kind
            && let Some(at) = schedule.next(self.now)
        {
            self.agenda.enter(at, Happening::CronDue(key.clone()));
        }
        match self.workloads.get_mut(&key) {
            Some(known) => {
                known.rolling |= known.spec != spec;
                (known.wanted, known.spec) = (wanted, spec);
            }
            None => {
                let workload = Workload {
                    wanted,
                    spec,
                    live: BTreeSet::new(),
                    ordinals: BTreeMap::new(),
                    by_node: BTreeMap::new(),
                    succeeded: 0,
                    runs: 0,
                    rolling: false,
                };
                self.workloads.insert(key.clone(), workload);
                self.budgets_gain_workload(&key);
            }
        }
        self.to_reconcile.insert(key);
    }

    /// Ends a workload and its pods.
    pub(super) fn delete_workload(&mut self, key: &WorkloadKey) {
        let Some(workload) = self.workloads.remove(key) else { return };
        if matches!(workload.wanted.kind, WorkloadKind::DaemonSet) {
            self.outbox.push(Event::DaemonSetGone((key.namespace.clone(), key.name.clone())));
            self.daemon_sets.remove(key);
        }
        self.budgets_lose_workload(key);
        for pod in workload.live {
            self.stop_with_own_grace(pod);
        }
    }

    /// Changes how many pods a workload wants.
    pub(super) fn scale(&mut self, key: &WorkloadKey, replicas: u64) {
        if let Some(workload) = self.workloads.get_mut(key) {
            workload.wanted.replicas = replicas;
            self.budgets_follow(key);
            self.to_reconcile.insert(key.clone());
        }
    }

    /// How many pods a workload wants now.
    pub(super) fn replicas(&self, key: &WorkloadKey) -> Option<u64> {
        self.workloads.get(key).map(|workload| workload.wanted.replicas)
    }

    /// A pod that is there belongs to a workload, and to the template that the workload has now.
    pub(super) fn adopt(&mut self, key: &WorkloadKey, pod: PodOrd) {
        let Some(entry) = self.pods.get_mut(&pod) else { return };
        let Some(workload) = self.workloads.get_mut(key) else { return };
        if entry.pod.deleting.is_none() && !entry.pod.phase.is_terminal() {
            workload.live.insert(pod);
        }
        // What the API server and the controllers fill in makes no pod out of date: labels of the revision,
        // tolerations, volumes.
        entry.template = Some(workload.spec);
        match (&workload.wanted.kind, entry.ordinal, &entry.pinned) {
            (WorkloadKind::StatefulSet { .. }, Some(ordinal), _) => {
                workload.ordinals.insert(ordinal, pod);
            }
            (WorkloadKind::DaemonSet, _, Some(node)) => {
                workload.by_node.insert(node.clone(), pod);
            }
            _ => {}
        }
    }

    /// A pod has been asked to stop or is gone.
    pub(super) fn pod_leaves(&mut self, key: &WorkloadKey, pod: PodOrd) {
        if let Some(workload) = self.workloads.get_mut(key) {
            workload.live.remove(&pod);
            self.to_reconcile.insert(key.clone());
        }
    }

    /// A pod is gone, and only now its name or its place on a node is free.
    pub(super) fn pod_gone(&mut self, key: &WorkloadKey, ord: PodOrd, entry: &PodEntry) {
        self.pod_leaves(key, ord);
        let Some(workload) = self.workloads.get_mut(key) else { return };
        if let Some(ordinal) = entry.ordinal.filter(|ordinal| workload.ordinals.get(ordinal) == Some(&ord)) {
            workload.ordinals.remove(&ordinal);
        }
        if let Some(node) = entry.pinned.as_ref().filter(|node| workload.by_node.get(*node) == Some(&ord)) {
            workload.by_node.remove(node);
            self.nodes_for_daemons.insert(node.clone());
        }
    }

    /// A pod of a Job has done its work.
    pub(super) fn pod_succeeded(&mut self, key: &WorkloadKey, pod: PodOrd) {
        let Some(workload) = self.workloads.get_mut(key) else { return };
        workload.live.remove(&pod);
        workload.succeeded += 1;
        let (WorkloadKind::Job { completions, .. } | WorkloadKind::CronJob { completions, .. }) =
            workload.wanted.kind
        else {
            return;
        };
        if workload.succeeded == completions {
            let text = format!("{key} is done, {completions} of {} ended well", counted(completions, "pod"));
            self.note(EntryKind::JobDone, None, &key.to_string(), text);
        }
        self.to_reconcile.insert(key.clone());
    }

    /// How long pods of a workload run, when they end at all.
    pub(super) fn run_time(&self, key: &WorkloadKey) -> Option<Duration> {
        match self.workloads.get(key)?.wanted.kind {
            WorkloadKind::Job { run, .. } | WorkloadKind::CronJob { run, .. } => Some(run),
            WorkloadKind::Deployment | WorkloadKind::StatefulSet { .. } | WorkloadKind::DaemonSet => None,
        }
    }

    /// A CronJob's time has come: what the last run left undone goes on beside the new one.
    pub(super) fn cron_due(&mut self, key: &WorkloadKey) {
        let now = self.now;
        let Some(workload) = self.workloads.get_mut(key) else { return };
        let WorkloadKind::CronJob { schedule, completions, .. } = &workload.wanted.kind else { return };
        let (next, completions) = (schedule.next(now), *completions);
        workload.runs += 1;
        workload.succeeded = workload.succeeded.min(completions * (workload.runs - 1));
        if let Some(at) = next {
            self.agenda.enter(at, Happening::CronDue(key.clone()));
        }
        self.to_reconcile.insert(key.clone());
    }

    /// Makes or stops pods until the workload has what it wants.
    pub(super) fn reconcile(&mut self, key: &WorkloadKey) {
        let Some(workload) = self.workloads.get(key) else { return };
        match &workload.wanted.kind {
            WorkloadKind::Deployment => self.reconcile_deployment(key),
            WorkloadKind::StatefulSet { ordered, .. } => {
                let ordered = *ordered;
                self.reconcile_stateful_set(key, if ordered { Order::OneByOne } else { Order::AllAtOnce });
            }
            // Node by node, not pod by pod: see `reconcile_daemons_on`.
            WorkloadKind::DaemonSet => {}
            WorkloadKind::Job { completions, .. } => {
                let left = completions.saturating_sub(workload.succeeded);
                self.reconcile_job(key, left);
            }
            WorkloadKind::CronJob { completions, .. } => {
                let left = (completions * workload.runs).saturating_sub(workload.succeeded);
                self.reconcile_job(key, left);
            }
        }
    }

    /// Whether a pod that has become ready lets its workload go on.
    pub(super) fn waits_for_ready(&self, key: &WorkloadKey) -> bool {
        self.workloads.get(key).is_some_and(|workload| {
            workload.rolling || matches!(workload.wanted.kind, WorkloadKind::StatefulSet { .. })
        })
    }

    fn reconcile_deployment(&mut self, key: &WorkloadKey) {
        let workload = &self.workloads[key];
        if !workload.rolling && workload.live.len() as u64 == workload.wanted.replicas {
            return;
        }
        let (wanted, spec) = (workload.wanted.replicas, workload.spec);
        let (new, old): (Vec<PodOrd>, Vec<PodOrd>) =
            workload.live.iter().copied().partition(|pod| self.pods[pod].template == Some(spec));
        let ready = new.iter().filter(|pod| self.pods[*pod].pod.ready).count() as u64;
        if old.is_empty()
            && let Some(workload) = self.workloads.get_mut(key)
        {
            workload.rolling = false;
        }
        let (new_count, old_count) = (new.len() as u64, old.len() as u64);
        let old_wanted = if old.is_empty() { 0 } else { wanted.saturating_sub(ready) };
        let most = wanted + if old.is_empty() { 0 } else { (wanted * SURGE_PERCENT).div_ceil(100) };
        for _ in new_count..wanted.min(most.saturating_sub(old_count.min(old_wanted))) {
            self.make_sibling(key, None, None);
        }
        for (pods, count, keep) in [(new, new_count, wanted), (old, old_count, old_wanted)] {
            for pod in self.least_wanted(pods, count.saturating_sub(keep)) {
                self.stop_with_own_grace(pod);
            }
        }
    }

    /// The pods that a ReplicaSet gives up first: without a node, then not ready, then the cheapest to remove, then
    /// on the node with most siblings, then the youngest (kube-controller-manager, `ActivePodsWithRanks`).
    fn least_wanted(&self, pods: Vec<PodOrd>, count: u64) -> Vec<PodOrd> {
        if count == 0 {
            return Vec::new();
        }
        let mut siblings: BTreeMap<&str, i64> = BTreeMap::new();
        for node in pods.iter().filter_map(|pod| self.pods[pod].pod.node.as_deref()) {
            *siblings.entry(node).or_default() += 1;
        }
        let mut ranked: Vec<_> = pods
            .iter()
            .map(|ord| {
                let pod = &self.pods[ord].pod;
                let near = pod.node.as_deref().and_then(|node| siblings.get(node)).copied().unwrap_or(0);
                let youngest = std::cmp::Reverse(*ord);
                ((pod.node.is_some(), pod.ready, pod.spec.deletion_cost, -near, youngest), *ord)
            })
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().take(usize::try_from(count).unwrap_or(usize::MAX)).map(|(_, pod)| pod).collect()
    }

    fn reconcile_stateful_set(&mut self, key: &WorkloadKey, order: Order) {
        let workload = &self.workloads[key];
        let wanted = workload.wanted.replicas;
        let beyond: Vec<PodOrd> = workload.ordinals.range(wanted..).map(|(_, pod)| *pod).collect();
        let mut to_make = Vec::new();
        for ordinal in 0..wanted {
            match workload.ordinals.get(&ordinal).map(|pod| &self.pods[pod].pod) {
                None => to_make.push(ordinal),
                Some(pod) if pod.ready && pod.deleting.is_none() => continue,
                Some(_) => {}
            }
            if order == Order::OneByOne {
                break;
            }
        }
        for ordinal in to_make {
            self.make_sibling(key, Some(ordinal), None);
        }
        // The last goes first, and with order the next one only when it is gone.
        let at_once = if order == Order::OneByOne { 1 } else { beyond.len() };
        for pod in beyond.into_iter().rev().take(at_once) {
            self.stop_with_own_grace(pod);
        }
    }

    /// Gives a node that has come or changed the pods of DaemonSets that it lacks.
    pub(super) fn reconcile_daemons_on(&mut self, node: &str) {
        if self.nodes.get(node).is_none_or(|node| node.deleting.is_some()) {
            return;
        }
        for key in self.daemon_sets.clone() {
            let Some(workload) = self.workloads.get(&key) else { continue };
            if !workload.by_node.contains_key(node) && self.scheduler.suits(workload.spec, node) {
                self.make_sibling(&key, None, Some(node.to_owned()));
            }
        }
    }

    fn reconcile_job(&mut self, key: &WorkloadKey, left: u64) {
        let workload = &self.workloads[key];
        let (active, at_once) = (workload.live.len() as u64, workload.wanted.replicas);
        for _ in active..left.min(at_once) {
            self.make_sibling(key, None, None);
        }
        if active > at_once {
            let live = self.workloads[key].live.iter().copied().collect();
            for pod in self.least_wanted(live, active - at_once) {
                self.stop_with_own_grace(pod);
            }
        }
    }

    fn make_sibling(&mut self, key: &WorkloadKey, ordinal: Option<u64>, pinned: Option<String>) {
        let Some(workload) = self.workloads.get(key) else { return };
        let spec = Arc::clone(&workload.wanted.pod);
        let mut volume_claims = workload.wanted.volume_claims.clone();
        let name = match ordinal {
            Some(ordinal) => format!("{}-{ordinal}", key.name),
            None => format!("{}-{}", key.name, five_letters(self.pods_made)),
        };
        let of_set = match &workload.wanted.kind {
            WorkloadKind::StatefulSet { claims, .. } => claims.as_slice(),
            WorkloadKind::Deployment
            | WorkloadKind::DaemonSet
            | WorkloadKind::Job { .. }
            | WorkloadKind::CronJob { .. } => &[],
        };
        let of_set = of_set.iter().map(|template| (format!("{}-{name}", template.name), template));
        let own = workload.wanted.ephemeral_claims.iter();
        let own = own.map(|template| (format!("{name}-{}", template.name), template));
        let to_make: Vec<(String, Option<String>)> =
            of_set.chain(own).map(|(claim, template)| (claim, template.storage_class.clone())).collect();
        for (claim, class) in to_make {
            self.claim_from_template(&spec.namespace, &claim, class.as_deref());
            volume_claims.push(claim);
        }
        self.make_pod(NewPod { name, spec, volume_claims, workload: Some(key.clone()), ordinal, pinned });
    }

    pub(super) fn stop_with_own_grace(&mut self, pod: PodOrd) {
        let grace = self.pods.get(&pod).map(|entry| entry.pod.spec.termination_grace_period);
        if let Some(grace) = grace {
            self.stop_pod(pod, grace);
        }
    }

    /// The workloads whose pods a selector covers, for PodDisruptionBudgets.
    pub(super) fn workloads_like(&self, covers: impl Fn(&PodSpec) -> bool) -> BTreeSet<WorkloadKey> {
        let covered = self.workloads.iter().filter(|(_, workload)| covers(&workload.wanted.pod));
        covered.map(|(key, _)| key.clone()).collect()
    }
}

/// In which order pods of a StatefulSet come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    OneByOne,
    AllAtOnce,
}

/// What the DaemonSet controller adds to every pod (`AddOrUpdateDaemonPodTolerations`): a node that is in trouble
/// keeps its daemons.
fn with_daemon_tolerations(spec: &Arc<PodSpec>) -> Arc<PodSpec> {
    let always = [
        (labels::NOT_READY_TAINT, TaintEffect::NoExecute),
        (labels::UNREACHABLE_TAINT, TaintEffect::NoExecute),
        (labels::NOT_READY_TAINT, TaintEffect::NoSchedule),
        ("node.kubernetes.io/disk-pressure", TaintEffect::NoSchedule),
        ("node.kubernetes.io/memory-pressure", TaintEffect::NoSchedule),
        ("node.kubernetes.io/pid-pressure", TaintEffect::NoSchedule),
        ("node.kubernetes.io/unschedulable", TaintEffect::NoSchedule),
    ];
    let mut spec = PodSpec::clone(spec);
    for (key, effect) in always {
        let toleration = Toleration {
            key: Some(key.to_owned()),
            operator: TolerationOperator::Exists,
            effect: Some(effect),
        };
        if !spec.tolerations.contains(&toleration) {
            spec.tolerations.push(toleration);
        }
    }
    Arc::new(spec)
}
