//! Pods and the templates they are made from.
//!
//! How much a pod asks for is in [`requests`], where it may run in [`placement`]. A template becomes a
//! [`PodSpec`](core::PodSpec), which equal pods share; a live pod gets its own and the caller shares equal ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use whittle_core::model::labels;
use whittle_core::model::pod as core;
use whittle_core::model::time::Duration;

use super::requirement::{quoted, tolerations};
use crate::conditions;
use crate::duration;
use crate::names;
use crate::problem::{At, Defect};

pub mod placement;
pub mod requests;

/// How long a pod may take to stop when it does not say.
const GRACE_PERIOD_DEFAULT: Duration = Duration::from_secs(30);
/// The label that the Deployment controller gives its ReplicaSets' pods.
pub(crate) const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// What priorities the cluster's classes stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priorities {
    classes: BTreeMap<String, i32>,
    default: i32,
}

impl Priorities {
    /// The priorities of these classes and of the two that every cluster has.
    #[must_use]
    pub fn new(classes: &[PriorityClass]) -> Self {
        let system = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];
        let named = classes
            .iter()
            .map(|class| (class.metadata.name.clone().unwrap_or_default(), class.value.unwrap_or(0)));
        let default =
            classes.iter().filter(|class| class.global_default == Some(true)).filter_map(|class| class.value);
        Self {
            classes: system.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(named).collect(),
            // Of several defaults Kubernetes takes the lowest.
            default: default.min().unwrap_or(0),
        }
    }

    fn of(&self, spec: &k8s::PodSpec, at: &At<'_>, defects: &mut Vec<Defect>) -> i32 {
        if let Some(priority) = spec.priority {
            return priority;
        }
        let Some(class) = spec.priority_class_name.as_deref().filter(|name| !name.is_empty()) else {
            return self.default;
        };
        self.classes.get(class).copied().unwrap_or_else(|| {
            let at = at.key("priorityClassName");
            defects.push(Defect::new(&at, quoted(class), "the name of a PriorityClass that exists"));
            self.default
        })
    }
}

/// A pod or a pod template, and what its pods are made by.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The object that makes the pods.
    pub owner: Option<&'a core::Owner>,
    /// Labels and annotations of the pods.
    pub metadata: Option<&'a ObjectMeta>,
    /// The pods' spec.
    pub spec: &'a k8s::PodSpec,
}

/// What pods of this template have in common. `at` is where the template is in its object: nowhere for a Pod,
/// `spec.template` for a Deployment.
///
/// # Errors
///
/// All that the core cannot express or Kubernetes would refuse.
pub fn pod_spec(
    template: &Template<'_>,
    priorities: &Priorities,
    at: &At<'_>,
) -> Result<core::PodSpec, Vec<Defect>> {
    let mut defects = Vec::new();
    let Template { namespace, owner, metadata, spec } = *template;
    let metadata_at = at.key("metadata");
    let at = at.key("spec");
    let labels = metadata.and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
    names::labels(Some(&labels), &metadata_at.key("labels"), &mut defects);
    let placement = placement::placement(template, &at, &mut defects);
    let converted = core::PodSpec {
        namespace: namespace.to_owned(),
        owner: owner.cloned(),
        labels,
        requests: requests::effective(spec, &at, &mut defects),
        node_affinity: placement.node_affinity,
        preferred_node_affinity: placement.preferred_node_affinity,
        tolerations: tolerations(
            spec.tolerations.as_deref().unwrap_or_default(),
            &at.key("tolerations"),
            &mut defects,
        ),
        topology_spread: placement.topology_spread,
        siblings: None,
        pod_affinity: placement.pod_affinity,
        pod_anti_affinity: placement.pod_anti_affinity,
        preferred_pod_affinity: placement.preferred_pod_affinity,
        preferred_pod_anti_affinity: placement.preferred_pod_anti_affinity,
        host_ports: host_ports(spec, &at, &mut defects),
        priority: priorities.of(spec, &at, &mut defects),
        deletion_cost: annotation(annotations, labels::POD_DELETION_COST)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
        termination_grace_period: grace_period(spec),
        do_not_disrupt: annotation(annotations, labels::DO_NOT_DISRUPT).and_then(do_not_disrupt),
    };
    if defects.is_empty() { Ok(converted) } else { Err(defects) }
}

/// A live pod as the core has it. A pod that a file describes without a uid is known by `namespace/name`.
///
/// # Errors
///
/// As [`pod_spec`].
pub fn pod(pod: &k8s::Pod, priorities: &Priorities) -> Result<core::Pod, Vec<Defect>> {
    let default = k8s::PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&default);
    let owner = owner(&pod.metadata);
    let namespace = namespace(&pod.metadata);
    let template = Template { namespace, owner: owner.as_ref(), metadata: Some(&pod.metadata), spec };
    let mut converted = pod_spec(&template, priorities, &At::Root)?;
    let status = pod.status.as_ref();
    converted.requests = requests::resized(&converted.requests, spec, status);
    let name = pod.metadata.name.clone().unwrap_or_default();
    let uid = pod.metadata.uid.clone().unwrap_or_else(|| format!("{namespace}/{name}"));
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let stops_within =
        pod.metadata.deletion_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let stops_within = stops_within.map(Duration::from_secs);
    Ok(core::Pod {
        uid,
        volume_claims: volume_claims(&name, spec),
        name,
        spec: Arc::new(converted),
        node: spec.node_name.clone().filter(|node| !node.is_empty()),
        phase: phase(status.and_then(|status| status.phase.as_deref())),
        ready: conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True"),
        unschedulable: conditions.iter().any(is_unschedulable),
        nominated_node: status
            .and_then(|status| status.nominated_node_name.clone())
            .filter(|node| !node.is_empty()),
        created: pod.metadata.creation_timestamp.as_ref().map(conditions::timestamp).unwrap_or_default(),
        started: status.and_then(|status| status.start_time.as_ref()).map(conditions::timestamp),
        // Kubernetes says until when it has to stop, and how long that was from when it was asked.
        deleting: pod
            .metadata
            .deletion_timestamp
            .as_ref()
            .map(|by| conditions::timestamp(by) - stops_within.unwrap_or_default()),
        stops_within,
    })
}

