//! Putting pods on nodes, in Karpenter's order: the largest first; on nodes that are there, else on the new node
//! with the fewest pods that will do, else on a new node of the first NodePool that will do.
//!
//! Pods of one group are equal, so what refuses one of them for good refuses all: each group looks at each node
//! at most once more than it puts pods there.

use crate::model::requirement::{Requirement, untolerated};
use crate::provision::amounts;
use crate::provision::bits::Bits;
use crate::provision::draft::{Candidate, Draft, Refused, collide};
use crate::provision::intern::Sym;
use crate::provision::order::Order;
use crate::provision::problem::{Demand, Problem, is_counted};
use crate::provision::requirements;
use crate::provision::topology::{Count, Domain, Place};
use crate::why::TopologyRule;

/// A schedule in the making.
#[derive(Debug)]
pub(crate) struct Schedule<'a, 'b> {
    pub(crate) problem: &'a mut Problem<'b>,
    /// New nodes. Their places follow those of the existing nodes.
    pub(crate) drafts: Vec<Draft>,
    order: Order,
}

/// What one group may still try.
struct Options {
    /// Existing nodes that may still take a pod, in order.
    existing: Vec<Place>,
    /// New nodes that will never take a pod of this group.
    refusing: Bits,
    /// NodePools that may still have a new node for it.
    templates: Vec<usize>,
}

impl<'a, 'b> Schedule<'a, 'b> {
    pub(crate) fn new(problem: &'a mut Problem<'b>) -> Self {
        Self { problem, drafts: Vec::new(), order: Order::default() }
    }

    /// Puts up to `pods` pods of a group somewhere, and says where. Those for which there is no place are not
    /// among the answers.
    pub(crate) fn place(&mut self, demand: usize, pods: usize) -> Vec<Place> {
        let mut options = self.options(demand);
        let mut places = Vec::with_capacity(pods);
        while places.len() < pods {
            match self.place_one(demand, &mut options) {
                Some(place) => places.push(place),
                None => break,
            }
        }
        places
    }

    fn options(&self, demand: usize) -> Options {
        let demand = &self.problem.demands[demand];
        let existing = (0..self.problem.existing.len()).filter(|place| self.may_run(*place, demand));
        let mut refusing = Bits::default();
        for (at, draft) in self.drafts.iter().enumerate() {
            let taints = &self.problem.templates[draft.template].pool.taints;
            if untolerated(taints, &demand.group.spec.tolerations).is_some() {
                refusing.insert_growing(self.problem.existing.len() + at);
            }
        }
        Options {
            existing: existing.collect(),
            refusing,
            templates: (0..self.problem.templates.len()).collect(),
        }
    }

    /// Whether pods of a group could run on an existing node at all.
    pub(crate) fn may_run(&self, place: Place, demand: &Demand) -> bool {
        let node = &self.problem.existing[place];
        let spec = &demand.group.spec;
        amounts::fits(&demand.requests, &node.free)
            && untolerated(&node.taints, &spec.tolerations).is_none()
            && !collide(&spec.host_ports, &node.host_ports)
            && node.volumes.holds(&demand.group.attachments)
            && demand.alternatives.iter().any(|term| node.fulfils(&term.wanted, self.problem.interner))
    }

    fn place_one(&mut self, demand: usize, options: &mut Options) -> Option<Place> {
        let existing = self.place_on_existing(demand, &mut options.existing);
        existing
            .or_else(|| self.place_on_draft(demand, &mut options.refusing))
            .or_else(|| self.place_on_new(demand, options))
    }

    fn place_on_existing(&mut self, at: usize, open: &mut Vec<Place>) -> Option<Place> {
        let mut tried = 0;
        while tried < open.len() {
            let place = open[tried];
            match self.refused_on_existing(place, at) {
                None => {
                    self.take(place, at);
                    return Some(place);
                }
                Some(refused) if self.is_final(refused) => drop(open.remove(tried)),
                Some(_) => tried += 1,
            }
        }
        None
    }

