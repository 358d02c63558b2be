//! What can be bought, as far as the catalogue knows: what EC2 has run out of right now is not in it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::node_pool::NodeClass;
use whittle_core::model::price::Price;
use whittle_core::model::resources::{CPU, Resources};
use whittle_core::model::time::Timestamp;

use super::in_units;
use super::listed::Shelf;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    instance_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct OfOffering {
    instance_type: String,
    capacity_type: String,
    zone: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bought {
    capacity_type: String,
}

/// What the classes can launch.
#[derive(Debug, Default)]
pub(super) struct Types {
    cpu_cores: Family<OfType, Gauge<f64, AtomicU64>>,
    memory_bytes: Family<OfType, Gauge<f64, AtomicU64>>,
    available: Family<OfOffering, Gauge>,
    price: Family<OfOffering, Gauge<f64, AtomicU64>>,
    priced: Family<Bought, Gauge<f64, AtomicU64>>,
}

impl Types {
    pub(super) fn list_karpenters(&self, shelf: &mut Shelf<'_>) {
        let name = "cloudprovider_instance_type_cpu_cores";
        shelf.add(name, "CPU of an instance type that a class can launch", self.cpu_cores.clone());
        let name = "cloudprovider_instance_type_memory_bytes";
        shelf.add(name, "Memory of an instance type that a class can launch", self.memory_bytes.clone());
        let name = "cloudprovider_instance_type_offering_available";
        shelf.add(name, "1 when an instance type is sold in a zone in this way", self.available.clone());
        let name = "cloudprovider_instance_type_offering_price_estimate";
        shelf.add(name, "What an hour of it costs in dollars, as far as is known", self.price.clone());
    }

    pub(super) fn list_ours(&self, shelf: &mut Shelf<'_>) {
        let help = "When prices were last found, in seconds since 1970; none before they were";
        shelf.add("prices_found_timestamp_seconds", help, self.priced.clone());
    }

    /// When prices were found.
    pub(super) fn priced(&self, found: &BTreeMap<CapacityType, Timestamp>) {
        for (bought, at) in found {
            let labels = Bought { capacity_type: bought.label().to_owned() };
            #[expect(clippy::cast_precision_loss, reason = "a moment for a chart")]
            self.priced.get_or_create(&labels).set(at.millis() as f64 / 1e3);
        }
    }

    /// What all classes together can launch, and nothing else. A type whose nodes differ between classes is told as the
    /// last one has it; what any of them can buy is available.
    pub(super) fn stand<'a>(&self, classes: impl Iterator<Item = &'a NodeClass>) {
        let mut capacities: BTreeMap<&str, &Resources> = BTreeMap::new();
        let mut offerings: BTreeMap<OfOffering, Option<Price>> = BTreeMap::new();
        for kind in classes.flat_map(|class| class.instance_types.iter()) {
            capacities.insert(&kind.name, &kind.capacity);
            for offering in &kind.offerings {
                let labels = OfOffering {
                    instance_type: kind.name.clone(),
                    capacity_type: offering.capacity_type.label().to_owned(),
                    zone: offering.zone.clone(),
                };
                let known = offerings.entry(labels).or_default();
                let price = offering.available.then_some(offering.price);
                *known = (*known).into_iter().chain(price).min();
            }
        }
        self.cpu_cores.clear();
        self.memory_bytes.clear();
        for (name, capacity) in capacities {
            let labels = OfType { instance_type: name.to_owned() };
            self.cpu_cores.get_or_create(&labels).set(in_units(CPU, capacity.cpu_millis));
            self.memory_bytes.get_or_create(&labels).set(in_units("memory", capacity.memory_bytes));
        }
        self.available.clear();
        self.price.clear();
        for (labels, price) in offerings {
            self.available.get_or_create(&labels).set(i64::from(price.is_some()));
            if let Some(price) = price {
                #[expect(clippy::cast_precision_loss, reason = "money for a chart")]
                self.price.get_or_create(&labels).set(price.micros() as f64 / 1e6);
            }
        }
    }
}
