//! Nodes that are there or on their way.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::event::ObjectKey;
use whittle_core::model::labels;
use whittle_core::model::node::{Node, NodeClaim};
use whittle_core::model::pod::{HostPort, Pod, PodSpec};
use whittle_core::model::requirement::{Operator, Requirement, Taint, TaintEffect};
use whittle_core::model::resources::Resources;
use whittle_core::state::Snapshot;

use super::labels::are_fulfilled;
use super::{Place, are_tolerable, rules};

/// A node that is there or on its way.
pub(super) struct Existing<'a> {
    /// The NodeClaim's name, or the Node's when it has none.
    pub(super) name: &'a str,
    pub(super) node: Option<&'a Node>,
    initialized: bool,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) taints: Vec<Taint>,
    pub(super) free: Resources,
    pub(super) host_ports: Vec<HostPort>,
    /// The PersistentVolumeClaims that its pods mount.
    pub(super) attached: BTreeSet<ObjectKey>,
}

/// All of them, those that are initialized first, then by name.
pub(super) fn existing(snapshot: &Snapshot) -> Vec<Existing<'_>> {
    let staying = snapshot.claims.values().filter(|claim| !snapshot.is_leaving(claim));
    let managed = staying.map(|claim| of_claim(snapshot, claim));
    let others = snapshot.nodes.values().filter(|node| snapshot.claim_of_node(node).is_none());
    let unmanaged = others.map(|node| Existing {
        name: &node.name,
        node: Some(node),
        initialized: true,
        labels: node.labels.clone(),
        taints: node.taints.clone(),
        free: node.allocatable.clone(),
        host_ports: Vec::new(),
        attached: BTreeSet::new(),
    });
    let mut all: Vec<_> = managed.chain(unmanaged).collect();
    for place in &mut all {
        place.load(snapshot);
    }
    all.sort_by_key(|place| (!place.initialized, place.name));
    all
}

fn of_claim<'a>(snapshot: &'a Snapshot, claim: &'a NodeClaim) -> Existing<'a> {
    let instance = claim.instance.as_ref().expect("a node that was launched");
    let node = snapshot.node_of_claim(claim);
    let initialized = claim.initialized.is_some();
    let mut node_labels = node.map(|node| node.labels.clone()).unwrap_or_default();
    if claim.registered.is_none() {
        node_labels.extend(labels_to_come(snapshot, claim));
    }
    let mut taints = node.map(|node| node.taints.clone()).unwrap_or_default();
    if !initialized {
        let starts_with = |taint: &Taint| {
            claim.startup_taints.iter().any(|other| (&other.key, other.effect) == (&taint.key, taint.effect))
        };
        taints.retain(|taint| !is_passing(taint) && !starts_with(taint));
    }
    if claim.registered.is_none() {
        taints.extend(claim.taints.iter().cloned());
    }
    let mut free = node.map(|node| node.allocatable.clone()).unwrap_or_default();
    if !initialized {
        for (name, amount) in
            instance.allocatable.iter().filter(|(name, _)| node.is_none_or(|n| n.allocatable.get(name) == 0))
        {
            free.set(name, amount);
        }
    }
    Existing {
        name: &claim.name,
        node,
        initialized,
        labels: node_labels,
        taints,
        free,
        host_ports: Vec::new(),
        attached: BTreeSet::new(),
    }
}

/// The labels that the node of a NodeClaim will have.
fn labels_to_come(snapshot: &Snapshot, claim: &NodeClaim) -> BTreeMap<String, String> {
    let instance = claim.instance.as_ref().expect("a node that was launched");
    let class = &snapshot.node_classes[&claim.node_class];
    let bought = class.instance_types.iter().find(|known| known.name == instance.instance_type);
    let bought = bought.expect("a type of the catalogue");
    let offering = bought.offerings.iter().find(|offering| offering.zone == instance.zone);
    let decided =
        |requirement: &&Requirement| requirement.operator == Operator::In && requirement.values.len() == 1;
    let mut to_come = BTreeMap::new();
    for requirement in claim.requirements.iter().filter(decided) {
        to_come.insert(requirement.key.clone(), requirement.values[0].clone());
    }
    for (key, values) in bought.labels.iter().filter(|(_, values)| values.len() == 1) {
        to_come.insert(key.clone(), values[0].clone());
    }
    to_come.extend([
        (labels::ZONE.to_owned(), instance.zone.clone()),
        (labels::ZONE_ID.to_owned(), offering.expect("a zone of the catalogue").zone_id.clone()),
        (labels::CAPACITY_TYPE.to_owned(), instance.capacity_type.label().to_owned()),
    ]);
    to_come.extend(claim.labels.clone());
    to_come
}

/// Whether a taint only says that a node is not ready yet.
fn is_passing(taint: &Taint) -> bool {
    match taint.key.as_str() {
        labels::NOT_READY_TAINT | labels::UNREGISTERED_TAINT => true,
        labels::UNREACHABLE_TAINT | labels::UNINITIALIZED_TAINT => taint.effect == TaintEffect::NoSchedule,
        other => other.starts_with(labels::READINESS_TAINT_PREFIX),
    }
}

impl Existing<'_> {
    /// Takes away what is used, and what DaemonSet pods will use that are to come.
    fn load(&mut self, snapshot: &Snapshot) {
        if let Some(node) = self.node {
            self.labels.entry(labels::HOSTNAME.to_owned()).or_insert_with(|| node.name.clone());
            for pod in snapshot.pods_on(&node.name) {
                self.take(&pod.spec);
                self.attached.extend(claims_of(pod));
            }
        }
        for set in snapshot.daemon_sets.values() {
            if runs_on(&set.spec, self) {
                self.take(&set.spec);
            }
        }
    }

    /// Whether the volumes of one more pod can be attached. Nothing is known of a node that has not said so.
    pub(super) fn attaches(&self, snapshot: &Snapshot, pod: &Pod) -> bool {
        let limits = self.node.and_then(|node| snapshot.volume_limits.get(&node.name));
        let driver = |claim: &&ObjectKey| snapshot.volume_claims[*claim].driver.clone();
        limits.into_iter().flatten().all(|(name, limit)| {
            let of_driver = |claims: &BTreeSet<ObjectKey>| {
                claims.iter().filter(|claim| driver(claim).as_ref() == Some(name)).count()
            };
            let before = of_driver(&self.attached);
            let after = of_driver(&self.attached.iter().cloned().chain(claims_of(pod)).collect());
            after == before || after <= *limit as usize
        })
    }

    pub(super) fn take(&mut self, spec: &PodSpec) {
        self.free = self.free.minus(&spec.requests);
        self.host_ports.extend(spec.host_ports.iter().cloned());
    }
}

/// The PersistentVolumeClaims that a pod mounts.
pub(super) fn claims_of(pod: &Pod) -> impl Iterator<Item = ObjectKey> {
    pod.volume_claims.iter().map(|name| (pod.spec.namespace.clone(), name.clone()))
}

fn runs_on(daemon: &PodSpec, node: &Existing<'_>) -> bool {
    let terms = &daemon.node_affinity;
    are_tolerable(&node.taints, &daemon.tolerations)
        && (terms.is_empty() || terms.iter().any(|term| are_fulfilled(term, &node.labels)))
}

/// The domain of a label that a node is in.
pub(super) fn domain(existing: &[Existing<'_>], place: usize, key: &str) -> Option<String> {
    match key {
        labels::HOSTNAME => Some(rules::host(Place::Existing(place))),
        _ => existing[place].labels.get(key).cloned(),
    }
}
