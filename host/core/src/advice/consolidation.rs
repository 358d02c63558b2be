//! `consolidation`: which nodes may be moved out of, when, and whether it is worth it.

use serde::{Deserialize, Serialize};

use super::Wrong;
use super::limits::{POSTPONEMENT_MAX, QUIET_MAX};
use super::taints::{check_length, check_reason};
use super::words::LivingNode;
use crate::model::instance_type::CapacityType;
use crate::model::node_pool::DisruptionReason;
use crate::model::price::Price;
use crate::model::time::{Duration, Timestamp};

/// The nodes that a round of disruption could look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RestQuestion {
    /// The nodes.
    pub nodes: Vec<LivingNode>,
}

/// Legal moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct MovesQuestion {
    /// The nodes of the moves.
    pub nodes: Vec<LivingNode>,
    /// The moves.
    pub moves: Vec<Movement>,
}

/// Nodes that would end, and what would be launched in their place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Movement {
    /// Why it is possible.
    pub reason: DisruptionReason,
    /// The places of the nodes that would end.
    pub nodes: Vec<u32>,
    /// What would be launched.
    pub replacements: Vec<Replacement>,
    /// What it saves.
    pub saving: Price,
    /// How many pods would have to start anew.
    pub pods_moved: u32,
    /// What their removal costs: 1,000 for an ordinary pod.
    pub disruption_cost: u64,
}

impl Default for Movement {
    fn default() -> Self {
        Self {
            reason: DisruptionReason::Underutilized,
            nodes: Vec::new(),
            replacements: Vec::new(),
            saving: Price::ZERO,
            pods_moved: 0,
            disruption_cost: 0,
        }
    }
}

/// A node that would be launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Replacement {
    /// The NodePool.
    pub node_pool: String,
    /// The cheapest instance type it may be.
    pub instance_type: String,
    /// How it would be bought.
    pub capacity_type: CapacityType,
    /// The price of the cheapest.
    pub price: Price,
}

/// How long a node must be quiet before it may move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Quiet {
    /// As long as its NodePool says.
    Default,
    /// So long.
    Span(Duration),
    /// It may not move now, and why.
    Never(String),
}

/// What is said about a move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It may be carried out.
    Allow,
    /// Not yet.
    NotBefore(Postponement),
    /// Not in this round, and why.
    Deny(String),
}

/// A time to wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Postponement {
    /// The first moment at which the move may be carried out.
    pub until: Timestamp,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Whether an answer keeps the rules: one entry for each node, none longer than a week.
///
/// # Errors
/// With the first rule that is broken.
pub fn check_rest(question: &RestQuestion, quiet: &[Quiet]) -> Result<(), Wrong> {
    check_length(question.nodes.len(), quiet.len(), "entry for each node")?;
    for (place, quiet) in quiet.iter().enumerate() {
        match quiet {
            Quiet::Default => {}
            Quiet::Never(reason) => check_reason(|| format!("[{place}].never"), reason)?,
            Quiet::Span(span) if *span <= QUIET_MAX => {}
            Quiet::Span(span) => {
                return Err(Wrong::new(format!("[{place}].span"), span, format!("at most {QUIET_MAX}")));
            }
        }
    }
    Ok(())
}

/// Whether verdicts keep the rules: one for each move, postponed into the future and no further than a week.
///
/// # Errors
/// With the first rule that is broken.
pub fn check_moves(question: &MovesQuestion, verdicts: &[Verdict], now: Timestamp) -> Result<(), Wrong> {
    check_length(question.moves.len(), verdicts.len(), "verdict for each move")?;
    for (place, verdict) in verdicts.iter().enumerate() {
        match verdict {
            Verdict::Allow => {}
            Verdict::Deny(reason) => check_reason(|| format!("[{place}].deny"), reason)?,
            Verdict::NotBefore(postponement) => {
                let path = |field: &str| format!("[{place}].notBefore.{field}");
                check_reason(|| path("reason"), &postponement.reason)?;
                if postponement.until <= now || postponement.until > now + POSTPONEMENT_MAX {
                    let expected = format!("after {} and at most {POSTPONEMENT_MAX} later", now.millis());
                    return Err(Wrong::new(path("until"), postponement.until.millis(), expected));
                }
            }
        }
    }
    Ok(())
}

/// How long a node must be quiet, in words; `None` for as long as its NodePool says.
#[must_use]
pub fn rest_words(quiet: &Quiet) -> Option<String> {
    match quiet {
        Quiet::Default => None,
        Quiet::Span(span) => Some(format!("quiet for {span}")),
        Quiet::Never(reason) => Some(format!("not to be moved: {reason}")),
    }
}

/// A verdict in words; `None` for `Allow`.
#[must_use]
pub fn move_words(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Allow => None,
        Verdict::NotBefore(postponement) => {
            Some(format!("not before {}: {}", postponement.until, postponement.reason))
        }
        Verdict::Deny(reason) => Some(format!("deny: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn a_move_is_put_off_into_the_future_and_not_for_ever() {
        let question = MovesQuestion { moves: vec![Movement::default()], ..MovesQuestion::default() };
        let until = |until| vec![Verdict::NotBefore(Postponement { until, reason: String::new() })];
        assert_eq!(check_moves(&question, &until(NOW + Duration::from_secs(1)), NOW), Ok(()));
        for wrong in [Timestamp::EPOCH, NOW, Timestamp::MAX] {
            let found = check_moves(&question, &until(wrong), NOW).unwrap_err();
            assert_eq!(found.path, "[0].notBefore.until");
        }
    }

    #[test]
    fn each_node_gets_one_entry_of_a_week_at_most() {
        let question = RestQuestion { nodes: vec![LivingNode::default()] };
        assert_eq!(check_rest(&question, &[Quiet::Span(Duration::from_secs(60))]), Ok(()));
        let long = check_rest(&question, &[Quiet::Span(Duration::from_millis(u64::MAX))]).unwrap_err();
        assert_eq!(long.path, "[0].span");
        assert!(check_rest(&question, &[]).is_err());
    }
}
