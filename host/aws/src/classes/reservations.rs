//! The capacity reservations that a class selects.

use aws_sdk_ec2::types;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use whittle_api::node_class::selectors::{CapacityReservationSelectorTerm, InstanceMatchCriteria};
use whittle_api::node_class::status::{CapacityReservation, ReservationState, ReservationType};

use crate::classes::filters::{Filters, by_id, of_tags, sdk};
use crate::connect::Clients;
use crate::error::Failure;

/// So many on a page.
const PAGE: i32 = 1_000;
/// A capacity block is about to end so many seconds before its end (Karpenter: 40 min).
const EXPIRING_SECONDS: i64 = 40 * 60;

/// What is asked for the reservations of these terms. EC2 has no filter for ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    ids: Vec<String>,
    filters: Filters,
}

/// What is asked for the reservations of these terms.
pub(crate) fn asked(terms: &[CapacityReservationSelectorTerm]) -> Vec<Asked> {
    let ids: Vec<String> = terms.iter().filter_map(|term| term.id.clone()).collect();
    let by_ids = by_id("", ids).into_iter().flatten().map(|(_, ids)| Asked { ids, filters: active() });
    let others = terms.iter().filter(|term| term.id.is_none()).map(|term| {
        let owner = term.owner_id.iter().map(|owner| ("owner-id".to_owned(), vec![owner.clone()]));
        let criteria = term.instance_match_criteria.iter().map(|criteria| {
            let word = match criteria {
                InstanceMatchCriteria::Open => "open",
                InstanceMatchCriteria::Targeted => "targeted",
            };
            ("instance-match-criteria".to_owned(), vec![word.to_owned()])
        });
        let tags = term.tags.iter().flat_map(of_tags);
        let filters = active().into_iter().chain(owner).chain(criteria).chain(tags).collect();
        Asked { ids: Vec::new(), filters }
    });
    by_ids.chain(others).collect()
}

fn active() -> Filters {
    vec![("state".to_owned(), vec!["active".to_owned()])]
}

/// The reservations that any of these requests finds, by id.
pub(crate) async fn find(clients: &Clients, asked: &[Asked]) -> Result<Vec<CapacityReservation>, Failure> {
    let mut found = Vec::new();
    for one in asked {
        let ids = Some(one.ids.clone()).filter(|ids| !ids.is_empty());
        let request = clients
            .ec2
            .describe_capacity_reservations()
            .set_capacity_reservation_ids(ids)
            .set_filters(Some(sdk(&one.filters)));
        let mut pages = request.into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of("ec2:DescribeCapacityReservations", &error))?;
            found.extend(page.capacity_reservations.unwrap_or_default());
        }
    }
    Ok(sorted(&found, jiff::Timestamp::now()))
}

fn sorted(found: &[types::CapacityReservation], now: jiff::Timestamp) -> Vec<CapacityReservation> {
    let mut all: Vec<CapacityReservation> = found.iter().filter_map(|one| read(one, now)).collect();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all.dedup_by(|one, other| one.id == other.id);
    all
}

fn read(found: &types::CapacityReservation, now: jiff::Timestamp) -> Option<CapacityReservation> {
    let end = found.end_date().and_then(|end| jiff::Timestamp::from_second(end.secs()).ok());
    let is_block = found.reservation_type() == Some(&types::CapacityReservationType::CapacityBlock);
    let is_expiring = is_block && end.is_some_and(|end| end.as_second() - now.as_second() < EXPIRING_SECONDS);
    let is_open = found.instance_match_criteria() == Some(&types::InstanceMatchCriteria::Open);
    Some(CapacityReservation {
        id: found.capacity_reservation_id()?.to_owned(),
        availability_zone: found.availability_zone()?.to_owned(),
        instance_type: found.instance_type()?.to_owned(),
        instance_match_criteria: if is_open {
            InstanceMatchCriteria::Open
        } else {
            InstanceMatchCriteria::Targeted
        },
        owner_id: found.owner_id()?.to_owned(),
        end_time: end.map(Time),
        reservation_type: if is_block { ReservationType::CapacityBlock } else { ReservationType::Default },
        interruptible: found.interruptible(),
        state: if is_expiring { ReservationState::Expiring } else { ReservationState::Active },
    })
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_asked_for_together_and_only_what_is_active_counts() {
        let terms = json!([
            { "id": "cr-1" },
            { "id": "cr-2" },
            { "ownerID": "123456789012", "instanceMatchCriteria": "open", "tags": { "team": "*" } },
        ]);
        let terms: Vec<CapacityReservationSelectorTerm> = serde_json::from_value(terms).unwrap();
        let filter = |name: &str, value: &str| (name.to_owned(), vec![value.to_owned()]);
        let expected = [
            Asked {
                ids: vec!["cr-1".to_owned(), "cr-2".to_owned()],
                filters: vec![filter("state", "active")],
            },
            Asked {
                ids: Vec::new(),
                filters: vec![
                    filter("state", "active"),
                    filter("owner-id", "123456789012"),
                    filter("instance-match-criteria", "open"),
                    filter("tag-key", "team"),
                ],
            },
        ];
        assert_eq!(asked(&terms), expected);
    }

    #[test]
    fn a_capacity_block_expires_forty_minutes_before_its_end() {
        let now = jiff::Timestamp::from_second(1_000_000).unwrap();
        let state = |kind: types::CapacityReservationType, left: i64| {
            let found = types::CapacityReservation::builder()
                .capacity_reservation_id("cr-1")
                .availability_zone("a")
                .instance_type("p5.48xlarge")
                .owner_id("123456789012")
                .reservation_type(kind)
                .end_date(DateTime::from_secs(now.as_second() + left))
                .build();
            sorted(&[found.clone(), found], now).into_iter().map(|one| one.state).collect::<Vec<_>>()
        };
        let block = types::CapacityReservationType::CapacityBlock;
        assert_eq!(state(block.clone(), 2_400), [ReservationState::Active]);
        assert_eq!(state(block, 2_399), [ReservationState::Expiring]);
        assert_eq!(state(types::CapacityReservationType::Default, 60), [ReservationState::Active]);
    }
}
