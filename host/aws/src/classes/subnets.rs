//! The subnets that a class selects.

use aws_sdk_ec2::types;
use whittle_api::node_class::status::Subnet;

use crate::classes::filters::{Filters, sdk};
use crate::connect::Clients;
use crate::error::Failure;

/// So many on a page.
const PAGE: i32 = 500;

/// The subnets that any of these requests finds, those with the most free addresses first.
pub(crate) async fn find(clients: &Clients, asked: &[Filters]) -> Result<Vec<Subnet>, Failure> {
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

fn sorted(found: &[types::Subnet]) -> Vec<Subnet> {
    let mut subnets: Vec<(i32, Subnet)> = found.iter().filter_map(read).collect();
    subnets.sort_by(|(free, one), (other_free, other)| other_free.cmp(free).then(one.id.cmp(&other.id)));
    subnets.dedup_by(|(_, one), (_, other)| one.id == other.id);
    subnets.into_iter().map(|(_, subnet)| subnet).collect()
}

fn read(found: &types::Subnet) -> Option<(i32, Subnet)> {
    let subnet = Subnet {
        id: found.subnet_id()?.to_owned(),
        zone: found.availability_zone()?.to_owned(),
        zone_id: found.availability_zone_id().map(str::to_owned),
    };
    Some((found.available_ip_address_count().unwrap_or(0), subnet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_the_most_free_addresses_come_first_and_each_comes_once() {
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
            subnet("subnet-2", "b", 10),
            types::Subnet::builder().subnet_id("subnet-without-a-zone").build(),
        ];
        let read: Vec<String> = sorted(&found)
            .into_iter()
            .map(|one| format!("{} {} {}", one.id, one.zone, one.zone_id.unwrap()))
            .collect();
        assert_eq!(read, ["subnet-3 c id-of-c", "subnet-1 a id-of-a", "subnet-2 b id-of-b"]);
    }
}
