//! What is written down as a world goes on: the timeline, how long pods waited, who was evicted and why.

use std::collections::BTreeMap;

use serde::Serialize;
use whittle_core::model::time::{Duration, Timestamp};

/// A line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, in milliseconds since the Unix epoch.
    pub at: Timestamp,
    /// What kind of thing happened.
    pub kind: EntryKind,
    /// The NodePool that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_pool: Option<String>,
    /// The NodeClaim, Node, pod or workload that it is about; empty when it is about the whole world.
    pub object: String,
    /// What happened, in words.
    pub text: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EntryKind {
    /// The scenario says something, or does it.
    Scenario,
    /// An instance was launched.
    Launch,
    /// The cloud had no capacity for a launch.
    InsufficientCapacity,
    /// A node became ready.
    Ready,
    /// EC2 announces that it takes an instance back.
    Notice,
    /// EC2 took an instance back.
    Reclaimed,
    /// A pod was running on an instance that vanished.
    Interrupted,
    /// New pods keep off a node.
    Cordon,
    /// New pods may use a node again.
    Uncordon,
    /// A node is to end.
    Delete,
    /// A pod was asked to leave a node.
    Evict,
    /// An instance is not paid for any more.
    Ended,
    /// Somebody deleted a node by hand.
    NodeDeleted,
    /// A Job is done.
    JobDone,
    /// Pods have no place and no NodePool can give them one.
    Unplaced,
    /// An action broke a rule and was left out of its plan.
    Violation,
    /// An action failed.
    Failed,
    /// Policies were swapped, or one said something that is not what is done anyway.
    Policy,
}

impl EntryKind {
    /// The word that the timeline prints.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Launch => "launch",
            Self::InsufficientCapacity => "no capacity",
            Self::Ready => "ready",
            Self::Notice => "notice",
            Self::Reclaimed => "reclaimed",
            Self::Interrupted => "interrupted",
            Self::Cordon => "cordon",
            Self::Uncordon => "uncordon",
            Self::Delete => "delete",
            Self::Evict => "evict",
            Self::Ended => "ended",
            Self::NodeDeleted => "deleted",
            Self::JobDone => "job done",
            Self::Unplaced => "unplaced",
            Self::Violation => "violation",
            Self::Failed => "failed",
            Self::Policy => "policy",
        }
    }
}

/// Everything that is written down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    pub(crate) entries: Vec<Entry>,
    /// How long pods waited for a node, in milliseconds, by the NodePool that took them.
    pub(crate) waits: BTreeMap<String, Vec<u64>>,
    /// Evictions by NodePool and reason.
    pub(crate) evictions: BTreeMap<String, BTreeMap<String, u64>>,
    /// Pods that were running on an instance that vanished.
    pub(crate) interrupted: u64,
}

impl Journal {
    pub(crate) fn note(
        &mut self,
        at: Timestamp,
        kind: EntryKind,
        node_pool: Option<&str>,
        object: &str,
        text: String,
    ) {
        let (node_pool, object) = (node_pool.map(str::to_owned), object.to_owned());
        self.entries.push(Entry { at, kind, node_pool, object, text });
    }

    pub(crate) fn pod_placed(&mut self, pool: &str, waited: Duration) {
        match self.waits.get_mut(pool) {
            Some(waits) => waits.push(waited.millis()),
            None => drop(self.waits.insert(pool.to_owned(), vec![waited.millis()])),
        }
    }

    pub(crate) fn evicted(&mut self, pool: &str, reason: &str) {
        let reasons = self.evictions.entry(pool.to_owned()).or_default();
        *reasons.entry(reason.to_owned()).or_default() += 1;
    }

    pub(crate) fn interrupted(&mut self, at: Timestamp, pod: String, text: String) {
        self.interrupted += 1;
        self.note(at, EntryKind::Interrupted, None, &pod, text);
    }
}
