//! Names of new objects, made from a seed so that the same decision gives the same names.

use std::collections::BTreeSet;

use crate::model::time::Timestamp;

/// The letters that Kubernetes uses in generated names: none that spell words or are mistaken for one another.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many of them a name gets.
const SUFFIX_LETTERS: usize = 5;

/// Names for the new NodeClaims of one plan.
pub(crate) struct ClaimNames {
    state: u64,
    taken: BTreeSet<String>,
}

impl ClaimNames {
    /// Names that are none of `taken`.
    pub(crate) fn new((now, seed): (Timestamp, u64), taken: impl Iterator<Item = String>) -> Self {
        Self { state: seed ^ now.millis().rotate_left(32), taken: taken.collect() }
    }

    /// The next name for a NodeClaim of a NodePool: `<pool>-<suffix>`.
    pub(crate) fn next(&mut self, node_pool: &str) -> String {
        loop {
            let mut name = String::with_capacity(node_pool.len() + 1 + SUFFIX_LETTERS);
            name.push_str(node_pool);
            name.push('-');
            name.extend(suffix(splitmix(&mut self.state)));
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

fn suffix(mut bits: u64) -> impl Iterator<Item = char> {
    let letters = LETTERS.len() as u64;
    (0..SUFFIX_LETTERS).map(move |_| {
        let letter = LETTERS[usize::try_from(bits % letters).unwrap_or(0)];
        bits /= letters;
        char::from(letter)
    })
}

/// SplitMix64 (Steele, Lea, Flood 2014).
const fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::ClaimNames;
    use crate::model::time::Timestamp;

    #[test]
    fn the_same_seed_gives_the_same_names_and_a_name_that_is_taken_is_skipped() {
        let names = |taken: &[String]| {
            let mut names = ClaimNames::new((Timestamp::from_millis(7), 1), taken.iter().cloned());
            [names.next("web"), names.next("web")]
        };
        let [first, second] = names(&[]);
        assert_eq!(first.len(), "web-".len() + 5);
        assert_eq!(names(&[]), [first.clone(), second.clone()]);
        assert_eq!(names(&[first])[0], second);
    }
}
