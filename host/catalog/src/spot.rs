//! Spot prices and reclaim rates: a model, and so always an **estimate**.
//!
//! A spot price is the on-demand price less the saving published for the family in the region (else in us-east-1,
//! else [`FALLBACK_SAVING_PERCENT`]), times a factor of the zone, and never above the on-demand price.
//!
//! Zones of one region differ: between the dearest and the cheapest pool of one type lies a median factor of 1.03,
//! and 1.56 at the ninetieth percentile. So each type draws a spread from a distribution with these two quantiles,
//! and its zones lie between the two ends of it, so that the mean of both ends is the published saving. The draw
//! is an integer hash of the names, the same on every machine and in every version that keeps the tables.
//!
//! Reclaims are published as a bucket of the share of instances that are taken back in a month. A bucket stands for
//! its midpoint (2.5, 7.5, 12.5 and 17.5 %; the open one, above 20 %, for 25 %), and the zone's factor scales it as
//! well: what is dearer is scarcer.

use serde::Serialize;
use whittle_core::model::price::Price;

use crate::specification::Specification;
use crate::tables::{Region, SpotFigures, Tables};

/// Where and when the figures behind the model were published.
pub const SOURCE: &str = "Spot prices and reclaim rates: estimated by a model from figures of the AWS Spot Instance \
Advisor, 2025-06-28.";

/// The saving in percent of a family for which none is published: a little under the median of the table, 66 %.
pub const FALLBACK_SAVING_PERCENT: u64 = 60;
/// The bucket of reclaims of a family for which none is published: the middle one.
pub const FALLBACK_RECLAIM_BUCKET: usize = 2;

/// One in the fixed-point numbers of this module.
const ONE_PPM: u64 = 1_000_000;
/// The factor between the dearest and the cheapest zone at these quantiles, all in millionths. The middle two are
/// the published ones; the ends are ours. Between them the factor is linear in the quantile.
const SPREADS_PPM: [(u64, u64); 4] =
    [(0, 1_000_000), (500_000, 1_030_000), (900_000, 1_560_000), (ONE_PPM, 2_000_000)];
/// The share of instances reclaimed in a month by bucket, in millionths.
const RECLAIMED_PER_MONTH_PPM: [u64; 5] = [25_000, 75_000, 125_000, 175_000, 250_000];
/// The same as a hazard per hour in thousand-millionths: -ln(1 - share) / 730 h.
const HAZARD_PER_HOUR_PPB: [u64; 5] = [34_682, 106_797, 182_920, 263_523, 394_085];

/// How often EC2 takes spot instances of a pool back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReclaimRate {
    /// The share of instances reclaimed within a month, in millionths.
    pub per_month_ppm: u64,
    /// The chance that an instance is reclaimed within an hour, in thousand-millionths.
    pub per_hour_ppb: u64,
}

/// The estimated spot price in a zone, from the on-demand price of the type in the region.
pub(crate) fn spot_price(tables: &Tables, pool: &Pool<'_>, on_demand: Price) -> Price {
    let saving = figures(tables, pool).map_or(FALLBACK_SAVING_PERCENT, |figures| figures.saving_percent);
    let middle = on_demand.scaled((100 - saving) * 10_000);
    middle.scaled(zone_factor_ppm(pool)).min(on_demand)
}

/// The estimated reclaim rate in a zone.
pub(crate) fn reclaim_rate(tables: &Tables, pool: &Pool<'_>) -> ReclaimRate {
    let bucket = figures(tables, pool).map_or(FALLBACK_RECLAIM_BUCKET, |figures| figures.reclaim_bucket);
    let factor = zone_factor_ppm(pool);
    ReclaimRate {
        per_month_ppm: (RECLAIMED_PER_MONTH_PPM[bucket] * factor / ONE_PPM).min(ONE_PPM),
        per_hour_ppb: HAZARD_PER_HOUR_PPB[bucket] * factor / ONE_PPM,
    }
}

/// A spot pool: one instance type in one zone.
pub(crate) struct Pool<'a> {
    /// The region.
    pub(crate) region: &'a Region,
    /// The instance type.
    pub(crate) specification: &'a Specification,
    /// The zone's name.
    pub(crate) zone: &'a str,
}

fn figures(tables: &Tables, pool: &Pool<'_>) -> Option<SpotFigures> {
    let family = pool.specification.family();
    let of = |region| tables.spot.get(&(region, family)).copied();
    of(pool.region.name).or_else(|| of("us-east-1"))
}

/// How much dearer than the middle this zone is, in millionths.
fn zone_factor_ppm(pool: &Pool<'_>) -> u64 {
    let name = pool.specification.name;
    let draws = || pool.region.zones_with(name).map(|zone| hash(&[name, zone.name]));
    let (Some(low), Some(high)) = (draws().min(), draws().max()) else { return ONE_PPM };
    if low == high {
        return ONE_PPM;
    }
    // Kept in 32 bits, so that the products below stay in 64.
    let place = hash(&[name, pool.zone]).clamp(low, high) - low;
    let place_ppm = place * ONE_PPM / (high - low);
    let spread = spread_ppm(hash(&[name, pool.region.name]) % ONE_PPM);
    2 * ONE_PPM * (ONE_PPM + (spread - ONE_PPM) * place_ppm / ONE_PPM) / (ONE_PPM + spread)
}

/// The factor between the dearest and the cheapest zone at a quantile, both in millionths.
fn spread_ppm(quantile_ppm: u64) -> u64 {
    let step = SPREADS_PPM.windows(2).find(|step| quantile_ppm < step[1].0);
    let Some([(from, low), (until, high)]) = step else { return SPREADS_PPM[3].1 };
    low + (high - low) * (quantile_ppm - from) / (until - from)
}

/// A 32-bit hash of names: FNV-1a over their bytes with a zero byte after each, its bits mixed as in SplitMix64, the
/// upper half.
fn hash(names: &[&str]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in names.iter().flat_map(|name| name.bytes().chain([0])) {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state ^ (state >> 31)) >> 32
}

#[cfg(test)]
mod tests {
    use super::{HAZARD_PER_HOUR_PPB, RECLAIMED_PER_MONTH_PPM, spread_ppm};

    #[test]
    fn the_spread_has_the_published_quantiles() {
        let quantiles = [0, 250_000, 500_000, 700_000, 900_000, 950_000, 1_000_000];
        let expected = [1_000_000, 1_015_000, 1_030_000, 1_295_000, 1_560_000, 1_780_000, 2_000_000];
        assert_eq!(quantiles.map(spread_ppm), expected);
    }

    #[test]
    fn the_hazards_are_the_monthly_shares_spread_over_730_hours() {
        for (share, hazard) in RECLAIMED_PER_MONTH_PPM.into_iter().zip(HAZARD_PER_HOUR_PPB) {
            let hourly = -(1.0 - share as f64 / 1e6).ln() / 730.0 * 1e9;
            assert_eq!(hazard, hourly.round() as u64);
        }
    }
}
