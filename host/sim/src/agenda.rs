//! What will happen when: a queue in order of time, and of entry among things at the same time.

use std::collections::BTreeMap;

use whittle_core::model::time::Timestamp;

/// Things that will happen. Both entering and taking out cost the logarithm of how many there are.
#[derive(Clone, Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<(Timestamp, u64), T>,
    entered: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), entered: 0 }
    }
}

impl<T> Agenda<T> {
    /// Enters something.
    pub(crate) fn enter(&mut self, at: Timestamp, what: T) {
        self.entries.insert((at, self.entered), what);
        self.entered += 1;
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// Takes out the next thing that happens no later than `now`.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<T> {
        let entry = self.entries.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;
    use whittle_core::model::time::Timestamp;

    #[test]
    fn things_at_the_same_time_come_in_the_order_in_which_they_were_entered() {
        let mut agenda = Agenda::default();
        for (at, what) in [(5, 'b'), (1, 'a'), (5, 'c'), (9, 'd')] {
            agenda.enter(Timestamp::from_millis(at), what);
        }
        let now = Timestamp::from_millis(5);
        let due: String = std::iter::from_fn(|| agenda.take_due(now)).collect();
        assert_eq!(due, "abc");
        assert_eq!(agenda.next(), Some(Timestamp::from_millis(9)));
    }
}
