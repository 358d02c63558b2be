//! EC2NodeClasses with the instance types that they can launch, from the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use whittle_api::convert::node_class::{
    NodeClassSettings as Read, Reservation as ReadReservation, Threshold,
};
use whittle_api::node_class::AmiFamily as ReadFamily;
use whittle_catalog::catalog::Catalog;
use whittle_catalog::settings::{
    AmiFamily, EvictionThreshold, Feature, NetworkInterface, NetworkInterfaceKind, NodeClassSettings,
    ReservedInstances,
};
use whittle_core::model::instance_type::Reservation;
use whittle_core::model::node_pool::NodeClass;

use crate::load::Place;

/// What machines keep for themselves, wherever classes do not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The share of a virtual machine's memory that the hypervisor keeps, in thousandths.
    pub vm_memory_overhead_per_mille: u64,
    /// Network interfaces of the default card that pods cannot use.
    pub reserved_enis: u64,
}

impl Default for Kept {
    fn default() -> Self {
        let NodeClassSettings { vm_memory_overhead_per_mille, reserved_enis, .. } =
            NodeClassSettings::default();
        Self { vm_memory_overhead_per_mille, reserved_enis }
    }
}

/// What is found out while a cluster runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many instances capacity reservations have for the cluster, by id. Of one that is not named it is not known: none.
    pub reserved: BTreeMap<String, u32>,
    /// The memory in bytes that nodes of the class really have, by instance type.
    pub memory_bytes: BTreeMap<String, u64>,
}

/// The class with everything that it can launch in a region, in all of its zones or in those that the class says.
#[must_use]
pub fn launchable(read: &Read, (catalog, region): (&Catalog, &str), found: Found, kept: Kept) -> NodeClass {
    let place = Place {
        catalog: catalog.clone(),
        region: region.to_owned(),
        zones: None,
        reserved: found.reserved,
        job_run: whittle_core::model::time::Duration::ZERO,
        start: whittle_core::model::time::Timestamp::EPOCH,
        counts_siblings: false,
    };
    let Kept { vm_memory_overhead_per_mille, reserved_enis } = kept;
    let settings = NodeClassSettings {
        vm_memory_overhead_per_mille,
        reserved_enis,
        discovered_memory_bytes: found.memory_bytes,
        ..settings(read, &place)
    };
    of_settings(read, &place, &settings)
}

/// The class with everything that it can launch. What the region lacks, it lacks.
pub(crate) fn node_class(read: &Read, place: &Place) -> NodeClass {
    of_settings(read, place, &settings(read, place))
}

fn of_settings(read: &Read, place: &Place, settings: &NodeClassSettings) -> NodeClass {
    // An unknown region is reported where it is named, in the scenario.
    let types = place.catalog.instance_types(&place.region, settings).unwrap_or_default();
    NodeClass {
        name: read.name.clone(),
        ready: read.ready,
        fingerprint: Some(read.fingerprint.clone()),
        instance_types: types.into(),
    }
}

fn settings(read: &Read, place: &Place) -> NodeClassSettings {
    let zones = if read.zones.is_empty() {
        place.zones.clone()
    } else {
        let of_class = read.zones.iter().map(|zone| zone.name.clone());
        let there = |zone: &String| place.zones.as_ref().is_none_or(|zones| zones.contains(zone));
        Some(of_class.filter(there).collect())
    };
    let zone_ids = read.zones.iter().filter_map(|zone| Some((zone.name.clone(), zone.id.clone()?))).collect();
    let mut required_features = BTreeSet::new();
    if read.nested_virtualization {
        required_features.insert(Feature::NestedVirtualization);
    }
    if read.connection_tracking {
        required_features.insert(Feature::Nitro);
    }
    NodeClassSettings {
        ami_family: family(read.ami_family),
        max_pods: read.max_pods,
        pods_per_core: read.pods_per_core,
        kube_reserved: read.kube_reserved.clone(),
        system_reserved: read.system_reserved.clone(),
        eviction_hard_memory: read.eviction_hard.get("memory.available").map(threshold),
        eviction_hard_nodefs: read.eviction_hard.get("nodefs.available").map(threshold),
        root_volume_bytes: read.root_volume_bytes,
        instance_store_raid0: read.instance_store_raid0,
        zones,
        zone_ids,
        reservations: read.reservations.iter().map(|one| reserved(one, place)).collect(),
        network_interfaces: read.network_interfaces.iter().map(interface).collect(),
        required_features,
        ..NodeClassSettings::default()
    }
}

/// A reservation with its number of instances, which only the scenario says: none where it does not.
fn reserved(read: &ReadReservation, place: &Place) -> ReservedInstances {
    let instances = place.reserved.get(&read.id).copied().unwrap_or(0);
    let reservation = Reservation { id: read.id.clone(), kind: read.kind, instances };
    ReservedInstances { instance_type: read.instance_type.clone(), zone: read.zone.clone(), reservation }
}

fn family(family: ReadFamily) -> AmiFamily {
    match family {
        ReadFamily::AL2 => AmiFamily::Al2,
        ReadFamily::AL2023 => AmiFamily::Al2023,
        ReadFamily::Bottlerocket => AmiFamily::Bottlerocket,
        ReadFamily::Custom => AmiFamily::Custom,
        ReadFamily::Windows2019 => AmiFamily::Windows2019,
        ReadFamily::Windows2022 => AmiFamily::Windows2022,
        ReadFamily::Windows2025 => AmiFamily::Windows2025,
    }
}

fn threshold(threshold: &Threshold) -> EvictionThreshold {
    match threshold {
        Threshold::Amount(bytes) => EvictionThreshold::Bytes(*bytes),
        Threshold::PerMillion(share) => EvictionThreshold::PerMillion(*share),
    }
}

fn interface(interface: &whittle_api::node_class::hardware::NetworkInterface) -> NetworkInterface {
    use whittle_api::node_class::hardware::InterfaceType;
    let kind = match interface.interface_type {
        InterfaceType::Interface => NetworkInterfaceKind::Interface,
        InterfaceType::EfaOnly => NetworkInterfaceKind::EfaOnly,
    };
    NetworkInterface { network_card_index: u64::try_from(interface.network_card_index).unwrap_or(0), kind }
}
