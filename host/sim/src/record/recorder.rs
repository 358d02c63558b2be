//! Makes the record while the world goes on: samples, what plans did and why, and the summary at the end.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::check::Violation;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels::DISRUPTED_TAINT;
use whittle_core::model::node::Instance;
use whittle_core::model::node_pool::DisruptionReason;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, DeleteReason, Heard, Launch, NodeRef, Outcome, Plan};
use whittle_core::why::change::Remedy;
use whittle_core::why::lost::LostTo;
use whittle_core::why::{MoveBlocked, Unplaced, Why};

use super::nodes::node_list;
use super::{
    KindSummary, PlanViolation, PoolSample, PoolSummary, Record, RecordSettings, Sample, Totals,
    UnplacedSummary, Waits,
};
use crate::journal::{Entry, EntryKind};
use crate::meter::{LoadTime, Meter};
use crate::words::counted;
use crate::world::World;

/// What has been recorded so far, beside the world's own journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    sample_every: Duration,
    samples: Vec<Sample>,
    /// Why each NodeClaim ends.
    reasons: BTreeMap<String, DeleteReason>,
    unplaced: BTreeMap<(String, String), Unmet>,
    /// What was last said about each pod without a place.
    reported: BTreeMap<String, Unplaced>,
    violations: Vec<PlanViolation>,
    decisions: u64,
    /// What each policy said last about each thing.
    heard: BTreeMap<(String, String), String>,
}

#[derive(Clone, Debug)]
struct Unmet {
    first: Timestamp,
    example: Unplaced,
    uids: BTreeSet<String>,
}

/// What a plan is about to do that only shows in comparison with the world before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    /// How many entries the timeline has.
    entries: usize,
    /// What the actions will have done, by their positions in the plan.
    notes: Vec<(usize, Entry)>,
}

impl Recorder {
    pub(crate) fn new(sample_every: Duration) -> Self {
        Self { sample_every, ..Self::default() }
    }

    /// Takes a sample, unless the last one is too recent. A sample that looks like the last says nothing new.
    pub(crate) fn sample(&mut self, world: &World) {
        let recent = |last: &Sample| world.now.since(last.at) < self.sample_every;
        if self.samples.last().is_some_and(recent) {
            return;
        }
        let sample = sample(world);
        let same = self.samples.last().is_some_and(|last| Sample { at: sample.at, ..last.clone() } == sample);
        if !same {
            self.samples.push(sample);
        }
    }

    /// A decision has been made.
    pub(crate) fn decided(&mut self, plan: &Plan, world: &mut World) {
        self.decisions += 1;
        self.note_policies(plan, world);
        for unplaced in &plan.report.unplaced {
            // The report is that of the last look at waiting pods: most of it is known, some pods may have gone since.
            if self.reported.get(&unplaced.pod) != Some(unplaced) && world.is_waiting(&unplaced.pod) {
                self.reported.insert(unplaced.pod.clone(), unplaced.clone());
                self.note_unplaced(unplaced, world);
            }
        }
    }

    /// A policy says the same in every round; the first time is worth a line.
    fn note_policies(&mut self, plan: &Plan, world: &mut World) {
        for Heard { policy, about, words, obeyed, failed } in &plan.report.heard {
            let key = (policy.clone(), about.clone());
            if self.heard.get(&key) == Some(words) {
                continue;
            }
            self.heard.insert(key, words.clone());
            let how = if *failed || *obeyed { "" } else { " (shadow)" };
            let text = format!("{policy}{how}, {about}: {words}");
            world.journal.note(world.now, EntryKind::Policy, None, about, text);
        }
    }

    fn note_unplaced(&mut self, unplaced: &Unplaced, world: &mut World) {
        let text = unplaced.to_string();
        let lasting = lasting(unplaced).to_string();
        let why = lasting.strip_prefix(&unplaced.name).unwrap_or(&lasting).to_owned();
        let workload = world.workload_of(&unplaced.pod).unwrap_or_else(|| unplaced.name.clone());
        let key = (workload, why);
        if let Some(known) = self.unplaced.get_mut(&key) {
            known.uids.insert(unplaced.pod.clone());
            // For whom too many others had no place either the change that would do is found later.
            if known.example.remedy == Remedy::NotTried {
                known.example.remedy = unplaced.remedy.clone();
            }
            return;
        }
        world.journal.note(world.now, EntryKind::Unplaced, None, &key.0, text);
        let uids = BTreeSet::from([unplaced.pod.clone()]);
        self.unplaced.insert(key, Unmet { first: world.now, example: unplaced.clone(), uids });
    }

