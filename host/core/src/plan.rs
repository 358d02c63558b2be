//! What a decision comes out as: actions to carry out, and a report that says why.
//!
//! A plan holds every choice that is made. Whoever carries it out decides nothing; the one choice left outside
//! is EC2's, among the offerings that a launch lists.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::check::Violation;
use crate::model::fingerprint::MadeFrom;
use crate::model::instance_type::CapacityType;
use crate::model::node_pool::DisruptionReason;
use crate::model::price::Price;
use crate::model::requirement::{Requirement, Taint};
use crate::model::resources::Resources;
use crate::model::time::{Duration, Timestamp};
use crate::why::{MoveBlocked, Unplaced};

/// A decision: what to do, in order, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What to do. The order matters: a replacement is launched before the node it replaces is cordoned.
    pub actions: Vec<Action>,
    /// What was looked at and left alone.
    pub report: Report,
}

/// What a decision looked at and left alone, with reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Pods for which there is no place, now or ever.
    pub unplaced: Vec<Unplaced>,
    /// Nodes that could have moved, and what kept them.
    pub blocked: Vec<MoveBlocked>,
    /// The rules that actions broke which were left out of the plan. There should be none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// What policies said that is not what is done anyway.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Heard>,
}

/// What a policy said, or that it failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Heard {
    /// The policy's name, as it is attached.
    pub policy: String,
    /// What about, in words: a workload, a node, a NodePool.
    pub about: String,
    /// What it said, in words; or what went wrong, and what was done in its place.
    pub words: String,
    /// Whether it was obeyed; a policy in shadow mode is not.
    pub obeyed: bool,
    /// Whether it failed.
    pub failed: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Make a NodeClaim and launch an instance for it.
    Launch(Box<Launch>),
    /// Expect a pending pod on a node that exists or is on its way.
    Nominate(Nomination),
    /// A node has joined: give it its labels and taints.
    Register(NodeRef),
    /// A node is ready for its pods: say so.
    Initialize(NodeRef),
    /// Keep new pods off a node.
    Cordon(Cordon),
    /// Let pods on a node again: what it was cordoned for did not happen.
    Uncordon(NodeRef),
    /// Ask for the end of a NodeClaim; its node is drained and its instance terminated in steps that follow.
    Delete(Delete),
    /// Ask a pod to leave.
    Evict(Eviction),
    /// End the instance of a drained node.
    Terminate(Termination),
    /// The instance is gone: let go of the NodeClaim and its Node.
    Finalize(NodeRef),
}

/// A node to launch: everything that the NodeClaim will say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Launch {
    /// The new NodeClaim's name. The client token of the launch is derived from it.
    pub claim: String,
    /// The NodePool it is made from.
    pub node_pool: String,
    /// The EC2NodeClass it is launched with.
    pub node_class: String,
    /// The labels that the node will carry.
    pub labels: Arc<BTreeMap<String, String>>,
    /// The taints that the node will carry.
    pub taints: Vec<Taint>,
    /// Taints that the node starts with and that somebody else removes.
    pub startup_taints: Vec<Taint>,
    /// What the instance must be like.
    pub requirements: Arc<Vec<Requirement>>,
    /// Whether the NodePool's minimum of distinct values had to be lowered for it.
    pub min_values_relaxed: bool,
    /// What EC2 may choose from, cheapest first. Every one of them can hold the pods. Never empty.
    pub offerings: Arc<Vec<LaunchOffering>>,
    /// What the pods and the DaemonSet pods on the node will ask for.
    pub requests: Resources,
    /// The uids of the pods it is made for.
    pub pods: Vec<String>,
    /// How long the node may live.
    pub expire_after: Option<Duration>,
    /// How long its drain may take.
    pub termination_grace_period: Option<Duration>,
    /// The NodeClaims that it stands in for.
    pub replaces: Vec<String>,
    /// What it is made from, to be told from what the NodePool asks for later. For whoever writes the NodeClaim.
    #[serde(skip)]
    pub made_from: MadeFrom,
}

impl Launch {
    /// The price of the cheapest offering: what the plan counts on.
    #[must_use]
    pub fn price(&self) -> Price {
        self.offerings.first().map_or(Price::ZERO, |offering| offering.price)
    }
}

/// One thing that EC2 may launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchOffering {
    /// The instance type.
    pub instance_type: String,
    /// The zone's name.
    pub zone: String,
    /// How it is bought.
    pub capacity_type: CapacityType,
    /// The capacity reservation that it is bought from, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<String>,
    /// What it costs.
    pub price: Price,
}

