//! May this pod be placed, and here?
//!
//! Whether a new node has room is in `launch`, where pods are relative to one another is in `topology`.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::labels::Shape;
use crate::check::world::{Place, World};
use crate::check::{Rule, Violation, broken};
use crate::model::node_pool::DaemonSet;
use crate::model::pod::{HostPort, Pod};
use crate::model::requirement::{Taint, untolerated};
use crate::model::resources::Resources;
use crate::state::groups::{GroupId, Impossible, PodGroup};

/// Judges every pod that the plan places, and every place it puts one in.
pub(super) fn check(world: &World<'_>) -> Vec<Violation> {
    let mut violations = pods(world);
    for (name, place) in &world.places {
        if place.coming.is_empty() {
            continue;
        }
        if let Some(why) = &place.leaving {
            violations.push(broken(
                Rule::Place,
                *name,
                format!("pods for it although {why}"),
                "a place that stays",
            ));
        }
        if place.shapes.is_empty() && place.launch.is_none() {
            let found = "a NodeClaim that nothing is known of yet";
            violations.push(broken(Rule::Place, *name, found, "a place that is known"));
        }
        // Pods of one group are equal in everything asked here.
        let groups: BTreeMap<GroupId, &Pod> =
            place.coming.iter().filter_map(|pod| Some((world.snapshot.group_of(&pod.uid)?, *pod))).collect();
        for (group, pod) in groups {
            violations.extend(one_pod(world, (name, place), group, pod));
        }
        if place.launch.is_none() {
            violations.extend(room(world, name, place));
            violations.extend(volume_limits(world, name, place));
        }
        violations.extend(host_ports(world, name, place));
    }
    violations
}

/// Whether each pod exists, needs a place and gets one only.
fn pods(world: &World<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut placed = BTreeSet::new();
    for (uid, target) in &world.placements {
        let violation = |found: &str, expected: &str| broken(Rule::Pod, world.pod_name(uid), found, expected);
        if !placed.insert(*uid) {
            violations.push(violation("a second place for it", "one place"));
        }
        if !world.places.contains_key(target) {
            let found = format!("a pod for {target}, which does not exist");
            violations.push(broken(Rule::Place, *target, found, "a NodeClaim or Node"));
        }
        match world.snapshot.pods.get(uid) {
            None => violations.push(violation("no such pod", "one that exists")),
            Some(pod) if !needs_place(world, pod) => {
                let expected = "one that waits, or whose node goes";
                violations.push(violation("a pod that needs no place", expected));
            }
            Some(_) => {}
        }
    }
    violations
}

fn needs_place(world: &World<'_>, pod: &Pod) -> bool {
    match &pod.node {
        None => pod.is_provisionable(),
        Some(node) => is_reschedulable(pod) && world.is_leaving(node),
    }
}

/// Whether a bound pod needs another place when its node goes. A StatefulSet makes its pod anew only once the old
/// one is gone, so that one counts although it is being deleted.
pub(super) fn is_reschedulable(pod: &Pod) -> bool {
    let stateful = pod.spec.owner.as_ref().is_some_and(|owner| owner.kind == "StatefulSet");
    !pod.belongs_to_node() && !pod.phase.is_terminal() && (pod.deleting.is_none() || stateful)
}

