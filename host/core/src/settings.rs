//! What an operator has set that decisions depend on. Defaults are Karpenter's.
//!
//! Flags and environment variables are read by the command; how the loop paces itself is a matter of its own
//! settings. Here is only what changes a plan.

use crate::lifecycle::REGISTRATION_TIMEOUT;
use crate::model::pod::TopologySpread;
use crate::model::time::Duration;

/// The most places that a decision looks at. A look takes between a few nanoseconds and some microseconds, so that this
/// is the better part of a minute at worst.
const LOOKS: u64 = 50_000_000;

/// What decisions depend on besides what is known about the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether nodes are launched for the sake of preferences.
    pub preferences: PreferencePolicy,
    /// What happens when a NodePool's minimum of distinct values cannot be kept.
    pub min_values: MinValuesPolicy,
    /// How pods are spread that say nothing about it and that a Service or their workload selects (kube-scheduler:
    /// `podTopologySpread.defaultConstraints`). Their selectors are deduced for each pod; what is said here is ignored.
    pub default_spread: Vec<TopologySpread>,
    /// How many places a decision may look at, all groups of waiting pods together. Steps rather than seconds, so that
    /// the same snapshot gives the same plan on every machine.
    pub looks: u64,
    /// Whether nodes that have been unhealthy for too long are given up.
    pub repair: Repair,
    /// A NodeClaim whose node has not joined so long after it was made is given up, however late it was launched.
    pub registration_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            preferences: PreferencePolicy::default(),
            min_values: MinValuesPolicy::default(),
            default_spread: Vec::new(),
            looks: LOOKS,
            repair: Repair::default(),
            registration_timeout: REGISTRATION_TIMEOUT,
        }
    }
}

/// Whether nodes are launched for the sake of preferences (Karpenter: `preference-policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreferencePolicy {
    /// What pods prefer is taken as required, and given up one by one where it cannot be had.
    #[default]
    Respect,
    /// Only what pods require is looked at.
    Ignore,
}

/// Whether nodes that have been unhealthy for too long are given up (Karpenter: feature gate `NodeRepair`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// They stay.
    #[default]
    Never,
    /// They are ended by force, unless too many are unhealthy at once.
    WhenUnhealthy,
}

/// What happens when a NodePool's `minValues` cannot be kept (Karpenter: `min-values-policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinValuesPolicy {
    /// The pod gets no node there.
    #[default]
    Strict,
    /// The node is launched with as many distinct values as there are, and its NodeClaim says so.
    BestEffort,
}
