//! What is known about the cluster, kept up to date event by event.
//!
//! ```text
//!  Event ──apply──► Snapshot { objects by name } ──► Index { groups, pods by node, waiting pods }
//! ```
//!
//! `apply` does all work that can be done per event (a pod joins its group, a node's load is summed), so that a
//! decision starts from sums. Nothing here decides.

mod by_uid;
mod cloud;
mod daemons;
mod expected;
pub mod groups;
mod index;
pub mod pods;
pub mod replacing;
pub mod vacancies;
pub mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::disrupt::kinds::is_reschedulable;
use crate::drift::CloudDrift;
use crate::event::{Event, Notice, NoticeKind, ObjectKey};
use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::node::{Node, NodeClaim, VolumeAttachment, VolumeLimits};
use crate::model::node_pool::{DaemonSet, NodeClass, NodePool, PodDisruptionBudget, VolumeClaim};
use crate::model::pod::{Pod, PodSpec};
use crate::model::requirement::Operator;
use crate::model::resources::Resources;
use crate::model::time::{Duration, Timestamp};
use crate::plan::Launch;
use crate::settings::Settings;
use crate::state::daemons::Daemons;
use crate::state::groups::{GroupId, Groups, Known, PodGroup};
use crate::state::index::Index;
use crate::state::pods::Pods;
use crate::state::vacancies::Vacancies;

/// How long an offering that EC2 refused is not asked for again (Karpenter: unavailable offerings cache, 3 min).
pub const UNAVAILABLE_FOR: Duration = Duration::from_secs(180);

/// How long a pod is expected on a node that is ready (Karpenter: twice the longest batch, 20 s).
pub const NOMINATED_FOR: Duration = Duration::from_secs(20);

/// How long a NodeClaim that was asked for is waited for until it is seen (as long as one that is seen and not
/// launched).
pub const ASKED_FOR: Duration = crate::lifecycle::LAUNCH_TIMEOUT;

/// Everything that is known about a cluster at one moment. Decisions read it and never change it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What an operator has set.
    pub settings: Arc<Settings>,
    /// NodePools by name.
    pub node_pools: BTreeMap<String, NodePool>,
    /// EC2NodeClasses by name.
    pub node_classes: BTreeMap<String, NodeClass>,
    /// NodeClaims by name.
    pub claims: BTreeMap<String, NodeClaim>,
    /// NodeClaims that plans have asked for and that have not been seen yet, by name.
    pub asked: BTreeMap<String, NodeClaim>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// Pods by uid.
    pub pods: Pods,
    /// DaemonSets by namespace and name, each as its newest pod looks, or as its template does where it has none.
    pub daemon_sets: BTreeMap<ObjectKey, DaemonSet>,
    /// PodDisruptionBudgets by namespace and name.
    pub disruption_budgets: BTreeMap<ObjectKey, PodDisruptionBudget>,
    /// PersistentVolumeClaims by namespace and name.
    pub volume_claims: BTreeMap<ObjectKey, VolumeClaim>,
    /// How many volumes Nodes can attach, by Node and CSI driver. Where nothing is said there is no limit.
    pub volume_limits: BTreeMap<String, BTreeMap<String, u32>>,
    /// VolumeAttachments by name.
    pub attachments: BTreeMap<String, VolumeAttachment>,
    /// Labels of namespaces.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Notices by NodeClaim: instances that EC2 will take.
    pub notices: BTreeMap<String, Notice>,
    /// In what instances differ from what was found for their EC2NodeClass, by provider id.
    pub cloud_drift: BTreeMap<String, CloudDrift>,
    /// NodeClaims whose replacement this process has begun, and since when. What an earlier one has begun, the NodeClaims
    /// say themselves.
    pub replacing: BTreeMap<String, Timestamp>,
    /// Offerings that EC2 has refused, and until when they are left alone.
    pub unavailable: BTreeMap<OfferingKey, Timestamp>,
    /// NodeClaims for which EC2 had no capacity at all.
    pub refused: BTreeSet<String>,
    /// Where waiting pods are expected: pod uid to NodeClaim (or Node without one), and until when this holds.
    pub nominations: BTreeMap<String, (String, Timestamp)>,
    /// Room that was planned for pods and that they will not use.
    pub vacancies: Vacancies,
    /// Pods on nodes that are on their way out, or waiting, for which the last plan found no place.
    pub homeless: BTreeSet<String>,
    /// NodeClaims whose instance the cloud has ended.
    pub terminated: BTreeSet<String>,
    /// Grows with every event: two snapshots with the same version are the same.
    pub version: u64,
    index: Index,
    groups: Groups,
    daemons: Daemons,
}

