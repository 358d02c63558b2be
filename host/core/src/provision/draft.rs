//! A new node in the making: what it may still become, given the pods that are on it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::model::pod::HostPort;
use crate::model::price::Price;
use crate::provision::amounts::Amounts;
use crate::provision::bits::Bits;
use crate::provision::intern::Sym;
use crate::provision::listing::lacking_values;
use crate::provision::places::is_tolerated;
use crate::provision::problem::{Alternative, Demand, Problem};
use crate::provision::requirements::{self, Values};
use crate::provision::template::{Shape, Template};
use crate::provision::topology::{Concern, Domain, Place};
use crate::provision::universe::ways::CapacityMask;
use crate::provision::universe::{Axis, Universe, ZoneMask};
use crate::why::TopologyRule;

/// A new node in the making.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) template: usize,
    pub(crate) shape: Shape,
    /// What its pods ask for, DaemonSet pods not included.
    pub(crate) requests: Amounts,
    pub(crate) pods: u32,
    pub(crate) host_ports: Vec<HostPort>,
    /// What it has been charged to its NodePool's limits.
    pub(crate) charged: Amounts,
    /// The ways to buy it from a capacity reservation of which it holds an instance. With any, it is bought no other way.
    pub(crate) held: CapacityMask,
    /// The demand that joined last, with the values that it is bound to of each label that concerns it. Another pod of
    /// the same kind need not be asked about labels again.
    pub(crate) last: Option<(usize, Vec<Option<Sym>>)>,
}

/// The first rule by which a pod is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Taint,
    HostPort,
    Labels,
    InstanceTypes,
    MinValues {
        key: Sym,
        wanted: u32,
        left: u32,
    },
    Limit,
    Topology {
        rule: usize,
    },
    /// A new node could be bought from capacity reservations, and others hold all that is left of them.
    Reserved,
}

/// Whether labels that rules are about are settled as a pod joins, or were before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settle {
    Now,
    /// The pods have been given a domain, and are counted there.
    Before,
}

/// A pod's way onto a new node, or that of several pods of a kind at once.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) template: &'a Template,
    pub(crate) shape: &'a Shape,
    pub(crate) requests: &'a [u64],
    pub(crate) host_ports: &'a [HostPort],
    pub(crate) place: Place,
    /// What it holds of capacity reservations.
    pub(crate) held: CapacityMask,
    /// How many pods join.
    pub(crate) pods: u32,
    pub(crate) settle: Settle,
}

