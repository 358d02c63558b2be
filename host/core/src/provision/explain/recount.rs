//! Spreads that count only some nodes, counted for other ones than were asked about.
//!
//! A spread looks at the nodes that its pod may run on. When a pod asks for less or tolerates more, its spread looks at
//! more nodes, finds more pods and more domains, and may say something else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::labels;
use crate::provision::explain::Explainer;
use crate::provision::intern::Sym;
use crate::provision::problem::{is_counted, is_leaving};
use crate::provision::topology::{Count, Domain, Place, Rule, RuleKey, Whom};
use crate::state::groups::{GroupId, PodGroup};

impl Explainer<'_, '_, '_> {
    /// A rule that was not known when the pods were placed, with all of them counted. `None` when too many were.
    pub(super) fn recount(&mut self, what: RuleKey, group: &PodGroup) -> Option<usize> {
        let problem = &mut *self.schedule.problem;
        if let Some(known) = problem.rules.iter().position(|rule| rule.what == what) {
            return Some(known);
        }
        if !self.budget.take_recount() {
            return None;
        }
        let problem = &mut *self.schedule.problem;
        let label = (what.key != labels::HOSTNAME).then(|| problem.interner.intern(&what.key));
        let at = problem.rules.len();
        problem.rules.push(Rule::new(what, label));
        if let Some(label) = label {
            problem.places.locate(label, &problem.existing, problem.interner);
            let domains = Arc::new(problem.domains_of(at, label));
            drop(problem.rules[at].set_domains(domains));
        }
        self.count_residents(at, label);
        self.count_placed(at, group);
        Some(at)
    }

    /// The pods that nodes had before the decision.
    fn count_residents(&mut self, at: usize, label: Option<Sym>) {
        let (snapshot, problem) = (self.decided.snapshot, &mut *self.schedule.problem);
        let places: BTreeMap<&str, Place> = (problem.existing.iter().enumerate())
            .filter_map(|(place, existing)| Some((existing.node?, place)))
            .collect();
        let mut meant: BTreeMap<GroupId, bool> = BTreeMap::new();
        for node in snapshot.nodes.values().filter(|node| !is_leaving(snapshot, node)) {
            let mut pods = 0;
            for (group, count) in snapshot.groups_on(&node.name) {
                let means = || problem.rules[at].means(&snapshot.group(group).spec, &snapshot.namespaces);
                pods += if *meant.entry(group).or_insert_with(means) { count } else { 0 };
            }
            let place = places.get(node.name.as_str()).copied();
            // As the node will be when others come to it: taints that pass are gone by then.
            let (labels, taints) = match place.map(|place| &problem.existing[place]) {
                Some(existing) => (&*existing.labels, &*existing.taints),
                None => (&node.labels, node.taints.as_slice()),
            };
            if pods == 0 || !is_counted(labels, taints, &problem.rules[at].what) {
                continue;
            }
            let domain = match (label, place) {
                (None, place) => place.map(Domain::Host),
                (Some(label), Some(place)) => problem.places.value_at(place, label).map(Domain::Label),
                (Some(label), None) => {
                    let value = node.labels.get(problem.interner.text(label));
                    value.map(|value| Domain::Label(problem.interner.intern(value)))
                }
            };
            if let Some(domain) = domain {
                problem.rules[at].count_residents(domain, pods, Whom::Meant);
            }
        }
    }

    /// The pods that the decision has placed, and those that were expected somewhere before.
    fn count_placed(&mut self, at: usize, group: &PodGroup) {
        for (place, demand) in self.placed() {
            let problem = &*self.schedule.problem;
            let other = &problem.demands[demand].group;
            if !problem.rules[at].means(&other.spec, &self.decided.snapshot.namespaces) {
                continue;
            }
            // Those of the same workload would be changed alike, and so are where the rule looks.
            let is_new = problem.existing.get(place).is_none_or(|node| node.undecided.is_some());
            let alike =
                is_new && other.spec.owner == group.spec.owner && other.spec.labels == group.spec.labels;
            if !(alike || self.schedule.is_looked_at(place, at)) {
                continue;
            }
            if let Some(domain) = self.schedule.domain_of_rule(place, at) {
                self.schedule.problem.rules[at].count_matching(domain, 1, Count::Up);
            }
        }
    }

    fn placed(&self) -> Vec<(Place, usize)> {
        let (decided, problem) = (self.decided, &*self.schedule.problem);
        let waiting = decided.waiting.iter().zip(&decided.placed.0);
        let mut placed: Vec<_> = waiting
            .flat_map(|(waiting, places)| places.iter().map(|place| (*place, waiting.demand)))
            .collect();
        if decided.work.kept.is_empty() {
            return placed;
        }
        let waiting: BTreeSet<&str> = decided
            .waiting
            .iter()
            .flat_map(|waiting| waiting.pods.iter().map(|pod| pod.uid.as_str()))
            .collect();
        let places: BTreeMap<&str, Place> =
            (problem.existing.iter().enumerate()).map(|(place, existing)| (existing.name, place)).collect();
        for (group, pods) in &decided.work.kept {
            for (_, name) in pods.iter().filter(|(pod, _)| !waiting.contains(pod.uid.as_str())) {
                placed.extend(places.get(name).map(|place| (*place, problem.by_group[group])));
            }
        }
        placed
    }
}
