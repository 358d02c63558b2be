//! From a snapshot to a problem of dense ids: templates, places, demand and rules.

mod mask;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::node_pool::NodePool;
use crate::model::requirement::Requirement;
use crate::model::time::Timestamp;
use crate::provision::amounts::{Amounts, Axes};
use crate::provision::existing::{Existing, existing_nodes};
use crate::provision::intern::Interner;
use crate::provision::listing::Listings;
use crate::provision::places::{Places, Soft, is_hard};
use crate::provision::problem::mask::{Mask, mask};
use crate::provision::requirements::{self, ByKey};
use crate::provision::reservations::Reservations;
use crate::provision::selector::Namespaces;
use crate::provision::template::{Room, Template, overheads_of, shape_of};
use crate::provision::topology::{Concern, Rule, RuleKey, rules_of_wishes};
use crate::provision::universe::Universe;
use crate::provision::universe::ways::{CapacityMask, all_of};
use crate::provision::wishes::{Rung, SoftTaints, rungs};
use crate::settings::{MinValuesPolicy, Settings};
use crate::state::Snapshot;
use crate::state::groups::{GroupId, PodGroup};
use crate::why::{NodePoolWhy, Why};

pub(crate) use rules::{is_counted, is_leaving, residents_with_rules};

/// What is worth keeping from one decision to the next: strings and catalogues, indexed. It changes how long a
/// decision takes and never what it is.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    pub(crate) interner: Interner,
    pub(crate) axes: Axes,
    universes: BTreeMap<String, Arc<Universe>>,
}

/// Everything that scheduling looks at.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    pub(crate) now: Timestamp,
    pub(crate) interner: &'a mut Interner,
    pub(crate) axes: &'a mut Axes,
    pub(crate) universes: Vec<Arc<Universe>>,
    /// Templates in the order in which they are tried.
    pub(crate) templates: Vec<Template>,
    /// NodePools that cannot have new nodes now, and why.
    pub(crate) closed: Vec<NodePoolWhy>,
    pub(crate) existing: Vec<Existing<'a>>,
    pub(crate) places: Places,
    pub(crate) rules: Vec<Rule>,
    pub(crate) demands: Vec<Demand>,
    /// The first rung of each group: its demand with all its wishes.
    pub(crate) by_group: BTreeMap<GroupId, usize>,
    pub(crate) listings: Listings,
    /// What is left of capacity reservations.
    pub(crate) reservations: Reservations,
    /// Offerings that EC2 has refused of late.
    pub(crate) withdrawn: Vec<Withdrawn>,
    masks: IndexMap<ByKey, Arc<[Mask]>, FxBuildHasher>,
    namespaces: &'a Namespaces,
    pub(crate) settings: &'a Settings,
    soft_taints: SoftTaints,
}

/// An offering that is left alone for a while, by universe, type and zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Withdrawn {
    pub(crate) universe: usize,
    pub(crate) instance_type: usize,
    pub(crate) zone: usize,
    pub(crate) capacity_type: CapacityType,
    pub(crate) until: Timestamp,
}

/// What the pods of a group ask for, on one rung of its ladder.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    pub(crate) group: Arc<PodGroup>,
    pub(crate) requests: Amounts,
    pub(crate) alternatives: Vec<Alternative>,
    pub(crate) concern: Arc<Concern>,
    /// Whether `PreferNoSchedule` taints keep the pods off.
    pub(crate) soft: Soft,
    /// The next rung, tried where this one cannot be had.
    pub(crate) gentler: Option<usize>,
    /// What is wished for on this rung about other pods.
    wishes: Vec<RuleKey>,
}

/// One way to fulfil what a group asks of its node.
#[derive(Clone, Debug)]
pub(crate) struct Alternative {
    pub(crate) wanted: ByKey,
    /// What is left of each universe.
    pub(crate) masks: Arc<[Mask]>,
}

/// The most alternatives of volumes and node affinity together that are tried for a group.
const ALTERNATIVES_MAX: usize = 64;

