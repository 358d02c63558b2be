//! An independent judge of finished plans: the rules of scheduling and disruption, said a second time.
//!
//! ```text
//!  Snapshot + Plan ──► World: every place a pod can be (nodes, NodeClaims on their way, launches of the plan),
//!                      with the pods that are there, that come and that go
//!        │
//!        ├──► launch      may this NodeClaim be made, and can each of its offerings hold its pods?
//!        ├──► reservations  is reserved capacity promised once, and does whoever is promised it list nothing else?
//!        ├──► placement   may this pod be placed, and here?
//!        ├──► topology    do spread, affinity and anti-affinity hold once everybody is in place?
//!        ├──► disruption  may this node be taken away, now?
//!        ├──► drift       is this node really not what is asked for any more?
//!        └──► drain       may this pod be asked to leave, this instance be ended?
//! ```
//!
//! `legal` leaves out of a plan what breaks a rule.
//!
//! Nothing here shares code with the deciding half of the crate, and nothing here decides: it reads model objects
//! and plain strings only. Where two readings of a rule are possible, the laxer one holds, because a plan with a
//! violation is not carried out.
//!
//! What is deliberately absent: preferences (they cannot be violated), the price of a plan, and everything that
//! only the one who carries a plan out can see.

mod disruption;
mod drain;
mod drift;
mod labels;
mod launch;
pub mod legal;
mod placement;
mod reservations;
mod topology;
mod world;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

use crate::check::world::World;
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::state::Snapshot;

/// A rule that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What breaks it: the name of a NodeClaim or Node, or `namespace/name` of a pod.
    pub subject: String,
    /// What was found and what was expected, in words.
    pub message: String,
}

/// The rules that a plan is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// A launch comes from a NodePool that is ready, not being deleted and follows its pods, with its EC2NodeClass.
    NodePool,
    /// A new NodeClaim has a name of its own.
    Name,
    /// Every offering that a launch lists is in the catalogue at this price, available, and listed cheapest first.
    Offering,
    /// Every offering fulfils what the NodePool and the launch ask for.
    Requirements,
    /// A launch carries its NodePool's labels and taints.
    Template,
    /// A launch states what its pods and DaemonSet pods ask for.
    Requests,
    /// The nodes of a NodePool stay within its limits.
    Limits,
    /// A launch keeps as many distinct values as its NodePool asks for.
    MinValues,
    /// Of no capacity reservation more instances are promised than it has, and a launch that is promised one lists
    /// nothing else.
    Reservation,
    /// A pod that is placed exists, needs a place and gets one only.
    Pod,
    /// A place that a pod is put in exists, stays, and can be judged.
    Place,
    /// A pod tolerates the taints of its place.
    Taints,
    /// A place fulfils the pod's node affinity.
    NodeAffinity,
    /// A place is where the pod's volumes are or can be.
    Volumes,
    /// A node can attach the volumes of its pods.
    VolumeLimits,
    /// A place has room for its pods and DaemonSet pods.
    Room,
    /// Pods on one node take different host ports.
    HostPorts,
    /// Topology spread with `DoNotSchedule`.
    Spread,
    /// Required pod affinity.
    Affinity,
    /// Required pod anti-affinity, the pod's own and that of the pods around it.
    AntiAffinity,
    /// A node that is disrupted exists, is initialized, is not going already, and no waiting pod is expected on it.
    Candidate,
    /// A node or pod that asks to be left alone is left alone.
    DoNotDisrupt,
    /// PodDisruptionBudgets.
    PodDisruptionBudget,
    /// Budgets of NodePools.
    Budget,
    /// A node is consolidated only as its NodePool's `consolidateAfter` and policy allow.
    Consolidation,
    /// A node that is ended as empty is empty.
    Empty,
    /// A node that goes as drifted is not what its NodePool and EC2NodeClass ask for.
    Drift,
    /// The pods of an underutilized or drifted node have somewhere to go.
    PodsFit,
    /// The reason given for the end of a NodeClaim is the case.
    Reason,
    /// A pod is asked to leave only when its node goes and it may be asked.
    Evict,
    /// An instance is ended only when its node is drained or its time is up.
    Terminate,
    /// A NodeClaim is let go of only when it is going.
    Finalize,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NodePool => "NodePool",
            Self::Name => "name",
            Self::Offering => "offering",
            Self::Requirements => "requirements",
            Self::Template => "template",
            Self::Requests => "requests",
            Self::Limits => "limits",
            Self::MinValues => "minValues",
            Self::Reservation => "capacity reservation",
            Self::Pod => "pod",
            Self::Place => "place",
            Self::Taints => "taints",
            Self::NodeAffinity => "node affinity",
            Self::Volumes => "volumes",
            Self::VolumeLimits => "volume limits",
            Self::Room => "room",
            Self::HostPorts => "host ports",
            Self::Spread => "topology spread",
            Self::Affinity => "pod affinity",
            Self::AntiAffinity => "pod anti-affinity",
            Self::Candidate => "candidate",
            Self::DoNotDisrupt => "do-not-disrupt",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Budget => "budget",
            Self::Consolidation => "consolidation",
            Self::Empty => "empty",
            Self::Drift => "drift",
            Self::PodsFit => "pods fit",
            Self::Reason => "reason",
            Self::Evict => "evict",
            Self::Terminate => "terminate",
            Self::Finalize => "finalize",
        })
    }
}

impl fmt::Display for Violation {
    /// `room: worker-1: found …, expected …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.rule, self.subject, self.message)
    }
}

/// Judges a finished plan against the cluster it was made for, at `now`. A legal plan gives no violation.
///
/// The violations come sorted by rule, subject and message, each once.
#[must_use]
pub fn check(snapshot: &Snapshot, plan: &Plan, now: Timestamp) -> Vec<Violation> {
    let world = World::new(snapshot, plan, now);
    let mut violations = launch::check(&world);
    violations.extend(reservations::check(&world));
    violations.extend(placement::check(&world));
    violations.extend(topology::check(&world));
    violations.extend(disruption::check(&world));
    violations.extend(drain::check(&world));
    violations.sort();
    violations.dedup();
    violations
}

/// A violation, said as what was found and what was expected.
fn broken(rule: Rule, subject: impl Into<String>, found: impl fmt::Display, expected: &str) -> Violation {
    Violation { rule, subject: subject.into(), message: format!("found {found}, expected {expected}") }
}
