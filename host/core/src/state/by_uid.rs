//! A table that is looked up and never walked through: fast, and without an order that anything could depend on.

use std::fmt;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// Values by the id of an instance.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ByUid<T> {
    entries: IndexMap<String, T, FxBuildHasher>,
}

impl<T> Default for ByUid<T> {
    fn default() -> Self {
        Self { entries: IndexMap::default() }
    }
}

impl<T> ByUid<T> {
    pub(super) fn get(&self, uid: &str) -> Option<&T> {
        self.entries.get(uid)
    }

    pub(super) fn insert(&mut self, uid: String, value: T) -> Option<T> {
        self.entries.insert(uid, value)
    }

    pub(super) fn remove(&mut self, uid: &str) -> Option<T> {
        self.entries.swap_remove(uid)
    }
}

impl<T> fmt::Debug for ByUid<T> {
    /// Only how many: the entries have no order in which they could be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries", self.entries.len())
    }
}
