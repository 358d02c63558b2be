//! Karpenter's order a second time, slow and simple: what `provision_in_karpenter_order` is compared with.
//!
//! Written from what Karpenter is known to do and from what this project says it does differently, on plain strings and
//! vectors, and without a line of the planner. Nothing is indexed, nothing is remembered, and every question is asked
//! anew for every pod, so that each function can be read as the rule that it is.
//!
//! ```text
//!  labels  what a requirement means for one value
//!  nodes   nodes that are there or on their way
//!  pools   NodePools, and new nodes as the offerings that they may still become
//!  rules   spread, affinity and anti-affinity: who is counted where
//! ```
//!
//! What is deliberately absent: prices beyond the choice of a domain and of what a launch lists, reasons, budgets of
//! steps, nominations, NodeClaims without an instance, reserved capacity, PodDisruptionBudgets, and NodePools or
//! EC2NodeClasses that are not ready. The generated clusters have none of these.

mod labels;
mod nodes;
mod pools;
mod rules;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use whittle_core::model::labels::HOSTNAME;
use whittle_core::model::pod::{HostPort, Pod, PodSpec, Preferred, WhenUnsatisfiable};
use whittle_core::model::requirement::{Requirement, Taint, TaintEffect, Toleration};
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, LaunchOffering, Plan};
use whittle_core::settings::{MinValuesPolicy, PreferencePolicy};
use whittle_core::state::Snapshot;
use whittle_core::state::groups::PodGroup;

use crate::reference::nodes::Existing;
use crate::reference::pools::{Draft, Pool};
use crate::reference::rules::Rules;

/// A plan, as far as it is compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// New nodes in the order in which they are opened.
    pub(crate) launches: Vec<NewNode>,
    /// The node on which each waiting pod is expected that fits on one which is there.
    pub(crate) on_existing: BTreeMap<String, String>,
    pub(crate) unplaced: BTreeSet<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewNode {
    pub(crate) pool: String,
    pub(crate) pods: BTreeSet<String>,
    pub(crate) offerings: Vec<LaunchOffering>,
}

/// What the planner's plan says of the same.
pub(crate) fn answer(plan: &Plan) -> Answer {
    let mut answer = Answer::default();
    for action in &plan.actions {
        match action {
            Action::Launch(launch) => answer.launches.push(NewNode {
                pool: launch.node_pool.clone(),
                pods: launch.pods.iter().cloned().collect(),
                offerings: launch.offerings.to_vec(),
            }),
            Action::Nominate(nomination) => {
                answer.on_existing.insert(nomination.pod.clone(), nomination.node.clone());
            }
            other => panic!("provisioning does not {other:?}"),
        }
    }
    answer.unplaced = plan.report.unplaced.iter().map(|unplaced| unplaced.pod.clone()).collect();
    answer
}

/// Pods that are equal for scheduling, the one that waits longest first.
struct Kind<'a> {
    group: &'a PodGroup,
    spec: &'a PodSpec,
    /// For each volume the alternatives, one of which must hold.
    volumes: &'a [Vec<Vec<Requirement>>],
    pods: Vec<&'a Pod>,
}

/// What a pod holds to at one of its tries: what it requires, and those of its wishes that it has not given up.
#[derive(Clone)]
struct Try<'a> {
    preferred_nodes: &'a [Preferred<Vec<Requirement>>],
    /// How many of its wishes about other pods it has given up, of each sort in the order in which they are listed.
    given_up: GivenUp,
    avoids_soft_taints: bool,
}

#[derive(Clone, Copy, Default)]
struct GivenUp {
    near: usize,
    away: usize,
    spreads: usize,
}

/// A place for a pod: a node that is there, or a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Existing(usize),
    New(usize),
}

struct Schedule<'a> {
    snapshot: &'a Snapshot,
    existing: Vec<Existing<'a>>,
    pools: Vec<Pool<'a>>,
    drafts: Vec<Draft>,
    rules: Rules<'a>,
}

/// How often those that found no place are tried again.
const PASSES: usize = 32;

