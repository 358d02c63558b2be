//! NodeClaims that another process wrote and has not seen launched.
//!
//! For which pods they were made was in its memory alone. Until their instances are found or launched nothing else is
//! decided, or those pods would get nodes a second time (Karpenter does not schedule before it knows the instance of every
//! NodeClaim either).

use std::collections::BTreeSet;

use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::state::Snapshot;

/// They are waited for no longer than this: what cannot be launched must not hold up everything else.
const PATIENCE: Duration = Duration::from_secs(30);

/// These NodeClaims, from the first look on.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    open: Option<(BTreeSet<String>, Timestamp)>,
}

impl Inherited {
    /// Whether some are still waited for. The first look, when everything has been listed, says which they are.
    pub(super) fn are_open(&mut self, snapshot: &Snapshot, now: Timestamp) -> bool {
        let is_open = |name: &str| {
            let claim = snapshot.claims.get(name);
            claim.is_some_and(|claim| claim.instance.is_none() && claim.deleting.is_none())
                && !snapshot.refused.contains(name)
        };
        let (names, until) = self.open.get_or_insert_with(|| {
            let names = snapshot.claims.keys().filter(|name| is_open(name)).cloned();
            (names.collect(), now + PATIENCE)
        });
        names.retain(|name| is_open(name));
        if *until <= now && !names.is_empty() {
            tracing::warn!(
                claims = names.len(),
                "NodeClaims of the last process are not launched: goes on without"
            );
            names.clear();
        }
        !names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use whittle_core::event::Event;
    use whittle_core::model::node::NodeClaim;
    use whittle_core::state::ClusterState;

    use super::*;

    fn claim(name: &str) -> Event {
        Event::NodeClaim(Box::new(NodeClaim {
            name: name.to_owned(),
            node_pool: "web".to_owned(),
            node_class: "default".to_owned(),
            ..NodeClaim::default()
        }))
    }

    #[test]
    fn only_what_was_there_at_the_first_look_is_waited_for_and_not_for_ever() {
        let at = |seconds| Timestamp::EPOCH + Duration::from_secs(seconds);
        let mut state = ClusterState::default();
        let (mut none, mut some) = (Inherited::default(), Inherited::default());
        assert!(!none.are_open(state.snapshot(), at(0)));
        state.apply(claim("a"), at(0));
        state.apply(claim("b"), at(0));
        assert!(!none.are_open(state.snapshot(), at(1)));
        assert!(some.are_open(state.snapshot(), at(1)));
        state.apply(Event::NodeClaimGone("a".to_owned()), at(2));
        assert!(some.are_open(state.snapshot(), at(2)));
        assert!(!some.are_open(state.snapshot(), at(31)));
        let mut other = Inherited::default();
        assert!(other.are_open(state.snapshot(), at(40)));
        state.apply(Event::NodeClaimGone("b".to_owned()), at(41));
        assert!(!other.are_open(state.snapshot(), at(41)));
    }
}
