//! Everything that can change what is known: one closed list.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::drift::CloudDrift;
use crate::model::node::{Node, NodeClaim, VolumeAttachment, VolumeLimits};
use crate::model::node_pool::{DaemonSet, NodeClass, NodePool, PodDisruptionBudget, VolumeClaim};
use crate::model::pod::Pod;
use crate::model::time::Timestamp;
use crate::plan::Outcome;

/// A change to what is known about the cluster. Objects arrive whole: the newest version replaces the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A NodePool is there or has changed.
    NodePool(Box<NodePool>),
    /// A NodePool is gone.
    NodePoolGone(String),
    /// An EC2NodeClass, its instance types, their prices or their availability are there or have changed.
    NodeClass(NodeClass),
    /// An EC2NodeClass is gone.
    NodeClassGone(String),
    /// A NodeClaim is there or has changed.
    NodeClaim(Box<NodeClaim>),
    /// A NodeClaim is gone.
    NodeClaimGone(String),
    /// A Node is there or has changed.
    Node(Box<Node>),
    /// A Node is gone.
    NodeGone(String),
    /// The number of volumes that a Node can attach is known or has changed.
    VolumeLimits(VolumeLimits),
    /// Nothing is known any more of the volumes that a Node can attach.
    VolumeLimitsGone(String),
    /// A VolumeAttachment is there or has changed.
    VolumeAttachment(VolumeAttachment),
    /// A VolumeAttachment is gone: the volume is detached.
    VolumeAttachmentGone(String),
    /// A pod is there or has changed.
    Pod(Arc<Pod>),
    /// The pod with this uid is gone.
    PodGone(String),
    /// A DaemonSet is there or has changed.
    DaemonSet(DaemonSet),
    /// A DaemonSet is gone.
    DaemonSetGone(ObjectKey),
    /// A PodDisruptionBudget is there or has changed.
    PodDisruptionBudget(PodDisruptionBudget),
    /// A PodDisruptionBudget is gone.
    PodDisruptionBudgetGone(ObjectKey),
    /// A PersistentVolumeClaim, or the volume or StorageClass behind it, is there or has changed.
    VolumeClaim(VolumeClaim),
    /// A PersistentVolumeClaim is gone.
    VolumeClaimGone(ObjectKey),
    /// A Namespace is there or its labels have changed.
    Namespace(String, BTreeMap<String, String>),
    /// EC2 says something about an instance.
    Notice(Notice),
    /// An instance differs from what was found for its EC2NodeClass, or does so no more.
    InstanceDrift {
        /// The instance: `aws:///<zone>/<instance id>`.
        provider_id: String,
        /// In what it differs.
        found: Option<CloudDrift>,
    },
    /// An action came to something.
    Outcome(Outcome),
}

/// The key of an object that lives in a namespace: namespace, then name.
pub type ObjectKey = (String, String);

/// What EC2 says about an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The instance: `aws:///<zone>/<instance id>`.
    pub provider_id: String,
    /// What will happen.
    pub kind: NoticeKind,
    /// When the notice arrived.
    pub received: Timestamp,
    /// When it will happen.
    pub deadline: Timestamp,
}

/// What EC2 will do with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeKind {
    /// Take it back; there are two minutes.
    Reclaim,
    /// It is stopping or ending, whoever asked for it.
    StateChange,
    /// Do something to the machine, such as retire it.
    Maintenance,
    /// Perhaps take it back soon.
    Rebalance,
}
