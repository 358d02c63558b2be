//! Prefers newer generations of instance types within a band of prices: a newer one is taken unless an older one is
//! cheaper by more than the band.
//!
//! What is scaled is what the host decides by. What is paid and reported stays the true price.

#![forbid(unsafe_code)]

use whittle_guest_sdk::prelude::*;

/// The settings are the policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PreferGeneration {
    /// Instance types of this generation or newer are preferred.
    at_least: u32,
    /// They may be dearer by so much.
    band_percent: Percent,
    /// Types older than this are not bought at all. Without it, none is too old.
    #[serde(default)]
    never_below: Option<u32>,
    /// Only these categories (`c`, `m`, `r`, …) are looked at. Without it, all.
    #[serde(default)]
    categories: BTreeSet<String>,
}

/// The generation, as Karpenter labels it.
const GENERATION: &str = "karpenter.k8s.aws/instance-generation";
/// The category, as Karpenter labels it.
const CATEGORY: &str = "karpenter.k8s.aws/instance-category";

impl Policy for PreferGeneration {
    fn reads(&self) -> Reads {
        Reads { offering_labels: vec![CATEGORY.to_owned(), GENERATION.to_owned()], ..Reads::default() }
    }

    fn complaints(&self) -> Vec<Complaint> {
        match self.never_below {
            Some(least) if least > self.at_least => {
                let message = format!("found {least}, expected at most atLeast ({})", self.at_least);
                vec![Complaint::new("neverBelow", message)]
            }
            _ => Vec::new(),
        }
    }
}

impl Offerings for PreferGeneration {
    fn judge(&self, catalog: &Catalog<'_>, offering: &Offering) -> Option<OfferingVerdict> {
        let found = catalog.type_of(offering)?;
        let category = found.label(CATEGORY).unwrap_or_default();
        if !self.categories.is_empty() && !self.categories.contains(category) {
            return None;
        }
        // A type without a generation is neither old nor new.
        let generation: u32 = found.label(GENERATION)?.parse().ok()?;
        if self.never_below.is_some_and(|least| generation < least) {
            return Some(OfferingVerdict::Forbid(format!("generation {generation} is too old")));
        }
        let is_preferred = generation >= self.at_least && self.band_percent.get() > 0;
        // As cheap as one that costs less by the band.
        let scale = integer::parts_per_million(100, 100 + u64::from(self.band_percent.get()));
        is_preferred.then_some(OfferingVerdict::Scale(scale))
    }
}

export_policy!(PreferGeneration: Policy, Offerings);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> PreferGeneration {
        PreferGeneration {
            at_least: 7,
            band_percent: Percent::new(10),
            never_below: Some(5),
            categories: BTreeSet::new(),
        }
    }

    fn judge(policy: &PreferGeneration, category: &str, generation: &str) -> Option<OfferingVerdict> {
        let types = [instance_type("x").labelled(CATEGORY, category).labelled(GENERATION, generation)];
        let offerings = [offering(0, "a", CapacityType::OnDemand)];
        let catalog = Catalog { now: 0, node_pool: "general", types: &types, offerings: &offerings };
        policy.judge(&catalog, &offerings[0])
    }

    #[test]
    fn a_newer_type_may_be_dearer_by_the_band() {
        let Some(OfferingVerdict::Scale(scale)) = judge(&policy(), "m", "7") else { panic!("not scaled") };
        // $0.110 of the seventh generation is as good as $0.100 of the sixth, and $0.111 is not.
        assert!(110_000 * u64::from(scale) / 1_000_000 <= 100_000);
        assert!(111_000 * u64::from(scale) / 1_000_000 > 100_000);
    }

    #[test]
    fn an_older_type_is_kept_and_one_that_is_too_old_forbidden() {
        assert_eq!(judge(&policy(), "m", "6"), None);
        let forbidden = OfferingVerdict::Forbid("generation 4 is too old".to_owned());
        assert_eq!(judge(&policy(), "m", "4"), Some(forbidden));
    }

    #[test]
    fn what_has_no_generation_or_another_category_is_left_alone() {
        assert_eq!(judge(&policy(), "m", ""), None);
        let only_c = PreferGeneration { categories: ["c".to_owned()].into(), ..policy() };
        assert_eq!(judge(&only_c, "m", "7"), None);
        assert!(judge(&only_c, "c", "7").is_some());
    }

    #[test]
    fn settings_that_forbid_what_they_prefer_are_complained_about() {
        let wrong = PreferGeneration { never_below: Some(8), ..policy() };
        assert_eq!(
            wrong.complaints(),
            [Complaint::new("neverBelow", "found 8, expected at most atLeast (7)")]
        );
    }
}
