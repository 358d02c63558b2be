//! NodePools and what the core needs of their EC2NodeClass.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::instance_type::InstanceType;
use super::requirement::{Requirement, Taint};
use super::resources::Resources;
use super::time::{Duration, Timestamp};
use crate::cron::Schedule;

/// A kind of node that may be launched, with its limits and its rules for disruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePool {
    /// The pool's name: its identity.
    pub name: String,
    /// 0 to 100; heavier pools are tried first.
    pub weight: u32,
    /// The EC2NodeClass its nodes are launched with.
    pub node_class: String,
    /// What its nodes must be like.
    pub requirements: Vec<Requirement>,
    /// The labels its nodes carry.
    pub labels: BTreeMap<String, String>,
    /// The annotations its nodes carry.
    pub annotations: BTreeMap<String, String>,
    /// The taints its nodes carry.
    pub taints: Vec<Taint>,
    /// Taints its nodes start with and that somebody else removes.
    pub startup_taints: Vec<Taint>,
    /// How much of each resource all its nodes together may have. A resource that is absent is unlimited.
    pub limits: BTreeMap<String, u64>,
    /// When and how its nodes may be disrupted.
    pub disruption: Disruption,
    /// How long a node may live.
    pub expire_after: Option<Duration>,
    /// How long a drain may take.
    pub termination_grace_period: Option<Duration>,
    /// A fixed number of nodes; `None` for a pool that follows its pods.
    pub replicas: Option<u64>,
    /// Whether the pool and its class are valid and ready.
    pub ready: bool,
    /// Whether its deletion was asked for.
    pub deleting: bool,
}

/// The limit that counts nodes rather than what they have.
pub const NODES: &str = "nodes";

/// When and how nodes of a pool may be disrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disruption {
    /// How long a node must be quiet before it may move; `None` for never.
    pub consolidate_after: Option<Duration>,
    /// Which nodes may move.
    pub policy: ConsolidationPolicy,
    /// How many may move at once.
    pub budgets: Vec<Budget>,
}

/// Which nodes may be consolidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsolidationPolicy {
    /// Only nodes without pods of their own.
    WhenEmpty,
    /// Nodes whose pods can be had for less elsewhere.
    WhenEmptyOrUnderutilized,
    /// As above, when the saving outweighs the disruption.
    Balanced,
}

/// How many nodes of a pool may be disrupted at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many.
    pub nodes: BudgetNodes,
    /// For which reasons; empty for all.
    pub reasons: Vec<DisruptionReason>,
    /// When; `None` for always.
    pub window: Option<BudgetWindow>,
}

/// A number of nodes, or a share of a pool's nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetNodes {
    /// So many.
    Count(u64),
    /// So many of a hundred, rounded up.
    Percent(u8),
}

/// A recurring span of time in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetWindow {
    /// When it opens, as a cron expression with five fields.
    pub schedule: String,
    /// How long it stays open.
    pub duration: Duration,
}

impl BudgetWindow {
    /// Whether it is open at `now`: it was last opened no longer ago than it stays open. A schedule that cannot be
    /// read opens nothing and closes nothing: `None`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> Option<bool> {
        let schedule = Schedule::parse(&self.schedule)?;
        let opened = schedule.next(now - self.duration);
        Some(opened.is_some_and(|opened| opened <= now))
    }
}

/// Why a node is disrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DisruptionReason {
    /// Its pods can be had for less elsewhere.
    Underutilized,
    /// It has no pods of its own.
    Empty,
    /// It is not what its NodePool or EC2NodeClass asks for any more.
    Drifted,
}

/// What the core needs of an EC2NodeClass: the instance types it can launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeClass {
    /// The class's name: its identity.
    pub name: String,
    /// Whether it is valid and ready.
    pub ready: bool,
    /// The fingerprint of what its instances are given once and for all; `None` where nobody took one.
    pub fingerprint: Option<Fingerprint>,
    /// What it can launch, with capacity and overhead computed from its settings.
    pub instance_types: Arc<[InstanceType]>,
}

/// A DaemonSet: pods that every matching node will have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonSet {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What each of its pods looks like.
    pub spec: Arc<super::pod::PodSpec>,
}

/// A PodDisruptionBudget with its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodDisruptionBudget {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The pods it covers; `None` covers none.
    pub selector: Option<super::pod::LabelSelector>,
    /// How many of them may be evicted now.
    pub disruptions_allowed: u32,
    /// Whether pods that are not ready may be evicted regardless (`unhealthyPodEvictionPolicy: AlwaysAllow`).
    pub always_allow_unready: bool,
    /// Whether it never allows a disruption (`maxUnavailable: 0` or `minAvailable: 100%`).
    pub blocks_always: bool,
}

/// What a PersistentVolumeClaim asks of the node that its pod runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeClaim {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The PersistentVolume that it has, by name.
    pub volume: Option<String>,
    /// Where its volume is or may be made.
    pub binding: VolumeBinding,
    /// The CSI driver that attaches its volume to a node; `None` where nothing is attached, as with NFS.
    pub driver: Option<String>,
}

/// Where a volume is or may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeBinding {
    /// On nodes that fulfil one of these alternatives; empty for anywhere.
    Nodes(Vec<Vec<Requirement>>),
    /// Nowhere, and why: the claim is lost, its StorageClass is missing, ….
    Impossible(String),
}

impl NodePool {
    /// What one more node with `capacity` would take of the pool's limits: the first limit that it would break,
    /// when `used` is taken already.
    #[must_use]
    pub fn broken_limit(&self, used: &Resources, used_nodes: u64, capacity: &Resources) -> Option<&str> {
        self.limits
            .iter()
            .find(|(name, limit)| {
                let wanted = match name.as_str() {
                    NODES => used_nodes.saturating_add(1),
                    other => used.get(other).saturating_add(capacity.get(other)),
                };
                wanted > **limit
            })
            .map(|(name, _)| name.as_str())
    }
}
