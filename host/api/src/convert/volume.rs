//! PersistentVolumeClaims: on which nodes a claim's volume is or may be made, and what attaches it there.
//!
//! A claim that no node can serve is not a defect of the object: the pods that mount it wait, and the reason says why.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};
use whittle_core::model::labels;
use whittle_core::model::node::{VolumeAttachment, VolumeLimits};
use whittle_core::model::node_pool::{VolumeBinding, VolumeClaim};
use whittle_core::model::requirement::{Operator, Requirement};

use super::pod::namespace;
use super::pod::placement::{is_on_hostname, volume_terms};
use crate::conditions;
use crate::problem::{At, Defect};

/// Marks the StorageClass of claims that name none.
const DEFAULT_CLASS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// Marks a claim whose binding is complete.
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// Makes volumes only for nodes that EKS itself runs.
const PROVISIONER_UNSUPPORTED: &str = "ebs.csi.eks.amazonaws.com";
/// Only nodes that EKS itself runs have this label.
const TOPOLOGY_UNSUPPORTED: &str = "eks.amazonaws.com/compute-type";

/// The volumes and classes that claims refer to.
#[derive(Clone, Debug, Default)]
pub struct Volumes<'a> {
    volumes: BTreeMap<&'a str, &'a k8s::PersistentVolume>,
    classes: BTreeMap<&'a str, &'a StorageClass>,
}

impl<'a> Volumes<'a> {
    /// Looks volumes and classes up by name.
    #[must_use]
    pub fn new(
        volumes: impl IntoIterator<Item = &'a k8s::PersistentVolume>,
        classes: impl IntoIterator<Item = &'a StorageClass>,
    ) -> Self {
        let name = |name: &'a Option<String>| name.as_deref().unwrap_or_default();
        Self {
            volumes: volumes.into_iter().map(|volume| (name(&volume.metadata.name), volume)).collect(),
            classes: classes.into_iter().map(|class| (name(&class.metadata.name), class)).collect(),
        }
    }

    /// The class of claims that name none: the newest of those marked so, by name among equally old ones.
    fn default_class(&self) -> Option<&'a StorageClass> {
        let marked = self.classes.values().copied().filter(|class| {
            let annotations = class.metadata.annotations.iter().flatten();
            annotations
                .into_iter()
                .any(|(key, value)| DEFAULT_CLASS.contains(&key.as_str()) && value == "true")
        });
        let age = |class: &&StorageClass| {
            let created = class.metadata.creation_timestamp.as_ref().map(conditions::timestamp);
            (created, std::cmp::Reverse(class.metadata.name.clone()))
        };
        marked.max_by_key(age)
    }
}

/// A claim as the core has it.
#[must_use]
pub fn volume_claim(claim: &k8s::PersistentVolumeClaim, volumes: &Volumes<'_>) -> VolumeClaim {
    VolumeClaim {
        namespace: namespace(&claim.metadata).to_owned(),
        name: claim.metadata.name.clone().unwrap_or_default(),
        volume: claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).filter(|name| !name.is_empty()),
        binding: binding(claim, volumes).map_or_else(VolumeBinding::Impossible, VolumeBinding::Nodes),
        driver: driver(claim, volumes),
    }
}

/// How many volumes a Node can attach, by CSI driver.
///
/// # Errors
///
/// All numbers below zero.
pub fn volume_limits(node: &CSINode) -> Result<VolumeLimits, Vec<Defect>> {
    let root = At::Root;
    let spec_at = root.key("spec");
    let drivers_at = spec_at.key("drivers");
    let (mut drivers, mut defects) = (BTreeMap::new(), Vec::new());
    for (position, driver) in node.spec.drivers.iter().enumerate() {
        let Some(count) = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count) else {
            continue;
        };
        match u32::try_from(count) {
            Ok(count) => drop(drivers.insert(driver.name.clone(), count)),
            Err(_) => {
                let (at, allocatable) = (drivers_at.index(position), "allocatable");
                let at = at.key(allocatable);
                defects.push(Defect::new(
                    &at.key("count"),
                    count.to_string(),
                    "a number that is not negative",
                ));
            }
        }
    }
    let name = node.metadata.name.clone().unwrap_or_default();
    if defects.is_empty() { Ok(VolumeLimits { node: name, drivers }) } else { Err(defects) }
}

/// A volume that is attached to a node, or about to be.
#[must_use]
pub fn attachment(attachment: &k8s_openapi::api::storage::v1::VolumeAttachment) -> VolumeAttachment {
    VolumeAttachment {
        name: attachment.metadata.name.clone().unwrap_or_default(),
        node: attachment.spec.node_name.clone(),
        volume: attachment.spec.source.persistent_volume_name.clone(),
    }
}

/// The CSI driver that attaches a claim's volume, or will.
fn driver(claim: &k8s::PersistentVolumeClaim, volumes: &Volumes<'_>) -> Option<String> {
    let spec = claim.spec.as_ref()?;
    match spec.volume_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => driver_of_volume(volumes.volumes.get(name)?.spec.as_ref()?),
        None => {
            let class = match spec.storage_class_name.as_deref() {
                Some(name) => volumes.classes.get(name).copied(),
                None => volumes.default_class(),
            };
            Some(csi_name(&class?.provisioner)?.to_owned())
        }
    }
}

