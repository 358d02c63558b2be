//! Putting pods on nodes, in Karpenter's order: the largest first; on nodes that are there, else on the new node
//! with the fewest pods that will do, else on a new node of the first NodePool that will do.
//!
//! Pods of one group are equal, so what refuses one of them for good refuses all: each group looks at each node
//! at most once more than it puts pods there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::requirement::untolerated;
use crate::provision::amounts::{self, Amounts};
use crate::provision::draft::{Candidate, Draft, Refused, collide};
use crate::provision::intern::Sym;
use crate::provision::problem::{Demand, Problem};
use crate::provision::topology::{Domain, Place};
use crate::why::TopologyRule;

/// A schedule in the making.
#[derive(Debug)]
pub(crate) struct Schedule<'a, 'b> {
    pub(crate) problem: &'a mut Problem<'b>,
    /// New nodes. Their places follow those of the existing nodes.
    pub(crate) drafts: Vec<Draft>,
}

/// What one group may still try.
struct Options {
    /// Existing nodes that may still take a pod, in order.
    existing: Vec<Place>,
    /// New nodes that may still take a pod, those with the fewest pods first.
    drafts: BinaryHeap<Reverse<(u32, usize)>>,
    /// NodePools that may still have a new node for it.
    templates: Vec<usize>,
}

impl<'a, 'b> Schedule<'a, 'b> {
    pub(crate) const fn new(problem: &'a mut Problem<'b>) -> Self {
        Self { problem, drafts: Vec::new() }
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
        let drafts = self.drafts.iter().enumerate().filter(|(_, draft)| {
            let taints = &self.problem.templates[draft.template].pool.taints;
            untolerated(taints, &demand.group.spec.tolerations).is_none()
        });
        Options {
            existing: existing.collect(),
            drafts: drafts.map(|(at, draft)| Reverse((draft.pods, at))).collect(),
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
            && demand.alternatives.iter().any(|term| node.fulfils(&term.wanted, self.problem.interner))
    }

    fn place_one(&mut self, demand: usize, options: &mut Options) -> Option<Place> {
        let existing = self.place_on_existing(demand, &mut options.existing);
        existing
            .or_else(|| self.place_on_draft(demand, &mut options.drafts))
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
        if !amounts::fits(&demand.requests, &node.free) {
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
            let domain = self.domain(place, rule.label, &rule.what.key);
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

    fn place_on_draft(&mut self, at: usize, open: &mut BinaryHeap<Reverse<(u32, usize)>>) -> Option<Place> {
        let mut later = Vec::new();
        let mut found = None;
        while let Some(Reverse((pods, draft))) = open.pop() {
            match self.joined(draft, at) {
                Ok(shape) => {
                    self.drafts[draft].shape = shape;
                    let place = self.problem.existing.len() + draft;
                    self.take(place, at);
                    open.push(Reverse((pods + 1, draft)));
                    found = Some(place);
                    break;
                }
                Err(refused) if self.is_final(refused) => {}
                Err(_) => later.push(Reverse((pods, draft))),
            }
        }
        open.extend(later);
        found
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
                    self.drafts.push(Draft { requests: Amounts::new(), pods: 0, ..draft });
                    self.take(place, at);
                    options.drafts.push(Reverse((1, self.drafts.len() - 1)));
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
        let (row, ports) = {
            let demand = &self.problem.demands[demand];
            (demand.requests.clone(), demand.group.spec.host_ports.clone())
        };
        match place.checked_sub(self.problem.existing.len()) {
            None => {
                let node = &mut self.problem.existing[place];
                amounts::subtract(&mut node.free, &row);
                node.host_ports.extend(ports);
            }
            Some(draft) => {
                let draft = &mut self.drafts[draft];
                if draft.pods > 0 {
                    draft.host_ports.extend(ports);
                }
                amounts::add(&mut draft.requests, &row);
                draft.pods += 1;
            }
        }
    }

    /// Takes one pod of a group away again from an existing node.
    pub(crate) fn give_back(&mut self, place: Place, demand: usize) {
        self.count(place, demand, Count::Down);
        let Demand { requests, group, .. } = &self.problem.demands[demand];
        let (row, ports) = (requests.clone(), group.spec.host_ports.clone());
        let node = &mut self.problem.existing[place];
        amounts::add(&mut node.free, &row);
        for port in ports {
            if let Some(at) = node.host_ports.iter().position(|taken| *taken == port) {
                node.host_ports.remove(at);
            }
        }
    }

    fn count(&mut self, place: Place, demand: usize, count: Count) {
        let concern = self.problem.demands[demand].concern.clone();
        for at in concern.meant {
            if let Some(domain) = self.domain_of_rule(place, at) {
                match count {
                    Count::Up => self.problem.rules[at].add(domain, 1),
                    Count::Down => self.problem.rules[at].remove(domain, 1),
                }
            }
        }
        for at in concern.own {
            if let Some(domain) = self.domain_of_rule(place, at) {
                match count {
                    Count::Up => self.problem.rules[at].add_owner(domain, 1),
                    Count::Down => self.problem.rules[at].remove_owner(domain, 1),
                }
            }
        }
    }

    fn domain_of_rule(&self, place: Place, rule: usize) -> Option<Domain> {
        let rule = &self.problem.rules[rule];
        self.domain(place, rule.label, &rule.what.key)
    }

    /// The domain that a place is in. A new node that could be in several is in none yet.
    fn domain(&self, place: Place, label: Option<Sym>, key: &str) -> Option<Domain> {
        let Some(label) = label else { return Some(Domain::Host(place)) };
        match place.checked_sub(self.problem.existing.len()) {
            None => self.problem.existing[place].value(key, self.problem.interner).map(Domain::Label),
            Some(draft) => {
                let draft = &self.drafts[draft];
                let universe = &self.problem.universes[self.problem.templates[draft.template].universe];
                match draft.shape.domains(label, universe)?.as_slice() {
                    [only] => Some(Domain::Label(*only)),
                    _ => None,
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Count {
    Up,
    Down,
}
