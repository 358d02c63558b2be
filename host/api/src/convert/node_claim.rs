//! NodeClaims, to the core and back.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels;
use whittle_core::model::node as core;
use whittle_core::model::price::Price;
use whittle_core::model::time::Timestamp;

use super::fingerprint;
use super::node_pool::{span, span_or_never};
use super::requirement::{api_operator, api_taint, requirement, taint};
use crate::conditions::{self, DISRUPTION_REASON, DRIFTED, INITIALIZED, LAUNCHED, READY, REGISTERED};
use crate::duration;
use crate::node_claim::{ClaimRequirement, ClaimResources, NodeClaim, NodeClaimSpec, NodeClaimStatus};
use crate::problem::{At, Defect};
use crate::quantity::{quantities, resources};
use crate::template::NodeClassRef;

/// The group of the class that a claim refers to.
const CLASS_GROUP: &str = "karpenter.k8s.aws";
/// The kind of the class that a claim refers to.
const CLASS_KIND: &str = "EC2NodeClass";

/// A NodeClaim as the core has it. The price of its instance is not known to Kubernetes and is left at zero.
///
/// # Errors
///
/// All quantities and spans of time that cannot be read.
pub fn node_claim(claim: &NodeClaim) -> Result<core::NodeClaim, Vec<Defect>> {
    let mut defects = Vec::new();
    let root = At::Root;
    let at = root.key("spec");
    let NodeClaim { metadata, spec, status } = claim;
    let status = status.clone().unwrap_or_default();
    let created = metadata.creation_timestamp.as_ref().map(conditions::timestamp).unwrap_or_default();
    let labels = metadata.labels.clone().unwrap_or_default();
    let requests = spec.resources.as_ref().map(|resources| &resources.requests);
    let resources_at = at.key("resources");
    let converted = core::NodeClaim {
        name: metadata.name.clone().unwrap_or_default(),
        node_pool: labels.get(labels::NODE_POOL).cloned().unwrap_or_default(),
        node_class: spec.node_class_ref.name.clone(),
        requirements: spec
            .requirements
            .iter()
            .map(|one| requirement(&one.key, one.operator, &one.values, one.min_values))
            .collect(),
        min_values_relaxed: is_true(metadata, labels::MIN_VALUES_RELAXED),
        taints: spec.taints.iter().map(taint).collect(),
        startup_taints: spec.startup_taints.iter().map(taint).collect(),
        requests: resources(requests, &resources_at.key("requests"), &mut defects),
        instance: instance(&status, &labels, created, &mut defects),
        labels,
        node: status.node_name.clone().filter(|name| !name.is_empty()),
        created,
        registered: conditions::true_since(&status.conditions, REGISTERED),
        initialized: conditions::true_since(&status.conditions, INITIALIZED),
        last_pod_event: status.last_pod_event_time.as_ref().map(conditions::timestamp),
        deleting: metadata.deletion_timestamp.as_ref().map(conditions::timestamp),
        expire_after: span_or_never(&spec.expire_after, &at.key("expireAfter"), &mut defects),
        termination_grace_period: spec
            .termination_grace_period
            .as_deref()
            .and_then(|text| span(text, &at.key("terminationGracePeriod"), &mut defects)),
        do_not_disrupt: super::node::asks_to_be_left_alone(metadata.annotations.as_ref()),
        made_from: fingerprint::made_from(metadata),
        drifted: conditions::true_since(&status.conditions, DRIFTED),
        disrupted: conditions::find(&status.conditions, DISRUPTION_REASON)
            .filter(|condition| condition.status == "True" && condition.reason == DRIFTED)
            .map(|condition| conditions::timestamp(&condition.last_transition_time)),
        terminate_by: conditions::terminate_by(metadata),
    };
    if defects.is_empty() { Ok(converted) } else { Err(defects) }
}

/// Whether an annotation says `true`.
fn is_true(metadata: &ObjectMeta, annotation: &str) -> bool {
    let annotations = metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(annotation)).is_some_and(|value| value == "true")
}

