//! What is written, as data: patches of Nodes and NodeClaims from what is there. Nothing here talks to anybody.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Taint as NodeTaint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, OwnerReference};
use serde_json::{Value, json};
use whittle_api::conditions::{self, DISRUPTION_REASON, DRIFTED, INITIALIZED, LAUNCHED, READY, REGISTERED};
use whittle_api::convert::node_claim::node_claim_from;
use whittle_api::node_claim::{NodeClaim, NodeClaimStatus};
use whittle_api::quantity::quantities;
use whittle_api::template;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels::{self, TERMINATION_FINALIZER as FINALIZER};
use whittle_core::model::node as core;
use whittle_core::model::requirement::Taint;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::Retaint;

/// Keeps load balancers from sending anything to a node that goes.
const EXCLUDE_FROM_BALANCERS: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// The API version of NodePools and NodeClaims.
pub(crate) const KARPENTER: &str = "karpenter.sh/v1";
/// The API version of EC2NodeClasses.
pub(crate) const NODE_CLASS: &str = "karpenter.k8s.aws/v1";

/// A NodeClaim as it is made: with its finalizer, its owner, and what its NodePool gives to its nodes.
pub(crate) fn new_claim(
    claim: &core::NodeClaim,
    pool_uid: Option<String>,
    annotations: BTreeMap<String, String>,
) -> NodeClaim {
    let mut made = node_claim_from(claim);
    made.status = None;
    let metadata = &mut made.metadata;
    metadata.creation_timestamp = None;
    metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    metadata.labels.get_or_insert_default().insert(labels::NODE_CLASS.to_owned(), claim.node_class.clone());
    let own = metadata.annotations.get_or_insert_default();
    for (key, value) in annotations {
        own.entry(key).or_insert(value);
    }
    metadata.owner_references = pool_uid.map(|uid| vec![owner("NodePool", &claim.node_pool, uid)]);
    made
}

fn owner(kind: &str, name: &str, uid: String) -> OwnerReference {
    OwnerReference {
        api_version: KARPENTER.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid,
        controller: None,
        block_owner_deletion: Some(true),
    }
}

/// What a NodeClaim gets from its instance. One that somebody has made by hand is held from now on.
pub(crate) fn labelled(claim: &NodeClaim, labels: &BTreeMap<String, String>) -> Value {
    let held =
        with_finalizer(&claim.metadata, FINALIZER).filter(|_| claim.metadata.deletion_timestamp.is_none());
    let mut patch = held.unwrap_or_else(|| json!({ "metadata": {} }));
    patch["metadata"]["labels"] = json!(labels);
    patch
}

/// Whether our finalizer holds an object.
pub(crate) fn is_held(metadata: &ObjectMeta) -> bool {
    metadata.finalizers.iter().flatten().any(|one| one == FINALIZER)
}

/// Whether a NodeClaim has another instance already, which somebody else has launched.
pub(crate) fn has_another(status: Option<&NodeClaimStatus>, instance: &core::Instance) -> bool {
    let known = status.and_then(|status| status.provider_id.as_deref()).filter(|known| !known.is_empty());
    known.is_some_and(|known| known != instance.provider_id)
}

/// Writes into a NodeClaim's status which instance it has. What is there stays: pods may run on it.
pub(crate) fn launched(status: &mut NodeClaimStatus, instance: &core::Instance, now: Timestamp) {
    if has_another(Some(status), instance) {
        return;
    }
    status.provider_id = Some(instance.provider_id.clone());
    status.capacity = Some(quantities(&instance.capacity));
    status.allocatable = Some(quantities(&instance.allocatable));
    set_true(&mut status.conditions, LAUNCHED, now);
    for waits in [REGISTERED, INITIALIZED, READY] {
        if conditions::find(&status.conditions, waits).is_none() {
            set(&mut status.conditions, waits, ("Unknown", "AwaitingReconciliation", ""), now);
        }
    }
}

/// Writes into a NodeClaim or its Node that it is on demand; `None` when it does not say that it is reserved.
pub(crate) fn demoted(metadata: &ObjectMeta) -> Option<Value> {
    let label = |key: &str| metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let is_reserved =
        label(labels::CAPACITY_TYPE).is_some_and(|label| label == CapacityType::Reserved.label());
    (is_reserved || label(labels::RESERVATION_ID).is_some()).then(|| {
        json!({ "metadata": { "resourceVersion": metadata.resource_version, "labels": {
            labels::CAPACITY_TYPE: CapacityType::OnDemand.label(),
            labels::RESERVATION_ID: null,
            labels::RESERVATION_TYPE: null,
        } } })
    })
}

