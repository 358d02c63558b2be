//! Everything that a policy usually names, in one import.

pub use std::collections::{BTreeMap, BTreeSet};

pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};

pub use crate::bindings::capacity::exports::whittle::policy::capacity::{Choice, Hold, Share, Split, Supply};
pub use crate::bindings::consolidation::exports::whittle::policy::consolidation::{
    Move, Postponement, Quiet, Reason, Replacement, Verdict as MoveVerdict,
};
pub use crate::bindings::interruption::exports::whittle::policy::interruption::{Kind, Notice, Reaction};
pub use crate::bindings::offerings::exports::whittle::policy::offerings::{
    InstanceType, Judgement, Offering, Verdict as OfferingVerdict,
};
pub use crate::bindings::policy::exports::whittle::policy::meta::{Complaint, Reads};
pub use crate::bindings::policy::whittle::policy::types::{
    CapacityType, Duration, Effect, Fact, History, Instant, Label, Node, PodGroup, Price, Quantity,
    Residents, Resources, Running, Taint, Toleration, Value,
};
pub use crate::bindings::taints::exports::whittle::policy::taints::{Change, Outfit};
pub use crate::build::{group, instance_type, moving, node, notice, offering, residents, supply};
pub use crate::export_policy;
pub use crate::hooks::capacity::{Capacity, Market, Pods};
pub use crate::hooks::consolidation::{Consolidation, Round};
pub use crate::hooks::interruption::Interruption;
pub use crate::hooks::offerings::{Catalog, Offerings};
pub use crate::hooks::policy::Policy;
pub use crate::hooks::taints::Taints;
pub use crate::integer;
pub use crate::log;
pub use crate::settings::{Money, Percent, Span, Workloads};
