//! The smallest single change that would give a pod a place.
//!
//! Changes are found by trying (`provision::explain`), never by looking at a reason and guessing. "Single" is one edit
//! of one manifest; what needs two is not named.

use std::fmt;

use serde::Serialize;

use crate::model::requirement::Taint;
use crate::why::TopologyRule;
use crate::why::amount::written;

/// What came of looking for a change that would place a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "remedy", content = "change")]
pub enum Remedy {
    /// This one would.
    Change(Change),
    /// All that are known were tried, and none would.
    NoSingleChange,
    /// Not looked for, or not to the end: nothing about the pod can be changed, or too many others have no place either.
    NotTried,
}

/// A single change. The smaller come first: what costs the operator less and touches fewer others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "change")]
pub enum Change {
    /// A number in a NodePool that would take the pod as it is. Nothing that runs or waits is touched.
    #[serde(rename_all = "camelCase")]
    RaiseLimit {
        /// The NodePool.
        node_pool: String,
        /// The resource that is limited, or `nodes`.
        resource: String,
        /// The limit of today.
        from: u64,
        /// The least limit in a round unit that suffices for one such pod.
        to: u64,
    },
    /// A line in the pod, which goes on asking for all that it asks for.
    #[serde(rename_all = "camelCase")]
    Tolerate {
        /// The taint.
        taint: Taint,
        /// The NodePool that would do then.
        node_pool: String,
    },
    /// One more value that is good enough for the pod.
    #[serde(rename_all = "camelCase")]
    Widen {
        /// The label's key.
        key: String,
        /// The value that is added.
        value: String,
        /// The NodePool that would do then.
        node_pool: String,
    },
    /// More that a NodePool may launch: one more value, or any at all. Its nodes stay as they are; any of its pods may get
    /// such a node.
    #[serde(rename_all = "camelCase")]
    WidenNodePool {
        /// The NodePool.
        node_pool: String,
        /// The label's key.
        key: String,
        /// The value that is added; `None` when the requirement has to go.
        value: Option<String>,
    },
    /// Fewer distinct values in the launches of a NodePool, so that EC2 has less to choose from for all of its pods.
    #[serde(rename_all = "camelCase")]
    LowerMinValues {
        /// The NodePool.
        node_pool: String,
        /// The label's key.
        key: String,
        /// The minimum of today.
        from: u32,
        /// The minimum that suffices; 0 when it has to go.
        to: u32,
    },
    /// A label that the NodePool's nodes will have. Those that are there are replaced for it (they drift).
    #[serde(rename_all = "camelCase")]
    Label {
        /// The NodePool.
        node_pool: String,
        /// The label's key.
        key: String,
        /// The value of today.
        from: Option<String>,
        /// The value that the pod asks for.
        value: String,
    },
    /// A rule of the pod's on where it is relative to others becomes a preference.
    #[serde(rename_all = "camelCase")]
    Relax {
        /// What kind of rule.
        rule: TopologyRule,
        /// The node label it is about.
        key: String,
        /// The NodePool that would do then.
        node_pool: String,
    },
    /// The pod no longer asks for a label.
    #[serde(rename_all = "camelCase")]
    DropRequirement {
        /// The label's key.
        key: String,
        /// The NodePool that would do then.
        node_pool: String,
    },
    /// The pod makes do with less than it says it needs.
    #[serde(rename_all = "camelCase")]
    LowerRequest {
        /// The resource.
        resource: String,
        /// What it asks for.
        from: u64,
        /// The most that would be had.
        to: u64,
        /// The NodePool that would do then.
        node_pool: String,
    },
}

impl fmt::Display for Remedy {
    /// A line, or nothing where nothing was tried.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => write!(f, "smallest change: {change}"),
            Self::NoSingleChange => f.write_str("no single change would do"),
            Self::NotTried => Ok(()),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RaiseLimit { node_pool, resource, from, to } => {
                let [from, to] = [from, to].map(|amount| written(resource, *amount));
                write!(f, "raise spec.limits.{resource} of NodePool {node_pool} from {from} to {to}")
            }
            Self::Tolerate { taint, .. } => write!(f, "add the toleration {taint} to the pod"),
            Self::Widen { key, value, .. } => write!(f, "let the pod run on nodes with {key}={value} too"),
            Self::WidenNodePool { node_pool, key, value: Some(value) } => {
                write!(f, "let NodePool {node_pool} launch nodes with {key}={value} too")
            }
            Self::WidenNodePool { node_pool, key, value: None } => {
                write!(f, "drop the requirement on {key} from NodePool {node_pool}")
            }
            Self::LowerMinValues { node_pool, key, to: 0, .. } => {
                write!(f, "drop minValues of {key} from NodePool {node_pool}")
            }
            Self::LowerMinValues { node_pool, key, from, to } => {
                write!(f, "lower minValues of {key} in NodePool {node_pool} from {from} to {to}")
            }
            Self::Label { node_pool, key, from: None, value } => {
                write!(f, "give NodePool {node_pool} the label {key}={value}")
            }
            Self::Label { node_pool, key, from: Some(from), value } => {
                write!(f, "change the label {key} of NodePool {node_pool} from {from} to {value}")
            }
            Self::Relax { rule, key, .. } => {
                write!(f, "make the pod's {rule} over {key} a preference")
            }
            Self::DropRequirement { key, .. } => write!(f, "drop the requirement on {key} from the pod"),
            Self::LowerRequest { resource, from, to, .. } => {
                let [from, to] = [from, to].map(|amount| written(resource, *amount));
                write!(f, "lower the pod's request for {resource} from {from} to {to}")
            }
        }?;
        match self {
            Self::RaiseLimit { .. }
            | Self::WidenNodePool { .. }
            | Self::LowerMinValues { .. }
            | Self::Label { .. } => Ok(()),
            Self::Tolerate { node_pool, .. }
            | Self::Widen { node_pool, .. }
            | Self::Relax { node_pool, .. }
            | Self::DropRequirement { node_pool, .. }
            | Self::LowerRequest { node_pool, .. } => write!(f, ", and NodePool {node_pool} would do"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Remedy};
    use crate::model::requirement::{Taint, TaintEffect};

    #[test]
    fn a_change_is_one_line_that_says_what_to_write_where() {
        let [node_pool, resource] = ["general", "cpu"].map(str::to_owned);
        let limit = Change::RaiseLimit { node_pool, resource, from: 64_000, to: 72_000 };
        assert_eq!(limit.to_string(), "raise spec.limits.cpu of NodePool general from 64 to 72");
        let [key, value, node_pool] = ["dedicated", "gpu", "gpu"].map(str::to_owned);
        let taint = Taint { key, value, effect: TaintEffect::NoSchedule };
        assert_eq!(
            Remedy::Change(Change::Tolerate { taint, node_pool }).to_string(),
            "smallest change: add the toleration dedicated=gpu:NoSchedule to the pod, and NodePool gpu would do"
        );
    }
}
