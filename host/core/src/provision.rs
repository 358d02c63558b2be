//! From waiting pods to launches and nominations.
//!
//! ```text
//!  waiting pods ─► groups ─► demand ─┐
//!  nodes, in flight ─► existing ─────┼─► schedule ─► drafts ─► launches
//!  NodePools × catalogue ─► templates┘            └► nominations, reasons
//! ```
//!
//! The phases, in `provision/`: `problem` turns a snapshot into dense ids, `schedule` puts pods on places,
//! `finish` turns new nodes into launches, `explain` says why a pod has none. Nothing here is random, and nothing
//! is remembered from one call to the next but indexes (`Cache`).

pub(crate) mod amounts;
pub(crate) mod bits;
mod cheap;
pub(crate) mod draft;
pub(crate) mod existing;
mod explain;
mod finish;
pub(crate) mod intern;
mod listing;
mod order;
mod places;
pub mod problem;
pub(crate) mod requirements;
pub(crate) mod reservations;
pub(crate) mod schedule;
pub(crate) mod selector;
mod successors;
pub(crate) mod template;
pub(crate) mod topology;
pub(crate) mod universe;
pub(crate) mod volumes;
mod wishes;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::disrupt::kinds::is_reschedulable;
use crate::model::pod::Pod;
use crate::model::price::Price;
use crate::model::resources::Resources;
use crate::model::time::Timestamp;
use crate::names::ClaimNames;
use crate::pdb::is_blocked_always;
use crate::plan::{Action, Nomination, Plan, Report};
use crate::provision::explain::{Decided, Explainer, Reasons};
use crate::provision::problem::{Cache, Problem};
use crate::provision::schedule::Schedule;
use crate::provision::successors::{fill_vacancies, promise};
use crate::provision::topology::Place;
use crate::state::Snapshot;
use crate::state::groups::{GroupId, PodGroup};
use crate::why::Unplaced;
use crate::why::change::Remedy;

/// How often the pods that found no place are tried again, because others that they want to be near to, or the
/// room that was given back under a limit, have come since. A chain of affinities longer than this waits for the
/// next decision.
const PASSES_MAX: usize = 32;

/// Decides which nodes to launch for the pods that wait, and where those go that fit on nodes that are there or
/// on their way. Pods on nodes that are on their way out are looked after too.
///
/// Two plans are made, one in Karpenter's order and one that looks for the cheapest nodes, and the cheaper of the two
/// is kept. `seed` goes into the names of new NodeClaims and into nothing else.
#[must_use]
pub fn provision(snapshot: &Snapshot, cache: &mut Cache, now: Timestamp, seed: u64) -> Plan {
    decide(snapshot, cache, (now, seed), Effort::TwoPlans)
}

/// The plan that Karpenter's order of pods and nodes comes to: what another plan is measured by.
#[must_use]
pub fn provision_in_karpenter_order(
    snapshot: &Snapshot,
    cache: &mut Cache,
    now: Timestamp,
    seed: u64,
) -> Plan {
    decide(snapshot, cache, (now, seed), Effort::KarpenterOrder)
}

/// How far a decision looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// No further than Karpenter does.
    KarpenterOrder,
    /// For a cheaper plan, too.
    TwoPlans,
}

fn decide(snapshot: &Snapshot, cache: &mut Cache, (now, seed): (Timestamp, u64), effort: Effort) -> Plan {
    let mut work = collect_work(snapshot, now);
    if work.wanted.is_empty() {
        let unplaced = impossible(snapshot, &work);
        return Plan { report: Report { unplaced, ..Report::default() }, ..Plan::default() };
    }
    let mut problem = Problem::new(snapshot, cache, now);
    problem.demands.reserve(work.wanted.len() + work.kept.len());
    for group in work.wanted.keys().chain(work.kept.keys()) {
        problem.demand(*group, snapshot.group(*group));
    }
    problem.add_rules(snapshot);
    let mut schedule = Schedule::new(&mut problem);
    keep_expected(&mut schedule, snapshot, &mut work);
    let waiting = in_order(&schedule, &mut work);
    let places = match effort {
        Effort::KarpenterOrder => place_all(&mut schedule, &waiting),
        Effort::TwoPlans => place_as_cheaply(&mut schedule, &waiting),
    };
    finish(snapshot, schedule, (&work, &waiting, places), (now, seed))
}

