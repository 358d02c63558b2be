//! What an EC2NodeClass changes about instance types, one setting at a time.

use std::collections::{BTreeMap, BTreeSet};

use whittle_catalog::capacity::{GB, GIB, MIB, capacity};
use whittle_catalog::catalog::{Catalog, UnknownRegion};
use whittle_catalog::overhead::overhead;
use whittle_catalog::settings::{
    AmiFamily, EvictionThreshold, Feature, NetworkInterface, NetworkInterfaceKind, NodeClassSettings,
    ReservedInstances,
};
use whittle_core::model::instance_type::{CapacityType, Reservation, ReservationKind};
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;

const ALL_FAMILIES: [AmiFamily; 7] = [
    AmiFamily::Al2,
    AmiFamily::Al2023,
    AmiFamily::Bottlerocket,
    AmiFamily::Custom,
    AmiFamily::Windows2019,
    AmiFamily::Windows2022,
    AmiFamily::Windows2025,
];

fn of_family(ami_family: AmiFamily) -> NodeClassSettings {
    NodeClassSettings { ami_family, ..NodeClassSettings::default() }
}

fn capacity_of(name: &str, settings: &NodeClassSettings) -> Resources {
    capacity(Catalog::embedded().specification(name).expect("a type"), settings)
}

fn overhead_of(name: &str, settings: &NodeClassSettings) -> Resources {
    let catalog = Catalog::embedded();
    let specification = catalog.specification(name).expect("a type");
    overhead(specification, settings, &capacity(specification, settings))
}

fn can_launch(name: &str, settings: &NodeClassSettings) -> bool {
    settings.can_launch(Catalog::embedded().specification(name).expect("a type"))
}

fn efa_only(network_card_index: u64) -> NetworkInterface {
    NetworkInterface { network_card_index, kind: NetworkInterfaceKind::EfaOnly }
}

#[test]
fn linux_counts_addresses_and_windows_has_110_pods() {
    let pods = ALL_FAMILIES.map(|family| capacity_of("m5.large", &of_family(family)).pods);
    assert_eq!(pods, [29, 29, 29, 29, 110, 110, 110]);
}

#[test]
fn max_pods_replaces_the_count_and_pods_per_core_caps_it_except_on_bottlerocket() {
    let pods = |ami_family, max_pods, pods_per_core| {
        let settings = NodeClassSettings { max_pods, pods_per_core, ..of_family(ami_family) };
        capacity_of("m5.large", &settings).pods
    };
    assert_eq!(pods(AmiFamily::Al2023, Some(110), None), 110);
    assert_eq!(pods(AmiFamily::Windows2022, Some(20), None), 20);
    assert_eq!(pods(AmiFamily::Al2023, None, Some(10)), 20);
    assert_eq!(pods(AmiFamily::Al2023, None, Some(100)), 29);
    assert_eq!(pods(AmiFamily::Al2023, Some(110), Some(4)), 8);
    assert_eq!(pods(AmiFamily::Al2023, None, Some(0)), 29);
    assert_eq!(pods(AmiFamily::Bottlerocket, None, Some(10)), 29);
    assert_eq!(pods(AmiFamily::Windows2022, None, Some(10)), 20);
}

#[test]
fn reserved_interfaces_and_efa_on_the_first_card_take_pods_away() {
    let pods = |reserved_enis, network_interfaces: &[NetworkInterface]| {
        let network_interfaces = network_interfaces.to_vec();
        let settings =
            NodeClassSettings { reserved_enis, network_interfaces, ..NodeClassSettings::default() };
        capacity_of("p4d.24xlarge", &settings).pods
    };
    assert_eq!(pods(0, &[]), 15 * 49 + 2);
    assert_eq!(pods(1, &[]), 14 * 49 + 2);
    assert_eq!(pods(1, &[efa_only(0)]), 13 * 49 + 2);
    assert_eq!(pods(0, &[efa_only(1), efa_only(2)]), 15 * 49 + 2);
    assert_eq!(pods(15, &[]), 0);
    assert_eq!(pods(99, &[]), 0);
}

#[test]
fn kube_reserved_follows_the_pods_only_where_the_image_does_so() {
    let memory_mib = |ami_family| {
        let settings = NodeClassSettings { max_pods: Some(10), reserved_enis: 1, ..of_family(ami_family) };
        overhead_of("m5.large", &settings).memory_bytes / MIB - 100
    };
    let by_address = 11 * 29 + 255;
    let by_pod = 11 * 10 + 255;
    let expected = [by_address, by_address, by_pod, by_address, by_pod, by_pod, by_pod];
    assert_eq!(ALL_FAMILIES.map(memory_mib), expected);
}

#[test]
fn reservations_replace_only_what_they_name_and_add_up() {
    let settings = NodeClassSettings {
        kube_reserved: BTreeMap::from([("memory".to_owned(), GIB)]),
        system_reserved: BTreeMap::from([("cpu".to_owned(), 100), ("memory".to_owned(), 200 * MIB)]),
        ..NodeClassSettings::default()
    };
    let expected = Resources {
        cpu_millis: 70 + 100,
        memory_bytes: GIB + 200 * MIB + 100 * MIB,
        ephemeral_storage_bytes: GIB + 2 * GIB,
        ..Resources::default()
    };
    assert_eq!(overhead_of("m5.large", &settings), expected);
}

