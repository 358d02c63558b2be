//! The settings of the kubelet that an EC2NodeClass may change, as Karpenter 1.14 types them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::shape;

/// Settings of the kubelet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.imageGCHighThresholdPercent) && has(self.imageGCLowThresholdPercent) ? self.imageGCHighThresholdPercent > self.imageGCLowThresholdPercent : true")
        .message("'imageGCHighThresholdPercent' above 'imageGCLowThresholdPercent'"),
    validation = Rule::new("has(self.evictionSoft) ? has(self.evictionSoftGracePeriod) && self.evictionSoft.all(e, e in self.evictionSoftGracePeriod) : true")
        .message("an 'evictionSoftGracePeriod' for every signal of 'evictionSoft'"),
    validation = Rule::new("has(self.evictionSoftGracePeriod) ? has(self.evictionSoft) && self.evictionSoftGracePeriod.all(e, e in self.evictionSoft) : true")
        .message("an 'evictionSoft' for every signal of 'evictionSoftGracePeriod'")
)]
pub struct Kubelet {
    /// The addresses of the cluster's DNS servers.
    #[serde(rename = "clusterDNS", default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_dns: Vec<String>,
    /// How many pods a node may have at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 0))]
    pub max_pods: Option<i32>,
    /// How many pods a node may have for each of its CPUs at most; 0 for no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 0))]
    pub pods_per_core: Option<i32>,
    /// What is kept for the system's daemons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "reserved")]
    pub system_reserved: Option<BTreeMap<String, Quantity>>,
    /// What is kept for Kubernetes' daemons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "reserved")]
    pub kube_reserved: Option<BTreeMap<String, Quantity>>,
    /// Thresholds below which pods are evicted at once, as quantities or percentages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "thresholds")]
    pub eviction_hard: Option<BTreeMap<String, String>>,
    /// Thresholds below which pods are evicted after a grace period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "thresholds")]
    pub eviction_soft: Option<BTreeMap<String, String>>,
    /// The grace periods of the soft thresholds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "grace_periods")]
    pub eviction_soft_grace_period: Option<BTreeMap<String, String>>,
    /// The longest grace period in seconds that a pod gets when a soft threshold is met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32")]
    pub eviction_max_pod_grace_period: Option<i32>,
    /// How full the disk may get before images are always removed, in percent.
    #[serde(rename = "imageGCHighThresholdPercent", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 0, max = 100))]
    pub image_gc_high_threshold_percent: Option<i32>,
    /// How full the disk must be for images to be removed at all, in percent.
    #[serde(rename = "imageGCLowThresholdPercent", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 0, max = 100))]
    pub image_gc_low_threshold_percent: Option<i32>,
    /// Whether CPU limits are enforced.
    #[serde(rename = "cpuCFSQuota", default, skip_serializing_if = "Option::is_none")]
    pub cpu_cfs_quota: Option<bool>,
}

/// The signals that the kubelet evicts by.
const SIGNALS: &str = "['memory.available', 'nodefs.available', 'nodefs.inodesFree', 'imagefs.available', 'imagefs.inodesFree', 'pid.available']";

fn signal_rule() -> serde_json::Value {
    json!({ "rule": format!("self.all(x, x in {SIGNALS})"), "message": format!("only the signals {SIGNALS}") })
}

/// What is kept of each resource.
fn reserved(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "pattern": shape::QUANTITY },
        "x-kubernetes-validations": [
            {
                "rule": "self.all(x, x in ['cpu', 'memory', 'ephemeral-storage', 'pid'])",
                "message": "only the resources 'cpu', 'memory', 'ephemeral-storage' and 'pid'",
            },
            { "rule": "self.all(x, !self[x].startsWith('-'))", "message": "no negative quantity" },
        ],
    })
}

/// A threshold for each signal.
fn thresholds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "pattern": shape::QUANTITY_OR_PERCENT },
        "x-kubernetes-validations": [signal_rule()],
    })
}

/// A grace period for each signal.
fn grace_periods(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string" },
        "x-kubernetes-validations": [signal_rule()],
    })
}
