//! Reasons: why a pod has no place, why a node stays.
//!
//! The core has no errors, only reasons. Each says what was found and what would have been needed, and prints
//! as one line that an operator can act on.

pub mod about;
pub(crate) mod amount;
pub mod change;
pub mod lost;

use std::fmt;

use serde::Serialize;

use crate::model::node_pool::NODES;
use crate::model::requirement::{Requirement, Taint};
use crate::why::amount::shown;
use crate::why::change::Remedy;
use crate::why::lost::Lost;

/// A pod without a place, with the reason of each NodePool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unplaced {
    /// The pod's uid.
    pub pod: String,
    /// `namespace/name`.
    pub name: String,
    /// Why no NodePool would do, in the order in which they were tried. With no NodePool at all, empty.
    pub node_pools: Vec<NodePoolWhy>,
    /// What is wrong with the pod itself, whatever the NodePools are.
    pub itself: Option<Why>,
    /// What would have to be changed for it to have a place.
    pub remedy: Remedy,
}

/// Why one NodePool will not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePoolWhy {
    /// The NodePool.
    pub node_pool: String,
    /// The first rule that excludes it.
    pub why: Why,
}

/// A rule that keeps a pod from a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "reason")]
pub enum Why {
    /// The NodePool's EC2NodeClass does not exist.
    Missing {
        /// What does not exist.
        what: String,
    },
    /// The NodePool or its EC2NodeClass is not ready, or is being deleted.
    NotReady {
        /// What is not ready.
        what: String,
    },
    /// The NodePool has a fixed number of nodes.
    FixedReplicas,
    /// What the NodePool itself asks of a label leaves no value for it.
    Contradiction {
        /// The label.
        key: String,
        /// What is asked of it, by its requirements and its labels.
        wanted: Vec<Requirement>,
    },
    /// The pod does not tolerate a taint.
    Taint {
        /// The taint.
        taint: Taint,
    },
    /// The pod asks for a label that the NodePool cannot give.
    #[serde(rename_all = "camelCase")]
    Label {
        /// The label's key.
        key: String,
        /// What the pod asks for.
        wanted: String,
        /// What the NodePool's nodes can have.
        offered: String,
    },
    /// No instance type is left.
    #[serde(rename_all = "camelCase")]
    InstanceTypes {
        /// How many the NodePool could launch, were it not for this pod and for what EC2 has refused of late.
        considered: u32,
        /// How many of them each rule excludes, in the order in which the rules are asked. A type is counted at the
        /// first rule that excludes it, and so these add up to all of them, but for resources and room for pods, of
        /// which a type may lack several.
        lost: Vec<Lost>,
    },
    /// The NodePool has reached a limit.
    #[serde(rename_all = "camelCase")]
    Limit {
        /// The resource that is limited.
        resource: String,
        /// The limit.
        limit: u64,
        /// How much of it is in use or planned.
        used: u64,
        /// How much the smallest node would add that would do.
        needed: u64,
        /// How many instance types would do without limits.
        instance_types: u32,
        /// How many of them are too large for what is left of this one.
        too_large: u32,
    },
    /// A topology spread or pod (anti-)affinity leaves no place.
    Topology {
        /// What kind of rule.
        rule: TopologyRule,
        /// The node label it is about.
        key: String,
    },
    /// A volume is nowhere, or not where the NodePool's nodes can be.
    Volume {
        /// What is wrong with it.
        message: String,
    },
    /// The pod asks for a node that no NodePool can ever have.
    Selector {
        /// What it asks for.
        message: String,
    },
    /// The pod's host ports are taken by DaemonSets.
    HostPort,
    /// A policy wants it to wait.
    Policy {
        /// What was said, and by whom.
        message: String,
    },
    /// The pod waits for capacity reservations that other new nodes hold until it is known which of them they need.
    Reserved,
    /// The decision looked at as many places as it may before it was done with pods like this one: whether there is a
    /// place for them is not known.
    Looks {
        /// How many places a decision may look at.
        looks: u64,
    },
    /// The number of distinct values that the NodePool asks for cannot be kept.
    #[serde(rename_all = "camelCase")]
    MinValues {
        /// The label's key.
        key: String,
        /// How many distinct values must remain.
        wanted: u32,
        /// How many would remain.
        left: u32,
    },
}

/// A rule on where pods are relative to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Hash)]
#[serde(rename_all = "camelCase")]
pub enum TopologyRule {
    /// `topologySpreadConstraints`.
    Spread,
    /// `podAffinity`.
    Affinity,
    /// `podAntiAffinity`, the pod's own or that of a pod that is there.
    AntiAffinity,
}

/// A node that stays, and what keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MoveBlocked {
    /// The NodeClaim's name.
    pub claim: String,
    /// What keeps it.
    pub why: Blocker,
}

