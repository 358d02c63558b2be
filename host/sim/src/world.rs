//! A cluster and a cloud in memory, moved on by a virtual clock.
//!
//! ```text
//!  agenda ─► happening ─► pods · nodes · machines · volumes ─► workloads reconcile ─► scheduler ─► events, journal
//!                                     ▲
//!                              ports (what a plan does)
//! ```
//!
//! Every object is here once, under its identity; what is derived (who is on which node, budgets, meters) is kept up
//! to date as things change, so that no step looks at all pods. The world decides nothing about nodes: that is what
//! the loop that drives it is for.

mod budgets;
pub(crate) mod machines;
mod nodes;
mod pods;
pub(crate) mod ports;
mod script;
mod volumes;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use whittle_catalog::catalog::Catalog;
use whittle_core::event::{Event, ObjectKey};
use whittle_core::model::node::{Node, NodeClaim};
use whittle_core::model::node_pool::{NodeClass, NodePool};
use whittle_core::model::pod::TopologySpread;
use whittle_core::model::time::{Duration, Timestamp};

use crate::agenda::Agenda;
use crate::input::{Objects, StorageClass, Timings, WorkloadKey};
use crate::journal::Journal;
use crate::meter::Meters;
use crate::random::Random;
use crate::record::nodes::NodeList;
use crate::scheduler::rules::SpecOrd;
use crate::scheduler::{Claims, Decision, Namespaces, PodOrd, Scheduler};
use crate::script::Step;
use crate::world::budgets::Budget;
use crate::world::machines::{Machine, Shortage};
use crate::world::pods::PodEntry;
use crate::world::workloads::Workload;

/// What chance is drawn for; each purpose has a stream of its own, so that one more pod does not change how long
/// instances take to boot.
mod purpose {
    pub(super) const BOOT: u64 = 1;
    pub(super) const PODS: u64 = 2;
    pub(super) const TIES: u64 = 3;
    pub(super) const SCENARIO: u64 = 4;
    pub(super) const RECLAIM: u64 = 5;
    pub(super) const NAMES: u64 = 6;
}

const MILLIS_PER_SECOND: u64 = 1_000;

/// How a world behaves.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) start: Timestamp,
    pub(crate) region: String,
    pub(crate) timings: Timings,
    /// How pods are spread that say nothing about it.
    pub(crate) default_spread: Vec<TopologySpread>,
    pub(crate) end: Timestamp,
    pub(crate) draws_reclaims: bool,
    pub(crate) catalog: Catalog,
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Script(Box<Step>),
    PodStarts(PodOrd),
    PodEnds(PodOrd),
    PodStopped(PodOrd),
    PodForgotten(PodOrd),
    Joins(String),
    Ready(String),
    StartupDone(String),
    Reclaim(String),
    ReclaimDeadline(String),
    Gone(String),
    CronDue(WorkloadKey),
}

/// Streams of chance.
#[derive(Clone, Debug)]
struct Chances {
    boot: Random,
    pods: Random,
    ties: Random,
    scenario: Random,
    reclaim: Random,
    names: Random,
}

/// The world.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) setup: Setup,
    pub(crate) meters: Meters,
    pub(crate) journal: Journal,
    pub(crate) pools: BTreeMap<String, NodePool>,
    pub(crate) classes: BTreeMap<String, NodeClass>,
    pub(crate) node_claims: BTreeMap<String, NodeClaim>,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) pods: BTreeMap<PodOrd, PodEntry>,
    pub(crate) machines: BTreeMap<String, Machine>,
    uids: BTreeMap<String, PodOrd>,
    on_node: BTreeMap<String, BTreeSet<PodOrd>>,
    waiting: BTreeSet<PodOrd>,
    pub(crate) peak: Option<NodeList>,
    workloads: BTreeMap<WorkloadKey, Workload>,
    to_reconcile: BTreeSet<WorkloadKey>,
    daemon_sets: BTreeSet<WorkloadKey>,
    nodes_for_daemons: BTreeSet<String>,
    budgets: BTreeMap<ObjectKey, Budget>,
    budgets_by_spec: BTreeMap<SpecOrd, Vec<ObjectKey>>,
    budgets_changed: BTreeSet<ObjectKey>,
    storage_classes: BTreeMap<String, StorageClass>,
    volume_claims: Claims,
    unbound_claims: BTreeSet<ObjectKey>,
    namespaces: Namespaces,
    machine_of_claim: BTreeMap<String, String>,
    machine_of_node: BTreeMap<String, String>,
    shortages: Vec<Shortage>,
    factors: Vec<machines::PriceFactor>,
    scheduler: Scheduler,
    agenda: Agenda<Happening>,
    outbox: Vec<Event>,
    /// Directories of policies that are to be in force.
    policies: Vec<String>,
    chances: Chances,
    pods_made: u64,
    machines_made: u64,
}

