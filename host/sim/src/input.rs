//! What a world is made from: the objects of a cluster in the core's words, and the workloads that make pods.
//!
//! Reading them from files is in `load`.

use std::collections::BTreeMap;
use std::sync::Arc;

use whittle_core::cron::Schedule;
use whittle_core::event::ObjectKey;
use whittle_core::model::node::{Node, NodeClaim, VolumeLimits};
use whittle_core::model::node_pool::{NodeClass, NodePool, VolumeClaim};
use whittle_core::model::pod::{LabelSelector, Pod, PodSpec};
use whittle_core::model::requirement::Requirement;
use whittle_core::model::time::{Duration, Timestamp};

/// More pods than this are refused: twice what Kubernetes says a cluster can have ("Considerations for large
/// clusters"), and about what fits in memory here.
pub(crate) const PODS_MAX: u64 = 300_000;

/// Everything that a world starts with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    pub(crate) node_pools: BTreeMap<String, NodePool>,
    pub(crate) node_classes: BTreeMap<String, NodeClass>,
    pub(crate) node_claims: BTreeMap<String, NodeClaim>,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) workloads: BTreeMap<WorkloadKey, WorkloadSpec>,
    /// How many pods all workloads want together.
    pub(crate) pods_wanted: u64,
    pub(crate) budgets: BTreeMap<ObjectKey, BudgetSpec>,
    pub(crate) storage_classes: BTreeMap<String, StorageClass>,
    pub(crate) volume_claims: BTreeMap<ObjectKey, ClaimSpec>,
    pub(crate) volume_limits: Vec<VolumeLimits>,
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

/// The identity of a workload: kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkloadKey {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl std::fmt::Display for WorkloadKey {
    /// `Deployment shop/web`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Something that makes pods.
#[derive(Clone, Debug)]
pub(crate) struct WorkloadSpec {
    pub(crate) kind: WorkloadKind,
    /// How many pods it wants; for a Job how many at once.
    pub(crate) replicas: u64,
    pub(crate) pod: Arc<PodSpec>,
    /// The PersistentVolumeClaims that all its pods share.
    pub(crate) volume_claims: Vec<String>,
    /// Claims that are made for each pod, named after the pod and then the volume.
    pub(crate) ephemeral_claims: Vec<ClaimTemplate>,
}

/// What kind of thing makes pods, and what only that kind has.
#[derive(Clone, Debug)]
pub(crate) enum WorkloadKind {
    /// A Deployment, ReplicaSet or ReplicationController.
    Deployment,
    /// Pods with names that stay.
    StatefulSet {
        /// Whether a pod is made only when those before it are ready.
        ordered: bool,
        /// A claim per pod and template, named after the template and then the pod.
        claims: Vec<ClaimTemplate>,
    },
    /// A pod per node.
    DaemonSet,
    /// Pods that end.
    Job {
        /// How many must end well.
        completions: u64,
        /// How long each runs.
        run: Duration,
    },
    /// Makes Jobs by the clock.
    CronJob {
        /// When.
        schedule: Schedule,
        /// How many pods of one run must end well.
        completions: u64,
        /// How long each runs.
        run: Duration,
    },
}

/// A claim that is made for each pod.
#[derive(Clone, Debug)]
pub(crate) struct ClaimTemplate {
    pub(crate) name: String,
    /// The StorageClass; `None` for the default one.
    pub(crate) storage_class: Option<String>,
}

/// A PersistentVolumeClaim that is there from the start.
#[derive(Clone, Debug)]
pub(crate) struct ClaimSpec {
    pub(crate) claim: VolumeClaim,
    /// Whether it has no volume yet and gets one where its first pod goes.
    pub(crate) waits_for_pod: bool,
}

/// Where volumes of a class can be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct StorageClass {
    /// Whether a volume is made only when its first pod has a node.
    pub(crate) waits_for_pod: bool,
    /// Where volumes may be, as alternatives; empty for anywhere.
    pub(crate) topologies: Vec<Vec<Requirement>>,
    pub(crate) is_default: bool,
    /// The CSI driver that attaches its volumes.
    pub(crate) driver: Option<String>,
}

/// A PodDisruptionBudget as its author wrote it.
#[derive(Clone, Debug)]
pub(crate) struct BudgetSpec {
    pub(crate) selector: Option<LabelSelector>,
    pub(crate) rule: BudgetRule,
    pub(crate) always_allow_unready: bool,
}

/// What a PodDisruptionBudget keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BudgetRule {
    /// At least so many stay.
    MinAvailable(Amount),
    /// At most so many go.
    MaxUnavailable(Amount),
}

/// A number or a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// So many.
    Count(u64),
    /// So many of a hundred, rounded up.
    Percent(u64),
}

impl Amount {
    /// The number that this is of `total`.
    pub(crate) fn of(self, total: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (total * percent).div_ceil(100),
        }
    }
}

/// How long things take in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timings {
    pub(crate) join: Duration,
    pub(crate) ready: Duration,
    pub(crate) startup_taints: Duration,
    pub(crate) terminate: Duration,
    pub(crate) pod_start: Duration,
    pub(crate) pod_stop_max: Duration,
    pub(crate) jitter_percent: u64,
    pub(crate) job_run: Duration,
}

impl Default for Timings {
    /// How long things take when nobody says.
    ///
    /// Half a minute until an instance joins is what Karpenter's simulation of EC2 (kwok) assumes. The others are
    /// assumptions of ours, meant for Amazon Linux 2023 and images that are small or cached: ten seconds more until
    /// the network is ready, three for a pod to start, five to stop, half a minute to shut an instance down.
    fn default() -> Self {
        Self {
            join: Duration::from_secs(30),
            ready: Duration::from_secs(10),
            startup_taints: Duration::from_secs(5),
            terminate: Duration::from_secs(30),
            pod_start: Duration::from_secs(3),
            pod_stop_max: Duration::from_secs(5),
            jitter_percent: 20,
            job_run: Duration::from_secs(600),
        }
    }
}

/// When a world begins when nobody says: Monday, 5 January 2026, 00:00 UTC.
pub(crate) const START_DEFAULT: Timestamp = Timestamp::from_millis(1_767_571_200_000);
