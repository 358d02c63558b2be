//! Which of the nodes that will do is the best: the scores of kube-scheduler's default profile.
//!
//! Weights: NodeResourcesFit with LeastAllocated 1, NodeResourcesBalancedAllocation 1, NodeAffinity 2,
//! PodTopologySpread 2, InterPodAffinity 2, TaintToleration 3 (kube-scheduler's default plugins). Each score is 0
//! to 100, in integers, so that every machine agrees. Image locality is left out: a world in memory has no images.

use std::sync::Arc;

use whittle_core::model::requirement::TaintEffect;

use super::filter::{counts_here, sums};
use super::rules::{Rules, SpecOrd, Wants, matches_labels};
use super::slots::{Slot, SlotOrd, Slots};
use crate::random::Random;

const SCORE_MAX: i64 = 100;

/// The best of the feasible nodes, by chance among equals.
pub(super) fn best(
    rules: &mut Rules,
    spec: SpecOrd,
    feasible: &[SlotOrd],
    slots: &Slots,
    chance: &mut Random,
) -> Option<SlotOrd> {
    if feasible.len() < 2 {
        return feasible.first().copied();
    }
    let compiled = Arc::clone(&rules.get(spec).wants);
    let mut scores: Vec<i64> = feasible.iter().map(|slot| room(&compiled, slots.get(*slot))).collect();
    let mut add = |weight: i64, extra: Vec<i64>| {
        for (score, extra) in scores.iter_mut().zip(extra) {
            *score += weight * extra;
        }
    };
    add(2, preferred_nodes(&compiled, feasible, slots));
    add(3, unwanted_taints(&compiled, feasible, slots));
    if !compiled.wishes.is_empty() {
        add(2, near_and_far(rules, &compiled, feasible, slots));
    }
    if !compiled.soft_spread.is_empty() {
        add(2, spread(rules, spec, feasible, slots));
    }
    let top = scores.iter().max().copied()?;
    let equals: Vec<SlotOrd> =
        feasible.iter().zip(&scores).filter(|(_, score)| **score == top).map(|(slot, _)| *slot).collect();
    let drawn = chance.below(equals.len() as u64);
    equals.get(usize::try_from(drawn).unwrap_or(0)).copied()
}

/// LeastAllocated over CPU and memory, and BalancedAllocation: the nearer the two shares, the better.
fn room(compiled: &Wants, node: &Slot) -> i64 {
    let per_mille = |used: u64, there: u64| {
        if there == 0 { 1_000 } else { (u128::from(used) * 1_000 / u128::from(there)).min(1_000) as i64 }
    };
    let cpu = per_mille(
        node.scored_cpu_millis.saturating_add(compiled.scored_cpu_millis),
        node.allocatable.cpu_millis,
    );
    let memory = per_mille(
        node.scored_memory_bytes.saturating_add(compiled.scored_memory_bytes),
        node.allocatable.memory_bytes,
    );
    let least = ((1_000 - cpu) / 10 + (1_000 - memory) / 10) / 2;
    // The standard deviation of two numbers is half their distance.
    let requests = &compiled.spec.requests;
    let cpu =
        per_mille(node.used.cpu_millis.saturating_add(requests.cpu_millis), node.allocatable.cpu_millis);
    let memory = per_mille(
        node.used.memory_bytes.saturating_add(requests.memory_bytes),
        node.allocatable.memory_bytes,
    );
    least + (1_000 - (cpu - memory).abs() / 2) / 10
}

fn preferred_nodes(compiled: &Wants, feasible: &[SlotOrd], slots: &Slots) -> Vec<i64> {
    let wishes = &compiled.spec.preferred_node_affinity;
    if wishes.is_empty() {
        return Vec::new();
    }
    let raw: Vec<i64> = feasible
        .iter()
        .map(|slot| {
            let labels = &slots.get(*slot).labels;
            let granted = wishes.iter().filter(|wish| matches_labels(&wish.term, labels));
            granted.map(|wish| i64::from(wish.weight)).sum()
        })
        .collect();
    let most = raw.iter().max().copied().unwrap_or(0);
    raw.into_iter().map(|score| if most == 0 { 0 } else { score * SCORE_MAX / most }).collect()
}