impl Problem<'_> {
    /// What a new node can still become once a pod of `demand` joins it.
    pub(crate) fn join(&self, onto: &Candidate<'_>, demand: &Demand) -> Result<Shape, Refused> {
        // Looked at first, because it is what most often refuses and costs least to ask.
        if let Some(rule) = self.refusing(&demand.concern, None, Domain::Host(onto.place)) {
            return Err(Refused::Topology { rule });
        }
        if collide(&demand.group.spec.host_ports, onto.host_ports) {
            return Err(Refused::HostPort);
        }
        let mut first = None;
        for alternative in &demand.alternatives {
            match self.join_as(onto, demand, alternative) {
                Ok(shape) => return Ok(shape),
                Err(refused) => first = first.or(Some(refused)),
            }
        }
        Err(first.unwrap_or(Refused::Labels))
    }

    /// The same for a pod that is like the last one that joined: only room and rules on other pods may have changed.
    /// `None` when nothing of the shape changes.
    pub(crate) fn join_again(
        &self,
        onto: &Candidate<'_>,
        demand: &Demand,
        settled: &[Option<Sym>],
    ) -> Result<Option<Bits>, Refused> {
        let concern = &demand.concern;
        if let Some(rule) = self.refusing(concern, None, Domain::Host(onto.place)) {
            return Err(Refused::Topology { rule });
        }
        if collide(&demand.group.spec.host_ports, onto.host_ports) {
            return Err(Refused::HostPort);
        }
        let mut types = onto.shape.types.clone();
        self.keep_holding(&mut types, onto, demand);
        if types.is_empty() {
            return Err(Refused::InstanceTypes);
        }
        for (label, value) in concern.labels.iter().zip(settled) {
            if let Some(value) = value
                && let Some(rule) = self.refusing(concern, Some(*label), Domain::Label(*value))
            {
                return Err(Refused::Topology { rule });
            }
        }
        if types == onto.shape.types {
            return Ok(None);
        }
        if !onto.template.min_values.is_empty() || onto.held != 0 {
            let shape = Shape { types, ..onto.shape.clone() };
            self.check_min_values(onto.template, &shape)?;
            if self.loses_its_reservations(onto, &shape) {
                return Err(Refused::InstanceTypes);
            }
            return Ok(Some(shape.types));
        }
        Ok(Some(types))
    }

    fn join_as(
        &self,
        onto: &Candidate<'_>,
        demand: &Demand,
        alternative: &Alternative,
    ) -> Result<Shape, Refused> {
        let template = onto.template;
        let mask = &alternative.masks[template.universe];
        let zones = onto.shape.zones & mask.zones;
        let capacity_types = onto.shape.capacity_types & mask.capacity_types;
        let mut types = onto.shape.types.clone();
        types.intersect(&mask.types);
        if zones == 0 || capacity_types == 0 || types.is_empty() {
            return Err(Refused::Labels);
        }
        let custom = if mask.is_plain() {
            Arc::clone(&onto.shape.custom)
        } else {
            Arc::new(mask.join(&onto.shape.custom, self.interner).ok_or(Refused::Labels)?)
        };
        self.keep_holding(&mut types, onto, demand);
        if zones != onto.shape.zones || capacity_types != onto.shape.capacity_types {
            self.universes[template.universe].keep_offered(&mut types, zones, capacity_types);
        }
        if types.is_empty() {
            return Err(Refused::InstanceTypes);
        }
        let mut shape = Shape { types, zones, capacity_types, custom };
        let unsettled = match onto.settle {
            Settle::Now => demand.concern.labels.as_slice(),
            Settle::Before => &[],
        };
        for label in unsettled {
            self.settle(&mut shape, template, &demand.concern, *label)?;
        }
        self.check_min_values(template, &shape)?;
        if self.loses_its_reservations(onto, &shape) {
            return Err(Refused::InstanceTypes);
        }
        Ok(shape)
    }

    /// Drops the types that cannot hold the pod too, besides the DaemonSet pods that they will run.
    fn keep_holding(&self, types: &mut Bits, onto: &Candidate<'_>, demand: &Demand) {
        let universe = &self.universes[onto.template.universe];
        let ports = &demand.group.spec.host_ports;
        let joining = if onto.pods == 1 {
            Cow::Borrowed(demand.requests.as_slice())
        } else {
            let pods = u64::from(onto.pods);
            Cow::Owned(demand.requests.iter().map(|amount| amount.saturating_mul(pods)).collect())
        };
        let rows = |daemons| [onto.requests, &*joining, daemons];
        if let [everywhere] = onto.template.overheads.as_slice()
            && ports.is_empty()
        {
            universe.keep_fitting(types, &rows(everywhere.requests.as_slice()));
            return;
        }
        let mut holding = Bits::none(universe.len());
        for overhead in &onto.template.overheads {
            let mut part = types.clone();
            part.intersect(&overhead.types);
            if !part.is_empty() && !collide(ports, &overhead.host_ports) {
                universe.keep_fitting(&mut part, &rows(overhead.requests.as_slice()));
                holding.unite(&part);
            }
        }
        *types = holding;
    }

    fn check_min_values(&self, template: &Template, shape: &Shape) -> Result<(), Refused> {
        if template.min_values.is_empty() || !self.is_strict() {
            return Ok(());
        }
        match lacking_values(template, shape, &self.universes[template.universe]) {
            Some((key, wanted, left)) => Err(Refused::MinValues { key, wanted, left }),
            None => Ok(()),
        }
    }

    /// Narrows a new node to one domain of a label that a rule is about.
    ///
    /// A node that a rule counts is bound to one domain at once. Karpenter leaves it open and then takes every
    /// domain as occupied, so that zonal anti-affinity needs several rounds; bound, one round does.
    fn settle(
        &self,
        shape: &mut Shape,
        template: &Template,
        concern: &Concern,
        label: Sym,
    ) -> Result<(), Refused> {
        let universe = &self.universes[template.universe];
        if let Some(value) = shape.only(label, universe) {
            if let Some(rule) = self.refusing(concern, Some(label), Domain::Label(value)) {
                return Err(Refused::Topology { rule });
            }
            self.state(shape, universe, label, value);
            return Ok(());
        }
        let values = shape.domains(label, universe);
        // Without the label there is no domain: nothing to be near to, nothing to keep away from.
        let is_absent = values.as_ref().is_some_and(Vec::is_empty);
        let minds = |rule: &&usize| {
            let rule = &self.rules[**rule];
            rule.label == Some(label) && !(is_absent && rule.what.rule == TopologyRule::AntiAffinity)
        };
        let mut refusing: Vec<_> = concern.own.iter().filter(minds).copied().collect();
        let mut choices = Vec::new();
        for value in values.unwrap_or_default() {
            match self.refusing(concern, Some(label), Domain::Label(value)) {
                Some(rule) => refusing.push(rule),
                None => choices.push((self.pods_in(concern, label, value), value)),
            }
        }
        if let Some(chosen) = self.best_of(shape, (universe, label), choices) {
            *shape = chosen;
            return Ok(());
        }
        // Always the same of several, and one that may change its mind rather than one that will not.
        match refusing.into_iter().min_by_key(|rule| &self.rules[*rule].what) {
            Some(rule) => Err(Refused::Topology { rule }),
            // Rules of others count these pods over a label that the node will not have: nothing to count.
            None => Ok(()),
        }
    }

    /// The shape with one of the values chosen for a label that leave anything of it: of those with the fewest pods
    /// the cheapest, and of these the first by name.
    fn best_of(
        &self,
        shape: &Shape,
        (universe, label): (&Universe, Sym),
        mut choices: Vec<(u32, Sym)>,
    ) -> Option<Shape> {
        choices.sort_by_key(|(pods, value)| (*pods, self.interner.text(*value)));
        // A label that no instance type has says nothing about prices: the first will do.
        let is_priced = universe.axis(label) != Axis::Custom;
        for equal in choices.chunk_by(|left, right| left.0 == right.0) {
            let mut shapes =
                equal.iter().filter_map(|(_, value)| self.chosen(shape, universe, label, *value));
            // The first of the cheapest, because they are in the order of their names.
            let best = if is_priced {
                shapes.map(|chosen| (universe.cheapest_of(&chosen), chosen)).min_by_key(|(price, _)| *price)
            } else {
                shapes.next().map(|chosen| (Price::ZERO, chosen))
            };
            if let Some((_, chosen)) = best {
                return Some(chosen);
            }
        }
        None
    }

    /// The shape with one value chosen for a label, if anything is left of it then.
    fn chosen(&self, shape: &Shape, universe: &Universe, label: Sym, value: Sym) -> Option<Shape> {
        let mut chosen = shape.clone();
        chosen.restrict(label, &Values::of([value]), universe, self.interner).ok()?;
        universe.keep_offered(&mut chosen.types, chosen.zones, chosen.capacity_types);
        self.state(&mut chosen, universe, label, value);
        (!chosen.types.is_empty()).then_some(chosen)
    }

    /// Lets the launch say which value a rule counts its pods by. Until an instance is there nothing else says it.
    fn state(&self, shape: &mut Shape, universe: &Universe, label: Sym, value: Sym) {
        let is_said = requirements::get(&shape.custom, label).is_some();
        if universe.axis(label) == Axis::Single && !is_said {
            let custom = Arc::make_mut(&mut shape.custom);
            requirements::add(custom, label, Values::of([value]), self.interner);
        }
    }

    /// The first rule over `label` (`None`: the hostname) that does not let a pod into a domain.
    pub(crate) fn refusing(&self, concern: &Concern, label: Option<Sym>, domain: Domain) -> Option<usize> {
        let about = |rule: &&usize| self.rules[**rule].label == label;
        let refuses =
            |rule: &&usize| !self.rules[**rule].allows(domain, concern.meant.binary_search(rule).is_ok());
        let own = concern.own.iter().filter(about).find(refuses);
        let intolerant = |rule: &&usize| !self.rules[**rule].tolerates(domain);
        own.or_else(|| concern.repelled.iter().filter(about).find(intolerant)).copied()
    }

    /// How many pods a zone or another domain has in the eyes of the spreads that pods hold to.
    pub(crate) fn pods_in(&self, concern: &Concern, label: Sym, value: Sym) -> u32 {
        let spreads = concern.own.iter().map(|rule| &self.rules[*rule]);
        let spreads = spreads.filter(|r| r.label == Some(label) && r.what.rule == TopologyRule::Spread);
        spreads.map(|rule| rule.pods_in(Domain::Label(value))).max().unwrap_or(0)
    }

    /// A new node of a NodePool for a pod of `demand`, which is not on it yet.
    pub(crate) fn open(&self, template: usize, demand: &Demand, place: Place) -> Result<Draft, Refused> {
        self.open_in(template, demand, (place, ZoneMask::MAX, Settle::Now))
    }

    /// The same in some zones only, and perhaps with its domains chosen before.
    pub(crate) fn open_in(
        &self,
        template: usize,
        demand: &Demand,
        (place, zones, settle): (Place, ZoneMask, Settle),
    ) -> Result<Draft, Refused> {
        let at = template;
        let template = &self.templates[at];
        if !is_tolerated(&template.pool.taints, &demand.group.spec.tolerations, demand.soft) {
            return Err(Refused::Taint);
        }
        let universe = &self.universes[template.universe];
        let mut empty = Cow::Borrowed(&template.shape);
        if template.shape.zones & !zones != 0 {
            let shape = empty.to_mut();
            shape.zones &= zones;
            universe.keep_offered(&mut shape.types, shape.zones, shape.capacity_types);
        }
        let onto = Candidate {
            template,
            shape: &empty,
            requests: &[],
            host_ports: &[],
            place,
            held: 0,
            pods: 1,
            settle,
        };
        let mut within = Cow::Borrowed(&*empty);
        if !template.room.is_unlimited() {
            template.room.keep_within(&mut within.to_mut().types, universe);
        }
        // What would break a limit is left out first, because the cheapest domain of what is left may be another.
        let mut shape = match self.join(&Candidate { shape: &within, ..onto }, demand) {
            Ok(shape) => shape,
            Err(refused) if within.types == empty.types => return Err(refused),
            Err(refused) => {
                let full = self.join(&onto, demand)?;
                return Err(if within.types.intersects(&full.types) { refused } else { Refused::Limit });
            }
        };
        let held = self.held_by(template, &mut shape)?;
        let charged =
            if template.room.is_unlimited() { Amounts::new() } else { universe.largest(&shape.types) };
        let (requests, host_ports) = (Amounts::new(), Vec::new());
        Ok(Draft { template: at, shape, requests, pods: 0, host_ports, charged, held, last: None })
    }
}

impl Draft {
    /// What a launch of it may list: with anything held of capacity reservations, that alone.
    pub(crate) fn listed(&self, universe: &Universe) -> Cow<'_, Shape> {
        if self.held == 0 {
            return Cow::Borrowed(&self.shape);
        }
        let mut shape = Shape { capacity_types: self.held, ..self.shape.clone() };
        universe.keep_offered(&mut shape.types, shape.zones, shape.capacity_types);
        Cow::Owned(shape)
    }
}

/// Whether two lists of host ports take the same port on the same address.
pub(crate) fn collide(left: &[HostPort], right: &[HostPort]) -> bool {
    const EVERYWHERE: [&str; 3] = ["", "0.0.0.0", "::"];
    left.iter().any(|port| {
        right.iter().any(|other| {
            let everywhere = [&port.ip, &other.ip].iter().any(|ip| EVERYWHERE.contains(&ip.as_str()));
            port.port == other.port && port.protocol == other.protocol && (everywhere || port.ip == other.ip)
        })
    })
}
