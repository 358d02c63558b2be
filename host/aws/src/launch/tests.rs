use std::collections::BTreeSet;

use aws_sdk_ec2::types as ec2;
use serde_json::json;
use whittle_api::node_class::Ec2NodeClass;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::resources::Resources;

use super::answer::{shared_out, used_up};
use super::request::request;
use super::template::Reserved;
use super::*;
use crate::addresses::Addresses;
use crate::cluster::Cluster;

/// A NodeClaim that asks for nothing.
pub(super) fn claim(node_pool: &str, name: &str) -> NodeClaim {
    NodeClaim {
        name: name.to_owned(),
        node_pool: node_pool.to_owned(),
        node_class: "default".to_owned(),
        ..NodeClaim::default()
    }
}

fn reservation(id: &str, kind: &str, interruptible: bool) -> serde_json::Value {
    json!({
        "id": id, "availabilityZone": "a", "instanceType": "m6i.large", "instanceMatchCriteria": "targeted",
        "ownerID": "123456789012", "reservationType": kind, "interruptible": interruptible, "state": "active",
    })
}

fn class() -> Ec2NodeClass {
    serde_json::from_value(json!({
        "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": { "name": "default" },
        "spec": {
            "role": "node",
            "amiSelectorTerms": [{ "alias": "al2023@latest" }],
            "subnetSelectorTerms": [{ "tags": { "a": "b" } }],
            "securityGroupSelectorTerms": [{ "id": "sg-1" }],
        },
        "status": {
            "subnets": [
                { "id": "subnet-a", "zone": "a" }, { "id": "subnet-a2", "zone": "a" }, { "id": "subnet-b", "zone": "b" }
            ],
            "securityGroups": [{ "id": "sg-1" }],
            "capacityReservations": [
                reservation("cr-1", "default", false), reservation("cr-2", "default", false),
                reservation("cr-3", "default", false), reservation("lent-1", "default", true),
                reservation("block-1", "capacity-block", false), reservation("block-2", "capacity-block", false)
            ],
            "amis": [
                { "id": "ami-arm", "requirements": [{ "key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"] }] },
                { "id": "ami-x86", "requirements": [{ "key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"] }] }
            ],
        },
    }))
    .unwrap()
}

fn kind(name: &str) -> Option<InstanceType> {
    let arch = if name.starts_with("m6g") { "arm64" } else { "amd64" };
    Some(InstanceType {
        name: name.to_owned(),
        labels: [("kubernetes.io/arch".to_owned(), vec![arch.to_owned()])].into(),
        capacity: Resources { pods: if name.ends_with("large") { 29 } else { 58 }, ..Resources::default() },
        overhead: Resources::default(),
        offerings: Vec::new(),
    })
}

fn offering(kind: &str, zone: &str, capacity_type: CapacityType, price: u64) -> LaunchOffering {
    LaunchOffering {
        instance_type: kind.to_owned(),
        zone: zone.to_owned(),
        capacity_type,
        reservation: None,
        price: Price::from_micros(price),
    }
}

fn cluster() -> Cluster {
    Cluster { name: "shop".to_owned(), cidr: Some("10.100.0.0/16".to_owned()), ..Cluster::default() }
}

fn asked(offerings: &[LaunchOffering]) -> Result<Request, String> {
    request((&cluster(), &class(), &Addresses::default()), &claim("web", "web-1"), offerings, kind)
}

use CapacityType::{OnDemand, Spot};

#[test]
fn a_launch_is_of_one_capacity_type_with_a_template_for_each_image_and_number_of_pods() {
    let offerings = [
        offering("m6i.large", "a", Spot, 30),
        offering("m6i.large", "a", OnDemand, 10),
        offering("m6i.large", "b", Spot, 20),
        offering("m6g.large", "b", Spot, 40),
        offering("m6i.2x", "a", Spot, 50),
        offering("m6i.2x", "nowhere", Spot, 50),
    ];
    let request = asked(&offerings).unwrap();
    assert_eq!(request.capacity_type, Spot);
    let listed: Vec<Vec<(&str, &str, &str)>> = request
        .templates
        .iter()
        .map(|(_, overrides)| {
            overrides
                .iter()
                .map(|one| (one.offering.instance_type.as_str(), one.subnet.as_str(), one.image.as_str()))
                .collect()
        })
        .collect();
    assert_eq!(
        listed,
        [
            vec![("m6g.large", "subnet-b", "ami-arm")],
            vec![("m6i.large", "subnet-b", "ami-x86"), ("m6i.large", "subnet-a", "ami-x86")],
            vec![("m6i.2x", "subnet-a", "ami-x86")],
        ]
    );
    let names: BTreeSet<&String> = request.templates.iter().map(|(template, _)| &template.name).collect();
    assert_eq!(names.len(), 3);
}