impl World {
    /// A world with these objects, at its beginning.
    pub(crate) fn new(setup: Setup, objects: Objects) -> Self {
        let stream = |purpose| Random::new(setup.seed, purpose);
        let chances = Chances {
            boot: stream(purpose::BOOT),
            pods: stream(purpose::PODS),
            ties: stream(purpose::TIES),
            scenario: stream(purpose::SCENARIO),
            reclaim: stream(purpose::RECLAIM),
            names: stream(purpose::NAMES),
        };
        let scheduler = Scheduler::new(setup.default_spread.clone());
        let mut world = Self {
            now: setup.start,
            meters: Meters::new(setup.start),
            setup,
            journal: Journal::default(),
            pools: BTreeMap::new(),
            classes: BTreeMap::new(),
            node_claims: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pods: BTreeMap::new(),
            machines: BTreeMap::new(),
            uids: BTreeMap::new(),
            on_node: BTreeMap::new(),
            waiting: BTreeSet::new(),
            peak: None,
            workloads: BTreeMap::new(),
            to_reconcile: BTreeSet::new(),
            daemon_sets: BTreeSet::new(),
            nodes_for_daemons: BTreeSet::new(),
            budgets: BTreeMap::new(),
            budgets_by_spec: BTreeMap::new(),
            budgets_changed: BTreeSet::new(),
            storage_classes: BTreeMap::new(),
            volume_claims: Claims::new(),
            unbound_claims: BTreeSet::new(),
            namespaces: objects.namespaces.clone(),
            machine_of_claim: BTreeMap::new(),
            machine_of_node: BTreeMap::new(),
            shortages: Vec::new(),
            factors: Vec::new(),
            scheduler,
            agenda: Agenda::default(),
            outbox: Vec::new(),
            policies: Vec::new(),
            chances,
            pods_made: 0,
            machines_made: 0,
        };
        world.populate(objects);
        world
    }

    fn populate(&mut self, objects: Objects) {
        for (name, labels) in objects.namespaces {
            self.outbox.push(Event::Namespace(name, labels));
        }
        self.storage_classes = objects.storage_classes;
        for class in objects.node_classes.into_values() {
            self.put_class(class);
        }
        for pool in objects.node_pools.into_values() {
            self.put_pool(pool);
        }
        for (key, claim) in objects.volume_claims {
            self.put_volume_claim(key, claim);
        }
        for limits in objects.volume_limits {
            self.put_volume_limits(limits);
        }
        for (key, budget) in objects.budgets {
            self.put_budget(key, budget);
        }
        for claim in objects.node_claims.into_values() {
            self.take_in_claim(claim);
        }
        for node in objects.nodes.into_values() {
            self.take_in_node(node);
        }
        for (key, workload) in objects.workloads {
            self.put_workload(key, workload);
        }
        for pod in objects.pods {
            self.take_in_pod(pod);
        }
        self.settle();
    }

    /// When something happens next.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        self.agenda.next()
    }

    /// Enters what happens after a span, at a whole second: the times of Kubernetes objects are no finer.
    fn enter_after(&mut self, span: Duration, happening: Happening) {
        let at = (self.now + span).millis().div_ceil(MILLIS_PER_SECOND).saturating_mul(MILLIS_PER_SECOND);
        self.agenda.enter(Timestamp::from_millis(at), happening);
    }

    /// Enters a step of the scenario.
    pub(crate) fn enter(&mut self, at: Timestamp, step: Step) {
        self.agenda.enter(at, Happening::Script(Box::new(step)));
    }

    /// Moves the clock on and lets happen what is due.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some(at) = self.agenda.next().filter(|at| *at <= now) {
            self.move_clock(at);
            while let Some(happening) = self.agenda.take_due(at) {
                self.happen(happening);
            }
            self.settle();
        }
        self.move_clock(now);
    }

    fn move_clock(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.meters.advance(self.now);
    }

    /// Lets workloads and the scheduler answer what has changed, until nothing more changes.
    pub(crate) fn settle(&mut self) {
        loop {
            while let Some(key) = self.to_reconcile.pop_first() {
                self.reconcile(&key);
            }
            while let Some(node) = self.nodes_for_daemons.pop_first() {
                self.reconcile_daemons_on(&node);
            }
            if !self.scheduler.is_due() {
                break;
            }
            self.schedule();
        }
        self.publish_budgets();
    }

    fn schedule(&mut self) {
        while let Some(decision) = self.scheduler.step(&self.volume_claims, &mut self.chances.ties) {
            match decision {
                Decision::Bind(pod, node) => self.bind(pod, &node),
                Decision::Unschedulable(pod) => self.mark_unschedulable(pod),
            }
        }
    }

    /// The directories of policies that are to be in force, in order, since this was asked last.
    pub(crate) fn take_policies(&mut self) -> Vec<String> {
        std::mem::take(&mut self.policies)
    }

    /// The changes since the last call, for whoever watches.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.outbox)
    }

    /// Whether there are changes that nobody has taken yet.
    pub(crate) fn has_events(&self) -> bool {
        !self.outbox.is_empty()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Script(step) => self.play(*step),
            Happening::PodStarts(pod) => self.pod_starts(pod),
            Happening::PodEnds(pod) => self.pod_ends(pod),
            Happening::PodStopped(pod) => self.remove_pod(pod, pods::End::Stopped),
            Happening::PodForgotten(pod) => self.remove_pod(pod, pods::End::Stopped),
            Happening::Joins(machine) => self.machine_joins(&machine),
            Happening::Ready(machine) => self.machine_ready(&machine),
            Happening::StartupDone(machine) => self.startup_done(&machine),
            Happening::Reclaim(machine) => self.reclaim(&machine),
            Happening::ReclaimDeadline(machine) => self.reclaim_deadline(&machine),
            Happening::Gone(machine) => self.machine_gone(&machine),
            Happening::CronDue(key) => self.cron_due(&key),
        }
    }
}

#[cfg(test)]
mod tests;