    /// Actions broke rules and were left out of their plan.
    pub(crate) fn violated(&mut self, violations: &[Violation], world: &mut World) {
        for violation in violations {
            world.journal.note(
                world.now,
                EntryKind::Violation,
                None,
                &violation.subject,
                violation.to_string(),
            );
            self.violations.push(PlanViolation { at: world.now, violation: violation.clone() });
        }
    }

    /// A plan is about to be carried out.
    pub(crate) fn before(&mut self, plan: &Plan, world: &World) -> Before {
        let mut before = Before { entries: world.journal.entries.len(), ..Before::default() };
        for action in &plan.actions {
            match action {
                Action::Cordon(cordon) => self.remember(&cordon.claim, cordon.reason),
                Action::Delete(delete) => self.remember(&delete.claim, delete.reason),
                Action::Uncordon(node) => drop(self.reasons.remove(&node.claim)),
                _ => {}
            }
        }
        for (position, action) in plan.actions.iter().enumerate() {
            before.notes.extend(self.note_of(action, world).map(|note| (position, note)));
        }
        before
    }

    /// What the timeline says about an action, as far as it is known before it is carried out.
    fn note_of(&self, action: &Action, world: &World) -> Option<Entry> {
        let note = |kind, claim: &str, object: &str, text: &str| Entry {
            at: world.now,
            kind,
            node_pool: pool_of(claim, world),
            object: object.to_owned(),
            text: text.to_owned(),
        };
        match action {
            Action::Cordon(cordon) => {
                let node = world.nodes.get(&cordon.node)?;
                let is_cordoned = node.taints.iter().any(|taint| taint.key == DISRUPTED_TAINT);
                let claim = &cordon.claim;
                (!is_cordoned).then(|| note(EntryKind::Cordon, claim, claim, self.why(claim)))
            }
            Action::Delete(delete) => {
                let is_asked_for = world.node_claims.get(&delete.claim)?.deleting.is_some();
                let claim = &delete.claim;
                (!is_asked_for).then(|| note(EntryKind::Delete, claim, claim, self.why(claim)))
            }
            Action::Uncordon(NodeRef { claim, .. }) => {
                Some(note(EntryKind::Uncordon, claim, claim, "takes pods again"))
            }
            Action::Evict(eviction) => {
                let pod = world.pod_by_uid(&eviction.pod).filter(|pod| pod.deleting.is_none())?;
                let (claim, name) = (&eviction.claim, pod.full_name());
                Some(note(EntryKind::Evict, claim, &name, self.why(claim)))
            }
            Action::Launch(_)
            | Action::Nominate(_)
            | Action::Register(_)
            | Action::Initialize(_)
            | Action::Terminate(_)
            | Action::Finalize(_) => None,
        }
    }

    fn remember(&mut self, claim: &str, reason: DeleteReason) {
        if reason != DeleteReason::Requested {
            self.reasons.insert(claim.to_owned(), reason);
        }
    }

