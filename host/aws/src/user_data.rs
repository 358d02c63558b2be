//! User data: what an instance is told at its first boot, so that it joins the cluster with the right kubelet settings.
//!
//! Pure text. The user's own comes first and is kept; what joining needs is added in the form of the image's family.
//! Windows is not here.

mod bottlerocket;
mod mime;
mod nodeadm;
mod shell;

use std::collections::BTreeMap;

use whittle_api::node_class::AmiFamily;
use whittle_api::node_class::kubelet::Kubelet;
use whittle_core::model::requirement::Taint;

use crate::cluster::Cluster;

/// What user data is made from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The cluster to join.
    pub cluster: &'a Cluster,
    /// The class's settings of the kubelet.
    pub kubelet: Kubelet,
    /// How many pods the node holds.
    pub max_pods: u64,
    /// The labels that the node registers with.
    pub labels: BTreeMap<String, String>,
    /// The taints that it registers with.
    pub taints: Vec<Taint>,
    /// Whether the instance's own disks hold the pods' files.
    pub local_storage: LocalStorage,
    /// The user's own.
    pub own: Option<&'a str>,
}

/// What becomes of disks that belong to the instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalStorage {
    /// Nothing.
    Left,
    /// They hold the pods' files, together.
    Raid0,
}

/// The user data for an image of this family.
///
/// # Errors
///
/// Why there is none: the family is not supported, or the user's own cannot be read.
pub fn user_data(family: AmiFamily, input: &Input<'_>) -> Result<String, String> {
    match family {
        AmiFamily::AL2023 => nodeadm::user_data(input),
        AmiFamily::AL2 => shell::user_data(input),
        AmiFamily::Bottlerocket => bottlerocket::user_data(input),
        AmiFamily::Custom => Ok(input.own.unwrap_or_default().to_owned()),
        AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025 => {
            Err(format!("nodes of the family {family:?} cannot be launched"))
        }
    }
}

/// The labels that a kubelet may give itself: of Kubernetes' own domains only some (admission plugin `NodeRestriction`).
#[must_use]
pub fn registrable(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_free = |key: &str| {
        let Some((domain, name)) = key.split_once('/') else { return true };
        let of = |parent: &str| domain == parent || domain.ends_with(&format!(".{parent}"));
        if !of("kubernetes.io") && !of("k8s.io") {
            return true;
        }
        let own = of("kubelet.kubernetes.io") || of("node.kubernetes.io");
        own || matches!(
            (domain, name),
            ("kubernetes.io", "hostname" | "arch" | "os") | ("topology.kubernetes.io", "zone" | "region")
        )
    };
    labels.iter().filter(|(key, _)| is_free(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A text from the first line on that says something. Templates put blank lines before it, and the first line of a script
/// has to be its first.
fn begun(text: &str) -> &str {
    let blank = &text[..text.len() - text.trim_start().len()];
    &text[blank.rfind('\n').map_or(0, |at| at + 1)..]
}

/// `a=b,c=d`.
fn pairs(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests;
