//! What the requirements of pods leave of a universe: sets of types, zones and capacity types, and what is left to ask
//! label by label.

use crate::provision::bits::Bits;
use crate::provision::intern::Interner;
use crate::provision::requirements::{self, ByKey};
use crate::provision::universe::ways::CapacityMask;
use crate::provision::universe::{Axis, Universe, ZoneMask};

/// What requirements leave of a universe.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    pub(crate) types: Bits,
    pub(crate) zones: ZoneMask,
    pub(crate) capacity_types: CapacityMask,
    /// Requirements on labels of which an instance type allows several values.
    several: ByKey,
    /// Requirements on labels that only a NodePool can give.
    custom: ByKey,
}

/// What requirements leave of a universe.
pub(crate) fn mask(universe: &Universe, wanted: &ByKey, interner: &Interner) -> Mask {
    let mut mask = Mask {
        types: Bits::all(universe.len()),
        zones: universe.all_zones(),
        capacity_types: CapacityMask::MAX,
        several: ByKey::new(),
        custom: ByKey::new(),
    };
    for (key, values) in wanted {
        match universe.axis(*key) {
            Axis::Zone => mask.zones &= universe.zone_mask(values, interner),
            Axis::ZoneId => mask.zones &= universe.zone_id_mask(values, interner),
            Axis::CapacityType => mask.capacity_types &= universe.capacity_mask(values, interner),
            Axis::ReservationId => mask.capacity_types &= universe.ways.with_id(values, interner),
            Axis::ReservationType => mask.capacity_types &= universe.ways.with_kind(values, interner),
            Axis::Hostname if values.admits_absence() => {}
            // A node that does not exist yet has no name that a pod could have asked for.
            Axis::Hostname => mask.zones = 0,
            Axis::Single => mask.types.intersect(&universe.matching(*key, values, interner)),
            Axis::Several => {
                mask.types.intersect(&universe.matching(*key, values, interner));
                mask.several.push((*key, values.clone()));
            }
            Axis::Custom => mask.custom.push((*key, values.clone())),
        }
    }
    mask
}

impl Mask {
    /// Whether a mask alone expresses the requirements.
    pub(crate) fn is_plain(&self) -> bool {
        self.several.is_empty() && self.custom.is_empty()
    }

    /// What the labels in `given` may still be when these requirements hold too; `None` when one cannot hold.
    pub(crate) fn join(&self, given: &ByKey, interner: &Interner) -> Option<ByKey> {
        let mut joined = given.clone();
        for (key, values) in &self.several {
            requirements::add(&mut joined, *key, values.clone(), interner);
            requirements::get(&joined, *key).filter(|left| !left.is_nothing())?;
        }
        for (key, values) in &self.custom {
            match requirements::get(given, *key) {
                None if values.admits_absence() => {}
                Some(offered) if offered.is_compatible(values, interner) => {
                    requirements::add(&mut joined, *key, values.clone(), interner);
                }
                None | Some(_) => return None,
            }
        }
        Some(joined)
    }
}
