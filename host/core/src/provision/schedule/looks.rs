//! How many places a decision may look at: its budget, in steps rather than in time, so that the same snapshot always
//! gives the same plan.
//!
//! Every group gets its share of what is left, so that those that come last are looked at too, however long the
//! search for a place for the first ones is (Karpenter's decisions end after a minute, wherever they are by then).

/// The most places that a decision looks at. A look takes between a few nanoseconds and some microseconds, so that this
/// is the better part of a minute at worst.
const LOOKS_MAX: u64 = 50_000_000;

/// A budget of looks at places.
#[derive(Clone, Debug)]
pub(crate) struct Looks {
    left: u64,
    /// What is left to the group that has its turn.
    share: u64,
}

impl Default for Looks {
    fn default() -> Self {
        Self { left: LOOKS_MAX, share: LOOKS_MAX }
    }
}

impl Looks {
    #[cfg(test)]
    pub(crate) const fn of(left: u64) -> Self {
        Self { left, share: left }
    }

    /// The next of so many groups that still wait has its turn.
    pub(crate) fn next_of(&mut self, groups: usize) {
        self.share = self.left.div_ceil(groups.max(1) as u64);
    }

    /// Takes one look, if there is one left.
    pub(crate) fn look(&mut self) -> bool {
        let is_left = self.share > 0;
        if is_left {
            self.share -= 1;
            self.left = self.left.saturating_sub(1);
        }
        is_left
    }

    /// Whether the group that has its turn has used up its share.
    pub(crate) const fn is_out(&self) -> bool {
        self.share == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Looks;

    #[test]
    fn every_group_has_its_share_and_what_one_leaves_is_the_others() {
        let mut looks = Looks::of(10);
        looks.next_of(2);
        assert_eq!((0..9).filter(|_| looks.look()).count(), 5);
        assert!(looks.is_out());
        looks.next_of(1);
        assert_eq!((0..9).filter(|_| looks.look()).count(), 5);
    }
}
