//! Nodes that are there or on their way, as places for pods.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::model::labels;
use crate::model::node::{Node, NodeClaim};
use crate::model::node_pool::{DaemonSet, NodeClass};
use crate::model::pod::{HostPort, PodSpec};
use crate::model::requirement::{Operator, Requirement, Taint, TaintEffect, untolerated};
use crate::model::resources::Resources;
use crate::provision::amounts::{self, Amounts, Axes};
use crate::provision::intern::Interner;
use crate::provision::requirements::{ByKey, Values};
use crate::provision::template::alternatives_without_hostname;
use crate::provision::volumes::VolumeRoom;
use crate::state::Snapshot;

/// A node that is there or on its way.
#[derive(Clone, Debug)]
pub(crate) struct Existing<'a> {
    /// The NodeClaim's name, or the Node's when it has none.
    pub(crate) name: &'a str,
    /// The Node's name, once it has joined.
    pub(crate) node: Option<&'a str>,
    pub(crate) labels: Cow<'a, BTreeMap<String, String>>,
    pub(crate) taints: Cow<'a, [Taint]>,
    /// What pods may still take.
    pub(crate) free: Amounts,
    pub(crate) host_ports: Vec<HostPort>,
    /// What it can still attach.
    pub(crate) volumes: VolumeRoom,
    pub(crate) initialized: bool,
    /// What is asked of the node, as long as there is no instance. Until then what it will be is not known: it counts as
    /// a domain with the pods that are expected on it, and has room for pods that are like these alone.
    pub(crate) undecided: Option<&'a [Requirement]>,
    /// Until then, what is left of that which it is certain to have for pods, where that has been asked for.
    pub(crate) promised: Option<Amounts>,
}

impl Existing<'_> {
    /// Whether pods with these requirements may run here. Labels of a node are final: what is absent stays so.
    pub(crate) fn fulfils(&self, wanted: &ByKey, interner: &Interner) -> bool {
        wanted.iter().all(|(key, values)| match self.labels.get(interner.text(*key)) {
            None => values.admits_absence(),
            Some(value) => admits(values, value, interner),
        })
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
pub(crate) fn existing_nodes<'a>(snapshot: &'a Snapshot, axes: &mut Axes) -> Vec<Existing<'a>> {
    let claimed = snapshot.claims_and_asked().filter_map(|claim| of_claim(snapshot, claim, axes));
    let mut nodes: Vec<_> = claimed.collect();
    let unmanaged = snapshot.nodes.values().filter(|node| snapshot.claim_of_node(node).is_none());
    nodes.extend(unmanaged.filter(|node| is_usable(node)).map(|node| {
        let free = node.allocatable.minus(&snapshot.used_on(&node.name));
        let place = Place {
            name: &node.name,
            node: Some(node),
            labels: Cow::Borrowed(&node.labels),
            taints: Cow::Borrowed(&node.taints),
            initialized: true,
            undecided: None,
        };
        finish(snapshot, place, &free, axes)
    }));
    nodes.sort_by(|left, right| (!left.initialized, left.name).cmp(&(!right.initialized, right.name)));
    nodes
}

fn is_usable(node: &Node) -> bool {
    node.deleting.is_none() && !node.taints.iter().any(|taint| taint.key == labels::DISRUPTED_TAINT)
}

/// What is known of a place before its load is looked at.
struct Place<'a> {
    name: &'a str,
    node: Option<&'a Node>,
    labels: Cow<'a, BTreeMap<String, String>>,
    taints: Cow<'a, [Taint]>,
    initialized: bool,
    undecided: Option<&'a [Requirement]>,
}

fn of_claim<'a>(snapshot: &'a Snapshot, claim: &'a NodeClaim, axes: &mut Axes) -> Option<Existing<'a>> {
    if snapshot.is_leaving(claim) {
        return None;
    }
    let initialized = claim.initialized.is_some();
    let node = snapshot.node_of_claim(claim);
    let Some((instance, node)) = claim.instance.as_ref().zip(node) else {
        let class = snapshot.node_classes.get(&claim.node_class);
        let place = Place {
            name: &claim.name,
            node: None,
            labels: Cow::Owned(labels_of_claim(claim, class)),
            taints: Cow::Borrowed(&claim.taints),
            initialized: false,
            undecided: claim.instance.is_none().then_some(claim.requirements.as_slice()),
        };
        let free = claim.instance.as_ref().map(|instance| &instance.allocatable);
        return Some(finish(snapshot, place, free.unwrap_or(&Resources::default()), axes));
    };
    if !is_usable(node) {
        return None;
    }
    let mut node_labels = Cow::Borrowed(&node.labels);
    if claim.registered.is_none() {
        let class = snapshot.node_classes.get(&claim.node_class);
        node_labels.to_mut().extend(labels_of_claim(claim, class));
    }
    let mut allocatable = Cow::Borrowed(&node.allocatable);
    let taints = if initialized {
        Cow::Borrowed(node.taints.as_slice())
    } else {
        // A device plugin reports its devices late: until then the instance type's own figures stand.
        for (name, amount) in instance.allocatable.iter().filter(|(name, _)| node.allocatable.get(name) == 0)
        {
            allocatable.to_mut().set(name, amount);
        }
        Cow::Owned(lasting_taints(claim, node))
    };
    let free = allocatable.minus(&snapshot.used_on(&node.name));
    let place = Place {
        name: &claim.name,
        node: Some(node),
        labels: node_labels,
        taints,
        initialized,
        undecided: None,
    };
    Some(finish(snapshot, place, &free, axes))
}