/// What keeps a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "blocker")]
pub enum Blocker {
    /// The node asks to be left alone.
    NodeDoNotDisrupt,
    /// A pod asks to be left alone.
    PodDoNotDisrupt {
        /// `namespace/name` of the pod.
        pod: String,
    },
    /// A PodDisruptionBudget allows no eviction.
    PodDisruptionBudget {
        /// `namespace/name` of the pod.
        pod: String,
        /// `namespace/name` of the budget.
        budget: String,
    },
    /// The NodePool's budget is used up.
    NodePoolBudget {
        /// The NodePool.
        node_pool: String,
    },
    /// Its pods fit nowhere else.
    PodsFitNowhere {
        /// `namespace/name` of the first that does not.
        pod: String,
    },
    /// A policy is against it.
    Policy {
        /// What was said, and by whom.
        message: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { what } => write!(f, "{what} does not exist"),
            Self::NotReady { what } => write!(f, "{what} is not ready"),
            Self::FixedReplicas => f.write_str("the NodePool has a fixed number of nodes (spec.replicas)"),
            Self::Contradiction { key, wanted } => {
                let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
                write!(f, "no value of {key} is what the NodePool asks for: {}", wanted.join(" and "))
            }
            Self::Taint { taint } => write!(f, "the pod does not tolerate the taint {taint}"),
            Self::Label { key, wanted, offered } => {
                write!(f, "the pod wants {key} {wanted}, the NodePool offers {offered}")
            }
            Self::InstanceTypes { considered, lost } => {
                write!(f, "none of {considered} instance types will do")?;
                let mut separator = ": ";
                for lost in lost {
                    write!(f, "{separator}{lost}")?;
                    separator = ", ";
                }
                let counted: u64 = lost.iter().map(|lost| u64::from(lost.instance_types)).sum();
                f.write_str(if counted > u64::from(*considered) { " (a type may lack several)" } else { "" })
            }
            Self::Limit { resource, limit, used, .. } if resource == NODES => {
                write!(f, "the NodePool's limit of {limit} nodes is reached ({used} in use or planned)")
            }
            Self::Limit { resource, limit, used, needed, instance_types, too_large } => {
                let [limit, used, needed] = [limit, used, needed].map(|amount| shown(resource, *amount));
                write!(f, "the NodePool's limit of {limit} {resource} has no room for one more node ")?;
                write!(f, "({used} in use or planned, the smallest that would do adds {needed}; ")?;
                write!(f, "too large for what is left: {too_large} of {instance_types} types)")
            }
            Self::Topology { rule, key } => {
                write!(f, "{rule} over {key} leaves no domain")
            }
            Self::Volume { message } | Self::Selector { message } => f.write_str(message),
            Self::HostPort => f.write_str("a DaemonSet takes the pod's host port on every such node"),
            Self::Policy { message } => f.write_str(message),
            Self::Reserved => f.write_str(
                "the pod waits for a capacity reservation: other new nodes hold what is left until they are launched",
            ),
            Self::Looks { looks } => write!(
                f,
                "the decision had looked at its {looks} places before it was done with pods like this one; \
                 the next one goes on"
            ),
            Self::MinValues { key, wanted, left } => {
                write!(f, "the NodePool wants at least {wanted} values of {key}, {left} would be left")
            }
        }
    }
}

impl fmt::Display for TopologyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spread => "topology spread",
            Self::Affinity => "pod affinity",
            Self::AntiAffinity => "pod anti-affinity",
        })
    }
}

impl fmt::Display for Unplaced {
    /// One line: the pod, then each NodePool with its reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(why) = &self.itself {
            return write!(f, ": {why}");
        }
        if self.node_pools.is_empty() {
            return f.write_str(": there is no NodePool");
        }
        let mut separator = ": ";
        for NodePoolWhy { node_pool, why } in &self.node_pools {
            write!(f, "{separator}{node_pool}: {why}")?;
            separator = "; ";
        }
        Ok(())
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeDoNotDisrupt => {
                f.write_str("the node asks to be left alone (karpenter.sh/do-not-disrupt)")
            }
            Self::PodDoNotDisrupt { pod } => {
                write!(f, "pod {pod} asks to be left alone (karpenter.sh/do-not-disrupt)")
            }
            Self::PodDisruptionBudget { pod, budget } => {
                write!(f, "PodDisruptionBudget {budget} allows no eviction of pod {pod}")
            }
            Self::NodePoolBudget { node_pool } => {
                write!(f, "the disruption budget of NodePool {node_pool} is used up")
            }
            Self::PodsFitNowhere { pod } => write!(f, "pod {pod} fits on no other node"),
            Self::Policy { message } => f.write_str(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::change::Remedy;
    use super::lost::{Lost, LostTo};
    use super::{NodePoolWhy, Unplaced, Why};

    #[test]
    fn an_unplaced_pod_prints_every_node_pool_with_its_reason() {
        let (instance_types, too_large) = (9, 7);
        let limit = Why::Limit {
            resource: "cpu".into(),
            limit: 8_000,
            used: 7_500,
            needed: 2_000,
            instance_types,
            too_large,
        };
        let to = LostTo::Resource { resource: "memory".into(), wanted: 8 << 30, largest: 4 << 30 };
        let types = Why::InstanceTypes { considered: 3, lost: vec![Lost { instance_types: 3, to }] };
        let node_pools = [("a", limit), ("b", types)];
        let node_pools = node_pools.map(|(name, why)| NodePoolWhy { node_pool: name.into(), why }).to_vec();
        let (pod, name, remedy) = ("1".into(), "shop/web".into(), Remedy::NoSingleChange);
        let unplaced = Unplaced { pod, name, node_pools, itself: None, remedy };
        assert_eq!(
            unplaced.to_string(),
            "shop/web: a: the NodePool's limit of 8 cpu has no room for one more node \
             (7500m in use or planned, the smallest that would do adds 2; \
             too large for what is left: 7 of 9 types); \
             b: none of 3 instance types will do: 3 have less memory than the 8Gi asked for (the largest 4Gi)"
        );
    }
}
