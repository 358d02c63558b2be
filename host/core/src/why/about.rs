//! Where a pod or a node stands, for whoever asks about this one: what has been decided about it, or what it waits for.
//!
//! What a decision would do with it is not here: that is asked of the decision itself.

use std::fmt;

use serde::Serialize;

use crate::disrupt::candidates::{Rest, rest};
use crate::model::node::NodeClaim;
use crate::model::node_pool::ConsolidationPolicy;
use crate::model::pod::Pod;
use crate::model::time::Timestamp;
use crate::pdb::budgets_of;
use crate::state::Snapshot;

/// Where a pod stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "standing")]
pub enum PodStanding {
    /// It has ended and needs nothing.
    Ended,
    /// It is bound to a node.
    Bound {
        /// The Node.
        node: String,
    },
    /// It is being deleted and has no node.
    Leaving,
    /// A DaemonSet or the kubelet makes it for one given node.
    OfItsNode,
    /// Its node is named in `status.nominatedNodeName`: by us until the node takes pods, or by kube-scheduler while it
    /// makes room there.
    Nominated {
        /// The Node.
        node: String,
    },
    /// kube-scheduler has not said yet that no node will do, and until then nothing is decided about it.
    NotTried,
    /// It waits for a place.
    Waits,
}

/// Where a pod stands.
#[must_use]
pub fn of_pod(pod: &Pod) -> PodStanding {
    match (&pod.node, &pod.nominated_node) {
        _ if pod.phase.is_terminal() => PodStanding::Ended,
        (Some(node), _) => PodStanding::Bound { node: node.clone() },
        _ if pod.deleting.is_some() => PodStanding::Leaving,
        _ if pod.belongs_to_node() => PodStanding::OfItsNode,
        (None, Some(node)) => PodStanding::Nominated { node: node.clone() },
        (None, None) if !pod.unschedulable => PodStanding::NotTried,
        (None, None) => PodStanding::Waits,
    }
}

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "standing")]
pub enum NodeStanding {
    /// Its instance is not launched yet.
    NotLaunched,
    /// Its instance runs and has not joined yet.
    NotJoined,
    /// It has joined and is not initialized: not ready, or with startup taints, or without resources that it should have.
    NotInitialized,
    /// It is being taken away.
    Leaves {
        /// Since when.
        since: Timestamp,
        /// The pods that its end waits for.
        pods: Vec<Staying>,
    },
    /// Nodes like it are never consolidated.
    NeverMoves {
        /// Why.
        why: &'static str,
    },
    /// It has not been quiet for as long as its NodePool wants.
    NotQuiet {
        /// Until when nothing may happen on it.
        until: Timestamp,
    },
    /// Pods are expected on it.
    Expects {
        /// Until when.
        until: Timestamp,
    },
    /// It is quiet: each round looks at it, and says what it comes to.
    Quiet {
        /// Whether its NodePool lets only nodes without pods go.
        only_when_empty: bool,
    },
}

/// A pod on a node that leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Staying {
    /// `namespace/name`.
    pub pod: String,
    /// When it was asked to stop.
    pub leaving_since: Option<Timestamp>,
    /// What keeps it from being asked, in words.
    pub kept_by: Option<String>,
}

/// Where a node stands at `now`.
#[must_use]
pub fn of_node(snapshot: &Snapshot, claim: &NodeClaim, now: Timestamp) -> NodeStanding {
    let Some(node) = snapshot.node_of_claim(claim) else {
        let launched = claim.instance.is_some();
        return if launched { NodeStanding::NotJoined } else { NodeStanding::NotLaunched };
    };
    if let Some(since) = claim.deleting.or(node.deleting) {
        let pods = snapshot.pods_on(&node.name).filter(|pod| crate::lifecycle::drain::is_drained(pod, now));
        return NodeStanding::Leaves { since, pods: pods.map(|pod| staying(snapshot, pod, now)).collect() };
    }
    if claim.initialized.is_none() {
        return NodeStanding::NotInitialized;
    }
    match rest(snapshot, claim, now) {
        Rest::Never(why) => NodeStanding::NeverMoves { why },
        Rest::NotQuiet(until) => NodeStanding::NotQuiet { until },
        Rest::Expects(until) => NodeStanding::Expects { until },
        Rest::Quiet(pool) => {
            NodeStanding::Quiet { only_when_empty: pool.disruption.policy == ConsolidationPolicy::WhenEmpty }
        }
    }
}

fn staying(snapshot: &Snapshot, pod: &Pod, now: Timestamp) -> Staying {
    let name = |(namespace, name): &(String, String)| format!("{namespace}/{name}");
    let budgets = budgets_of(snapshot, pod);
    let closed = budgets.iter().find(|(_, allowed)| *allowed == 0);
    let kept_by = if pod.deleting.is_some() {
        None
    } else if pod.is_do_not_disrupt(now) {
        Some("it asks to be left alone (karpenter.sh/do-not-disrupt)".to_owned())
    } else if budgets.len() > 1 {
        let names: Vec<String> = budgets.iter().map(|(key, _)| name(key)).collect();
        Some(format!(
            "{} PodDisruptionBudgets cover it, and Kubernetes evicts no such pod: {}",
            names.len(),
            names.join(", ")
        ))
    } else {
        closed.map(|(key, _)| format!("PodDisruptionBudget {} allows no eviction now", name(key)))
    };
    Staying { pod: pod.full_name(), leaving_since: pod.deleting, kept_by }
}

impl fmt::Display for PodStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("it has ended and needs no node"),
            Self::Bound { node } => write!(f, "it is bound to node {node}"),
            Self::Leaving => f.write_str("it is being deleted"),
            Self::OfItsNode => {
                f.write_str("it is made for one given node, by a DaemonSet or by a kubelet, and no node is launched for it")
            }
            Self::Nominated { node } => {
                write!(f, "it waits for node {node}, which is kept for it (status.nominatedNodeName)")
            }
            Self::NotTried => f.write_str("kube-scheduler has not said yet that no node will do for it"),
            Self::Waits => f.write_str("it waits for a place"),
        }
    }
}

impl fmt::Display for NodeStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLaunched => f.write_str("its instance is not launched yet"),
            Self::NotJoined => f.write_str("its instance runs and has not joined the cluster yet"),
            Self::NotInitialized => f.write_str("it has joined and is not initialized yet"),
            Self::Leaves { since, pods } if pods.is_empty() => {
                write!(f, "it is being taken away since {since}; no pod keeps it")
            }
            Self::Leaves { since, pods } => {
                write!(f, "it is being taken away since {since}, and waits for")?;
                for Staying { pod, leaving_since, kept_by } in pods {
                    write!(f, "\n    {pod}")?;
                    match (leaving_since, kept_by) {
                        (Some(since), _) => write!(f, ": asked to stop at {since}")?,
                        (None, Some(why)) => write!(f, ": {why}")?,
                        (None, None) => f.write_str(": it is its turn soon")?,
                    }
                }
                Ok(())
            }
            Self::NeverMoves { why } => write!(f, "it is never consolidated: {why}"),
            Self::NotQuiet { until } => {
                write!(
                    f,
                    "it stays until {until}: so long its NodePool wants it to be quiet first (consolidateAfter)"
                )
            }
            Self::Expects { until } => write!(f, "pods are expected on it until {until}"),
            Self::Quiet { only_when_empty: false } => {
                f.write_str("it is quiet, and looked at in every round")
            }
            Self::Quiet { only_when_empty: true } => f.write_str(
                "it is quiet, and its NodePool lets it go only without pods (consolidationPolicy: WhenEmpty)",
            ),
        }
    }
}
