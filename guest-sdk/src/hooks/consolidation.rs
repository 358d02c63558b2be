//! The hook `consolidation`: which nodes may be moved out of, when, and whether it is worth it.

use crate::bindings::consolidation::exports::whittle::policy::consolidation::{
    Move, Postponement, Quiet, Verdict,
};
use crate::bindings::policy::whittle::policy::types::{Instant, Node};

/// Judges moves, and says how long nodes must be quiet first.
///
/// ```
/// use whittle_guest_sdk::prelude::*;
///
/// /// No move for small change.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(rename_all = "camelCase")]
/// struct NotForTwoCents {
///     at_least: Money,
/// }
///
/// impl Consolidation for NotForTwoCents {
///     fn judge(&self, _round: &Round<'_>, found: &Move) -> MoveVerdict {
///         let little = found.saving < self.at_least.micros();
///         if little { MoveVerdict::deny("saves too little") } else { MoveVerdict::Allow }
///     }
/// }
///
/// export_policy!(NotForTwoCents: Consolidation);
/// # fn main() {
/// let policy = NotForTwoCents { at_least: Money::from_micros(20_000) };
/// let verdict = policy.judge(&Round::default(), &moving([0]).saving(19_999));
/// assert_eq!(verdict, MoveVerdict::deny("saves too little"));
/// # }
/// ```
pub trait Consolidation {
    /// How long a node must be quiet before it may move.
    fn rest(&self, now: Instant, node: &Node) -> Quiet {
        let _ = (now, node);
        Quiet::Default
    }

    /// What to say about a legal move.
    fn judge(&self, round: &Round<'_>, found: &Move) -> Verdict {
        let _ = (round, found);
        Verdict::Allow
    }

    /// How long all these nodes must be quiet: one entry each, in their order.
    fn rest_all(&self, now: Instant, nodes: &[Node]) -> Vec<Quiet> {
        nodes.iter().map(|node| self.rest(now, node)).collect()
    }

    /// What to say about all these moves: one verdict each, in their order.
    fn judge_all(&self, round: &Round<'_>, moves: &[Move]) -> Vec<Verdict> {
        moves.iter().map(|found| self.judge(round, found)).collect()
    }
}

/// A round of disruption: the time, and the nodes that its moves are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round<'a> {
    /// The time.
    pub now: Instant,
    /// The nodes of the moves.
    pub nodes: &'a [Node],
}

impl<'a> Round<'a> {
    /// The nodes that would end with a move.
    pub fn nodes_of<'b>(&self, found: &'b Move) -> impl Iterator<Item = &'a Node> + use<'a, 'b> {
        let nodes = self.nodes;
        found.nodes.iter().filter_map(move |place| nodes.get(usize::try_from(*place).ok()?))
    }
}

impl Verdict {
    /// Not in this round.
    #[must_use]
    pub fn deny(reason: impl Into<String>) -> Self {
        Self::Deny(reason.into())
    }

    /// Not yet.
    #[must_use]
    pub fn not_before(until: Instant, reason: impl Into<String>) -> Self {
        Self::NotBefore(Postponement { until, reason: reason.into() })
    }
}
