//! From nodes that run to nodes that need not: the empty ones, and those whose pods fit on others.
//!
//! All moves of a round are found together: each is tried on top of those found before it, so that what they
//! free and what they fill is counted once. What is tried and fails leaves no trace.

pub mod budget;
pub(crate) mod candidates;
pub mod drifted;
pub(crate) mod kinds;
mod search;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::disrupt::budget::Budgets;
use crate::disrupt::candidates::{Candidate, candidates};
use crate::disrupt::search::Search;
use crate::model::node_pool::DisruptionReason;
use crate::model::time::Timestamp;
use crate::provision::collect_work;
use crate::provision::problem::{Cache, Problem};
use crate::provision::schedule::Schedule;
use crate::state::Snapshot;
use crate::why::{Blocker, MoveBlocked};

/// A node that need not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    /// Its NodeClaim.
    pub claim: String,
    /// Why it may go.
    pub reason: DisruptionReason,
}

/// What a round of disruption found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// The moves, in the order in which they were found.
    pub moves: Vec<Move>,
    /// Quiet nodes that stay, and what keeps them.
    pub blocked: Vec<MoveBlocked>,
    /// When another node will have been quiet for long enough.
    pub next: Option<Timestamp>,
}

/// The moves that are legal at `now`. With `only`, no others than these are looked at: a second look at moves
/// that were found before.
#[must_use]
pub fn disrupt(snapshot: &Snapshot, cache: &mut Cache, now: Timestamp, only: Option<&[Move]>) -> Round {
    let (mut candidates, blocked, next) = candidates(snapshot, now);
    let mut round = Round { moves: Vec::new(), blocked: Vec::new(), next };
    round.blocked.extend(blocked.into_iter().map(|(claim, why)| MoveBlocked { claim, why }));
    if let Some(only) = only {
        let wanted: BTreeSet<_> = only.iter().map(|found| found.claim.as_str()).collect();
        candidates.retain(|candidate| wanted.contains(candidate.claim.name.as_str()));
    }
    if candidates.is_empty() {
        return round;
    }
    let mut budgets = Budgets::new(now);
    let (empty, used): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| candidate.is_empty);
    for candidate in &empty {
        if has_budget(snapshot, candidate, DisruptionReason::Empty, (&mut budgets, &mut round)) {
            settle(candidate, DisruptionReason::Empty, (&mut budgets, &mut round));
        }
    }
    if !used.is_empty() {
        underutilized(snapshot, cache, now, &used, (&mut budgets, &mut round));
    }
    round
}

/// Whether the NodePool's budget allows one more move; notes it when it does not.
fn has_budget(
    snapshot: &Snapshot,
    candidate: &Candidate<'_>,
    reason: DisruptionReason,
    (budgets, round): (&mut Budgets, &mut Round),
) -> bool {
    let is_left = budgets.is_left(snapshot, candidate.pool, reason);
    if !is_left {
        let why = Blocker::NodePoolBudget { node_pool: candidate.pool.name.clone() };
        round.blocked.push(MoveBlocked { claim: candidate.claim.name.clone(), why });
    }
    is_left
}

/// Takes a move in.
fn settle(candidate: &Candidate<'_>, reason: DisruptionReason, (budgets, round): (&mut Budgets, &mut Round)) {
    budgets.take(candidate.pool);
    round.moves.push(Move { claim: candidate.claim.name.clone(), reason });
}

/// Nodes whose pods fit on others.
fn underutilized(
    snapshot: &Snapshot,
    cache: &mut Cache,
    now: Timestamp,
    candidates: &[Candidate<'_>],
    (budgets, round): (&mut Budgets, &mut Round),
) {
    let mut problem = Problem::new(snapshot, cache, now);
    let work = collect_work(snapshot, now);
    let groups: BTreeSet<_> = candidates
        .iter()
        .flat_map(|candidate| candidate.pods.iter().map(|pods| pods.group))
        .chain(work.wanted.keys().chain(work.kept.keys()).copied())
        .collect();
    for group in groups {
        problem.demand(group, snapshot.group(group));
    }
    problem.add_rules(snapshot);
    let mut search = Search::new(snapshot, Schedule::new(&mut problem), now);
    for done in &round.moves {
        search.close(&done.claim);
    }
    search.make_room_for_waiting(work);
    for candidate in candidates {
        // The budget first: it costs nothing to ask, and the search does.
        let reason = DisruptionReason::Underutilized;
        if !has_budget(snapshot, candidate, reason, (budgets, round)) {
            continue;
        }
        match search.try_to_empty(candidate) {
            Err(pod) => {
                let why = Blocker::PodsFitNowhere { pod };
                round.blocked.push(MoveBlocked { claim: candidate.claim.name.clone(), why });
            }
            Ok(emptied) => {
                search.keep(emptied);
                settle(candidate, reason, (budgets, round));
            }
        }
    }
}
