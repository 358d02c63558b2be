//! How many places a decision may look at: its budget, in steps rather than in time, so that the same snapshot always
//! gives the same plan.
//!
//! Every group gets its share of what is left, so that those that come last are looked at too, however long the
//! search for a place for the first ones is (Karpenter's decisions end after a minute, wherever they are by then). A group
//! whose share ended before its pods all had a place is remembered, because that is a reason and not a refusal.

use std::collections::BTreeSet;

/// A budget of looks at places.
#[derive(Clone, Debug)]
pub(crate) struct Looks {
    left: u64,
    /// What is left to the group that has its turn.
    share: u64,
    /// Whether that group has asked for more than its share.
    is_short: bool,
    /// The groups whose last turn ended because their share did: what their pods would have found is not known.
    cut_short: BTreeSet<usize>,
}

impl Looks {
    pub(crate) const fn of(left: u64) -> Self {
        Self { left, share: left, is_short: false, cut_short: BTreeSet::new() }
    }

    /// The next of so many groups that still wait has its turn.
    pub(crate) fn next_of(&mut self, groups: usize) {
        self.share = self.left.div_ceil(groups.max(1) as u64);
        self.is_short = false;
    }

    /// Takes one look, if there is one left.
    pub(crate) fn look(&mut self) -> bool {
        let is_left = self.share > 0;
        if is_left {
            self.share -= 1;
            self.left = self.left.saturating_sub(1);
        }
        self.is_short |= !is_left;
        is_left
    }

    /// The turn of a group is over. `left`: how many of its pods still have no place.
    pub(crate) fn end_turn(&mut self, group: usize, left: usize) {
        if self.is_short && left > 0 {
            self.cut_short.insert(group);
        } else {
            self.cut_short.remove(&group);
        }
    }

    /// Whether the last turn of a group ended because its share did, while some of its pods had no place.
    pub(crate) fn was_cut_short(&self, group: usize) -> bool {
        self.cut_short.contains(&group)
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
        looks.next_of(1);
        assert_eq!((0..9).filter(|_| looks.look()).count(), 5);
    }

    #[test]
    fn a_turn_is_cut_short_by_a_look_that_is_denied_and_not_by_the_last_one() {
        let mut looks = Looks::of(2);
        looks.next_of(1);
        assert!(looks.look() && looks.look());
        looks.end_turn(7, 1);
        assert!(!looks.was_cut_short(7), "it had all the looks that it wanted");
        assert!(!looks.look());
        looks.end_turn(7, 1);
        assert!(looks.was_cut_short(7));
        looks.next_of(1);
        looks.end_turn(7, 0);
        assert!(!looks.was_cut_short(7), "its last turn counts");
    }
}
