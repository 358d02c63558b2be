//! What an answer may be at most, each with its argument.

use crate::model::time::Duration;

/// A reason is a line for people: it goes into events, which Kubernetes cuts at 1,024 bytes, beside other words.
pub const REASON_BYTES_MAX: usize = 256;

/// A pod that is held is looked at again. An hour is longer than any outage of spot that was worth waiting for, and
/// short enough that a pod is not forgotten with its policy.
pub const HOLD_MAX: Duration = Duration::from_secs(3_600);

/// A shorter hold would be over before the next batch of pods is looked at.
pub const HOLD_MIN: Duration = Duration::from_secs(1);

/// A move may be put off until the next weekend, not for ever: what is never to happen is denied, and asked again.
pub const POSTPONEMENT_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A node that is quiet for a week and may still not move is a node that may not move: there is a word for that.
pub const QUIET_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Nodes with more taints or labels from policies than this are a mistake; kubectl could not show them in a line.
pub const MARKS_MAX: usize = 16;

/// The least that a price may be scaled to, in parts per million: a hundredth. Free instances have no order.
pub const SCALE_MIN: u32 = 10_000;

/// The most that a price may be scaled to, in parts per million: a hundredfold. Who wants more means to forbid.
pub const SCALE_MAX: u32 = 100_000_000;

/// How long a launch waits for a policy that fails to say which taints its node needs: long enough for a reload or
/// a restart, short enough for whoever waits for the pod.
pub const TAINTS_WAIT: Duration = Duration::from_secs(60);