/// An offering's identity: instance type, zone, capacity type.
pub type OfferingKey = (String, String, CapacityType);

impl Snapshot {
    /// The pods bound to a node, by uid. Pods that have ended are not among them.
    pub fn pods_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Pod> + use<'a> {
        let uids = self.index.on_node(node).into_iter().flat_map(|load| load.pods.iter());
        uids.filter_map(|uid| self.pods.get(uid))
    }

    /// The groups of the pods bound to a node, with how many there are of each. Pods that are leaving are not
    /// counted.
    pub fn groups_on(&self, node: &str) -> impl Iterator<Item = (GroupId, u32)> + use<'_> {
        let groups = self.index.on_node(node).into_iter().flat_map(|load| load.groups.iter());
        groups.filter(|(_, pods)| pods.staying > 0).map(|(group, pods)| (*group, pods.staying))
    }

    /// The groups of the pods bound to a node, with how many there are of each that stay and that are leaving.
    pub fn all_groups_on(&self, node: &str) -> impl Iterator<Item = (GroupId, u32, u32)> + use<'_> {
        let groups = self.index.on_node(node).into_iter().flat_map(|load| load.groups.iter());
        groups.map(|(group, pods)| (*group, pods.staying, pods.leaving))
    }

    /// What the pods bound to a node look like: one answer for each group, those that are leaving included.
    pub fn kinds_on(&self, node: &str) -> impl Iterator<Item = &PodSpec> + use<'_> {
        let groups = self.index.on_node(node).into_iter().flat_map(|load| load.groups.keys());
        groups.map(|group| &*self.groups.get(*group).spec)
    }

    /// What the pods bound to a node ask for together.
    #[must_use]
    pub fn used_on(&self, node: &str) -> Resources {
        self.index.on_node(node).map(|load| load.requests.clone()).unwrap_or_default()
    }

    /// The PersistentVolumeClaims that pods bound to a node mount, with how many pods mount each.
    pub fn mounted_on<'a>(&'a self, node: &str) -> impl Iterator<Item = (&'a ObjectKey, u32)> + use<'a> {
        let mounts = self.index.on_node(node).into_iter().flat_map(|load| load.mounts.iter());
        mounts.map(|(claim, pods)| (claim, *pods))
    }

    /// The waiting pods, group by group, those that have waited longest first.
    pub fn waiting(&self) -> impl Iterator<Item = (GroupId, impl ExactSizeIterator<Item = &Pod>)> {
        self.index.waiting()
    }

    /// Whether any pod waits for a place.
    #[must_use]
    pub fn is_anything_waiting(&self) -> bool {
        self.index.is_anything_waiting()
    }

    /// What the pods of a group have in common.
    #[must_use]
    pub fn group(&self, group: GroupId) -> &Arc<PodGroup> {
        self.groups.get(group)
    }

    /// The group of a pod.
    #[must_use]
    pub fn group_of(&self, pod_uid: &str) -> Option<GroupId> {
        self.pods.group_of(pod_uid)
    }

    /// The NodeClaim behind an instance.
    #[must_use]
    pub fn claim_of_instance(&self, provider_id: &str) -> Option<&NodeClaim> {
        self.index.claim_of_instance(provider_id).and_then(|name| self.claims.get(name))
    }

    /// The Node behind an instance. Where several say so, it is the one that was made last: an instance that comes back
    /// under another name leaves its old Node behind, and no kubelet speaks for that one any more. Of those that were
    /// made at one time, the last by name.
    #[must_use]
    pub fn node_of_instance(&self, provider_id: &str) -> Option<&Node> {
        let names = self.index.nodes_of_instance(provider_id)?;
        let nodes = names.iter().filter_map(|name| self.nodes.get(name));
        nodes.max_by(|left, right| (left.created, &left.name).cmp(&(right.created, &right.name)))
    }

    /// The Node of a NodeClaim, once it has joined. One that its status names must be of its instance: anybody can write
    /// the name of somebody else's Node there.
    #[must_use]
    pub fn node_of_claim(&self, claim: &NodeClaim) -> Option<&Node> {
        let instance = &claim.instance.as_ref()?.provider_id;
        let named = claim.node.as_ref().and_then(|name| self.nodes.get(name));
        named.filter(|node| node.provider_id == *instance).or_else(|| self.node_of_instance(instance))
    }

    /// The NodeClaim of a Node; `None` for nodes that somebody else manages.
    #[must_use]
    pub fn claim_of_node(&self, node: &Node) -> Option<&NodeClaim> {
        self.claim_of_instance(&node.provider_id)
    }

    /// Whether a NodeClaim is on its way out, so that its pods need another place: it is being deleted or replaced, EC2
    /// takes its instance back or has ended it, or EC2 never had one for it.
    #[must_use]
    pub fn is_leaving(&self, claim: &NodeClaim) -> bool {
        let reclaimed =
            self.notices.get(&claim.name).is_some_and(|notice| notice.kind == NoticeKind::Reclaim);
        let ended = self.refused.contains(&claim.name) || self.terminated.contains(&claim.name);
        claim.deleting.is_some() || reclaimed || ended || self.replaced_since(claim).is_some()
    }

    /// All NodeClaims: those that are there, and those that were asked for and have not been seen yet.
    pub fn claims_and_asked(&self) -> impl Iterator<Item = &NodeClaim> {
        self.claims.values().chain(self.asked.values())
    }

    /// A NodeClaim that is there, or that was asked for and has not been seen yet.
    #[must_use]
    pub fn claim_or_asked(&self, name: &str) -> Option<&NodeClaim> {
        self.claims.get(name).or_else(|| self.asked.get(name))
    }

    /// Whether an offering is thought to be available at `now`.
    #[must_use]
    pub fn is_available(&self, key: &OfferingKey, now: Timestamp) -> bool {
        self.unavailable.get(key).is_none_or(|until| *until <= now)
    }

    /// What the nodes of a pool have together, those on their way included, and how many they are. A node that is
    /// not launched yet counts as the most that it can turn out to have; one that EC2 refused counts no more.
    #[must_use]
    pub fn used_of_pool(&self, node_pool: &str) -> (Resources, u64) {
        self.used_of_pool_besides(node_pool, &BTreeSet::new())
    }

    /// The same without some NodeClaims.
    #[must_use]
    pub fn used_of_pool_besides(&self, node_pool: &str, besides: &BTreeSet<&str>) -> (Resources, u64) {
        let of_pool = |claim: &&NodeClaim| {
            let gone = self.refused.contains(&claim.name) || besides.contains(claim.name.as_str());
            claim.node_pool == node_pool && !gone
        };
        self.claims_and_asked().filter(of_pool).fold((Resources::default(), 0), |(used, nodes), claim| {
            let node = self.node_of_claim(claim).map(|node| &node.capacity).filter(|c| !c.is_zero());
            let capacity = node.or(claim.instance.as_ref().map(|instance| &instance.capacity));
            let used = match capacity {
                Some(capacity) => used.plus(capacity),
                None => used.plus(&self.largest_of(claim)),
            };
            (used, nodes + 1)
        })
    }

    /// The largest capacity of each resource among the instance types that a NodeClaim may still become.
    fn largest_of(&self, claim: &NodeClaim) -> Resources {
        let listed = claim.requirements.iter().find(|requirement| {
            requirement.key == labels::INSTANCE_TYPE && requirement.operator == Operator::In
        });
        let class = self.node_classes.get(&claim.node_class);
        let types = class.into_iter().flat_map(|class| class.instance_types.iter());
        let may_be = types.filter(|it| listed.is_some_and(|listed| listed.values.contains(&it.name)));
        may_be.fold(Resources::default(), |largest, it| Resources::max(&largest, &it.capacity))
    }
}