/// A pending pod and the node it is expected on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Nomination {
    /// The pod's uid.
    pub pod: String,
    /// The NodeClaim, or the name of a Node that has none.
    pub node: String,
}

/// A NodeClaim and, once it has joined, its Node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRef {
    /// The NodeClaim's name.
    pub claim: String,
    /// The Node's name.
    pub node: Option<String>,
}

/// A node to keep new pods off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cordon {
    /// The NodeClaim's name.
    pub claim: String,
    /// The Node's name.
    pub node: String,
    /// Why.
    pub reason: DeleteReason,
}

/// Taints of a living node that are to change, because policies say so. No part of a plan: no pod gets a place by it
/// and none loses one, so there is nothing in it to judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retaint {
    /// The NodeClaim's name.
    pub claim: String,
    /// The Node's name.
    pub node: String,
    /// Taints that it gets.
    pub add: Vec<Taint>,
    /// Taints that it loses.
    pub remove: Vec<Taint>,
}

/// A NodeClaim to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delete {
    /// The NodeClaim's name.
    pub claim: String,
    /// Why.
    pub reason: DeleteReason,
}

impl Delete {
    /// Whether the node's time is up at once, whatever its pods and PodDisruptionBudgets say.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.reason == DeleteReason::Unhealthy
    }
}

/// Why a NodeClaim is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DeleteReason {
    /// A disruption of ours, within the NodePool's budgets.
    Disrupted(DisruptionReason),
    /// EC2 takes the instance back.
    Interrupted,
    /// It is older than its NodePool allows.
    Expired,
    /// EC2 has no capacity for it.
    InsufficientCapacity,
    /// It was never launched, or never joined.
    NeverJoined,
    /// Its instance is gone.
    InstanceGone,
    /// Somebody deleted its Node.
    NodeDeleted,
    /// Its node has been unhealthy for too long.
    Unhealthy,
    /// Its deletion has been asked for already: it is drained.
    Requested,
}

impl fmt::Display for DeleteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disrupted(DisruptionReason::Underutilized) => "its pods fit on other nodes",
            Self::Disrupted(DisruptionReason::Empty) => "it has no pods of its own",
            Self::Disrupted(DisruptionReason::Drifted) => "it is not what its NodePool asks for any more",
            Self::Interrupted => "EC2 takes its instance back",
            Self::Unhealthy => "it has been unhealthy for too long",
            Self::Expired => "it is older than its NodePool allows (expireAfter)",
            Self::InsufficientCapacity => "EC2 has no capacity for it",
            Self::NeverJoined => "it was never launched, or never joined",
            Self::InstanceGone => "its instance is gone",
            Self::NodeDeleted => "somebody has deleted its Node",
            Self::Requested => "its deletion was asked for",
        })
    }
}

/// A pod to ask to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Eviction {
    /// The pod's uid.
    pub pod: String,
    /// The NodeClaim it is on.
    pub claim: String,
    /// Set when the pod is deleted rather than evicted, because the time of its node is up: PodDisruptionBudgets
    /// do not hold then, and the pod has this long to stop.
    pub forced: Option<Duration>,
}

/// An instance to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// The NodeClaim's name.
    pub claim: String,
    /// The instance.
    pub provider_id: String,
}

/// What came of an action. It returns to the state as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// EC2 launched an instance for a NodeClaim.
    Launched {
        /// The NodeClaim's name.
        claim: String,
        /// The instance.
        instance: Box<crate::model::node::Instance>,
        /// Offerings that EC2 refused before it found this one.
        refused: Vec<LaunchOffering>,
    },
    /// EC2 had no capacity in any of the offerings that a launch listed.
    InsufficientCapacity {
        /// The NodeClaim's name.
        claim: String,
        /// The offerings that EC2 refused.
        offerings: Vec<LaunchOffering>,
        /// When it was refused.
        at: Timestamp,
    },
    /// The instance of a NodeClaim is gone.
    Terminated {
        /// The NodeClaim's name.
        claim: String,
    },
    /// A NodeClaim could not be written, so nothing was launched for it, and nothing will be.
    Unwritten {
        /// The NodeClaim's name.
        claim: String,
        /// What went wrong, in words.
        message: String,
    },
    /// An action failed and may be tried again.
    Failed {
        /// The NodeClaim's name.
        claim: String,
        /// What went wrong, in words.
        message: String,
        /// How long whoever refused it wants to be left alone.
        retry_after: Option<Duration>,
    },
}
