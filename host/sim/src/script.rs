//! The steps of a scenario, checked and in the world's own words: nothing in them can be wrong any more.

use whittle_core::event::NoticeKind;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::time::Duration;

use crate::input::{Objects, WorkloadKey};

/// Something that the scenario does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Says something on the timeline.
    Say(String),
    /// Brings a workload to so many pods, one at a time over a span.
    Ramp { workload: WorkloadKey, to: u64, over: Duration },
    /// Sets how many pods a workload wants.
    Scale { workload: WorkloadKey, to: u64 },
    /// Puts objects, new or changed.
    Put(Box<Objects>),
    /// Ends a workload.
    Delete(WorkloadKey),
    /// Has EC2 take instances back.
    Interrupt { filter: InstanceFilter, many: Many },
    /// Has EC2 say something else about instances, so long before it happens.
    Notice { kind: NoticeKind, ahead: Duration, filter: InstanceFilter, many: Many },
    /// Has the cloud run out of something for a while.
    Shortage { filter: InstanceFilter, span: Duration },
    /// Changes prices, in parts per million of what they were.
    Price { filter: InstanceFilter, parts_per_million: u64 },
    /// Puts the policies of a directory in force.
    Policies(String),
    /// Deletes nodes by hand.
    DeleteNodes { filter: InstanceFilter, many: Many },
}

/// How many of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Many {
    /// So many, or all when there are fewer.
    Count(u64),
    /// So many of a hundred, rounded up.
    Percent(u64),
}

impl Many {
    pub(crate) fn of(self, total: usize) -> usize {
        let total = total as u64;
        let wanted = match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (total * percent).div_ceil(100),
        };
        usize::try_from(wanted.min(total)).unwrap_or(usize::MAX)
    }
}

/// Which instances or offerings are meant; what is absent means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InstanceFilter {
    pub(crate) instance_type: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) capacity_type: Option<CapacityType>,
    pub(crate) node_pool: Option<String>,
}

impl InstanceFilter {
    /// Whether an offering is meant. The NodePool is not looked at: offerings have none.
    pub(crate) fn suits(&self, instance_type: &str, zone: &str, capacity_type: CapacityType) -> bool {
        let family = instance_type.split_once('.').map_or(instance_type, |(family, _)| family);
        self.instance_type.as_deref().is_none_or(|wanted| wanted == instance_type)
            && self.family.as_deref().is_none_or(|wanted| wanted == family)
            && self.zone.as_deref().is_none_or(|wanted| wanted == zone)
            && self.capacity_type.is_none_or(|wanted| wanted == capacity_type)
    }
}

impl std::fmt::Display for InstanceFilter {
    /// `spot m6i.large in ap-northeast-2a of loadtest`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { instance_type, family, zone, capacity_type, node_pool } = self;
        let mut words = Vec::new();
        words.extend(capacity_type.map(|capacity_type| capacity_type.to_string()));
        words.extend(instance_type.clone());
        words.extend(family.as_ref().map(|family| format!("{family}.*")));
        words.extend(zone.as_ref().map(|zone| format!("in {zone}")));
        words.extend(node_pool.as_ref().map(|pool| format!("of {pool}")));
        if words.is_empty() { f.write_str("any") } else { f.write_str(&words.join(" ")) }
    }
}