/// The state of the cluster: a snapshot that events change.
///
/// The snapshot is shared, not copied: it is copied only when an event arrives while somebody still reads the
/// last one.
#[derive(Clone, Debug, Default)]
pub struct ClusterState {
    snapshot: Arc<Snapshot>,
}

impl ClusterState {
    /// Nothing is known yet but what the operator has set.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let snapshot = Snapshot { settings: Arc::new(settings), ..Snapshot::default() };
        Self { snapshot: Arc::new(snapshot) }
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What is known now, to be kept while events go on arriving.
    #[must_use]
    pub fn shared(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// Changes what is known by something that no event says.
    fn change(&mut self, change: impl FnOnce(&mut Snapshot)) {
        let snapshot = Arc::make_mut(&mut self.snapshot);
        snapshot.version += 1;
        change(snapshot);
    }

    /// Takes a change in. `now` is the time at which it arrived.
    pub fn apply(&mut self, event: Event, now: Timestamp) {
        Arc::make_mut(&mut self.snapshot).apply(event, now);
    }
}

/// The NodeClaim that a launch makes.
#[must_use]
pub fn claim_for(launch: &Launch, now: Timestamp) -> NodeClaim {
    NodeClaim {
        name: launch.claim.clone(),
        node_pool: launch.node_pool.clone(),
        node_class: launch.node_class.clone(),
        labels: BTreeMap::clone(&launch.labels),
        requirements: launch.requirements.to_vec(),
        min_values_relaxed: launch.min_values_relaxed,
        taints: launch.taints.clone(),
        startup_taints: launch.startup_taints.clone(),
        requests: launch.requests.clone(),
        instance: None,
        node: None,
        created: now,
        registered: None,
        initialized: None,
        last_pod_event: None,
        deleting: None,
        expire_after: launch.expire_after,
        termination_grace_period: launch.termination_grace_period,
        do_not_disrupt: false,
        made_from: launch.made_from.clone(),
        drifted: None,
        disrupted: None,
        terminate_by: None,
    }
}

impl Snapshot {
    fn apply(&mut self, event: Event, now: Timestamp) {
        self.version += 1;
        match event {
            Event::NodePool(pool) => drop(self.node_pools.insert(pool.name.clone(), *pool)),
            Event::NodePoolGone(name) => drop(self.node_pools.remove(&name)),
            Event::NodeClass(class) => drop(self.node_classes.insert(class.name.clone(), class)),
            Event::NodeClassGone(name) => drop(self.node_classes.remove(&name)),
            Event::NodeClaim(claim) => self.put_claim(*claim, now),
            Event::NodeClaimGone(name) => self.remove_claim(&name),
            Event::Node(node) => self.put_node(*node),
            Event::NodeGone(name) => self.remove_node(&name),
            Event::VolumeLimits(VolumeLimits { node, drivers }) => {
                self.volume_limits.insert(node, drivers);
            }
            Event::VolumeLimitsGone(node) => drop(self.volume_limits.remove(&node)),
            Event::VolumeAttachment(one) => drop(self.attachments.insert(one.name.clone(), one)),
            Event::VolumeAttachmentGone(name) => drop(self.attachments.remove(&name)),
            Event::Pod(pod) => self.put_pod(pod, now),
            Event::PodGone(uid) => self.remove_pod(&uid, now),
            Event::DaemonSet(set) => self.put_daemon_set(set),
            Event::DaemonSetGone(key) => self.remove_daemon_set(&key),
            Event::PodDisruptionBudget(budget) => {
                let key = (budget.namespace.clone(), budget.name.clone());
                self.disruption_budgets.insert(key, budget);
            }
            Event::PodDisruptionBudgetGone(key) => drop(self.disruption_budgets.remove(&key)),
            Event::VolumeClaim(claim) => {
                let key = (claim.namespace.clone(), claim.name.clone());
                self.volume_claims.insert(key.clone(), claim);
                self.regroup(&key);
            }
            Event::VolumeClaimGone(key) => {
                self.volume_claims.remove(&key);
                self.regroup(&key);
            }
            Event::Namespace(name, labels) => drop(self.namespaces.insert(name, labels)),
            Event::Notice(notice) => self.put_notice(notice),
            Event::InstanceDrift { provider_id, found } => self.put_instance_drift(provider_id, found),
            Event::Outcome(outcome) => self.put_outcome(outcome),
        }
    }