#[test]
fn eviction_thresholds_are_bytes_or_a_share_and_the_whole_switches_them_off() {
    let thresholds = [
        (EvictionThreshold::Bytes(500 * MIB), 500 * MIB),
        // Five per cent of 7577 MiB, rounded up to whole bytes.
        (EvictionThreshold::PerMillion(50_000), (7_577 * MIB).div_ceil(20)),
        (EvictionThreshold::PerMillion(1_000_000), 0),
        (EvictionThreshold::PerMillion(0), 0),
    ];
    for (threshold, bytes) in thresholds {
        let settings =
            NodeClassSettings { eviction_hard_memory: Some(threshold), ..NodeClassSettings::default() };
        let memory_bytes = overhead_of("m5.large", &settings).memory_bytes;
        assert_eq!(memory_bytes, (11 * 29 + 255) * MIB + bytes, "{threshold:?}");
    }
    let settings = NodeClassSettings {
        eviction_hard_nodefs: Some(EvictionThreshold::PerMillion(200_000)),
        ..NodeClassSettings::default()
    };
    assert_eq!(overhead_of("m5.large", &settings).ephemeral_storage_bytes, GIB + 4 * GIB);
}

#[test]
fn storage_is_the_striped_disks_else_the_root_volume_else_the_images_own() {
    let storage = |name, ami_family, root_volume_bytes, instance_store_raid0| {
        let settings = NodeClassSettings { root_volume_bytes, instance_store_raid0, ..of_family(ami_family) };
        capacity_of(name, &settings).ephemeral_storage_bytes
    };
    assert_eq!(storage("m5.large", AmiFamily::Al2023, None, false), 20 * GIB);
    assert_eq!(storage("m5.large", AmiFamily::Windows2022, None, false), 50 * GIB);
    assert_eq!(storage("m5d.large", AmiFamily::Al2023, Some(100 * GIB), false), 100 * GIB);
    assert_eq!(storage("m5d.large", AmiFamily::Al2023, Some(100 * GIB), true), 75 * GB);
    assert_eq!(storage("m5.large", AmiFamily::Al2023, Some(100 * GIB), true), 100 * GIB);
    // Its disks are not NVMe and are not striped.
    assert_eq!(storage("d2.xlarge", AmiFamily::Al2023, None, true), 20 * GIB);
}

#[test]
fn discovered_memory_goes_before_the_estimate_for_its_type_alone() {
    let settings = NodeClassSettings {
        discovered_memory_bytes: BTreeMap::from([("m5.large".to_owned(), 7_900 * MIB)]),
        ..NodeClassSettings::default()
    };
    assert_eq!(capacity_of("m5.large", &settings).memory_bytes, 7_900 * MIB);
    assert_eq!(capacity_of("m5a.large", &settings).memory_bytes, 7_577 * MIB);
}

#[test]
fn the_share_of_the_hypervisor_is_rounded_up_to_whole_mebibytes() {
    let memory = |vm_memory_overhead_per_mille| {
        let settings = NodeClassSettings { vm_memory_overhead_per_mille, ..NodeClassSettings::default() };
        capacity_of("m5.large", &settings).memory_bytes / MIB
    };
    assert_eq!([0, 1, 75, 1_000].map(memory), [8_192, 8_183, 7_577, 0]);
}

#[test]
fn images_and_features_decide_what_can_be_launched() {
    let launches = |family, name| can_launch(name, &of_family(family));
    assert!(launches(AmiFamily::Al2, "a1.large") && !launches(AmiFamily::Al2023, "a1.large"));
    assert!(launches(AmiFamily::Windows2022, "m5.large") && !launches(AmiFamily::Windows2022, "m6g.large"));
    let needs = |feature| NodeClassSettings {
        required_features: BTreeSet::from([feature]),
        ..NodeClassSettings::default()
    };
    let nitro = ["m5.large", "m5.metal", "m4.large"].map(|name| can_launch(name, &needs(Feature::Nitro)));
    assert_eq!(nitro, [true, true, false]);
    assert!(!can_launch("m5.large", &needs(Feature::NestedVirtualization)));
    assert!(can_launch("m8i.large", &needs(Feature::NestedVirtualization)));
}

#[test]
fn efa_is_what_the_class_lists_or_all_that_the_type_has() {
    let efa = |network_interfaces: &[NetworkInterface]| {
        let network_interfaces = network_interfaces.to_vec();
        let settings = NodeClassSettings { network_interfaces, ..NodeClassSettings::default() };
        capacity_of("p4d.24xlarge", &settings).get("vpc.amazonaws.com/efa")
    };
    let plain = NetworkInterface { network_card_index: 0, kind: NetworkInterfaceKind::Interface };
    assert_eq!([efa(&[]), efa(&[plain]), efa(&[plain, efa_only(1), efa_only(2)])], [4, 0, 2]);
}