#[test]
fn the_cheapest_sixty_types_are_asked_for() {
    let offerings: Vec<LaunchOffering> =
        (0..100).map(|at| offering(&format!("t{at}.large"), "a", OnDemand, 1_000 - at)).collect();
    let request = asked(&offerings).unwrap();
    let prices: Vec<u64> = request.overrides().map(|one| one.offering.price.micros()).collect();
    assert_eq!((prices.len(), prices.first(), prices.last()), (60, Some(&901), Some(&960)));
}

#[test]
fn one_request_is_for_reservations_of_one_kind_and_one_of_each_type_in_a_zone() {
    let reserved = |kind: &str, zone: &str, id: &str| LaunchOffering {
        reservation: Some(id.to_owned()),
        ..offering(kind, zone, CapacityType::Reserved, 1)
    };
    let own = [
        reserved("m6i.large", "a", "cr-1"),
        reserved("m6i.large", "a", "cr-2"),
        reserved("m6i.large", "b", "cr-3"),
        reserved("m6i.large", "b", "block-1"),
        reserved("m6i.2x", "a", "lent-1"),
    ];
    let listed = |offerings: &[LaunchOffering]| {
        let request = asked(offerings).unwrap();
        let ids: Vec<String> =
            request.overrides().filter_map(|one| one.offering.reservation.clone()).collect();
        (request.reserved, ids)
    };
    assert_eq!(listed(&own), (Some(Reserved::OnDemand), vec!["cr-1".to_owned(), "cr-3".to_owned()]));
    let blocks = [reserved("m6i.large", "a", "block-1"), reserved("m6i.large", "b", "block-2")];
    assert_eq!(listed(&blocks), (Some(Reserved::CapacityBlock), vec!["block-1".to_owned()]));
    assert_eq!(listed(&own[4..]), (Some(Reserved::Interruptible), vec!["lent-1".to_owned()]));
    assert_eq!(listed(&[offering("m6i.large", "a", OnDemand, 1)]).0, None);
}

#[test]
fn a_reservation_that_is_used_up_closes_no_other_of_its_type_and_zone() {
    let reserved = |id: &str| LaunchOffering {
        reservation: Some(id.to_owned()),
        ..offering("m6i.large", "a", CapacityType::Reserved, 1)
    };
    let request = asked(&[reserved("cr-1"), reserved("cr-2")]).unwrap();
    let errors = [refused("ReservationCapacityExceeded", "m6i.large", "subnet-a")];
    assert_eq!(used_up(&request, &errors).collect::<Vec<_>>(), ["cr-1"]);
    let nothing = CloudError::InsufficientCapacity { offerings: Vec::new() };
    assert_eq!(shared_out(&request, 1, &[], &errors), [Err(nothing)]);
}

#[test]
fn pods_that_ask_for_efa_get_what_the_type_has() {
    let (cluster, class) = (cluster(), class());
    let efa = |asked: u64, class: &Ec2NodeClass| {
        let mut claim = claim("web", "web-1");
        claim.requests.set("vpc.amazonaws.com/efa", asked);
        let kind = |name: &str| {
            let mut kind = kind(name)?;
            kind.capacity.set("vpc.amazonaws.com/efa", 4);
            Some(kind)
        };
        let known = (&cluster, class, &Addresses::default());
        let request = request(known, &claim, &[offering("p5", "a", OnDemand, 1)], kind).unwrap();
        request.templates[0].0.data.network_interfaces().len()
    };
    assert_eq!([efa(1, &class), efa(0, &class)], [4, 0]);
}

#[test]
fn what_no_image_or_subnet_fits_is_said() {
    let wrong = asked(&[offering("m6i.large", "c", Spot, 1)]).unwrap_err();
    assert_eq!(wrong, "EC2NodeClass default has no image and no subnet for any of the 1 offerings");
}

fn answered(kind: &str, subnet: &str, ids: &[&str]) -> ec2::CreateFleetInstance {
    let overrides =
        ec2::FleetLaunchTemplateOverrides::builder().instance_type(kind.into()).subnet_id(subnet).build();
    let of = ec2::LaunchTemplateAndOverridesResponse::builder().overrides(overrides).build();
    ec2::CreateFleetInstance::builder()
        .instance_type(kind.into())
        .launch_template_and_overrides(of)
        .set_instance_ids(Some(ids.iter().map(|id| (*id).to_owned()).collect()))
        .build()
}

fn refused(code: &str, kind: &str, subnet: &str) -> ec2::CreateFleetError {
    let overrides =
        ec2::FleetLaunchTemplateOverrides::builder().instance_type(kind.into()).subnet_id(subnet).build();
    let of = ec2::LaunchTemplateAndOverridesResponse::builder().overrides(overrides).build();
    ec2::CreateFleetError::builder()
        .error_code(code)
        .error_message("words")
        .launch_template_and_overrides(of)
        .build()
}

