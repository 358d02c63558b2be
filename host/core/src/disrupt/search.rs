//! Looking for nodes whose pods fit on others. What is tried and fails leaves no trace.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::disrupt::candidates::{Candidate, Quiet, quiet};
use crate::model::time::Timestamp;
use crate::provision::problem::Problem;
use crate::provision::schedule::Schedule;
use crate::provision::template::Room;
use crate::provision::topology::Place;
use crate::provision::{Work, in_order, keep_expected};
use crate::state::Snapshot;
use crate::state::groups::GroupId;

/// A search over nodes that may go.
pub(crate) struct Search<'a, 'b, 'c> {
    snapshot: &'a Snapshot,
    schedule: Schedule<'b, 'c>,
    places: BTreeMap<String, Place>,
    /// Whose pods each place takes.
    takes: Vec<Takes>,
    /// Pods that wait for a place or had to leave one, where they were put. They move on when that place goes.
    arrived: BTreeMap<Place, Vec<Moved>>,
    /// For each demand the places that could take one of its pods when the search began. No more will come.
    fitting: BTreeMap<usize, Vec<Place>>,
    /// The order in which demands are put somewhere: the largest first.
    rank: Vec<usize>,
    /// The NodeClaims that go, those whose pods are being put elsewhere just now among them.
    going: BTreeSet<String>,
    /// Whether the limits of NodePools have been counted without them.
    is_counted_without: bool,
}

/// A pod in the search: what it asks for, and who it is as far as a reason must name it.
#[derive(Clone, Copy, Debug)]
struct Moved {
    demand: usize,
    group: GroupId,
    /// The node that it runs on; `None` for a pod that waits.
    from: Option<Place>,
}

/// A place without its pods.
pub(crate) struct Emptied {
    place: Place,
    /// The pods that run there and stay: they are counted there.
    counted: Vec<usize>,
    /// Those that were put there during the search.
    arrived: Vec<Moved>,
    /// Where they all were put instead.
    moved: Vec<(Moved, Place)>,
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

impl<'a, 'b, 'c> Search<'a, 'b, 'c> {
    pub(crate) fn new(snapshot: &'a Snapshot, schedule: Schedule<'b, 'c>, now: Timestamp) -> Self {
        let existing = &schedule.problem.existing;
        let places = existing.iter().enumerate().map(|(at, node)| (node.name.to_owned(), at)).collect();
        let takes = existing.iter().map(|node| {
            let claim = snapshot.claims.get(node.name);
            let resting = claim.is_some_and(|claim| matches!(quiet(snapshot, claim, now), Quiet::At(_)));
            if node.initialized && !resting { Takes::Moved } else { Takes::Waiting }
        });
        let takes = takes.collect();
        let rank = ranks(&schedule);
        let (arrived, fitting, going) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { snapshot, schedule, places, takes, arrived, fitting, rank, going, is_counted_without: false }
    }

    /// Room that waiting pods will take is not room for moves. Pods of nodes that leave already wait, too.
    pub(crate) fn make_room_for_waiting(&mut self, mut work: Work<'a>) {
        keep_expected(&mut self.schedule, self.snapshot, &mut work);
        for waiting in in_order(&self.schedule, &mut work) {
            for pod in waiting.pods {
                let Some(group) = self.snapshot.group_of(&pod.uid) else { continue };
                let Some(place) = self.put(waiting.demand, Takes::Waiting) else { break };
                let pod = Moved { demand: waiting.demand, group, from: None };
                self.arrived.entry(place).or_default().push(pod);
            }
        }
    }

    /// The place of a NodeClaim takes no pods any more.
    pub(crate) fn close(&mut self, claim: &str) {
        self.going.insert(claim.to_owned());
        self.is_counted_without = false;
        if let Some(place) = self.places.get(claim) {
            self.takes[*place] = Takes::Nobody;
        }
    }

    /// Puts all pods of a candidate somewhere else, or none and names the first that fits nowhere.
    pub(crate) fn try_to_empty(&mut self, candidate: &Candidate<'_>) -> Result<Emptied, String> {
        let Some(place) = self.places.get(&candidate.claim.name).copied() else {
            return Err(candidate.claim.name.clone());
        };
        self.takes[place] = Takes::Nobody;
        self.going.insert(candidate.claim.name.clone());
        self.is_counted_without = false;
        let arrived = self.arrived.remove(&place).unwrap_or_default();
        let (counted, mut pods) = self.pods_of(candidate, place);
        pods.extend(arrived.iter().copied());
        pods.sort_by_key(|pod| self.rank[pod.demand]);
        let mut emptied = Emptied { place, counted, arrived, moved: Vec::with_capacity(pods.len()) };
        for demand in &emptied.counted {
            self.schedule.give_back(place, *demand);
        }
        for pod in pods {
            match self.put(pod.demand, Takes::Moved) {
                Some(place) => emptied.moved.push((pod, place)),
                None => {
                    self.going.remove(&candidate.claim.name);
                    self.is_counted_without = false;
                    self.undo(emptied);
                    return Err(self.name_of(pod));
                }
            }
        }
        Ok(emptied)
    }

