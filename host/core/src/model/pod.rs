//! Pods as far as scheduling and disruption look at them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::requirement::{Requirement, Toleration};
use super::resources::Resources;
use super::time::{Duration, Timestamp};

/// One pod. What many pods share is in `spec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The object's uid: the pod's identity.
    pub uid: String,
    /// The pod's name.
    pub name: String,
    /// What it has in common with its siblings.
    pub spec: Arc<PodSpec>,
    /// The names of the PersistentVolumeClaims it mounts, in its namespace.
    pub volume_claims: Vec<String>,
    /// The node it is bound to.
    pub node: Option<String>,
    /// Whether kube-scheduler has said that no node will do (condition `PodScheduled`, reason `Unschedulable`).
    pub unschedulable: bool,
    /// The node on which kube-scheduler is making room for it (`status.nominatedNodeName`).
    pub nominated_node: Option<String>,
    /// How far it is.
    pub phase: PodPhase,
    /// Whether it is ready to serve.
    pub ready: bool,
    /// When the object was made.
    pub created: Timestamp,
    /// When it started to run.
    pub started: Option<Timestamp>,
    /// When its deletion was asked for.
    pub deleting: Option<Timestamp>,
    /// How long it was given to stop, where its deletion says so; otherwise it has as long as it asks for.
    pub stops_within: Option<Duration>,
}

impl Pod {
    /// When it must have stopped; `None` while nobody has asked it to.
    #[must_use]
    pub fn stops_by(&self) -> Option<Timestamp> {
        let within = self.stops_within.unwrap_or(self.spec.termination_grace_period);
        self.deleting.map(|asked| asked + within)
    }

    /// Whether the pod is made for one given node, by a DaemonSet or by the kubelet, and so never needs a place.
    #[must_use]
    pub fn belongs_to_node(&self) -> bool {
        self.spec.belongs_to_node()
    }

    /// Whether the pod waits for a place that a new node could be.
    #[must_use]
    pub fn is_provisionable(&self) -> bool {
        self.node.is_none()
            && self.unschedulable
            && self.nominated_node.is_none()
            && self.deleting.is_none()
            && !self.phase.is_terminal()
            && !self.belongs_to_node()
    }

    /// Whether the pod asks to be left alone at `now`.
    #[must_use]
    pub fn is_do_not_disrupt(&self, now: Timestamp) -> bool {
        match self.spec.do_not_disrupt {
            None => false,
            Some(DoNotDisrupt::Always) => true,
            Some(DoNotDisrupt::For(span)) => now < self.started.unwrap_or(self.created) + span,
        }
    }

    /// `namespace/name`, as people write it.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.spec.namespace, self.name)
    }
}

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PodPhase {
    /// Not running yet.
    Pending,
    /// Running.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
}

impl PodPhase {
    /// Whether the pod has ended and holds nothing any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// What pods of one owner have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodSpec {
    /// The namespace.
    pub namespace: String,
    /// The object that makes these pods: a Deployment rather than its ReplicaSet.
    pub owner: Option<Owner>,
    /// The pods' labels.
    pub labels: BTreeMap<String, String>,
    /// What each pod asks for, `pods: 1`, init containers and pod overhead included.
    pub requests: Resources,
    /// Required node affinity as a list of alternatives; each alternative holds the node selector too. Empty: any.
    pub node_affinity: Vec<Vec<Requirement>>,
    /// Preferred node affinity, heaviest first.
    pub preferred_node_affinity: Vec<Preferred<Vec<Requirement>>>,
    /// The taints the pods can live with.
    pub tolerations: Vec<Toleration>,
    /// How the pods want to be spread.
    pub topology_spread: Vec<TopologySpread>,
    /// The pods that stand for the same thing, by the Services and the workload that select these. Default spreads
    /// count them; `None` where nobody selects these pods, or nobody has asked.
    pub siblings: Option<LabelSelector>,
    /// Pods these must be near.
    pub pod_affinity: Vec<PodAffinityTerm>,
    /// Pods these must not be near.
    pub pod_anti_affinity: Vec<PodAffinityTerm>,
    /// Pods these would like to be near, heaviest first.
    pub preferred_pod_affinity: Vec<Preferred<PodAffinityTerm>>,
    /// Pods these would rather not be near, heaviest first.
    pub preferred_pod_anti_affinity: Vec<Preferred<PodAffinityTerm>>,
    /// Ports taken on the node itself.
    pub host_ports: Vec<HostPort>,
    /// The priority, from the PriorityClass.
    pub priority: i32,
    /// What the removal of a pod costs relative to its siblings.
    pub deletion_cost: i32,
    /// How long a pod may take to stop.
    pub termination_grace_period: Duration,
    /// Whether the pods ask to be left alone.
    pub do_not_disrupt: Option<DoNotDisrupt>,
}

