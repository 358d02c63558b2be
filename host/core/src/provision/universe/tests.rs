use std::collections::BTreeMap;

use super::Universe;
use crate::model::instance_type::{CapacityType, InstanceType, Offering};
use crate::model::price::Price;
use crate::model::requirement::{Operator, Requirement};
use crate::model::resources::Resources;
use crate::provision::amounts::Axes;
use crate::provision::bits::Bits;
use crate::provision::intern::Interner;
use crate::provision::requirements::Values;

/// `small`, `medium` and `large` with 1, 2 and 4 CPUs, on spot in the zones a and b for a cent per CPU, and twice
/// that in b. The last one has a GPU.
fn universe(axes: &mut Axes, interner: &mut Interner) -> Universe {
    let types = [("small", 1, 0), ("medium", 2, 0), ("large", 4, 1)].map(|(name, cpus, gpus)| {
        let mut capacity = Resources { cpu_millis: cpus * 1_000, ..Resources::default() };
        capacity.set("gpu", gpus);
        let mut labels = BTreeMap::from([("cpus".to_owned(), vec![cpus.to_string()])]);
        if gpus > 0 {
            labels.insert("gpus".to_owned(), vec![gpus.to_string()]);
        }
        let offerings = [("a", 1), ("b", 2)].map(|(zone, times)| Offering {
            zone: zone.into(),
            zone_id: format!("id-{zone}"),
            capacity_type: CapacityType::Spot,
            price: Price::from_micros(10_000 * cpus * times),
            estimated: false,
            available: true,
            reservation: None,
        });
        let (overhead, offerings) = (Resources::default(), offerings.to_vec());
        InstanceType { name: name.into(), labels, capacity, overhead, offerings }
    });
    Universe::new(types.into(), axes, interner)
}

fn ids(bits: &Bits) -> Vec<usize> {
    bits.iter().collect()
}

#[test]
fn types_are_found_by_a_label_they_have_or_lack() {
    let (axes, interner) = (&mut Axes::default(), &mut Interner::default());
    let universe = universe(axes, interner);
    for (key, operator, values, expected) in [
        ("cpus", Operator::Gt, &["1"][..], &[1, 2][..]),
        ("cpus", Operator::In, &["2", "3"], &[1]),
        ("gpus", Operator::Exists, &[], &[2]),
        ("gpus", Operator::DoesNotExist, &[], &[0, 1]),
        ("gpus", Operator::NotIn, &["1"], &[0, 1]),
        ("unheard-of", Operator::Exists, &[], &[]),
        ("unheard-of", Operator::NotIn, &["x"], &[0, 1, 2]),
    ] {
        let requirement = Requirement::new(key, operator, values.iter().copied());
        let values = Values::from_requirement(&requirement, interner);
        let key = interner.intern(key);
        assert_eq!(ids(&universe.matching(key, &values, interner)), expected, "{requirement}");
    }
}

#[test]
fn types_are_found_by_what_they_have_at_least() {
    let (axes, interner) = (&mut Axes::default(), &mut Interner::default());
    let universe = universe(axes, interner);
    for (cpu_millis, gpus, expected) in [
        (0, 0, &[0, 1, 2][..]),
        (1_000, 0, &[0, 1, 2]),
        (1_001, 0, &[1, 2]),
        (4_001, 0, &[]),
        (500, 1, &[2]),
        (0, 2, &[]),
    ] {
        let mut wanted = Resources { cpu_millis, ..Resources::default() };
        wanted.set("gpu", gpus);
        assert_eq!(ids(&fitting(&universe, &axes.row(&wanted))), expected, "{wanted:?}");
    }
    let mut unheard_of = Resources::default();
    unheard_of.set("unheard-of", 1);
    assert_eq!(ids(&fitting(&universe, &axes.row(&unheard_of))), [0; 0]);
}

#[test]
fn an_offering_that_is_withdrawn_is_neither_offered_nor_priced() {
    let (axes, interner) = (&mut Axes::default(), &mut Interner::default());
    let mut universe = universe(axes, interner);
    let (all, every) = (universe.all_zones(), u64::MAX);
    assert_eq!(universe.cheapest(0, all, every), Some(Price::from_micros(10_000)));
    universe.withdraw(0, 0, CapacityType::Spot);
    assert_eq!(universe.cheapest(0, all, every), Some(Price::from_micros(20_000)));
    universe.withdraw(0, 1, CapacityType::Spot);
    assert_eq!(universe.cheapest(0, all, every), None);
    let mut types = Bits::all(universe.len());
    universe.keep_offered(&mut types, all, every);
    assert_eq!(ids(&types), [1, 2]);
}

fn fitting(universe: &Universe, wanted: &[u64]) -> Bits {
    let mut fitting = Bits::all(universe.len());
    universe.keep_fitting(&mut fitting, &[wanted]);
    fitting
}
