//! How many instance types each rule costs, in a fixed order. Each goes on with what those before it have left, so that
//! the counts add up; only of resources a type may lack several, and each is counted.

use crate::model::node_pool::NodePool;
use crate::model::resources::PODS;
use crate::provision::amounts;
use crate::provision::bits::Bits;
use crate::provision::draft::collide;
use crate::provision::intern::Sym;
use crate::provision::problem::{Demand, Problem, Withdrawn};
use crate::provision::requirements::Values;
use crate::provision::template::{Shape, Template, stated_shape, wanted_text};
use crate::provision::universe::ways::{CapacityMask, all_of};
use crate::provision::universe::{Axis, STANDARD_AXES, Universe, ZoneMask};
use crate::why::Why;
use crate::why::lost::{Lost, LostTo};

/// Instance types from which one rule after the other takes its share.
struct Left {
    types: Bits,
    lost: Vec<Lost>,
}

impl Left {
    /// Goes on with `kept`, which is what a rule leaves.
    fn keep(&mut self, kept: Bits, to: impl FnOnce() -> LostTo) {
        let lost = self.types.count() - kept.count();
        if lost > 0 {
            self.lost.push(Lost { instance_types: count(lost), to: to() });
        }
        self.types = kept;
    }
}

fn count(types: usize) -> u32 {
    u32::try_from(types).unwrap_or(u32::MAX)
}

impl Problem<'_> {
    /// What costs a NodePool all of its instance types: the pod's labels, host ports, each resource, room for pods, what
    /// is sold, what EC2 has refused, limits.
    pub(super) fn why_types(&mut self, at: usize, demand: &Demand) -> Why {
        let stated = self.stated(at);
        let Some(alternative) = demand.alternatives.first() else { return Why::HostPort };
        let template = &self.templates[at];
        let universe = &self.universes[template.universe];
        let types = self.ever_offered(template.universe, &stated);
        let considered = count(types.count());
        let mut left = Left { types, lost: Vec::new() };
        let mut wanted: Vec<_> = alternative.wanted.iter().collect();
        wanted.sort_unstable_by_key(|(key, _)| self.interner.text(*key));
        for (key, values) in wanted {
            self.count_label(&mut left, universe, (*key, values));
        }
        count_host_ports(&mut left, template, demand);
        self.count_resources(&mut left, template, &demand.requests);
        let mask = &alternative.masks[template.universe];
        let open = (stated.zones & mask.zones, stated.capacity_types & mask.capacity_types);
        self.count_offered(&mut left, template.universe, open);
        for (axis, room) in template.room.amounts.iter().enumerate() {
            let Some(room) = *room else { continue };
            let mut kept = left.types.clone();
            let too_large = |at: &usize| amounts::at(&universe.capacity[*at], axis) > room;
            left.types.iter().filter(too_large).for_each(|at| kept.remove(at));
            left.keep(kept, || LostTo::Limit { resource: self.axes.name(axis).to_owned(), left: room });
        }
        if let [Lost { to: LostTo::HostPort, .. }] = left.lost.as_slice() {
            return Why::HostPort;
        }
        Why::InstanceTypes { considered, lost: left.lost }
    }

    /// A NodePool that has no instance type now and will have when EC2 is asked again says so.
    pub(crate) fn closed_for_now(&mut self, pool: &NodePool, classes: &[String], why: Why) -> Why {
        let universe = classes.iter().position(|name| *name == pool.node_class);
        let (Why::InstanceTypes { .. }, Some(at)) = (&why, universe) else { return why };
        let Ok(stated) = stated_shape(pool, &self.universes[at], self.interner) else { return why };
        let mut left = Left { types: stated.types.clone(), lost: Vec::new() };
        let considered = count(left.types.count());
        self.count_offered(&mut left, at, (stated.zones, stated.capacity_types));
        Why::InstanceTypes { considered, lost: left.lost }
    }

    /// What a new node of a NodePool could be if EC2 had refused nothing.
    pub(super) fn shape_some_day(&mut self, at: usize) -> Shape {
        let universe = self.templates[at].universe;
        if !self.withdrawn.iter().any(|one| one.universe == universe) {
            return self.templates[at].shape.clone();
        }
        let stated = self.stated(at);
        Shape { types: self.ever_offered(universe, &stated), ..stated }
    }

    /// What a NodePool says, whether or not it can be bought now.
    fn stated(&mut self, at: usize) -> Shape {
        let template = &self.templates[at];
        let universe = &self.universes[template.universe];
        let stated = stated_shape(&template.pool, universe, self.interner);
        stated.unwrap_or_else(|_| template.shape.clone())
    }

    /// The types of a shape that are sold somewhere in it, those included that EC2 has refused of late.
    fn ever_offered(&self, universe: usize, shape: &Shape) -> Bits {
        let mut types = shape.types.clone();
        self.universes[universe].keep_offered(&mut types, shape.zones, shape.capacity_types);
        let refused = self.refused(universe, (shape.zones, shape.capacity_types), &shape.types);
        types.unite(&refused);
        types
    }

    /// Those of `types` that EC2 has refused of late in one of these zones in one of these ways.
    fn refused(&self, universe: usize, (zones, ways): (ZoneMask, CapacityMask), types: &Bits) -> Bits {
        let mut refused = Bits::none(self.universes[universe].len());
        for one in self.withdrawn.iter().filter(|one| one.universe == universe) {
            let is_open = zones & (1 << one.zone) != 0 && ways & all_of(one.capacity_type) != 0;
            if is_open && types.contains(one.instance_type) {
                refused.insert(one.instance_type);
            }
        }
        refused
    }

    fn count_label(&self, left: &mut Left, universe: &Universe, (key, values): (Sym, &Values)) {
        let of_types = match universe.axis(key) {
            Axis::Single | Axis::Several => true,
            // No type lacks these: what they cost is counted by what is sold, or is no matter of types.
            Axis::Zone
            | Axis::ZoneId
            | Axis::CapacityType
            | Axis::ReservationId
            | Axis::ReservationType
            | Axis::Hostname
            | Axis::Custom => false,
        };
        if !of_types {
            return;
        }
        let mut kept = left.types.clone();
        kept.intersect(&universe.matching(key, values, self.interner));
        left.keep(kept, || LostTo::Label {
            key: self.interner.text(key).to_owned(),
            wanted: wanted_text(key, values, self.interner),
        });
    }

    /// The resources that a pod asks for: the standard ones first, then by name, room for pods last.
    pub(super) fn axes_of(&self, requests: &[u64]) -> Vec<usize> {
        let mut axes: Vec<_> = (0..requests.len()).filter(|axis| requests[*axis] > 0).collect();
        // Others are numbered as they are met, which must not show.
        axes.sort_by_key(|axis| {
            let name = self.axes.name(*axis);
            let is_standard = *axis < STANDARD_AXES;
            (name == PODS, !is_standard, if is_standard { *axis } else { 0 }, name)
        });
        axes
    }

    /// What each resource costs, for itself, because a pod may be too large in several ways.
    fn count_resources(&self, left: &mut Left, template: &Template, requests: &[u64]) {
        let universe = &self.universes[template.universe];
        let before = left.types.clone();
        for axis in self.axes_of(requests) {
            let (resource, wanted) = (self.axes.name(axis), requests[axis]);
            let mut kept = Bits::none(universe.len());
            for (mut part, taken) in parts(template, &before) {
                let mut row = vec![0; axis + 1];
                row[axis] = amounts::at(taken, axis).saturating_add(wanted);
                universe.keep_fitting(&mut part, &[&row]);
                kept.unite(&part);
            }
            left.types.intersect(&kept);
            let lost = before.count() - kept.count();
            if lost > 0 {
                let largest = largest_for_pods(template, universe, &before, axis);
                let resource = resource.to_owned();
                let to = match resource.as_str() {
                    PODS => LostTo::Pods,
                    _ => LostTo::Resource { resource, wanted, largest },
                };
                left.lost.push(Lost { instance_types: count(lost), to });
            }
        }
    }

    fn count_offered(&self, left: &mut Left, universe: usize, open: (ZoneMask, CapacityMask)) {
        let mut offered = left.types.clone();
        self.universes[universe].keep_offered(&mut offered, open.0, open.1);
        let mut sold = self.refused(universe, open, &left.types);
        let refused = sold.clone();
        sold.unite(&offered);
        left.keep(sold, || LostTo::NotOffered);
        let is_open =
            |one: &Withdrawn| open.0 & (1 << one.zone) != 0 && open.1 & all_of(one.capacity_type) != 0;
        let counted = |at: usize| refused.contains(at) && !offered.contains(at);
        let until = self
            .withdrawn
            .iter()
            .filter(|one| one.universe == universe && counted(one.instance_type) && is_open(one));
        let until = until.map(|one| one.until).min();
        left.keep(offered.clone(), || {
            until.map_or(LostTo::NotOffered, |until| LostTo::Unavailable { until })
        });
    }
}

