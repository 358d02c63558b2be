//! Nodes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as k8s;
use whittle_core::lifecycle::repair::is_repaired;
use whittle_core::model::labels;
use whittle_core::model::node as core;

use super::requirement::node_taint;
use crate::conditions;
use crate::problem::{At, Defect};
use crate::quantity::resources;

/// A Node as the core has it. Without `allocatable` its whole capacity counts as left for pods.
///
/// # Errors
///
/// All quantities and taint effects that cannot be read.
pub fn node(node: &k8s::Node) -> Result<core::Node, Vec<Defect>> {
    let mut defects = Vec::new();
    let root = At::Root;
    let spec = node.spec.clone().unwrap_or_default();
    let status = node.status.clone().unwrap_or_default();
    let metadata = &node.metadata;
    let (spec_at, status_at) = (root.key("spec"), root.key("status"));
    let taints_at = spec_at.key("taints");
    let taints = spec.taints.iter().flatten().enumerate();
    let capacity = resources(status.capacity.as_ref(), &status_at.key("capacity"), &mut defects);
    let allocatable = match &status.allocatable {
        Some(left) => resources(Some(left), &status_at.key("allocatable"), &mut defects),
        None => capacity.clone(),
    };
    let converted = core::Node {
        name: metadata.name.clone().unwrap_or_default(),
        provider_id: spec.provider_id.clone().unwrap_or_default(),
        labels: stable_labels(metadata.labels.as_ref()),
        taints: taints.filter_map(|(i, one)| node_taint(one, &taints_at.index(i), &mut defects)).collect(),
        capacity,
        allocatable,
        ready: status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True"),
        conditions: unhealthy_signs(&status),
        do_not_disrupt: asks_to_be_left_alone(metadata.annotations.as_ref()),
        held: metadata.finalizers.iter().flatten().any(|one| one == labels::TERMINATION_FINALIZER),
        created: metadata.creation_timestamp.as_ref().map(conditions::timestamp).unwrap_or_default(),
        deleting: metadata.deletion_timestamp.as_ref().map(conditions::timestamp),
    };
    if defects.is_empty() { Ok(converted) } else { Err(defects) }
}

/// The conditions that are a reason to repair a node. Those that kubelets repeat all day are left out.
fn unhealthy_signs(status: &k8s::NodeStatus) -> Vec<core::NodeCondition> {
    let known = status.conditions.iter().flatten().filter(|one| is_repaired(&one.type_));
    let mut signs: Vec<_> = known
        .map(|one| core::NodeCondition {
            kind: one.type_.clone(),
            status: match one.status.as_str() {
                "True" => core::ConditionStatus::True,
                "False" => core::ConditionStatus::False,
                _ => core::ConditionStatus::Unknown,
            },
            since: one.last_transition_time.as_ref().map(conditions::timestamp).unwrap_or_default(),
        })
        .collect();
    signs.sort_unstable();
    signs
}

/// Labels by their stable names. A stable label that is there wins over an older spelling of it.
fn stable_labels(found: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut stable = found.cloned().unwrap_or_default();
    for (key, value) in found.into_iter().flatten() {
        let name = labels::normalized(key);
        if name != key {
            stable.remove(key);
            stable.entry(name.to_owned()).or_insert_with(|| value.clone());
        }
    }
    stable
}

/// Whether a Node or NodeClaim asks to be left alone: only `"true"` counts.
pub(crate) fn asks_to_be_left_alone(annotations: Option<&BTreeMap<String, String>>) -> bool {
    annotations
        .and_then(|annotations| annotations.get(labels::DO_NOT_DISRUPT))
        .is_some_and(|value| value == "true")
}