/// Writes into a NodeClaim's status which Node it has.
pub(crate) fn registered(status: &mut NodeClaimStatus, node: &str, now: Timestamp) {
    status.node_name = Some(node.to_owned());
    set_true(&mut status.conditions, REGISTERED, now);
}

/// Writes into a NodeClaim's status that it is being replaced.
pub(crate) fn replaced(status: &mut NodeClaimStatus, now: Timestamp) {
    set(&mut status.conditions, DISRUPTION_REASON, ("True", DRIFTED, ""), now);
}

/// Takes out of a NodeClaim's status that it is being replaced.
pub(crate) fn kept(status: &mut NodeClaimStatus) {
    status.conditions.retain(|condition| condition.type_ != DISRUPTION_REASON);
}

/// Writes into a NodeClaim when its drain must be over; `None` when that is there already, or an earlier time.
pub(crate) fn ended_by(claim: &NodeClaim, at: Timestamp) -> Option<Value> {
    let known = conditions::terminate_by(&claim.metadata);
    known.is_none_or(|known| known > at).then(|| {
        let at = conditions::time(at).0.to_string();
        json!({ "metadata": {
            "resourceVersion": claim.metadata.resource_version,
            "annotations": { labels::TERMINATION_TIMESTAMP: at },
        } })
    })
}

/// Writes into a NodeClaim's status that its Node is ready for pods.
pub(crate) fn initialized(status: &mut NodeClaimStatus, now: Timestamp) {
    set_true(&mut status.conditions, INITIALIZED, now);
    set_true(&mut status.conditions, READY, now);
}

fn set_true(conditions: &mut Vec<Condition>, type_: &str, now: Timestamp) {
    set(conditions, type_, ("True", type_, ""), now);
}

