//! What a simulation comes to: everything that a report is made from.
//!
//! Times are milliseconds since the Unix epoch, prices micro-dollars per hour, costs micro-dollars, CPU thousandths,
//! memory bytes. Lists are in a fixed order, so the same run gives the same bytes.

pub mod nodes;
pub(crate) mod recorder;
pub mod text;

use std::collections::BTreeMap;

use serde::Serialize;
use whittle_core::check::Violation;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::price::Price;
use whittle_core::model::time::Timestamp;
use whittle_core::why::{MoveBlocked, Unplaced};

use crate::journal::Entry;
use crate::record::nodes::NodeList;

/// What a simulation comes to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// How it was set up.
    pub settings: RecordSettings,
    /// What it comes to as a whole.
    pub totals: Totals,
    /// What each NodePool comes to, by name; `(none)` holds nodes of somebody else.
    pub node_pools: Vec<PoolSummary>,
    /// Pods that had no place and that no NodePool could give one to, by workload and reason.
    pub unplaced: Vec<UnplacedSummary>,
    /// Quiet nodes that stay at the end, and what keeps them.
    pub blocked: Vec<MoveBlocked>,
    /// The rules that actions broke which were left out of their plans.
    pub violations: Vec<PlanViolation>,
    /// What happened.
    pub timeline: Vec<Entry>,
    /// The curves.
    pub samples: Vec<Sample>,
    /// The nodes when there were most.
    pub peak: NodeList,
    /// The nodes at the end.
    pub last: NodeList,
}

/// How a simulation was set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordSettings {
    /// The scenario's name, empty without one.
    pub name: String,
    /// The name of the directory that was simulated, without the way there.
    pub directory: String,
    /// What the scenario is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The region.
    pub region: String,
    /// Whether nobody said which region it is, so that it is the default one.
    pub is_region_default: bool,
    /// The seed of all chance.
    pub seed: u64,
    /// When the world began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// The clock by which times are shown: seconds east of UTC.
    pub utc_offset_seconds: i32,
}

/// What a simulation comes to as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// What all instances cost, in micro-dollars.
    pub cost_micros: u64,
    /// Whether any price was an estimate.
    pub estimated: bool,
    /// The most that the instances cost at one time.
    pub price_peak: Price,
    /// The most instances that there were at one time.
    pub nodes_peak: u64,
    /// Instances that were launched.
    pub launches: u64,
    /// Pods that got a node, those of DaemonSets aside.
    pub pods_placed: u64,
    /// How long they waited.
    pub waits: Waits,
    /// Pods that were asked to leave a node.
    pub evictions: u64,
    /// Pods that were running on an instance that vanished.
    pub interrupted_pods: u64,
    /// Pods that wait at the end.
    pub waiting_at_end: u64,
    /// Decisions that were made.
    pub decisions: u64,
}

/// How long pods waited for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waits {
    /// How many pods.
    pub pods: u64,
    /// Half of them waited no longer, in milliseconds.
    pub p50_millis: u64,
    /// 95 of a hundred waited no longer, in milliseconds.
    pub p95_millis: u64,
    /// None waited longer, in milliseconds.
    pub max_millis: u64,
}

/// What a NodePool comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSummary {
    /// The NodePool.
    pub name: String,
    /// What its instances cost, in micro-dollars.
    pub cost_micros: u64,
    /// Whether any of their prices was an estimate.
    pub estimated: bool,
    /// What they cost per hour at the end.
    pub price_last: Price,
    /// The most that they cost per hour.
    pub price_peak: Price,
    /// How many there are at the end.
    pub nodes_last: u64,
    /// How many there were at most.
    pub nodes_peak: u64,
    /// CPU that pods asked for, in millionths of what nodes could hold, over the whole time.
    pub cpu_used_ppm: u64,
    /// Memory that pods asked for, in millionths of what nodes could hold, over the whole time.
    pub memory_used_ppm: u64,
    /// How long the pods that went to its nodes waited.
    pub waits: Waits,
    /// Pods that were asked to leave its nodes, by reason.
    pub evictions: BTreeMap<String, u64>,
    /// Its nodes by instance type, zone and capacity type.
    pub kinds: Vec<KindSummary>,
}

/// Nodes of one kind in one NodePool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KindSummary {
    /// The instance type.
    pub instance_type: String,
    /// The zone.
    pub zone: String,
    /// How they are bought.
    pub capacity_type: CapacityType,
    /// How many were launched, or there from the start.
    pub launched: u64,
    /// How many there are at the end.
    pub last: u64,
    /// How long they ran together, in milliseconds.
    pub run_millis: u64,
    /// What they cost, in micro-dollars.
    pub cost_micros: u64,
}

/// Pods of one workload without a place, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnplacedSummary {
    /// `namespace/name` of the workload, or of the pod when it has none.
    pub workload: String,
    /// How many of its pods.
    pub pods: u64,
    /// How many of them wait at the end.
    pub waiting_at_end: u64,
    /// When the first of them was found to have no place.
    pub first: Timestamp,
    /// The reasons of one of them, NodePool by NodePool.
    pub example: Unplaced,
}

/// A rule that an action broke which was left out of its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanViolation {
    /// When.
    pub at: Timestamp,
    /// What it broke.
    pub violation: Violation,
}

/// The curves at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// What all instances cost.
    pub price: Price,
    /// Pods that wait for a node, those of DaemonSets aside.
    pub waiting_pods: u64,
    /// Pods that are there, DaemonSets included.
    pub pods: u64,
    /// The NodePools, by name.
    pub node_pools: Vec<PoolSample>,
}

/// The curves of a NodePool at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSample {
    /// The NodePool.
    pub name: String,
    /// What its instances cost.
    pub price: Price,
    /// Instances bought as spot.
    pub spot: u64,
    /// Instances bought on demand.
    pub on_demand: u64,
    /// Instances that are reserved.
    pub reserved: u64,
    /// CPU that pods on its nodes ask for.
    pub cpu_requested_millis: u64,
    /// CPU that its nodes can hold.
    pub cpu_allocatable_millis: u64,
    /// Memory that pods on its nodes ask for.
    pub memory_requested_bytes: u64,
    /// Memory that its nodes can hold.
    pub memory_allocatable_bytes: u64,
}
