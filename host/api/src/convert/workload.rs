//! Deployments, StatefulSets and their like: how many equal pods they want.

use std::sync::Arc;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use whittle_core::model::node_pool::DaemonSet;
use whittle_core::model::pod::{Owner, PodSpec};

use super::pod::{Priorities, Template, namespace, owner, pod_spec};
use crate::problem::{At, Defect};

/// A number of equal pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The object that makes the pods; its kind and name.
    pub owner: Owner,
    /// The namespace.
    pub namespace: String,
    /// How many pods are wanted.
    pub replicas: u32,
    /// What the pods have in common.
    pub spec: Arc<PodSpec>,
    /// The claims and ephemeral volumes that the pods mount, as their template has them.
    pub volumes: Vec<k8s::Volume>,
    /// The claims that each pod of a StatefulSet gets: `<claim>-<pod>`.
    pub claim_templates: Vec<k8s::PersistentVolumeClaim>,
}

/// A Deployment's pods, one when it does not say how many.
///
/// # Errors
///
/// As [`pod_spec`].
pub fn deployment(object: &apps::Deployment, priorities: &Priorities) -> Result<Workload, Vec<Defect>> {
    let spec = object.spec.clone().unwrap_or_default();
    workload("Deployment", &object.metadata, spec.replicas, &spec.template, priorities)
}

/// A ReplicaSet's pods. One that a Deployment made stands for the Deployment.
///
/// # Errors
///
/// As [`pod_spec`].
pub fn replica_set(object: &apps::ReplicaSet, priorities: &Priorities) -> Result<Workload, Vec<Defect>> {
    let spec = object.spec.clone().unwrap_or_default();
    let template = spec.template.unwrap_or_default();
    let mut made = workload("ReplicaSet", &object.metadata, spec.replicas, &template, priorities)?;
    if let Some(owner) = owner(&object.metadata) {
        let mut shared = PodSpec::clone(&made.spec);
        shared.owner = Some(owner.clone());
        made.spec = Arc::new(shared);
        made.owner = owner;
    }
    Ok(made)
}

/// A StatefulSet's pods and the claims they get.
///
/// # Errors
///
/// As [`pod_spec`].
pub fn stateful_set(object: &apps::StatefulSet, priorities: &Priorities) -> Result<Workload, Vec<Defect>> {
    let spec = object.spec.clone().unwrap_or_default();
    let made = workload("StatefulSet", &object.metadata, spec.replicas, &spec.template, priorities)?;
    Ok(Workload { claim_templates: spec.volume_claim_templates.unwrap_or_default(), ..made })
}

/// A Job's pods: as many as run side by side, and no more than are still to complete. A suspended Job has none.
///
/// # Errors
///
/// As [`pod_spec`].
pub fn job(object: &batch::Job, priorities: &Priorities) -> Result<Workload, Vec<Defect>> {
    let spec = object.spec.clone().unwrap_or_default();
    let negative: Vec<Defect> = [("completions", spec.completions), ("parallelism", spec.parallelism)]
        .into_iter()
        .filter_map(|(field, count)| Some((field, count.filter(|count| *count < 0)?)))
        .map(|(field, count)| {
            let at = At::Root.key("spec").key(field).path();
            Defect::at_path(at, count.to_string(), "a number that is not negative")
        })
        .collect();
    if !negative.is_empty() {
        return Err(negative);
    }
    let succeeded = object.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
    let left = spec.completions.map_or(i32::MAX, |wanted| wanted.saturating_sub(succeeded));
    let parallel =
        if spec.suspend == Some(true) { 0 } else { spec.parallelism.unwrap_or(1).min(left).max(0) };
    workload("Job", &object.metadata, Some(parallel), &spec.template, priorities)
}

/// A DaemonSet as the core has it.
///
/// # Errors
///
/// As [`pod_spec`].
pub fn daemon_set(object: &apps::DaemonSet, priorities: &Priorities) -> Result<DaemonSet, Vec<Defect>> {
    let spec = object.spec.clone().unwrap_or_default();
    let made = workload("DaemonSet", &object.metadata, None, &spec.template, priorities)?;
    Ok(DaemonSet { namespace: made.namespace, name: made.owner.name, spec: made.spec })
}

fn workload(
    kind: &str,
    metadata: &ObjectMeta,
    replicas: Option<i32>,
    template: &k8s::PodTemplateSpec,
    priorities: &Priorities,
) -> Result<Workload, Vec<Defect>> {
    let root = At::Root;
    let at = root.key("spec");
    let mut defects = Vec::new();
    let count = u32::try_from(replicas.unwrap_or(1));
    if count.is_err() {
        let found = replicas.unwrap_or_default().to_string();
        defects.push(Defect::new(&at.key("replicas"), found, "a number that is not negative"));
    }
    let owner = Owner { kind: kind.to_owned(), name: metadata.name.clone().unwrap_or_default() };
    let empty = k8s::PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&empty);
    let pods = Template {
        namespace: namespace(metadata),
        owner: Some(&owner),
        metadata: template.metadata.as_ref(),
        spec,
    };
    let shared = match pod_spec(&pods, priorities, &at.key("template")) {
        Ok(shared) if defects.is_empty() => shared,
        Ok(_) => return Err(defects),
        Err(more) => return Err(defects.into_iter().chain(more).collect()),
    };
    let mounted =
        |volume: &&k8s::Volume| volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some();
    Ok(Workload {
        namespace: namespace(metadata).to_owned(),
        owner,
        replicas: count.unwrap_or(0),
        spec: Arc::new(shared),
        volumes: spec.volumes.iter().flatten().filter(mounted).cloned().collect(),
        claim_templates: Vec::new(),
    })
}