impl PodSpec {
    /// Whether such pods are made for one given node, by a DaemonSet or by the kubelet.
    #[must_use]
    pub fn belongs_to_node(&self) -> bool {
        let kind = self.owner.as_ref().map(|owner| owner.kind.as_str());
        matches!(kind, Some("DaemonSet" | "Node"))
    }
}

/// A preference with its weight.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Preferred<T> {
    /// 1 to 100, higher counts more.
    pub weight: i32,
    /// What is preferred.
    pub term: T,
}

/// The object that makes pods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Its kind: `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, `Node` for a static pod, ….
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// How long a pod asks to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DoNotDisrupt {
    /// As long as it lives.
    Always,
    /// For this long after its start.
    For(Duration),
}

/// Which pods are meant, by their labels. An empty selector matches every pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSelector {
    /// All of these must hold; `matchLabels` are written as `In` with one value.
    pub requirements: Vec<Requirement>,
}

/// Pods spread evenly over the values of a node label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopologySpread {
    /// The node label.
    pub key: String,
    /// How far the fullest domain may be above the emptiest.
    pub max_skew: u32,
    /// With fewer domains than this, the emptiest counts as zero.
    pub min_domains: Option<u32>,
    /// Whether the spread is a rule or a wish.
    pub when_unsatisfiable: WhenUnsatisfiable,
    /// The pods that are counted; `None` counts none.
    pub selector: Option<LabelSelector>,
    /// Label keys whose values are taken from the pod itself and added to the selector.
    pub match_label_keys: Vec<String>,
    /// Whether only nodes that the pod's node affinity allows are counted.
    pub node_affinity_policy: InclusionPolicy,
    /// Whether only nodes whose taints the pod tolerates are counted.
    pub node_taints_policy: InclusionPolicy,
}

/// Whether a topology spread is a rule or a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WhenUnsatisfiable {
    /// A rule.
    DoNotSchedule,
    /// A wish.
    ScheduleAnyway,
}

/// Whether a topology spread looks at a property of nodes when it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InclusionPolicy {
    /// Nodes that the pod could not use are left out.
    Honor,
    /// All nodes are counted.
    Ignore,
}

/// Pods that must (not) share the value of a node label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodAffinityTerm {
    /// The node label.
    pub key: String,
    /// The other pods; `None` means none.
    pub selector: Option<LabelSelector>,
    /// Their namespaces, besides those that `namespace_selector` selects.
    pub namespaces: Vec<String>,
    /// Their namespaces by label; an empty selector means all.
    pub namespace_selector: Option<LabelSelector>,
    /// Label keys whose values are taken from the pod itself and must be equal.
    pub match_label_keys: Vec<String>,
    /// Label keys whose values are taken from the pod itself and must differ.
    pub mismatch_label_keys: Vec<String>,
}

/// A port taken on the node itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The address it is taken on; `0.0.0.0` takes it on all.
    pub ip: String,
    /// The port number.
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}
