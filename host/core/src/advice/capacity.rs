//! `capacity`: how waiting pods are to be bought capacity.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Wrong;
use super::limits::{HOLD_MAX, HOLD_MIN};
use super::taints::check_reason;
use super::words::{Past, WaitingPods};
use crate::model::instance_type::CapacityType;
use crate::model::price::Price;
use crate::model::time::Duration;

/// How many spans [`Supply::recent_reclaims`] counts: two hours.
pub const RECENT_SPANS: usize = 24;

/// How long each of them is.
pub const RECENT_SPAN: Duration = Duration::from_secs(300);

/// Groups of waiting pods, and what can be bought for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Question {
    /// What can be bought, by capacity type and zone.
    pub market: Vec<Supply>,
    /// The groups.
    pub groups: Vec<WaitingPods>,
}

/// What can be bought in one way in one zone, and how that went lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Supply {
    /// How it is bought.
    pub capacity_type: CapacityType,
    /// The zone's name.
    pub zone: String,
    /// How many offerings there are.
    pub offerings: u32,
    /// How many of them EC2 refused lately.
    pub unavailable: u32,
    /// The price of the cheapest that is available; zero when none is.
    pub cheapest: Price,
    /// How many instances bought so run.
    pub running: u32,
    /// Instances that EC2 took back.
    pub reclaims: Past,
    /// The same by spans of [`RECENT_SPAN`], the newest first, [`RECENT_SPANS`] of them.
    pub recent_reclaims: Vec<u32>,
    /// Launches that EC2 refused.
    pub shortages: Past,
}

impl Default for Supply {
    fn default() -> Self {
        Self {
            capacity_type: CapacityType::OnDemand,
            zone: String::new(),
            offerings: 0,
            unavailable: 0,
            cheapest: Price::ZERO,
            running: 0,
            reclaims: Past::default(),
            recent_reclaims: vec![0; RECENT_SPANS],
            shortages: Past::default(),
        }
    }
}

/// What to do about a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Choice {
    /// What is done without advice.
    Default,
    /// Buy as divided.
    Split(Split),
    /// Buy nothing yet.
    Hold(Hold),
}

/// A group's pods, divided by how their nodes may be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Split {
    /// The shares. Their pods add up to those that wait.
    pub shares: Vec<Share>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// So many pods, and how their nodes may be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Share {
    /// How many.
    pub pods: u32,
    /// The capacity types that will do, the best first.
    pub prefer: Vec<CapacityType>,
}

/// Pods that are to wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Hold {
    /// For how long.
    pub span: Duration,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Whether choices keep the rules: one for each group, shares that add up, capacity types that the group allows.
///
/// # Errors
/// With the first rule that is broken.
pub fn check(question: &Question, choices: &[Choice]) -> Result<(), Wrong> {
    super::taints::check_length(question.groups.len(), choices.len(), "choice for each group")?;
    for (place, (group, choice)) in question.groups.iter().zip(choices).enumerate() {
        match choice {
            Choice::Default => {}
            Choice::Hold(hold) => check_hold(place, hold)?,
            Choice::Split(split) => check_split(place, group, split)?,
        }
    }
    Ok(())
}

fn check_hold(place: usize, hold: &Hold) -> Result<(), Wrong> {
    check_reason(|| format!("[{place}].hold.reason"), &hold.reason)?;
    if (HOLD_MIN..=HOLD_MAX).contains(&hold.span) {
        return Ok(());
    }
    Err(Wrong::new(format!("[{place}].hold.span"), hold.span, format!("{HOLD_MIN} to {HOLD_MAX}")))
}

