//! The scenario file: what happens to a cluster, and when. Its documentation for people is `docs/scenarios.md`.
//!
//! Here is the shape of the file alone. What makes sense in it, for the manifests beside it, is checked in `compile`
//! and `events`.

pub mod clock;
pub(crate) mod compile;
pub(crate) mod events;
pub(crate) mod reservations;
mod shape;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of `apiVersion`.
pub const API_VERSION: &str = "whittle.dev/v1alpha1";
/// The value of `kind`.
pub const KIND: &str = "Scenario";

/// A scenario. At most one in a directory of manifests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// `whittle.dev/v1alpha1`.
    pub api_version: String,
    /// `Scenario`.
    pub kind: String,
    /// The scenario's name.
    #[serde(default)]
    pub metadata: Metadata,
    /// What happens.
    #[serde(default)]
    pub spec: ScenarioSpec,
}

/// How a scenario is called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Metadata {
    /// The name, shown in reports.
    #[serde(default)]
    pub name: String,
}

/// What happens, where, and how the world behaves meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScenarioSpec {
    /// What the scenario is about, shown in reports.
    pub description: Option<String>,
    /// The AWS region, `us-east-1` unless set.
    pub region: Option<String>,
    /// The zones by name, all zones of the region unless set.
    pub zones: Option<Vec<String>>,
    /// The seed of all chance, 0 unless set. The same seed gives the same run.
    pub seed: Option<u64>,
    /// When the world begins, as RFC 3339: `2026-03-14T06:00:00+09:00`. `2026-01-05T00:00:00Z` unless set.
    pub start: Option<String>,
    /// How long it goes on: `24h`. Unless set, until nothing has happened for a quarter of an hour, six hours at
    /// most.
    pub duration: Option<String>,
    /// In which offset from UTC times of day are read and printed: `+09:00`. That of `start` unless set.
    pub utc_offset: Option<String>,
    /// How long things take.
    pub timings: Option<TimingsSpec>,
    /// How pods are spread that say nothing about it and that a Service or their workload selects, as kube-scheduler is
    /// configured with `defaultConstraints`. Unless set, kube-scheduler's own wishes, for which no node is launched.
    #[serde(default)]
    pub default_spread: Vec<DefaultSpreadSpec>,
    /// Whether EC2 takes spot instances back by chance, at the rates of the catalogue. `false` unless set.
    pub reclaims: Option<bool>,
    /// How many instances the capacity reservations have that EC2NodeClasses list in their status. One that is not
    /// mentioned has none.
    #[serde(default)]
    pub capacity_reservations: Vec<CapacityReservationSpec>,
    /// A file with prices of your own, beside the scenario.
    pub prices: Option<String>,
    /// The least time between two samples of the curves in the record: `1m`. Unless set, a 1440th of the duration,
    /// at least `10s`.
    pub sample_every: Option<String>,
    /// What happens, in any order.
    #[serde(default)]
    pub events: Vec<EventSpec>,
}

/// A topology spread for pods that state none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DefaultSpreadSpec {
    /// How far the fullest domain may be above the emptiest.
    pub max_skew: i32,
    /// The node label.
    pub topology_key: String,
    /// `DoNotSchedule` or `ScheduleAnyway`.
    pub when_unsatisfiable: String,
}

/// A capacity reservation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CapacityReservationSpec {
    /// Its id, as in `status.capacityReservations` of an EC2NodeClass.
    pub id: String,
    /// How many instances it has for this cluster, those of them included that run from the start.
    pub instances: u32,
}

/// How long things take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TimingsSpec {
    /// From the launch of an instance until its Node is there, `30s` unless set.
    pub join: Option<String>,
    /// From then until the node is ready, `10s` unless set.
    pub ready: Option<String>,
    /// From then until startup taints are taken off, `5s` unless set.
    pub startup_taints: Option<String>,
    /// From the order to end an instance until it is gone, `30s` unless set.
    pub terminate: Option<String>,
    /// From the binding of a pod until it is ready, `3s` unless set.
    pub pod_start: Option<String>,
    /// How long a pod needs to stop, `5s` unless set, and never longer than its grace period.
    pub pod_stop: Option<String>,
    /// How long a pod of a Job runs that has no annotation `whittle.dev/run-seconds`, `10m` unless set.
    pub job_run: Option<String>,
    /// By how much these vary, `terminate` and `jobRun` aside, in percent up and down, 20 unless set.
    pub jitter_percent: Option<u64>,
}

