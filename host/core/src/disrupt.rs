//! From nodes that run to nodes that need not: the empty ones, and those whose pods fit on others.
//!
//! All moves of a round are found together: each is tried on top of those found before it, so that what they
//! free and what they fill is counted once. What is tried and fails leaves no trace.

mod budget;
pub(crate) mod candidates;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::disrupt::budget::Budgets;
use crate::disrupt::candidates::{Candidate, Quiet, candidates, quiet};
use crate::model::node_pool::DisruptionReason;
use crate::model::pod::Pod;
use crate::model::time::Timestamp;
use crate::provision::problem::{Cache, Problem};
use crate::provision::schedule::Schedule;
use crate::provision::topology::Place;
use crate::state::Snapshot;
use crate::state::groups::GroupId;
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
    let mut budgets = Budgets::default();
    let (empty, used): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| candidate.is_empty);
    for candidate in &empty {
        settle(snapshot, candidate, DisruptionReason::Empty, (&mut budgets, &mut round));
    }
    if !used.is_empty() {
        underutilized(snapshot, cache, now, &used, (&mut budgets, &mut round));
    }
    round
}

/// Takes a move in if the NodePool's budget allows it.
fn settle(
    snapshot: &Snapshot,
    candidate: &Candidate<'_>,
    reason: DisruptionReason,
    (budgets, round): (&mut Budgets, &mut Round),
) -> bool {
    let claim = candidate.claim.name.clone();
    let taken = budgets.take(snapshot, candidate.pool, reason);
    if taken {
        round.moves.push(Move { claim, reason });
    } else {
        let why = Blocker::NodePoolBudget { node_pool: candidate.pool.name.clone() };
        round.blocked.push(MoveBlocked { claim, why });
    }
    taken
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
    let groups: BTreeSet<_> = candidates
        .iter()
        .flat_map(|candidate| candidate.pods.iter())
        .filter_map(|pod| snapshot.group_of(&pod.uid))
        .chain(snapshot.waiting().map(|(group, _)| group))
        .collect();
    for group in groups {
        problem.demand(group, snapshot.group(group));
    }
    problem.add_rules(snapshot);
    let mut search = Search::new(snapshot, Schedule::new(&mut problem), now);
    for done in &round.moves {
        search.close(&done.claim);
    }
    for candidate in candidates {
        match search.try_to_empty(candidate) {
            Err(pod) => {
                let why = Blocker::PodsFitNowhere { pod };
                round.blocked.push(MoveBlocked { claim: candidate.claim.name.clone(), why });
            }
            Ok(taken) => {
                if !settle(snapshot, candidate, DisruptionReason::Underutilized, (budgets, round)) {
                    search.undo(candidate, &taken);
                }
            }
        }
    }
}

/// Pods that were put somewhere: which demand, and where.
type Taken = Vec<(usize, Place)>;

/// A search over nodes that may go.
struct Search<'a, 'b, 'c> {
    snapshot: &'a Snapshot,
    schedule: Schedule<'b, 'c>,
    places: BTreeMap<String, Place>,
    /// Places that may take the pods of others: not going themselves, ready, and quiet.
    open: Vec<bool>,
    /// For each demand the places that could take one of its pods when the search began. No more will come.
    fitting: BTreeMap<usize, Vec<Place>>,
}

impl<'a, 'b, 'c> Search<'a, 'b, 'c> {
    fn new(snapshot: &'a Snapshot, schedule: Schedule<'b, 'c>, now: Timestamp) -> Self {
        let existing = &schedule.problem.existing;
        let places = existing.iter().enumerate().map(|(at, node)| (node.name.clone(), at)).collect();
        let open = existing.iter().map(|node| {
            let resting = snapshot
                .claims
                .get(&node.name)
                .is_some_and(|claim| matches!(quiet(snapshot, claim, now), Quiet::At(_)));
            node.initialized && !resting
        });
        let open = open.collect();
        let mut search = Self { snapshot, schedule, places, open, fitting: BTreeMap::new() };
        search.make_room_for_waiting();
        search
    }

