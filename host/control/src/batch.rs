//! The window in which waiting pods are collected, so that they are placed together.

use std::collections::BTreeSet;

use whittle_core::model::time::{Duration, Timestamp};

/// Collects triggers until none has come for a while, or for long enough.
#[derive(Clone, Debug)]
pub struct BatchWindow {
    idle: Duration,
    max: Duration,
    /// What has triggered: the same thing again does not prolong the window.
    triggers: BTreeSet<String>,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    since: Timestamp,
    last: Timestamp,
}

impl BatchWindow {
    /// A window that closes `idle` after the last new trigger and at the latest `max` after the first.
    #[must_use]
    pub const fn new(idle: Duration, max: Duration) -> Self {
        Self { idle, max, triggers: BTreeSet::new(), open: None }
    }

    /// Something waits. Only what has not triggered before opens or prolongs the window.
    pub fn trigger(&mut self, uid: &str, now: Timestamp) {
        if !self.triggers.insert(uid.to_owned()) {
            return;
        }
        let since = self.open.map_or(now, |open| open.since);
        self.open = Some(Open { since, last: now });
    }

    /// When the window closes; `None` when nothing waits.
    #[must_use]
    pub fn closes_at(&self) -> Option<Timestamp> {
        self.open.map(|open| (open.last + self.idle).min(open.since + self.max))
    }

    /// Closes the window. What has triggered stays known: it is tried again on another occasion.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Forgets something that is gone, so that the window remembers no more than there is.
    pub fn forget(&mut self, uid: &str) {
        self.triggers.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use whittle_core::model::time::{Duration, Timestamp};

    use super::BatchWindow;

    fn at(secs: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(secs)
    }

    fn window() -> BatchWindow {
        BatchWindow::new(Duration::from_secs(1), Duration::from_secs(10))
    }

    #[test]
    fn one_pod_is_placed_after_the_idle_time_only() {
        let mut window = window();
        assert_eq!(window.closes_at(), None);
        window.trigger("a", at(100));
        assert_eq!(window.closes_at(), Some(at(101)));
    }

    #[test]
    fn the_same_pod_again_does_not_prolong_the_window() {
        let mut window = window();
        window.trigger("a", at(100));
        window.trigger("a", at(101));
        assert_eq!(window.closes_at(), Some(at(101)));
    }

    #[test]
    fn new_pods_prolong_the_window_but_never_beyond_its_longest() {
        let mut window = window();
        for second in 100..120 {
            window.trigger(&format!("pod-{second}"), at(second));
        }
        assert_eq!(window.closes_at(), Some(at(110)));
    }
}
