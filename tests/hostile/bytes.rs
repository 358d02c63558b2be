//! What the fuzz targets ask, asked of bytes from a generator and of what they once found.

use whittle_tests::fuzz::{manifests, planner, scenario};

/// Bytes by a linear congruential generator (Knuth's MMIX).
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn any_small_cluster_gets_a_plan_that_breaks_no_rule() {
    for seed in 0..400 {
        let length = 40 + usize::try_from(seed).unwrap_or_default() * 2;
        planner::judge(&bytes(seed, length)).unwrap_or_else(|found| panic!("seed {seed}: {found}"));
    }
}

#[test]
fn any_bytes_are_read_as_manifests_and_as_a_scenario() {
    let signs = b"abc:-[]{}\n \t\"'#&*!|>%@`?,0.~=";
    for seed in 0..60 {
        let junk: Vec<u8> =
            bytes(seed, 400).iter().map(|byte| signs[usize::from(*byte) % signs.len()]).collect();
        manifests::judge(&junk).unwrap();
        scenario::judge(&[b"kind: Scenario\n".as_slice(), &junk].concat()).unwrap();
    }
}
