//! The custom resource NodePool, `karpenter.sh/v1`.
//!
//! Fields, defaults and rules are those of Karpenter 1.14. Where the next release is laxer (`consolidateAfter` may be
//! left out), this follows it.

#![expect(unreachable_pub, reason = "kube's derive copies the types into functions")]
#![expect(clippy::duplicated_attributes, reason = "every print column has a type, and several have the same")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::template::{NodeClassRef, Operator, Taint};
use crate::{rules, shape};

/// A kind of node that may be launched, with its limits and its rules for disruption.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "karpenter.sh",
    version = "v1",
    kind = "NodePool",
    plural = "nodepools",
    category = "karpenter",
    status = "NodePoolStatus",
    derive = "PartialEq",
    doc = "A kind of node that may be launched, with its limits and its rules for disruption.",
    scale(spec_replicas_path = ".spec.replicas", status_replicas_path = ".status.nodes"),
    printcolumn(name = "NodeClass", type_ = "string", json_path = ".spec.template.spec.nodeClassRef.name"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodes"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Weight", type_ = "integer", json_path = ".spec.weight", priority = 1),
    printcolumn(name = "CPU", type_ = "string", json_path = ".status.resources.cpu", priority = 1),
    printcolumn(name = "Memory", type_ = "string", json_path = ".status.resources.memory", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.replicas) == has(oldSelf.replicas)")
        .message("'replicas' set where it was set before and absent where it was absent"),
    validation = Rule::new("!has(self.replicas) || !has(self.limits) || self.limits.all(k, k == 'nodes')")
        .message("no limit but 'nodes' in a NodePool with 'replicas'"),
    validation = Rule::new("!has(self.replicas) || !has(self.weight)")
        .message("no 'weight' in a NodePool with 'replicas'")
)]
pub struct NodePoolSpec {
    /// What nodes of this pool are like.
    pub template: NodeClaimTemplate,
    /// When and how nodes of this pool may be disrupted.
    #[serde(default)]
    pub disruption: Disruption,
    /// How much of each resource all nodes of this pool together may have; `nodes` counts nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::quantities")]
    pub limits: Option<BTreeMap<String, Quantity>>,
    /// Heavier pools are tried first. A pool without a weight has the weight 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 1, max = 100))]
    pub weight: Option<i32>,
    /// A fixed number of nodes, for a pool that does not follow its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int64", range(min = 0))]
    pub replicas: Option<i64>,
}

/// What nodes of a pool are like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeClaimTemplate {
    /// Labels and annotations of the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// What the nodes must be like.
    pub spec: NodeClaimTemplateSpec,
}

/// Labels and annotations of the nodes of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateMetadata {
    /// Labels that the nodes carry; they are requirements as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "shape::pool_labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations that the nodes carry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the nodes of a pool must be like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeClaimTemplateSpec {
    /// The object that says how instances are launched.
    #[x_kube(
        validation = Rule::new("self.group == oldSelf.group").message("the 'group' that it was made with"),
        validation = Rule::new("self.kind == oldSelf.kind").message("the 'kind' that it was made with")
    )]
    pub node_class_ref: NodeClassRef,
    /// Conditions on the labels of the nodes.
    #[x_kube(
        validation = Rule::new(rules::IN_HAS_VALUES).message(rules::IN_HAS_VALUES_MESSAGE),
        validation = Rule::new(rules::COMPARISON_HAS_INTEGER).message(rules::COMPARISON_HAS_INTEGER_MESSAGE),
        validation = Rule::new(rules::ENOUGH_VALUES).message(rules::ENOUGH_VALUES_MESSAGE)
    )]
    #[schemars(length(max = 100))]
    pub requirements: Vec<PoolRequirement>,
    /// Taints that the nodes carry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// Taints that the nodes start with and that somebody else removes. Pods need not tolerate them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub startup_taints: Vec<Taint>,
    /// How long a drain may take before the node is taken away regardless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = shape::DURATION))]
    pub termination_grace_period: Option<String>,
    /// How long a node may live; `Never` for as long as it likes.
    #[serde(default = "month")]
    #[schemars(regex(pattern = shape::DURATION_OR_NEVER))]
    pub expire_after: String,
}

