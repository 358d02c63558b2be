//! Chance that can be repeated: a stream of numbers from a seed.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Nothing here is fit for
//! secrets, and no floating point, so that every machine draws the same.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of a seed and of what it is for: streams for different purposes do not disturb one another.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut random = Self(seed ^ purpose.wrapping_mul(0xD1B5_4A32_D192_ED03));
        random.next();
        random
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    /// A number below `bound`; zero when there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// `amount`, up to `percent` of it more or less.
    pub(crate) fn jittered(&mut self, amount: u64, percent: u64) -> u64 {
        let spread = amount.saturating_mul(percent) / 100;
        amount - spread.min(amount) + self.below(spread.saturating_mul(2).saturating_add(1))
    }
}

/// A number that looks like chance and depends on `number` alone; different numbers give different results.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The letters that Kubernetes makes names from: no vowels and nothing that looks like another letter, so that no
/// word comes out by accident.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// 27⁵: how many names of five letters there are.
const NAMES: u64 = 14_348_907;
/// Shares no divisor with `NAMES`, so that multiplying by it only shuffles.
const SHUFFLE: u64 = 9_973_421;

/// Five letters for the `number`-th object; no two of the first fourteen million are equal.
pub(crate) fn five_letters(number: u64) -> String {
    let mut rest = (number % NAMES).wrapping_mul(SHUFFLE) % NAMES;
    let mut letters = String::with_capacity(5);
    for _ in 0..5 {
        let index = usize::try_from(rest % 27).unwrap_or(0);
        letters.push(char::from(LETTERS[index]));
        rest /= 27;
    }
    letters
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Random, five_letters};

    #[test]
    fn the_same_seed_and_purpose_give_the_same_stream() {
        let draw = |seed, purpose| {
            let mut random = Random::new(seed, purpose);
            [random.next(), random.below(10), random.jittered(100, 20)]
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
    }

    #[test]
    fn jitter_stays_within_its_percentage() {
        let mut random = Random::new(7, 0);
        for _ in 0..1_000 {
            let drawn = random.jittered(50, 10);
            assert!((45..=55).contains(&drawn), "{drawn}");
        }
    }

    #[test]
    fn names_of_five_letters_do_not_repeat() {
        let names: BTreeSet<String> = (0..10_000).map(five_letters).collect();
        assert_eq!(names.len(), 10_000);
    }
}