impl<'a> Problem<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, cache: &'a mut Cache, now: Timestamp) -> Self {
        cache.refresh(snapshot);
        let Cache { interner, axes, universes } = cache;
        let names: Vec<_> = universes.keys().cloned().collect();
        let existing = existing_nodes(snapshot, axes);
        let mut problem = Problem {
            now,
            universes: universes.values().cloned().collect(),
            templates: Vec::new(),
            closed: Vec::new(),
            places: Places::new(&existing),
            existing,
            rules: Vec::new(),
            demands: Vec::new(),
            by_group: BTreeMap::new(),
            listings: Listings::default(),
            reservations: Reservations::default(),
            withdrawn: Vec::new(),
            masks: IndexMap::default(),
            namespaces: &snapshot.namespaces,
            settings: &snapshot.settings,
            soft_taints: SoftTaints::None,
            interner,
            axes,
        };
        problem.withdraw_unavailable(snapshot, now);
        problem.count_reservations(snapshot);
        problem.add_templates(snapshot, &names);
        let softly = |template: &Template| !template.pool.taints.iter().all(is_hard);
        if problem.places.has_soft_taints() || problem.templates.iter().any(softly) {
            problem.soft_taints = SoftTaints::Some;
        }
        problem
    }

    fn withdraw_unavailable(&mut self, snapshot: &Snapshot, now: Timestamp) {
        for ((instance_type, zone, capacity_type), until) in &snapshot.unavailable {
            if *until > now {
                self.withdraw((instance_type, zone, *capacity_type), *until);
            }
        }
    }

    fn withdraw(
        &mut self,
        (instance_type, zone, capacity_type): (&str, &str, CapacityType),
        until: Timestamp,
    ) {
        let zone = self.interner.find(zone);
        for (index, universe) in self.universes.iter_mut().enumerate() {
            let at = universe.types.iter().position(|known| known.name == instance_type);
            let zone = universe.zones.iter().position(|known| Some(*known) == zone);
            if let (Some(at), Some(zone)) = (at, zone) {
                if universe.cheapest(at, 1 << zone, all_of(capacity_type)).is_none() {
                    continue;
                }
                Arc::make_mut(universe).withdraw(at, zone, capacity_type);
                let (universe, instance_type) = (index, at);
                self.withdrawn.push(Withdrawn { universe, instance_type, zone, capacity_type, until });
            }
        }
    }

    /// Works out what is left of capacity reservations. Those of which nothing is are for sale no more, and nobody
    /// waits for them.
    fn count_reservations(&mut self, snapshot: &Snapshot) {
        let universes = self.universes.iter().map(|universe| &**universe);
        self.reservations = Reservations::new(universes, snapshot, self.interner);
        for universe in &mut self.universes {
            let all = universe.ways.reservations(CapacityMask::MAX).fold(0, |mask, (way, _)| mask | 1 << way);
            let gone = all & !self.reservations.free(universe, all);
            if gone != 0 {
                Arc::make_mut(universe).withdraw_ways(gone);
            }
        }
    }

    /// Heavier pools first, then by name descending, as Karpenter orders them.
    fn add_templates(&mut self, snapshot: &Snapshot, classes: &[String]) {
        let mut pools: Vec<_> = snapshot.node_pools.values().collect();
        pools.sort_by(|left, right| (right.weight, &right.name).cmp(&(left.weight, &left.name)));
        for pool in pools {
            match self.template(snapshot, pool, classes) {
                Ok(template) => self.templates.push(template),
                Err(why) => {
                    let why = self.closed_for_now(pool, classes, *why);
                    self.closed.push(NodePoolWhy { node_pool: pool.name.clone(), why });
                }
            }
        }
    }

    pub(crate) fn template(
        &mut self,
        snapshot: &Snapshot,
        pool: &NodePool,
        classes: &[String],
    ) -> Result<Template, Box<Why>> {
        let not_ready = |what: String| Box::new(Why::NotReady { what });
        if !pool.ready || pool.deleting {
            return Err(not_ready(format!("NodePool {}", pool.name)));
        }
        if pool.replicas.is_some() {
            return Err(Box::new(Why::FixedReplicas));
        }
        let class_name = format!("EC2NodeClass {}", pool.node_class);
        let Some(class) = snapshot.node_classes.get(&pool.node_class) else {
            return Err(Box::new(Why::Missing { what: class_name }));
        };
        let at = classes.iter().position(|name| *name == class.name);
        let Some(at) = at.filter(|_| class.ready) else {
            return Err(not_ready(class_name));
        };
        let universe = &self.universes[at];
        let shape = shape_of(pool, universe, self.interner)?;
        let daemons: Vec<_> = snapshot.daemon_sets.values().map(|set| &*set.spec).collect();
        let tools = (&mut *self.axes, &mut *self.interner);
        let overheads = overheads_of(&daemons, &pool.taints, &shape, universe, tools);
        let room = if pool.limits.is_empty() {
            Room::default()
        } else {
            let (used, used_nodes) = snapshot.used_of_pool(&pool.name);
            Room::new(pool, &used, used_nodes, self.axes)
        };
        let min_values = pool.requirements.iter().filter_map(|requirement| {
            Some((self.interner.intern(labels::normalized(&requirement.key)), requirement.min_values?))
        });
        let min_values = min_values.collect();
        Ok(Template { pool: pool.clone(), universe: at, shape, overheads, min_values, room })
    }

    /// Adds the demand of a group, once, rung by rung.
    pub(crate) fn demand(&mut self, id: GroupId, group: &Arc<PodGroup>) -> usize {
        if let Some(at) = self.by_group.get(&id) {
            return *at;
        }
        let requests = self.axes.row(&group.spec.requests);
        let first = self.demands.len();
        let rungs = rungs(&group.spec, self.settings.preferences, self.soft_taints);
        let last = first + rungs.len() - 1;
        for rung in rungs {
            let at = self.demands.len();
            let demand = Demand {
                group: Arc::clone(group),
                requests: requests.clone(),
                alternatives: self.alternatives(group, &rung),
                concern: Arc::default(),
                soft: if rung.avoids_soft_taints { Soft::Avoided } else { Soft::Overlooked },
                gentler: (at < last).then_some(at + 1),
                wishes: rules_of_wishes(&group.spec, &rung),
            };
            self.demands.push(demand);
        }
        self.by_group.insert(id, first);
        first
    }

    /// The last rung: what the pods require.
    pub(crate) fn required(&self, mut demand: usize) -> usize {
        while let Some(gentler) = self.demands[demand].gentler {
            demand = gentler;
        }
        demand
    }

    pub(crate) fn alternatives(&mut self, group: &PodGroup, rung: &Rung<'_>) -> Vec<Alternative> {
        let mut terms: Vec<Vec<Requirement>> = vec![Vec::new()];
        if !group.spec.node_affinity.is_empty() {
            terms.clone_from(&group.spec.node_affinity);
        }
        if let Some(wish) = rung.node {
            terms.iter_mut().for_each(|term| term.extend_from_slice(wish));
        }
        for volume in &group.volumes {
            let joined = terms.iter().flat_map(|term| {
                volume.iter().map(move |other| [term.as_slice(), other.as_slice()].concat())
            });
            terms = joined.take(ALTERNATIVES_MAX).collect();
        }
        terms.iter().map(|term| self.alternative(term)).collect()
    }

    pub(crate) fn alternative(&mut self, term: &[Requirement]) -> Alternative {
        let wanted = requirements::collect(term, self.interner);
        if let Some(masks) = self.masks.get(&wanted) {
            return Alternative { masks: Arc::clone(masks), wanted };
        }
        let masks = self.universes.iter().map(|universe| mask(universe, &wanted, self.interner));
        let masks: Arc<[Mask]> = masks.collect();
        self.masks.insert(wanted.clone(), Arc::clone(&masks));
        Alternative { masks, wanted }
    }

    /// Whether a NodePool's minimum of distinct values has to be kept.
    pub(crate) fn is_strict(&self) -> bool {
        self.settings.min_values == MinValuesPolicy::Strict
    }
}

impl Cache {
    /// Indexes the catalogues that have changed, and forgets those that are gone.
    fn refresh(&mut self, snapshot: &Snapshot) {
        self.universes.retain(|name, _| snapshot.node_classes.contains_key(name));
        for (name, class) in &snapshot.node_classes {
            let known = self.universes.get(name);
            if !known.is_some_and(|universe| Arc::ptr_eq(&universe.types, &class.instance_types)) {
                let types = Arc::clone(&class.instance_types);
                let universe = Universe::new(types, &mut self.axes, &mut self.interner);
                self.universes.insert(name.clone(), Arc::new(universe));
            }
        }
    }
}
