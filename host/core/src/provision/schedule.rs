//! Putting pods on nodes, in Karpenter's order: the largest first; on nodes that are there, else on the new node
//! with the fewest pods that will do, else on a new node of the first NodePool that will do.
//!
//! Pods of one group are equal, so what refuses one of them for good refuses all: each group looks at each node
//! at most once more than it puts pods there.

mod count;
mod looks;
mod saved;
mod settled;

use std::borrow::Cow;

use crate::provision::amounts;
use crate::provision::bits::Bits;
use crate::provision::draft::{Candidate, Draft, Refused, Settle, collide};
use crate::provision::order::Order;
use crate::provision::places::is_tolerated;
use crate::provision::problem::{Demand, Problem};
use crate::provision::schedule::looks::Looks;
use crate::provision::template::Shape;
use crate::provision::topology::{Count, Domain, Place};
use crate::provision::universe::STANDARD_AXES;
use crate::why::TopologyRule;

/// A schedule in the making.
#[derive(Debug)]
pub(crate) struct Schedule<'a, 'b> {
    pub(crate) problem: &'a mut Problem<'b>,
    /// New nodes. Their places follow those of the existing nodes.
    pub(crate) drafts: Vec<Draft>,
    pub(crate) looks: Looks,
    order: Order,
    /// The most that each place may still have of the standard resources. An existing node has exactly that; a new one
    /// may turn out to have less.
    rooms: Vec<[u64; STANDARD_AXES]>,
    /// The new nodes of each template, as places.
    by_template: Vec<Bits>,
}

/// What one group may still try on one rung.
struct Options {
    demand: usize,
    /// Existing nodes that may still take a pod, in order.
    existing: Vec<Place>,
    /// New nodes that will never take a pod of this group.
    refusing: Bits,
    /// NodePools that may still have a new node for it.
    templates: Vec<usize>,
    /// Whether they wait for a capacity reservation that others hold, rather than giving anything up.
    waits: bool,
}

/// What becomes of a new node when one more pod joins.
enum Joined {
    Unchanged,
    Types(Bits),
    Shape(Shape),
}

impl<'a, 'b> Schedule<'a, 'b> {
    pub(crate) fn new(problem: &'a mut Problem<'b>) -> Self {
        let rooms = problem.existing.iter().map(|node| standard(&node.free)).collect();
        let by_template = vec![Bits::default(); problem.templates.len()];
        let (drafts, order, looks) = (Vec::new(), Order::default(), Looks::of(problem.settings.looks));
        Self { problem, drafts, looks, order, rooms, by_template }
    }

    /// Puts up to `pods` pods of a group somewhere, and says where. Those for which there is no place are not
    /// among the answers.
    ///
    /// Each pod is tried with all its wishes first, and then with fewer and fewer.
    pub(crate) fn place(&mut self, demand: usize, pods: usize) -> Vec<Place> {
        let mut rungs: Vec<Options> = Vec::new();
        let mut places = Vec::with_capacity(pods);
        while places.len() < pods
            && let Some(place) = self.place_one(demand, &mut rungs)
        {
            places.push(place);
        }
        self.looks.end_turn(demand, pods - places.len());
        places
    }

    /// The same with the wishes of this rung only.
    pub(crate) fn place_on_this_rung(&mut self, demand: usize, pods: usize) -> Vec<Place> {
        let mut options = self.options(demand);
        let mut places = Vec::new();
        while places.len() < pods
            && let Some(place) = self.place_on_rung(&mut options)
        {
            places.push(place);
        }
        places
    }

    fn place_one(&mut self, demand: usize, rungs: &mut Vec<Options>) -> Option<Place> {
        let mut next = Some(demand);
        let mut rung = 0;
        while let Some(demand) = next {
            if rungs.len() == rung {
                rungs.push(self.options(demand));
            }
            if let Some(place) = self.place_on_rung(&mut rungs[rung]) {
                return Some(place);
            }
            if rungs[rung].waits {
                return None;
            }
            next = self.problem.demands[demand].gentler;
            rung += 1;
        }
        None
    }

    fn place_on_rung(&mut self, options: &mut Options) -> Option<Place> {
        self.place_on_existing(options)
            .or_else(|| self.place_on_draft(options))
            .or_else(|| self.place_on_new(options))
    }

