//! Which rules on other pods there are, whom they concern, and how many pods they count where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::model::labels;
use crate::model::node::Node;
use crate::model::pod::{PodAffinityTerm, PodSpec, TopologySpread};
use crate::model::requirement::{Requirement, Taint, Toleration, untolerated};
use crate::provision::existing::{Existing, is_fulfilled};
use crate::provision::intern::Sym;
use crate::provision::problem::Problem;
use crate::provision::requirements::{self, ByKey};
use crate::provision::template::Template;
use crate::provision::topology::{Concern, Domain, Rule, RuleKey, Whom, rules_of};
use crate::state::Snapshot;
use crate::state::groups::GroupId;
use crate::why::TopologyRule;

/// The rules by what makes them the same, and by a label that a pod must have for them to mean it.
#[derive(Debug, Default)]
struct Known {
    by_key: FxHashMap<RuleKey, usize>,
    by_label: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    /// Those whose selector names no label.
    others: Vec<usize>,
}

/// All of a pod that decides which rules it states and by which it is meant.
#[derive(PartialEq, Eq, Hash)]
struct Says<'a> {
    namespace: &'a str,
    labels: &'a BTreeMap<String, String>,
    topology_spread: &'a [TopologySpread],
    pod_affinity: &'a [PodAffinityTerm],
    pod_anti_affinity: &'a [PodAffinityTerm],
    node_affinity: &'a [Vec<Requirement>],
    tolerations: &'a [Toleration],
}

impl<'a> Says<'a> {
    fn of(spec: &'a PodSpec) -> Self {
        Self {
            namespace: &spec.namespace,
            labels: &spec.labels,
            topology_spread: &spec.topology_spread,
            pod_affinity: &spec.pod_affinity,
            pod_anti_affinity: &spec.pod_anti_affinity,
            node_affinity: &spec.node_affinity,
            tolerations: &spec.tolerations,
        }
    }
}

/// What comes of pods that say the same.
struct Kind {
    /// The rules that they state.
    stated: Vec<usize>,
    /// How they are concerned without wishes, once it is known.
    concern: Option<Arc<Concern>>,
}

impl Kind {
    const fn new(stated: Vec<usize>) -> Self {
        Self { stated, concern: None }
    }
}

