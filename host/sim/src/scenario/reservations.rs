//! What a scenario says of capacity reservations: how many instances each has. Where they are is in the status of the
//! EC2NodeClasses, which does not say how many.

use std::collections::{BTreeMap, BTreeSet};

use whittle_api::problem::{Path, Problem, Segment};
use whittle_core::model::node_pool::NodeClass;

use super::CapacityReservationSpec;
use super::compile::Course;
use crate::input::Objects;
use crate::problems::{Finder, one_of, path};
use crate::script::Step;

/// How many instances each reservation has, by id.
pub(super) fn counts(specs: &[CapacityReservationSpec], finder: &mut Finder) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for (at, spec) in specs.iter().enumerate() {
        if counts.insert(spec.id.clone(), spec.instances).is_some() {
            finder.add(&path_of(at), format!("{:?} again", spec.id), "each capacity reservation once");
        }
    }
    counts
}

/// What is wrong with the ids: each is that of an offering of an EC2NodeClass that is there from the start or comes.
pub(crate) fn judge<'a>(
    course: &Course,
    objects: &Objects,
    steps: impl Iterator<Item = &'a Step>,
) -> Vec<Problem> {
    let mut finder = Finder::after(course.source.clone(), course.misshapen.clone());
    let mut known: BTreeSet<&str> = objects.node_classes.values().flat_map(ids).collect();
    for step in steps {
        if let Step::Put(objects) = step {
            known.extend(objects.node_classes.values().flat_map(ids));
        }
    }
    for (at, spec) in course.spec.capacity_reservations.iter().enumerate() {
        if !known.contains(spec.id.as_str()) {
            let expected = one_of(known.iter().copied(), &spec.id);
            finder.add(&path_of(at), format!("{:?}", spec.id), expected);
        }
    }
    finder.found
}

fn ids(class: &NodeClass) -> impl Iterator<Item = &str> {
    let offerings = class.instance_types.iter().flat_map(|one| &one.offerings);
    offerings.filter_map(|offering| offering.reservation.as_ref()).map(|one| one.id.as_str())
}

/// `spec.capacityReservations[1].id`
fn path_of(at: usize) -> Path {
    let mut place = path(&["spec", "capacityReservations"]);
    place.0.extend([Segment::Index(at), Segment::Key("id".to_owned())]);
    place
}
