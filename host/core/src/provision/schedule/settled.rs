//! Pods whose zone is chosen before their node: they are counted in the zone at once, many together, and only what is left
//! to ask is asked when they come to a node.
//!
//! The rules are those that any pod is judged by; which zone is best is asked of them pod by pod. Pods whose rules count
//! by other labels than the zone are not for here.

use crate::model::price::Price;
use crate::provision::draft::{Candidate, Draft, Refused, Settle};
use crate::provision::intern::Sym;
use crate::provision::problem::Problem;
use crate::provision::schedule::Schedule;
use crate::provision::template::Shape;
use crate::provision::topology::{Concern, Count, Domain, Place};
use crate::provision::universe::{Axis, Universe, ZoneMask};
use crate::why::TopologyRule;

impl Schedule<'_, '_> {
    /// The label by which rules count these pods, when it is the zone and nothing else; `Err` when the pods are none for
    /// here.
    pub(crate) fn zone_label(&self, demand: usize, universe: &Universe) -> Result<Option<Sym>, NotHere> {
        let concern = &self.problem.demands[demand].concern;
        let rule = |at: &usize| &self.problem.rules[*at];
        let follows = |at: &usize| rule(at).label.is_none() && rule(at).what.rule == TopologyRule::Affinity;
        if concern.own.iter().any(follows) {
            return Err(NotHere);
        }
        // Whether such a rule counts a pod depends on the node that it comes to.
        let is_choosy = |at: &usize| {
            let what = &rule(at).what;
            rule(at).label.is_some() && !(what.affinity.is_empty() && what.tolerations.is_none())
        };
        if concern.meant.iter().any(|at| is_choosy(at) && !concern.own.contains(at)) {
            return Err(NotHere);
        }
        match concern.labels.as_slice() {
            [] => Ok(None),
            [label] if universe.axis(*label) == Axis::Zone => Ok(Some(*label)),
            _ => Err(NotHere),
        }
    }

    /// Gives up to `pods` pods a zone each, of those that a shape has, and counts them there: how many in which.
    pub(crate) fn settle_in_zones(
        &mut self,
        demand: usize,
        (label, shape): (Sym, &Shape),
        universe: &Universe,
        pods: u32,
    ) -> Vec<(usize, u32)> {
        let mut zones: Vec<_> = (0..universe.zones.len())
            .filter(|zone| shape.zones & (1 << zone) != 0)
            .map(|zone| {
                let there = Shape { zones: 1 << zone, ..shape.clone() };
                (universe.cheapest_of(&there), zone, 0)
            })
            .filter(|(price, _, _)| *price < Price::MAX)
            .collect();
        let mut left = pods;
        while left > 0 {
            let concern = &self.problem.demands[demand].concern;
            let Some(best) = self.best_zone(concern, label, universe, &zones) else { break };
            // Where the pods say nothing of zones themselves, what is best for one is best for all.
            let at_once = if self.minds(concern, label) { 1 } else { left };
            zones[best].2 += at_once;
            left -= at_once;
            let value = universe.zones[zones[best].1];
            self.count_in_zone(demand, (label, value), at_once, Count::Up);
        }
        zones.into_iter().filter(|(_, _, pods)| *pods > 0).map(|(_, zone, pods)| (zone, pods)).collect()
    }

    fn minds(&self, concern: &Concern, label: Sym) -> bool {
        concern.own.iter().chain(&concern.repelled).any(|at| self.problem.rules[*at].label == Some(label))
    }

    /// Of the zones that the rules allow the one with the fewest pods, then the cheapest, then the first by name.
    fn best_zone(
        &self,
        concern: &Concern,
        label: Sym,
        universe: &Universe,
        zones: &[(Price, usize, u32)],
    ) -> Option<usize> {
        let allowed = zones.iter().enumerate().filter(|(_, (_, zone, _))| {
            let domain = Domain::Label(universe.zones[*zone]);
            self.problem.refusing(concern, Some(label), domain).is_none()
        });
        let rank = |(_, (price, zone, _)): &(usize, &(Price, usize, u32))| {
            let value = universe.zones[*zone];
            (self.problem.pods_in(concern, label, value), *price, self.problem.interner.text(value))
        };
        allowed.min_by(|left, right| rank(left).cmp(&rank(right))).map(|(at, _)| at)
    }

