//! From a snapshot to a problem of dense ids: templates, places, demand and rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::instance_type::CapacityType;
use crate::model::node::Node;
use crate::model::node_pool::NodePool;
use crate::model::pod::PodSpec;
use crate::model::requirement::{Requirement, untolerated};
use crate::model::time::Timestamp;
use crate::provision::amounts::{Amounts, Axes};
use crate::provision::bits::Bits;
use crate::provision::existing::{Existing, existing_nodes, is_fulfilled};
use crate::provision::intern::{Interner, Sym};
use crate::provision::requirements::{self, ByKey};
use crate::provision::selector::Namespaces;
use crate::provision::template::{Room, Template, overheads_of, shape_of};
use crate::provision::topology::{Concern, Domain, Rule, RuleKey, Whom, rules_of};
use crate::provision::universe::{Axis, CapacityMask, Universe, ZoneMask};
use crate::state::Snapshot;
use crate::state::groups::{GroupId, PodGroup};
use crate::why::{NodePoolWhy, TopologyRule, Why};

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
    pub(crate) interner: &'a mut Interner,
    pub(crate) axes: &'a mut Axes,
    pub(crate) universes: Vec<Arc<Universe>>,
    /// Templates in the order in which they are tried.
    pub(crate) templates: Vec<Template>,
    /// NodePools that cannot have new nodes now, and why.
    pub(crate) closed: Vec<NodePoolWhy>,
    pub(crate) existing: Vec<Existing<'a>>,
    pub(crate) rules: Vec<Rule>,
    /// Which value existing nodes have of each label that a rule is about.
    locations: Vec<Location>,
    pub(crate) demands: Vec<Demand>,
    pub(crate) by_group: BTreeMap<GroupId, usize>,
    namespaces: &'a Namespaces,
}

/// What the pods of a group ask for.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    pub(crate) group: PodGroup,
    pub(crate) requests: Amounts,
    pub(crate) alternatives: Vec<Alternative>,
    pub(crate) concern: Concern,
}

/// One way to fulfil what a group asks of its node.
#[derive(Clone, Debug)]
pub(crate) struct Alternative {
    pub(crate) wanted: ByKey,
    /// What is left of each universe.
    pub(crate) masks: Vec<Mask>,
}

/// What requirements leave of a universe.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    pub(crate) types: Bits,
    pub(crate) zones: ZoneMask,
    pub(crate) capacity_types: CapacityMask,
    /// Requirements on labels of which an instance type allows several values.
    several: ByKey,
    /// Requirements on labels that only a NodePool can give.
    custom: ByKey,
}

/// Which value existing nodes have of a label.
#[derive(Clone, Debug)]
struct Location {
    label: Sym,
    key: String,
    /// By place.
    values: Vec<Option<Sym>>,
}

/// The most alternatives of volumes and node affinity together that are tried for a group.
const ALTERNATIVES_MAX: usize = 64;

