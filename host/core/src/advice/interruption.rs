//! `interruption`: what to do when EC2 says something about an instance.

use serde::{Deserialize, Serialize};

use super::Wrong;
use super::taints::check_length;
use super::words::LivingNode;
use crate::model::time::Timestamp;

/// Notices that have arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Question {
    /// The notices.
    pub notices: Vec<Notice>,
}

/// What EC2 says about the instance of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Notice {
    /// What.
    pub kind: Kind,
    /// The node.
    pub node: LivingNode,
    /// When it was said.
    pub received: Timestamp,
    /// When it will happen.
    pub deadline: Timestamp,
}

impl Default for Notice {
    fn default() -> Self {
        let (received, deadline) = (Timestamp::EPOCH, Timestamp::EPOCH);
        Self { kind: Kind::Reclaim, node: LivingNode::default(), received, deadline }
    }
}

/// What EC2 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// It takes the instance back.
    Reclaim,
    /// It may take the instance back soon.
    Rebalance,
    /// Something will be done to the machine.
    Maintenance,
    /// The instance is stopping or ending.
    StateChange,
}

/// What to do about a notice, from the weakest to the strongest: the order matters when several are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reaction {
    /// What is done without advice.
    Default,
    /// Nothing.
    Ignore,
    /// Let no more pods onto the node.
    Cordon,
    /// Launch what its pods will need, and drain when that is ready or when time runs out.
    ReplaceThenDrain,
    /// Ask its pods to leave at once.
    DrainNow,
}

/// Whether an answer keeps the rules: one reaction for each notice, and no reclaim ignored.
///
/// # Errors
/// With the first rule that is broken.
pub fn check(question: &Question, reactions: &[Reaction]) -> Result<(), Wrong> {
    check_length(question.notices.len(), reactions.len(), "reaction for each notice")?;
    for (place, (notice, reaction)) in question.notices.iter().zip(reactions).enumerate() {
        if notice.kind == Kind::Reclaim && *reaction == Reaction::Ignore {
            return Err(Wrong::new(format!("[{place}]"), "ignore", "a reaction: a reclaim is never ignored"));
        }
    }
    Ok(())
}

/// A reaction in words; `None` for the default.
#[must_use]
pub const fn words(reaction: Reaction) -> Option<&'static str> {
    match reaction {
        Reaction::Default => None,
        Reaction::Ignore => Some("ignore"),
        Reaction::Cordon => Some("cordon"),
        Reaction::ReplaceThenDrain => Some("replace, then drain"),
        Reaction::DrainNow => Some("drain now"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reclaim_is_never_ignored() {
        let notice = |kind| Notice { kind, ..Notice::default() };
        let question = Question { notices: vec![notice(Kind::Rebalance), notice(Kind::Reclaim)] };
        assert_eq!(check(&question, &[Reaction::Ignore, Reaction::Cordon]), Ok(()));
        let wrong = check(&question, &[Reaction::Ignore, Reaction::Ignore]).unwrap_err();
        assert_eq!(wrong.to_string(), "[1]: found ignore, expected a reaction: a reclaim is never ignored");
    }
}
