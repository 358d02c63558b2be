//! A model of kube-scheduler: which waiting pod goes to which node.
//!
//! ```text
//!  waiting pods ─ by priority, then age ─► filters ─► scores ─► the best node, chance among equals
//!        ▲                                    │ none
//!        └── woken by a node that came or got room ◄── parked, told unschedulable once
//! ```
//!
//! Modelled after the default profile of kube-scheduler: the filters NodeResourcesFit, TaintToleration,
//! NodeAffinity, NodePorts, PodTopologySpread, InterPodAffinity, VolumeBinding and NodeVolumeLimits, and the scores in
//! `score`. Pods with the same specification wait in one group, and only the first of a group is tried, because where it does
//! not fit the others do not either.
//!
//! Left out on purpose: preemption, nominated nodes, back-off (a woken pod is tried at once), sampling (every node
//! is scored, where kube-scheduler looks at a share of a large cluster), image locality, and the wishes that pods
//! already running have about newcomers.

mod filter;
pub(crate) mod rules;
mod score;
pub(crate) mod slots;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use whittle_core::event::ObjectKey;
use whittle_core::model::node::{Node, VolumeLimits};
use whittle_core::model::node_pool::VolumeClaim;
use whittle_core::model::pod::{PodSpec, TopologySpread};

use crate::random::Random;
use crate::scheduler::rules::{Rules, SpecOrd};
use crate::scheduler::slots::{SlotOrd, Slots};

/// The identity of a pod in the world: numbers are given once.
pub(crate) type PodOrd = u64;

/// The labels of namespaces by name.
pub(crate) type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// PersistentVolumeClaims by namespace and name.
pub(crate) type Claims = BTreeMap<ObjectKey, VolumeClaim>;

/// A pod that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// The pod.
    pub(crate) pod: PodOrd,
    /// What it looks like.
    pub(crate) spec: SpecOrd,
    /// The volumes that it mounts.
    pub(crate) volumes: Vec<ObjectKey>,
    /// The one node that it may go to, for pods of DaemonSets.
    pub(crate) pinned: Option<String>,
}

/// What the scheduler decided about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It goes to this node.
    Bind(PodOrd, String),
    /// No node will do for now. Said once per pod.
    Unschedulable(PodOrd),
}

/// The order among waiting pods: the highest priority first, then the one that has waited longest.
type Turn = (i64, PodOrd);

/// Pods that are tried alike: of one specification, and alone when volumes or a node of their own set them apart.
type GroupKey = (SpecOrd, Option<PodOrd>);

#[derive(Clone, Debug, Default)]
struct Group {
    waiting: BTreeMap<Turn, Waiting>,
    untold: BTreeSet<Turn>,
}

/// The scheduler's state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scheduler {
    pub(crate) rules: Rules,
    pub(crate) slots: Slots,
    groups: BTreeMap<GroupKey, Group>,
    members: BTreeMap<PodOrd, (GroupKey, Turn)>,
    awake: BTreeMap<Turn, GroupKey>,
    dirty: BTreeSet<SlotOrd>,
    told: VecDeque<Decision>,
    bound_since_wake: bool,
}

impl Scheduler {
    /// A scheduler that spreads pods so that say nothing about it (`defaultConstraints`); with none, as it wishes by
    /// itself.
    pub(crate) fn new(default_spread: Vec<TopologySpread>) -> Self {
        Self { rules: Rules::new(default_spread), ..Self::default() }
    }

    /// The number of a specification, new or known.
    pub(crate) fn spec(&mut self, spec: &Arc<PodSpec>, namespaces: &Namespaces) -> SpecOrd {
        self.rules.intern(spec, namespaces, &mut self.slots)
    }

    /// A node is there or has changed.
    pub(crate) fn put_node(&mut self, node: &Node) {
        let slot = self.slots.put(node);
        self.dirty.insert(slot);
    }

    /// A node is gone, with everything on it.
    pub(crate) fn remove_node(&mut self, name: &str) {
        if let Some(slot) = self.slots.remove(name) {
            self.rules.clear_slot(slot);
            self.dirty.remove(&slot);
        }
    }

