//! What pods of one specification ask for, made ready for many nodes, and how many pods are where.

mod index;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whittle_core::model::labels;
use whittle_core::model::pod::{
    InclusionPolicy, LabelSelector, Owner, PodAffinityTerm, PodSpec, TopologySpread, WhenUnsatisfiable,
};
use whittle_core::model::requirement::{Operator, Requirement, untolerated};

use self::index::Index;
use super::slots::{KeyOrd, SlotOrd, Slots};
use super::{Leaving, Namespaces};

/// The number of a specification.
pub(crate) type SpecOrd = usize;

/// The number of a set of pods that somebody counts.
pub(crate) type SetOrd = usize;

/// What kube-scheduler counts for a container that asks for nothing, for scores only (`NonMissingContainerRequests`).
const SCORED_CPU_MILLIS_MIN: u64 = 100;
const SCORED_MEMORY_BYTES_MIN: u64 = 200 << 20;

/// A specification, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) wants: Arc<Wants>,
    /// The sets that pods of this specification belong to.
    pub(crate) member_of: BTreeSet<SetOrd>,
    /// Per slot, for which generation of it this was computed, and whether affinity and taints allow it.
    suits: Vec<(u32, bool, bool)>,
    /// How many pods are on each slot, and how many of them stop.
    on_slot: BTreeMap<SlotOrd, (u32, u32)>,
}

/// What pods of a specification want. It never changes.
#[derive(Clone, Debug)]
pub(crate) struct Wants {
    pub(crate) spec: Arc<PodSpec>,
    pub(crate) scored_cpu_millis: u64,
    pub(crate) scored_memory_bytes: u64,
    pub(crate) hard_spread: Vec<Spread>,
    pub(crate) soft_spread: Vec<Spread>,
    pub(crate) affinity: Vec<(SetOrd, KeyOrd)>,
    pub(crate) anti_affinity: Vec<(SetOrd, KeyOrd)>,
    /// Wishes to be near (above zero) or not near (below zero).
    pub(crate) wishes: Vec<(i64, SetOrd, KeyOrd)>,
}

/// A topology spread.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    pub(crate) set: SetOrd,
    pub(crate) key: KeyOrd,
    pub(crate) max_skew: u64,
    pub(crate) min_domains: Option<u32>,
    pub(crate) affinity: InclusionPolicy,
    pub(crate) taints: InclusionPolicy,
}

/// A set of pods that somebody counts.
#[derive(Clone, Debug)]
struct PodSet {
    what: What,
    /// Per slot: pods that are there, and those that have not been asked to stop.
    present: Vec<u32>,
    staying: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Selected { namespaces: Option<BTreeSet<String>>, selector: LabelSelector },
    Owned { namespace: String, owner: Owner },
    Nobody,
}

/// Pods that keep others away from where they are.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) set: SetOrd,
    pub(crate) key: KeyOrd,
    pub(crate) holding: Vec<u32>,
}

/// Sets with the key of the domains in which they must be near, must not be near, or are wished near or far.
type Affinity = (Vec<(SetOrd, KeyOrd)>, Vec<(SetOrd, KeyOrd)>, Vec<(i64, SetOrd, KeyOrd)>);

/// All specifications, sets and keepers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    specs: Vec<Compiled>,
    by_spec: BTreeMap<Arc<PodSpec>, SpecOrd>,
    sets: Vec<PodSet>,
    index: Index,
    pub(crate) keepers: Vec<Keeper>,
    /// How pods are spread that say nothing about it, where somebody has said.
    default_spread: Vec<TopologySpread>,
}

impl Wants {
    /// Whether where other pods are makes a difference to whether these fit.
    pub(crate) fn is_entangled(&self) -> bool {
        !self.hard_spread.is_empty() || !self.affinity.is_empty() || !self.anti_affinity.is_empty()
    }
}

impl Rules {
    pub(crate) fn new(default_spread: Vec<TopologySpread>) -> Self {
        Self { default_spread, ..Self::default() }
    }

    pub(crate) fn get(&self, spec: SpecOrd) -> &Compiled {
        &self.specs[spec]
    }