/// The claims that a pod mounts: those it names, and those that are made for it.
#[must_use]
pub fn volume_claims(pod: &str, spec: &k8s::PodSpec) -> Vec<String> {
    let volumes = spec.volumes.iter().flatten();
    let claims = volumes.filter_map(|volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(claim), _) => Some(claim.claim_name.clone()),
        (None, Some(_)) => Some(format!("{pod}-{}", volume.name)),
        (None, None) => None,
    });
    claims.collect()
}

/// The namespace of an object, `default` when it does not say.
#[must_use]
pub fn namespace(metadata: &ObjectMeta) -> &str {
    metadata.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or("default")
}

/// The object that makes a pod: a Deployment rather than its ReplicaSet.
#[must_use]
pub fn owner(metadata: &ObjectMeta) -> Option<core::Owner> {
    let references = metadata.owner_references.as_deref().unwrap_or_default();
    let controller =
        references.iter().find(|reference| reference.controller == Some(true)).or(references.first())?;
    let hash = metadata.labels.as_ref().and_then(|labels| labels.get(POD_TEMPLATE_HASH));
    let deployment = hash
        .filter(|_| controller.kind == "ReplicaSet")
        .and_then(|hash| controller.name.strip_suffix(hash.as_str()))
        .and_then(|name| name.strip_suffix('-'));
    Some(match deployment {
        Some(name) => core::Owner { kind: "Deployment".to_owned(), name: name.to_owned() },
        None => core::Owner { kind: controller.kind.clone(), name: controller.name.clone() },
    })
}

fn phase(text: Option<&str>) -> core::PodPhase {
    match text {
        // A pod whose node does not answer still holds its place.
        Some("Running" | "Unknown") => core::PodPhase::Running,
        Some("Succeeded") => core::PodPhase::Succeeded,
        Some("Failed") => core::PodPhase::Failed,
        _ => core::PodPhase::Pending,
    }
}

/// Whether kube-scheduler says here that no node will do.
fn is_unschedulable(condition: &k8s::PodCondition) -> bool {
    condition.type_ == "PodScheduled"
        && condition.status == "False"
        && condition.reason.as_deref() == Some("Unschedulable")
}

fn annotation<'a>(annotations: Option<&'a BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
    annotations.and_then(|annotations| annotations.get(key)).map(String::as_str)
}

/// `"true"` or a positive duration; every other value blocks nothing.
fn do_not_disrupt(text: &str) -> Option<core::DoNotDisrupt> {
    if text == "true" {
        return Some(core::DoNotDisrupt::Always);
    }
    duration::parse(text).filter(|span| *span > Duration::ZERO).map(core::DoNotDisrupt::For)
}

/// Kubernetes takes a negative grace period for one second.
fn grace_period(spec: &k8s::PodSpec) -> Duration {
    match spec.termination_grace_period_seconds {
        None => GRACE_PERIOD_DEFAULT,
        Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or(1)),
    }
}

/// The ports that containers and sidecars take on the node itself. With the host's network every port is the node's.
fn host_ports(spec: &k8s::PodSpec, at: &At<'_>, defects: &mut Vec<Defect>) -> Vec<core::HostPort> {
    let host_network = spec.host_network == Some(true);
    let sidecars =
        spec.init_containers.iter().flatten().enumerate().filter(|(_, one)| requests::is_sidecar(one));
    let containers = spec.containers.iter().enumerate().map(|(i, one)| ("containers", i, one));
    let mut ports = Vec::new();
    for (list, position, container) in containers.chain(sidecars.map(|(i, one)| ("initContainers", i, one))) {
        let list_at = at.key(list);
        let container_at = list_at.index(position);
        let ports_at = container_at.key("ports");
        for (position, port) in container.ports.iter().flatten().enumerate() {
            let number = match port.host_port {
                Some(number) if number != 0 => number,
                _ if host_network => port.container_port,
                _ => continue,
            };
            let Some(number) = u16::try_from(number).ok().filter(|number| *number > 0) else {
                let at = ports_at.index(position);
                defects.push(Defect::new(&at.key("hostPort"), number.to_string(), "a port from 1 to 65535"));
                continue;
            };
            ports.push(core::HostPort {
                ip: match port.host_ip.as_deref() {
                    None | Some("" | "::" | "0.0.0.0") => "0.0.0.0".to_owned(),
                    Some(ip) => ip.to_owned(),
                },
                port: number,
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            });
        }
    }
    ports.sort();
    ports.dedup();
    ports
}
