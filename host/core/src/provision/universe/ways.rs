//! The ways to buy an instance in a zone: on spot, on demand, and from each capacity reservation.
//!
//! How many instances a reservation has left is in `provision::reservations`: that changes while pods are placed.

use std::collections::BTreeMap;

use crate::model::instance_type::{CapacityType, InstanceType};
use crate::provision::intern::{Interner, Sym};
use crate::provision::requirements::Values;

/// A set of ways to buy: a bit for each capacity type by its position in `CapacityType::ALL`, and then one for each
/// capacity reservation. Reserved capacity of no known reservation is the bit of its capacity type.
pub(crate) type CapacityMask = u64;

/// The most capacity reservations that a universe can have: one bit each. An EC2NodeClass selects them by at most 30
/// terms, most of which name one.
const RESERVATIONS_MAX: usize = CapacityMask::BITS as usize - CapacityType::ALL.len();

/// A capacity reservation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved {
    pub(crate) id: Sym,
    kind: Sym,
    /// How many instances it has for this cluster.
    pub(crate) instances: u32,
}

/// The ways to buy of a universe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    /// By id.
    reservations: Vec<Reserved>,
}

/// All ways to buy that a capacity type is.
pub(crate) const fn all_of(capacity_type: CapacityType) -> CapacityMask {
    const SPOT: CapacityMask = 1 << CapacityType::Spot as u64;
    const ON_DEMAND: CapacityMask = 1 << CapacityType::OnDemand as u64;
    match capacity_type {
        CapacityType::Reserved => !(SPOT | ON_DEMAND),
        CapacityType::Spot => SPOT,
        CapacityType::OnDemand => ON_DEMAND,
    }
}

impl Ways {
    pub(crate) fn new(types: &[InstanceType], interner: &mut Interner) -> Self {
        let offerings = types.iter().flat_map(|instance_type| &instance_type.offerings);
        let reservations = offerings.filter_map(|offering| offering.reservation.as_ref());
        let by_id: BTreeMap<_, _> = reservations.map(|one| (one.id.as_str(), one)).collect();
        let reservations = by_id.into_values().take(RESERVATIONS_MAX).map(|one| Reserved {
            id: interner.intern(&one.id),
            kind: interner.intern(one.kind.label()),
            instances: one.instances,
        });
        Self { reservations: reservations.collect() }
    }

    pub(crate) fn len(&self) -> usize {
        CapacityType::ALL.len() + self.reservations.len()
    }

    /// The way to buy an offering, by its capacity type and the id of its reservation; `None` when there are more
    /// reservations than bits.
    pub(crate) fn of(&self, capacity_type: CapacityType, reservation: Option<Sym>) -> Option<usize> {
        let Some(id) = reservation else { return Some(capacity_type as usize) };
        let at = self.reservations.iter().position(|one| one.id == id)?;
        Some(CapacityType::ALL.len() + at)
    }

    pub(crate) fn capacity_type(&self, way: usize) -> CapacityType {
        CapacityType::ALL.get(way).copied().unwrap_or(CapacityType::Reserved)
    }

    pub(crate) fn reservation(&self, way: usize) -> Option<Reserved> {
        way.checked_sub(CapacityType::ALL.len()).and_then(|at| self.reservations.get(at)).copied()
    }

    /// The capacity reservations among some ways, each with its way.
    pub(crate) fn reservations(&self, among: CapacityMask) -> impl Iterator<Item = (usize, Reserved)> + '_ {
        let all = self.reservations.iter().enumerate();
        let all = all.map(|(at, one)| (CapacityType::ALL.len() + at, *one));
        all.filter(move |(way, _)| among & (1 << way) != 0)
    }

    /// The ways whose reservation has one of these ids, and those of none if that will do.
    pub(crate) fn with_id(&self, values: &Values, interner: &Interner) -> CapacityMask {
        self.with(values, interner, |one| one.id)
    }

    /// The same by how the reservation was bought.
    pub(crate) fn with_kind(&self, values: &Values, interner: &Interner) -> CapacityMask {
        self.with(values, interner, |one| one.kind)
    }

    fn with(&self, values: &Values, interner: &Interner, label: fn(&Reserved) -> Sym) -> CapacityMask {
        let without = if values.admits_absence() { (1 << CapacityType::ALL.len()) - 1 } else { 0 };
        let admitted = self.reservations(CapacityMask::MAX);
        let admitted = admitted.filter(|(_, one)| values.admits(label(one), interner));
        admitted.fold(without, |mask, (way, _)| mask | 1 << way)
    }

    /// The ids that a node can have that is bought in one of these ways; `None` when it may be bought without one too.
    pub(crate) fn ids_in(&self, among: CapacityMask) -> Option<Vec<Sym>> {
        self.labels_in(among, |one| one.id)
    }

    /// The same for how its reservation was bought.
    pub(crate) fn kinds_in(&self, among: CapacityMask) -> Option<Vec<Sym>> {
        let mut kinds = self.labels_in(among, |one| one.kind)?;
        kinds.sort_unstable();
        kinds.dedup();
        Some(kinds)
    }

    fn labels_in(&self, among: CapacityMask, label: fn(&Reserved) -> Sym) -> Option<Vec<Sym>> {
        let labels: Vec<_> = self.reservations(among).map(|(_, one)| label(&one)).collect();
        let without = among & ((1 << CapacityType::ALL.len()) - 1) != 0;
        (labels.is_empty() || !without).then_some(labels)
    }
}