    pub(crate) fn intern(
        &mut self,
        spec: &Arc<PodSpec>,
        namespaces: &Namespaces,
        slots: &mut Slots,
    ) -> SpecOrd {
        if let Some(known) = self.by_spec.get(spec) {
            return *known;
        }
        let (hard_spread, soft_spread) = self.compile_spreads(spec, slots);
        let (affinity, anti_affinity, wishes) = self.compile_affinity(spec, namespaces, slots);
        let wants = Wants {
            spec: Arc::clone(spec),
            scored_cpu_millis: spec.requests.cpu_millis.max(SCORED_CPU_MILLIS_MIN),
            scored_memory_bytes: spec.requests.memory_bytes.max(SCORED_MEMORY_BYTES_MIN),
            hard_spread,
            soft_spread,
            affinity,
            anti_affinity,
            wishes,
        };
        let ord = self.specs.len();
        let may_hold = self.index.add_spec(spec, ord);
        let member_of = may_hold.into_iter().filter(|set| self.sets[*set].what.holds(spec)).collect();
        self.specs.push(Compiled {
            wants: Arc::new(wants),
            member_of,
            suits: Vec::new(),
            on_slot: BTreeMap::new(),
        });
        self.by_spec.insert(Arc::clone(spec), ord);
        ord
    }

    /// Rules and wishes.
    fn compile_spreads(&mut self, spec: &PodSpec, slots: &mut Slots) -> (Vec<Spread>, Vec<Spread>) {
        let (mut hard, mut soft) = (Vec::new(), Vec::new());
        let defaults = self.defaults_for(spec);
        for spread in spec.topology_spread.iter().chain(&defaults) {
            let what = spread_set(spread, spec);
            let compiled = Spread {
                set: self.set(what, slots),
                key: slots.key(&spread.key),
                max_skew: u64::from(spread.max_skew),
                min_domains: spread.min_domains,
                affinity: spread.node_affinity_policy,
                taints: spread.node_taints_policy,
            };
            match spread.when_unsatisfiable {
                WhenUnsatisfiable::DoNotSchedule => hard.push(compiled),
                WhenUnsatisfiable::ScheduleAnyway => soft.push(compiled),
            }
        }
        if spec.topology_spread.is_empty()
            && self.default_spread.is_empty()
            && let Some(owner) = spec.owner.clone().filter(|owner| owner.kind != "DaemonSet")
        {
            soft = self.default_spreads(&spec.namespace, &owner, slots);
        }
        (hard, soft)
    }

    /// What somebody has said for pods that say nothing and that are selected by somebody (`defaultingType: List`).
    fn defaults_for(&self, spec: &PodSpec) -> Vec<TopologySpread> {
        let Some(siblings) = spec.siblings.as_ref().filter(|_| spec.topology_spread.is_empty()) else {
            return Vec::new();
        };
        let selector = Some(siblings.clone());
        let defaults = self.default_spread.iter();
        defaults.map(|spread| TopologySpread { selector: selector.clone(), ..spread.clone() }).collect()
    }

    /// What kube-scheduler wishes for pods that say nothing about it (`defaultingType: System`): host name with a
    /// skew of 3, zone with a skew of 5. It finds siblings by Services and owners; here the owner says it all.
    fn default_spreads(&mut self, namespace: &str, owner: &Owner, slots: &mut Slots) -> Vec<Spread> {
        let what = What::Owned { namespace: namespace.to_owned(), owner: owner.clone() };
        let set = self.set(what, slots);
        [(labels::HOSTNAME, 3), (labels::ZONE, 5)]
            .map(|(key, max_skew)| Spread {
                set,
                key: slots.key(key),
                max_skew,
                min_domains: None,
                affinity: InclusionPolicy::Honor,
                taints: InclusionPolicy::Ignore,
            })
            .into()
    }

    /// Whom pods must be near, must not be near, and wish to be near or not.
    fn compile_affinity(&mut self, spec: &PodSpec, namespaces: &Namespaces, slots: &mut Slots) -> Affinity {
        let mut compile = |rules: &mut Self, term: &PodAffinityTerm| {
            let set = rules.set(affinity_set(term, spec, namespaces), slots);
            (set, slots.key(&term.key))
        };
        let affinity = spec.pod_affinity.iter().map(|term| compile(self, term)).collect();
        let anti: Vec<_> = spec.pod_anti_affinity.iter().map(|term| compile(self, term)).collect();
        let mut wishes = Vec::new();
        for (terms, sign) in [(&spec.preferred_pod_affinity, 1), (&spec.preferred_pod_anti_affinity, -1)] {
            for preferred in terms {
                let (set, key) = compile(self, &preferred.term);
                wishes.push((sign * i64::from(preferred.weight), set, key));
            }
        }
        for (set, key) in &anti {
            if !self.keepers.iter().any(|keeper| (keeper.set, keeper.key) == (*set, *key)) {
                self.keepers.push(Keeper { set: *set, key: *key, holding: Vec::new() });
            }
        }
        (affinity, anti, wishes)
    }

