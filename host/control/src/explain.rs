//! Answers to "why": why this pod waits, and what would give it a place; why this node stays, or goes.
//!
//! They come from the loop itself, which decides on a copy of what is known and carries nothing out. What it would do
//! in the cluster may differ in one thing: it remembers what it has decided and not seen yet.

use std::fmt;

use serde::Serialize;
use whittle_core::model::node::{Instance, NodeClaim};
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, DeleteReason, Heard, Launch, LaunchOffering};
use whittle_core::why::about::{NodeStanding, PodStanding, of_node, of_pod};
use whittle_core::why::change::Remedy;
use whittle_core::why::{Blocker, NodePoolWhy, Unplaced};

use crate::controller::Controller;
use crate::overview::counted_pods;
use crate::preview::preview;

/// What there is to say of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodAnswer {
    /// `namespace/name`.
    pub pod: String,
    /// When the object was made.
    pub created: Timestamp,
    /// Where it stands.
    #[serde(flatten)]
    pub standing: PodStanding,
    /// Where it would go, if it waits and there is a place.
    pub place: Option<Place>,
    /// Why there is none, if it waits in vain.
    pub unplaced: Option<Unplaced>,
    /// What policies said in these decisions that is not what is done anyway.
    pub heard: Vec<Heard>,
}

/// Where a pod would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "place")]
pub enum Place {
    /// To a new node.
    #[serde(rename_all = "camelCase")]
    New {
        /// Its NodePool.
        node_pool: String,
        /// The cheapest that it could be.
        cheapest: LaunchOffering,
        /// How many offerings EC2 would have the choice of.
        offerings: usize,
        /// How many pods it would be made for.
        pods: usize,
    },
    /// To a node that is there or on its way.
    There {
        /// The Node, or the NodeClaim of one that has not joined.
        node: String,
    },
}

/// What there is to say of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAnswer {
    /// The NodeClaim.
    pub claim: String,
    /// The Node, once it has joined.
    pub node: Option<String>,
    /// The NodePool.
    pub node_pool: String,
    /// The instance, once it is launched.
    pub instance: Option<Instance>,
    /// When the NodeClaim was made.
    pub created: Timestamp,
    /// How many pods are on it.
    pub pods: usize,
    /// Where it stands.
    #[serde(flatten)]
    pub standing: NodeStanding,
    /// When it would go, and why.
    pub goes: Option<Going>,
    /// What keeps it though it is quiet.
    pub kept_by: Option<Blocker>,
}

/// When a node would go, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Going {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: DeleteReason,
}

/// What there is to say of the pod with this uid; `None`: it is not known.
#[must_use]
pub fn pod(controller: &Controller, uid: &str, now: Timestamp) -> Option<PodAnswer> {
    let pod = controller.snapshot().pods.get(uid)?;
    let (standing, created, name) = (of_pod(pod), pod.created, pod.full_name());
    let mut answer =
        PodAnswer { pod: name, created, standing, place: None, unplaced: None, heard: Vec::new() };
    if answer.standing == PodStanding::Waits {
        let preview = preview(controller, now);
        answer.place = preview.actions.iter().find_map(|(_, action)| place(action, uid));
        answer.unplaced = preview.unplaced.into_iter().find(|one| one.pod == uid);
        answer.heard = preview.heard;
    }
    Some(answer)
}

fn place(action: &Action, uid: &str) -> Option<Place> {
    match action {
        Action::Launch(launch) if launch.pods.iter().any(|pod| pod == uid) => new_node(launch),
        Action::Nominate(one) if one.pod == uid => Some(Place::There { node: one.node.clone() }),
        Action::Launch(_)
        | Action::Nominate(_)
        | Action::Register(_)
        | Action::Initialize(_)
        | Action::Cordon(_)
        | Action::Uncordon(_)
        | Action::Delete(_)
        | Action::Evict(_)
        | Action::Terminate(_)
        | Action::Finalize(_) => None,
    }
}

fn new_node(launch: &Launch) -> Option<Place> {
    Some(Place::New {
        node_pool: launch.node_pool.clone(),
        cheapest: launch.offerings.first()?.clone(),
        offerings: launch.offerings.len(),
        pods: launch.pods.len(),
    })
}