#[test]
fn network_interfaces_need_their_card_and_efa() {
    let launches = |name, interface| {
        let settings =
            NodeClassSettings { network_interfaces: vec![interface], ..NodeClassSettings::default() };
        can_launch(name, &settings)
    };
    assert!(launches("p4d.24xlarge", efa_only(3)));
    assert!(!launches("p4d.24xlarge", efa_only(4)));
    assert!(!launches("m5.large", efa_only(0)));
    let plain = NetworkInterface { network_card_index: 0, kind: NetworkInterfaceKind::Interface };
    assert!(launches("m5.large", plain));
}

#[test]
fn windows_nodes_carry_their_build_and_count_addresses() {
    let settings = of_family(AmiFamily::Windows2022);
    let m5_large = Catalog::embedded().instance_type("us-east-1", "m5.large", &settings).unwrap().unwrap();
    assert_eq!(m5_large.labels["kubernetes.io/os"], ["windows"]);
    assert_eq!(m5_large.labels["node.kubernetes.io/windows-build"], ["10.0.20348"]);
    assert_eq!(m5_large.capacity.get("vpc.amazonaws.com/PrivateIPv4Address"), 9);
}

#[test]
fn offerings_are_in_the_zones_of_the_class_with_the_accounts_own_ids() {
    let settings = NodeClassSettings {
        zones: Some(vec!["ap-northeast-2a".to_owned(), "ap-northeast-2b".to_owned()]),
        zone_ids: BTreeMap::from([("ap-northeast-2b".to_owned(), "apne2-az9".to_owned())]),
        ..NodeClassSettings::default()
    };
    let catalog = Catalog::embedded();
    let places = |name: &str| {
        let found = catalog.instance_type("ap-northeast-2", name, &settings).unwrap();
        let offerings = found.map(|found| found.offerings).unwrap_or_default();
        let places = offerings.into_iter().map(|one| (one.zone, one.zone_id, one.capacity_type.label()));
        places.collect::<Vec<_>>()
    };
    let place = |zone: &str, id: &str, way| (format!("ap-northeast-2{zone}"), id.to_owned(), way);
    let expected = [
        place("a", "apne2-az1", "spot"),
        place("a", "apne2-az1", "on-demand"),
        place("b", "apne2-az9", "spot"),
        place("b", "apne2-az9", "on-demand"),
    ];
    assert_eq!(places("m5.large"), expected);
    // Sold in the zones b and d only.
    assert_eq!(places("p4d.24xlarge"), expected[2..]);
}

#[test]
fn a_type_that_no_zone_of_the_class_has_is_left_out() {
    let zones = Some(vec!["ap-northeast-2a".to_owned()]);
    let settings = NodeClassSettings { zones, ..NodeClassSettings::default() };
    let types = Catalog::embedded().instance_types("ap-northeast-2", &settings).unwrap();
    assert!(types.iter().all(|found| found.name != "p4d.24xlarge"));
}

#[test]
fn a_capacity_reservation_is_an_offering_of_its_type_in_its_zone_for_next_to_nothing() {
    let reserved = |instance_type: &str, id: &str, instances| ReservedInstances {
        instance_type: instance_type.to_owned(),
        zone: "us-east-1a".to_owned(),
        reservation: Reservation { id: id.to_owned(), kind: ReservationKind::Default, instances },
    };
    let reservations = vec![reserved("m5.large", "cr-1", 2), reserved("m5.large", "cr-2", 0)];
    let settings = NodeClassSettings { reservations, ..NodeClassSettings::default() };
    let types = Catalog::embedded().instance_types("us-east-1", &settings).unwrap();
    let found = types.iter().flat_map(|one| one.offerings.iter().map(move |offering| (&one.name, offering)));
    let found: Vec<_> = found
        .filter(|(_, offering)| offering.capacity_type == CapacityType::Reserved)
        .map(|(name, offering)| {
            let reservation = offering.reservation.as_ref().unwrap();
            (
                name.as_str(),
                offering.zone.as_str(),
                reservation.id.as_str(),
                offering.price,
                offering.available,
            )
        })
        .collect();
    let price = Price::from_micros(1);
    let expected =
        [("m5.large", "us-east-1a", "cr-1", price, true), ("m5.large", "us-east-1a", "cr-2", price, false)];
    assert_eq!(found, expected);
}

#[test]
fn an_unknown_region_is_answered_with_those_that_there_are() {
    let error = Catalog::embedded().instance_types("mars-1", &NodeClassSettings::default()).unwrap_err();
    let known: Vec<_> = Catalog::embedded().regions().collect();
    assert_eq!(error, UnknownRegion { region: "mars-1".to_owned(), known: known.clone() });
    assert_eq!(known.len(), 30);
    assert!(
        error.to_string().starts_with("the catalogue has no region \"mars-1\", only af-south-1, ap-east-1")
    );
}