    fn why(&self, claim: &str) -> &'static str {
        self.reasons.get(claim).map_or("requested", |reason| word(*reason))
    }

    /// A plan has been carried out: what came of it goes on the timeline in the plan's order.
    pub(crate) fn after(&self, plan: &Plan, before: Before, outcomes: &[Outcome], world: &mut World) {
        let mut notes: Vec<(usize, Entry)> = Vec::new();
        for (position, note) in before.notes {
            if let Some(Action::Evict(eviction)) = plan.actions.get(position) {
                if world.pod_by_uid(&eviction.pod).is_some_and(|pod| pod.deleting.is_none()) {
                    // A budget did not allow it; the next plan asks again.
                    continue;
                }
                world.journal.evicted(note.node_pool.as_deref().unwrap_or_default(), &note.text);
            }
            notes.push((position, note));
        }
        let mut launches: BTreeMap<&str, (usize, &Launch)> = BTreeMap::new();
        let mut terminations: BTreeMap<&str, usize> = BTreeMap::new();
        for (position, action) in plan.actions.iter().enumerate() {
            match action {
                Action::Launch(launch) => drop(launches.insert(&launch.claim, (position, launch))),
                Action::Terminate(end) => drop(terminations.insert(&end.claim, position)),
                _ => {}
            }
        }
        let last = plan.actions.len();
        for outcome in outcomes {
            let launch = launches.get(claim_of(outcome)).copied();
            let position = launch.map_or(last, |(position, _)| position);
            notes.extend(
                outcome_note(outcome, launch.map(|(_, launch)| launch), world).map(|note| (position, note)),
            );
        }
        // What the world itself wrote down meanwhile: mostly instances that end.
        for note in world.journal.entries.split_off(before.entries) {
            notes.push((terminations.get(note.object.as_str()).copied().unwrap_or(last), note));
        }
        notes.sort_by_key(|(position, _)| *position);
        world.journal.entries.extend(notes.into_iter().map(|(_, note)| note));
    }

    /// The record of a world that has come to its end.
    pub(crate) fn finish(
        self,
        world: &mut World,
        settings: RecordSettings,
        blocked: Vec<MoveBlocked>,
    ) -> Record {
        world.capture_peak();
        let last = node_list(world);
        let mut samples = self.samples;
        samples.push(sample(world));
        let peak = world.peak.clone().unwrap_or_else(|| last.clone());
        let node_pools: Vec<PoolSummary> =
            world.meters.pools.iter().map(|(name, meter)| pool_summary(name, meter, world)).collect();
        let unplaced = self.unplaced.into_iter().map(|((workload, _), unmet)| UnplacedSummary {
            workload,
            pods: unmet.uids.len() as u64,
            waiting_at_end: unmet.uids.iter().filter(|uid| world.is_waiting(uid)).count() as u64,
            first: unmet.first,
            example: unmet.example,
        });
        let mut waits: Vec<u64> = world.journal.waits.values().flatten().copied().collect();
        let totals = Totals {
            cost_micros: node_pools.iter().map(|pool| pool.cost_micros).sum(),
            estimated: node_pools.iter().any(|pool| pool.estimated),
            price_peak: samples.iter().map(|sample| sample.price).max().unwrap_or_default().max(peak.price),
            nodes_peak: peak.nodes.len() as u64,
            launches: world.launches(),
            pods_placed: waits.len() as u64,
            waits: summed(&mut waits),
            evictions: world.journal.evictions.values().flat_map(BTreeMap::values).sum(),
            interrupted_pods: world.journal.interrupted,
            waiting_at_end: world.waiting_pods(),
            decisions: self.decisions,
        };
        Record {
            settings,
            totals,
            node_pools,
            unplaced: unplaced.collect(),
            blocked,
            violations: self.violations,
            timeline: std::mem::take(&mut world.journal.entries),
            samples,
            peak,
            last,
        }
    }
}

/// The reasons without the times until which EC2 is not asked again: it may be refused every few minutes for one and
/// the same reason.
fn lasting(unplaced: &Unplaced) -> Unplaced {
    let mut lasting = unplaced.clone();
    for pool in &mut lasting.node_pools {
        let Why::InstanceTypes { lost, .. } = &mut pool.why else { continue };
        for one in lost {
            if let LostTo::Unavailable { until } = &mut one.to {
                *until = Timestamp::EPOCH;
            }
        }
    }
    lasting
}

fn claim_of(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Launched { claim, .. }
        | Outcome::InsufficientCapacity { claim, .. }
        | Outcome::Terminated { claim }
        | Outcome::Unwritten { claim, .. }
        | Outcome::Failed { claim, .. } => claim,
    }
}

/// What the timeline says about an outcome; `launch` is the action that it came of, if that was one.
fn outcome_note(outcome: &Outcome, launch: Option<&Launch>, world: &World) -> Option<Entry> {
    let claim = claim_of(outcome);
    let (kind, text) = match outcome {
        Outcome::Launched { instance, .. } => (EntryKind::Launch, launched(instance, launch?, world)),
        Outcome::InsufficientCapacity { offerings, .. } => {
            let types: BTreeSet<&str> =
                offerings.iter().map(|offering| offering.instance_type.as_str()).collect();
            let offerings = counted(offerings.len() as u64, "offering");
            let types = counted(types.len() as u64, "instance type");
            (EntryKind::InsufficientCapacity, format!("EC2 has none of {offerings} of {types}"))
        }
        Outcome::Unwritten { message, .. } | Outcome::Failed { message, .. } => {
            (EntryKind::Failed, message.clone())
        }
        Outcome::Terminated { .. } => return None,
    };
    let node_pool = pool_of(claim, world).or_else(|| launch.map(|launch| launch.node_pool.clone()));
    Some(Entry { at: world.now, kind, node_pool, object: claim.to_owned(), text })
}

fn launched(instance: &Instance, launch: &Launch, world: &World) -> String {
    let estimated = world.machines.get(&instance.provider_id).is_some_and(|machine| machine.estimated);
    let mark = if estimated { "~" } else { "" };
    let replaces = match launch.replaces.as_slice() {
        [] => String::new(),
        replaced => format!(", in place of {}", replaced.join(", ")),
    };
    let Instance { instance_type, zone, capacity_type, price, .. } = instance;
    let pods = counted(launch.pods.len() as u64, "pod");
    format!("{instance_type} in {zone}, {capacity_type}, {mark}{price}/h, for {pods}{replaces}")
}

