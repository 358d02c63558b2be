//! PodDisruptionBudgets.
//!
//! In a cluster the status says how many disruptions are allowed. In a file there may be none, so the rule itself is
//! handed back as well, for whoever plays the cluster.

use k8s_openapi::api::policy::v1 as k8s;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use whittle_core::model::node_pool as core;

use super::pod::namespace;
use super::requirement::{label_selector, quoted};
use crate::problem::{At, Defect};

/// The rule of a PodDisruptionBudget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisruptionBudgetSpec {
    /// How many pods must stay.
    pub min_available: Option<CountOrPercent>,
    /// How many pods may be gone.
    pub max_unavailable: Option<CountOrPercent>,
    /// Whether the object came with a status, so that `disruptions_allowed` is what the cluster said.
    pub has_status: bool,
}

/// A number of pods, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountOrPercent {
    /// So many.
    Count(u32),
    /// So many of a hundred, rounded up.
    Percent(u32),
}

impl CountOrPercent {
    /// How many of `total` pods are meant.
    #[must_use]
    pub fn of(self, total: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                u32::try_from((u64::from(total) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
            }
        }
    }
}

impl DisruptionBudgetSpec {
    /// How many disruptions the rule allows when `healthy` of `expected` pods are healthy. A budget without a rule
    /// allows none, as Kubernetes has it.
    #[must_use]
    pub fn disruptions_allowed(&self, healthy: u32, expected: u32) -> u32 {
        let wanted = match (self.min_available, self.max_unavailable) {
            (Some(least), _) => least.of(expected),
            (None, Some(most)) => expected.saturating_sub(most.of(expected)),
            (None, None) => return 0,
        };
        healthy.saturating_sub(wanted)
    }
}

/// A PodDisruptionBudget as the core has it, and its rule.
///
/// # Errors
///
/// A count or percentage that cannot be read, and selectors that say nothing Kubernetes knows.
pub fn pod_disruption_budget(
    budget: &k8s::PodDisruptionBudget,
) -> Result<(core::PodDisruptionBudget, DisruptionBudgetSpec), Vec<Defect>> {
    let mut defects = Vec::new();
    let root = At::Root;
    let at = root.key("spec");
    let spec = budget.spec.clone().unwrap_or_default();
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        defects.push(Defect::new(&at, "'minAvailable' and 'maxUnavailable'", "only one of the two"));
    }
    let rule = DisruptionBudgetSpec {
        min_available: spec
            .min_available
            .as_ref()
            .and_then(|one| count(one, &at.key("minAvailable"), &mut defects)),
        max_unavailable: spec
            .max_unavailable
            .as_ref()
            .and_then(|one| count(one, &at.key("maxUnavailable"), &mut defects)),
        has_status: budget.status.is_some(),
    };
    let always_allow_unready = match spec.unhealthy_pod_eviction_policy.as_deref() {
        Some("AlwaysAllow") => true,
        None | Some("IfHealthyBudget") => false,
        Some(other) => {
            let at = at.key("unhealthyPodEvictionPolicy");
            defects.push(Defect::new(&at, quoted(other), "IfHealthyBudget or AlwaysAllow"));
            false
        }
    };
    let selector = spec.selector.as_ref();
    let allowed = budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0);
    let converted = core::PodDisruptionBudget {
        namespace: namespace(&budget.metadata).to_owned(),
        name: budget.metadata.name.clone().unwrap_or_default(),
        selector: selector.map(|one| label_selector(one, &at.key("selector"), &mut defects)),
        disruptions_allowed: u32::try_from(allowed).unwrap_or(0),
        always_allow_unready,
        blocks_always: matches!(
            rule.max_unavailable,
            Some(CountOrPercent::Count(0) | CountOrPercent::Percent(0))
        ) || rule.min_available == Some(CountOrPercent::Percent(100)),
    };
    if defects.is_empty() { Ok((converted, rule)) } else { Err(defects) }
}

fn count(text: &IntOrString, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<CountOrPercent> {
    let (count, found) = match text {
        IntOrString::Int(number) => {
            (u32::try_from(*number).ok().map(CountOrPercent::Count), number.to_string())
        }
        IntOrString::String(text) => {
            let digits = text.strip_suffix('%').filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let percent = digits.and_then(|text| text.parse().ok()).filter(|percent| *percent <= 100);
            (percent.map(CountOrPercent::Percent), quoted(text))
        }
    };
    if count.is_none() {
        defects.push(Defect::new(at, found, "a number that is not negative or a percentage from 0% to 100%"));
    }
    count
}