/// The plan that Karpenter's order comes to.
pub(crate) fn plan(snapshot: &Snapshot, now: Timestamp) -> Answer {
    let mut answer = Answer::default();
    let kinds = kinds(snapshot, &mut answer.unplaced);
    let existing = nodes::existing(snapshot);
    let pools = pools::pools(snapshot, now);
    let rules = Rules::new(snapshot, &kinds, &existing, &pools);
    let mut schedule = Schedule { snapshot, existing, pools, drafts: Vec::new(), rules };
    let mut places: BTreeMap<&str, Place> = BTreeMap::new();
    for _ in 0..PASSES {
        let before = places.len();
        for (kind_at, kind) in kinds.iter().enumerate() {
            for pod in &kind.pods {
                if places.contains_key(pod.uid.as_str()) {
                    continue;
                }
                match schedule.place(kind_at, kind, pod) {
                    Some(place) => drop(places.insert(&pod.uid, place)),
                    // The others of the kind are refused for the same reasons.
                    None => break,
                }
            }
        }
        let made_room = schedule.drafts.iter_mut().map(|draft| draft.settle_charge(&mut schedule.pools));
        let made_room = made_room.fold(false, |any, one| any | one);
        if !made_room && places.len() == before {
            break;
        }
    }
    schedule.tell(&kinds, &places, &mut answer);
    answer
}

/// The pods that need a place, the largest first: by CPU, by memory, then the one that waits longest.
fn kinds<'a>(snapshot: &'a Snapshot, unplaced: &mut BTreeSet<String>) -> Vec<Kind<'a>> {
    let waiting = snapshot.waiting().flat_map(|(_, pods)| pods);
    let leaving = snapshot.claims.values().filter(|claim| snapshot.is_leaving(claim));
    let leaving = leaving.filter_map(|claim| snapshot.node_of_claim(claim));
    let evicted = leaving.flat_map(|node| snapshot.pods_on(&node.name)).filter(|pod| !pod.belongs_to_node());
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for pod in waiting.chain(evicted) {
        let group = snapshot.group(snapshot.group_of(&pod.uid).expect("a pod that is known"));
        if group.impossible.is_some() {
            unplaced.insert(pod.uid.clone());
            continue;
        }
        match kinds.iter_mut().find(|kind| *kind.group == **group) {
            Some(kind) => kind.pods.push(pod),
            None => kinds.push(Kind { group, spec: &group.spec, volumes: &group.volumes, pods: vec![pod] }),
        }
    }
    for kind in &mut kinds {
        kind.pods.sort_by_key(|pod| (pod.created, &pod.uid));
    }
    let size = |kind: &Kind<'_>| (kind.spec.requests.cpu_millis, kind.spec.requests.memory_bytes);
    kinds.sort_by_key(|kind| (Reverse(size(kind)), (kind.pods[0].created, &kind.pods[0].uid)));
    kinds
}

impl<'a> Kind<'a> {
    /// The tries of a pod: first with all its wishes, then with one less each time.
    fn tries(&self, policy: PreferencePolicy) -> Vec<Try<'a>> {
        let spec = self.spec;
        let anyway =
            spec.topology_spread.iter().filter(|s| s.when_unsatisfiable == WhenUnsatisfiable::ScheduleAnyway);
        let (nears, aways) = (spec.preferred_pod_affinity.len(), spec.preferred_pod_anti_affinity.len());
        let all = GivenUp { near: nears, away: aways, spreads: anyway.clone().count() };
        let required = Try { preferred_nodes: &[], given_up: all, avoids_soft_taints: false };
        if policy == PreferencePolicy::Ignore {
            return vec![required];
        }
        let mut now = Try {
            preferred_nodes: &spec.preferred_node_affinity,
            given_up: GivenUp::default(),
            avoids_soft_taints: true,
        };
        let mut tries = Vec::new();
        loop {
            tries.push(now.clone());
            if now.given_up.near < nears {
                now.given_up.near += 1;
            } else if now.given_up.away < aways {
                now.given_up.away += 1;
            } else if !now.preferred_nodes.is_empty() {
                now.preferred_nodes = &now.preferred_nodes[1..];
            } else if now.given_up.spreads < all.spreads {
                now.given_up.spreads += 1;
            } else if now.avoids_soft_taints {
                now.avoids_soft_taints = false;
            } else {
                return tries;
            }
        }
    }

    /// What the pod's node must be like: one of these alternatives, tried from left to right.
    fn alternatives(&self, held: &Try<'_>) -> Vec<Vec<Requirement>> {
        let mut terms = self.spec.node_affinity.clone();
        if terms.is_empty() {
            terms.push(Vec::new());
        }
        if let Some(heaviest) = held.preferred_nodes.first() {
            terms.iter_mut().for_each(|term| term.extend(heaviest.term.iter().cloned()));
        }
        for volume in self.volumes {
            let with = |term: &Vec<Requirement>| {
                let term = term.clone();
                volume
                    .iter()
                    .map(move |other| [term.as_slice(), other.as_slice()].concat())
                    .collect::<Vec<_>>()
            };
            terms = terms.iter().flat_map(with).collect();
        }
        terms
    }
}

