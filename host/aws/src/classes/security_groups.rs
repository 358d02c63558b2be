//! The security groups that a class selects.

use aws_sdk_ec2::types;
use whittle_api::node_class::status::SecurityGroup;

use crate::classes::filters::{Filters, sdk};
use crate::connect::Clients;
use crate::error::Failure;

/// So many on a page.
const PAGE: i32 = 500;

/// The security groups that any of these requests finds, by id.
pub(crate) async fn find(clients: &Clients, asked: &[Filters]) -> Result<Vec<SecurityGroup>, Failure> {
    let mut found = Vec::new();
    for filters in asked {
        let request = clients.ec2.describe_security_groups().set_filters(Some(sdk(filters)));
        let mut pages = request.into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of("ec2:DescribeSecurityGroups", &error))?;
            found.extend(page.security_groups.unwrap_or_default());
        }
    }
    Ok(sorted(&found))
}

fn sorted(found: &[types::SecurityGroup]) -> Vec<SecurityGroup> {
    let read = |one: &types::SecurityGroup| {
        Some(SecurityGroup { id: one.group_id()?.to_owned(), name: one.group_name().map(str::to_owned) })
    };
    let mut groups: Vec<SecurityGroup> = found.iter().filter_map(read).collect();
    groups.sort_by(|one, other| one.id.cmp(&other.id));
    groups.dedup_by(|one, other| one.id == other.id);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_comes_once_by_id() {
        let group =
            |id: &str, name: &str| types::SecurityGroup::builder().group_id(id).group_name(name).build();
        let found = [group("sg-2", "nodes"), group("sg-1", "shared"), group("sg-2", "nodes")];
        let expected = [("sg-1", "shared"), ("sg-2", "nodes")]
            .map(|(id, name)| SecurityGroup { id: id.to_owned(), name: Some(name.to_owned()) });
        assert_eq!(sorted(&found), expected);
    }
}