    fn options(&mut self, at: usize) -> Options {
        let Problem { demands, places, existing, interner, templates, .. } = &mut *self.problem;
        let demand = &demands[at];
        let tolerations = &demand.group.spec.tolerations;
        let mut open = Bits::none(existing.len());
        if !existing.is_empty() {
            for alternative in &demand.alternatives {
                open.unite(&places.fulfilling(&alternative.wanted, existing, interner));
            }
            open.intersect(&places.tolerated(tolerations, demand.soft));
        }
        let wanted = standard(&demand.requests);
        let has_room = |place: &Place| holds(&self.rooms[*place], &wanted);
        let mut refusing = Bits::default();
        let mut welcome = Vec::with_capacity(templates.len());
        for (at, template) in templates.iter().enumerate() {
            if is_tolerated(&template.pool.taints, tolerations, demand.soft) {
                welcome.push(at);
            } else {
                refusing.unite_growing(&self.by_template[at]);
            }
        }
        Options {
            demand: at,
            existing: open.iter().filter(has_room).collect(),
            refusing,
            templates: welcome,
            waits: false,
        }
    }

    /// Whether pods of a group could run on an existing node at all.
    pub(crate) fn may_run(&self, place: Place, demand: &Demand) -> bool {
        let node = &self.problem.existing[place];
        let spec = &demand.group.spec;
        amounts::fits(&demand.requests, &node.free)
            && is_tolerated(&node.taints, &spec.tolerations, demand.soft)
            && !collide(&spec.host_ports, &node.host_ports)
            && node.volumes.holds(&demand.group.attachments)
            && demand.alternatives.iter().any(|term| node.fulfils(&term.wanted, self.problem.interner))
    }

    /// Puts up to `pods` pods of a group on nodes that are there, with the wishes of this rung only.
    pub(crate) fn place_on_nodes(&mut self, demand: usize, pods: usize) -> Vec<Place> {
        if self.problem.existing.is_empty() {
            return Vec::new();
        }
        let mut options = self.options(demand);
        let mut places = Vec::new();
        while places.len() < pods
            && let Some(place) = self.place_on_existing(&mut options)
        {
            places.push(place);
        }
        places
    }