impl Problem<'_> {
    /// Adds the rules that the groups of `snapshot` on nodes and in demand state, and counts the pods that are
    /// there. To be called once, after all demand is known.
    pub(crate) fn add_rules(&mut self, snapshot: &Snapshot) {
        let mut known = Known::default();
        // Most groups differ in what has nothing to do with rules; those that say the same share the answers.
        let groups: Vec<_> = self.demands.iter().map(|demand| Arc::clone(&demand.group)).collect();
        let mut kinds: IndexMap<Says<'_>, Kind, FxBuildHasher> = IndexMap::default();
        let mut demanded = Vec::with_capacity(groups.len());
        for (at, group) in groups.iter().enumerate() {
            let entry = kinds.entry(Says::of(&group.spec));
            let kind = entry.index();
            entry.or_insert_with(|| Kind::new(self.add_all(rules_of(&group.spec), &mut known)));
            let wishes = std::mem::take(&mut self.demands[at].wishes);
            demanded.push((kind, self.add_all(wishes, &mut known)));
        }
        for key in residents_with_rules(snapshot).iter().flat_map(|spec| rules_of(spec)) {
            // The spread and affinity of pods that are placed already asks nothing of others.
            if key.rule == TopologyRule::AntiAffinity {
                self.add_rule(key, &mut known);
            }
        }
        if self.rules.is_empty() {
            return;
        }
        for label in self.rules.iter().filter_map(|rule| rule.label) {
            self.places.locate(label, &self.existing, self.interner);
        }
        self.list_domains();
        for (at, (kind, wishes)) in demanded.into_iter().enumerate() {
            let Kind { stated, concern } = &mut kinds[kind];
            let has_wishes = !wishes.is_empty();
            let found = || Arc::new(self.concern(&groups[at].spec, stated.clone(), wishes, &known));
            let concern = if has_wishes { found() } else { Arc::clone(concern.get_or_insert_with(found)) };
            self.demands[at].concern = concern;
        }
        self.count_residents(snapshot, &known);
    }

    /// The rules' numbers.
    fn add_all(&mut self, keys: Vec<RuleKey>, known: &mut Known) -> Vec<usize> {
        keys.into_iter().map(|key| self.add_rule(key, known)).collect()
    }

    /// The rule's number; one that is stated the same way has it already.
    fn add_rule(&mut self, key: RuleKey, known: &mut Known) -> usize {
        if let Some(at) = known.by_key.get(&key) {
            return *at;
        }
        let hostname = key.key == labels::HOSTNAME;
        let label = (!hostname).then(|| self.interner.intern(&key.key));
        let at = self.rules.len();
        let rule = Rule::new(key.clone(), label);
        match rule.anchor() {
            Some((key, value)) => {
                let of_key = known.by_label.entry(key.to_owned()).or_default();
                of_key.entry(value.to_owned()).or_default().push(at);
            }
            None => known.others.push(at),
        }
        known.by_key.insert(key, at);
        self.rules.push(rule);
        at
    }

    /// The domains over which each spread is judged: those of nodes that are there, and of nodes that could be.
    fn list_domains(&mut self) {
        // Most spreads look at all nodes, and then those over the same label have the same domains.
        let mut of_all: BTreeMap<Sym, Arc<BTreeSet<Sym>>> = BTreeMap::new();
        for at in 0..self.rules.len() {
            let rule = &self.rules[at];
            let Some(label) = rule.label.filter(|_| rule.what.rule == TopologyRule::Spread) else { continue };
            let looks_at_all = rule.what.affinity.is_empty() && rule.what.tolerations.is_none();
            let domains = match of_all.get(&label).filter(|_| looks_at_all) {
                Some(domains) => Arc::clone(domains),
                None => Arc::new(self.domains_of(at, label)),
            };
            if looks_at_all {
                of_all.insert(label, Arc::clone(&domains));
            }
            drop(self.rules[at].set_domains(domains));
        }
    }

    pub(crate) fn domains_of(&mut self, rule: usize, label: Sym) -> BTreeSet<Sym> {
        let what = &self.rules[rule].what;
        let alternatives: Vec<_> =
            what.affinity.iter().map(|term| requirements::collect(term, self.interner)).collect();
        let mut domains = BTreeSet::new();
        for template in &self.templates {
            domains.extend(self.domains_of_template(template, label, &alternatives, what));
        }
        if what.affinity.is_empty() && what.tolerations.is_none() {
            domains.extend(self.places.values_of(label));
            return domains;
        }
        let counted = |(place, node): (usize, &Existing<'_>)| {
            self.places.value_at(place, label).filter(|_| is_counted(&node.labels, &node.taints, what))
        };
        domains.extend(self.existing.iter().enumerate().filter_map(counted));
        domains
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
    fn concern(&self, spec: &PodSpec, stated: Vec<usize>, wishes: Vec<usize>, known: &Known) -> Concern {
        let own: Vec<_> = stated.iter().copied().chain(wishes).collect();
        let mut meant = Vec::new();
        let labelled = spec.labels.iter().filter_map(|(key, value)| known.by_label.get(key)?.get(value));
        for at in labelled.flatten().chain(&known.others).copied() {
            if self.rules[at].means(spec, self.namespaces) {
                meant.push(at);
            }
        }
        meant.sort_unstable();
        let repels = |at: &&usize| self.rules[**at].what.rule == TopologyRule::AntiAffinity;
        let repelled = meant.iter().filter(repels).copied().collect();
        let mut labels: Vec<_> = own.iter().chain(&meant).filter_map(|at| self.rules[*at].label).collect();
        labels.sort_by_key(|label| self.interner.text(*label));
        labels.dedup();
        Concern { own, stated, meant, repelled, labels }
    }

    fn count_residents(&mut self, snapshot: &Snapshot, known: &Known) {
        let places: BTreeMap<&str, usize> = (self.existing.iter().enumerate())
            .filter_map(|(place, existing)| Some((existing.node?, place)))
            .collect();
        let mut concerns: BTreeMap<GroupId, Concern> = BTreeMap::new();
        let mut labels: Vec<_> = self.rules.iter().filter_map(|rule| rule.label).collect();
        labels.sort_unstable();
        labels.dedup();
        for node in snapshot.nodes.values().filter(|node| !is_leaving(snapshot, node)) {
            // A node that takes no more pods still counts as a domain with the pods it has.
            let place = places.get(node.name.as_str()).copied();
            let values = self.values_of(node, place, &labels);
            let domain = |rule: &Rule| match rule.label {
                // A node that takes no more pods is no place, and needs no host counter.
                None => place.map(Domain::Host),
                Some(label) => {
                    let value = values.iter().find(|(known, _)| *known == label);
                    value.and_then(|(_, value)| value.map(Domain::Label))
                }
            };
            // As the node will be when others come to it: taints that pass are gone by then.
            let (labels, taints) = match place.map(|place| &self.existing[place]) {
                Some(existing) => (&*existing.labels, &*existing.taints),
                None => (&node.labels, node.taints.as_slice()),
            };
            for (group, pods) in snapshot.groups_on(&node.name) {
                let concern = concerns.entry(group).or_insert_with(|| {
                    let spec = &snapshot.group(group).spec;
                    let stated = rules_of(spec).into_iter().filter_map(|key| known.by_key.get(&key).copied());
                    self.concern(spec, stated.collect(), Vec::new(), known)
                });
                for rule in &concern.meant {
                    let rule = &mut self.rules[*rule];
                    if is_counted(labels, taints, &rule.what)
                        && let Some(domain) = domain(rule)
                    {
                        rule.count_residents(domain, pods, Whom::Meant);
                    }
                }
                for rule in &concern.stated {
                    let rule = &mut self.rules[*rule];
                    if let Some(domain) = domain(rule) {
                        rule.count_residents(domain, pods, Whom::Owners);
                    }
                }
            }
        }
    }

    /// The values that a node has of the labels that rules are about.
    fn values_of(&mut self, node: &Node, place: Option<usize>, labels: &[Sym]) -> Vec<(Sym, Option<Sym>)> {
        let mut value = |label: Sym| match place {
            Some(place) => self.places.value_at(place, label),
            None => {
                let value = node.labels.get(self.interner.text(label))?;
                Some(self.interner.intern(value))
            }
        };
        labels.iter().map(|label| (*label, value(*label))).collect()
    }
}

