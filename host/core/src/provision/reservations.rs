//! Capacity reservations while pods are placed: how many instances each has left, and which new nodes hold them.
//!
//! A reservation may be open to several NodePools and EC2NodeClasses, so what is left of it is counted for all of them
//! together. A new node holds an instance of every reservation that it could still be bought from, because which of
//! them EC2 takes is not known; with every pod that narrows what it may be it lets go of those that fall away. A pod
//! whose node could be bought from a reservation waits while all of them are held, rather than having a node that
//! costs something: the next decision knows what was not needed after all.

use std::collections::BTreeMap;

use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::node::NodeClaim;
use crate::model::requirement::Operator;
use crate::provision::draft::{Candidate, Draft, Refused};
use crate::provision::intern::{Interner, Sym};
use crate::provision::listing::keeps_min_values;
use crate::provision::problem::Problem;
use crate::provision::template::{Shape, Template};
use crate::provision::universe::Universe;
use crate::provision::universe::ways::{CapacityMask, all_of};
use crate::state::Snapshot;

/// How many instances are left of each capacity reservation, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reservations {
    left: BTreeMap<Sym, u32>,
}

impl Reservations {
    /// What is left when everything that runs or is on its way has what it may have.
    pub(crate) fn new<'a>(
        universes: impl Iterator<Item = &'a Universe>,
        snapshot: &Snapshot,
        interner: &Interner,
    ) -> Self {
        let mut left: BTreeMap<Sym, u32> = BTreeMap::new();
        for universe in universes {
            for (_, one) in universe.ways.reservations(CapacityMask::MAX) {
                let known = left.entry(one.id).or_insert(one.instances);
                *known = one.instances.min(*known);
            }
        }
        if !left.is_empty() {
            let claims = snapshot.claims_and_asked().filter(|claim| !snapshot.refused.contains(&claim.name));
            for id in claims.flat_map(ids_of_claim) {
                if let Some(left) = interner.find(id).and_then(|id| left.get_mut(&id)) {
                    *left = left.saturating_sub(1);
                }
            }
        }
        Self { left }
    }

    /// Whether there are none at all.
    pub(crate) fn is_none(&self) -> bool {
        self.left.is_empty()
    }

    /// Those of these ways whose reservation has an instance left.
    pub(crate) fn free(&self, universe: &Universe, ways: CapacityMask) -> CapacityMask {
        let reservations = universe.ways.reservations(ways);
        let free = reservations.filter(|(_, one)| self.left.get(&one.id).is_some_and(|left| *left > 0));
        free.fold(0, |mask, (way, _)| mask | 1 << way)
    }

    /// Holds an instance of each.
    pub(crate) fn hold(&mut self, universe: &Universe, ways: CapacityMask) {
        self.change(universe, ways, |left| left.saturating_sub(1));
    }

    /// Lets go of an instance of each.
    pub(crate) fn release(&mut self, universe: &Universe, ways: CapacityMask) {
        self.change(universe, ways, |left| left.saturating_add(1));
    }

    fn change(&mut self, universe: &Universe, ways: CapacityMask, change: fn(u32) -> u32) {
        for (_, one) in universe.ways.reservations(ways) {
            if let Some(left) = self.left.get_mut(&one.id) {
                *left = change(*left);
            }
        }
    }
}

/// The reservations of which a NodeClaim has an instance, or may come to have one.
fn ids_of_claim(claim: &NodeClaim) -> Vec<&str> {
    if let Some(instance) = &claim.instance {
        return instance.reservation.as_deref().into_iter().collect();
    }
    let listed = claim.requirements.iter().filter(|requirement| {
        requirement.key == labels::RESERVATION_ID && requirement.operator == Operator::In
    });
    listed.flat_map(|requirement| requirement.values.iter().map(String::as_str)).collect()
}

impl Problem<'_> {
    /// Whether a node of this shape can be bought from these reservations alone: a launch lists nothing beside them, and
    /// the NodePool's minimum of distinct values may have to be kept.
    fn will_do(&self, template: &Template, shape: &Shape, reserved: CapacityMask) -> bool {
        let universe = &self.universes[template.universe];
        reserved != 0
            && (!self.is_strict() || keeps_min_values(template, &shape.types, shape, universe, reserved))
    }

    /// What a new node of this shape holds. One that no reservation is for may not become reserved later.
    pub(crate) fn held_by(&self, template: &Template, shape: &mut Shape) -> Result<CapacityMask, Refused> {
        let universe = &self.universes[template.universe];
        let reserved = universe.reserved_for(shape);
        if reserved == 0 {
            return Ok(0);
        }
        if !self.will_do(template, shape, reserved) {
            shape.capacity_types &= !reserved;
            universe.keep_offered(&mut shape.types, shape.zones, shape.capacity_types);
            return if shape.types.is_empty() { Err(Refused::InstanceTypes) } else { Ok(0) };
        }
        let free = self.reservations.free(universe, reserved);
        if self.will_do(template, shape, free) { Ok(free) } else { Err(Refused::Reserved) }
    }

    /// Whether a new node that holds reservations could not be bought from them any more as this shape.
    pub(crate) fn loses_its_reservations(&self, onto: &Candidate<'_>, shape: &Shape) -> bool {
        let universe = &self.universes[onto.template.universe];
        onto.held != 0 && !self.will_do(onto.template, shape, onto.held & universe.reserved_for(shape))
    }

    /// Lets a new node that has been narrowed go of what it cannot use any more.
    pub(crate) fn release_unusable(&mut self, draft: &mut Draft) {
        if draft.held == 0 {
            return;
        }
        let universe = &self.universes[self.templates[draft.template].universe];
        let kept = draft.held & universe.reserved_for(&draft.shape);
        self.reservations.release(universe, draft.held & !kept);
        draft.held = kept;
    }

    /// Whether pods of a group could be on a node that is bought from a reservation, on any rung of its ladder.
    pub(crate) fn may_be_reserved(&self, demand: usize) -> bool {
        let mut rung = Some(demand).filter(|_| !self.reservations.is_none());
        std::iter::from_fn(|| {
            let at = rung?;
            rung = self.demands[at].gentler;
            Some(at)
        })
        .any(|at| self.templates.iter().any(|template| self.suits_a_reservation(template, at)))
    }

    /// Whether labels and room leave a new node of a NodePool a reservation for one of these pods.
    fn suits_a_reservation(&self, template: &Template, demand: usize) -> bool {
        let universe = &self.universes[template.universe];
        let demand = &self.demands[demand];
        demand.alternatives.iter().any(|alternative| {
            let mask = &alternative.masks[template.universe];
            let mut shape = template.shape.clone();
            shape.types.intersect(&mask.types);
            universe.keep_fitting(&mut shape.types, &[&demand.requests]);
            shape.zones &= mask.zones;
            shape.capacity_types &= mask.capacity_types & all_of(CapacityType::Reserved);
            universe.reserved_for(&shape) != 0
        })
    }
}