    /// The number of a set, new or known. A new one is counted at once.
    fn set(&mut self, what: What, slots: &Slots) -> SetOrd {
        if let Some(known) = self.index.find(&what) {
            return known;
        }
        let ord = self.sets.len();
        let may_be_in = self.index.add_set(&what, ord);
        let mut set = PodSet { what, present: vec![0; slots.len()], staying: vec![0; slots.len()] };
        for spec in may_be_in {
            let spec = &mut self.specs[spec];
            if set.what.holds(&spec.wants.spec) {
                spec.member_of.insert(ord);
                for (slot, (present, stopping)) in &spec.on_slot {
                    *at(&mut set.present, *slot) += present;
                    *at(&mut set.staying, *slot) += present - stopping;
                }
            }
        }
        self.sets.push(set);
        ord
    }

    /// How many pods of a set are on a slot, those that stop included.
    pub(crate) fn present(&self, set: SetOrd, slot: SlotOrd) -> u64 {
        self.sets[set].present.get(slot).copied().map_or(0, u64::from)
    }

    /// How many pods of a set are on a slot and stay.
    pub(crate) fn staying(&self, set: SetOrd, slot: SlotOrd) -> u64 {
        self.sets[set].staying.get(slot).copied().map_or(0, u64::from)
    }

    /// Whether taints and node affinity allow a slot.
    pub(crate) fn suits(&mut self, spec: SpecOrd, slot: SlotOrd, slots: &Slots) -> bool {
        let (affinity, taints) = self.suits_by(spec, slot, slots);
        affinity && taints
    }

    /// Whether node affinity and whether taints allow a slot. Computed once per change of the node.
    pub(crate) fn suits_by(&mut self, spec: SpecOrd, slot: SlotOrd, slots: &Slots) -> (bool, bool) {
        let compiled = &mut self.specs[spec];
        if compiled.suits.len() <= slot {
            compiled.suits.resize(slots.len(), (u32::MAX, false, false));
        }
        let node = slots.get(slot);
        let known = &mut compiled.suits[slot];
        if known.0 != node.generation {
            let affinity = node.live && node.fulfils(&compiled.wants.spec.node_affinity);
            let taints = node.live && untolerated(&node.taints, &compiled.wants.spec.tolerations).is_none();
            *known = (node.generation, affinity, taints);
        }
        (known.1, known.2)
    }

    /// Whether a slot could hold a pod, other pods' wishes aside.
    pub(crate) fn could_hold(&mut self, spec: SpecOrd, slot: SlotOrd, slots: &Slots) -> bool {
        let node = slots.get(slot);
        let wanted = &self.specs[spec].wants.spec;
        node.live
            && node.has_room(&wanted.requests)
            && node.has_ports(&wanted.host_ports)
            && self.suits(spec, slot, slots)
    }

    pub(crate) fn place(&mut self, spec: SpecOrd, slot: SlotOrd, slots: &mut Slots) {
        let Self { specs, sets, keepers, .. } = self;
        let compiled = &mut specs[spec];
        compiled.on_slot.entry(slot).or_default().0 += 1;
        for set in &compiled.member_of {
            *at(&mut sets[*set].present, slot) += 1;
            *at(&mut sets[*set].staying, slot) += 1;
        }
        for keeper in keepers.iter_mut().filter(|keeper| compiled.keeps(keeper)) {
            *at(&mut keeper.holding, slot) += 1;
        }
        let node = slots.get_mut(slot);
        node.used = node.used.plus(&compiled.wants.spec.requests);
        node.scored_cpu_millis = node.scored_cpu_millis.saturating_add(compiled.wants.scored_cpu_millis);
        node.scored_memory_bytes =
            node.scored_memory_bytes.saturating_add(compiled.wants.scored_memory_bytes);
        node.ports.extend(compiled.wants.spec.host_ports.iter().cloned());
    }

    pub(crate) fn begin_stopping(&mut self, spec: SpecOrd, slot: SlotOrd) {
        let compiled = &mut self.specs[spec];
        compiled.on_slot.entry(slot).or_default().1 += 1;
        for set in &compiled.member_of {
            let staying = at(&mut self.sets[*set].staying, slot);
            *staying = staying.saturating_sub(1);
        }
    }

    pub(crate) fn release(&mut self, spec: SpecOrd, slot: SlotOrd, was: Leaving, slots: &mut Slots) {
        if was == Leaving::AtOnce {
            self.begin_stopping(spec, slot);
        }
        let Self { specs, sets, keepers, .. } = self;
        let compiled = &mut specs[spec];
        let counts = compiled.on_slot.entry(slot).or_default();
        *counts = (counts.0.saturating_sub(1), counts.1.saturating_sub(1));
        if counts.0 == 0 {
            compiled.on_slot.remove(&slot);
        }
        for set in &compiled.member_of {
            let present = at(&mut sets[*set].present, slot);
            *present = present.saturating_sub(1);
        }
        for keeper in keepers.iter_mut().filter(|keeper| compiled.keeps(keeper)) {
            let holding = at(&mut keeper.holding, slot);
            *holding = holding.saturating_sub(1);
        }
        let node = slots.get_mut(slot);
        node.used = node.used.minus(&compiled.wants.spec.requests);
        node.scored_cpu_millis = node.scored_cpu_millis.saturating_sub(compiled.wants.scored_cpu_millis);
        node.scored_memory_bytes =
            node.scored_memory_bytes.saturating_sub(compiled.wants.scored_memory_bytes);
        for port in &compiled.wants.spec.host_ports {
            if let Some(position) = node.ports.iter().position(|taken| taken == port) {
                node.ports.swap_remove(position);
            }
        }
    }

