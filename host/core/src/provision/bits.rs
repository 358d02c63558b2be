//! Sets over dense ids, as bits. Intersecting two is a bitwise AND.

/// A set of dense ids below a length that is fixed when the set is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

/// Whether an id is in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsIn {
    Yes,
    No,
}

impl From<bool> for IsIn {
    fn from(is_in: bool) -> Self {
        if is_in { Self::Yes } else { Self::No }
    }
}

impl Bits {
    pub(crate) fn none(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)] }
    }

    pub(crate) fn all(len: usize) -> Self {
        let mut bits = Self { words: vec![u64::MAX; len.div_ceil(64)] };
        if let Some(last) = bits.words.last_mut()
            && !len.is_multiple_of(64)
        {
            *last = (1 << (len % 64)) - 1;
        }
        bits
    }

    pub(crate) fn insert(&mut self, id: usize) {
        self.words[id / 64] |= 1 << (id % 64);
    }

    /// Inserts an id that may lie beyond the length so far.
    pub(crate) fn insert_growing(&mut self, id: usize) {
        if self.words.len() <= id / 64 {
            self.words.resize(id / 64 + 1, 0);
        }
        self.insert(id);
    }

    /// The ids that are in none of the other sets, which may be shorter, in order.
    pub(crate) fn outside<'a>(&'a self, others: [&'a Self; 2]) -> impl Iterator<Item = usize> + use<'a> {
        self.words.iter().enumerate().flat_map(move |(at, word)| {
            let taken =
                others.iter().fold(0, |taken, other| taken | other.words.get(at).copied().unwrap_or(0));
            ones(at, word & !taken)
        })
    }

    /// Adds a set that may be longer.
    pub(crate) fn unite_growing(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.unite(other);
    }

    /// Puts an id in or takes it out, wherever it lies.
    pub(crate) fn set_growing(&mut self, id: usize, is_in: IsIn) {
        match is_in {
            IsIn::Yes => self.insert_growing(id),
            IsIn::No if id / 64 < self.words.len() => self.remove(id),
            IsIn::No => {}
        }
    }

    /// Keeps what is in any of `others`.
    pub(crate) fn intersect_any<'a>(&mut self, others: impl Iterator<Item = &'a Self> + Clone) {
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= others.clone().fold(0, |any, other| any | other.words[at]);
        }
    }

    /// Whether an id is in the set. Beyond its length there is nothing.
    pub(crate) fn contains(&self, id: usize) -> bool {
        self.words.get(id / 64).is_some_and(|word| word & (1 << (id % 64)) != 0)
    }

    pub(crate) fn remove(&mut self, id: usize) {
        self.words[id / 64] &= !(1 << (id % 64));
    }

    pub(crate) fn clear(&mut self) {
        self.words.fill(0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    pub(crate) fn unite(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Takes a set away, unless nothing would be left.
    pub(crate) fn subtract_unless_all(&mut self, other: &Self) {
        if self.words.iter().zip(&other.words).any(|(word, other)| word & !other != 0) {
            self.subtract(other);
        }
    }

    pub(crate) fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(word, other)| word & other != 0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| ones(at, *word))
    }
}

/// The ids of a word at a position.
fn ones(at: usize, mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros() as usize;
        (word != 0).then(|| {
            word &= word - 1;
            at * 64 + bit
        })
    })
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn the_full_set_holds_every_id_and_no_more() {
        for len in [0, 1, 63, 64, 65, 130] {
            assert_eq!(Bits::all(len).iter().collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn intersection_union_and_difference_are_those_of_sets() {
        let of = |ids: &[usize]| {
            let mut bits = Bits::none(100);
            ids.iter().for_each(|id| bits.insert(*id));
            bits
        };
        let (mut left, right) = (of(&[1, 70, 99]), of(&[70, 80]));
        assert!(left.intersects(&right));
        left.intersect(&right);
        assert_eq!(left, of(&[70]));
        left.unite(&of(&[3]));
        assert_eq!(left, of(&[3, 70]));
        left.subtract(&right);
        assert_eq!((left.clone(), left.count()), (of(&[3]), 1));
    }
}