#[test]
fn a_fleet_that_comes_in_part_serves_the_first_and_says_to_the_others_what_was_refused() {
    let offerings = [offering("m6i.large", "a", Spot, 30), offering("m6i.large", "b", Spot, 20)];
    let request = asked(&offerings).unwrap();
    let instances = [answered("m6i.large", "subnet-b", &["i-3", "i-1"])];
    let errors = [refused("InsufficientInstanceCapacity", "m6i.large", "subnet-a")];
    let answers = shared_out(&request, 3, &instances, &errors);
    let refused = vec![offerings[0].clone()];
    let got = |id: &str| {
        let (offering, refused) = (offerings[1].clone(), refused.clone());
        Ok(Launched { id: id.to_owned(), offering, subnet: "subnet-b".to_owned(), refused })
    };
    let lacking = CloudError::InsufficientCapacity { offerings: refused.clone() };
    assert_eq!(answers, [got("i-1"), got("i-3"), Err(lacking)]);
}

#[test]
fn what_ec2_refuses_is_told_apart() {
    let offerings = [
        offering("m6i.large", "a", Spot, 30),
        offering("m6i.large", "b", Spot, 20),
        offering("m6i.2x", "b", Spot, 40),
    ];
    let request = asked(&offerings).unwrap();
    let refusal = |code: &str| match shared_out(&request, 1, &[], &[refused(code, "m6i.large", "subnet-b")])
        .remove(0)
    {
        Err(CloudError::InsufficientCapacity { offerings }) => {
            let mut found: Vec<String> =
                offerings.iter().map(|one| format!("{} {}", one.instance_type, one.zone)).collect();
            found.sort();
            found.join(", ")
        }
        other => format!("{:?}", other.map(|one| one.id)),
    };
    let all = "m6i.2x b, m6i.large a, m6i.large b";
    for (code, expected) in [
        ("InsufficientInstanceCapacity", "m6i.large b"),
        ("InsufficientFreeAddressesInSubnet", "m6i.2x b, m6i.large b"),
        ("MaxSpotInstanceCountExceeded", all),
        ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", all),
        (
            "UnauthorizedOperation",
            "Err(Rejected { message: \"ec2:CreateFleet: UnauthorizedOperation: words\" })",
        ),
    ] {
        assert_eq!(refusal(code), expected, "{code}");
    }
    let nothing = shared_out(&request, 1, &[], &[]).remove(0);
    assert!(
        matches!(nothing, Err(CloudError::InsufficientCapacity { offerings }) if offerings.len() == 3),
        "EC2 may say nothing at all"
    );
}

#[test]
fn a_full_subnet_closes_its_zone_only_where_there_is_no_other() {
    let addresses = Addresses::default();
    addresses.put([("subnet-a".to_owned(), 60), ("subnet-a2".to_owned(), 50), ("subnet-b".to_owned(), 9)]);
    let offerings = [offering("m6i.large", "a", Spot, 30), offering("m6i.large", "b", Spot, 20)];
    let known = (&cluster(), &class(), &addresses);
    let request = request(known, &claim("web", "web-1"), &offerings, kind).unwrap();
    let taken: Vec<(&str, i64)> = request.addresses().into_iter().collect();
    assert_eq!(taken, [("subnet-a", 29), ("subnet-b", 29)]);
    let full = |subnet: &str| refused("InsufficientFreeAddressesInSubnet", "m6i.large", subnet);
    let answer = |errors: &[ec2::CreateFleetError]| shared_out(&request, 1, &[], errors).remove(0);
    let message = "subnet-a has no free addresses, another is tried".to_owned();
    assert_eq!(answer(&[full("subnet-a")]), Err(CloudError::Transport { message }));
    let closed = Err(CloudError::InsufficientCapacity { offerings: vec![offerings[1].clone()] });
    assert_eq!(answer(&[full("subnet-b"), full("subnet-a")]), closed);
}

fn of_fleet(id: &str, tags: &[(&str, &str)]) -> Seen {
    let mut all = vec![("karpenter.sh/nodepool", "web")];
    all.extend(tags);
    Seen {
        id: id.to_owned(),
        instance_type: "m6i.large".to_owned(),
        zone: "a".to_owned(),
        capacity_type: Spot,
        reservation: None,
        launched: Timestamp::EPOCH,
        is_terminated: id == "i-1",
        image: String::new(),
        subnet: String::new(),
        security_groups: Vec::new(),
        dns_name: String::new(),
        tags: all.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }
}

#[test]
fn instances_of_a_fleet_are_found_again_in_the_order_in_which_they_were_shared_out() {
    let names = [("whittle.dev/nodeclaims", "a b c")];
    let instances = [
        of_fleet("i-2", &names),
        of_fleet("i-1", &names),
        of_fleet("i-3", &[("karpenter.sh/nodeclaim", "web-c")]),
        of_fleet("i-4", &[]),
    ];
    let found = by_claim(&instances);
    let found: Vec<(&str, &str)> =
        found.iter().map(|(claim, one)| (claim.as_str(), one.id.as_str())).collect();
    assert_eq!(found, [("web-a", "i-1"), ("web-b", "i-2"), ("web-c", "i-3")]);
}