/// Something that happens. Exactly one of the fields after `label` says what; with none of them the label alone is
/// put on the timeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EventSpec {
    /// When: a time of day (`"09:30"`, `"09:30:15"`), the first such time after the start, or a span after the start
    /// (`+1h30m`).
    pub at: String,
    /// What to write on the timeline.
    pub label: Option<String>,
    /// Changes how many pods a workload has.
    pub scale: Option<ScaleSpec>,
    /// Brings the objects of a manifest file that is not read at the start.
    pub submit: Option<FileSpec>,
    /// Changes objects to what a manifest file says.
    pub apply: Option<FileSpec>,
    /// Deletes a workload with its pods.
    pub delete: Option<WorkloadRef>,
    /// Has EC2 take spot instances back, with two minutes' notice.
    pub interrupt: Option<InterruptSpec>,
    /// Has EC2 say something else about instances than that it takes them back.
    pub notice: Option<NoticeSpec>,
    /// Has EC2 run out of capacity for a while.
    pub capacity: Option<CapacitySpec>,
    /// Changes prices.
    pub price: Option<PriceSpec>,
    /// Puts the policies of a directory in force.
    pub policies: Option<PoliciesSpec>,
    /// Deletes nodes by hand.
    pub delete_node: Option<DeleteNodeSpec>,
}

/// Policies, in place of those in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PoliciesSpec {
    /// The directory with `policies.yaml` and the modules, seen from the scenario's.
    pub directory: String,
}

/// Changes how many pods a workload has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScaleSpec {
    /// The workload: `web`, or with kind and namespace where the name alone is not clear: `deployment/shop/web`.
    pub workload: String,
    /// How many pods it is to have.
    pub replicas: u64,
    /// Over which time it gets there, evenly: `20m`. At once unless set.
    pub over: Option<String>,
}

/// A manifest file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileSpec {
    /// The file, beside the scenario or in a directory below it. Files that are named here are not read at the start.
    pub file: String,
}

/// A workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkloadRef {
    /// The workload, as in `scale`.
    pub workload: String,
}

/// Has EC2 take spot instances back. Of the instances that all given fields describe, so many by lot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InterruptSpec {
    /// In this zone.
    pub zone: Option<String>,
    /// Of this instance type.
    pub instance_type: Option<String>,
    /// Of this family: `m6i`.
    pub family: Option<String>,
    /// Of this NodePool.
    pub node_pool: Option<String>,
    /// So many. All unless `count` or `percent` is set.
    pub count: Option<u64>,
    /// So many of a hundred, rounded up.
    pub percent: Option<u64>,
}

/// Has EC2 say something about instances. Of those that all given fields describe, so many by lot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NoticeSpec {
    /// What it says: `rebalance`, `maintenance` or `stateChange`.
    pub kind: String,
    /// How long before it happens: `2h`. Two minutes unless set. Of a rebalance nothing comes.
    #[serde(rename = "in")]
    pub ahead: Option<String>,
    /// In this zone.
    pub zone: Option<String>,
    /// Of this instance type.
    pub instance_type: Option<String>,
    /// Of this family: `m6i`.
    pub family: Option<String>,
    /// Bought this way: `spot` or `on-demand`.
    pub capacity_type: Option<String>,
    /// Of this NodePool.
    pub node_pool: Option<String>,
    /// So many. All unless `count` or `percent` is set.
    pub count: Option<u64>,
    /// So many of a hundred, rounded up.
    pub percent: Option<u64>,
}

/// Has EC2 run out of capacity. The loop is not told: it finds out when a launch is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CapacitySpec {
    /// Of this instance type.
    pub instance_type: Option<String>,
    /// Of this family: `m6i`.
    pub family: Option<String>,
    /// In this zone.
    pub zone: Option<String>,
    /// Bought this way: `spot` or `on-demand`.
    pub capacity_type: Option<String>,
    /// `false`: there is none.
    pub available: bool,
    /// For how long: `30m`.
    #[serde(rename = "for")]
    pub span: String,
}

/// Changes prices from now on, also those of instances that run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PriceSpec {
    /// Of this instance type.
    pub instance_type: Option<String>,
    /// Of this family: `m6i`.
    pub family: Option<String>,
    /// In this zone.
    pub zone: Option<String>,
    /// Bought this way: `spot` or `on-demand`.
    pub capacity_type: Option<String>,
    /// What the prices are multiplied by: `1.5`. Exact to a millionth.
    pub factor: f64,
}

/// Deletes nodes by hand, as `kubectl delete node` does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeleteNodeSpec {
    /// Of this NodePool.
    pub node_pool: Option<String>,
    /// In this zone.
    pub zone: Option<String>,
    /// So many, one unless set.
    pub count: Option<u64>,
}

/// The JSON schema of the scenario file.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Scenario)
}