impl<'a> Problem<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, cache: &'a mut Cache, now: Timestamp) -> Self {
        cache.refresh(snapshot);
        let Cache { interner, axes, universes } = cache;
        let names: Vec<_> = universes.keys().cloned().collect();
        let mut problem = Problem {
            universes: universes.values().cloned().collect(),
            templates: Vec::new(),
            closed: Vec::new(),
            existing: existing_nodes(snapshot, axes),
            rules: Vec::new(),
            locations: Vec::new(),
            demands: Vec::new(),
            by_group: BTreeMap::new(),
            namespaces: &snapshot.namespaces,
            interner,
            axes,
        };
        problem.withdraw_unavailable(snapshot, now);
        problem.add_templates(snapshot, &names);
        problem
    }

    fn withdraw_unavailable(&mut self, snapshot: &Snapshot, now: Timestamp) {
        for ((instance_type, zone, capacity_type), until) in &snapshot.unavailable {
            if *until > now {
                self.withdraw(instance_type, zone, *capacity_type);
            }
        }
    }

    fn withdraw(&mut self, instance_type: &str, zone: &str, capacity_type: CapacityType) {
        let zone = self.interner.find(zone);
        for universe in &mut self.universes {
            let at = universe.types.iter().position(|known| known.name == instance_type);
            let zone = universe.zones.iter().position(|known| Some(*known) == zone);
            if let (Some(at), Some(zone)) = (at, zone) {
                Arc::make_mut(universe).withdraw(at, zone, capacity_type);
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
                Err(why) => self.closed.push(NodePoolWhy { node_pool: pool.name.clone(), why: *why }),
            }
        }
    }

    fn template(
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
            Some((self.interner.intern(&requirement.key), requirement.min_values?))
        });
        let min_values = min_values.collect();
        Ok(Template { pool: pool.clone(), universe: at, shape, overheads, min_values, room })
    }

    /// Adds the demand of a group, once.
    pub(crate) fn demand(&mut self, id: GroupId, group: &PodGroup) -> usize {
        if let Some(at) = self.by_group.get(&id) {
            return *at;
        }
        let alternatives = self.alternatives(group);
        let requests = self.axes.row(&group.spec.requests);
        let at = self.demands.len();
        self.demands.push(Demand {
            group: group.clone(),
            requests,
            alternatives,
            concern: Concern::default(),
        });
        self.by_group.insert(id, at);
        at
    }

    fn alternatives(&mut self, group: &PodGroup) -> Vec<Alternative> {
        let mut terms: Vec<Vec<Requirement>> = vec![Vec::new()];
        if !group.spec.node_affinity.is_empty() {
            terms.clone_from(&group.spec.node_affinity);
        }
        for volume in &group.volumes {
            let joined = terms.iter().flat_map(|term| {
                volume.iter().map(move |other| [term.as_slice(), other.as_slice()].concat())
            });
            terms = joined.take(ALTERNATIVES_MAX).collect();
        }
        terms.iter().map(|term| self.alternative(term)).collect()
    }

    fn alternative(&mut self, term: &[Requirement]) -> Alternative {
        let wanted = requirements::collect(term, self.interner);
        let masks = self.universes.iter().map(|universe| mask(universe, &wanted, self.interner));
        Alternative { masks: masks.collect(), wanted }
    }

    /// Adds the rules that the groups of `snapshot` on nodes and in demand state, and counts the pods that are
    /// there. To be called once, after all demand is known.
    pub(crate) fn add_rules(&mut self, snapshot: &Snapshot) {
        let mut keys: BTreeMap<RuleKey, usize> = BTreeMap::new();
        let residents = residents_with_rules(snapshot);
        let specs = self.demands.iter().map(|demand| Arc::clone(&demand.group.spec));
        let demanded: Vec<_> = specs.collect();
        for key in demanded.iter().flat_map(|spec| rules_of(spec)) {
            self.add_rule(key, &mut keys);
        }
        for key in residents.iter().flat_map(|spec| rules_of(spec)) {
            // The spread and affinity of pods that are placed already asks nothing of others.
            if key.rule == TopologyRule::AntiAffinity {
                self.add_rule(key, &mut keys);
            }
        }
        if self.rules.is_empty() {
            return;
        }
        self.locate();
        self.list_domains();
        for at in 0..self.demands.len() {
            let spec = Arc::clone(&self.demands[at].group.spec);
            self.demands[at].concern = self.concern(&spec, &keys);
        }
        self.count_residents(snapshot, &keys);
    }

    fn add_rule(&mut self, key: RuleKey, keys: &mut BTreeMap<RuleKey, usize>) {
        if keys.contains_key(&key) {
            return;
        }
        let hostname = key.key == crate::model::labels::HOSTNAME;
        let label = (!hostname).then(|| self.interner.intern(&key.key));
        keys.insert(key.clone(), self.rules.len());
        self.rules.push(Rule::new(key, label));
    }

    /// The value that an existing node has of a label that a rule is about.
    pub(crate) fn value_at(&self, place: usize, label: Sym) -> Option<Sym> {
        self.locations.iter().find(|location| location.label == label)?.values[place]
    }

    /// Looks up once which value each existing node has of each label that a rule is about.
    fn locate(&mut self) {
        for rule in &self.rules {
            let Some(label) = rule.label else { continue };
            if self.locations.iter().any(|location| location.label == label) {
                continue;
            }
            let key = rule.what.key.clone();
            let values =
                self.existing.iter().map(|node| node.labels.get(&key).map(|v| self.interner.intern(v)));
            let values = values.collect();
            self.locations.push(Location { label, key, values });
        }
    }

    /// The domains over which each spread is judged: those of nodes that are there, and of nodes that could be.
    fn list_domains(&mut self) {
        for at in 0..self.rules.len() {
            let rule = &self.rules[at];
            let Some(label) = rule.label.filter(|_| rule.what.rule == TopologyRule::Spread) else { continue };
            let what = &rule.what;
            let alternatives: Vec<_> =
                what.affinity.iter().map(|term| requirements::collect(term, self.interner)).collect();
            let mut domains = BTreeSet::new();
            for template in &self.templates {
                domains.extend(self.domains_of_template(template, label, &alternatives, what));
            }
            let counted = |(place, node): (usize, &Existing<'_>)| {
                self.value_at(place, label).filter(|_| is_counted(&node.labels, &node.taints, what))
            };
            domains.extend(self.existing.iter().enumerate().filter_map(counted));
            self.rules[at].domains = domains;
        }
    }

    fn domains_of_template(
        &self,
        template: &Template,
        label: Sym,
        alternatives: &[ByKey],
        what: &RuleKey,
    ) -> Vec<Sym> {
        let kept_off =
            what.tolerations.as_ref().is_some_and(|t| untolerated(&template.pool.taints, t).is_some());
        if kept_off {
            return Vec::new();
        }
        let universe = &self.universes[template.universe];
        if alternatives.is_empty() {
            return template.shape.domains(label, universe).unwrap_or_default();
        }
        let shapes =
            alternatives.iter().filter_map(|term| template.shape.and(term, universe, self.interner).ok());
        shapes.flat_map(|shape| shape.domains(label, universe).unwrap_or_default()).collect()
    }

    /// How pods like these are concerned by the rules.
    fn concern(&self, spec: &PodSpec, keys: &BTreeMap<RuleKey, usize>) -> Concern {
        let own: Vec<_> = rules_of(spec).iter().filter_map(|key| keys.get(key).copied()).collect();
        let means = |(_, rule): &(usize, &Rule)| rule.means(spec, self.namespaces);
        let meant: Vec<_> = self.rules.iter().enumerate().filter(means).map(|(at, _)| at).collect();
        let repels = |at: &&usize| self.rules[**at].what.rule == TopologyRule::AntiAffinity;
        let repelled = meant.iter().filter(repels).copied().collect();
        let mut labels: Vec<_> = own.iter().chain(&meant).filter_map(|at| self.rules[*at].label).collect();
        labels.sort_by_key(|label| self.interner.text(*label));
        labels.dedup();
        Concern { own, meant, repelled, labels }
    }

    fn count_residents(&mut self, snapshot: &Snapshot, keys: &BTreeMap<RuleKey, usize>) {
        let places: BTreeMap<&str, usize> = (self.existing.iter().enumerate())
            .filter_map(|(place, existing)| Some((existing.node?, place)))
            .collect();
        let mut concerns: BTreeMap<GroupId, Concern> = BTreeMap::new();
        for node in snapshot.nodes.values().filter(|node| !is_leaving(snapshot, node)) {
            // A node that takes no more pods still counts as a domain with the pods it has.
            let place = places.get(node.name.as_str()).copied();
            let values = self.values_of(node, place);
            let domain = |rule: &Rule| match rule.label {
                // A node that takes no more pods is no place, and needs no host counter.
                None => place.map(Domain::Host),
                Some(label) => {
                    let value = values.iter().find(|(known, _)| *known == label);
                    value.and_then(|(_, value)| value.map(Domain::Label))
                }
            };
            for (group, pods) in snapshot.groups_on(&node.name) {
                let concern =
                    concerns.entry(group).or_insert_with(|| self.concern(&snapshot.group(group).spec, keys));
                for rule in &concern.meant {
                    let rule = &mut self.rules[*rule];
                    if is_counted(&node.labels, &node.taints, &rule.what)
                        && let Some(domain) = domain(rule)
                    {
                        rule.count_residents(domain, pods, Whom::Meant);
                    }
                }
                for rule in &concern.own {
                    let rule = &mut self.rules[*rule];
                    if let Some(domain) = domain(rule) {
                        rule.count_residents(domain, pods, Whom::Owners);
                    }
                }
            }
        }
    }

    /// The values that a node has of the labels that rules are about.
    fn values_of(&mut self, node: &Node, place: Option<usize>) -> Vec<(Sym, Option<Sym>)> {
        let mut value = |location: &Location| match place {
            Some(place) => location.values[place],
            None => node.labels.get(&location.key).map(|value| self.interner.intern(value)),
        };
        self.locations.iter().map(|location| (location.label, value(location))).collect()
    }
}

