//! Nodes and NodeClaims: what runs, and what was asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fingerprint::MadeFrom;
use super::instance_type::CapacityType;
use super::price::Price;
use super::requirement::{Requirement, Taint};
use super::resources::Resources;
use super::time::{Duration, Timestamp};

/// A Kubernetes Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The node's name.
    pub name: String,
    /// The instance behind it: `aws:///<zone>/<instance id>`.
    pub provider_id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// What the kubelet reports as there.
    pub capacity: Resources,
    /// What the kubelet reports as left for pods.
    pub allocatable: Resources,
    /// Whether the kubelet reports the node as ready.
    pub ready: bool,
    /// What else it reports about its health, as far as it is a reason to repair a node.
    pub conditions: Vec<NodeCondition>,
    /// Whether the node asks to be left alone.
    pub do_not_disrupt: bool,
    /// Whether it stays, once deleted, until whoever launched its instance lets it go.
    pub held: bool,
    /// When the object was made.
    pub created: Timestamp,
    /// When its deletion was asked for.
    pub deleting: Option<Timestamp>,
}

/// What a Node reports about its health.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeCondition {
    /// What about: `Ready`, `StorageReady`, ….
    pub kind: String,
    /// What it says.
    pub status: ConditionStatus,
    /// Since when.
    pub since: Timestamp,
}

/// What a condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody knows: the kubelet is silent.
    Unknown,
}

/// A volume that is attached to a node, or about to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VolumeAttachment {
    /// The object's name.
    pub name: String,
    /// The Node's name.
    pub node: String,
    /// The PersistentVolume's name; `None` for one that a pod's own line describes.
    pub volume: Option<String>,
}

/// How many volumes a node can attach: what the kubelet's CSINode says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeLimits {
    /// The Node's name.
    pub node: String,
    /// How many volumes of each CSI driver; a driver that is not listed has no limit.
    pub drivers: BTreeMap<String, u32>,
}

/// A NodeClaim: one node that we asked for, from the decision to its end. The default asks for nothing and has no name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeClaim {
    /// The claim's name: its identity.
    pub name: String,
    /// The NodePool it was made from.
    pub node_pool: String,
    /// The EC2NodeClass it is launched with.
    pub node_class: String,
    /// The labels that its node will carry.
    pub labels: BTreeMap<String, String>,
    /// What the instance must be like.
    pub requirements: Vec<Requirement>,
    /// Whether the NodePool's minimum of distinct values had to be lowered for it.
    pub min_values_relaxed: bool,
    /// The taints that its node will carry.
    pub taints: Vec<Taint>,
    /// Taints that its node starts with and that somebody else removes.
    pub startup_taints: Vec<Taint>,
    /// What the pods it was made for ask for.
    pub requests: Resources,
    /// The instance, once there is one.
    pub instance: Option<Instance>,
    /// The name of its Node, once it has joined.
    pub node: Option<String>,
    /// When the object was made.
    pub created: Timestamp,
    /// When its node joined and got its labels and taints.
    pub registered: Option<Timestamp>,
    /// When its node was ready for pods.
    pub initialized: Option<Timestamp>,
    /// When a pod was last bound to it, ended on it or began to leave it; DaemonSet pods do not count.
    pub last_pod_event: Option<Timestamp>,
    /// When its deletion was asked for.
    pub deleting: Option<Timestamp>,
    /// How long the node may live.
    pub expire_after: Option<Duration>,
    /// How long a drain may take.
    pub termination_grace_period: Option<Duration>,
    /// Whether the claim asks to be left alone.
    pub do_not_disrupt: bool,
    /// What it was made from.
    pub made_from: MadeFrom,
    /// Since when it is known not to be what its NodePool or EC2NodeClass asks for any more.
    pub drifted: Option<Timestamp>,
    /// Since when its replacement is under way: it goes when its pods have places elsewhere.
    pub disrupted: Option<Timestamp>,
    /// When its drain must be over, where somebody has said so already.
    pub terminate_by: Option<Timestamp>,
}

/// An EC2 instance that was launched for a NodeClaim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// `aws:///<zone>/<instance id>`.
    pub provider_id: String,
    /// The instance type.
    pub instance_type: String,
    /// The zone it runs in.
    pub zone: String,
    /// How it is bought.
    pub capacity_type: CapacityType,
    /// The capacity reservation that it is bought from, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<String>,
    /// What it costs.
    pub price: Price,
    /// What the kubelet will report as there.
    pub capacity: Resources,
    /// What will be left for pods.
    pub allocatable: Resources,
    /// When it was launched.
    pub launched: Timestamp,
}
