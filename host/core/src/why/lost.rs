//! Instance types that a rule excludes, counted.

use std::fmt;

use serde::Serialize;

use crate::model::time::Timestamp;
use crate::why::amount::shown;

/// How many instance types are lost to a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// How many, of those that all rules before this one have left; resources and room for pods count as one rule.
    pub instance_types: u32,
    /// The rule.
    #[serde(flatten)]
    pub to: LostTo,
}

/// What excludes instance types, in the order in which it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "lostTo")]
pub enum LostTo {
    /// The pod asks for a label that they do not have.
    Label {
        /// The label's key.
        key: String,
        /// What the pod asks for.
        wanted: String,
    },
    /// A DaemonSet takes the pod's host port on them.
    HostPort,
    /// They have less of a resource than the pod asks for, once DaemonSets have taken their share.
    Resource {
        /// The resource.
        resource: String,
        /// How much the pod asks for.
        wanted: u64,
        /// The most that any of those has that the rules before this one have left.
        largest: u64,
    },
    /// Their nodes hold no more pods than DaemonSets run there.
    Pods,
    /// They are not sold in the zones and capacity types that the pod and the NodePool leave open.
    NotOffered,
    /// EC2 has refused them of late, and they are left alone for a while.
    Unavailable {
        /// When the first of them is asked for again.
        until: Timestamp,
    },
    /// They are too large for what is left of a limit.
    Limit {
        /// The resource that is limited.
        resource: String,
        /// How much is left.
        left: u64,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance_types: count, to } = self;
        let (have, are) = if *count == 1 { ("has", "is") } else { ("have", "are") };
        match to {
            LostTo::Label { key, wanted } => write!(f, "{count} {are} not {key} {wanted}"),
            LostTo::HostPort => write!(f, "{count} {have} the host port taken by a DaemonSet"),
            LostTo::Resource { resource, largest: 0, .. } => write!(f, "{count} {have} no {resource}"),
            LostTo::Resource { resource, wanted, largest } => {
                let [wanted, largest] = [wanted, largest].map(|amount| shown(resource, *amount));
                write!(
                    f,
                    "{count} {have} less {resource} than the {wanted} asked for (the largest {largest})"
                )
            }
            LostTo::Pods => write!(f, "{count} {have} no room for one more pod"),
            LostTo::NotOffered => write!(f, "{count} {are} not sold in these zones and capacity types"),
            LostTo::Unavailable { until } => {
                write!(f, "{count} {are} left alone because EC2 had none, until {}", time_of_day(*until))
            }
            LostTo::Limit { resource, left } => {
                let left = shown(resource, *left);
                write!(f, "{count} {are} too large for the {left} {resource} left of the limit")
            }
        }
    }
}

/// The time of day in UTC: what is left alone is so for minutes.
fn time_of_day(at: Timestamp) -> String {
    let seconds = at.millis() / 1_000;
    let [hours, minutes, seconds] = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60];
    format!("{hours:02}:{minutes:02}:{seconds:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::{Lost, LostTo};
    use crate::model::time::{Duration, Timestamp};

    #[test]
    fn what_costs_instance_types_is_said_with_what_there_is_and_what_is_asked() {
        let until = Timestamp::EPOCH + Duration::from_secs(86_400 + 3_723);
        let resource =
            |name: &str, wanted, largest| LostTo::Resource { resource: name.into(), wanted, largest };
        let cases = [
            (
                9,
                resource("cpu", 400_000, 192_000),
                "9 have less cpu than the 400 asked for (the largest 192)",
            ),
            (1, resource("nvidia.com/gpu", 1, 0), "1 has no nvidia.com/gpu"),
            (2, LostTo::Unavailable { until }, "2 are left alone because EC2 had none, until 01:02:03 UTC"),
        ];
        for (instance_types, to, expected) in cases {
            assert_eq!(Lost { instance_types, to }.to_string(), expected);
        }
    }
}