    /// A node is gone: nothing is on its slot.
    pub(crate) fn clear_slot(&mut self, slot: SlotOrd) {
        for spec in &mut self.specs {
            spec.on_slot.remove(&slot);
        }
        for set in &mut self.sets {
            *at(&mut set.present, slot) = 0;
            *at(&mut set.staying, slot) = 0;
        }
        for keeper in &mut self.keepers {
            *at(&mut keeper.holding, slot) = 0;
        }
    }
}

impl Compiled {
    fn keeps(&self, keeper: &Keeper) -> bool {
        self.wants.anti_affinity.contains(&(keeper.set, keeper.key))
    }
}

impl What {
    fn holds(&self, spec: &PodSpec) -> bool {
        match self {
            Self::Nobody => false,
            Self::Owned { namespace, owner } => {
                spec.namespace == *namespace && spec.owner.as_ref() == Some(owner)
            }
            Self::Selected { namespaces, selector } => {
                namespaces.as_ref().is_none_or(|names| names.contains(&spec.namespace))
                    && matches_labels(&selector.requirements, &spec.labels)
            }
        }
    }
}

/// The count at a position; the list grows to hold it.
fn at(counts: &mut Vec<u32>, position: usize) -> &mut u32 {
    if counts.len() <= position {
        counts.resize(position + 1, 0);
    }
    &mut counts[position]
}

fn spread_set(spread: &TopologySpread, spec: &PodSpec) -> What {
    let Some(selector) = &spread.selector else { return What::Nobody };
    let mut selector = selector.clone();
    selector.requirements.extend(label_rules(&spread.match_label_keys, Operator::In, spec));
    What::Selected { namespaces: Some(BTreeSet::from([spec.namespace.clone()])), selector }
}

fn affinity_set(term: &PodAffinityTerm, spec: &PodSpec, namespaces: &Namespaces) -> What {
    let Some(selector) = &term.selector else { return What::Nobody };
    let mut selector = selector.clone();
    selector.requirements.extend(label_rules(&term.match_label_keys, Operator::In, spec));
    selector.requirements.extend(label_rules(&term.mismatch_label_keys, Operator::NotIn, spec));
    let mut names: BTreeSet<String> = term.namespaces.iter().cloned().collect();
    match &term.namespace_selector {
        Some(all) if all.requirements.is_empty() => return What::Selected { namespaces: None, selector },
        Some(some) => names.extend(
            namespaces
                .iter()
                .filter(|(_, labels)| matches_labels(&some.requirements, labels))
                .map(|(name, _)| name.clone()),
        ),
        None if names.is_empty() => {
            names.insert(spec.namespace.clone());
        }
        None => {}
    }
    What::Selected { namespaces: Some(names), selector }
}

/// Label keys that stand for the pod's own values. A key that the pod lacks says nothing.
fn label_rules(keys: &[String], operator: Operator, spec: &PodSpec) -> Vec<Requirement> {
    let own = keys.iter().filter_map(|key| Some((key, spec.labels.get(key)?)));
    own.map(|(key, value)| Requirement::new(key.clone(), operator, [value.clone()])).collect()
}

/// Whether labels fulfil all requirements.
pub(crate) fn matches_labels(requirements: &[Requirement], labels: &BTreeMap<String, String>) -> bool {
    requirements.iter().all(|requirement| {
        let value = labels.get(labels::normalized(&requirement.key)).or_else(|| labels.get(&requirement.key));
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        let bound = || requirement.values.first().and_then(|bound| bound.parse::<i64>().ok());
        let compared = |holds: fn(i64, i64) -> bool| {
            number().zip(bound()).is_some_and(|(number, bound)| holds(number, bound))
        };
        match requirement.operator {
            Operator::In => value.is_some_and(|value| requirement.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => compared(|number, bound| number > bound),
            Operator::Lt => compared(|number, bound| number < bound),
            Operator::Gte => compared(|number, bound| number >= bound),
            Operator::Lte => compared(|number, bound| number <= bound),
        }
    })
}
