//! Drifted nodes: those without pods go at once, the others are replaced one at a time, and only when all their pods have
//! places.

use std::collections::BTreeMap;

use whittle_core::check::Violation;
use whittle_core::disrupt::drifted::{drifted, given_up, pods_to_move};
use whittle_core::disrupt::{Move, Round};
use whittle_core::model::pod::Pod;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::Action;
use whittle_core::why::{Blocker, MoveBlocked};

use super::{Controller, delete};

/// So many nodes are tried in one round at most: each try is a decision about all pods that need a place. The next round
/// goes on with those that were not tried.
const TRIES_MAX: usize = 8;

/// A node whose replacement was given up is left alone for so long.
const RESTS_FOR: Duration = Duration::from_secs(300);

/// What is remembered about nodes that could not be replaced. All of it may be lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Tries {
    /// When they were last tried, so that all have their turn.
    last: BTreeMap<String, Timestamp>,
    /// Until when they are left alone.
    rest: BTreeMap<String, Timestamp>,
}

/// What a look at drifted nodes came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// Whether any of them goes, now or when it is replaced.
    pub(super) acts: bool,
    /// What was decided about pods for the sake of a replacement.
    pub(super) launches: Vec<Action>,
    /// The nodes that go at once.
    pub(super) deletes: Vec<Action>,
    /// What keeps the others.
    pub(super) blocked: Vec<MoveBlocked>,
    /// The rules that actions broke which were left out.
    pub(super) violations: Vec<Violation>,
    /// When another look is worth it though nothing happens.
    pub(super) next: Option<Timestamp>,
}

impl Controller {
    /// Nodes that were to be replaced, and stay after all.
    pub(super) fn give_up_replacements(&mut self, now: Timestamp) {
        for claim in given_up(self.snapshot(), now) {
            self.state.keep(&claim);
            self.tries.rest.insert(claim, now + RESTS_FOR);
        }
    }

    /// Looks at drifted nodes, and begins to replace one of them.
    pub(super) fn look_at_drift(&mut self, now: Timestamp) -> Look {
        let found = drifted(self.snapshot(), now);
        let Round { blocked, next, .. } = found.at_once.clone();
        let mut look = Look { blocked, next, ..Look::default() };
        let mut at_once = Round { moves: found.at_once.moves, ..Round::default() };
        self.judge_drift(&mut at_once, &mut look, now);
        look.deletes = at_once.moves.into_iter().map(delete).collect();
        look.acts = !look.deletes.is_empty();
        self.tries.rest.retain(|_, until| *until > now);
        self.tries.last.retain(|claim, _| found.with_pods.iter().any(|one| one.claim == *claim));
        if let Some(until) = self.tries.rest.values().min() {
            look.next = look.next.map_or(Some(*until), |next| Some(next.min(*until)));
        }
        for candidate in self.in_turn(found.with_pods) {
            if self.replace(candidate, &mut look, now) {
                look.acts = true;
                break;
            }
        }
        look
    }

    /// Those that were tried longest ago first, then those that have been drifted for longest.
    fn in_turn(&self, mut moves: Vec<Move>) -> Vec<Move> {
        moves.retain(|one| !self.tries.rest.contains_key(&one.claim));
        moves.sort_by_key(|one| self.tries.last.get(&one.claim).copied());
        moves.truncate(TRIES_MAX);
        moves
    }

    /// Asks policies about moves, and leaves those that may be carried out.
    fn judge_drift(&mut self, round: &mut Round, look: &mut Look, now: Timestamp) {
        if round.moves.is_empty() {
            return;
        }
        self.advised.judge_round(self.state.snapshot(), now, round);
        look.blocked.append(&mut round.blocked);
        look.next = [look.next, round.next].into_iter().flatten().min();
    }

    /// Begins to replace a node, if all its pods have places, on nodes that are there or on new ones.
    fn replace(&mut self, candidate: Move, look: &mut Look, now: Timestamp) -> bool {
        self.tries.last.insert(candidate.claim.clone(), now);
        let claim = candidate.claim.clone();
        let mut round = Round { moves: vec![candidate], ..Round::default() };
        self.judge_drift(&mut round, look, now);
        if round.moves.is_empty() {
            return false;
        }
        let mut tried = self.state.clone();
        tried.replace(&claim, now);
        let plan = self.advised.provision(&tried, &mut self.cache, (now, self.settings.seed));
        let snapshot = tried.snapshot();
        let is_unplaced = |uid: &str| plan.report.unplaced.iter().any(|unplaced| unplaced.pod == uid);
        let known = snapshot.claims.get(&claim);
        let mut pods = known.into_iter().flat_map(|claim| pods_to_move(snapshot, claim, now));
        let stranded = pods.find(|pod| is_unplaced(&pod.uid)).map(Pod::full_name);
        drop(pods);
        if let Some(pod) = stranded {
            let why = Blocker::PodsFitNowhere { pod };
            look.blocked.push(MoveBlocked { claim, why });
            return false;
        }
        self.state = tried;
        let (actions, violations) = self.take_up(plan, now);
        look.launches = actions;
        look.violations = violations;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Settings;

    #[test]
    fn nodes_that_could_not_be_replaced_go_to_the_back_of_the_line_and_rest_when_they_were_given_up() {
        let at = |secs| Timestamp::EPOCH + Duration::from_secs(secs);
        let mut controller = Controller::new(Settings::default());
        controller.tries.last.insert("a".to_owned(), at(20));
        controller.tries.last.insert("c".to_owned(), at(10));
        controller.tries.rest.insert("d".to_owned(), at(300));
        let reason = whittle_core::model::node_pool::DisruptionReason::Drifted;
        let moves = ["a", "b", "c", "d"].map(|claim| Move { claim: claim.to_owned(), reason });
        let names: Vec<String> =
            controller.in_turn(moves.to_vec()).into_iter().map(|one| one.claim).collect();
        assert_eq!(names, ["b", "c", "a"]);
    }
}