fn instance(
    status: &NodeClaimStatus,
    labels: &BTreeMap<String, String>,
    created: Timestamp,
    defects: &mut Vec<Defect>,
) -> Option<core::Instance> {
    let provider_id = status.provider_id.clone().filter(|id| !id.is_empty())?;
    let root = At::Root;
    let at = root.key("status");
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let zone_of_id = || provider_id.strip_prefix("aws:///").and_then(|rest| rest.split('/').next());
    let zone =
        labels.get(labels::ZONE).map(String::as_str).or_else(zone_of_id).unwrap_or_default().to_owned();
    Some(core::Instance {
        instance_type: label(labels::INSTANCE_TYPE),
        zone,
        capacity_type: labels
            .get(labels::CAPACITY_TYPE)
            .and_then(|label| CapacityType::from_label(label))
            .unwrap_or(CapacityType::OnDemand),
        reservation: labels.get(labels::RESERVATION_ID).cloned(),
        price: Price::ZERO,
        capacity: resources(status.capacity.as_ref(), &at.key("capacity"), defects),
        allocatable: resources(status.allocatable.as_ref(), &at.key("allocatable"), defects),
        launched: conditions::true_since(&status.conditions, LAUNCHED).unwrap_or(created),
        provider_id,
    })
}

/// The custom resource for a claim of the core, its status included.
///
/// The owner reference to the NodePool is the caller's work: it needs the pool's uid.
#[must_use]
pub fn node_claim_from(claim: &core::NodeClaim) -> NodeClaim {
    let mut labels = claim.labels.clone();
    labels.insert(labels::NODE_POOL.to_owned(), claim.node_pool.clone());
    let relaxed = claim.min_values_relaxed.to_string();
    let mut annotations = BTreeMap::from([(labels::MIN_VALUES_RELAXED.to_owned(), relaxed)]);
    annotations.extend(fingerprint::annotations(&claim.made_from));
    if let Some(by) = claim.terminate_by {
        annotations.insert(labels::TERMINATION_TIMESTAMP.to_owned(), conditions::time(by).0.to_string());
    }
    if claim.do_not_disrupt {
        annotations.insert(labels::DO_NOT_DISRUPT.to_owned(), "true".to_owned());
    }
    let metadata = ObjectMeta {
        name: Some(claim.name.clone()),
        labels: Some(labels),
        annotations: Some(annotations),
        creation_timestamp: Some(conditions::time(claim.created)),
        deletion_timestamp: claim.deleting.map(conditions::time),
        ..ObjectMeta::default()
    };
    let requirements = claim.requirements.iter().map(|one| ClaimRequirement {
        key: one.key.clone(),
        operator: api_operator(one.operator),
        values: one.values.clone(),
        min_values: one.min_values.and_then(|count| i32::try_from(count).ok()),
    });
    let spec = NodeClaimSpec {
        taints: claim.taints.iter().map(api_taint).collect(),
        startup_taints: claim.startup_taints.iter().map(api_taint).collect(),
        requirements: requirements.collect(),
        resources: Some(ClaimResources { requests: quantities(&claim.requests) })
            .filter(|resources| !resources.requests.is_empty()),
        node_class_ref: NodeClassRef {
            group: CLASS_GROUP.to_owned(),
            kind: CLASS_KIND.to_owned(),
            name: claim.node_class.clone(),
        },
        termination_grace_period: claim.termination_grace_period.map(|span| span.to_string()),
        expire_after: duration::display_or_never(claim.expire_after),
    };
    NodeClaim { metadata, spec, status: Some(status(claim)) }
}

fn status(claim: &core::NodeClaim) -> NodeClaimStatus {
    let instance = claim.instance.as_ref();
    let launched = instance.map(|instance| instance.launched);
    let all = launched.and(claim.registered).and(claim.initialized);
    let conditions = [
        (LAUNCHED, launched),
        (REGISTERED, claim.registered),
        (INITIALIZED, claim.initialized),
        (READY, all),
    ];
    NodeClaimStatus {
        node_name: claim.node.clone(),
        provider_id: instance.map(|instance| instance.provider_id.clone()),
        image_id: None,
        capacity: instance.map(|instance| quantities(&instance.capacity)),
        allocatable: instance.map(|instance| quantities(&instance.allocatable)),
        conditions: conditions
            .map(|(type_, since)| condition(type_, since, claim.created))
            .into_iter()
            .chain(claim.drifted.map(|since| condition(DRIFTED, Some(since), claim.created)))
            .chain(claim.disrupted.map(|since| Condition {
                reason: DRIFTED.to_owned(),
                ..condition(DISRUPTION_REASON, Some(since), claim.created)
            }))
            .collect(),
        last_pod_event_time: claim.last_pod_event.map(conditions::time),
    }
}

fn condition(type_: &str, since: Option<Timestamp>, created: Timestamp) -> Condition {
    let (status, reason) =
        if since.is_some() { ("True", type_) } else { ("Unknown", "AwaitingReconciliation") };
    Condition {
        last_transition_time: conditions::time(since.unwrap_or(created)),
        message: String::new(),
        observed_generation: None,
        reason: reason.to_owned(),
        status: status.to_owned(),
        type_: type_.to_owned(),
    }
}
