//! What holds of every instance type in every region.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use whittle_catalog::catalog::Catalog;
use whittle_catalog::settings::{AmiFamily, NodeClassSettings};
use whittle_catalog::specification::Specification;
use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::labels::is_well_known;
use whittle_core::model::price::Price;

/// Every region with all it offers to any Linux image.
static REGIONS: LazyLock<Vec<(&str, Vec<InstanceType>)>> = LazyLock::new(|| {
    let settings = NodeClassSettings { ami_family: AmiFamily::Custom, ..NodeClassSettings::default() };
    let catalog = Catalog::embedded();
    let types = |region| catalog.instance_types(region, &settings).expect("a region of the catalogue");
    catalog.regions().map(|region| (region, types(region))).collect()
});

#[test]
fn something_is_left_for_pods_on_every_type() {
    for (_, types) in &*REGIONS {
        for instance_type in types {
            let left = instance_type.allocatable();
            let all = left.cpu_millis > 0 && left.memory_bytes > 0 && left.ephemeral_storage_bytes > 0;
            assert!(all && left.pods > 0, "{}: {left:?}", instance_type.name);
        }
    }
}

#[test]
fn types_are_in_order_of_name_and_every_offering_is_in_a_zone_of_the_region() {
    let catalog = Catalog::embedded();
    for (region, types) in &*REGIONS {
        assert!(types.is_sorted_by(|one, next| one.name < next.name));
        let zones = catalog.zones(region).unwrap();
        let zones: BTreeSet<_> = zones.iter().map(|zone| (zone.name, zone.id)).collect();
        for instance_type in types {
            let offerings = &instance_type.offerings;
            let places = offerings.iter().map(|offering| (&*offering.zone, &*offering.zone_id));
            assert!(places.collect::<BTreeSet<_>>().is_subset(&zones), "{}", instance_type.name);
            let ways = offerings.iter().map(|offering| (&offering.zone, offering.capacity_type));
            assert_eq!(ways.collect::<BTreeSet<_>>().len(), offerings.len());
        }
    }
}

#[test]
fn every_label_is_well_known_and_has_a_value() {
    for (_, types) in &*REGIONS {
        for instance_type in types {
            for (key, values) in &instance_type.labels {
                assert!(is_well_known(key), "{key}");
                let expected = if key == "karpenter.k8s.aws/instance-tenancy" { 2 } else { 1 };
                assert_eq!(values.len(), expected, "{key} of {}", instance_type.name);
            }
        }
    }
}

#[test]
fn every_type_has_a_category_and_a_generation() {
    for specification in Catalog::embedded().specifications() {
        let name = specification.name;
        let generation = specification.generation().unwrap();
        assert!(generation.parse::<u64>().is_ok_and(|number| number > 0), "{name}");
        assert!(name.starts_with(specification.category()) && !specification.category().is_empty());
        assert_eq!(name, format!("{}.{}", specification.family(), specification.size()));
    }
}

#[test]
fn spot_is_an_estimate_above_nothing_and_never_dearer_than_on_demand() {
    for (region, types) in &*REGIONS {
        for instance_type in types {
            for spot in instance_type.offerings.iter().filter(|one| one.capacity_type == CapacityType::Spot) {
                let on_demand = instance_type
                    .offerings
                    .iter()
                    .find(|other| other.zone == spot.zone && other.capacity_type == CapacityType::OnDemand);
                let on_demand = on_demand.unwrap();
                let place = format!("{region} {} {}", instance_type.name, spot.zone);
                assert!(spot.price <= on_demand.price && spot.price > Price::ZERO, "{place}");
                assert_eq!(spot.available, spot.price < Price::MAX, "{place}");
                assert_eq!(spot.estimated, spot.available, "{place}");
                let listed = *region == "us-east-1" || !on_demand.available;
                assert_eq!(on_demand.estimated, !listed, "{place}");
            }
        }
    }
}