    /// The rule by which an existing node that could run the pods at all refuses one more now.
    pub(crate) fn refused_on_existing(&self, place: Place, demand: usize) -> Option<Refused> {
        let demand = &self.problem.demands[demand];
        let node = &self.problem.existing[place];
        if !amounts::fits(&demand.requests, &node.free) || !node.volumes.holds(&demand.group.attachments) {
            return Some(Refused::InstanceTypes);
        }
        if collide(&demand.group.spec.host_ports, &node.host_ports) {
            return Some(Refused::HostPort);
        }
        let concern = &demand.concern;
        if concern.is_free() {
            return None;
        }
        let problem = &self.problem;
        for (at, own) in
            concern.own.iter().map(|at| (*at, true)).chain(concern.repelled.iter().map(|at| (*at, false)))
        {
            let rule = &problem.rules[at];
            let domain = self.domain(place, rule.label);
            let allowed = match domain {
                Some(domain) if own => rule.allows(domain, concern.meant.binary_search(&at).is_ok()),
                Some(domain) => rule.tolerates(domain),
                // Without the label there is no domain: nothing to be near to, nothing to keep away from.
                None => rule.what.rule == TopologyRule::AntiAffinity,
            };
            if !allowed {
                return Some(Refused::Topology { rule: at });
            }
        }
        None
    }

    /// Whether what refuses a pod now will refuse it for the rest of this schedule: nodes only get fuller, and
    /// pods that keep others away only come; but a spread's emptiest domain may fill up.
    fn is_final(&self, refused: Refused) -> bool {
        match refused {
            Refused::Topology { rule } => self.problem.rules[rule].what.rule == TopologyRule::AntiAffinity,
            Refused::Taint
            | Refused::HostPort
            | Refused::Labels
            | Refused::InstanceTypes
            | Refused::MinValues { .. }
            | Refused::Limit => true,
        }
    }

    fn place_on_draft(&mut self, demand: usize, refusing: &mut Bits) -> Option<Place> {
        let mut not_now = self.refused_by_rules(demand);
        while let Some(place) = self.order.first_outside([refusing, &not_now]) {
            let draft = place - self.problem.existing.len();
            match self.joined(draft, demand) {
                Ok(shape) => {
                    self.drafts[draft].shape = shape;
                    self.take(place, demand);
                    return Some(place);
                }
                Err(refused) if self.is_final(refused) => refusing.insert_growing(place),
                Err(_) => not_now.insert_growing(place),
            }
        }
        None
    }

    /// New nodes that are sure to refuse a pod now because of rules on where it may be relative to others.
    fn refused_by_rules(&self, demand: usize) -> Bits {
        let mut refused = Bits::default();
        let concern = &self.problem.demands[demand].concern;
        let rules = &self.problem.rules;
        for at in concern.own.iter().filter(|at| rules[**at].label.is_none()) {
            let counts_itself = concern.meant.binary_search(at).is_ok();
            if let Some(hosts) = rules[*at].refusing_hosts(counts_itself) {
                refused.unite_growing(hosts);
            }
        }
        for at in concern.repelled.iter().filter(|at| rules[**at].label.is_none()) {
            refused.unite_growing(rules[*at].intolerant_hosts());
        }
        for label in &concern.labels {
            for (value, places) in self.order.bound(*label) {
                if self.problem.refusing(concern, Some(*label), Domain::Label(value)).is_some() {
                    refused.unite_growing(places);
                }
            }
        }
        refused
    }

    fn joined(&self, draft: usize, demand: usize) -> Result<crate::provision::template::Shape, Refused> {
        let place = self.problem.existing.len() + draft;
        let draft = &self.drafts[draft];
        let template = &self.problem.templates[draft.template];
        let onto = Candidate {
            template,
            shape: &draft.shape,
            requests: &draft.requests,
            host_ports: &draft.host_ports,
            place,
        };
        self.problem.join(&onto, &self.problem.demands[demand])
    }