    fn put_claim(&mut self, mut claim: NodeClaim, now: Timestamp) {
        self.asked.remove(&claim.name);
        if let Some(known) = self.claims.get(&claim.name) {
            // What this process has seen is at least as new as what it has read back.
            claim.last_pod_event = claim.last_pod_event.max(known.last_pod_event);
            claim.instance = claim.instance.or_else(|| known.instance.clone());
            if claim.initialized.is_some() && known.initialized.is_none() {
                self.end_expectations(&claim.name, now);
            }
        }
        if let Some(instance) = &claim.instance {
            self.index.put_claim_instance(&instance.provider_id, &claim.name);
            self.vacancies.remove(&claim.name);
        }
        let name = self.node_of_claim(&claim).map(|node| node.name.clone());
        let is_new = self.claims.insert(claim.name.clone(), claim).is_none();
        self.touch_by_residents(name.filter(|_| is_new));
    }

    fn remove_claim(&mut self, name: &str) {
        self.asked.remove(name);
        let instance = self.claims.remove(name).and_then(|claim| claim.instance);
        if let Some(instance) = instance {
            let id = &instance.provider_id;
            self.index.remove_claim_instance(id, name);
            self.cloud_drift.remove(id);
            // Somebody has copied a NodeClaim: the instance is that of the other one.
            let is_its =
                |claim: &&NodeClaim| claim.instance.as_ref().is_some_and(|other| other.provider_id == *id);
            if self.index.claim_of_instance(id).is_none()
                && let Some(other) = self.claims.values().find(is_its)
            {
                self.index.put_claim_instance(id, &other.name);
            }
        }
        self.replacing.remove(name);
        self.notices.remove(name);
        self.refused.remove(name);
        self.terminated.remove(name);
        self.nominations.retain(|_, (node, _)| node != name);
        self.vacancies.remove(name);
    }

