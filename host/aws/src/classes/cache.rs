//! What was found a short while ago and is not asked for again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Answers by what was asked, each for a while.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    lasts: Duration,
    kept: Mutex<BTreeMap<K, (Instant, V)>>,
}

impl<K: Ord, V: Clone> Cache<K, V> {
    /// Nothing is kept yet; what will be, is for so long.
    pub(crate) const fn new(lasts: Duration) -> Self {
        Self { lasts, kept: Mutex::new(BTreeMap::new()) }
    }

    /// What was answered, if that is not too long ago.
    pub(crate) fn get(&self, asked: &K, now: Instant) -> Option<V> {
        self.with(|kept| {
            kept.retain(|_, (since, _)| now.duration_since(*since) < self.lasts);
            kept.get(asked).map(|(_, answer)| answer.clone())
        })
    }

    /// This was answered.
    pub(crate) fn put(&self, asked: K, answer: V, now: Instant) {
        self.with(|kept| drop(kept.insert(asked, (now, answer))));
    }

    /// Forgets what was answered.
    pub(crate) fn remove(&self, asked: &K) {
        self.with(|kept| drop(kept.remove(asked)));
    }

    // Nothing that is done under the lock can leave it half done.
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<K, (Instant, V)>) -> T) -> T {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_a_while() {
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        let cache = Cache::new(minute);
        cache.put("a", 1, now);
        assert_eq!(cache.get(&"a", now + minute / 2), Some(1));
        assert_eq!(cache.get(&"b", now), None);
        assert_eq!(cache.get(&"a", now + minute), None);
        cache.put("a", 2, now);
        cache.remove(&"a");
        assert_eq!(cache.get(&"a", now), None);
    }
}
