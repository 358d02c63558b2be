//! Chance from a seed, so that every run sees the same pods.

use std::f64::consts::TAU;

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.next() as usize % items.len()]
    }

    /// One of the items, each as often as its share says. The shares come to one.
    pub(crate) fn by_share<T: Copy>(&mut self, items: &[(T, f64)]) -> T {
        let mut left = self.unit();
        for (item, share) in items {
            left -= share;
            if left < 0.0 {
                return *item;
            }
        }
        items[items.len() - 1].0
    }

    /// From zero, to one without one itself.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A value whose logarithm is normal, with this median and this spread of the logarithm (Box and Muller).
    pub(crate) fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        let (radius, angle) = ((-2.0 * (1.0 - self.unit()).ln()).sqrt(), TAU * self.unit());
        median * (spread * radius * angle.cos()).exp()
    }
}
