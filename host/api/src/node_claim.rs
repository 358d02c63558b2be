//! The custom resource NodeClaim, `karpenter.sh/v1`.

#![expect(unreachable_pub, reason = "kube's derive copies the types into functions")]
#![expect(clippy::duplicated_attributes, reason = "every print column has a type, and several have the same")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::node_pool::month;
use crate::template::{NodeClassRef, Operator, Taint};
use crate::{rules, shape};

/// One node that was asked for, from the decision to its end. It is never changed.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "karpenter.sh",
    version = "v1",
    kind = "NodeClaim",
    plural = "nodeclaims",
    category = "karpenter",
    status = "NodeClaimStatus",
    derive = "PartialEq",
    doc = "One node that was asked for, from the decision to its end.",
    printcolumn(
        name = "Type",
        type_ = "string",
        json_path = ".metadata.labels.node\\.kubernetes\\.io/instance-type"
    ),
    printcolumn(
        name = "Capacity",
        type_ = "string",
        json_path = ".metadata.labels.karpenter\\.sh/capacity-type"
    ),
    printcolumn(
        name = "Zone",
        type_ = "string",
        json_path = ".metadata.labels.topology\\.kubernetes\\.io/zone"
    ),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.nodeName"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "ImageID", type_ = "string", json_path = ".status.imageID", priority = 1),
    printcolumn(name = "ID", type_ = "string", json_path = ".status.providerID", priority = 1),
    printcolumn(
        name = "NodePool",
        type_ = "string",
        json_path = ".metadata.labels.karpenter\\.sh/nodepool",
        priority = 1
    ),
    printcolumn(name = "NodeClass", type_ = "string", json_path = ".spec.nodeClassRef.name", priority = 1),
    printcolumn(
        name = "Drifted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Drifted\")].status",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(rules::IMMUTABLE).message("the 'spec' that it was made with"))]
pub struct NodeClaimSpec {
    /// Taints that the node carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// Taints that the node starts with and that somebody else removes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub startup_taints: Vec<Taint>,
    /// Conditions on the labels of the node.
    #[x_kube(
        validation = Rule::new(rules::IN_HAS_VALUES).message(rules::IN_HAS_VALUES_MESSAGE),
        validation = Rule::new(rules::COMPARISON_HAS_INTEGER).message(rules::COMPARISON_HAS_INTEGER_MESSAGE),
        validation = Rule::new(rules::ENOUGH_VALUES).message(rules::ENOUGH_VALUES_MESSAGE)
    )]
    #[schemars(length(max = 100))]
    pub requirements: Vec<ClaimRequirement>,
    /// What the pods it was made for ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ClaimResources>,
    /// The object that says how the instance is launched.
    pub node_class_ref: NodeClassRef,
    /// How long a drain may take before the node is taken away regardless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = shape::DURATION))]
    pub termination_grace_period: Option<String>,
    /// How long the node may live; `Never` for as long as it likes.
    #[serde(default = "month")]
    #[schemars(regex(pattern = shape::DURATION_OR_NEVER))]
    pub expire_after: String,
}

/// A condition on a label of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRequirement {
    /// The label's key.
    #[schemars(schema_with = "shape::claim_requirement_key")]
    pub key: String,
    /// How the label's value is compared.
    pub operator: Operator,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "shape::requirement_values")]
    pub values: Vec<String>,
    /// How many distinct values must remain among the instance types of the launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 1, max = 50))]
    pub min_values: Option<i32>,
}

/// What the pods of a claim ask for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimResources {
    /// The sum of the pods' requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "shape::quantities")]
    pub requests: BTreeMap<String, Quantity>,
}

/// What is known of a NodeClaim's node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeClaimStatus {
    /// The name of the Node, once it has joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// The instance, once there is one.
    #[serde(rename = "providerID", default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The image that the instance runs.
    #[serde(rename = "imageID", default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// What the kubelet will report as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::quantities")]
    pub capacity: Option<BTreeMap<String, Quantity>>,
    /// What will be left for pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::quantities")]
    pub allocatable: Option<BTreeMap<String, Quantity>>,
    /// How far the claim is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When a pod was last bound to the node, ended on it or began to leave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pod_event_time: Option<Time>,
}
