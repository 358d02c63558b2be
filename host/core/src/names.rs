//! Names of new objects, made from a seed so that the same decision gives the same names.

use std::collections::BTreeSet;

use crate::model::time::Timestamp;

/// The letters that Kubernetes uses in generated names: none that spell words or are mistaken for one another.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many of them a name gets.
const SUFFIX_LETTERS: usize = 5;

/// A name for a new NodeClaim of a NodePool, `<pool>-<suffix>`, that is not among `taken`, and is afterwards.
pub(crate) fn claim_name(
    node_pool: &str,
    (now, seed): (Timestamp, u64),
    taken: &mut BTreeSet<String>,
) -> String {
    let mut state = seed ^ now.millis().rotate_left(32) ^ hash(node_pool);
    loop {
        let mut bits = splitmix(&mut state);
        let suffix: String = (0..SUFFIX_LETTERS)
            .map(|_| {
                let letters = LETTERS.len() as u64;
                let letter = LETTERS[usize::try_from(bits % letters).unwrap_or(0)];
                bits /= letters;
                char::from(letter)
            })
            .collect();
        let name = format!("{node_pool}-{suffix}");
        if taken.insert(name.clone()) {
            return name;
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
const fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