    /// Room that waiting pods will take is not room for moves.
    fn make_room_for_waiting(&mut self) {
        let waiting: Vec<_> =
            self.snapshot.waiting().map(|(group, uids)| (group, uids.len())).collect();
        for (group, pods) in waiting {
            let demand = self.schedule.problem.by_group[&group];
            for _ in 0..pods {
                let place = (0..self.schedule.problem.existing.len()).find(|place| {
                    self.schedule.may_run(*place, &self.schedule.problem.demands[demand])
                        && self.schedule.refused_on_existing(*place, demand).is_none()
                });
                match place {
                    Some(place) => self.schedule.take(place, demand),
                    None => break,
                }
            }
        }
    }

    /// The place of a NodeClaim takes no pods any more.
    fn close(&mut self, claim: &str) {
        if let Some(place) = self.places.get(claim) {
            self.open[*place] = false;
        }
    }

    /// Puts all pods of a candidate somewhere else, or none and names the first that fits nowhere.
    fn try_to_empty(&mut self, candidate: &Candidate<'_>) -> Result<Taken, String> {
        let Some(own) = self.places.get(&candidate.claim.name).copied() else {
            return Err(candidate.claim.name.clone());
        };
        self.open[own] = false;
        self.count_out(candidate, own);
        let mut taken = Taken::new();
        for pod in by_size(&candidate.pods) {
            match self.put(pod) {
                Some(step) => taken.push(step),
                None => {
                    self.undo(candidate, &taken);
                    return Err(pod.full_name());
                }
            }
        }
        Ok(taken)
    }

    fn undo(&mut self, candidate: &Candidate<'_>, taken: &Taken) {
        for (demand, place) in taken.iter().rev() {
            self.schedule.give_back(*place, *demand);
        }
        if let Some(own) = self.places.get(&candidate.claim.name).copied() {
            self.count_in(candidate, own);
            // A candidate is quiet, so it was open.
            self.open[own] = true;
        }
    }

    fn put(&mut self, pod: &Pod) -> Option<(usize, Place)> {
        let demand = self.demand_of(pod)?;
        if !self.fitting.contains_key(&demand) {
            let demands = &self.schedule.problem.demands;
            let all = 0..self.schedule.problem.existing.len();
            let fitting = all.filter(|place| self.schedule.may_run(*place, &demands[demand])).collect();
            self.fitting.insert(demand, fitting);
        }
        let fits = |place: &&Place| {
            self.open[**place] && self.schedule.refused_on_existing(**place, demand).is_none()
        };
        let place = self.fitting[&demand].iter().find(fits).copied()?;
        self.schedule.take(place, demand);
        Some((demand, place))
    }

    fn demand_of(&self, pod: &Pod) -> Option<usize> {
        let group: GroupId = self.snapshot.group_of(&pod.uid)?;
        self.schedule.problem.by_group.get(&group).copied()
    }

    /// The candidate's pods do not count where they are while they are looked for another place.
    fn count_out(&mut self, candidate: &Candidate<'_>, own: Place) {
        for pod in candidate.pods.iter().filter(|pod| pod.deleting.is_none()) {
            if let Some(demand) = self.demand_of(pod) {
                self.schedule.give_back(own, demand);
            }
        }
    }

    fn count_in(&mut self, candidate: &Candidate<'_>, own: Place) {
        for pod in candidate.pods.iter().filter(|pod| pod.deleting.is_none()) {
            if let Some(demand) = self.demand_of(pod) {
                self.schedule.take(own, demand);
            }
        }
    }
}

/// The largest first.
fn by_size<'a>(pods: &[&'a Pod]) -> Vec<&'a Pod> {
    let mut pods = pods.to_vec();
    pods.sort_by(|left, right| {
        let size = |pod: &Pod| (pod.spec.requests.cpu_millis, pod.spec.requests.memory_bytes);
        (size(right), &left.uid).cmp(&(size(left), &right.uid))
    });
    pods
}
