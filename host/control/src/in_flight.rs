//! What is being carried out, so that it is not asked for a second time meanwhile.
//!
//! A decision asks again for everything that has not taken effect, and an effect is seen only when the cluster says so.
//! In between, what was asked for is held back: while it is under way, for a moment after it was done, and longer each
//! time it fails. Forgetting all of this costs repeated requests and nothing else.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, Plan};

/// How long an effect may take to be seen before it is asked for again.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// What goes on is asked after so often (Karpenter: 5 s while an instance ends).
const UNDER_WAY: Duration = Duration::from_secs(5);
/// The first pause after a failure; each further one is twice as long (Karpenter's eviction queue: 100 ms).
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause (Karpenter's eviction queue: 10 s).
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// What has been quiet for so long has no failures any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// What is asked for, whatever else the action says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    verb: Verb,
    subject: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Launch,
    Nominate,
    NominateAnew,
    Register,
    Initialize,
    Cordon,
    Uncordon,
    Retaint,
    Delete,
    Evict,
    Force,
    Terminate,
    Finalize,
}

impl Key {
    /// What an action asks for.
    #[must_use]
    pub fn of(action: &Action) -> Self {
        let (verb, subject) = match action {
            Action::Launch(launch) => (Verb::Launch, &launch.claim),
            Action::Nominate(nomination) => (Verb::Nominate, &nomination.pod),
            Action::Register(one) => (Verb::Register, &one.claim),
            Action::Initialize(one) => (Verb::Initialize, &one.claim),
            Action::Cordon(cordon) => (Verb::Cordon, &cordon.claim),
            Action::Uncordon(one) => (Verb::Uncordon, &one.claim),
            Action::Delete(delete) => (Verb::Delete, &delete.claim),
            // A pod that may be deleted now does not wait because its eviction was refused a moment ago.
            Action::Evict(eviction) if eviction.forced.is_some() => (Verb::Force, &eviction.pod),
            Action::Evict(eviction) => (Verb::Evict, &eviction.pod),
            Action::Terminate(termination) => (Verb::Terminate, &termination.claim),
            Action::Finalize(one) => (Verb::Finalize, &one.claim),
        };
        Self { verb, subject: subject.clone() }
    }

    /// The launch of an instance for this NodeClaim.
    #[must_use]
    pub fn launch(claim: &str) -> Self {
        Self { verb: Verb::Launch, subject: claim.to_owned() }
    }

    /// The change of taints of this NodeClaim's node.
    #[must_use]
    pub fn retaint(claim: &str) -> Self {
        Self { verb: Verb::Retaint, subject: claim.to_owned() }
    }

    /// The nomination of this pod to a node that is open, once more.
    #[must_use]
    pub fn renomination(pod_uid: &str) -> Self {
        Self { verb: Verb::NominateAnew, subject: pod_uid.to_owned() }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did what it should.
    Well,
    /// It goes on, and is to be asked after.
    UnderWay,
    /// It did not, and may be tried again.
    Badly,
    /// It did not, and whoever refused it wants to be left alone for so long.
    Throttled(Duration),
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    /// Held back until then; `None` while it is under way.
    until: Option<Timestamp>,
    failures: u32,
}

impl Attempt {
    /// After one more failure.
    fn pause(&mut self) -> Duration {
        let factor = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(PAUSE_MIN.millis().saturating_mul(factor).min(PAUSE_MAX.millis()))
    }
}

/// Up to as long again, by the key: those that were refused together do not come back together.
fn spread(key: &Key, pause: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.subject.hash(&mut hasher);
    Duration::from_millis(hasher.finish() % pause.millis().max(1))
}

/// Everything that is under way or was a moment ago.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    attempts: BTreeMap<Key, Attempt>,
    /// When the first of those may be tried again that were wanted and held back.
    wanted: Option<Timestamp>,
}

impl InFlight {
    /// Takes out of a plan what is not to be asked for now; the rest counts as under way.
    pub fn take_up(&mut self, plan: &mut Plan, now: Timestamp) {
        self.attempts.retain(|_, attempt| {
            attempt.until.is_none_or(|until| now < until || now.since(until) < FORGOTTEN_AFTER)
        });
        self.wanted = None;
        plan.actions.retain(|action| self.start(Key::of(action), now));
    }

