//! What NodePools and NodeClaims have in common: the class they refer to, and taints.

#![expect(unreachable_pub, reason = "kube's derive copies the types into functions")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{rules, shape};

/// The object that says how instances are launched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct NodeClassRef {
    /// The API group of the class: `karpenter.k8s.aws`.
    #[x_kube(validation = Rule::new(rules::NOT_EMPTY).message("a group, not an empty text"))]
    #[schemars(regex(pattern = "^[^/]*$"))]
    pub group: String,
    /// The kind of the class: `EC2NodeClass`.
    #[x_kube(validation = Rule::new(rules::NOT_EMPTY).message("a kind, not an empty text"))]
    pub kind: String,
    /// The name of the class.
    #[x_kube(validation = Rule::new(rules::NOT_EMPTY).message("a name, not an empty text"))]
    pub name: String,
}

/// A mark on a node that keeps pods away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// The taint's key.
    #[schemars(schema_with = "shape::taint_key")]
    pub key: String,
    /// The taint's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::taint_value")]
    pub value: Option<String>,
    /// What the taint does to pods that do not tolerate it.
    pub effect: TaintEffect,
    /// When the taint was added. Kubernetes writes it for NoExecute taints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_added: Option<Time>,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum TaintEffect {
    /// They are not scheduled here.
    NoSchedule,
    /// They are scheduled here only when nothing else is left.
    PreferNoSchedule,
    /// They are not scheduled here, and are evicted if they run here.
    NoExecute,
}

/// How a requirement compares a label's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Operator {
    /// The value is one of those listed.
    In,
    /// The value is none of those listed, or the label is absent.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The value is an integer above the one listed.
    Gt,
    /// The value is an integer below the one listed.
    Lt,
    /// The value is an integer not below the one listed.
    Gte,
    /// The value is an integer not above the one listed.
    Lte,
}