/// A condition on a label of the nodes of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolRequirement {
    /// The label's key.
    #[schemars(schema_with = "shape::pool_requirement_key")]
    pub key: String,
    /// How the label's value is compared.
    pub operator: Operator,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "shape::requirement_values")]
    pub values: Vec<String>,
    /// How many distinct values must remain among the instance types of a launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 1, max = 50))]
    pub min_values: Option<i32>,
}

/// When and how nodes of a pool may be disrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disruption {
    /// How long no pod must have come or gone before a node may be consolidated; `Never` for not at all.
    #[serde(default = "at_once")]
    #[schemars(regex(pattern = shape::DURATION_OR_NEVER))]
    pub consolidate_after: String,
    /// Which nodes may be consolidated.
    #[serde(default)]
    pub consolidation_policy: ConsolidationPolicy,
    /// How many nodes may be disrupted at once; the strictest budget in force counts.
    #[serde(default = "tenth_always")]
    #[x_kube(
        validation = Rule::new("self.all(x, has(x.schedule) == has(x.duration))")
            .message("'schedule' and 'duration' together or neither of them in every budget")
    )]
    #[schemars(length(max = 50))]
    pub budgets: Vec<Budget>,
}

impl Default for Disruption {
    fn default() -> Self {
        Self {
            consolidate_after: at_once(),
            consolidation_policy: ConsolidationPolicy::default(),
            budgets: tenth_always(),
        }
    }
}

/// Which nodes may be consolidated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ConsolidationPolicy {
    /// Only nodes without pods of their own.
    WhenEmpty,
    /// Nodes whose pods can be had for less elsewhere.
    #[default]
    WhenEmptyOrUnderutilized,
    /// As above, when the saving outweighs the disruption.
    Balanced,
}

/// How many nodes of a pool may be disrupted at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// A number of nodes, or a share of the pool's nodes in percent.
    #[serde(default = "tenth")]
    #[schemars(regex(pattern = "^((100|[0-9]{1,2})%|[0-9]+)$"))]
    pub nodes: String,
    /// The reasons for which the budget counts; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub reasons: Option<Vec<BudgetReason>>,
    /// When the budget comes into force, as a cron expression in UTC; always when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = r"^(@(annually|yearly|monthly|weekly|daily|midnight|hourly))|((.+)\s(.+)\s(.+)\s(.+)\s(.+))$"
    ))]
    pub schedule: Option<String>,
    /// How long the budget stays in force, in hours and minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^((([0-9]+(h|m))|([0-9]+h[0-9]+m))(0s)?)$"))]
    pub duration: Option<String>,
}

/// Why a node is disrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum BudgetReason {
    /// Its pods can be had for less elsewhere.
    Underutilized,
    /// It has no pods of its own.
    Empty,
    /// It is not what its NodePool or class asks for any more.
    Drifted,
}

/// What is known of a NodePool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePoolStatus {
    /// What all nodes of the pool together have, `nodes` included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::quantities")]
    pub resources: Option<BTreeMap<String, Quantity>>,
    /// How many nodes the pool has.
    #[serde(default)]
    #[schemars(schema_with = "shape::int64")]
    pub nodes: i64,
    /// The generation of the class that was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int64")]
    pub node_class_observed_generation: Option<i64>,
    /// Whether the pool is valid and its class ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

pub(crate) fn month() -> String {
    "720h".to_owned()
}

fn at_once() -> String {
    "0s".to_owned()
}

fn tenth() -> String {
    "10%".to_owned()
}

fn tenth_always() -> Vec<Budget> {
    vec![Budget { nodes: tenth(), reasons: None, schedule: None, duration: None }]
}