fn pool_of(claim: &str, world: &World) -> Option<String> {
    world.node_claims.get(claim).map(|claim| claim.node_pool.clone())
}

/// Why a node ends, in a word.
fn word(reason: DeleteReason) -> &'static str {
    match reason {
        DeleteReason::Disrupted(DisruptionReason::Underutilized) => "underutilized",
        DeleteReason::Disrupted(DisruptionReason::Empty) => "empty",
        DeleteReason::Disrupted(DisruptionReason::Drifted) => "drifted",
        DeleteReason::Interrupted => "interrupted",
        DeleteReason::Expired => "expired",
        DeleteReason::InsufficientCapacity => "no capacity",
        DeleteReason::NeverJoined => "never joined",
        DeleteReason::InstanceGone => "instance gone",
        DeleteReason::Unhealthy => "unhealthy",
        DeleteReason::NodeDeleted => "node deleted",
        DeleteReason::Requested => "requested",
    }
}

fn sample(world: &World) -> Sample {
    let node_pools: Vec<PoolSample> = world
        .meters
        .pools
        .iter()
        .map(|(name, meter)| {
            let count = |wanted: CapacityType| {
                let of_type =
                    meter.instances.iter().filter(|((_, _, capacity_type), _)| *capacity_type == wanted);
                of_type.map(|(_, count)| count).sum()
            };
            PoolSample {
                name: name.clone(),
                price: meter.rate,
                spot: count(CapacityType::Spot),
                on_demand: count(CapacityType::OnDemand),
                reserved: count(CapacityType::Reserved),
                cpu_requested_millis: meter.requested.cpu_millis,
                cpu_allocatable_millis: meter.allocatable.cpu_millis,
                memory_requested_bytes: meter.requested.memory_bytes,
                memory_allocatable_bytes: meter.allocatable.memory_bytes,
            }
        })
        .collect();
    Sample {
        at: world.now,
        price: node_pools.iter().map(|pool| pool.price).sum(),
        waiting_pods: world.waiting_pods(),
        pods: world.pods.len() as u64,
        node_pools,
    }
}

fn pool_summary(name: &str, meter: &Meter, world: &World) -> PoolSummary {
    let LoadTime { cpu, memory } = meter.allocatable_time;
    let mut waits = world.journal.waits.get(name).cloned().unwrap_or_default();
    let kinds = meter.time_by_kind.iter().map(|(kind, time)| KindSummary {
        instance_type: kind.0.clone(),
        zone: kind.1.clone(),
        capacity_type: kind.2,
        launched: time.launched,
        last: meter.instances.get(kind).copied().unwrap_or(0),
        run_millis: u64::try_from(time.millis).unwrap_or(u64::MAX),
        cost_micros: time.cost_micros(),
    });
    PoolSummary {
        name: name.to_owned(),
        cost_micros: meter.cost_micros(),
        estimated: meter.estimated,
        price_last: meter.rate,
        price_peak: meter.rate_peak,
        nodes_last: meter.node_count(),
        nodes_peak: meter.nodes_peak,
        cpu_used_ppm: share_ppm(meter.requested_time.cpu, cpu),
        memory_used_ppm: share_ppm(meter.requested_time.memory, memory),
        waits: summed(&mut waits),
        evictions: world.journal.evictions.get(name).cloned().unwrap_or_default(),
        kinds: kinds.collect(),
    }
}

/// A share in millionths. Loads times milliseconds of a month still leave room for the factor.
fn share_ppm(part: u128, whole: u128) -> u64 {
    let share = part.saturating_mul(1_000_000).checked_div(whole).unwrap_or(0);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Percentiles by nearest rank.
fn summed(waits: &mut [u64]) -> Waits {
    waits.sort_unstable();
    let rank = |percent: usize| {
        let rank = (waits.len() * percent).div_ceil(100);
        waits.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    };
    Waits { pods: waits.len() as u64, p50_millis: rank(50), p95_millis: rank(95), max_millis: rank(100) }
}

#[cfg(test)]
mod tests {
    use super::{Waits, summed};

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let mut waits: Vec<u64> = (1..=20).rev().collect();
        assert_eq!(summed(&mut waits), Waits { pods: 20, p50_millis: 10, p95_millis: 19, max_millis: 20 });
        assert_eq!(summed(&mut []), Waits::default());
    }
}