fn check_split(place: usize, group: &WaitingPods, split: &Split) -> Result<(), Wrong> {
    check_reason(|| format!("[{place}].split.reason"), &split.reason)?;
    let mut pods: u64 = 0;
    for (number, share) in split.shares.iter().enumerate() {
        let path = |field: &str| format!("[{place}].split.shares[{number}].{field}");
        if share.pods == 0 {
            return Err(Wrong::new(path("pods"), 0, "at least one pod"));
        }
        pods += u64::from(share.pods);
        if share.prefer.is_empty() {
            return Err(Wrong::new(path("prefer"), "nothing", "at least one capacity type"));
        }
        let mut seen = BTreeSet::new();
        for capacity_type in &share.prefer {
            if !group.capacity_types.contains(capacity_type) {
                let allowed: Vec<_> = group.capacity_types.iter().map(|allowed| allowed.label()).collect();
                let expected = format!("one that the group allows: {}", allowed.join(", "));
                return Err(Wrong::new(path("prefer"), capacity_type, expected));
            }
            if !seen.insert(*capacity_type) {
                return Err(Wrong::new(path("prefer"), format!("{capacity_type} twice"), "each once"));
            }
        }
    }
    if pods != u64::from(group.pending) {
        let expected = format!("the {} that wait", group.pending);
        return Err(Wrong::new(format!("[{place}].split.shares"), format!("{pods} pods"), expected));
    }
    Ok(())
}

/// A choice in words; `None` for the default.
#[must_use]
pub fn words(choice: &Choice) -> Option<String> {
    match choice {
        Choice::Default => None,
        Choice::Hold(hold) => Some(format!("hold for {}: {}", hold.span, hold.reason)),
        Choice::Split(split) => {
            let shares = split.shares.iter().map(|share| {
                let prefer: Vec<_> = share.prefer.iter().map(|capacity_type| capacity_type.label()).collect();
                format!("{} on {}", share.pods, prefer.join(" or "))
            });
            Some(format!("{}: {}", shares.collect::<Vec<_>>().join(", "), split.reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(pending: u32) -> Question {
        let capacity_types = vec![CapacityType::Spot, CapacityType::OnDemand];
        let group = WaitingPods { pending, capacity_types, ..WaitingPods::default() };
        Question { market: Vec::new(), groups: vec![group] }
    }

    fn split(shares: &[(u32, &[CapacityType])]) -> Choice {
        let shares = shares.iter().map(|(pods, prefer)| Share { pods: *pods, prefer: prefer.to_vec() });
        Choice::Split(Split { shares: shares.collect(), reason: String::new() })
    }

    #[test]
    fn an_answer_that_breaks_a_rule_is_told_what_was_found_and_expected() {
        use CapacityType::{OnDemand, Reserved, Spot};
        let hold = |span| Choice::Hold(Hold { span, reason: String::new() });
        let cases: [(Vec<Choice>, &str); 9] = [
            (vec![], "found 0, expected 1: one choice for each group"),
            (vec![Choice::Default; 2], "found 2, expected 1: one choice for each group"),
            (vec![split(&[(2, &[Spot])])], "[0].split.shares: found 2 pods, expected the 3 that wait"),
            (vec![split(&[])], "[0].split.shares: found 0 pods, expected the 3 that wait"),
            (
                vec![split(&[(u32::MAX, &[Spot]), (4, &[Spot])])],
                "[0].split.shares: found 4294967299 pods, expected the 3 that wait",
            ),
            (
                vec![split(&[(3, &[]), (0, &[Spot])])],
                "[0].split.shares[0].prefer: found nothing, expected at least one capacity type",
            ),
            (
                vec![split(&[(3, &[Spot, Reserved])])],
                "[0].split.shares[0].prefer: found reserved, expected one that the group allows: spot, on-demand",
            ),
            (
                vec![split(&[(3, &[OnDemand, OnDemand])])],
                "[0].split.shares[0].prefer: found on-demand twice, expected each once",
            ),
            (vec![hold(Duration::from_secs(3_601))], "[0].hold.span: found 1h1s, expected 1s to 1h"),
        ];
        for (choices, expected) in cases {
            assert_eq!(check(&question(3), &choices).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn an_answer_that_keeps_the_rules_is_accepted() {
        use CapacityType::{OnDemand, Spot};
        for choice in [Choice::Default, split(&[(1, &[OnDemand]), (2, &[Spot, OnDemand])])] {
            assert_eq!(check(&question(3), &[choice]), Ok(()));
        }
    }

    #[test]
    fn a_long_reason_is_refused() {
        let hold = Hold { span: HOLD_MAX, reason: "x".repeat(257) };
        let wrong = check(&question(1), &[Choice::Hold(hold)]).unwrap_err();
        assert_eq!(wrong.to_string(), "[0].hold.reason: found 257 bytes, expected at most 256");
    }
}