    fn place_on_existing(&mut self, options: &mut Options) -> Option<Place> {
        let Options { demand, existing: open, .. } = options;
        let mut tried = 0;
        while tried < open.len() && self.looks.look() {
            let place = open[tried];
            match self.refused_on_existing(place, *demand) {
                None => {
                    self.take(place, *demand);
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
        // Without the label there is no domain: nothing to be near to, nothing to keep away from.
        self.refused_by_others(place, demand, |rule| self.is_anti_affinity(rule))
    }

    /// Why a node that is not launched yet refuses a pod like one that was planned there.
    pub(crate) fn refused_on_undecided(&self, place: Place, demand: usize) -> Option<Refused> {
        let demand = &self.problem.demands[demand];
        let node = &self.problem.existing[place];
        if !node.promised.as_ref().is_some_and(|promised| amounts::fits(&demand.requests, promised)) {
            return Some(Refused::InstanceTypes);
        }
        if collide(&demand.group.spec.host_ports, &node.host_ports) {
            return Some(Refused::HostPort);
        }
        self.refused_by_others(place, demand, |rule| self.allows_without_domain(place, rule))
    }

    /// The domains in which a place is, for all labels that rules of a group are about.
    pub(crate) fn domains_of(&self, place: Place, demand: usize) -> Vec<Option<Domain>> {
        let labels = &self.problem.demands[demand].concern.labels;
        labels.iter().map(|label| self.domain(place, Some(*label))).collect()
    }

    fn is_anti_affinity(&self, rule: usize) -> bool {
        self.problem.rules[rule].what.rule == TopologyRule::AntiAffinity
    }

    /// Whether a rule that keeps pods away has nothing to do with a place, because that will never have its label.
    fn allows_without_domain(&self, place: Place, rule: usize) -> bool {
        self.is_anti_affinity(rule) && !self.is_in_doubt(place, rule)
    }

    /// The rule about others by which an existing node refuses one more pod now. `without` says whether a rule allows a
    /// node without its label.
    fn refused_by_others(
        &self,
        place: Place,
        demand: &Demand,
        without: impl Fn(usize) -> bool,
    ) -> Option<Refused> {
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
                None => without(at),
            };
            if !allowed {
                return Some(Refused::Topology { rule: at });
            }
        }
        None
    }

    /// Whether what refuses a pod now will refuse it for the rest of this schedule: nodes only get fuller, and
    /// pods that keep others away only come; but a spread's emptiest domain may fill up.
    pub(crate) fn is_final(&self, refused: Refused) -> bool {
        match refused {
            Refused::Topology { rule } => self.is_anti_affinity(rule),
            Refused::Taint
            | Refused::HostPort
            | Refused::Labels
            | Refused::InstanceTypes
            | Refused::MinValues { .. }
            | Refused::Limit => true,
            Refused::Reserved => false,
        }
    }

    /// The same of a new node, which may still become several things: what it is narrowed to for a pod, and so what
    /// refuses the pod then, may be something else once other domains are the emptiest.
    fn is_final_on_new(&self, refused: Refused, demand: usize) -> bool {
        let Demand { alternatives, concern, .. } = &self.problem.demands[demand];
        let (is_settled, is_one_way) = (concern.labels.is_empty(), alternatives.len() == 1);
        match refused {
            Refused::Taint | Refused::HostPort => true,
            Refused::Reserved => false,
            Refused::Labels | Refused::InstanceTypes => is_settled || is_one_way,
            Refused::MinValues { .. } | Refused::Limit => is_settled,
            Refused::Topology { rule } if self.problem.rules[rule].label.is_none() => self.is_final(refused),
            Refused::Topology { .. } => is_one_way && concern.labels.len() == 1 && self.is_final(refused),
        }
    }

    fn place_on_draft(&mut self, options: &mut Options) -> Option<Place> {
        let at = options.demand;
        let refused_now = self.refused_by_rules(at);
        let wanted = standard(&self.problem.demands[at].requests);
        // Taken out for a moment, because it is walked through while nodes are looked at.
        let order = std::mem::take(&mut self.order);
        let mut refusing = Vec::new();
        let mut found = None;
        for place in order.outside([&options.refusing, &refused_now]) {
            if !holds(&self.rooms[place], &wanted) {
                refusing.push(place);
                continue;
            }
            if !self.looks.look() {
                break;
            }
            match self.joined(place, at) {
                Ok(joined) => {
                    found = Some((place, joined));
                    break;
                }
                Err(refused) if self.is_final_on_new(refused, at) => refusing.push(place),
                Err(_) => {}
            }
        }
        self.order = order;
        refusing.into_iter().for_each(|place| options.refusing.insert_growing(place));
        let (place, joined) = found?;
        self.become_joined(place, at, joined);
        self.take(place, at);
        Some(place)
    }

    fn become_joined(&mut self, place: Place, demand: usize, joined: Joined) {
        let draft = &mut self.drafts[place - self.problem.existing.len()];
        match joined {
            Joined::Unchanged => return,
            Joined::Types(types) => draft.shape.types = types,
            Joined::Shape(shape) => draft.shape = shape,
        }
        self.problem.release_unusable(draft);
        let is_last = draft.last.as_ref().is_some_and(|(last, _)| *last == demand);
        if !is_last {
            self.note_last(place, demand);
        }
    }

    /// Remembers which demand joined a new node last, and which domains that has bound it to.
    fn note_last(&mut self, place: Place, demand: usize) {
        let at = place - self.problem.existing.len();
        let draft = &self.drafts[at];
        let universe = &self.problem.universes[self.problem.templates[draft.template].universe];
        let labels = &self.problem.demands[demand].concern.labels;
        let settled: Vec<_> = labels.iter().map(|label| draft.shape.only(*label, universe)).collect();
        for (label, value) in labels.iter().zip(&settled) {
            if let Some(value) = value {
                self.order.bind(place, *label, *value);
            }
        }
        self.drafts[at].last = Some((demand, settled));
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

    fn joined(&self, place: Place, at: usize) -> Result<Joined, Refused> {
        let draft = &self.drafts[place - self.problem.existing.len()];
        let template = &self.problem.templates[draft.template];
        let onto = Candidate {
            template,
            shape: &draft.shape,
            requests: &draft.requests,
            host_ports: &draft.host_ports,
            place,
            held: draft.held,
            pods: 1,
            settle: Settle::Now,
        };
        let demand = &self.problem.demands[at];
        // Asked anew, because a gentler rung may have opened the node after this one was first tried.
        if !is_tolerated(&template.pool.taints, &demand.group.spec.tolerations, demand.soft) {
            return Err(Refused::Taint);
        }
        match &draft.last {
            Some((last, settled)) if *last == at => {
                let types = self.problem.join_again(&onto, demand, settled)?;
                Ok(types.map_or(Joined::Unchanged, Joined::Types))
            }
            Some(_) | None => self.problem.join(&onto, demand).map(Joined::Shape),
        }
    }

    fn place_on_new(&mut self, options: &mut Options) -> Option<Place> {
        let (at, place) = (options.demand, self.rooms.len());
        let mut tried = 0;
        while tried < options.templates.len() && self.looks.look() {
            let template = options.templates[tried];
            match self.problem.open(template, &self.problem.demands[at], place) {
                Ok(draft) => {
                    self.add(draft);
                    self.note_last(place, at);
                    self.take(place, at);
                    return Some(place);
                }
                // A lighter NodePool would be another answer to what will have been answered by the next decision.
                Err(Refused::Reserved) => {
                    options.waits = true;
                    return None;
                }
                Err(refused) if self.is_final_on_new(refused, at) => drop(options.templates.remove(tried)),
                Err(_) => tried += 1,
            }
        }
        None
    }

    /// Whether some NodePool would have a new node for a pod.
    pub(crate) fn would_launch_for(&self, demand: usize) -> bool {
        let demand = &self.problem.demands[demand];
        let mut templates = 0..self.problem.templates.len();
        templates.any(|template| self.problem.open(template, demand, self.rooms.len()).is_ok())
    }

    /// Adds a new node without pods.
    pub(crate) fn add(&mut self, draft: Draft) {
        let template = &mut self.problem.templates[draft.template];
        template.room.take(&draft.charged);
        self.problem.reservations.hold(&self.problem.universes[template.universe], draft.held);
        let mut room = self.problem.universes[template.universe].most(&draft.shape.types);
        if let [everywhere] = template.overheads.as_slice() {
            less(&mut room, &standard(&everywhere.requests));
        }
        self.by_template[draft.template].insert_growing(self.rooms.len());
        self.rooms.push(room);
        self.drafts.push(draft);
    }

    /// Puts one pod of a group on a place that will do.
    pub(crate) fn take(&mut self, place: Place, demand: usize) {
        self.count(place, demand, Count::Up);
        self.load(place, demand, 1);
    }

    /// Takes the room that pods of a group need.
    fn load(&mut self, place: Place, demand: usize, pods: u32) {
        let Problem { demands, existing, .. } = &mut *self.problem;
        let Demand { requests, group, .. } = &demands[demand];
        let ports = group.spec.host_ports.iter().cloned();
        let all: Cow<'_, [u64]> = match pods {
            1 => Cow::Borrowed(requests),
            _ => requests.iter().map(|amount| amount.saturating_mul(pods.into())).collect::<Vec<_>>().into(),
        };
        less(&mut self.rooms[place], &standard(&all));
        let Some(at) = place.checked_sub(existing.len()) else {
            let node = &mut existing[place];
            amounts::subtract(&mut node.free, &all);
            node.promised.iter_mut().for_each(|promised| amounts::subtract(promised, &all));
            node.host_ports.extend(ports);
            node.volumes.attach(&group.attachments);
            return;
        };
        let draft = &mut self.drafts[at];
        amounts::add(&mut draft.requests, &all);
        draft.host_ports.extend(ports);
        self.order.promote(place, draft.pods, draft.pods + pods);
        draft.pods += pods;
    }

    /// Takes one pod of a group away again from an existing node.
    pub(crate) fn give_back(&mut self, place: Place, demand: usize) {
        self.count(place, demand, Count::Down);
        let Demand { requests, group, .. } = &self.problem.demands[demand];
        let (row, ports) = (requests.clone(), group.spec.host_ports.clone());
        let node = &mut self.problem.existing[place];
        node.volumes.detach(&group.attachments);
        amounts::add(&mut node.free, &row);
        node.promised.iter_mut().for_each(|promised| amounts::add(promised, &row));
        self.rooms[place] = standard(&node.free);
        for port in ports {
            if let Some(at) = node.host_ports.iter().position(|taken| *taken == port) {
                node.host_ports.remove(at);
            }
        }
    }
}

/// The standard resources of a row.
fn standard(row: &[u64]) -> [u64; STANDARD_AXES] {
    std::array::from_fn(|axis| amounts::at(row, axis))
}

fn holds(room: &[u64; STANDARD_AXES], wanted: &[u64; STANDARD_AXES]) -> bool {
    room.iter().zip(wanted).all(|(room, wanted)| wanted <= room)
}

fn less(room: &mut [u64; STANDARD_AXES], taken: &[u64; STANDARD_AXES]) {
    room.iter_mut().zip(taken).for_each(|(room, taken)| *room = room.saturating_sub(*taken));
}
