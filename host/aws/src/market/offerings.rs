//! The zones of the account, and which instance types each offers.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{AvailabilityZone, InstanceTypeOffering, LocationType};
use whittle_catalog::names::kept;
use whittle_catalog::zone::Zone;

use crate::connect::Clients;
use crate::error::Failure;

/// So many offerings on a page, the most that EC2 gives.
const PAGE: i32 = 1_000;

/// The zones that the account can use: those of the region, and local ones that it has opted in to.
pub(super) async fn zones(clients: &Clients) -> Result<Vec<Zone>, Failure> {
    let answer = clients.ec2.describe_availability_zones().send().await;
    let answer = answer.map_err(|error| Failure::of("ec2:DescribeAvailabilityZones", &error))?;
    Ok(answer.availability_zones().iter().filter_map(zone).collect())
}

/// Instance types with the names of the zones that offer them.
pub(super) async fn offered(
    clients: &Clients,
) -> Result<BTreeMap<&'static str, BTreeSet<&'static str>>, Failure> {
    let asked = clients.ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone);
    let found = asked.into_paginator().page_size(PAGE).items().send().try_collect().await;
    let found = found.map_err(|error| Failure::of("ec2:DescribeInstanceTypeOfferings", &error))?;
    Ok(by_type(&found))
}

fn zone(zone: &AvailabilityZone) -> Option<Zone> {
    Some(Zone { name: kept(zone.zone_name()?), id: kept(zone.zone_id()?) })
}

fn by_type(offerings: &[InstanceTypeOffering]) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for one in offerings {
        if let (Some(name), Some(zone)) = (one.instance_type(), one.location()) {
            found.entry(kept(name.as_str())).or_default().insert(kept(zone));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_the_zones_that_offer_it() {
        let offering = |name: &str, zone: &str| {
            InstanceTypeOffering::builder().instance_type(name.into()).location(zone).build()
        };
        let answer = [offering("m99.large", "b"), offering("c99.large", "a"), offering("m99.large", "a")];
        let expected =
            BTreeMap::from([("c99.large", BTreeSet::from(["a"])), ("m99.large", BTreeSet::from(["a", "b"]))]);
        assert_eq!(by_type(&answer), expected);
        assert_eq!(by_type(&[InstanceTypeOffering::builder().location("a").build()]), BTreeMap::new());
    }

    #[test]
    fn a_zone_has_the_id_of_the_account() {
        let named = AvailabilityZone::builder().zone_name("eu-west-1a").zone_id("euw1-az3").build();
        assert_eq!(zone(&named), Some(Zone { name: "eu-west-1a", id: "euw1-az3" }));
    }
}
