//! Pods: made, bound, started, ended, asked to stop, gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use whittle_core::event::{Event, ObjectKey};
use whittle_core::model::pod::{Pod, PodPhase, PodSpec};
use whittle_core::model::time::Duration;

use super::budgets::Refused;
use super::{Happening, World};
use crate::input::WorkloadKey;
use crate::journal::EntryKind;
use crate::meter::NO_POOL;
use crate::scheduler::rules::SpecOrd;
use crate::scheduler::{Leaving, PodOrd, Waiting};

/// How long the object of a pod that has ended stays to be seen.
const ENDED_POD_KEPT: Duration = Duration::from_secs(60);

/// A pod and what the world knows about it beside the object.
#[derive(Clone, Debug)]
pub(crate) struct PodEntry {
    pub(crate) pod: Pod,
    pub(crate) spec: SpecOrd,
    /// The template of its workload that it counts for, whatever has been added to its own spec since.
    pub(crate) template: Option<SpecOrd>,
    pub(crate) workload: Option<WorkloadKey>,
    /// Its number among the pods of a StatefulSet.
    pub(crate) ordinal: Option<u64>,
    /// The one node that it is for.
    pub(crate) pinned: Option<String>,
    /// Whether it holds room on a node.
    pub(crate) placed: bool,
}

/// A pod that is about to be made.
pub(super) struct NewPod {
    pub(super) name: String,
    pub(super) spec: Arc<PodSpec>,
    pub(super) volume_claims: Vec<String>,
    pub(super) workload: Option<WorkloadKey>,
    pub(super) ordinal: Option<u64>,
    pub(super) pinned: Option<String>,
}

/// How a pod comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It stopped as it was asked to, or had ended before.
    Stopped,
    /// Its node is gone.
    Lost,
}

impl World {
    /// Makes a pod, which waits for a node.
    pub(super) fn make_pod(&mut self, new: NewPod) -> PodOrd {
        self.pods_made += 1;
        let pod = Pod {
            uid: format!("pod-{:06}", self.pods_made),
            name: new.name,
            spec: new.spec,
            volume_claims: new.volume_claims,
            node: None,
            unschedulable: false,
            nominated_node: None,
            phase: PodPhase::Pending,
            ready: false,
            created: self.now,
            started: None,
            deleting: None,
            stops_within: None,
        };
        self.put_new(pod, new.workload, new.ordinal, new.pinned)
    }

