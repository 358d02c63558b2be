//! Nodes that are there or on their way, as places for pods.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::labels;
use crate::model::node::{Node, NodeClaim};
use crate::model::node_pool::NodeClass;
use crate::model::pod::{HostPort, PodSpec};
use crate::model::requirement::{Operator, Requirement, Taint, TaintEffect, untolerated};
use crate::model::resources::Resources;
use crate::provision::amounts::{self, Amounts, Axes};
use crate::provision::intern::{Interner, Sym};
use crate::provision::requirements::{ByKey, Values};
use crate::provision::template::alternatives_without_hostname;
use crate::state::Snapshot;

/// A node that is there or on its way.
#[derive(Clone, Debug)]
pub(crate) struct Existing {
    /// The NodeClaim's name, or the Node's when it has none.
    pub(crate) name: String,
    /// The Node's name, once it has joined.
    pub(crate) node: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
    /// What pods may still take.
    pub(crate) free: Amounts,
    pub(crate) host_ports: Vec<HostPort>,
    pub(crate) initialized: bool,
    /// Whether there is an instance. Before, what the node will be is not known: it counts as a domain with the
    /// pods that are expected on it, and has no room for others.
    pub(crate) launched: bool,
}

impl Existing {
    /// Whether pods with these requirements may run here. Labels of a node are final: what is absent stays so.
    pub(crate) fn fulfils(&self, wanted: &ByKey, interner: &Interner) -> bool {
        wanted.iter().all(|(key, values)| match self.labels.get(interner.text(*key)) {
            None => values.admits_absence(),
            Some(value) => admits(values, value, interner),
        })
    }

    /// The value of a label, as far as it is known to anybody.
    pub(crate) fn value(&self, key: &str, interner: &Interner) -> Option<Sym> {
        self.labels.get(key).and_then(|value| interner.find(value))
    }
}

/// Whether a value is allowed that may never have been seen.
fn admits(values: &Values, value: &str, interner: &Interner) -> bool {
    match interner.find(value) {
        Some(value) => values.admits(value, interner),
        None => values.admits_unseen(value.parse().ok()),
    }
}

/// All places for pods: initialized nodes first, then by name, as Karpenter tries them.
pub(crate) fn existing_nodes(snapshot: &Snapshot, axes: &mut Axes) -> Vec<Existing> {
    let claimed = snapshot.claims_and_asked().filter_map(|claim| of_claim(snapshot, claim, axes));
    let mut nodes: Vec<_> = claimed.collect();
    let unmanaged = snapshot.nodes.values().filter(|node| snapshot.claim_of_node(node).is_none());
    nodes.extend(unmanaged.filter(|node| is_usable(node)).map(|node| {
        let used = snapshot.used_on(&node.name);
        let place = Place { node: Some(node), labels: &node.labels, taints: &node.taints };
        finish(snapshot, place, (&node.name, true), &node.allocatable.minus(&used), axes)
    }));
    nodes.sort_by(|left, right| (!left.initialized, &left.name).cmp(&(!right.initialized, &right.name)));
    nodes
}

fn is_usable(node: &Node) -> bool {
    node.deleting.is_none() && !node.taints.iter().any(|taint| taint.key == labels::DISRUPTED_TAINT)
}

struct Place<'a> {
    node: Option<&'a Node>,
    labels: &'a BTreeMap<String, String>,
    taints: &'a [Taint],
}

fn of_claim(snapshot: &Snapshot, claim: &NodeClaim, axes: &mut Axes) -> Option<Existing> {
    if snapshot.is_leaving(claim) {
        return None;
    }
    let initialized = claim.initialized.is_some();
    let expected = labels_of_claim(claim, snapshot.node_classes.get(&claim.node_class));
    let Some(instance) = &claim.instance else {
        let place = Place { node: None, labels: &expected, taints: &claim.taints };
        let nothing = Resources::default();
        let existing = finish(snapshot, place, (&claim.name, false), &nothing, axes);
        return Some(Existing { launched: false, ..existing });
    };
    let Some(node) = snapshot.node_of_claim(claim) else {
        let place = Place { node: None, labels: &expected, taints: &claim.taints };
        return Some(finish(snapshot, place, (&claim.name, false), &instance.allocatable, axes));
    };
    if !is_usable(node) {
        return None;
    }
    let mut labels = node.labels.clone();
    if claim.registered.is_none() {
        labels.extend(expected);
    }
    let taints = if initialized { node.taints.clone() } else { lasting_taints(claim, node) };
    let mut allocatable = node.allocatable.clone();
    if !initialized {
        // A device plugin reports its devices late: until then the instance type's own figures stand.
        for (name, amount) in instance.allocatable.iter().filter(|(name, _)| node.allocatable.get(name) == 0)
        {
            allocatable.set(name, amount);
        }
    }
    let free = allocatable.minus(&snapshot.used_on(&node.name));
    let place = Place { node: Some(node), labels: &labels, taints: &taints };
    Some(finish(snapshot, place, (&claim.name, initialized), &free, axes))
}