    /// The pods of a candidate: those that are counted on it, and all that need another place.
    fn pods_of(&self, candidate: &Candidate<'_>, place: Place) -> (Vec<usize>, Vec<Moved>) {
        let (mut counted, mut pods) = (Vec::new(), Vec::new());
        for of_group in &candidate.pods {
            let Some(demand) = self.schedule.problem.by_group.get(&of_group.group).copied() else { continue };
            let pod = Moved { demand, group: of_group.group, from: Some(place) };
            counted.extend((0..of_group.staying).map(|_| demand));
            pods.extend((0..of_group.staying + of_group.coming_back).map(|_| pod));
        }
        (counted, pods)
    }

    /// The pods stay where they were put.
    pub(crate) fn keep(&mut self, emptied: Emptied) {
        for (pod, place) in emptied.moved {
            self.arrived.entry(place).or_default().push(pod);
        }
    }

    /// The pods go back to where they were.
    fn undo(&mut self, emptied: Emptied) {
        for (pod, place) in emptied.moved.iter().rev() {
            self.schedule.give_back(*place, pod.demand);
        }
        for demand in emptied.counted {
            self.schedule.take(emptied.place, demand);
        }
        // A candidate is ready and quiet.
        self.takes[emptied.place] = Takes::Moved;
        if !emptied.arrived.is_empty() {
            self.arrived.insert(emptied.place, emptied.arrived);
        }
    }

    /// Takes the first place that will do, with as many of the pod's wishes as can be had.
    ///
    /// A pod that would rather have a new node than give up a wish fits nowhere else: the node that it is on would be
    /// launched again for its sake.
    fn put(&mut self, demand: usize, whose: Takes) -> Option<Place> {
        let mut next = Some(demand);
        while let Some(demand) = next {
            if let Some(place) = self.put_on_rung(demand, whose) {
                return Some(place);
            }
            next = self.schedule.problem.demands[demand].gentler;
            if next.is_some() && self.would_launch_for(demand) {
                return None;
            }
        }
        None
    }

    /// Whether some NodePool would have a new node for a pod, once the nodes that go have given back what they have
    /// of its limits.
    fn would_launch_for(&mut self, demand: usize) -> bool {
        if !self.is_counted_without {
            self.count_limits_without_those_that_go();
            self.is_counted_without = true;
        }
        self.schedule.would_launch_for(demand)
    }

    fn count_limits_without_those_that_go(&mut self) {
        let going = self.going.iter().map(String::as_str).collect();
        let Problem { templates, axes, .. } = &mut *self.schedule.problem;
        for template in templates.iter_mut().filter(|template| !template.room.is_unlimited()) {
            let (used, nodes) = self.snapshot.used_of_pool_besides(&template.pool.name, &going);
            template.room = Room::new(&template.pool, &used, nodes, axes);
        }
    }

    fn put_on_rung(&mut self, demand: usize, whose: Takes) -> Option<Place> {
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

    /// `namespace/name` of a pod of this kind where it was found.
    fn name_of(&self, pod: Moved) -> String {
        let of_group = |uid: &str| self.snapshot.group_of(uid) == Some(pod.group);
        let node = pod.from.and_then(|place| self.schedule.problem.existing[place].node);
        let running = node.into_iter().flat_map(|node| self.snapshot.pods_on(node));
        let found = running.into_iter().find(|found| of_group(&found.uid)).or_else(|| {
            let mut waiting = self.snapshot.waiting().filter(|(group, _)| *group == pod.group);
            waiting.find_map(|(_, mut pods)| pods.next())
        });
        let spec = &self.snapshot.group(pod.group).spec;
        found.map_or_else(|| spec.namespace.clone(), crate::model::pod::Pod::full_name)
    }
}

/// For each demand its place in the order of size. What is equal in size goes by what it says, never by the order in
/// which it was first seen.
fn ranks(schedule: &Schedule<'_, '_>) -> Vec<usize> {
    let demands = &schedule.problem.demands;
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by(|left, right| {
        let key = |at: usize| {
            let group = &demands[at].group;
            let requests = &group.spec.requests;
            (Reverse((requests.cpu_millis, requests.memory_bytes)), group)
        };
        key(*left).cmp(&key(*right))
    });
    let mut rank = vec![0; demands.len()];
    for (position, demand) in order.into_iter().enumerate() {
        rank[demand] = position;
    }
    rank
}
