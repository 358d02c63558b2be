//! The hook `capacity`: how pods that wait are to be bought capacity.

use crate::bindings::capacity::exports::whittle::policy::capacity::{Choice, Hold, Share, Split, Supply};
use crate::bindings::policy::whittle::policy::types::{CapacityType, Duration, Instant, PodGroup, Price};

/// Chooses how the nodes for waiting pods may be bought.
///
/// ```
/// use whittle_guest_sdk::prelude::*;
///
/// /// Buys spot only while nothing was reclaimed for an hour.
/// #[derive(Deserialize, JsonSchema)]
/// struct OnceBitten {}
///
/// impl Capacity for OnceBitten {
///     fn choose(&self, market: &Market<'_>, group: &PodGroup) -> Choice {
///         let bitten = market.of(CapacityType::Spot).any(|supply| supply.reclaims.last_hour > 0);
///         if bitten { Choice::all_on(group, [CapacityType::OnDemand], "reclaims") } else { Choice::Default }
///     }
/// }
///
/// export_policy!(OnceBitten: Capacity);
/// # fn main() {
/// let supplies = [supply(CapacityType::Spot, "a").reclaimed(1, 1)];
/// let market = Market { now: 0, supplies: &supplies };
/// assert_eq!(OnceBitten {}.choose(&market, &group().pods(4)).pods_on(CapacityType::OnDemand), 4);
/// # }
/// ```
pub trait Capacity {
    /// Chooses for one group of pods that wait.
    fn choose(&self, market: &Market<'_>, group: &PodGroup) -> Choice;

    /// Chooses for all groups: one choice each, in their order.
    fn choose_all(&self, market: &Market<'_>, groups: &[PodGroup]) -> Vec<Choice> {
        groups.iter().map(|group| self.choose(market, group)).collect()
    }
}

/// What can be bought, by capacity type and zone, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Market<'a> {
    /// The time.
    pub now: Instant,
    /// What can be bought, and how that went lately.
    pub supplies: &'a [Supply],
}

impl<'a> Market<'a> {
    /// The supplies of one capacity type, one for each zone.
    pub fn of(&self, capacity_type: CapacityType) -> impl Iterator<Item = &'a Supply> + use<'a> {
        self.supplies.iter().filter(move |supply| supply.capacity_type == capacity_type)
    }

    /// The price of the cheapest offering of a capacity type in any zone; `None` when none is available.
    #[must_use]
    pub fn cheapest(&self, capacity_type: CapacityType) -> Option<Price> {
        let available = self.of(capacity_type).filter(|supply| supply.offerings > supply.unavailable);
        available.map(|supply| supply.cheapest).min()
    }
}

/// Some of a group's pods, while it is being divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pods<'a> {
    /// How many; may be none.
    pub count: u32,
    group: &'a PodGroup,
}

impl Pods<'_> {
    /// These pods on these capacity types, the best first, as far as the group allows them.
    ///
    /// Where it allows none of them, its own come in their place: a policy narrows what may be bought, and pods that
    /// may not be on spot are not the policy's to put there.
    #[must_use]
    pub fn on(self, prefer: impl IntoIterator<Item = CapacityType>) -> Share {
        let mut wanted: Vec<CapacityType> = Vec::new();
        for capacity_type in prefer {
            if self.group.capacity_types.contains(&capacity_type) && !wanted.contains(&capacity_type) {
                wanted.push(capacity_type);
            }
        }
        if wanted.is_empty() {
            wanted.clone_from(&self.group.capacity_types);
        }
        Share { pods: self.count, prefer: wanted }
    }

    /// These pods on whatever the group allows, in the host's order.
    #[must_use]
    pub fn by_default(self) -> Share {
        Share { pods: self.count, prefer: self.group.capacity_types.clone() }
    }
}

impl PodGroup {
    /// Divides the pending pods: the first `count` of them (or all, when they are fewer), and the rest.
    #[must_use]
    pub fn divide(&self, count: u32) -> (Pods<'_>, Pods<'_>) {
        let first = count.min(self.pending);
        (Pods { count: first, group: self }, Pods { count: self.pending - first, group: self })
    }

    /// How many pods of the workload run, or are expected, on capacity of this type.
    #[must_use]
    pub fn running_as(&self, capacity_type: CapacityType) -> u32 {
        let of_type = self.running.iter().filter(|running| running.capacity_type == capacity_type);
        of_type.fold(0, |sum, running| sum.saturating_add(running.pods))
    }

    /// How many pods of the workload run, or are expected, on any capacity.
    #[must_use]
    pub fn running_anywhere(&self) -> u32 {
        self.running.iter().fold(0, |sum, running| sum.saturating_add(running.pods))
    }
}

impl Choice {
    /// Buy as these shares say. Shares without pods are left out; with none left this is `Default`.
    #[must_use]
    pub fn shares(shares: impl IntoIterator<Item = Share>, reason: impl Into<String>) -> Self {
        let shares: Vec<Share> = shares.into_iter().filter(|share| share.pods > 0).collect();
        if shares.is_empty() || shares.iter().any(|share| share.prefer.is_empty()) {
            return Self::Default;
        }
        Self::Split(Split { shares, reason: reason.into() })
    }

    /// Buy for all of a group's pods on these capacity types, the best first.
    #[must_use]
    pub fn all_on(
        group: &PodGroup,
        prefer: impl IntoIterator<Item = CapacityType>,
        reason: impl Into<String>,
    ) -> Self {
        Self::shares([group.divide(u32::MAX).0.on(prefer)], reason)
    }

    /// Buy nothing yet.
    #[must_use]
    pub fn hold(span: Duration, reason: impl Into<String>) -> Self {
        Self::Hold(Hold { span, reason: reason.into() })
    }

    /// How many pods go to shares that like this capacity type best. None unless this is a split.
    #[must_use]
    pub fn pods_on(&self, capacity_type: CapacityType) -> u32 {
        match self {
            Self::Default | Self::Hold(_) => 0,
            Self::Split(split) => {
                let liked = split.shares.iter().filter(|share| share.prefer.first() == Some(&capacity_type));
                liked.map(|share| share.pods).sum()
            }
        }
    }
}
