//! Instance types and their offerings: what can be bought, where, and for how much.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::price::Price;
use super::resources::{HUGE_PAGES, Resources};

/// How capacity is bought.
///
/// The order is the order of preference when a launch could use several (spec: Karpenter launch path).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityType {
    /// Paid for already.
    Reserved,
    /// Cheap, and EC2 may take it back with two minutes' notice.
    Spot,
    /// At list price, kept as long as wanted.
    OnDemand,
}

impl CapacityType {
    /// All capacity types in order of preference.
    pub const ALL: [Self; 3] = [Self::Reserved, Self::Spot, Self::OnDemand];

    /// The value of the label `karpenter.sh/capacity-type`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Spot => "spot",
            Self::OnDemand => "on-demand",
        }
    }

    /// The capacity type with this label value.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capacity_type| capacity_type.label() == label)
    }
}

impl fmt::Display for CapacityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// An EC2 instance type as one EC2NodeClass would launch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceType {
    /// The EC2 name: `m6i.large`.
    pub name: String,
    /// The labels that a node of this type can carry, each with every value it may have: one for nearly all.
    /// Zone, zone id and capacity type are not here, they are in the offerings. A well-known key that is not
    /// here is a label that a node of this type never has.
    pub labels: BTreeMap<String, Vec<String>>,
    /// What the kubelet would report as the node's capacity.
    pub capacity: Resources,
    /// What the system keeps for itself: kube-reserved, system-reserved and the eviction threshold.
    pub overhead: Resources,
    /// Where and how it can be bought.
    pub offerings: Vec<Offering>,
}

impl InstanceType {
    /// What is left for pods. Huge pages are set aside from memory.
    #[must_use]
    pub fn allocatable(&self) -> Resources {
        let mut left = self.capacity.minus(&self.overhead);
        let huge = left.extended.iter().filter(|(name, _)| name.starts_with(HUGE_PAGES));
        let huge: u64 = huge.fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes));
        left.memory_bytes = left.memory_bytes.saturating_sub(huge);
        left
    }

    /// The offering in this zone that is bought in this way, from the capacity reservation with this id where that is how.
    #[must_use]
    pub fn offering(
        &self,
        zone: &str,
        capacity_type: CapacityType,
        reservation: Option<&str>,
    ) -> Option<&Offering> {
        self.offerings.iter().find(|one| {
            one.zone == zone
                && one.capacity_type == capacity_type
                && one.reservation.as_ref().map(|of_it| of_it.id.as_str()) == reservation
        })
    }
}

/// One way to buy an instance type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offering {
    /// The zone's name.
    pub zone: String,
    /// The zone's account-independent id.
    pub zone_id: String,
    /// How it is bought.
    pub capacity_type: CapacityType,
    /// What it costs.
    pub price: Price,
    /// Whether the price is an estimate of ours rather than a published figure.
    pub estimated: bool,
    /// Whether EC2 is thought to have it now.
    pub available: bool,
    /// The capacity reservation that it is bought from, where that is how it is bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Reservation>,
}

/// A capacity reservation as an offering of one instance type in one zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// Its id: `cr-0123456789abcdef0`.
    pub id: String,
    /// How it was bought.
    pub kind: ReservationKind,
    /// How many instances it has for this cluster, those of them included that run in it already.
    pub instances: u32,
}

/// How a capacity reservation was bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReservationKind {
    /// On demand.
    Default,
    /// As a block with a fixed end.
    CapacityBlock,
}

impl ReservationKind {
    /// The value of the label `karpenter.k8s.aws/capacity-reservation-type`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::CapacityBlock => "capacity-block",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{InstanceType, Resources};

    #[test]
    fn huge_pages_are_taken_from_memory() {
        let mut capacity = Resources { memory_bytes: 100, ..Resources::default() };
        capacity.set("hugepages-2Mi", 30);
        capacity.set("hugepages-1Gi", 20);
        let overhead = Resources { memory_bytes: 10, ..Resources::default() };
        let (name, labels) = ("huge".to_owned(), BTreeMap::new());
        let huge = InstanceType { name, labels, capacity, overhead, offerings: Vec::new() };
        let left = huge.allocatable();
        assert_eq!((left.memory_bytes, left.get("hugepages-2Mi"), left.get("hugepages-1Gi")), (40, 30, 20));
    }
}
