//! The capacity reservations that a class selects.

use aws_sdk_ec2::types;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use whittle_api::conditions;
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_class::selectors::{CapacityReservationSelectorTerm, InstanceMatchCriteria};
use whittle_api::node_class::status::{CapacityReservation, ReservationState, ReservationType};
use whittle_core::model::time::{Duration, Timestamp};

use crate::classes::filters::{Filters, by_id, of_tags, sdk};
use crate::connect::Clients;
use crate::error::{Failure, Reaction};
use crate::known::ReservedCounts;
use crate::launch::seen::Seen;

/// So many on a page.
const PAGE: i32 = 1_000;
/// A capacity block is about to end so many seconds before its end (Karpenter: 40 min).
const EXPIRING_SECONDS: i64 = 40 * 60;
/// EC2 begins to end what runs in a capacity block so long before its end.
const ENDED_BEFORE: Duration = Duration::from_secs(30 * 60);

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

/// A reservation, and how many instances nobody has of it.
pub(crate) type Left = (CapacityReservation, u32);

/// The reservations that any of these requests finds, by id. Those of an id that EC2 does not know any more are none.
pub(crate) async fn find(clients: &Clients, asked: &[Asked]) -> Result<Vec<Left>, Failure> {
    let mut found = Vec::new();
    for one in asked {
        found.extend(match ask(clients, &one.ids, &one.filters).await {
            Err(failure) if failure.reaction() == Reaction::Missing => {
                each_alone(clients, &one.ids, &one.filters).await?
            }
            answer => answer?,
        });
    }
    Ok(sorted(&found, jiff::Timestamp::now()))
}

async fn each_alone(
    clients: &Clients,
    ids: &[String],
    filters: &Filters,
) -> Result<Vec<types::CapacityReservation>, Failure> {
    let mut found = Vec::new();
    for id in ids {
        match ask(clients, std::slice::from_ref(id), filters).await {
            Err(failure) if failure.reaction() == Reaction::Missing => {
                tracing::warn!(id, "a capacity reservation that a class names is not there");
            }
            answer => found.extend(answer?),
        }
    }
    Ok(found)
}

async fn ask(
    clients: &Clients,
    ids: &[String],
    filters: &Filters,
) -> Result<Vec<types::CapacityReservation>, Failure> {
    let mut found = Vec::new();
    let request = clients
        .ec2
        .describe_capacity_reservations()
        .set_capacity_reservation_ids(Some(ids.to_vec()).filter(|ids| !ids.is_empty()))
        .set_filters(Some(sdk(filters)));
    let mut pages = request.into_paginator().page_size(PAGE).send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failure::of("ec2:DescribeCapacityReservations", &error))?;
        found.extend(page.capacity_reservations.unwrap_or_default());
    }
    Ok(found)
}

/// How many instances each has for this cluster: what is left of it, and what runs in it here.
pub(crate) fn counted(left: &[Left], instances: &[Seen]) -> ReservedCounts {
    let of = |id: &str| {
        let living = instances.iter().filter(|one| !one.is_terminated);
        living.filter(|one| one.reservation.as_deref() == Some(id)).count()
    };
    let count = |(one, left): &Left| {
        let own = u32::try_from(of(&one.id)).unwrap_or(u32::MAX);
        (one.id.clone(), left.saturating_add(own))
    };
    left.iter().map(count).collect()
}

/// When EC2 ends what runs in a capacity block of the class, if it is about to expire.
pub(crate) fn ends(class: &Ec2NodeClass, reservation: &str) -> Option<Timestamp> {
    let found = class.status.as_ref()?.capacity_reservations.iter().find(|one| one.id == reservation)?;
    let is_expiring = found.state == ReservationState::Expiring;
    let end = found.end_time.as_ref().filter(|_| is_expiring)?;
    Some(conditions::timestamp(end) - ENDED_BEFORE)
}

fn sorted(found: &[types::CapacityReservation], now: jiff::Timestamp) -> Vec<Left> {
    let left = |one: &types::CapacityReservation| {
        one.available_instance_count().and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
    };
    let mut all: Vec<Left> = found.iter().filter_map(|one| Some((read(one, now)?, left(one)))).collect();
    all.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
    all.dedup_by(|(one, _), (other, _)| one.id == other.id);
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
    use crate::launch::seen::seen;

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
    fn what_runs_in_a_block_that_expires_ends_half_an_hour_before_the_block() {
        let block = |id: &str, state: &str| {
            json!({
                "id": id, "availabilityZone": "a", "instanceType": "p5.48xlarge", "ownerID": "123456789012",
                "instanceMatchCriteria": "targeted", "reservationType": "capacity-block", "state": state,
                "endTime": "2026-11-28T12:00:00Z",
            })
        };
        let mut class = Ec2NodeClass::new("default", whittle_api::node_class::Ec2NodeClassSpec::default());
        let status = json!({ "capacityReservations": [block("cr-1", "expiring"), block("cr-2", "active")] });
        class.status = Some(serde_json::from_value(status).unwrap());
        let end: jiff::Timestamp = "2026-11-28T11:30:00Z".parse().unwrap();
        let end = Timestamp::from_millis(u64::try_from(end.as_millisecond()).unwrap());
        assert_eq!(ends(&class, "cr-1"), Some(end));
        assert_eq!((ends(&class, "cr-2"), ends(&class, "cr-3")), (None, None));
    }

    #[test]
    fn a_reservation_has_what_is_left_of_it_and_what_runs_in_it_here() {
        let found = |id: &str, left: i32| {
            types::CapacityReservation::builder()
                .capacity_reservation_id(id)
                .availability_zone("a")
                .instance_type("m6i.large")
                .owner_id("123456789012")
                .available_instance_count(left)
                .build()
        };
        let left = sorted(&[found("cr-1", 3), found("cr-2", 0), found("cr-3", 5)], jiff::Timestamp::now());
        let runs = |id: &str, reservation: &str, state: types::InstanceStateName| {
            let placement = types::Placement::builder().availability_zone("a").build();
            let instance = types::Instance::builder()
                .instance_id(id)
                .instance_type("m6i.large".into())
                .placement(placement)
                .capacity_reservation_id(reservation)
                .state(types::InstanceState::builder().name(state).build());
            seen(&instance.build()).unwrap()
        };
        let instances = [
            runs("i-1", "cr-1", types::InstanceStateName::Running),
            runs("i-2", "cr-2", types::InstanceStateName::Pending),
            runs("i-3", "cr-2", types::InstanceStateName::Terminated),
        ];
        let counts: Vec<(String, u32)> = counted(&left, &instances).into_iter().collect();
        let expected = [("cr-1", 4), ("cr-2", 1), ("cr-3", 5)];
        assert_eq!(counts, expected.map(|(id, count)| (id.to_owned(), count)));
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
            sorted(&[found.clone(), found], now).into_iter().map(|(one, _)| one.state).collect::<Vec<_>>()
        };
        let block = types::CapacityReservationType::CapacityBlock;
        assert_eq!(state(block.clone(), 2_400), [ReservationState::Active]);
        assert_eq!(state(block, 2_399), [ReservationState::Expiring]);
        assert_eq!(state(types::CapacityReservationType::Default, 60), [ReservationState::Active]);
    }
}