    fn put_node(&mut self, node: Node) {
        let name = node.name.clone();
        if let Some(known) = self.nodes.get(&name).filter(|known| known.provider_id != node.provider_id) {
            self.index.remove_node_instance(&known.provider_id, &name);
        }
        self.index.put_node_instance(&node.provider_id, &name);
        let is_new = self.nodes.insert(name.clone(), node).is_none();
        self.touch_by_residents(Some(name).filter(|_| is_new));
    }

    /// A node or its NodeClaim has become known later than pods on it: they have not come just now.
    fn touch_by_residents(&mut self, node: Option<String>) {
        let Some(node) = node else { return };
        let own = self.pods_on(&node).filter(|pod| !pod.belongs_to_node());
        if let Some(last) = own.filter_map(|pod| pod.started).max() {
            self.touch_claim_of(Some(&node), last);
        }
    }

    fn remove_node(&mut self, name: &str) {
        if let Some(node) = self.nodes.remove(name) {
            self.index.remove_node_instance(&node.provider_id, name);
        }
        self.nominations.retain(|_, (node, _)| node != name);
    }

    fn put_pod(&mut self, pod: Arc<Pod>, now: Timestamp) {
        let known = self.pods.get(&pod.uid);
        let bound = pod.node.is_some() && known.is_none_or(|known| known.node != pod.node);
        let ended = pod.phase.is_terminal() && known.is_some_and(|known| !known.phase.is_terminal());
        let leaving = pod.deleting.is_some() && known.is_some_and(|known| known.deleting.is_none());
        // A pod that is seen for the first time may have come long ago.
        let at = if known.is_none() { pod.started.map_or(now, |started| started.min(now)) } else { now };
        if bound || !is_reschedulable(&pod) {
            self.vacate(&pod.uid);
        }
        if (bound || ended || leaving) && !pod.belongs_to_node() {
            self.touch_claim_of(pod.node.as_deref(), at);
        }
        let shared = self.index.mount(&pod);
        let pod = self.put_in_group(pod);
        self.put_daemon_pod(&pod);
        shared.iter().for_each(|claim| self.regroup(claim));
    }