/// The labels that the node of a claim will have.
pub(crate) fn labels_of_claim(claim: &NodeClaim, class: Option<&NodeClass>) -> BTreeMap<String, String> {
    let mut node_labels = BTreeMap::new();
    if let Some(instance) = &claim.instance {
        let types = class.into_iter().flat_map(|class| class.instance_types.iter());
        if let Some(instance_type) = types.into_iter().find(|it| it.name == instance.instance_type) {
            let single = instance_type.labels.iter().filter(|(_, values)| values.len() == 1);
            node_labels.extend(single.map(|(key, values)| (key.clone(), values[0].clone())));
            let mut offerings = instance_type.offerings.iter();
            let zone = offerings.find(|offering| offering.zone == instance.zone);
            node_labels.extend(zone.map(|offering| (labels::ZONE_ID.to_owned(), offering.zone_id.clone())));
            let reservations = instance_type.offerings.iter().filter_map(|one| one.reservation.as_ref());
            for one in reservations.filter(|one| Some(&one.id) == instance.reservation.as_ref()) {
                node_labels.insert(labels::RESERVATION_TYPE.to_owned(), one.kind.label().to_owned());
            }
        }
        let reservation = instance.reservation.as_ref();
        node_labels.extend(reservation.map(|id| (labels::RESERVATION_ID.to_owned(), id.clone())));
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

fn finish<'a>(snapshot: &'a Snapshot, place: Place<'a>, free: &Resources, axes: &mut Axes) -> Existing<'a> {
    let Place { name, node, mut labels, taints, initialized, undecided } = place;
    let node = node.map(|node| node.name.as_str());
    if let Some(node) = node
        && !labels.contains_key(labels::HOSTNAME)
    {
        labels.to_mut().insert(labels::HOSTNAME.to_owned(), node.to_owned());
    }
    let kinds = node.into_iter().flat_map(|node| snapshot.kinds_on(node));
    let host_ports = kinds.flat_map(|spec| spec.host_ports.iter().cloned()).collect();
    let volumes = node.map(|node| VolumeRoom::of(snapshot, node)).unwrap_or_default();
    let free = axes.row(free);
    let promised = None;
    let mut existing =
        Existing { name, node, labels, taints, free, host_ports, volumes, initialized, undecided, promised };
    reserve_for_daemons(snapshot, &mut existing, axes);
    existing
}

/// DaemonSet pods that will run here and do not yet: their share is not for others.
fn reserve_for_daemons(snapshot: &Snapshot, existing: &mut Existing<'_>, axes: &mut Axes) {
    let node = existing.node;
    let runs = |set: &DaemonSet| {
        let kinds = node.into_iter().flat_map(|node| snapshot.kinds_on(node));
        let mut owners = kinds.filter_map(|spec| Some((&spec.namespace, spec.owner.as_ref()?)));
        owners.any(|(namespace, owner)| {
            owner.kind == "DaemonSet" && owner.name == set.name && *namespace == set.namespace
        })
    };
    for set in snapshot.daemon_sets.values() {
        if !runs(set) && runs_on(&set.spec, existing) {
            amounts::subtract(&mut existing.free, &axes.row(&set.spec.requests));
            existing.host_ports.extend(set.spec.host_ports.iter().cloned());
        }
    }
}

fn runs_on(daemon: &PodSpec, existing: &Existing<'_>) -> bool {
    untolerated(&existing.taints, &daemon.tolerations).is_none()
        && alternatives_without_hostname(daemon)
            .iter()
            .any(|term| term.iter().all(|requirement| is_fulfilled(requirement, &existing.labels)))
}

/// Whether volumes are certain to be within reach of a node that is not launched yet.
pub(crate) fn reaches(node: &Existing<'_>, volumes: &[Vec<Vec<Requirement>>]) -> bool {
    let is_certain = |requirement: &Requirement| {
        if node.labels.contains_key(labels::normalized(&requirement.key)) {
            return is_fulfilled(requirement, &node.labels);
        }
        let asked = node.undecided.into_iter().flatten().find(|asked| {
            asked.operator == Operator::In && asked.key == labels::normalized(&requirement.key)
        });
        asked.is_some_and(|asked| {
            let label = |value: &String| BTreeMap::from([(asked.key.clone(), value.clone())]);
            asked.values.iter().all(|value| is_fulfilled(requirement, &label(value)))
        })
    };
    volumes.iter().all(|ways| ways.iter().any(|way| way.iter().all(is_certain)))
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
