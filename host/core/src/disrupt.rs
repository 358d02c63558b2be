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
use crate::provision::{Work, collect_work, in_order, keep_nominated};
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
        .flat_map(|candidate| candidate.pods.iter())
        .filter_map(|pod| snapshot.group_of(&pod.uid))
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

/// A search over nodes that may go.
struct Search<'a, 'b, 'c> {
    snapshot: &'a Snapshot,
    schedule: Schedule<'b, 'c>,
    places: BTreeMap<String, Place>,
    /// Whose pods each place takes.
    takes: Vec<Takes>,
    /// Pods that wait for a place or had to leave one, where they were put. They move on when that place goes.
    arrived: BTreeMap<Place, Vec<&'a Pod>>,
    /// For each demand the places that could take one of its pods when the search began. No more will come.
    fitting: BTreeMap<usize, Vec<Place>>,
}

/// A place without its pods.
struct Emptied<'a> {
    place: Place,
    /// The pods that run there.
    residents: Vec<&'a Pod>,
    /// Those that were put there during the search.
    arrived: Vec<&'a Pod>,
    /// Where they all were put instead.
    moved: Vec<(&'a Pod, Place)>,
}

impl<'a, 'b, 'c> Search<'a, 'b, 'c> {
    fn new(snapshot: &'a Snapshot, schedule: Schedule<'b, 'c>, now: Timestamp) -> Self {
        let existing = &schedule.problem.existing;
        let places = existing.iter().enumerate().map(|(at, node)| (node.name.to_owned(), at)).collect();
        let takes = existing.iter().map(|node| {
            let resting = snapshot
                .claims
                .get(node.name)
                .is_some_and(|claim| matches!(quiet(snapshot, claim, now), Quiet::At(_)));
            if node.initialized && !resting { Takes::Moved } else { Takes::Waiting }
        });
        let takes = takes.collect();
        Self { snapshot, schedule, places, takes, arrived: BTreeMap::new(), fitting: BTreeMap::new() }
    }

    /// Room that waiting pods will take is not room for moves. Pods of nodes that leave already wait, too.
    fn make_room_for_waiting(&mut self, work: Work) {
        let overdue = keep_nominated(&mut self.schedule, &work);
        let mut wanted = work.wanted;
        for (group, uid) in overdue {
            wanted.entry(group).or_default().push(uid);
        }
        let snapshot = self.snapshot;
        let waiting = in_order(snapshot, &self.schedule, wanted);
        for uid in waiting.into_iter().flat_map(|waiting| waiting.pods) {
            let Some(pod) = snapshot.pods.get(&uid) else { continue };
            if let Some(place) = self.demand_of(pod).and_then(|demand| self.put(demand, Takes::Waiting)) {
                self.arrived.entry(place).or_default().push(pod);
            }
        }
    }

    /// The place of a NodeClaim takes no pods any more.
    fn close(&mut self, claim: &str) {
        if let Some(place) = self.places.get(claim) {
            self.takes[*place] = Takes::Nobody;
        }
    }

    /// Puts all pods of a candidate somewhere else, or none and names the first that fits nowhere.
    fn try_to_empty(&mut self, candidate: &Candidate<'a>) -> Result<Emptied<'a>, String> {
        let Some(place) = self.places.get(&candidate.claim.name).copied() else {
            return Err(candidate.claim.name.clone());
        };
        self.takes[place] = Takes::Nobody;
        let arrived = self.arrived.remove(&place).unwrap_or_default();
        let mut emptied = Emptied { place, residents: candidate.pods.clone(), arrived, moved: Vec::new() };
        self.count_out(&emptied);
        for pod in by_size(&[emptied.residents.as_slice(), &emptied.arrived].concat()) {
            match self.demand_of(pod).and_then(|demand| self.put(demand, Takes::Moved)) {
                Some(place) => emptied.moved.push((pod, place)),
                None => {
                    self.undo(emptied);
                    return Err(pod.full_name());
                }
            }
        }
        Ok(emptied)
    }

    /// The pods stay where they were put.
    fn keep(&mut self, emptied: Emptied<'a>) {
        for (pod, place) in emptied.moved {
            self.arrived.entry(place).or_default().push(pod);
        }
    }

    /// The pods go back to where they were.
    fn undo(&mut self, emptied: Emptied<'a>) {
        for (pod, place) in emptied.moved.iter().rev() {
            if let Some(demand) = self.demand_of(pod) {
                self.schedule.give_back(*place, demand);
            }
        }
        for demand in self.counted(&emptied) {
            self.schedule.take(emptied.place, demand);
        }
        // A candidate is ready and quiet.
        self.takes[emptied.place] = Takes::Moved;
        if !emptied.arrived.is_empty() {
            self.arrived.insert(emptied.place, emptied.arrived);
        }
    }

    /// Pods do not count where they are while they are looked for another place.
    fn count_out(&mut self, emptied: &Emptied<'a>) {
        for demand in self.counted(emptied) {
            self.schedule.give_back(emptied.place, demand);
        }
    }

    /// What is counted on a place that is being emptied: not the pods that leave it anyway.
    fn counted(&self, emptied: &Emptied<'a>) -> Vec<usize> {
        let staying = emptied.residents.iter().filter(|pod| pod.deleting.is_none());
        staying.chain(&emptied.arrived).filter_map(|pod| self.demand_of(pod)).collect()
    }

    /// Takes the first place that will do.
    fn put(&mut self, demand: usize, whose: Takes) -> Option<Place> {
        if !self.fitting.contains_key(&demand) {
            let demands = &self.schedule.problem.demands;
            let all = 0..self.schedule.problem.existing.len();
            let fitting = all.filter(|place| self.schedule.may_run(*place, &demands[demand])).collect();
            self.fitting.insert(demand, fitting);
        }
        let may_take = |place: &&Place| {
            self.takes[**place] >= whose && self.schedule.refused_on_existing(**place, demand).is_none()
        };
        let place = self.fitting[&demand].iter().find(may_take).copied()?;
        self.schedule.take(place, demand);
        Some(place)
    }

    fn demand_of(&self, pod: &Pod) -> Option<usize> {
        let group: GroupId = self.snapshot.group_of(&pod.uid)?;
        self.schedule.problem.by_group.get(&group).copied()
    }
}

/// Whose pods a place takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    /// Nobody's: it goes itself.
    Nobody,
    /// Waiting pods only: it is not ready, or not quiet.
    Waiting,
    /// Those of nodes that go, too.
    Moved,
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