/// The labels that the node of a claim will have.
fn labels_of_claim(claim: &NodeClaim, class: Option<&NodeClass>) -> BTreeMap<String, String> {
    let mut node_labels = BTreeMap::new();
    if let Some(instance) = &claim.instance {
        let types = class.into_iter().flat_map(|class| class.instance_types.iter());
        if let Some(instance_type) = types.into_iter().find(|it| it.name == instance.instance_type) {
            let single = instance_type.labels.iter().filter(|(_, values)| values.len() == 1);
            node_labels.extend(single.map(|(key, values)| (key.clone(), values[0].clone())));
            let mut offerings = instance_type.offerings.iter();
            let zone = offerings.find(|offering| offering.zone == instance.zone);
            node_labels.extend(zone.map(|offering| (labels::ZONE_ID.to_owned(), offering.zone_id.clone())));
        }
        for (key, value) in [
            (labels::INSTANCE_TYPE, instance.instance_type.as_str()),
            (labels::ZONE, instance.zone.as_str()),
            (labels::CAPACITY_TYPE, instance.capacity_type.label()),
        ] {
            node_labels.insert(key.to_owned(), value.to_owned());
        }
    }
    let decided = claim.requirements.iter().filter(|r| r.operator == Operator::In && r.values.len() == 1);
    for requirement in decided {
        node_labels.entry(requirement.key.clone()).or_insert_with(|| requirement.values[0].clone());
    }
    node_labels.extend(claim.labels.clone());
    node_labels
}

/// The taints that an uninitialized node will keep: those that only mark it as not ready yet, and its startup
/// taints, go away by themselves.
fn lasting_taints(claim: &NodeClaim, node: &Node) -> Vec<Taint> {
    let registered = claim.registered.is_some();
    let declared = claim.taints.iter().filter(|_| !registered);
    let passing = |taint: &&Taint| {
        is_ephemeral(taint)
            || claim.startup_taints.iter().any(|s| s.key == taint.key && s.effect == taint.effect)
    };
    node.taints.iter().filter(|taint| !passing(taint)).chain(declared).cloned().collect()
}

/// Whether a taint only marks a node as not ready yet (spec: known ephemeral taints).
#[must_use]
pub(crate) fn is_ephemeral(taint: &Taint) -> bool {
    let no_schedule = taint.effect == TaintEffect::NoSchedule;
    match taint.key.as_str() {
        labels::NOT_READY_TAINT => true,
        labels::UNREACHABLE_TAINT | labels::UNINITIALIZED_TAINT => no_schedule,
        labels::UNREGISTERED_TAINT => true,
        key => key.starts_with(labels::READINESS_TAINT_PREFIX),
    }
}

fn finish(
    snapshot: &Snapshot,
    place: Place<'_>,
    (name, initialized): (&str, bool),
    free: &Resources,
    axes: &mut Axes,
) -> Existing {
    let node = place.node.map(|node| node.name.clone());
    let mut existing = Existing {
        name: name.to_owned(),
        labels: place.labels.clone(),
        taints: place.taints.to_vec(),
        free: axes.row(free),
        host_ports: Vec::new(),
        initialized,
        launched: true,
        node,
    };
    if let Some(node) = &existing.node {
        existing.labels.entry(labels::HOSTNAME.to_owned()).or_insert_with(|| node.clone());
        for pod in snapshot.pods_on(node) {
            existing.host_ports.extend(pod.spec.host_ports.iter().cloned());
        }
    }
    reserve_for_daemons(snapshot, &mut existing, axes);
    existing
}

/// DaemonSet pods that will run here and do not yet: their share is not for others.
fn reserve_for_daemons(snapshot: &Snapshot, existing: &mut Existing, axes: &mut Axes) {
    let running: BTreeSet<(&str, &str)> = match &existing.node {
        None => BTreeSet::new(),
        Some(node) => snapshot
            .pods_on(node)
            .filter_map(|pod| {
                let owner = pod.spec.owner.as_ref().filter(|owner| owner.kind == "DaemonSet")?;
                Some((pod.spec.namespace.as_str(), owner.name.as_str()))
            })
            .collect(),
    };
    for set in snapshot.daemon_sets.values() {
        let missing = !running.contains(&(set.namespace.as_str(), set.name.as_str()));
        if missing && runs_on(&set.spec, existing) {
            amounts::subtract(&mut existing.free, &axes.row(&set.spec.requests));
            existing.host_ports.extend(set.spec.host_ports.iter().cloned());
        }
    }
}

fn runs_on(daemon: &PodSpec, existing: &Existing) -> bool {
    untolerated(&existing.taints, &daemon.tolerations).is_none()
        && alternatives_without_hostname(daemon)
            .iter()
            .any(|term| term.iter().all(|requirement| is_fulfilled(requirement, &existing.labels)))
}

/// Whether labels that are final fulfil a requirement.
pub(crate) fn is_fulfilled(requirement: &Requirement, labels: &BTreeMap<String, String>) -> bool {
    let mut interner = Interner::default();
    let values = Values::from_requirement(requirement, &mut interner);
    match labels.get(crate::model::labels::normalized(&requirement.key)) {
        None => values.admits_absence(),
        Some(value) => admits(&values, value, &interner),
    }
}
