//! Counting pods where they are, for the rules on where pods are relative to one another.

use std::sync::Arc;

use crate::model::labels;
use crate::model::requirement::{Requirement, untolerated};
use crate::provision::intern::Sym;
use crate::provision::problem::{Problem, is_counted};
use crate::provision::requirements;
use crate::provision::schedule::Schedule;
use crate::provision::topology::{Count, Domain, Place, Rule, Whom};
use crate::provision::universe::{Axis, Universe};

impl Schedule<'_, '_> {
    /// Counts a pod on a place, or takes it out again, for all rules that mean it or that it states.
    pub(super) fn count(&mut self, place: Place, demand: usize, count: Count) {
        self.count_by(place, demand, (1, count), |_| true);
    }

    /// Counts pods on a new node for the rules that count by node.
    pub(super) fn count_on_host(&mut self, place: Place, demand: usize, pods: u32) {
        self.count_by(place, demand, (pods, Count::Up), |rule| rule.label.is_none());
    }

    fn count_by(
        &mut self,
        place: Place,
        demand: usize,
        (pods, count): (u32, Count),
        for_rule: impl Fn(&Rule) -> bool,
    ) {
        let concern = Arc::clone(&self.problem.demands[demand].concern);
        for at in concern.meant.iter().copied() {
            if !for_rule(&self.problem.rules[at]) {
                continue;
            }
            // Pods that state a rule are only put on new nodes where it looks; on others they may have been before.
            let is_new = self.problem.existing.get(place).is_none_or(|node| node.undecided.is_some());
            let is_seen = (is_new && concern.own.contains(&at)) || self.is_looked_at(place, at);
            if !is_seen {
                continue;
            }
            match self.domain_of_rule(place, at) {
                Some(domain) => self.problem.rules[at].count_matching(domain, pods, count),
                None if self.is_in_doubt(place, at) => {
                    self.problem.rules[at].count_in_doubt(pods, (Whom::Meant, count));
                }
                None => {}
            }
        }
        for at in concern.stated.iter().copied() {
            if !for_rule(&self.problem.rules[at]) {
                continue;
            }
            match self.domain_of_rule(place, at) {
                Some(domain) => self.problem.rules[at].count_owners(domain, pods, count),
                None if self.is_in_doubt(place, at) => {
                    self.problem.rules[at].count_in_doubt(pods, (Whom::Owners, count));
                }
                None => {}
            }
        }
    }

    /// Whether a rule counts the pods on a place at all.
    pub(crate) fn is_looked_at(&mut self, place: Place, rule: usize) -> bool {
        let Problem { rules, existing, templates, universes, interner, .. } = &mut *self.problem;
        let what = &rules[rule].what;
        if what.affinity.is_empty() && what.tolerations.is_none() {
            return true;
        }
        let Some(draft) = place.checked_sub(existing.len()) else {
            let node = &existing[place];
            return is_counted(&node.labels, &node.taints, what);
        };
        let draft = &self.drafts[draft];
        let template = &templates[draft.template];
        let tolerated =
            what.tolerations.as_ref().is_none_or(|t| untolerated(&template.pool.taints, t).is_none());
        let universe = &universes[template.universe];
        let mut could_be = |term: &Vec<Requirement>| {
            let wanted = requirements::collect(term, interner);
            draft.shape.and(&wanted, universe, interner).is_ok()
        };
        tolerated && (what.affinity.is_empty() || what.affinity.iter().any(&mut could_be))
    }

    /// Whether a node that was asked for and is not launched yet will be in a domain of this rule, and nobody knows in
    /// which.
    pub(super) fn is_in_doubt(&self, place: Place, rule: usize) -> bool {
        let (Some(node), Some(label)) = (self.problem.existing.get(place), self.problem.rules[rule].label)
        else {
            return false;
        };
        let Some(asked) = node.undecided else { return false };
        let key = self.problem.interner.text(label);
        let is_asked = asked.iter().any(|requirement| labels::normalized(&requirement.key) == key);
        let is_of_instances = |universe: &Arc<Universe>| match universe.axis(label) {
            Axis::Custom | Axis::Hostname => false,
            Axis::Zone
            | Axis::ZoneId
            | Axis::CapacityType
            | Axis::ReservationId
            | Axis::ReservationType
            | Axis::Single
            | Axis::Several => true,
        };
        is_asked || self.problem.universes.iter().any(is_of_instances)
    }

    pub(crate) fn domain_of_rule(&self, place: Place, rule: usize) -> Option<Domain> {
        let rule = &self.problem.rules[rule];
        self.domain(place, rule.label)
    }

    /// The domain that a place is in. A new node that could be in several is in none yet.
    pub(super) fn domain(&self, place: Place, label: Option<Sym>) -> Option<Domain> {
        let Some(label) = label else { return Some(Domain::Host(place)) };
        match place.checked_sub(self.problem.existing.len()) {
            None => self.problem.places.value_at(place, label).map(Domain::Label),
            Some(draft) => {
                let draft = &self.drafts[draft];
                let universe = &self.problem.universes[self.problem.templates[draft.template].universe];
                draft.shape.only(label, universe).map(Domain::Label)
            }
        }
    }
}
