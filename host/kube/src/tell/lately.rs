//! What was said of late, so that it is not said again and not too much of it at once.

use std::collections::BTreeMap;

use whittle_core::model::time::{Duration, Timestamp};

use super::{NOMINATED, Subject, Told};

/// What may be said again is forgotten so often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Where a pod should go is said so often a second, and so often at once; the rest is not said (Karpenter: 5, 10).
const NOMINATED_PER_SECOND: u64 = 5;
const NOMINATED_AT_ONCE: u64 = 10;
/// Why a pod has no place is not said again within this (Karpenter: 5 min).
const QUIET_ABOUT_PODS: Duration = Duration::from_secs(5 * 60);
/// The same is not said again within this (Karpenter: 2 min).
const QUIET: Duration = Duration::from_secs(120);
/// Why a node stays is not said again within this (Karpenter: 15 min).
const QUIET_ABOUT_STAYING: Duration = Duration::from_secs(15 * 60);
/// What a class that ends waits for is not said again within this (Karpenter: 10 min).
const QUIET_ABOUT_WAITING: Duration = Duration::from_secs(10 * 60);

/// What was said, and when.
#[derive(Debug, Default)]
pub(super) struct Said {
    last: BTreeMap<(Subject, &'static str, String), Timestamp>,
    swept: Timestamp,
    nominated: Allowance,
}

/// How often something may still be said.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    /// In thousandths.
    left: u64,
    at: Timestamp,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: NOMINATED_AT_ONCE * 1_000, at: Timestamp::EPOCH }
    }
}

impl Allowance {
    fn take(&mut self, now: Timestamp) -> bool {
        let gained = now.since(self.at).millis().saturating_mul(NOMINATED_PER_SECOND);
        self.left = self.left.saturating_add(gained).min(NOMINATED_AT_ONCE * 1_000);
        self.at = now;
        let may = self.left >= 1_000;
        if may {
            self.left -= 1_000;
        }
        may
    }
}

impl Said {
    /// Whether this is worth saying now.
    pub(super) fn is_news(&mut self, told: &Told, now: Timestamp) -> bool {
        self.sweep(now);
        let key = (told.about.clone(), told.reason, told.note.clone());
        let is_news = self.last.get(&key).is_none_or(|at| now.since(*at) >= quiet(told.reason));
        let is_said = is_news && (told.reason != NOMINATED || self.nominated.take(now));
        if is_said {
            self.last.insert(key, now);
        }
        is_said
    }

    /// Forgets what may be said again. Not each time: a plan for thousands of pods says thousands of things.
    fn sweep(&mut self, now: Timestamp) {
        if now < self.swept || now.since(self.swept) >= SWEEP_EVERY {
            self.last.retain(|(_, reason, _), at| *at <= now && now.since(*at) < quiet(reason));
            self.swept = now;
        }
    }
}

fn quiet(reason: &str) -> Duration {
    match reason {
        "DisruptionBlocked" => QUIET_ABOUT_STAYING,
        "FailedScheduling" => QUIET_ABOUT_PODS,
        "WaitingOnNodeClaimTermination" => QUIET_ABOUT_WAITING,
        _ => QUIET,
    }
}

#[cfg(test)]
mod tests {
    use whittle_core::model::time::{Duration, Timestamp};

    use super::super::{NOMINATED, Subject, Weight, told};
    use super::Said;

    #[test]
    fn the_same_is_said_once_in_two_minutes_and_something_else_at_once() {
        let mut said = Said::default();
        let node = |note: &str| told(Subject::node("n"), Weight::Normal, "Evicted", note.to_owned());
        let at = |secs| Timestamp::EPOCH + Duration::from_secs(secs);
        assert!(said.is_news(&node("a"), at(0)));
        assert!(!said.is_news(&node("a"), at(119)));
        assert!(said.is_news(&node("b"), at(119)));
        assert!(said.is_news(&node("a"), at(120)));
    }

    #[test]
    fn of_a_thousand_pods_that_have_a_place_ten_are_told_and_five_more_a_second() {
        let mut said = Said::default();
        let pod =
            |name: usize| told(Subject::node(&name.to_string()), Weight::Normal, NOMINATED, String::new());
        let mut in_all = |from: usize, millis: u64| {
            let now = Timestamp::EPOCH + Duration::from_secs(60) + Duration::from_millis(millis);
            (from..from + 1_000).filter(|name| said.is_news(&pod(*name), now)).count()
        };
        assert_eq!(
            (in_all(0, 0), in_all(1_000, 0), in_all(2_000, 1_000), in_all(3_000, 3_600_000)),
            (10, 0, 5, 10)
        );
    }
}
