//! Changes to a pod: a toleration, what it asks of its node, where it is relative to others, what it asks for.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::labels::normalized;
use crate::model::pod::{PodSpec, WhenUnsatisfiable};
use crate::model::requirement::{Operator, Requirement, Toleration, TolerationOperator, untolerated};
use crate::provision::draft::{Draft, Refused};
use crate::provision::explain::Explainer;
use crate::provision::explain::change::{Refusal, untainted};
use crate::provision::explain::types::largest_for_pods;
use crate::provision::problem::{Demand, residents_with_rules};
use crate::provision::topology::{Concern, RuleKey, rules_of};
use crate::provision::universe::Axis;
use crate::provision::wishes::Rung;
use crate::why::TopologyRule;
use crate::why::amount::rounded_down;
use crate::why::change::Change;

/// The most values of a label that are tried, the cheapest first.
pub(super) const VALUES_MAX: usize = 4;

impl Explainer<'_, '_, '_> {
    pub(super) fn tolerate(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<Change> {
        let spec = &demand.group.spec;
        for (at, _) in refusals.iter().filter(|(_, refused)| *refused == Refused::Taint) {
            let taints = &self.schedule.problem.templates[*at].pool.taints;
            let Some(taint) = untolerated(taints, &spec.tolerations).cloned() else { continue };
            let mut changed = PodSpec::clone(spec);
            changed.tolerations.push(Toleration {
                key: Some(taint.key.clone()),
                operator: TolerationOperator::Equal(taint.value.clone()),
                effect: Some(taint.effect),
            });
            let changed = self.changed(demand, changed)?;
            if self.opened(*at, &changed).is_some() {
                return Some(Change::Tolerate { taint, node_pool: self.name(*at) });
            }
        }
        None
    }

    pub(super) fn widen(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<Change> {
        for key in keys(&demand.group.spec) {
            let Some(adding) = adder(&demand.group.spec, &key) else { continue };
            let free = self.changed(demand, without(&demand.group.spec, &key))?;
            for at in untainted(refusals) {
                let Some(draft) = self.opened(at, &free) else { continue };
                for value in self.values(&draft, &key) {
                    let changed = self.changed(demand, adding(&value))?;
                    if self.opened(at, &changed).is_some() {
                        let (key, node_pool) = (key.clone(), self.name(at));
                        return Some(Change::Widen { key, value, node_pool });
                    }
                }
            }
        }
        None
    }

    pub(super) fn drop_requirement(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<Change> {
        for key in keys(&demand.group.spec) {
            let changed = self.changed(demand, without(&demand.group.spec, &key))?;
            if let Some(node_pool) = self.first_opened(&changed, refusals) {
                return Some(Change::DropRequirement { key, node_pool });
            }
        }
        None
    }

    /// Spreads first, then affinity, then anti-affinity, each as it is written.
    pub(super) fn relax(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<Change> {
        for (nth, RuleKey { rule, key, .. }) in rules_of(&demand.group.spec).into_iter().enumerate() {
            let mut changed = demand.clone();
            let spec = Arc::new(without_rule(&demand.group.spec, nth));
            Arc::make_mut(&mut changed.group).spec = spec;
            changed.concern = Arc::new(self.concern_without(demand, nth));
            if let Some(node_pool) = self.first_opened(&changed, refusals) {
                return Some(Change::Relax { rule, key, node_pool });
            }
        }
        None
    }

    /// The request that has to give up least, compared with what it is.
    pub(super) fn lower_request(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<Change> {
        let mut best: Option<(u128, Change)> = None;
        for axis in self.schedule.problem.axes_of(&demand.requests) {
            let (resource, from) = (self.schedule.problem.axes.name(axis).to_owned(), demand.requests[axis]);
            for at in untainted(refusals) {
                let Some(to) = self.lowered(at, demand, axis) else { continue };
                // In millionths of what is asked for today.
                let given_up = u128::from(from - to) * 1_000_000 / u128::from(from);
                if best.as_ref().is_none_or(|(least, _)| given_up < *least) {
                    let (resource, node_pool) = (resource.clone(), self.name(at));
                    best = Some((given_up, Change::LowerRequest { resource, from, to, node_pool }));
                }
            }
        }
        best.map(|(_, change)| change)
    }

    /// The most of a resource that a pod could ask for to get a new node of a NodePool, all else as it is. `None` where
    /// that is not it, or nothing would be left.
    fn lowered(&mut self, at: usize, demand: &Demand, axis: usize) -> Option<u64> {
        let mut changed = demand.clone();
        changed.requests[axis] = 0;
        let draft = self.opened(at, &changed)?;
        let problem = &*self.schedule.problem;
        let template = &problem.templates[at];
        let universe = &problem.universes[template.universe];
        let most = largest_for_pods(template, universe, &draft.shape.types, axis);
        let to = rounded_down(problem.axes.name(axis), most);
        if to == 0 || to >= demand.requests[axis] {
            return None;
        }
        changed.requests[axis] = to;
        self.opened(at, &changed).map(|_| to)
    }

    /// The demand of pods that ask for other nodes than those of a group. `None` when that would cost too much to find out.
    fn changed(&mut self, demand: &Demand, spec: PodSpec) -> Option<Demand> {
        let mut changed = demand.clone();
        let before = rules_of(&demand.group.spec);
        let after = rules_of(&spec);
        Arc::make_mut(&mut changed.group).spec = Arc::new(spec);
        // Most spreads count only nodes that the pod may run on: another pod, another count.
        for (nth, (before, after)) in before.iter().zip(after).enumerate() {
            if *before != after {
                let at = self.recount(after, &changed.group)?;
                let replaced = demand.concern.stated[nth];
                let concern = Arc::make_mut(&mut changed.concern);
                replace(&mut concern.own, replaced, at);
                replace(&mut concern.stated, replaced, at);
                if demand.concern.meant.contains(&replaced) {
                    concern.meant.push(at);
                    concern.meant.sort_unstable();
                }
            }
        }
        changed.alternatives = self.schedule.problem.alternatives(&changed.group, &Rung::default());
        Some(changed)
    }

    /// How pods of a group are concerned by rules once they state one less.
    fn concern_without(&self, demand: &Demand, nth: usize) -> Concern {
        let mut concern = Concern::clone(&demand.concern);
        let gone = concern.stated.remove(nth);
        if concern.stated.contains(&gone) {
            return concern;
        }
        concern.own.retain(|rule| *rule != gone);
        // The pods of a workload are changed together, so that only others can still keep them away.
        let rule = &self.schedule.problem.rules[gone].what;
        if rule.rule == TopologyRule::AntiAffinity && !self.is_stated_by_others(demand, gone) {
            concern.repelled.retain(|rule| *rule != gone);
        }
        concern
    }

    fn is_stated_by_others(&self, demand: &Demand, rule: usize) -> bool {
        let problem = &*self.schedule.problem;
        let is_other = |spec: &Arc<PodSpec>| *spec != demand.group.spec;
        let demanded = problem.demands.iter().filter(|other| other.concern.stated.contains(&rule));
        demanded.into_iter().any(|other| is_other(&other.group.spec))
            || residents_with_rules(self.decided.snapshot)
                .iter()
                .any(|spec| is_other(spec) && rules_of(spec).contains(&problem.rules[rule].what))
    }

    /// The values of a label that a new node could have, the cheapest first where that is a matter of prices.
    pub(super) fn values(&self, draft: &Draft, key: &str) -> Vec<String> {
        let problem = &*self.schedule.problem;
        let universe = &problem.universes[problem.templates[draft.template].universe];
        let shape = &draft.shape;
        let Some(sym) = problem.interner.find(key) else { return Vec::new() };
        let is_of_types = match universe.axis(sym) {
            Axis::Single => true,
            Axis::Zone
            | Axis::ZoneId
            | Axis::CapacityType
            | Axis::ReservationId
            | Axis::ReservationType
            | Axis::Hostname
            | Axis::Several
            | Axis::Custom => false,
        };
        if !is_of_types {
            let listed = shape.domains(sym, universe).unwrap_or_default();
            let mut values: Vec<_> =
                listed.iter().map(|value| problem.interner.text(*value).to_owned()).collect();
            values.sort_unstable();
            values.truncate(VALUES_MAX);
            return values;
        }
        let price = |at: usize| universe.cheapest(at, shape.zones, shape.capacity_types);
        let mut priced: Vec<_> = shape.types.iter().filter_map(|at| Some((price(at)?, at))).collect();
        priced.sort_unstable();
        let mut values: Vec<String> = Vec::new();
        for (_, at) in priced {
            for value in universe.types[at].labels.get(key).into_iter().flatten() {
                if values.len() < VALUES_MAX && !values.contains(value) {
                    values.push(value.clone());
                }
            }
        }
        values
    }
}

fn replace(rules: &mut [usize], before: usize, after: usize) {
    rules.iter_mut().filter(|rule| **rule == before).for_each(|rule| *rule = after);
}

/// The labels that pods ask for, by name.
fn keys(spec: &PodSpec) -> BTreeSet<String> {
    let requirements = spec.node_affinity.iter().flatten();
    requirements.map(|requirement| normalized(&requirement.key).to_owned()).collect()
}

fn is_about(requirement: &Requirement, key: &str) -> bool {
    normalized(&requirement.key) == key
}

/// The pod without its requirements on a label. A term that asked for nothing else goes with it, as an empty term of a
/// manifest would match nothing.
fn without(spec: &PodSpec, key: &str) -> PodSpec {
    let mut changed = spec.clone();
    changed.node_affinity.iter_mut().for_each(|term| term.retain(|one| !is_about(one, key)));
    changed.node_affinity.retain(|term| !term.is_empty());
    changed
}

/// What adds a value to those that a pod lists for a label, if it lists any.
fn adder<'s>(spec: &'s PodSpec, key: &'s str) -> Option<impl Fn(&str) -> PodSpec + use<'s>> {
    let lists = |one: &Requirement| is_about(one, key) && one.operator == Operator::In;
    spec.node_affinity.iter().flatten().any(lists).then_some(move |value: &str| {
        let mut changed = spec.clone();
        for one in changed.node_affinity.iter_mut().flatten() {
            let lists = is_about(one, key) && one.operator == Operator::In;
            if lists && !one.values.iter().any(|known| known == value) {
                one.values.push(value.to_owned());
            }
        }
        changed
    })
}

/// The pod without the nth of its rules on where it is relative to others, counted like `rules_of`.
fn without_rule(spec: &PodSpec, nth: usize) -> PodSpec {
    let mut changed = spec.clone();
    let hard = |at: &usize| spec.topology_spread[*at].when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule;
    let spreads: Vec<_> = (0..spec.topology_spread.len()).filter(hard).collect();
    let (affinity, anti) = (spreads.len(), spreads.len() + spec.pod_affinity.len());
    if let Some(at) = spreads.get(nth) {
        changed.topology_spread.remove(*at);
    } else if nth < anti {
        changed.pod_affinity.remove(nth - affinity);
    } else {
        changed.pod_anti_affinity.remove(nth - anti);
    }
    changed
}
