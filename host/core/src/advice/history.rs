//! What EC2 did lately: instances that it took back, launches that it refused.
//!
//! Kept beside the state and lost with a restart, which is safe: a policy that knows of no reclaims decides as if
//! there had been none. No cluster object holds this, because none of Karpenter's does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::capacity::{RECENT_SPAN, RECENT_SPANS};
use super::words::Past;
use crate::event::{Event, NoticeKind};
use crate::model::time::{Duration, Timestamp};
use crate::plan::Outcome;
use crate::state::{OfferingKey, Snapshot};

/// What happened longer ago than this is forgotten.
const REMEMBERED_FOR: Duration = Duration::from_secs(86_400);

/// An hour.
const HOUR: Duration = Duration::from_secs(3_600);

/// The most that is remembered of each kind: a busy day of a large cluster, some megabytes.
const REMEMBERED_MAX: usize = 20_000;

/// What EC2 did lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    reclaims: VecDeque<(Timestamp, OfferingKey)>,
    shortages: VecDeque<(Timestamp, OfferingKey)>,
    /// Instances whose reclaim has been counted: EC2 may say it again.
    reclaimed: BTreeMap<String, Timestamp>,
}

impl History {
    /// Takes in what an event says about EC2. `snapshot` is what was known before it.
    pub fn note(&mut self, event: &Event, snapshot: &Snapshot, now: Timestamp) {
        match event {
            Event::Notice(notice) if notice.kind == NoticeKind::Reclaim => {
                let instance =
                    snapshot.claim_of_instance(&notice.provider_id).and_then(|claim| claim.instance.as_ref());
                if let Some(instance) = instance
                    && self.reclaimed.insert(notice.provider_id.clone(), now).is_none()
                {
                    let key = (instance.instance_type.clone(), instance.zone.clone(), instance.capacity_type);
                    remember(&mut self.reclaims, now, key);
                }
            }
            Event::Outcome(Outcome::InsufficientCapacity { offerings, .. }) => {
                let keys: BTreeSet<OfferingKey> = offerings
                    .iter()
                    .map(|refused| {
                        (refused.instance_type.clone(), refused.zone.clone(), refused.capacity_type)
                    })
                    .collect();
                keys.into_iter().for_each(|key| remember(&mut self.shortages, now, key));
            }
            Event::NodePool(_)
            | Event::NodePoolGone(_)
            | Event::NodeClass(_)
            | Event::NodeClassGone(_)
            | Event::NodeClaim(_)
            | Event::NodeClaimGone(_)
            | Event::Node(_)
            | Event::NodeGone(_)
            | Event::VolumeLimits(_)
            | Event::VolumeLimitsGone(_)
            | Event::VolumeAttachment(_)
            | Event::VolumeAttachmentGone(_)
            | Event::InstanceDrift { .. }
            | Event::Pod(_)
            | Event::PodGone(_)
            | Event::DaemonSet(_)
            | Event::DaemonSetGone(_)
            | Event::PodDisruptionBudget(_)
            | Event::PodDisruptionBudgetGone(_)
            | Event::VolumeClaim(_)
            | Event::VolumeClaimGone(_)
            | Event::Namespace(..)
            | Event::Notice(_)
            | Event::Outcome(_) => {}
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Timestamp) {
        for list in [&mut self.reclaims, &mut self.shortages] {
            while list.front().is_some_and(|(at, _)| now.since(*at) >= REMEMBERED_FOR) {
                list.pop_front();
            }
        }
        self.reclaimed.retain(|_, at| now.since(*at) < REMEMBERED_FOR);
    }

    /// Reclaims of offerings for which `is_meant` holds.
    #[must_use]
    pub fn reclaims(&self, now: Timestamp, is_meant: impl Fn(&OfferingKey) -> bool) -> Past {
        past(&self.reclaims, now, is_meant)
    }

    /// Refused launches of offerings for which `is_meant` holds.
    #[must_use]
    pub fn shortages(&self, now: Timestamp, is_meant: impl Fn(&OfferingKey) -> bool) -> Past {
        past(&self.shortages, now, is_meant)
    }

    /// All reclaims and all refused launches by offering.
    #[must_use]
    pub fn by_offering(&self, now: Timestamp) -> BTreeMap<OfferingKey, (Past, Past)> {
        let mut sums: BTreeMap<OfferingKey, (Past, Past)> = BTreeMap::new();
        for (at, key) in &self.reclaims {
            count(&mut sums.entry(key.clone()).or_default().0, *at, now);
        }
        for (at, key) in &self.shortages {
            count(&mut sums.entry(key.clone()).or_default().1, *at, now);
        }
        sums
    }

    /// Reclaims by span of five minutes, the newest first.
    #[must_use]
    pub fn recent_reclaims(&self, now: Timestamp, is_meant: impl Fn(&OfferingKey) -> bool) -> Vec<u32> {
        let mut spans = vec![0; RECENT_SPANS];
        for (at, _) in self.reclaims.iter().filter(|(at, key)| *at <= now && is_meant(key)) {
            let span = now.since(*at).millis() / RECENT_SPAN.millis();
            if let Some(count) = usize::try_from(span).ok().and_then(|span| spans.get_mut(span)) {
                *count += 1;
            }
        }
        spans
    }
}

fn remember(list: &mut VecDeque<(Timestamp, OfferingKey)>, now: Timestamp, key: OfferingKey) {
    if list.len() == REMEMBERED_MAX {
        list.pop_front();
    }
    list.push_back((now, key));
}

fn past(
    list: &VecDeque<(Timestamp, OfferingKey)>,
    now: Timestamp,
    is_meant: impl Fn(&OfferingKey) -> bool,
) -> Past {
    let mut past = Past::default();
    for (at, _) in list.iter().filter(|(_, key)| is_meant(key)) {
        count(&mut past, *at, now);
    }
    past
}

fn count(past: &mut Past, at: Timestamp, now: Timestamp) {
    let ago = now.since(at);
    if at > now || ago >= REMEMBERED_FOR {
        return;
    }
    past.last_day += 1;
    past.last_hour += u32::from(ago < HOUR);
    past.latest = past.latest.max(Some(at));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance_type::CapacityType;
    use crate::plan::LaunchOffering;

    fn at(secs: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(secs)
    }

    fn refusal(zone: &str, now: Timestamp) -> Event {
        let offering = LaunchOffering {
            instance_type: "m6i.large".into(),
            zone: zone.into(),
            capacity_type: CapacityType::Spot,
            price: crate::model::price::Price::ZERO,
            reservation: None,
        };
        let offerings = vec![offering.clone(), offering];
        Event::Outcome(Outcome::InsufficientCapacity { claim: "a".into(), offerings, at: now })
    }

    #[test]
    fn a_refused_launch_counts_once_for_each_offering_and_is_forgotten_after_a_day() {
        let mut history = History::default();
        let snapshot = Snapshot::default();
        history.note(&refusal("a", at(0)), &snapshot, at(0));
        history.note(&refusal("b", at(7_200)), &snapshot, at(7_200));
        let past = |now| history.shortages(now, |_| true);
        assert_eq!(past(at(7_200)), Past { last_hour: 1, last_day: 2, latest: Some(at(7_200)) });
        assert_eq!(past(at(86_400)), Past { last_hour: 0, last_day: 1, latest: Some(at(7_200)) });
        let in_zone_a = history.shortages(at(60), |(_, zone, _)| zone == "a");
        assert_eq!(in_zone_a, Past { last_hour: 1, last_day: 1, latest: Some(at(0)) });
    }

    #[test]
    fn recent_reclaims_are_counted_from_now_backwards() {
        let key = ("m6i.large".to_owned(), "a".to_owned(), CapacityType::Spot);
        let mut history = History::default();
        for secs in [0, 10, 299, 300, 7_000] {
            remember(&mut history.reclaims, at(secs), key.clone());
        }
        let spans = history.recent_reclaims(at(7_199), |_| true);
        assert_eq!((spans[0], spans[22], spans[23]), (1, 1, 3));
        assert_eq!(spans.iter().sum::<u32>(), 5);
    }
}
