//! The breaker of one policy and one hook: a policy that keeps failing is left alone for a while.
//!
//! Three faults in a minute open it. It is tried again after 30 seconds, and after each trial that fails the pause
//! doubles, up to ten minutes. Time is an argument, so a simulation and its replay see the same.

use whittle_core::model::time::{Duration, Timestamp};

/// So many faults open the breaker: one may be chance, two a coincidence.
const FAULTS: usize = 3;
/// Within so much time.
const WINDOW: Duration = Duration::from_secs(60);
/// The first pause.
const PAUSE_MIN: Duration = Duration::from_secs(30);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// The state of a breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    /// When the last faults were, the oldest first; at most [`FAULTS`].
    faults: Vec<Timestamp>,
    /// Until when nothing is asked, and how long that pause is.
    open: Option<(Timestamp, Duration)>,
}

impl Breaker {
    /// Whether the policy may be asked at `now`.
    pub(crate) fn is_closed(&self, now: Timestamp) -> bool {
        self.open.is_none_or(|(until, _)| until <= now)
    }

    /// Until when the policy is not asked.
    pub(crate) fn open_until(&self) -> Option<Timestamp> {
        self.open.map(|(until, _)| until)
    }

    /// The policy answered. After a trial that went well everything is forgiven.
    pub(crate) fn succeeded(&mut self) {
        if self.open.take().is_some() {
            self.faults.clear();
        }
    }

    /// The policy failed.
    pub(crate) fn failed(&mut self, now: Timestamp) {
        if let Some((_, pause)) = self.open {
            let longer = Duration::from_millis(pause.millis() * 2).min(PAUSE_MAX);
            self.open = Some((now + longer, longer));
            return;
        }
        self.faults.retain(|at| now.since(*at) < WINDOW);
        self.faults.push(now);
        if self.faults.len() >= FAULTS {
            self.faults.clear();
            self.open = Some((now + PAUSE_MIN, PAUSE_MIN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn three_faults_in_a_minute_open_it() {
        let mut breaker = Breaker::default();
        for secs in [0, 10] {
            breaker.failed(at(secs));
            assert!(breaker.is_closed(at(secs)));
        }
        breaker.failed(at(59));
        assert!(!breaker.is_closed(at(59)));
        assert!(breaker.is_closed(at(89)));
    }

    #[test]
    fn faults_that_are_far_apart_do_not() {
        let mut breaker = Breaker::default();
        for secs in [0, 40, 80, 120, 160] {
            breaker.failed(at(secs));
        }
        assert!(breaker.is_closed(at(160)));
    }

    #[test]
    fn pauses_double_until_a_trial_goes_well() {
        let mut breaker = Breaker::default();
        (0..3).for_each(|secs| breaker.failed(at(secs)));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let until = breaker.open_until().unwrap();
            breaker.failed(until);
            pauses.push(breaker.open_until().unwrap().since(until).millis() / 1_000);
        }
        assert_eq!(pauses, [60, 120, 240, 480, 600, 600]);
        breaker.succeeded();
        assert_eq!(breaker, Breaker::default());
    }
}