/// A volume of a plugin that has moved out of Kubernetes is attached by the driver that took its place.
fn driver_of_volume(volume: &k8s::PersistentVolumeSpec) -> Option<String> {
    if let Some(csi) = &volume.csi {
        return Some(csi.driver.clone());
    }
    let plugin = [
        (volume.aws_elastic_block_store.is_some(), "kubernetes.io/aws-ebs"),
        (volume.gce_persistent_disk.is_some(), "kubernetes.io/gce-pd"),
        (volume.azure_disk.is_some(), "kubernetes.io/azure-disk"),
        (volume.azure_file.is_some(), "kubernetes.io/azure-file"),
        (volume.cinder.is_some(), "kubernetes.io/cinder"),
        (volume.vsphere_volume.is_some(), "kubernetes.io/vsphere-volume"),
        (volume.portworx_volume.is_some(), "kubernetes.io/portworx-volume"),
    ];
    let (_, plugin) = plugin.into_iter().find(|(is_there, _)| *is_there)?;
    csi_name(plugin).map(str::to_owned)
}

/// The CSI driver of a provisioner; `None` for what is part of Kubernetes and attaches nothing. Source: the table of
/// Kubernetes' `csi-translation-lib`.
#[must_use]
pub fn csi_name(provisioner: &str) -> Option<&str> {
    match provisioner {
        "kubernetes.io/aws-ebs" => Some("ebs.csi.aws.com"),
        "kubernetes.io/gce-pd" => Some("pd.csi.storage.gke.io"),
        "kubernetes.io/azure-disk" => Some("disk.csi.azure.com"),
        "kubernetes.io/azure-file" => Some("file.csi.azure.com"),
        "kubernetes.io/cinder" => Some("cinder.csi.openstack.org"),
        "kubernetes.io/vsphere-volume" => Some("csi.vsphere.vmware.com"),
        "kubernetes.io/portworx-volume" => Some("pxd.portworx.com"),
        other if other.starts_with("kubernetes.io/") => None,
        other => Some(other),
    }
}

fn binding(
    claim: &k8s::PersistentVolumeClaim,
    volumes: &Volumes<'_>,
) -> Result<Vec<Vec<Requirement>>, String> {
    if claim.metadata.deletion_timestamp.is_some() {
        return Err("the PersistentVolumeClaim is being deleted".to_owned());
    }
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase == Some("Lost") {
        return Err("the PersistentVolumeClaim has lost its volume".to_owned());
    }
    let spec = claim.spec.clone().unwrap_or_default();
    match spec.volume_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => bound(name, claim, volumes),
        None => unbound(spec.storage_class_name.as_deref(), volumes),
    }
}

fn bound(
    name: &str,
    claim: &k8s::PersistentVolumeClaim,
    volumes: &Volumes<'_>,
) -> Result<Vec<Vec<Requirement>>, String> {
    if !claim.metadata.annotations.iter().flatten().any(|(key, _)| key == BIND_COMPLETED) {
        return Err(format!(
            "the binding to PersistentVolume {name} is not complete: there is no annotation {BIND_COMPLETED}"
        ));
    }
    let volume =
        volumes.volumes.get(name).ok_or_else(|| format!("PersistentVolume {name} does not exist"))?;
    if volume.metadata.deletion_timestamp.is_some() {
        return Err(format!("PersistentVolume {name} is being deleted"));
    }
    let Some(spec) = &volume.spec else { return Ok(Vec::new()) };
    let Some(required) = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref()) else {
        return Ok(Vec::new());
    };
    let mut defects = Vec::new();
    let root = At::Root;
    let mut alternatives = volume_terms(required, &root.key("spec"), &mut defects);
    if let Some(defect) = defects.first() {
        return Err(format!("the node affinity of PersistentVolume {name} cannot be read: {defect}"));
    }
    if spec.local.is_some() || spec.host_path.is_some() {
        // What is on one node's disk does not tie its pod to a node that goes away: it is made anew elsewhere.
        for alternative in &mut alternatives {
            alternative.retain(|requirement| !is_on_hostname(requirement));
        }
    }
    Ok(pruned(alternatives))
}

fn unbound(class: Option<&str>, volumes: &Volumes<'_>) -> Result<Vec<Vec<Requirement>>, String> {
    let class = match class {
        Some("") => return Err("the PersistentVolumeClaim is not bound and wants no StorageClass".to_owned()),
        Some(name) => {
            volumes.classes.get(name).copied().ok_or_else(|| format!("StorageClass {name} does not exist"))?
        }
        None => volumes.default_class().ok_or_else(|| {
            "the PersistentVolumeClaim names no StorageClass and there is no default one".to_owned()
        })?,
    };
    let name = class.metadata.name.as_deref().unwrap_or_default();
    if class.provisioner == PROVISIONER_UNSUPPORTED {
        return Err(format!(
            "StorageClass {name} makes volumes only for nodes of EKS Auto Mode ({PROVISIONER_UNSUPPORTED})"
        ));
    }
    if class.volume_binding_mode.as_deref() != Some("WaitForFirstConsumer") {
        return Err(format!(
            "the PersistentVolumeClaim is not bound although StorageClass {name} binds immediately"
        ));
    }
    let mut alternatives = Vec::new();
    for term in class.allowed_topologies.iter().flatten() {
        let expressions = term.match_label_expressions.iter().flatten();
        let alternative: Vec<Requirement> = expressions
            .map(|one| {
                Requirement::new(labels::normalized(&one.key), Operator::In, one.values.iter().cloned())
            })
            .collect();
        if alternative.iter().any(|requirement| requirement.key == TOPOLOGY_UNSUPPORTED) {
            return Err(format!(
                "StorageClass {name} wants nodes with the label {TOPOLOGY_UNSUPPORTED}, which only EKS Auto Mode has"
            ));
        }
        alternatives.push(alternative);
    }
    Ok(pruned(alternatives))
}

/// An alternative that says nothing allows everything, and then the others say nothing either.
fn pruned(alternatives: Vec<Vec<Requirement>>) -> Vec<Vec<Requirement>> {
    if alternatives.iter().any(Vec::is_empty) { Vec::new() } else { alternatives }
}