    /// Takes in a pod that is there from the start.
    pub(super) fn take_in_pod(&mut self, pod: Pod) {
        self.pods_made += 1;
        let workload = pod.spec.owner.as_ref().map(|owner| WorkloadKey {
            kind: owner.kind.clone(),
            namespace: pod.spec.namespace.clone(),
            name: owner.name.clone(),
        });
        let workload = workload.filter(|key| self.workloads.contains_key(key));
        let ordinal = pod.name.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse().ok());
        let is_daemon = pod.belongs_to_node();
        let pinned = pod.node.clone().filter(|_| is_daemon);
        let ord = self.put_new(pod, workload, ordinal, pinned);
        self.go_on(ord);
    }

    /// A pod that is there from the start goes on where it was: one that has a node starts, and one of a Job that
    /// runs comes to its end.
    fn go_on(&mut self, ord: PodOrd) {
        let entry = &self.pods[&ord];
        if entry.pod.node.is_none() || entry.pod.deleting.is_some() {
            return;
        }
        match entry.pod.phase {
            PodPhase::Pending => self.enter_after(self.setup.timings.pod_start, Happening::PodStarts(ord)),
            PodPhase::Running => {
                let run = entry.workload.as_ref().and_then(|key| self.run_time(key));
                let ran = entry.pod.started.map_or(Duration::ZERO, |started| self.now.since(started));
                if let Some(run) = run {
                    self.enter_after(run.saturating_sub(ran), Happening::PodEnds(ord));
                }
            }
            PodPhase::Succeeded | PodPhase::Failed => {}
        }
    }

    fn put_new(
        &mut self,
        pod: Pod,
        workload: Option<WorkloadKey>,
        ordinal: Option<u64>,
        pinned: Option<String>,
    ) -> PodOrd {
        let ord = self.pods_made;
        let spec = self.scheduler.spec(&pod.spec, &self.namespaces);
        let (template, placed) = (None, false);
        let entry = PodEntry { spec, template, workload: workload.clone(), ordinal, pinned, placed, pod };
        self.uids.insert(entry.pod.uid.clone(), ord);
        self.budget_gains(spec, &entry.pod);
        let node = entry.pod.node.clone();
        let (phase, deleting) = (entry.pod.phase, entry.pod.deleting);
        self.pods.insert(ord, entry);
        if let Some(key) = workload {
            self.adopt(&key, ord);
        }
        match node {
            Some(node) if !phase.is_terminal() => self.hold_room(ord, &node),
            Some(_) => {}
            None if deleting.is_none() && !phase.is_terminal() => self.wait_for_node(ord),
            None => {}
        }
        if deleting.is_some() {
            self.enter_after(self.setup.timings.pod_stop_max, Happening::PodStopped(ord));
        }
        self.publish_pod(ord);
        ord
    }

    fn wait_for_node(&mut self, ord: PodOrd) {
        let entry = &self.pods[&ord];
        if !entry.pod.belongs_to_node() {
            self.waiting.insert(ord);
        }
        let volumes = claims_of(&entry.pod);
        let waiting = Waiting { pod: ord, spec: entry.spec, volumes, pinned: entry.pinned.clone() };
        self.scheduler.wait(waiting);
    }

    /// A pod takes its room on a node that the scheduler has not been told about.
    fn hold_room(&mut self, ord: PodOrd, node: &str) {
        let spec = self.pods[&ord].spec;
        self.scheduler.place(spec, node);
        self.scheduler.attach(&claims_of(&self.pods[&ord].pod), node);
        self.count_on_node(ord, node);
    }

    fn count_on_node(&mut self, ord: PodOrd, node: &str) {
        self.on_node.entry(node.to_owned()).or_default().insert(ord);
        let pool = self.pool_of_node(node);
        let Some(entry) = self.pods.get_mut(&ord) else { return };
        entry.placed = true;
        self.meters.pool(&pool).requested.add(&entry.pod.spec.requests);
    }

    /// The scheduler has found a node.
    pub(super) fn bind(&mut self, ord: PodOrd, node: &str) {
        self.count_on_node(ord, node);
        let pool = self.pool_of_node(node);
        let start = self
            .chances
            .pods
            .jittered(self.setup.timings.pod_start.millis(), self.setup.timings.jitter_percent);
        let now = self.now;
        let Some(entry) = self.pods.get_mut(&ord) else { return };
        entry.pod.node = Some(node.to_owned());
        entry.pod.unschedulable = false;
        self.waiting.remove(&ord);
        if !entry.pod.belongs_to_node() {
            self.journal.pod_placed(&pool, now.since(entry.pod.created));
        }
        for key in claims_of(&self.pods[&ord].pod) {
            self.bind_volume(&key, node);
        }
        self.enter_after(Duration::from_millis(start), Happening::PodStarts(ord));
        self.publish_pod(ord);
    }

    /// No node will do for now.
    pub(super) fn mark_unschedulable(&mut self, ord: PodOrd) {
        let Some(entry) = self.pods.get_mut(&ord) else { return };
        entry.pod.unschedulable = true;
        self.publish_pod(ord);
    }

    pub(super) fn pod_starts(&mut self, ord: PodOrd) {
        let now = self.now;
        let Some(entry) = self.pods.get_mut(&ord) else { return };
        if entry.pod.deleting.is_some() || entry.pod.phase != PodPhase::Pending {
            return;
        }
        let before = entry.pod.clone();
        (entry.pod.phase, entry.pod.ready, entry.pod.started) = (PodPhase::Running, true, Some(now));
        let (spec, after) = (entry.spec, entry.pod.clone());
        self.budget_changes(spec, &before, &after);
        self.publish_pod(ord);
        let Some(key) = self.pods[&ord].workload.clone() else { return };
        if let Some(run) = self.run_time(&key) {
            self.enter_after(run, Happening::PodEnds(ord));
        }
        if self.waits_for_ready(&key) {
            self.to_reconcile.insert(key);
        }
    }

    /// A pod of a Job has done its work.
    pub(super) fn pod_ends(&mut self, ord: PodOrd) {
        let Some(entry) = self.pods.get_mut(&ord) else { return };
        if entry.pod.deleting.is_some() || entry.pod.phase.is_terminal() {
            return;
        }
        let before = entry.pod.clone();
        (entry.pod.phase, entry.pod.ready) = (PodPhase::Succeeded, false);
        let (spec, after) = (entry.spec, entry.pod.clone());
        let workload = entry.workload.clone();
        self.budget_changes(spec, &before, &after);
        self.free_room(ord, Leaving::AtOnce);
        self.publish_pod(ord);
        self.enter_after(ENDED_POD_KEPT, Happening::PodForgotten(ord));
        if let Some(key) = workload {
            self.pod_succeeded(&key, ord);
        }
    }

    /// Asks a pod to stop, in at most `grace`.
    pub(super) fn stop_pod(&mut self, ord: PodOrd, grace: Duration) {
        let now = self.now;
        let Some(entry) = self.pods.get_mut(&ord) else { return };
        if let Some(by) = entry.pod.stops_by() {
            // It is to stop earlier than it was told.
            if now + grace < by {
                let asked = entry.pod.deleting.unwrap_or(now);
                entry.pod.stops_within = Some((now + grace).since(asked));
                self.publish_pod(ord);
                self.enter_after(grace, Happening::PodStopped(ord));
            }
            return;
        }
        let before = entry.pod.clone();
        entry.pod.deleting = Some(now);
        entry.pod.stops_within = Some(grace);
        let after = entry.pod.clone();
        let (spec, workload) = (entry.spec, entry.workload.clone());
        self.budget_changes(spec, &before, &after);
        self.publish_pod(ord);
        if let Some(key) = workload {
            self.pod_leaves(&key, ord);
        }
        let Some(node) = &before.node else {
            return self.remove_pod(ord, End::Stopped);
        };
        if self.pods[&ord].placed {
            self.scheduler.begin_stopping(spec, node);
        }
        let needs = self
            .chances
            .pods
            .jittered(self.setup.timings.pod_stop_max.millis(), self.setup.timings.jitter_percent);
        let stop = Duration::from_millis(needs.min(grace.millis()));
        self.enter_after(stop, Happening::PodStopped(ord));
    }

    /// Evicts a pod, if its budgets allow it.
    pub(super) fn evict(&mut self, ord: PodOrd) -> Result<(), Refused> {
        let Some(entry) = self.pods.get(&ord) else { return Ok(()) };
        if entry.pod.deleting.is_some() || entry.pod.phase.is_terminal() {
            return Ok(());
        }
        self.ask_budgets(&entry.pod)?;
        self.stop_with_own_grace(ord);
        Ok(())
    }

    /// The pod's object is gone.
    pub(super) fn remove_pod(&mut self, ord: PodOrd, end: End) {
        let Some(entry) = self.pods.get(&ord) else { return };
        let was_leaving = entry.pod.deleting.is_some();
        self.free_room(ord, if was_leaving { Leaving::Stopped } else { Leaving::AtOnce });
        let Some(entry) = self.pods.remove(&ord) else { return };
        self.scheduler.forget(ord);
        self.waiting.remove(&ord);
        self.uids.remove(&entry.pod.uid);
        self.budget_loses(entry.spec, &entry.pod);
        let is_lost = end == End::Lost && !was_leaving && !entry.pod.phase.is_terminal();
        if is_lost && !entry.pod.belongs_to_node() && entry.pod.started.is_some() {
            let text = format!("pod {} was running on an instance that is gone", entry.pod.full_name());
            self.journal.interrupted(self.now, entry.pod.full_name(), text);
        }
        if let Some(key) = &entry.workload {
            self.pod_gone(key, ord, &entry);
        }
        self.outbox.push(Event::PodGone(entry.pod.uid));
    }

    /// The pod holds no room any more.
    fn free_room(&mut self, ord: PodOrd, how: Leaving) {
        let Some(entry) = self.pods.get_mut(&ord) else { return };
        let Some(node) = entry.pod.node.clone().filter(|_| entry.placed) else { return };
        entry.placed = false;
        let (spec, requests) = (entry.spec, entry.pod.spec.requests.clone());
        let claims = claims_of(&entry.pod);
        self.scheduler.detach(&claims, &node);
        self.scheduler.release(spec, &node, how);
        let pool = self.pool_of_node(&node);
        self.meters.pool(&pool).requested.take(&requests);
        if let Some(there) = self.on_node.get_mut(&node) {
            there.remove(&ord);
            if there.is_empty() {
                self.on_node.remove(&node);
            }
        }
    }

    pub(super) fn publish_pod(&mut self, ord: PodOrd) {
        if let Some(entry) = self.pods.get(&ord) {
            self.outbox.push(Event::Pod(Arc::new(entry.pod.clone())));
        }
    }

    /// The NodePool whose label a node carries.
    pub(super) fn pool_of_node(&self, node: &str) -> String {
        let label =
            self.nodes.get(node).and_then(|node| node.labels.get(whittle_core::model::labels::NODE_POOL));
        label.map_or_else(|| NO_POOL.to_owned(), Clone::clone)
    }

    /// The pod with this uid.
    pub(super) fn find_pod(&self, uid: &str) -> Option<PodOrd> {
        self.uids.get(uid).copied()
    }

    /// How many pods wait for a node, those of DaemonSets aside.
    pub(crate) fn waiting_pods(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Whether the pod with this uid waits for a node.
    pub(crate) fn is_waiting(&self, uid: &str) -> bool {
        self.find_pod(uid).is_some_and(|ord| self.waiting.contains(&ord))
    }

    /// The pod with this uid.
    pub(crate) fn pod_by_uid(&self, uid: &str) -> Option<&Pod> {
        self.pods.get(&self.find_pod(uid)?).map(|entry| &entry.pod)
    }

    pub(crate) fn pod_named(&self, namespace: &str, name: &str) -> Option<&Pod> {
        let named = |pod: &&Pod| pod.name == name && pod.spec.namespace == namespace;
        self.pods.values().map(|entry| &entry.pod).find(named)
    }

    /// `namespace/name` of the workload that makes a pod.
    pub(crate) fn workload_of(&self, uid: &str) -> Option<String> {
        let spec = &self.pod_by_uid(uid)?.spec;
        spec.owner.as_ref().map(|owner| format!("{}/{}", spec.namespace, owner.name))
    }

    /// Pods that the scheduler has put on a node and that have not started yet, DaemonSets aside, by node.
    pub(crate) fn newly_bound(&self) -> BTreeMap<String, Vec<String>> {
        let mut bound: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for PodEntry { pod, .. } in self.pods.values() {
            if let (Some(node), PodPhase::Pending, false) = (&pod.node, pod.phase, pod.belongs_to_node()) {
                bound.entry(node.clone()).or_default().push(pod.full_name());
            }
        }
        bound
    }

    /// How many instances have been launched.
    pub(crate) fn launches(&self) -> u64 {
        self.machines_made
    }

    /// A line of the timeline.
    pub(crate) fn note(&mut self, kind: EntryKind, pool: Option<&str>, object: &str, text: String) {
        self.journal.note(self.now, kind, pool, object, text);
    }
}

/// The claims that a pod mounts.
fn claims_of(pod: &Pod) -> Vec<ObjectKey> {
    pod.volume_claims.iter().map(|name| (pod.spec.namespace.clone(), name.clone())).collect()
}