    /// Counts pods in a zone, or takes them out again.
    pub(crate) fn count_in_zone(
        &mut self,
        demand: usize,
        (label, value): (Sym, Sym),
        pods: u32,
        count: Count,
    ) {
        let Problem { demands, rules, .. } = &mut *self.problem;
        let concern = &demands[demand].concern;
        let domain = Domain::Label(value);
        for at in &concern.meant {
            if rules[*at].label == Some(label) {
                rules[*at].count_matching(domain, pods, count);
            }
        }
        for at in &concern.stated {
            if rules[*at].label == Some(label) {
                rules[*at].count_owners(domain, pods, count);
            }
        }
    }

    /// A new node in these zones for one pod of a group, without it.
    pub(crate) fn open_settled(
        &mut self,
        template: usize,
        demand: usize,
        zones: ZoneMask,
    ) -> Result<Place, Refused> {
        let place = self.rooms.len();
        let at = (place, zones, Settle::Before);
        let draft = self.problem.open_in(template, &self.problem.demands[demand], at)?;
        self.add(draft);
        Ok(place)
    }

    /// What a new node of a NodePool for a pod of the group could be, in any zone.
    pub(crate) fn probe(&self, template: usize, demand: usize) -> Result<Draft, Refused> {
        let at = (self.rooms.len(), ZoneMask::MAX, Settle::Before);
        self.problem.open_in(template, &self.problem.demands[demand], at)
    }

    /// Puts so many pods of a group on a new node, or none.
    pub(crate) fn join_settled(&mut self, place: Place, demand: usize, pods: u32) -> Result<(), Refused> {
        let at = place - self.problem.existing.len();
        let draft = &self.drafts[at];
        let onto = Candidate {
            template: &self.problem.templates[draft.template],
            shape: &draft.shape,
            requests: &draft.requests,
            host_ports: &draft.host_ports,
            place,
            held: draft.held,
            pods,
            settle: Settle::Before,
        };
        let shape = self.problem.join(&onto, &self.problem.demands[demand])?;
        self.drafts[at].shape = shape;
        self.problem.release_unusable(&mut self.drafts[at]);
        self.note_last(place, demand);
        self.take_settled(place, demand, pods);
        Ok(())
    }

    /// Takes the last new node back, which nobody joined.
    pub(crate) fn take_back_last(&mut self) {
        let (Some(draft), Some(_)) = (self.drafts.pop(), self.rooms.pop()) else { return };
        self.by_template[draft.template].remove(self.rooms.len());
        let template = &mut self.problem.templates[draft.template];
        template.room.take_back(&draft.charged);
        self.problem.reservations.release(&self.problem.universes[template.universe], draft.held);
    }

    fn take_settled(&mut self, place: Place, demand: usize, pods: u32) {
        self.count_on_host(place, demand, pods);
        self.load(place, demand, pods);
    }

    /// How many more new nodes like one its NodePool's limits allow. None like one that holds capacity reservations.
    pub(crate) fn copies_within_limits(&self, place: Place) -> u32 {
        let draft = &self.drafts[place - self.problem.existing.len()];
        if draft.held != 0 {
            return 0;
        }
        self.problem.templates[draft.template].room.times(&draft.charged)
    }

    /// One more new node like another, with the same pods in number.
    pub(crate) fn copy_settled(&mut self, place: Place, pods: &[(usize, u32)]) -> Place {
        let original = &self.drafts[place - self.problem.existing.len()];
        let copy = Draft { requests: Vec::new(), pods: 0, host_ports: Vec::new(), ..original.clone() };
        let copied = self.rooms.len();
        self.add(copy);
        for (demand, count) in pods {
            self.take_settled(copied, *demand, *count);
        }
        let draft = &self.drafts[copied - self.problem.existing.len()];
        if let Some((demand, settled)) = draft.last.clone() {
            let labels = self.problem.demands[demand].concern.labels.clone();
            for (label, value) in labels.into_iter().zip(settled) {
                if let Some(value) = value {
                    self.order.bind(copied, label, value);
                }
            }
        }
        copied
    }
}

/// Pods whose rules ask for more than a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotHere;
