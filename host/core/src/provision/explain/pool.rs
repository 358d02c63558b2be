//! Changes to a NodePool: a limit, what it may launch, how much EC2 has to choose from, a label.

use std::sync::Arc;

use crate::model::labels::{NODE_CLASS, NODE_POOL, is_restricted, is_well_known, normalized};
use crate::model::node_pool::{NODES, NodePool};
use crate::model::requirement::{Operator, Requirement};
use crate::provision::amounts;
use crate::provision::draft::{Draft, Refused};
use crate::provision::explain::Explainer;
use crate::provision::explain::change::{Refusal, untainted};
use crate::provision::intern::Sym;
use crate::provision::problem::Demand;
use crate::provision::requirements;
use crate::provision::template::{Room, Template};
use crate::provision::universe::Axis;
use crate::why::TopologyRule;
use crate::why::amount::rounded_up;
use crate::why::change::Change;

impl Explainer<'_, '_, '_> {
    pub(super) fn raise_limit(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<Change> {
        for (at, _) in refusals.iter().filter(|(_, refused)| *refused == Refused::Limit) {
            for (resource, axis) in self.limited(*at) {
                let to = self.raised(*at, demand, (&resource, axis));
                if let Some(change) = to.and_then(|to| self.limit_change(*at, &resource, to)) {
                    return Some(change);
                }
            }
            let room = self.schedule.problem.templates[*at].room.clone();
            if room.nodes.is_some()
                && self.opened_with_room(*at, demand, Room { nodes: Some(1), ..room }).is_some()
            {
                let to = self.used(*at, NODES).saturating_add(1);
                return self.limit_change(*at, NODES, to);
            }
        }
        None
    }

    fn limit_change(&self, at: usize, resource: &str, to: u64) -> Option<Change> {
        let pool = &self.schedule.problem.templates[at].pool;
        let (node_pool, from) = (pool.name.clone(), *pool.limits.get(resource)?);
        Some(Change::RaiseLimit { node_pool, resource: resource.to_owned(), from, to })
    }

    /// The least limit in a round unit under which a NodePool would have a new node for a pod.
    fn raised(&mut self, at: usize, demand: &Demand, (resource, axis): (&str, usize)) -> Option<u64> {
        let room = self.schedule.problem.templates[at].room.clone();
        let with = |left: Option<u64>| {
            let mut room = room.clone();
            room.amounts[axis] = left;
            room
        };
        let draft = self.opened_with_room(at, demand, with(None))?;
        let template = &self.schedule.problem.templates[at];
        let capacity = &self.schedule.problem.universes[template.universe].capacity;
        let needed = draft.shape.types.iter().map(|of| amounts::at(&capacity[of], axis)).min()?;
        let used = self.used(at, resource);
        let to = rounded_up(resource, used.saturating_add(needed));
        self.opened_with_room(at, demand, with(Some(to - used))).map(|_| to)
    }

    fn opened_with_room(&mut self, at: usize, demand: &Demand, room: Room) -> Option<Draft> {
        let before = std::mem::replace(&mut self.schedule.problem.templates[at].room, room);
        let draft = self.opened(at, demand);
        self.schedule.problem.templates[at].room = before;
        draft
    }

    pub(super) fn widen_node_pool(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<Change> {
        for at in untainted(refusals) {
            let pool = self.schedule.problem.templates[at].pool.clone();
            let mut keys: Vec<_> = pool.requirements.iter().map(|one| normalized(&one.key)).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                if let Some(value) = self.widened(at, demand, (&pool, key)) {
                    let (node_pool, key) = (pool.name.clone(), key.to_owned());
                    return Some(Change::WidenNodePool { node_pool, key, value });
                }
            }
        }
        None
    }

    /// With which more value of a label a NodePool would do; with `None` when it would with any.
    fn widened(
        &mut self,
        at: usize,
        demand: &Demand,
        (pool, key): (&NodePool, &str),
    ) -> Option<Option<String>> {
        let sym = self.schedule.problem.interner.find(key)?;
        let universe = &self.schedule.problem.universes[self.schedule.problem.templates[at].universe];
        let values = if universe.axis(sym) == Axis::Custom {
            self.wanted(demand, sym).into_iter().collect()
        } else {
            let draft = self.opened_as(at, demand, freed(pool, key))?;
            self.values(&draft, key)
        };
        let lists = pool.requirements.iter().any(|one| lists(one, key));
        let mut values = values.into_iter().filter(|_| lists);
        if let Some(value) =
            values.find(|value| self.opened_as(at, demand, with_value(pool, key, value)).is_some())
        {
            return Some(Some(value));
        }
        let is_last = self.opened_as(at, demand, freed(pool, key)).is_some();
        is_last.then_some(None)
    }

    pub(super) fn lower_min_values(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<Change> {
        for (at, refused) in refusals {
            let Refused::MinValues { key, wanted, left } = *refused else { continue };
            let mut changed = self.schedule.problem.templates[*at].clone();
            let minimum = changed.min_values.iter_mut().find(|(of, from)| *of == key && *from == wanted);
            if let Some((_, minimum)) = minimum {
                *minimum = left;
            }
            if self.opened_by(*at, demand, changed).is_some() {
                let (node_pool, key) = (self.name(*at), self.schedule.problem.interner.text(key).to_owned());
                return Some(Change::LowerMinValues { node_pool, key, from: wanted, to: left });
            }
        }
        None
    }

    pub(super) fn label(&mut self, demand: &Demand, refusals: &[Refusal]) -> Option<Change> {
        let mut keys: Vec<Sym> = demand.alternatives.first()?.wanted.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable_by_key(|key| self.schedule.problem.interner.text(*key));
        for at in untainted(refusals) {
            let pool = self.schedule.problem.templates[at].pool.clone();
            for sym in keys.iter().copied() {
                let problem = &*self.schedule.problem;
                let key = problem.interner.text(sym).to_owned();
                let is_free = problem.universes[problem.templates[at].universe].axis(sym) == Axis::Custom;
                if !is_free || !may_be_promised(&key) {
                    continue;
                }
                let Some(value) = self.wanted(demand, sym) else { continue };
                let mut changed = pool.clone();
                let from = changed.labels.insert(key.clone(), value.clone());
                if self.opened_as(at, demand, changed).is_some() {
                    return Some(Change::Label { node_pool: pool.name.clone(), key, from, value });
                }
            }
        }
        None
    }

    /// A value of a label with which a pod would be content.
    fn wanted(&self, demand: &Demand, key: Sym) -> Option<String> {
        let wanted = &demand.alternatives.first()?.wanted;
        requirements::get(wanted, key)?.chosen(self.schedule.problem.interner)
    }

    /// What a new node of a NodePool would be if it were made from this one.
    fn opened_as(&mut self, at: usize, demand: &Demand, pool: NodePool) -> Option<Draft> {
        if !self.budget.take_node_pool() {
            return None;
        }
        let snapshot = self.decided.snapshot;
        let classes: Vec<_> = snapshot.node_classes.keys().cloned().collect();
        let mut template = self.schedule.problem.template(snapshot, &pool, &classes).ok()?;
        template.room = self.schedule.problem.templates[at].room.clone();
        self.opened_by(at, demand, template)
    }

    /// The same with the domains that spreads are judged over, which are those of all nodes that could be.
    fn opened_by(&mut self, at: usize, demand: &Demand, template: Template) -> Option<Draft> {
        let before = std::mem::replace(&mut self.schedule.problem.templates[at], template);
        let problem = &mut *self.schedule.problem;
        let mut domains = Vec::new();
        for rule in demand.concern.own.iter().copied() {
            let is_spread = problem.rules[rule].what.rule == TopologyRule::Spread;
            if let Some(label) = problem.rules[rule].label.filter(|_| is_spread) {
                let changed = Arc::new(problem.domains_of(rule, label));
                domains.push((rule, problem.rules[rule].set_domains(changed)));
            }
        }
        let draft = self.opened(at, demand);
        for (rule, before) in domains {
            drop(self.schedule.problem.rules[rule].set_domains(before));
        }
        self.schedule.problem.templates[at] = before;
        draft
    }
}

/// Whether a NodePool may give its nodes a label: what nodes have by themselves nobody can give them.
fn may_be_promised(key: &str) -> bool {
    !is_well_known(key) && !is_restricted(key) && ![NODE_POOL, NODE_CLASS].contains(&key)
}

fn lists(requirement: &Requirement, key: &str) -> bool {
    normalized(&requirement.key) == key && requirement.operator == Operator::In
}

/// A NodePool that allows any value of a label. How many distinct ones it wants stays.
fn freed(pool: &NodePool, key: &str) -> NodePool {
    let mut changed = pool.clone();
    changed.requirements.retain_mut(|one| {
        if normalized(&one.key) == key {
            (one.operator, one.values) = (Operator::Exists, Vec::new());
        }
        normalized(&one.key) != key || one.min_values.is_some()
    });
    changed
}

/// A NodePool that allows one more value of a label.
fn with_value(pool: &NodePool, key: &str, value: &str) -> NodePool {
    let mut changed = pool.clone();
    for one in changed.requirements.iter_mut().filter(|one| lists(one, key)) {
        one.values.push(value.to_owned());
    }
    changed
}
