//! The subnets that a class selects.

use aws_sdk_ec2::types;
use whittle_api::node_class::status::Subnet;

use crate::classes::filters::{Filters, sdk};
use crate::connect::Clients;
use crate::error::Failure;

/// So many on a page.
const PAGE: i32 = 500;

/// A subnet, and how many addresses are free in it.
pub(crate) type Counted = (Subnet, i64);

/// The subnets that any of these requests finds, by id.
pub(crate) async fn find(clients: &Clients, asked: &[Filters]) -> Result<Vec<Counted>, Failure> {
    let mut found = Vec::new();
    for filters in asked {
        let request = clients.ec2.describe_subnets().set_filters(Some(sdk(filters)));
        let mut pages = request.into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of("ec2:DescribeSubnets", &error))?;
            found.extend(page.subnets.unwrap_or_default());
        }
    }
    Ok(sorted(&found))
}

/// In an order that does not change with every address that is taken.
fn sorted(found: &[types::Subnet]) -> Vec<Counted> {
    let mut subnets: Vec<Counted> = found.iter().filter_map(read).collect();
    subnets.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
    subnets.dedup_by(|(one, _), (other, _)| one.id == other.id);
    subnets
}

fn read(found: &types::Subnet) -> Option<Counted> {
    let subnet = Subnet {
        id: found.subnet_id()?.to_owned(),
        zone: found.availability_zone()?.to_owned(),
        zone_id: found.availability_zone_id().map(str::to_owned),
    };
    Some((subnet, found.available_ip_address_count().unwrap_or(0).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_once_by_id_with_its_free_addresses() {
        let subnet = |id: &str, zone: &str, free: i32| {
            types::Subnet::builder()
                .subnet_id(id)
                .availability_zone(zone)
                .availability_zone_id(format!("id-of-{zone}"))
                .available_ip_address_count(free)
                .build()
        };
        let found = [
            subnet("subnet-2", "b", 10),
            subnet("subnet-1", "a", 10),
            subnet("subnet-3", "c", 200),
            // Another term finds it too, when an address has been taken meanwhile.
            subnet("subnet-2", "b", 9),
            types::Subnet::builder().subnet_id("subnet-without-a-zone").build(),
        ];
        let read: Vec<String> = sorted(&found)
            .into_iter()
            .map(|(one, free)| format!("{} {} {} {free}", one.id, one.zone, one.zone_id.unwrap()))
            .collect();
        assert_eq!(read, ["subnet-1 a id-of-a 10", "subnet-2 b id-of-b 10", "subnet-3 c id-of-c 200"]);
    }
}
