//! Instances that EC2 finds unhealthy or has plans for, asked of EC2 every minute: what no message of the queue tells.

use std::time::Duration as Span;

use aws_sdk_ec2::types::{InstanceStatus, InstanceStatusEvent, StatusName};
use tokio::time::{MissedTickBehavior, interval};
use whittle_control::ports::news::InstanceNotice;
use whittle_core::event::NoticeKind;
use whittle_core::model::time::{Duration, Timestamp};

use crate::classes::filters::filter;
use crate::connect::Clients;
use crate::error::{Failure, Reaction};
use crate::queue::Ear;

/// EC2 is asked so often (Karpenter).
const EVERY: Span = Span::from_secs(60);
/// An instance is given up when it has failed its checks for so long (Karpenter).
const IMPAIRED_FOR: Duration = Duration::from_secs(120);
/// What EC2 can have planned that ends an instance or stops it for a while.
const PLANS: [&str; 5] =
    ["instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop"];

/// Asks for as long as it is polled. Where the account may not ask, it is said once, and that is all.
pub async fn watch(clients: Clients, ear: &impl Ear, clock: fn() -> Timestamp) {
    let mut pace = interval(EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        match look(&clients, clock()).await {
            // What is told is told again as long as it is so: nobody has to wait for it.
            Ok(notices) if notices.is_empty() => {}
            Ok(notices) => drop(tokio::time::timeout(EVERY, ear.hear(notices)).await),
            Err(failure) if failure.reaction() == Reaction::Denied => {
                tracing::warn!("the health of instances is not watched: {failure}");
                return;
            }
            Err(failure) => tracing::warn!("the health of instances is not known: {failure}"),
        }
    }
}

async fn look(clients: &Clients, now: Timestamp) -> Result<Vec<InstanceNotice>, Failure> {
    let mut notices = Vec::new();
    for (name, values) in [
        ("instance-status.status", &["impaired"] as &[&str]),
        ("system-status.status", &["impaired"]),
        ("event.code", &PLANS),
    ] {
        let status = clients.ec2.describe_instance_status();
        let mut pages = status.filters(filter(name, values)).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of("ec2:DescribeInstanceStatus", &error))?;
            notices.extend(page.instance_statuses().iter().filter_map(|one| notice(one, now)));
        }
    }
    notices.sort();
    notices.dedup();
    Ok(notices)
}

/// What is to be said of an instance, if anything: that it has failed its checks for too long counts before what is
/// planned for it.
fn notice(status: &InstanceStatus, now: Timestamp) -> Option<InstanceNotice> {
    let instance = status.instance_id()?.to_owned();
    let of = |kind, deadline| InstanceNotice { instance: instance.clone(), kind, received: now, deadline };
    if is_impaired(status, now) {
        return Some(of(NoticeKind::StateChange, now));
    }
    let plans = status.events().iter().filter(|event| is_ahead(event));
    let begins = plans.filter_map(|event| event.not_before()).filter_map(timestamp).min();
    begins.map(|begins| of(NoticeKind::Maintenance, begins.max(now)))
}

/// Whether it has failed the checks of the instance or of its machine for too long. Those of its volumes do not count.
fn is_impaired(status: &InstanceStatus, now: Timestamp) -> bool {
    let checks = [status.instance_status(), status.system_status()];
    let details = checks.into_iter().flatten().flat_map(|check| check.details());
    let mut failed = details.filter(|one| one.name() == Some(&StatusName::Reachability));
    failed
        .any(|one| one.impaired_since().and_then(timestamp).is_some_and(|since| since + IMPAIRED_FOR <= now))
}

/// EC2 goes on telling of what is over.
fn is_ahead(event: &InstanceStatusEvent) -> bool {
    let is_of_plan = event.code().is_some_and(|code| PLANS.contains(&code.as_str()));
    let words = event.description().unwrap_or_default();
    is_of_plan && !words.starts_with("[Completed]") && !words.starts_with("[Canceled]")
}

fn timestamp(time: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    u64::try_from(time.to_millis().ok()?).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{InstanceStatusDetails, InstanceStatusSummary, StatusType};
    use aws_smithy_types::DateTime;

    use super::*;

    const NOW: u64 = 10_000;

    fn said(status: aws_sdk_ec2::types::builders::InstanceStatusBuilder) -> Option<(NoticeKind, u64)> {
        let notice = notice(&status.instance_id("i-1").build(), Timestamp::from_millis(NOW * 1_000))?;
        Some((notice.kind, notice.deadline.millis() / 1_000))
    }

    fn impaired(since: i64) -> InstanceStatusSummary {
        let details = InstanceStatusDetails::builder()
            .name(StatusName::Reachability)
            .status(StatusType::Failed)
            .impaired_since(DateTime::from_secs(since))
            .build();
        InstanceStatusSummary::builder().details(details).build()
    }

    fn planned(code: &str, words: &str) -> InstanceStatusEvent {
        InstanceStatusEvent::builder()
            .code(code.into())
            .description(words)
            .not_before(DateTime::from_secs(20_000))
            .build()
    }

    #[test]
    fn an_instance_goes_when_it_fails_for_two_minutes_or_ec2_has_plans_for_it() {
        let status = InstanceStatus::builder;
        let gone = Some((NoticeKind::StateChange, NOW));
        let planned_for = Some((NoticeKind::Maintenance, 20_000));
        for (status, expected) in [
            (status(), None),
            (status().instance_status(impaired(9_880)), gone),
            (status().system_status(impaired(9_880)), gone),
            (status().system_status(impaired(9_881)), None),
            (status().events(planned("instance-retirement", "words")), planned_for),
            (status().events(planned("instance-retirement", "[Completed] words")), None),
            (status().events(planned("unheard-of", "words")), None),
        ] {
            assert_eq!(said(status.clone()), expected, "{status:?}");
        }
    }
}