/// Whether a node's pods are looked for another place already, and so do not count where they are.
fn is_leaving(snapshot: &Snapshot, node: &Node) -> bool {
    snapshot.claim_of_node(node).is_some_and(|claim| snapshot.is_leaving(claim))
}

/// Whether a spread counts the pods on a node with these labels and taints.
pub(crate) fn is_counted(
    labels: &BTreeMap<String, String>,
    taints: &[crate::model::requirement::Taint],
    what: &RuleKey,
) -> bool {
    let tolerated = what.tolerations.as_ref().is_none_or(|t| untolerated(taints, t).is_none());
    let wanted = what.affinity.is_empty()
        || what.affinity.iter().any(|term| term.iter().all(|requirement| is_fulfilled(requirement, labels)));
    tolerated && wanted
}

/// The kinds of pods on nodes that keep others away.
fn residents_with_rules(snapshot: &Snapshot) -> Vec<Arc<PodSpec>> {
    let groups: BTreeSet<_> =
        snapshot.nodes.keys().flat_map(|node| snapshot.groups_on(node).map(|(group, _)| group)).collect();
    let specs = groups.into_iter().map(|group| Arc::clone(&snapshot.group(group).spec));
    specs.filter(|spec| !spec.pod_anti_affinity.is_empty()).collect()
}