/// Whether a node's pods are looked for another place already, and so do not count where they are.
pub(crate) fn is_leaving(snapshot: &Snapshot, node: &Node) -> bool {
    snapshot.claim_of_node(node).is_some_and(|claim| snapshot.is_leaving(claim))
}

/// Whether a spread counts the pods on a node with these labels and taints.
pub(crate) fn is_counted(labels: &BTreeMap<String, String>, taints: &[Taint], what: &RuleKey) -> bool {
    let tolerated = what.tolerations.as_ref().is_none_or(|t| untolerated(taints, t).is_none());
    let wanted = what.affinity.is_empty()
        || what.affinity.iter().any(|term| term.iter().all(|requirement| is_fulfilled(requirement, labels)));
    tolerated && wanted
}

/// The kinds of pods on nodes that keep others away.
pub(crate) fn residents_with_rules(snapshot: &Snapshot) -> Vec<Arc<PodSpec>> {
    let groups: BTreeSet<_> =
        snapshot.nodes.keys().flat_map(|node| snapshot.groups_on(node).map(|(group, _)| group)).collect();
    let specs = groups.into_iter().map(|group| Arc::clone(&snapshot.group(group).spec));
    specs.filter(|spec| !spec.pod_anti_affinity.is_empty()).collect()
}