/// What there is to say of a node, by the name of its Node or NodeClaim; `None`: we have no such node.
#[must_use]
pub fn node(controller: &Controller, name: &str, now: Timestamp) -> Option<NodeAnswer> {
    let snapshot = controller.snapshot();
    let of_node_named = |claim: &&NodeClaim| claim.node.as_deref() == Some(name);
    let claim = snapshot.claims.get(name).or_else(|| snapshot.claims.values().find(of_node_named))?.clone();
    let standing = of_node(snapshot, &claim, now);
    let node = snapshot.node_of_claim(&claim).map(|node| node.name.clone());
    let pods = node.as_deref().map_or(0, |node| snapshot.pods_on(node).count());
    let preview = preview(controller, now);
    let goes = preview.actions.iter().find_map(|(at, action)| match action {
        Action::Delete(delete) if delete.claim == claim.name => {
            Some(Going { at: *at, reason: delete.reason })
        }
        _ => None,
    });
    let kept_by = preview.blocked.into_iter().find(|one| one.claim == claim.name).map(|one| one.why);
    let NodeClaim { name: claim, node_pool, instance, created, .. } = claim;
    Some(NodeAnswer { claim, node, node_pool, instance, created, pods, standing, goes, kept_by })
}

impl fmt::Display for PodAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pod {}, made at {}: {}", self.pod, self.created, self.standing)?;
        if let Some(place) = &self.place {
            writeln!(f, "  {place}")?;
        }
        if let Some(unplaced) = &self.unplaced {
            write_unplaced(f, unplaced)?;
        }
        for Heard { policy, about, words, .. } in &self.heard {
            writeln!(f, "  policy {policy} about {about}: {words}")?;
        }
        Ok(())
    }
}

fn write_unplaced(f: &mut fmt::Formatter<'_>, unplaced: &Unplaced) -> fmt::Result {
    match &unplaced.itself {
        Some(why) => writeln!(f, "  no node would do: {why}")?,
        None if unplaced.node_pools.is_empty() => writeln!(f, "  there is no NodePool")?,
        None => writeln!(f, "  no NodePool would do:")?,
    }
    for NodePoolWhy { node_pool, why } in &unplaced.node_pools {
        writeln!(f, "    {node_pool}: {why}")?;
    }
    match &unplaced.remedy {
        Remedy::Change(_) | Remedy::NoSingleChange => writeln!(f, "  {}", unplaced.remedy),
        Remedy::NotTried => Ok(()),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::There { node } => write!(f, "there is room for it on {node}"),
            Self::New { node_pool, cheapest, offerings, pods } => {
                let LaunchOffering { instance_type, zone, capacity_type, price, .. } = cheapest;
                let others = offerings.saturating_sub(1);
                write!(f, "a new node of NodePool {node_pool} would be made for it: ")?;
                write!(
                    f,
                    "{instance_type} in {zone}, {capacity_type}, {price}/h, or one of {others} other offerings"
                )?;
                match pods.saturating_sub(1) {
                    0 => Ok(()),
                    1 => f.write_str("; 1 other pod would come with it"),
                    more => write!(f, "; {more} other pods would come with it"),
                }
            }
        }
    }
}

impl fmt::Display for NodeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "node {node} (NodeClaim {})", self.claim)?,
            None => write!(f, "NodeClaim {}", self.claim)?,
        }
        write!(f, " of NodePool {}, made at {}", self.node_pool, self.created)?;
        if let Some(Instance { instance_type, zone, capacity_type, price, .. }) = &self.instance {
            write!(f, ": {instance_type} in {zone}, {capacity_type}, {price}/h")?;
        }
        writeln!(f, ", {}", counted_pods(self.pods))?;
        match &self.goes {
            Some(going) if matches!(self.standing, NodeStanding::Quiet { .. }) => {
                writeln!(f, "  it goes at {} if nothing changes: {}", going.at, going.reason)
            }
            Some(going) => {
                writeln!(f, "  {}", self.standing)?;
                writeln!(f, "  it goes at {} if nothing changes: {}", going.at, going.reason)
            }
            None => match &self.kept_by {
                Some(blocker) => writeln!(f, "  it stays: {blocker}"),
                None => writeln!(f, "  {}", self.standing),
            },
        }
    }
}
