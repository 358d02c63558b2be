//! What policies are shown of pods and nodes. Copies, in readable words; only the labels that are asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::instance_type::CapacityType;
use crate::model::pod::Owner;
use crate::model::price::Price;
use crate::model::requirement::{Taint, Toleration};
use crate::model::resources::Resources;
use crate::model::time::{Duration, Timestamp};

/// Which labels are to be shown. Labels are what a question costs, so no others are copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Reads {
    /// Keys of pods' labels.
    pub pod_labels: BTreeSet<String>,
    /// Keys of nodes' labels.
    pub node_labels: BTreeSet<String>,
    /// Keys of labels that nodes of an instance type will carry.
    pub offering_labels: BTreeSet<String>,
}

impl Reads {
    /// Adds what somebody else reads.
    pub fn extend(&mut self, other: &Self) {
        self.pod_labels.extend(other.pod_labels.iter().cloned());
        self.node_labels.extend(other.node_labels.iter().cloned());
        self.offering_labels.extend(other.offering_labels.iter().cloned());
    }
}

/// How often something happened in the time before a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Past {
    /// How often within the last hour.
    pub last_hour: u32,
    /// How often within the last 24 hours.
    pub last_day: u32,
    /// When it happened last, within a day.
    pub latest: Option<Timestamp>,
}

/// Where pods of a workload run, or are expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Running {
    /// How the capacity under them is bought.
    pub capacity_type: CapacityType,
    /// The zone's name; empty while it is not known.
    pub zone: String,
    /// How many.
    pub pods: u32,
}

/// Waiting pods that are equal for scheduling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct WaitingPods {
    /// The namespace.
    pub namespace: String,
    /// The object that makes them.
    pub owner: Option<Owner>,
    /// Their labels.
    pub labels: BTreeMap<String, String>,
    /// Their priority.
    pub priority: i32,
    /// What each asks for.
    pub requests: Resources,
    /// The taints that they can live with.
    pub tolerations: Vec<Toleration>,
    /// How many wait.
    pub pending: u32,
    /// How long the one that waits longest has waited.
    pub waiting: Duration,
    /// Where pods of the same workload run already.
    pub running: Vec<Running>,
    /// The capacity types that they and their NodePools allow, in the order of preference.
    pub capacity_types: Vec<CapacityType>,
    /// The NodePools that may host them, heaviest first.
    pub node_pools: Vec<String>,
    /// Whether they ask to be left alone.
    pub do_not_disrupt: bool,
}

impl Default for WaitingPods {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            owner: None,
            labels: BTreeMap::new(),
            priority: 0,
            requests: Resources::default(),
            tolerations: Vec::new(),
            pending: 1,
            waiting: Duration::ZERO,
            running: Vec::new(),
            capacity_types: CapacityType::ALL.to_vec(),
            node_pools: Vec::new(),
            do_not_disrupt: false,
        }
    }
}

/// Pods of one workload on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Residents {
    /// The namespace.
    pub namespace: String,
    /// The object that makes them.
    pub owner: Option<Owner>,
    /// Their labels.
    pub labels: BTreeMap<String, String>,
    /// Their priority.
    pub priority: i32,
    /// How many.
    pub pods: u32,
}

/// A node that runs, with its NodeClaim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LivingNode {
    /// The NodeClaim's name.
    pub claim: String,
    /// The NodePool it was made from.
    pub node_pool: String,
    /// The instance type.
    pub instance_type: String,
    /// The zone's name.
    pub zone: String,
    /// How it is bought.
    pub capacity_type: CapacityType,
    /// What it costs.
    pub price: Price,
    /// When its NodeClaim was made.
    pub created: Timestamp,
    /// When it was ready for pods.
    pub initialized: Option<Timestamp>,
    /// When a pod was last bound to it, ended on it or began to leave it.
    pub last_pod_event: Option<Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// What it has for pods.
    pub allocatable: Resources,
    /// What its pods ask for together.
    pub requested: Resources,
    /// Its pods by workload, without those of DaemonSets.
    pub residents: Vec<Residents>,
    /// Whether it asks to be left alone.
    pub do_not_disrupt: bool,
    /// How long its NodePool wants it to be quiet; `None` for never.
    pub consolidate_after: Option<Duration>,
}

impl Default for LivingNode {
    fn default() -> Self {
        Self {
            claim: String::new(),
            node_pool: String::new(),
            instance_type: String::new(),
            zone: String::new(),
            capacity_type: CapacityType::OnDemand,
            price: Price::ZERO,
            created: Timestamp::EPOCH,
            initialized: None,
            last_pod_event: None,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            allocatable: Resources::default(),
            requested: Resources::default(),
            residents: Vec::new(),
            do_not_disrupt: false,
            consolidate_after: None,
        }
    }
}
