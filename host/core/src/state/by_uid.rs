//! A table that is looked up and never walked through: fast, and without an order that anything could depend on.

use std::fmt;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// Values by the identity of what they are about: a uid, or an instance's id.
#[derive(Clone, PartialEq, Eq)]
pub struct ByUid<T> {
    entries: IndexMap<String, T, FxBuildHasher>,
}

impl<T> Default for ByUid<T> {
    fn default() -> Self {
        Self { entries: IndexMap::default() }
    }
}

impl<T> ByUid<T> {
    /// What there is about `uid`.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&T> {
        self.entries.get(uid)
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