#[test]
fn a_type_without_a_price_is_listed_and_not_available() {
    let types = Catalog::embedded().instance_types("us-east-1", &NodeClassSettings::default()).unwrap();
    let r9g = types.iter().find(|instance_type| instance_type.name == "r9g.large").unwrap();
    assert!(!r9g.offerings.is_empty());
    for offering in &r9g.offerings {
        assert_eq!((offering.price, offering.available), (Price::MAX, false));
    }
}

#[test]
fn within_a_family_more_of_everything_is_never_cheaper() {
    let more = |one: &Specification, other: &Specification| {
        let amounts = |specification: &Specification| {
            let gpus = specification.gpu.as_ref().map_or(0, |gpu| gpu.count);
            let accelerators = specification.accelerator.as_ref().map_or(0, |devices| devices.count);
            let nvme = specification.nvme_gb.unwrap_or(0);
            [specification.vcpus, specification.memory_mib, gpus, accelerators, nvme]
        };
        // Bare metal has a price of its own.
        one.is_bare_metal() == other.is_bare_metal()
            && amounts(one).into_iter().zip(amounts(other)).all(|(one, other)| one <= other)
    };
    let catalog = Catalog::embedded();
    let (_, types) = REGIONS.iter().find(|(region, _)| *region == "us-east-1").unwrap();
    let priced: Vec<_> = types
        .iter()
        .filter_map(|instance_type| {
            let specification = catalog.specification(&instance_type.name).unwrap();
            let zone = &instance_type.offerings[0].zone;
            let quote = catalog.on_demand_price("us-east-1", specification.name, zone)?;
            Some((specification, quote.price))
        })
        .collect();
    assert_eq!(priced.len(), 1_340);
    let mut cheaper = BTreeSet::new();
    for (small, small_price) in &priced {
        let family = priced.iter().filter(|(other, _)| other.family() == small.family());
        for (large, large_price) in family.filter(|(large, _)| more(small, large)) {
            // Prices per vCPU are good to 0.2 %.
            if small_price.scaled(998_000) > *large_price {
                cheaper.insert((small.name, large.name));
            }
        }
    }
    // The list has these two at the price of a machine twice as large.
    let published = [("m8gb.metal-24xl", "m8gb.metal-48xl"), ("r8gb.metal-24xl", "r8gb.metal-48xl")];
    assert_eq!(cheaper, BTreeSet::from(published));
}

#[test]
fn zones_differ_in_spot_prices_as_much_as_observed() {
    let mut spreads: Vec<u64> = Vec::new();
    for (_, types) in &*REGIONS {
        for instance_type in types {
            let spot = instance_type.offerings.iter().filter(|one| one.capacity_type == CapacityType::Spot);
            let prices: Vec<_> = spot.filter(|one| one.available).map(|one| one.price.micros()).collect();
            if let (Some(low), Some(high)) = (prices.iter().min(), prices.iter().max())
                && prices.len() > 1
            {
                spreads.push(high * 1_000 / low);
            }
        }
    }
    spreads.sort_unstable();
    let quantile = |percent: usize| spreads[spreads.len() * percent / 100];
    assert!((1_025..=1_035).contains(&quantile(50)), "median {}", quantile(50));
    assert!((1_500..=1_620).contains(&quantile(90)), "ninetieth percentile {}", quantile(90));
}

#[test]
fn reclaim_rates_are_near_the_published_bucket() {
    let catalog = Catalog::embedded();
    for (region, types) in &*REGIONS {
        for instance_type in types {
            for offering in &instance_type.offerings {
                let rate = catalog.reclaim_rate(region, &instance_type.name, &offering.zone);
                let sold = catalog.specification(&instance_type.name).unwrap().sold_as_spot;
                assert_eq!(rate.is_some(), sold);
                let Some(rate) = rate else { continue };
                assert!((16_000..=340_000).contains(&rate.per_month_ppm), "{rate:?}");
                assert!((23_000..=530_000).contains(&rate.per_hour_ppb), "{rate:?}");
            }
        }
    }
}