/// Places the pods twice, in Karpenter's order and with an eye on prices, and keeps what places more of them or, with
/// as many placed, costs less.
fn place_as_cheaply(schedule: &mut Schedule<'_, '_>, waiting: &[Waiting<'_>]) -> Placed {
    let before = schedule.save();
    let in_order = place_all(schedule, waiting);
    if schedule.drafts.is_empty() {
        return in_order;
    }
    let first = (in_order.count(), schedule.price());
    let nodes = schedule.drafts.len();
    let after = schedule.swap(before);
    match cheap::place(schedule, waiting, (first.1, nodes)) {
        Some(cheaply) if (cheaply.count(), Reverse(schedule.price())) > (first.0, Reverse(first.1)) => {
            cheaply
        }
        Some(_) | None => {
            schedule.swap(after);
            in_order
        }
    }
}

/// The pods that a decision is about, by group.
#[derive(Debug, Default)]
pub(crate) struct Work<'a> {
    /// Pods that need a place.
    pub(crate) wanted: BTreeMap<GroupId, Vec<&'a Pod>>,
    /// Pods that are expected somewhere already: they stay expected there, and their room is kept.
    pub(crate) kept: BTreeMap<GroupId, Vec<(&'a Pod, &'a str)>>,
    /// Those of them that are expected there from now on, in place of pods that were like them.
    successors: Vec<(&'a Pod, &'a str)>,
    /// Groups of which others were added to those that wait, so that they are not in the order of their age.
    mixed: BTreeSet<GroupId>,
    /// Pods that can be nowhere, whatever is launched.
    impossible: Vec<(GroupId, &'a Pod)>,
}

impl<'a> Work<'a> {
    /// Pods that were expected on a node for which there is no room any more.
    pub(crate) fn add_overdue(&mut self, overdue: Vec<(GroupId, &'a Pod)>) {
        for (group, pod) in overdue {
            self.mixed.insert(group);
            self.wanted.entry(group).or_default().push(pod);
        }
    }
}

/// The pods that wait, and those on nodes that are on their way out.
pub(crate) fn collect_work(snapshot: &Snapshot, now: Timestamp) -> Work<'_> {
    let mut work = Work::default();
    for (group, pods) in snapshot.waiting() {
        if snapshot.group(group).impossible.is_none() && snapshot.nominations.is_empty() {
            work.wanted.insert(group, pods.collect());
        } else {
            pods.for_each(|pod| sort_in(snapshot, &mut work, (group, pod), now));
        }
    }
    for claim in snapshot.claims.values().filter(|claim| snapshot.is_leaving(claim)) {
        let node = snapshot.node_of_claim(claim);
        let pods = node.into_iter().flat_map(|node| snapshot.pods_on(&node.name));
        for pod in pods.filter(|pod| will_be_evicted(snapshot, pod, now)) {
            if let Some(group) = snapshot.group_of(&pod.uid) {
                work.mixed.insert(group);
                sort_in(snapshot, &mut work, (group, pod), now);
            }
        }
    }
    work
}

/// Whether a pod on a leaving node will have to start elsewhere, rather than stay until the end.
pub(crate) fn will_be_evicted(snapshot: &Snapshot, pod: &Pod, now: Timestamp) -> bool {
    is_reschedulable(pod) && !pod.is_do_not_disrupt(now) && !is_blocked_always(snapshot, pod)
}

fn sort_in<'a>(
    snapshot: &'a Snapshot,
    work: &mut Work<'a>,
    (group, pod): (GroupId, &'a Pod),
    now: Timestamp,
) {
    if snapshot.group(group).impossible.is_some() {
        work.impossible.push((group, pod));
        return;
    }
    match snapshot.nominations.get(&pod.uid) {
        Some((place, until)) if *until > now && snapshot.is_expected(place) => {
            work.kept.entry(group).or_default().push((pod, place));
        }
        Some(_) | None => work.wanted.entry(group).or_default().push(pod),
    }
}

/// Keeps the room of pods that are expected on a node; those for which there is none any more need a place. Room that
/// others have left goes to their successors.
pub(crate) fn keep_expected<'a>(
    schedule: &mut Schedule<'_, '_>,
    snapshot: &'a Snapshot,
    work: &mut Work<'a>,
) {
    if work.kept.is_empty() && snapshot.vacancies.is_empty() {
        return;
    }
    let existing = schedule.problem.existing.iter().enumerate();
    let places: BTreeMap<&str, Place> = existing.map(|(place, node)| (node.name, place)).collect();
    promise(schedule, snapshot, &places);
    let overdue = keep_nominated(schedule, &places, work);
    work.add_overdue(overdue);
    if !snapshot.vacancies.is_empty() {
        fill_vacancies(schedule, snapshot, &places, work);
    }
}