fn unwanted_taints(compiled: &Wants, feasible: &[SlotOrd], slots: &Slots) -> Vec<i64> {
    let count = |slot: &SlotOrd| {
        let taints = slots.get(*slot).taints.iter();
        let soft = taints.filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
        let bears = |taint| compiled.spec.tolerations.iter().any(|toleration| toleration.tolerates(taint));
        i64::try_from(soft.filter(|taint| !bears(taint)).count()).unwrap_or(i64::MAX)
    };
    let raw: Vec<i64> = feasible.iter().map(count).collect();
    let most = raw.iter().max().copied().unwrap_or(0);
    raw.into_iter()
        .map(|score| if most == 0 { SCORE_MAX } else { SCORE_MAX - score * SCORE_MAX / most })
        .collect()
}

/// InterPodAffinity: the pod's own wishes to be near others or not.
fn near_and_far(rules: &Rules, compiled: &Wants, feasible: &[SlotOrd], slots: &Slots) -> Vec<i64> {
    let mut raw = vec![0_i64; feasible.len()];
    for (weight, set, key) in &compiled.wishes {
        let near = sums(*key, slots, |slot| rules.present(*set, slot));
        for (score, slot) in raw.iter_mut().zip(feasible) {
            if let Some(domain) = slots.get(*slot).domains[*key] {
                *score += weight * i64::try_from(near[domain]).unwrap_or(i64::MAX);
            }
        }
    }
    let (least, most) = (raw.iter().min().copied().unwrap_or(0), raw.iter().max().copied().unwrap_or(0));
    let span = most - least;
    raw.into_iter().map(|score| if span == 0 { 0 } else { SCORE_MAX * (score - least) / span }).collect()
}

/// PodTopologySpread for wishes: few siblings in the domain are good, more so where there are many domains.
fn spread(rules: &mut Rules, spec: SpecOrd, feasible: &[SlotOrd], slots: &Slots) -> Vec<i64> {
    let wishes = Arc::clone(&rules.get(spec).wants);
    let mut raw: Vec<Option<u64>> = vec![Some(0); feasible.len()];
    for wish in &wishes.soft_spread {
        let mut counts = vec![0_u64; slots.domains_of(wish.key)];
        for (slot, node) in slots.live() {
            if let Some(domain) = node.domains[wish.key]
                && counts_here(rules, spec, wish, slot, slots)
            {
                counts[domain] += rules.staying(wish.set, slot);
            }
        }
        let mut seen = vec![false; counts.len()];
        for slot in feasible {
            if let Some(domain) = slots.get(*slot).domains[wish.key] {
                seen[domain] = true;
            }
        }
        let domains = seen.iter().filter(|seen| **seen).count() as u64;
        let weight = ln_per_1024(domains + 2);
        for (score, slot) in raw.iter_mut().zip(feasible) {
            *score = match (*score, slots.get(*slot).domains[wish.key]) {
                (Some(score), Some(domain)) => {
                    Some(score + counts[domain] * weight + (wish.max_skew - 1) * 1024)
                }
                _ => None,
            };
        }
    }
    let rounded = |score: u64| i64::try_from((score + 512) / 1024).unwrap_or(i64::MAX);
    let known: Vec<i64> = raw.iter().flatten().map(|score| rounded(*score)).collect();
    let (least, most) = (known.iter().min().copied().unwrap_or(0), known.iter().max().copied().unwrap_or(0));
    raw.into_iter()
        .map(|score| match score {
            None => 0,
            Some(_) if most == 0 => SCORE_MAX,
            Some(score) => SCORE_MAX * (most + least - rounded(score)) / most,
        })
        .collect()
}

/// The natural logarithm in 1024ths, by integers: the binary logarithm bit by bit, times ln 2.
fn ln_per_1024(number: u64) -> u64 {
    const LN_2_PER_MILLION: u64 = 693_147;
    let whole = u64::from(number.max(1).ilog2());
    let mut mantissa = (u128::from(number.max(1)) << 32) >> whole;
    let mut binary = whole << 16;
    for bit in (0..16).rev() {
        mantissa = (mantissa * mantissa) >> 32;
        if mantissa >= 2 << 32 {
            mantissa >>= 1;
            binary |= 1 << bit;
        }
    }
    (binary * LN_2_PER_MILLION / 1_000_000) >> 6
}

#[cfg(test)]
mod tests {
    use super::ln_per_1024;

    #[test]
    fn the_integer_logarithm_is_within_a_thousandth() {
        for (number, wanted) in [(1, 0), (2, 710), (3, 1_125), (5, 1_648), (100, 4_716), (1_002, 7_075)] {
            assert!(ln_per_1024(number).abs_diff(wanted) <= 1, "{number}: {}", ln_per_1024(number));
        }
    }
}