    /// A pod has begun to wait.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        let alone = !waiting.volumes.is_empty() || waiting.pinned.is_some();
        let key = (waiting.spec, alone.then_some(waiting.pod));
        let turn = (-i64::from(self.rules.get(waiting.spec).wants.spec.priority), waiting.pod);
        self.members.insert(waiting.pod, (key, turn));
        let group = self.groups.entry(key).or_default();
        group.untold.insert(turn);
        group.waiting.insert(turn, waiting);
        if let Some((first, _)) = group.waiting.first_key_value() {
            self.awake.insert(*first, key);
        }
    }

    /// A pod does not wait any more.
    pub(crate) fn forget(&mut self, pod: PodOrd) {
        let Some((key, turn)) = self.members.remove(&pod) else { return };
        self.awake.remove(&turn);
        self.take_from_group(key, turn);
    }

    /// A pod is on a node.
    pub(crate) fn place(&mut self, spec: SpecOrd, node: &str) {
        if let Some(slot) = self.slots.find(node) {
            self.rules.place(spec, slot, &mut self.slots);
        }
    }

    /// The volumes of a pod on a node are attached there.
    pub(crate) fn attach(&mut self, volumes: &[ObjectKey], node: &str) {
        if let Some(slot) = self.slots.find(node) {
            self.slots.get_mut(slot).volumes.attach(volumes);
        }
    }

    /// The volumes of a pod that leaves a node are attached there no more.
    pub(crate) fn detach(&mut self, volumes: &[ObjectKey], node: &str) {
        if let Some(slot) = self.slots.find(node) {
            self.slots.get_mut(slot).volumes.detach(volumes);
        }
    }

    /// A node can attach so many volumes.
    pub(crate) fn limit_volumes(&mut self, limits: &VolumeLimits) {
        self.slots.limit_volumes(limits);
    }

    /// A pod on a node has been asked to stop: spreads do not count it any more.
    pub(crate) fn begin_stopping(&mut self, spec: SpecOrd, node: &str) {
        if let Some(slot) = self.slots.find(node) {
            self.rules.begin_stopping(spec, slot);
        }
        // What is spread may now go where it could not.
        self.bound_since_wake = true;
    }

    /// A pod has left a node. `stopping` says whether it had been asked to.
    pub(crate) fn release(&mut self, spec: SpecOrd, node: &str, was: Leaving) {
        if let Some(slot) = self.slots.find(node) {
            self.rules.release(spec, slot, was, &mut self.slots);
            self.dirty.insert(slot);
        }
    }

    /// Whether pods of a specification could run on a node as far as taints and node affinity go.
    pub(crate) fn suits(&mut self, spec: SpecOrd, node: &str) -> bool {
        let Some(slot) = self.slots.find(node) else { return false };
        self.rules.suits(spec, slot, &self.slots)
    }

    /// Whether anything has changed since the last round.
    pub(crate) fn is_due(&self) -> bool {
        !self.awake.is_empty()
            || (!self.groups.is_empty() && (!self.dirty.is_empty() || self.bound_since_wake))
    }

    /// The next decision, which is in force already; `None` when all that waits has been tried.
    pub(crate) fn step(&mut self, claims: &Claims, chance: &mut Random) -> Option<Decision> {
        loop {
            if let Some(decision) = self.told.pop_front() {
                return Some(decision);
            }
            self.wake();
            let (turn, key) = self.awake.pop_first()?;
            let Some(waiting) = self.groups.get(&key).and_then(|group| group.waiting.get(&turn)) else {
                continue;
            };
            let waiting = waiting.clone();
            match self.choose(&waiting, claims, chance) {
                Some(slot) => return Some(self.bind(&waiting, slot, (key, turn))),
                None => self.park(key),
            }
        }
    }

    fn bind(&mut self, waiting: &Waiting, slot: SlotOrd, (key, turn): (GroupKey, Turn)) -> Decision {
        self.rules.place(waiting.spec, slot, &mut self.slots);
        self.slots.get_mut(slot).volumes.attach(&waiting.volumes);
        self.members.remove(&waiting.pod);
        if let Some(next) = self.take_from_group(key, turn) {
            self.awake.insert(next, key);
        }
        self.bound_since_wake = true;
        Decision::Bind(waiting.pod, self.slots.get(slot).name.clone())
    }

    /// Takes a pod out of its group and tells whose turn is next in it.
    fn take_from_group(&mut self, key: GroupKey, turn: Turn) -> Option<Turn> {
        let group = self.groups.get_mut(&key)?;
        group.waiting.remove(&turn);
        group.untold.remove(&turn);
        let next = group.waiting.keys().next().copied();
        if next.is_none() {
            self.groups.remove(&key);
        }
        next
    }

    /// Where the first of a group does not fit, none does: all are told.
    fn park(&mut self, key: GroupKey) {
        let Some(group) = self.groups.get_mut(&key) else { return };
        for turn in std::mem::take(&mut group.untold) {
            if let Some(waiting) = group.waiting.get(&turn) {
                self.told.push_back(Decision::Unschedulable(waiting.pod));
            }
        }
    }

    /// Wakes the groups for which something has changed for the better.
    fn wake(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        let moved = self.awake.is_empty() && std::mem::take(&mut self.bound_since_wake);
        if dirty.is_empty() && !moved {
            return;
        }
        let Self { rules, slots, groups, awake, .. } = self;
        for (key, group) in groups.iter() {
            let entangled = key.1.is_some() || rules.get(key.0).wants.is_entangled();
            let woken = if entangled {
                moved || !dirty.is_empty()
            } else {
                dirty.iter().any(|slot| rules.could_hold(key.0, *slot, slots))
            };
            if woken && let Some(first) = group.waiting.keys().next() {
                awake.insert(*first, *key);
            }
        }
    }
}

/// How a pod leaves its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It had been asked to stop.
    Stopped,
    /// It ended by itself or was lost.
    AtOnce,
}

#[cfg(test)]
mod tests;