fn keep_nominated<'a>(
    schedule: &mut Schedule<'_, '_>,
    places: &BTreeMap<&str, Place>,
    work: &Work<'a>,
) -> Vec<(GroupId, &'a Pod)> {
    // By name, because groups are in the order in which they were first seen.
    let mut kept: Vec<_> = work
        .kept
        .iter()
        .flat_map(|(group, pods)| pods.iter().map(move |(pod, name)| (*pod, *name, *group)))
        .collect();
    kept.sort_unstable_by_key(|(pod, name, group)| (&pod.uid, *name, *group));
    let mut overdue = Vec::new();
    for (pod, name, group) in kept {
        let demand = schedule.problem.required(schedule.problem.by_group[&group]);
        let Some(place) = places.get(name).copied() else { continue };
        // Of a node that is not launched yet only the domain is known: its pods count there.
        let launched = schedule.problem.existing[place].undecided.is_none();
        if !launched || schedule.may_run(place, &schedule.problem.demands[demand]) {
            schedule.take(place, demand);
        } else {
            overdue.push((group, pod));
        }
    }
    overdue
}

/// A group's pods that need a place, oldest first.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    /// What they ask for, with all their wishes.
    pub(crate) demand: usize,
    pub(crate) pods: Vec<&'a Pod>,
}

/// Since when a pod is there, and by uid among those that came together.
fn age(pod: &Pod) -> (Timestamp, &str) {
    (pod.created, pod.uid.as_str())
}

/// Where a group stands, by its oldest pod: the largest first, by CPU, by memory, then the one that waits longest
/// (Karpenter's queue).
fn rank<'a>(group: &PodGroup, oldest: Option<&'a Pod>) -> impl Ord + use<'a> {
    let Resources { cpu_millis, memory_bytes, .. } = group.spec.requests;
    (Reverse((cpu_millis, memory_bytes)), oldest.map(age))
}

/// The groups in the order of their ranks.
pub(crate) fn in_order<'a>(schedule: &Schedule<'_, '_>, work: &mut Work<'a>) -> Vec<Waiting<'a>> {
    let wanted = std::mem::take(&mut work.wanted).into_iter();
    let mut left: Vec<_> = wanted
        .map(|(group, mut pods)| {
            if work.mixed.contains(&group) {
                pods.sort_unstable_by_key(|pod| age(pod));
            }
            Waiting { demand: schedule.problem.by_group[&group], pods }
        })
        .collect();
    left.sort_by_cached_key(|waiting| {
        let group = &schedule.problem.demands[waiting.demand].group;
        rank(group, waiting.pods.first().copied())
    });
    left
}

/// For each group that waits the places that its pods got, the oldest first. Pods beyond them got none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placed(pub(crate) Vec<Vec<Place>>);

impl Placed {
    fn none(groups: usize) -> Self {
        Self(vec![Vec::new(); groups])
    }