    fn place_on_new(&mut self, at: usize, options: &mut Options) -> Option<Place> {
        let place = self.problem.existing.len() + self.drafts.len();
        for template in options.templates.clone() {
            match self.problem.open(template, &self.problem.demands[at], place) {
                Ok(draft) => {
                    self.problem.templates[template].room.take(&draft.charged);
                    self.drafts.push(draft);
                    self.take(place, at);
                    return Some(place);
                }
                Err(refused) if self.is_final(refused) => options.templates.retain(|t| *t != template),
                Err(_) => {}
            }
        }
        None
    }

    /// Puts one pod of a group on a place that will do.
    pub(crate) fn take(&mut self, place: Place, demand: usize) {
        self.count(place, demand, Count::Up);
        let Problem { demands, existing, universes, templates, .. } = &mut *self.problem;
        let Demand { requests, group, .. } = &demands[demand];
        let ports = group.spec.host_ports.iter().cloned();
        let Some(at) = place.checked_sub(existing.len()) else {
            let node = &mut existing[place];
            amounts::subtract(&mut node.free, requests);
            node.host_ports.extend(ports);
            node.volumes.attach(&group.attachments);
            return;
        };
        let draft = &mut self.drafts[at];
        amounts::add(&mut draft.requests, requests);
        draft.host_ports.extend(ports);
        self.order.promote(place, draft.pods);
        draft.pods += 1;
        let universe = &universes[templates[draft.template].universe];
        for label in &demands[demand].concern.labels {
            if let Some(value) = draft.shape.only(*label, universe) {
                self.order.bind(place, *label, value);
            }
        }
    }

    /// Takes one pod of a group away again from an existing node.
    pub(crate) fn give_back(&mut self, place: Place, demand: usize) {
        self.count(place, demand, Count::Down);
        let Demand { requests, group, .. } = &self.problem.demands[demand];
        let (row, ports) = (requests.clone(), group.spec.host_ports.clone());
        let node = &mut self.problem.existing[place];
        node.volumes.detach(&group.attachments);
        amounts::add(&mut node.free, &row);
        for port in ports {
            if let Some(at) = node.host_ports.iter().position(|taken| *taken == port) {
                node.host_ports.remove(at);
            }
        }
    }

    fn count(&mut self, place: Place, demand: usize, count: Count) {
        // Taken out for a moment, because the rules that are counted are looked up while they are changed.
        let concern = std::mem::take(&mut self.problem.demands[demand].concern);
        for at in &concern.meant {
            // Pods that state a rule are only put on new nodes where it looks; on others they may have been before.
            let is_new = self.problem.existing.get(place).is_none_or(|node| !node.launched);
            let is_seen = (is_new && concern.own.contains(at)) || self.is_looked_at(place, *at);
            if is_seen && let Some(domain) = self.domain_of_rule(place, *at) {
                self.problem.rules[*at].count_matching(domain, count);
            }
        }
        for at in &concern.own {
            if let Some(domain) = self.domain_of_rule(place, *at) {
                self.problem.rules[*at].count_owners(domain, count);
            }
        }
        self.problem.demands[demand].concern = concern;
    }

    /// Whether a rule counts the pods on a place at all.
    fn is_looked_at(&mut self, place: Place, rule: usize) -> bool {
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

    fn domain_of_rule(&self, place: Place, rule: usize) -> Option<Domain> {
        let rule = &self.problem.rules[rule];
        self.domain(place, rule.label)
    }

    /// The domain that a place is in. A new node that could be in several is in none yet.
    fn domain(&self, place: Place, label: Option<Sym>) -> Option<Domain> {
        let Some(label) = label else { return Some(Domain::Host(place)) };
        match place.checked_sub(self.problem.existing.len()) {
            None => self.problem.value_at(place, label).map(Domain::Label),
            Some(draft) => {
                let draft = &self.drafts[draft];
                let universe = &self.problem.universes[self.problem.templates[draft.template].universe];
                draft.shape.only(label, universe).map(Domain::Label)
            }
        }
    }
}
