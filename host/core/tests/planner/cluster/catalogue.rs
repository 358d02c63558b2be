//! Twelve instance types in three zones with round prices.
//!
//! On-demand prices are the same in every zone. Spot is 40 % of them in zone a, 50 % in b and 60 % in c. The system
//! keeps 100 millis and 512 MiB of every node. Tenancy is the one label of which a node may have either value.

use std::collections::BTreeMap;
use std::sync::Arc;

use whittle_core::event::Event;
use whittle_core::model::instance_type::{
    CapacityType, InstanceType, Offering, Reservation, ReservationKind,
};
use whittle_core::model::labels;
use whittle_core::model::node_pool::NodeClass;
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;

use super::{GIB, Known};

pub(crate) const ZONES: [&str; 3] = ["a", "b", "c"];
pub(crate) const CPUS: &str = "karpenter.k8s.aws/instance-cpu";
pub(crate) const CATEGORY: &str = "karpenter.k8s.aws/instance-category";
pub(crate) const GPUS: &str = "karpenter.k8s.aws/instance-gpu-count";
/// The resource that a GPU is.
pub(crate) const GPU: &str = "nvidia.com/gpu";

/// Name, architecture, CPUs, GiB, GPUs, and thousandths of a dollar per hour on demand.
const TYPES: [(&str, &str, u64, u64, u64, u64); 12] = [
    ("c.large", "amd64", 2, 4, 0, 80),
    ("c.xlarge", "amd64", 4, 8, 0, 160),
    ("c.2xlarge", "amd64", 8, 16, 0, 320),
    ("m.large", "amd64", 2, 8, 0, 100),
    ("m.xlarge", "amd64", 4, 16, 0, 200),
    ("m.2xlarge", "amd64", 8, 32, 0, 400),
    ("m.4xlarge", "amd64", 16, 64, 0, 800),
    ("r.large", "amd64", 2, 16, 0, 130),
    ("a.large", "arm64", 2, 8, 0, 90),
    ("a.xlarge", "arm64", 4, 16, 0, 180),
    ("g.xlarge", "amd64", 4, 16, 1, 1_000),
    ("m.metal", "amd64", 64, 256, 0, 3_200),
];

/// The whole catalogue as the EC2NodeClass `default`.
pub(crate) fn class() -> NodeClass {
    NodeClass { name: "default".into(), ready: true, fingerprint: None, instance_types: all() }
}

pub(crate) fn all() -> Arc<[InstanceType]> {
    TYPES
        .iter()
        .map(|(name, arch, cpus, gib, gpus, price)| {
            let price = Price::from_micros(price * 1_000);
            instance_type((name, arch), (*cpus, *gib, *gpus), price)
        })
        .collect()
}

/// The catalogue's entry of this name.
pub(crate) fn named(name: &str) -> InstanceType {
    all().iter().find(|known| known.name == name).expect("a type of the catalogue").clone()
}

impl Known for NodeClass {
    fn events(self) -> Vec<Event> {
        vec![Event::NodeClass(self)]
    }
}

fn instance_type(
    (name, arch): (&str, &str),
    (cpus, gib, gpus): (u64, u64, u64),
    price: Price,
) -> InstanceType {
    let (category, _) = name.split_once('.').expect("a name with a dot");
    let one = |value: &str| vec![value.to_owned()];
    let mut type_labels = BTreeMap::from([
        (labels::INSTANCE_TYPE.to_owned(), one(name)),
        (labels::ARCH.to_owned(), one(arch)),
        (labels::OS.to_owned(), one("linux")),
        (labels::REGION.to_owned(), one("here")),
        (CPUS.to_owned(), one(&cpus.to_string())),
        (CATEGORY.to_owned(), one(category)),
        (labels::TENANCY.to_owned(), vec!["default".to_owned(), "dedicated".to_owned()]),
    ]);
    let mut capacity = Resources {
        cpu_millis: cpus * 1_000,
        memory_bytes: gib * GIB,
        pods: 5 * cpus,
        ..Resources::default()
    };
    if gpus > 0 {
        capacity.set(GPU, gpus);
        type_labels.insert(GPUS.to_owned(), one(&gpus.to_string()));
    }
    let overhead = Resources { cpu_millis: 100, memory_bytes: GIB / 2, ..Resources::default() };
    let offerings = ZONES.iter().zip([400_000, 500_000, 600_000]).flat_map(|(zone, spot)| {
        [(CapacityType::OnDemand, price), (CapacityType::Spot, price.scaled(spot))].map(
            |(capacity_type, price)| Offering {
                zone: (*zone).to_owned(),
                zone_id: format!("id-{zone}"),
                capacity_type,
                price,
                estimated: false,
                available: true,
                reservation: None,
            },
        )
    });
    let offerings = offerings.collect();
    InstanceType { name: name.to_owned(), labels: type_labels, capacity, overhead, offerings }
}

/// The whole catalogue with capacity reservations: instance type, zone, id and number of instances. They cost what
/// Karpenter says: a ten-millionth of the price on demand.
pub(crate) fn reserving(reservations: &[(&str, &str, &str, u32)]) -> NodeClass {
    let all = all();
    let types = all.iter().cloned().map(|mut one| {
        for (_, zone, id, instances) in reservations.iter().filter(|(name, ..)| *name == one.name) {
            let on_demand =
                one.offerings.iter().find(|offering| offering.zone == *zone).expect("a zone").clone();
            let kind = ReservationKind::Default;
            one.offerings.push(Offering {
                capacity_type: CapacityType::Reserved,
                price: Price::from_micros(1),
                reservation: Some(Reservation { id: (*id).to_owned(), kind, instances: *instances }),
                ..on_demand
            });
        }
        one
    });
    NodeClass { instance_types: types.collect(), ..class() }
}