    /// How many pods got a place.
    fn count(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

fn place_all(schedule: &mut Schedule<'_, '_>, waiting: &[Waiting<'_>]) -> Placed {
    let mut placed = Placed::none(waiting.len());
    place_rest(schedule, waiting, &mut placed);
    placed
}

/// Places in Karpenter's order what has no place yet.
fn place_rest(schedule: &mut Schedule<'_, '_>, waiting: &[Waiting<'_>], placed: &mut Placed) {
    for _ in 0..PASSES_MAX {
        let mut left: Vec<_> =
            (0..waiting.len()).filter(|at| placed.0[*at].len() < waiting[*at].pods.len()).collect();
        let mut progress = false;
        let groups = left.len();
        for (turn, at) in left.iter().copied().enumerate() {
            schedule.looks.next_of(groups - turn);
            let missing = waiting[at].pods.len() - placed.0[at].len();
            let places = schedule.place(waiting[at].demand, missing);
            progress |= !places.is_empty();
            placed.0[at].extend(places);
        }
        left.retain(|at| placed.0[*at].len() < waiting[*at].pods.len());
        if left.is_empty() || !(schedule.settle_charges() || progress) {
            break;
        }
    }
}

impl Schedule<'_, '_> {
    /// Charges new nodes to their NodePools' limits as what they can really turn out to be: the types that their
    /// launches will list. Says whether that made room.
    fn settle_charges(&mut self) -> bool {
        let mut made_room = false;
        for draft in 0..self.drafts.len() {
            made_room |= self.settle_charge(draft);
        }
        made_room
    }

    fn settle_charge(&mut self, draft: usize) -> bool {
        let draft = &mut self.drafts[draft];
        let Problem { templates, universes, listings, .. } = &mut *self.problem;
        let template = &mut templates[draft.template];
        if template.room.is_unlimited() {
            return false;
        }
        let universe = &universes[template.universe];
        let listing = listings.of(draft.template, template, &draft.listed(universe), universe);
        if listing.charged == draft.charged {
            return false;
        }
        template.room.give_back(&draft.charged, &listing.charged);
        draft.charged.clone_from(&listing.charged);
        draft.shape.types.clone_from(&listing.types);
        true
    }

    /// What the new nodes cost together, each at its cheapest.
    fn price(&mut self) -> Price {
        let Problem { templates, universes, listings, .. } = &mut *self.problem;
        let prices = self.drafts.iter().map(|draft| {
            let template = &templates[draft.template];
            let universe = &universes[template.universe];
            listings.of(draft.template, template, &draft.listed(universe), universe).price
        });
        prices.sum()
    }
}

fn finish(
    snapshot: &Snapshot,
    mut schedule: Schedule<'_, '_>,
    (work, waiting, placed): (&Work<'_>, &[Waiting<'_>], Placed),
    (now, seed): (Timestamp, u64),
) -> Plan {
    let Schedule { problem, drafts, .. } = &mut schedule;
    let existing = problem.existing.len();
    let mut pods_of: Vec<Vec<String>> =
        drafts.iter().map(|draft| Vec::with_capacity(draft.pods as usize)).collect();
    let mut nominations = Vec::new();
    for (waiting, places) in waiting.iter().zip(&placed.0) {
        for (pod, place) in waiting.pods.iter().zip(places.iter().copied()) {
            match place.checked_sub(existing) {
                Some(draft) => pods_of[draft].push(pod.uid.clone()),
                None if may_be_nominated(snapshot, pod) => {
                    nominations.push(nominate(pod, problem.existing[place].name));
                }
                // Its successor will be another pod, so there is nothing to nominate yet.
                None => {}
            }
        }
    }
    let taken = snapshot.claims_and_asked().map(|claim| claim.name.clone());
    let mut names = ClaimNames::new((now, seed), taken);
    let mut actions = Vec::with_capacity(drafts.len() + nominations.len());
    for (draft, pods) in drafts.iter().zip(pods_of) {
        let claim = names.next(&problem.templates[draft.template].pool.name);
        actions.push(Action::Launch(Box::new(problem.launch(draft, claim, pods))));
    }
    actions.extend(work.successors.iter().map(|(pod, claim)| nominate(pod, claim)));
    actions.extend(nominations);
    let mut unplaced = impossible(snapshot, work);
    let decided = Decided { snapshot, work, waiting, placed: &placed };
    let mut explainer = Explainer::new(decided, &mut schedule);
    for (waiting, places) in waiting.iter().zip(&placed.0) {
        let left = &waiting.pods[places.len()..];
        if left.is_empty() {
            continue;
        }
        let Reasons { node_pools, itself, remedy } = explainer.explain(waiting.demand);
        unplaced.extend(left.iter().map(|pod| Unplaced {
            name: pod.full_name(),
            pod: pod.uid.clone(),
            node_pools: node_pools.clone(),
            itself: itself.clone(),
            remedy: remedy.clone(),
        }));
    }
    unplaced.sort_by(|left, right| (&left.name, &left.pod).cmp(&(&right.name, &right.pod)));
    Plan { actions, report: Report { unplaced, ..Default::default() } }
}

/// Whether a pod waits, or its node waits for it: otherwise the node goes in any case, and the pod with it.
fn may_be_nominated(snapshot: &Snapshot, pod: &Pod) -> bool {
    pod.node.is_none() || is_on_replaced_node(snapshot, pod)
}

fn nominate(pod: &Pod, node: &str) -> Action {
    Action::Nominate(Nomination { pod: pod.uid.clone(), node: node.to_owned() })
}

/// Whether a pod's node goes only when the pod could go elsewhere: then its room there is kept until it does.
fn is_on_replaced_node(snapshot: &Snapshot, pod: &Pod) -> bool {
    let node = pod.node.as_ref().and_then(|name| snapshot.nodes.get(name));
    let claim = node.and_then(|node| snapshot.claim_of_node(node));
    claim.is_some_and(|claim| claim.deleting.is_none() && snapshot.replaced_since(claim).is_some())
}

fn impossible(snapshot: &Snapshot, work: &Work<'_>) -> Vec<Unplaced> {
    let unplaced = work.impossible.iter().filter_map(|(group, pod)| {
        let itself = Some(snapshot.group(*group).impossible.as_ref()?.why());
        Some(Unplaced {
            pod: pod.uid.clone(),
            name: pod.full_name(),
            node_pools: Vec::new(),
            itself,
            remedy: Remedy::NotTried,
        })
    });
    unplaced.collect()
}