    /// Whether something may be asked for now; if so, it is under way.
    pub fn start(&mut self, key: Key, now: Timestamp) -> bool {
        let attempt = self.attempts.get(&key).copied();
        let failures = match attempt {
            Some(Attempt { until: None, .. }) => return false,
            Some(Attempt { until: Some(until), .. }) if now < until => {
                self.wanted = Some(self.wanted.map_or(until, |at| at.min(until)));
                return false;
            }
            Some(Attempt { failures, .. }) => failures,
            None => 0,
        };
        self.attempts.insert(key, Attempt { until: None, failures });
        true
    }

    /// Whether something may not be asked for now.
    #[must_use]
    pub fn is_held(&self, key: &Key, now: Timestamp) -> bool {
        self.attempts.get(key).is_some_and(|attempt| attempt.until.is_none_or(|until| now < until))
    }

    /// Something is not under way any more.
    pub fn end(&mut self, key: &Key, ended: Ended, now: Timestamp) {
        let Some(attempt) = self.attempts.get_mut(key) else { return };
        let pause = match ended {
            Ended::Well => {
                attempt.failures = 0;
                SEEN_WITHIN
            }
            Ended::UnderWay => {
                attempt.failures = 0;
                UNDER_WAY
            }
            Ended::Badly => attempt.pause(),
            Ended::Throttled(pause) => attempt.pause().max(pause) + spread(key, pause),
        };
        let until = now + pause;
        attempt.until = Some(until);
        // Whether it is still wanted is for the next decision to say.
        self.wanted = Some(self.wanted.map_or(until, |at| at.min(until)));
    }

    /// When something that is held back may be tried again.
    #[must_use]
    pub const fn next(&self) -> Option<Timestamp> {
        self.wanted
    }

    /// How much is under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.attempts.values().filter(|attempt| attempt.until.is_none()).count()
    }
}

#[cfg(test)]
mod tests {
    use whittle_core::model::time::{Duration, Timestamp};
    use whittle_core::plan::{Action, Eviction, Plan};

    use super::{Ended, InFlight, Key};

    fn eviction(forced: Option<Duration>) -> Action {
        Action::Evict(Eviction { pod: "1".into(), claim: "a".into(), forced })
    }

    fn asked(flight: &mut InFlight, action: &Action, millis: u64) -> bool {
        let mut plan = Plan { actions: vec![action.clone()], ..Plan::default() };
        flight.take_up(&mut plan, Timestamp::from_millis(millis));
        !plan.actions.is_empty()
    }

    #[test]
    fn what_is_under_way_is_not_asked_for_again_and_what_is_done_has_a_moment_to_be_seen() {
        let mut flight = InFlight::default();
        let evict = eviction(None);
        assert!(asked(&mut flight, &evict, 0));
        assert!(!asked(&mut flight, &evict, 60_000));
        flight.end(&Key::of(&evict), Ended::Well, Timestamp::from_millis(60_000));
        assert!(!asked(&mut flight, &evict, 61_999));
        assert_eq!(flight.next(), Some(Timestamp::from_millis(62_000)));
        assert!(asked(&mut flight, &evict, 62_000));
    }

    #[test]
    fn each_failure_makes_the_pause_longer_up_to_ten_seconds() {
        let mut flight = InFlight::default();
        let evict = eviction(None);
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert!(asked(&mut flight, &evict, now));
            flight.end(&Key::of(&evict), Ended::Badly, Timestamp::from_millis(now));
            let next = flight.next().map_or(0, Timestamp::millis);
            pauses.push(next - now);
            now = next;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    }

    #[test]
    fn who_was_throttled_comes_back_when_it_was_told_to_and_not_with_all_others() {
        let mut flight = InFlight::default();
        let mut pauses: Vec<u64> = Vec::new();
        for claim in 0..100 {
            let key = Key::launch(&format!("web-{claim}"));
            assert!(flight.start(key.clone(), Timestamp::EPOCH));
            flight.end(&key, Ended::Throttled(Duration::from_secs(5)), Timestamp::EPOCH);
            pauses.extend((0..10_000).find(|at| !flight.is_held(&key, Timestamp::from_millis(*at))));
        }
        pauses.sort_unstable();
        assert!((5_000..6_000).contains(&pauses[0]), "{pauses:?}");
        assert!((9_000..10_000).contains(&pauses[99]), "{pauses:?}");
    }

    #[test]
    fn a_pod_whose_time_is_up_is_deleted_although_its_eviction_was_refused_just_now() {
        let mut flight = InFlight::default();
        let evict = eviction(None);
        assert!(asked(&mut flight, &evict, 0));
        flight.end(&Key::of(&evict), Ended::Badly, Timestamp::EPOCH);
        assert!(asked(&mut flight, &eviction(Some(Duration::from_secs(1))), 1));
    }
}