/// Sets a condition: its status, its reason and its message. The time of the last transition changes with the status
/// alone.
pub(crate) fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    (status, reason, message): (&str, &str, &str),
    now: Timestamp,
) {
    let last = conditions.iter().position(|condition| condition.type_ == type_);
    let since = last.map(|at| &conditions[at]).filter(|known| known.status == status);
    let condition = Condition {
        last_transition_time: since
            .map_or_else(|| conditions::time(now), |known| known.last_transition_time.clone()),
        message: message.to_owned(),
        observed_generation: None,
        reason: reason.to_owned(),
        status: status.to_owned(),
        type_: type_.to_owned(),
    };
    match last {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
}

/// What a Node that has joined gets from its NodeClaim. It keeps the unregistered taint.
pub(crate) fn joined(node: &Node, claim: &NodeClaim) -> Value {
    let metadata = &node.metadata;
    let claim_name = claim.metadata.name.clone().unwrap_or_default();
    let mut finalizers = metadata.finalizers.clone().unwrap_or_default();
    if !is_held(metadata) {
        finalizers.push(FINALIZER.to_owned());
    }
    let mut owners = metadata.owner_references.clone().unwrap_or_default();
    if let Some(uid) = &claim.metadata.uid
        && !owners.iter().any(|one| one.uid == *uid)
    {
        owners.push(owner("NodeClaim", &claim_name, uid.clone()));
    }
    let taints = if is(metadata, labels::DO_NOT_SYNC_TAINTS) || is_registered(node) {
        taints_of(node).to_vec()
    } else {
        with_taints(taints_of(node), claim.spec.taints.iter().chain(&claim.spec.startup_taints))
    };
    json!({
        "metadata": {
            "resourceVersion": metadata.resource_version,
            "labels": claim.metadata.labels,
            "annotations": claim.metadata.annotations,
            "finalizers": finalizers,
            "ownerReferences": owners,
        },
        "spec": { "taints": taints },
    })
}

/// Whether a Node has been given everything that it gets when it joins.
pub(crate) fn is_registered(node: &Node) -> bool {
    is(&node.metadata, labels::REGISTERED)
}

fn is(metadata: &ObjectMeta, label: &str) -> bool {
    metadata.labels.as_ref().and_then(|labels| labels.get(label)).is_some_and(|value| value == "true")
}

/// Opens a Node that has joined for pods.
pub(crate) fn opened(node: &Node) -> Value {
    let taints = without_taint(taints_of(node), labels::UNREGISTERED_TAINT);
    json!({
        "metadata": {
            "resourceVersion": node.metadata.resource_version,
            "labels": { labels::REGISTERED: "true" },
        },
        "spec": { "taints": taints },
    })
}

/// Keeps new pods off a Node; `None` when it does so already.
pub(crate) fn cordoned(node: &Node) -> Option<Value> {
    if has_taint(node, labels::DISRUPTED_TAINT) {
        return None;
    }
    let mut taints = taints_of(node).to_vec();
    taints.push(NodeTaint {
        key: labels::DISRUPTED_TAINT.to_owned(),
        value: None,
        effect: "NoSchedule".to_owned(),
        time_added: None,
    });
    Some(json!({
        "metadata": {
            "resourceVersion": node.metadata.resource_version,
            "labels": { EXCLUDE_FROM_BALANCERS: "karpenter" },
        },
        "spec": { "taints": taints },
    }))
}

/// Lets new pods on a Node again; `None` when it does so already.
pub(crate) fn uncordoned(node: &Node) -> Option<Value> {
    has_taint(node, labels::DISRUPTED_TAINT).then(|| {
        json!({
            "metadata": {
                "resourceVersion": node.metadata.resource_version,
                "labels": { EXCLUDE_FROM_BALANCERS: null },
            },
            "spec": { "taints": without_taint(taints_of(node), labels::DISRUPTED_TAINT) },
        })
    })
}

/// Gives a living Node taints and takes others off; `None` when it is so already.
pub(crate) fn retainted(node: &Node, retaint: &Retaint) -> Option<Value> {
    let before = taints_of(node);
    let is_meant = |known: &NodeTaint, taints: &[Taint]| {
        taints.iter().any(|taint| known.key == taint.key && known.effect == format!("{:?}", taint.effect))
    };
    let stays = |known: &&NodeTaint| !is_meant(known, &retaint.remove) && !is_meant(known, &retaint.add);
    let added = retaint.add.iter().map(|taint| {
        let effect = format!("{:?}", taint.effect);
        let same = |known: &&NodeTaint| {
            known.key == taint.key
                && known.effect == effect
                && known.value.as_deref().unwrap_or_default() == taint.value
        };
        // One that is there keeps the time since when it is.
        before.iter().find(same).cloned().unwrap_or_else(|| NodeTaint {
            key: taint.key.clone(),
            value: Some(taint.value.clone()).filter(|value| !value.is_empty()),
            effect: effect.clone(),
            time_added: None,
        })
    });
    let taints: Vec<NodeTaint> = before.iter().filter(stays).cloned().chain(added).collect();
    if taints == before {
        return None;
    }
    Some(json!({
        "metadata": { "resourceVersion": node.metadata.resource_version },
        "spec": { "taints": taints },
    }))
}

/// Lets go of an object; `None` when nobody of ours holds it.
pub(crate) fn released(metadata: &ObjectMeta) -> Option<Value> {
    without_finalizer(metadata, FINALIZER)
}

/// Takes a finalizer off; `None` when it is not there.
pub(crate) fn without_finalizer(metadata: &ObjectMeta, finalizer: &str) -> Option<Value> {
    let finalizers = metadata.finalizers.as_ref()?;
    finalizers.iter().any(|one| one == finalizer).then(|| {
        let left: Vec<&String> = finalizers.iter().filter(|one| *one != finalizer).collect();
        json!({ "metadata": { "resourceVersion": metadata.resource_version, "finalizers": left } })
    })
}

/// Puts a finalizer on; `None` when it is there.
pub(crate) fn with_finalizer(metadata: &ObjectMeta, finalizer: &str) -> Option<Value> {
    let mut finalizers = metadata.finalizers.clone().unwrap_or_default();
    (!finalizers.iter().any(|one| one == finalizer)).then(|| {
        finalizers.push(finalizer.to_owned());
        json!({ "metadata": { "resourceVersion": metadata.resource_version, "finalizers": finalizers } })
    })
}

fn taints_of(node: &Node) -> &[NodeTaint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

/// Whether a Node has a taint with this key.
pub(crate) fn has_taint(node: &Node, key: &str) -> bool {
    taints_of(node).iter().any(|taint| taint.key == key)
}

fn without_taint(taints: &[NodeTaint], key: &str) -> Vec<NodeTaint> {
    taints.iter().filter(|taint| taint.key != key).cloned().collect()
}

/// A taint is known by its key and effect: what is there is not put there twice.
fn with_taints<'a>(taints: &[NodeTaint], more: impl Iterator<Item = &'a template::Taint>) -> Vec<NodeTaint> {
    let mut taints = taints.to_vec();
    for taint in more {
        let effect = format!("{:?}", taint.effect);
        if !taints.iter().any(|known| known.key == taint.key && known.effect == effect) {
            taints.push(NodeTaint {
                key: taint.key.clone(),
                value: taint.value.clone().filter(|value| !value.is_empty()),
                effect,
                time_added: None,
            });
        }
    }
    taints
}

#[cfg(test)]
mod tests;