    /// Keeps a pod with the group that it belongs to now, in place of what was known of it.
    fn put_in_group(&mut self, mut pod: Arc<Pod>) -> Arc<Pod> {
        let group = self.group_for(&pod);
        if let Some((known, before)) = self.pods.remove(&pod.uid) {
            self.index.take_out(&known, before);
        }
        let spec = &self.groups.get(group).spec;
        if !Arc::ptr_eq(&pod.spec, spec) {
            Arc::make_mut(&mut pod).spec = Arc::clone(spec);
        }
        self.index.put_pod(&pod, group);
        self.pods.insert(Arc::clone(&pod), group);
        pod
    }

    /// The group that a pod belongs to as things are now.
    fn group_for(&mut self, pod: &Pod) -> GroupId {
        let Self { groups, index, volume_claims, settings, .. } = self;
        let known = Known {
            claims: volume_claims,
            is_shared: &|claim| index.is_shared(claim),
            default_spread: &settings.default_spread,
        };
        groups.intern(pod, &known)
    }

    fn remove_pod(&mut self, uid: &str, now: Timestamp) {
        self.vacate(uid);
        let Some((pod, group)) = self.pods.remove(uid) else { return };
        self.index.take_out(&pod, group);
        let alone = self.index.unmount(&pod);
        self.remove_daemon_pod(&pod);
        alone.iter().for_each(|claim| self.regroup(claim));
        let left_unannounced = pod.deleting.is_none() && !pod.phase.is_terminal();
        if left_unannounced && !pod.belongs_to_node() {
            self.touch_claim_of(pod.node.as_deref(), now);
        }
    }

    /// A pod came to or left a node: the node's quiet time starts anew.
    fn touch_claim_of(&mut self, node: Option<&str>, now: Timestamp) {
        let claim = node
            .and_then(|name| self.nodes.get(name))
            .and_then(|node| self.index.claim_of_instance(&node.provider_id))
            .and_then(|name| self.claims.get_mut(name));
        if let Some(claim) = claim {
            claim.last_pod_event = claim.last_pod_event.max(Some(now));
        }
    }

    /// A volume has changed, or who mounts it: the pods that mount it may belong to another group now.
    fn regroup(&mut self, claim: &ObjectKey) {
        for uid in self.index.mounting(claim) {
            if let Some(pod) = self.pods.shared(&uid) {
                self.put_in_group(pod);
            }
        }
    }
}

#[cfg(test)]
mod tests;
