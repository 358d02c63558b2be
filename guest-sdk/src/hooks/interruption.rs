//! The hook `interruption`: what to do when EC2 says something about an instance.

use crate::bindings::interruption::exports::whittle::policy::interruption::{Notice, Reaction};
use crate::bindings::policy::whittle::policy::types::Instant;

/// Reacts to notices.
///
/// ```
/// use whittle_guest_sdk::prelude::*;
///
/// /// Takes recommendations to rebalance at their word.
/// #[derive(Deserialize, JsonSchema)]
/// struct Early {}
///
/// impl Interruption for Early {
///     fn react(&self, _now: Instant, notice: &Notice) -> Reaction {
///         match notice.kind {
///             Kind::Rebalance => Reaction::ReplaceThenDrain,
///             Kind::Reclaim | Kind::Maintenance | Kind::StateChange => Reaction::Default,
///         }
///     }
/// }
///
/// export_policy!(Early: Interruption);
/// # fn main() {
/// assert_eq!(Early {}.react(0, &notice(Kind::Rebalance, node("a"))), Reaction::ReplaceThenDrain);
/// # }
/// ```
pub trait Interruption {
    /// What to do about one notice.
    fn react(&self, now: Instant, notice: &Notice) -> Reaction;

    /// What to do about all these notices: one reaction each, in their order.
    fn react_all(&self, now: Instant, notices: &[Notice]) -> Vec<Reaction> {
        notices.iter().map(|notice| self.react(now, notice)).collect()
    }
}