impl Schedule<'_> {
    fn place(&mut self, at: usize, kind: &Kind<'_>, pod: &Pod) -> Option<Place> {
        for held in kind.tries(self.snapshot.settings.preferences) {
            if let Some(place) = self.try_to_place((at, kind), pod, &held) {
                self.rules.count(at, place, &self.existing, &self.drafts, &self.pools);
                return Some(place);
            }
        }
        None
    }

    fn try_to_place(&mut self, (at, kind): (usize, &Kind<'_>), pod: &Pod, held: &Try<'_>) -> Option<Place> {
        for place in 0..self.existing.len() {
            if self.may_be_on_existing(place, (at, kind), held)
                && self.existing[place].attaches(self.snapshot, pod)
            {
                self.existing[place].take(kind.spec);
                self.existing[place].attached.extend(nodes::claims_of(pod));
                return Some(Place::Existing(place));
            }
        }
        let mut drafts: Vec<_> = (0..self.drafts.len()).collect();
        drafts.sort_by_key(|draft| self.drafts[*draft].pods);
        for place in drafts {
            let draft = self.drafts[place].clone();
            if let Some(joined) = self.joined(draft, (at, kind), (held, Place::New(place))) {
                self.drafts[place] = joined;
                return Some(Place::New(place));
            }
        }
        let place = Place::New(self.drafts.len());
        for pool in 0..self.pools.len() {
            let draft = self.pools[pool].open(pool);
            if let Some(mut joined) = self.joined(draft, (at, kind), (held, place)) {
                joined.charge(&mut self.pools[pool]);
                self.drafts.push(joined);
                return Some(place);
            }
        }
        None
    }

    fn may_be_on_existing(&self, place: usize, (at, kind): (usize, &Kind<'_>), held: &Try<'_>) -> bool {
        let node = &self.existing[place];
        let alternatives = kind.alternatives(held);
        is_tolerated(&node.taints, &kind.spec.tolerations, held)
            && kind.spec.requests.fits_in(&node.free)
            && !collide(&kind.spec.host_ports, &node.host_ports)
            && alternatives.iter().any(|term| labels::are_fulfilled(term, &node.labels))
            && self.rules.of(at, held).iter().all(|rule| {
                let key = self.rules.key(*rule);
                match nodes::domain(&self.existing, place, key) {
                    Some(domain) => self.rules.allow(*rule, (at, held), &domain),
                    // Nothing to be near to, nothing to keep away from.
                    None => self.rules.is_about_keeping_away(*rule),
                }
            })
    }

    /// The new node once one more pod is on it, or nothing when it refuses the pod.
    fn joined(
        &self,
        draft: Draft,
        (at, kind): (usize, &Kind<'_>),
        (held, place): (&Try<'_>, Place),
    ) -> Option<Draft> {
        let pool = &self.pools[draft.pool];
        let allowed_here = |rule: &usize| {
            self.rules.key(*rule) != HOSTNAME || self.rules.allow(*rule, (at, held), &rules::host(place))
        };
        if !is_tolerated(&pool.pool.taints, &kind.spec.tolerations, held)
            || collide(&kind.spec.host_ports, &draft.host_ports)
            || !self.rules.of(at, held).iter().all(allowed_here)
        {
            return None;
        }
        let mut alternatives = kind.alternatives(held).into_iter();
        alternatives.find_map(|term| {
            let mut draft = draft.clone();
            draft.require(pool, &term);
            draft.take(pool, kind.spec);
            if draft.offers.is_empty() {
                return None;
            }
            for key in self.rules.keys_concerning(at, held) {
                draft = self.bound(draft, (at, held), key)?;
            }
            let strict = self.snapshot.settings.min_values == MinValuesPolicy::Strict;
            (!strict || draft.has_min_values(pool)).then_some(draft)
        })
    }

    /// The new node bound to one value of a label that some rule counts the pod by: of the values that are allowed, the
    /// one with the fewest pods, then the cheapest, then the first by name.
    fn bound(&self, draft: Draft, who: (usize, &Try<'_>), key: &str) -> Option<Draft> {
        let pool = &self.pools[draft.pool];
        let rules: Vec<_> =
            self.rules.of(who.0, who.1).into_iter().filter(|r| self.rules.key(*r) == key).collect();
        let own: Vec<_> = rules.iter().copied().filter(|rule| self.rules.is_own(*rule, who)).collect();
        match draft.values(pool, key) {
            Some(values) if values.is_empty() => {
                own.iter().all(|rule| self.rules.is_about_keeping_away(*rule)).then_some(draft)
            }
            // Domains that nobody can list are no domains.
            None => own.is_empty().then_some(draft),
            Some(values) => {
                let allowed = values
                    .iter()
                    .filter(|value| rules.iter().all(|rule| self.rules.allow(*rule, who, value)));
                let bound = allowed.map(|value| {
                    let mut bound = draft.clone();
                    bound.require(pool, &[Requirement::equals(key, value.as_str())]);
                    (
                        own.iter().map(|rule| self.rules.pods_in(*rule, value)).max(),
                        bound.cheapest(),
                        value,
                        bound,
                    )
                });
                bound
                    .min_by(|one, other| (one.0, one.1, one.2).cmp(&(other.0, other.1, other.2)))
                    .map(|best| best.3)
            }
        }
    }

    fn tell(&self, kinds: &[Kind<'_>], places: &BTreeMap<&str, Place>, answer: &mut Answer) {
        answer.launches = self
            .drafts
            .iter()
            .map(|draft| {
                let pool = &self.pools[draft.pool];
                NewNode { pool: pool.pool.name.clone(), pods: BTreeSet::new(), offerings: draft.listed(pool) }
            })
            .collect();
        for pod in kinds.iter().flat_map(|kind| &kind.pods) {
            match places.get(pod.uid.as_str()) {
                Some(Place::New(draft)) => drop(answer.launches[*draft].pods.insert(pod.uid.clone())),
                Some(Place::Existing(node)) if pod.node.is_none() => {
                    answer.on_existing.insert(pod.uid.clone(), self.existing[*node].name.to_owned());
                }
                // Room is kept for its successor, which nobody knows yet.
                Some(Place::Existing(_)) => {}
                None => drop(answer.unplaced.insert(pod.uid.clone())),
            }
        }
    }
}

fn is_tolerated(taints: &[Taint], tolerations: &[Toleration], held: &Try<'_>) -> bool {
    taints.iter().all(|taint| match taint.effect {
        TaintEffect::PreferNoSchedule if !held.avoids_soft_taints => true,
        TaintEffect::PreferNoSchedule | TaintEffect::NoSchedule | TaintEffect::NoExecute => {
            tolerations.iter().any(|toleration| toleration.tolerates(taint))
        }
    })
}

/// Whether no taint keeps these pods off for good.
fn are_tolerable(taints: &[Taint], tolerations: &[Toleration]) -> bool {
    let hard = taints.iter().filter(|taint| taint.effect != TaintEffect::PreferNoSchedule);
    hard.into_iter().all(|taint| tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}

/// Whether two pods want the same port of a node; generated pods take theirs on all addresses.
fn collide(left: &[HostPort], right: &[HostPort]) -> bool {
    left.iter()
        .any(|port| right.iter().any(|other| port.port == other.port && port.protocol == other.protocol))
}