/// Taints, node affinity and volumes of one pod in its place.
fn one_pod(
    world: &World<'_>,
    (name, place): (&str, &Place<'_>),
    group: GroupId,
    pod: &Pod,
) -> Vec<Violation> {
    let violation =
        |rule: Rule, found: String, expected: &str| broken(rule, pod.full_name(), found, expected);
    let mut violations = Vec::new();
    if let Some(taint) = untolerated(&place.taints, &pod.spec.tolerations) {
        violations.push(violation(
            Rule::Taints,
            format!("the taint {taint} on {name}"),
            "a toleration for it",
        ));
    }
    if !place.fulfils_one_of(&pod.spec.node_affinity) {
        let found = format!("labels of {name} that do not match");
        violations.push(violation(Rule::NodeAffinity, found, "those that the pod's node affinity asks for"));
    }
    let group = world.snapshot.group(group);
    match &group.impossible {
        Some(Impossible::Volume(why)) => {
            violations.push(violation(Rule::Volumes, why.clone(), "volumes that can be somewhere"));
        }
        Some(Impossible::Selector(why)) => {
            let expected = "a pod that a node of a NodePool could be for";
            violations.push(violation(Rule::NodeAffinity, why.clone(), expected));
        }
        None => {}
    }
    if group.volumes.iter().any(|alternatives| !place.fulfils_one_of(alternatives)) {
        let found = format!("{name}, where a volume of the pod cannot be");
        violations.push(violation(Rule::Volumes, found, "a place where all its volumes can be"));
    }
    violations
}

/// Whether pods of a group may be in a place, as far as its taints and labels go.
pub(super) fn admits(place: &Place<'_>, group: &PodGroup) -> bool {
    untolerated(&place.taints, &group.spec.tolerations).is_none()
        && place.fulfils_one_of(&group.spec.node_affinity)
        && group.volumes.iter().all(|alternatives| place.fulfils_one_of(alternatives))
}

/// What these pods ask for together.
pub(super) fn requests_of(pods: &[&Pod]) -> Resources {
    pods.iter().fold(Resources::default(), |sum, pod| sum.plus(&pod.spec.requests))
}

/// Whether a DaemonSet would have a pod on a node like this.
pub(super) fn runs_on(set: &DaemonSet, taints: &[Taint], shape: &Shape<'_>) -> bool {
    untolerated(taints, &set.spec.tolerations).is_none() && shape.may_fulfil_one_of(&set.spec.node_affinity)
}

/// What is left for more pods on a place in one of its forms: allocatable, less the pods that are there, less the
/// DaemonSet pods that are still to come.
pub(super) fn free(world: &World<'_>, place: &Place<'_>, shape: &Shape<'_>) -> Resources {
    let sets = world.snapshot.daemon_sets.values().filter(|set| runs_on(set, &place.taints, shape));
    let expected = sets.fold(Resources::default(), |sum, set| sum.plus(&set.spec.requests));
    let is_daemon = |pod: &&&Pod| pod.spec.owner.as_ref().is_some_and(|owner| owner.kind == "DaemonSet");
    let present: Vec<&Pod> = place.there.iter().filter(is_daemon).copied().collect();
    let to_come = expected.minus(&requests_of(&present));
    shape.allocatable().minus(&requests_of(&place.there)).minus(&to_come)
}

fn room(world: &World<'_>, name: &str, place: &Place<'_>) -> Vec<Violation> {
    let coming = requests_of(&place.coming);
    let mut violations = Vec::new();
    for shape in &place.shapes {
        let free = free(world, place, shape);
        for (resource, amount) in coming.iter().filter(|(name, amount)| *amount > free.get(name)) {
            let found = format!("{amount} of {resource} asked for");
            let expected = format!("at most {}, which is free", free.get(resource));
            violations.push(broken(Rule::Room, name, found, &expected));
        }
    }
    violations
}

/// Whether a node can attach the volumes of the pods that come beside those of the pods that are there. A claim is
/// attached once, whoever mounts it; what is there already is not the plan's doing.
fn volume_limits(world: &World<'_>, name: &str, place: &Place<'_>) -> Vec<Violation> {
    let limits = place.node.and_then(|node| world.snapshot.volume_limits.get(&node.name));
    let attached = |pods: &[&Pod], driver: &str| -> BTreeSet<(String, String)> {
        let claims = pods.iter().flat_map(|pod| {
            pod.volume_claims.iter().map(|claim| (pod.spec.namespace.clone(), claim.clone()))
        });
        let of_driver = |claim: &(String, String)| {
            world
                .snapshot
                .volume_claims
                .get(claim)
                .is_some_and(|claim| claim.driver.as_deref() == Some(driver))
        };
        claims.filter(of_driver).collect()
    };
    let mut violations = Vec::new();
    for (driver, limit) in limits.into_iter().flatten() {
        let there = attached(&place.there, driver);
        let coming = attached(&place.coming, driver);
        let (more, total) = (coming.difference(&there).count(), coming.union(&there).count());
        if more > 0 && total > usize::try_from(*limit).unwrap_or(usize::MAX) {
            let found = format!("{total} volumes of {driver}");
            let expected = format!("at most {limit}, which the node can attach");
            violations.push(broken(Rule::VolumeLimits, name, found, &expected));
        }
    }
    violations
}

/// Whether a pod that comes takes a port that somebody else on the node takes.
fn host_ports(world: &World<'_>, name: &str, place: &Place<'_>) -> Vec<Violation> {
    if place.coming.iter().all(|pod| pod.spec.host_ports.is_empty()) {
        return Vec::new();
    }
    let mut taken: BTreeMap<(&str, u16), Vec<&str>> = BTreeMap::new();
    let mut take = |port: &'_ HostPort, ip, key| {
        let ips: &mut Vec<&str> = taken.entry(key).or_default();
        let collides = ips.iter().any(|other| *other == ip || is_wildcard(other) || is_wildcard(ip));
        ips.push(ip);
        collides.then(|| format!("the host port {} {} on {name} taken twice", port.port, port.protocol))
    };
    // A DaemonSet with a pod here is counted by that pod.
    let has_pod = |set: &DaemonSet| {
        place.there.iter().any(|pod| {
            let owner = pod.spec.owner.as_ref();
            pod.spec.namespace == set.namespace
                && owner.is_some_and(|owner| owner.kind == "DaemonSet" && owner.name == set.name)
        })
    };
    let runs = |set: &&DaemonSet| {
        let mut shapes = place.shapes.iter();
        !set.spec.host_ports.is_empty()
            && !has_pod(set)
            && shapes.any(|shape| runs_on(set, &place.taints, shape))
    };
    let daemons = world.snapshot.daemon_sets.values().filter(runs).flat_map(|set| &set.spec.host_ports);
    for port in daemons.chain(place.there.iter().flat_map(|pod| &pod.spec.host_ports)) {
        // Those that are there already are not the plan's doing.
        drop(take(port, port.ip.as_str(), (port.protocol.as_str(), port.port)));
    }
    let mut violations = Vec::new();
    for pod in &place.coming {
        for port in &pod.spec.host_ports {
            if let Some(found) = take(port, port.ip.as_str(), (port.protocol.as_str(), port.port)) {
                violations.push(broken(Rule::HostPorts, pod.full_name(), found, "one pod for each"));
            }
        }
    }
    violations
}

/// Whether an address stands for all addresses of a node.
fn is_wildcard(ip: &str) -> bool {
    matches!(ip, "" | "0.0.0.0" | "::")
}