/// Instance types by what DaemonSets take on them. Those that no DaemonSet was asked about are one part.
fn parts<'a>(template: &'a Template, types: &Bits) -> Vec<(Bits, &'a [u64])> {
    let mut rest = types.clone();
    let mut parts = Vec::with_capacity(template.overheads.len() + 1);
    for overhead in &template.overheads {
        let mut part = rest.clone();
        part.intersect(&overhead.types);
        rest.subtract(&overhead.types);
        parts.push((part, overhead.requests.as_slice()));
    }
    parts.push((rest, [].as_slice()));
    parts
}

/// The most of a resource that any of `types` has for pods, once DaemonSets have taken their share.
pub(super) fn largest_for_pods(template: &Template, universe: &Universe, types: &Bits, axis: usize) -> u64 {
    let most = parts(template, types).into_iter().map(|(part, taken)| {
        let there = part.iter().map(|at| amounts::at(universe.allocatable(at), axis)).max();
        there.unwrap_or(0).saturating_sub(amounts::at(taken, axis))
    });
    most.max().unwrap_or(0)
}

fn count_host_ports(left: &mut Left, template: &Template, demand: &Demand) {
    let ports = &demand.group.spec.host_ports;
    if ports.is_empty() {
        return;
    }
    let mut kept = left.types.clone();
    for overhead in template.overheads.iter().filter(|overhead| collide(ports, &overhead.host_ports)) {
        kept.subtract(&overhead.types);
    }
    left.keep(kept, || LostTo::HostPort);
}
