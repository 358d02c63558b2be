//! Reasons: why a pod has no place, why a node stays.
//!
//! The core has no errors, only reasons. Each says what was found and what would have been needed, and prints
//! as one line that an operator can act on.

use std::fmt;

use serde::Serialize;

use crate::model::node_pool::NODES;
use crate::model::requirement::{Requirement, Taint};

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
        /// How many the NodePool could launch.
        considered: u32,
        /// How many of them lack each thing; one type may lack several.
        lacking: Vec<Lacking>,
    },
    /// The NodePool has reached a limit.
    Limit {
        /// The resource that is limited.
        resource: String,
        /// The limit.
        limit: u64,
        /// How much of it is in use or planned.
        used: u64,
        /// How much the smallest node would add that would do.
        needed: u64,
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
    /// The pod waits for capacity reservations that other new nodes hold until it is known which of them they need.
    Reserved,
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

/// How many instance types lack something that a pod needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lacking {
    /// What they lack: a resource's name, `requirements`, or `offering`.
    pub what: String,
    /// How many lack it.
    pub instance_types: u32,
}

/// A rule on where pods are relative to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
            Self::InstanceTypes { considered, lacking } => {
                write!(f, "none of {considered} instance types will do")?;
                let mut separator = ": ";
                for Lacking { what, instance_types } in lacking {
                    write!(f, "{separator}{instance_types} lack {what}")?;
                    separator = ", ";
                }
                Ok(())
            }
            Self::Limit { resource, limit, used, .. } if resource == NODES => {
                write!(f, "the NodePool's limit of {limit} nodes is reached ({used} in use or planned)")
            }
            Self::Limit { resource, limit, used, needed } => {
                let [limit, used, needed] = [limit, used, needed].map(|amount| shown(resource, *amount));
                write!(f, "the NodePool's limit of {limit} {resource} has no room for one more node ")?;
                write!(f, "({used} in use or planned, the smallest that would do adds {needed})")
            }
            Self::Topology { rule, key } => {
                let rule = match rule {
                    TopologyRule::Spread => "topology spread",
                    TopologyRule::Affinity => "pod affinity",
                    TopologyRule::AntiAffinity => "pod anti-affinity",
                };
                write!(f, "{rule} over {key} leaves no domain")
            }
            Self::Volume { message } | Self::Selector { message } => f.write_str(message),
            Self::HostPort => f.write_str("a DaemonSet takes the pod's host port on every such node"),
            Self::Reserved => f.write_str(
                "the pod waits for a capacity reservation: other new nodes hold what is left until they are launched",
            ),
            Self::MinValues { key, wanted, left } => {
                write!(f, "the NodePool wants at least {wanted} values of {key}, {left} would be left")
            }
        }
    }
}

/// An amount in the unit that people use for the resource.
fn shown(resource: &str, amount: u64) -> String {
    const GIB: u64 = 1 << 30;
    match resource {
        "cpu" if amount.is_multiple_of(1_000) => format!("{}", amount / 1_000),
        "cpu" => format!("{amount}m"),
        "memory" | "ephemeral-storage" if amount.is_multiple_of(GIB) => format!("{}Gi", amount / GIB),
        "memory" | "ephemeral-storage" if amount > GIB => {
            // Tenths, rounded down: what is nearly a limit must not look as if it were one.
            let tenths = u128::from(amount) * 10 / u128::from(GIB);
            format!("{}.{}Gi", tenths / 10, tenths % 10)
        }
        "memory" | "ephemeral-storage" => format!("{}Mi", amount >> 20),
        _ => amount.to_string(),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lacking, NodePoolWhy, Unplaced, Why};

    #[test]
    fn an_unplaced_pod_prints_every_node_pool_with_its_reason() {
        let limit = Why::Limit { resource: "cpu".into(), limit: 8_000, used: 7_500, needed: 2_000 };
        let lacking = vec![Lacking { what: "memory".into(), instance_types: 3 }];
        let pools = [("a", limit), ("b", Why::InstanceTypes { considered: 3, lacking })];
        let node_pools = pools.map(|(name, why)| NodePoolWhy { node_pool: name.into(), why }).to_vec();
        let unplaced = Unplaced { pod: "1".into(), name: "shop/web".into(), node_pools, itself: None };
        assert_eq!(
            unplaced.to_string(),
            "shop/web: a: the NodePool's limit of 8 cpu has no room for one more node \
             (7500m in use or planned, the smallest that would do adds 2); \
             b: none of 3 instance types will do: 3 lack memory"
        );
    }
}