fn mask(universe: &Universe, wanted: &ByKey, interner: &Interner) -> Mask {
    let mut mask = Mask {
        types: Bits::all(universe.len()),
        zones: universe.all_zones(),
        capacity_types: CapacityMask::MAX,
        several: ByKey::new(),
        custom: ByKey::new(),
    };
    for (key, values) in wanted {
        match universe.axis(*key) {
            Axis::Zone => mask.zones &= universe.zone_mask(values, interner),
            Axis::ZoneId => mask.zones &= universe.zone_id_mask(values, interner),
            Axis::CapacityType => mask.capacity_types &= universe.capacity_mask(values, interner),
            Axis::Hostname if values.admits_absence() => {}
            // A node that does not exist yet has no name that a pod could have asked for.
            Axis::Hostname => mask.zones = 0,
            Axis::Single => mask.types.intersect(&universe.matching(*key, values, interner)),
            Axis::Several => {
                mask.types.intersect(&universe.matching(*key, values, interner));
                mask.several.push((*key, values.clone()));
            }
            Axis::Custom => mask.custom.push((*key, values.clone())),
        }
    }
    mask
}

impl Mask {
    /// Whether a mask alone expresses the requirements.
    pub(crate) fn is_plain(&self) -> bool {
        self.several.is_empty() && self.custom.is_empty()
    }

    /// What the labels in `given` may still be when these requirements hold too; `None` when one cannot hold.
    pub(crate) fn join(&self, given: &ByKey, interner: &Interner) -> Option<ByKey> {
        let mut joined = given.clone();
        for (key, values) in &self.several {
            requirements::add(&mut joined, *key, values.clone(), interner);
            requirements::get(&joined, *key).filter(|left| !left.is_nothing())?;
        }
        for (key, values) in &self.custom {
            match requirements::get(given, *key) {
                None if values.admits_absence() => {}
                Some(offered) if offered.is_compatible(values, interner) => {
                    requirements::add(&mut joined, *key, values.clone(), interner);
                }
                None | Some(_) => return None,
            }
        }
        Some(joined)
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
