//! The pods that are known, by uid, each with its group. What the index derives from a pod it takes back by the pod
//! that is kept here, so an event costs one allocation for the pod and none for its name.
//!
//! No decision walks through the table: it has no order that anything could depend on.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::model::pod::Pod;
use crate::state::groups::GroupId;

/// Pods by uid.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pods {
    // It remembers hashes, so that it grows without a look at each pod.
    entries: IndexMap<ByUid, GroupId, FxBuildHasher>,
}

impl Pods {
    /// The pod with this uid.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&Pod> {
        self.entries.get_key_value(uid).map(|(pod, _)| &*pod.0)
    }

    /// All of them, in no order: for sums, and for whoever puts them in order.
    pub fn iter(&self) -> impl Iterator<Item = &Pod> {
        self.entries.keys().map(|pod| &*pod.0)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn shared(&self, uid: &str) -> Option<Arc<Pod>> {
        self.entries.get_key_value(uid).map(|(pod, _)| Arc::clone(&pod.0))
    }

    pub(super) fn group_of(&self, uid: &str) -> Option<GroupId> {
        self.entries.get(uid).copied()
    }

    pub(super) fn insert(&mut self, pod: Arc<Pod>, group: GroupId) {
        self.entries.insert(ByUid(pod), group);
    }

    pub(super) fn remove(&mut self, uid: &str) -> Option<(Arc<Pod>, GroupId)> {
        self.entries.swap_remove_entry(uid).map(|(pod, group)| (pod.0, group))
    }
}

impl fmt::Debug for Pods {
    /// Only how many: the pods have no order in which they could be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pods", self.entries.len())
    }
}

/// A pod that is found by its uid.
#[derive(Clone)]
struct ByUid(Arc<Pod>);

impl Borrow<str> for ByUid {
    fn borrow(&self) -> &str {
        &self.0.uid
    }
}

impl Hash for ByUid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.uid.as_str().hash(state);
    }
}

impl PartialEq for ByUid {
    fn eq(&self, other: &Self) -> bool {
        self.0.uid == other.0.uid
    }
}

impl Eq for ByUid {}

/// A pod in the order of age: the oldest first, and by uid among those made in the same moment.
#[derive(Clone, Debug)]
pub(super) struct ByAge(pub(super) Arc<Pod>);

impl Ord for ByAge {
    fn cmp(&self, other: &Self) -> Ordering {
        let age = |ByAge(pod): &Self| pod.created;
        age(self).cmp(&age(other)).then_with(|| self.0.uid.cmp(&other.0.uid))
    }
}

impl PartialOrd for ByAge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByAge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ByAge {}
