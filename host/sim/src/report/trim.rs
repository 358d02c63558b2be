//! Making a record small enough for a page: what is left out is counted, so that the page can say so.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::journal::{Entry, EntryKind};
use crate::record::nodes::{NodeList, NodeSummary};
use crate::record::{Record, Sample};

/// Lines of the timeline: at about 200 bytes each some 2 MB.
const TIMELINE_MAX: usize = 10_000;
/// Samples times NodePools, at about 200 bytes each some 3 MB. Five NodePools keep all of the 1440 samples that a
/// scenario takes unless it says otherwise, forty keep 400, which still is a point for every other pixel.
const POOL_SAMPLES_MAX: usize = 16_000;
/// Fewer samples than this do not show a curve, however many NodePools there are.
const SAMPLES_MIN: usize = 200;
/// Nodes in each picture of the packing, at about 500 bytes each 1 MB.
const NODES_MAX: usize = 2_000;
/// Pods in each picture of the packing, at about 100 bytes each 2 MB.
const PODS_MAX: usize = 20_000;
/// Workloads without a place: each comes with a reason per NodePool, and nobody reads more.
const UNPLACED_MAX: usize = 500;
/// Nodes that stay and what keeps them, at about 200 bytes each.
const BLOCKED_MAX: usize = 2_000;
/// Violations: nobody reads more, and one is a defect already.
const VIOLATIONS_MAX: usize = 500;

/// A record small enough for a page.
pub(super) struct Trimmed {
    pub(super) record: Record,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) pods_left_out: PodsLeftOut,
}

/// A list that was shortened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct LeftOut {
    /// The key by which the page finds it.
    pub(super) what: &'static str,
    /// What the list holds, for people.
    pub(super) words: &'static str,
    /// Which of them are there, for people.
    pub(super) kept: &'static str,
    pub(super) shown: usize,
    pub(super) total: usize,
}

/// How many pods of each node are not listed, by the node's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct PodsLeftOut {
    pub(super) peak: BTreeMap<String, usize>,
    pub(super) last: BTreeMap<String, usize>,
}

/// Shortens what is too long.
pub(super) fn trim(record: &Record) -> Trimmed {
    let mut record = record.clone();
    let mut left_out = Vec::new();
    let mut note = |what, words, kept, (shown, total)| {
        if shown < total {
            left_out.push(LeftOut { what, words, kept, shown, total });
        }
    };
    note("timeline", "Lines of the timeline", "Of each kind the first are kept, of rare kinds all.", {
        shorten(&mut record.timeline, |timeline| first_of_each_kind(timeline, TIMELINE_MAX))
    });
    note(
        "samples",
        "Points of the curves",
        "In each stretch of time those with the highest cost, the most nodes and the most pending pods are kept.",
        shorten(&mut record.samples, thin),
    );
    note("unplaced", "Workloads without a place", "The first are kept.", {
        shorten(&mut record.unplaced, |unplaced| unplaced.truncate(UNPLACED_MAX))
    });
    note("blocked", "Nodes that stay", "The first are kept.", {
        shorten(&mut record.blocked, |blocked| blocked.truncate(BLOCKED_MAX))
    });
    note("violations", "Violations", "The first are kept.", {
        shorten(&mut record.violations, |violations| violations.truncate(VIOLATIONS_MAX))
    });
    let mut pods_left_out = PodsLeftOut::default();
    let nodes_kept = "Of each NodePool the first by name are kept.";
    let pods_kept = "Of each node the first by name are kept; the bars show the others as one segment.";
    note("peak", "Nodes when there were most", nodes_kept, shorten(&mut record.peak.nodes, fewer_nodes));
    note("last", "Nodes at the end", nodes_kept, shorten(&mut record.last.nodes, fewer_nodes));
    note("peakPods", "Pods when there were most nodes", pods_kept, {
        fewer_pods(&mut record.peak, &mut pods_left_out.peak)
    });
    note("lastPods", "Pods at the end", pods_kept, fewer_pods(&mut record.last, &mut pods_left_out.last));
    Trimmed { record, left_out, pods_left_out }
}

/// How many there are afterwards, and how many there were.
fn shorten<T>(list: &mut Vec<T>, by: impl FnOnce(&mut Vec<T>)) -> (usize, usize) {
    let total = list.len();
    by(list);
    (list.len(), total)
}

/// Splits `max` among those that want something: nobody gets more than wanted, and whoever gets less than wanted gets
/// no less than anybody else.
fn fair_shares(wanted: &[usize], max: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|position| wanted[*position]);
    let mut shares = vec![0; wanted.len()];
    let mut left = max;
    for (served, position) in order.iter().enumerate() {
        let share = wanted[*position].min(left / (order.len() - served));
        shares[*position] = share;
        left -= share;
    }
    shares
}

/// Keeps the first of each group, so many that all together are no more than `max`.
fn first_of_each<T, K: Ord>(list: &mut Vec<T>, max: usize, group: impl Fn(&T) -> K) {
    if list.len() <= max {
        return;
    }
    let mut wanted: BTreeMap<K, usize> = BTreeMap::new();
    for one in list.iter() {
        *wanted.entry(group(one)).or_default() += 1;
    }
    let shares = fair_shares(&wanted.values().copied().collect::<Vec<_>>(), max);
    let mut left: BTreeMap<K, usize> = wanted.into_keys().zip(shares).collect();
    list.retain(|one| {
        let Some(left) = left.get_mut(&group(one)).filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    });
}

fn first_of_each_kind(timeline: &mut Vec<Entry>, max: usize) {
    first_of_each(timeline, max, |entry| -> EntryKind { entry.kind });
}

fn fewer_nodes(nodes: &mut Vec<NodeSummary>) {
    first_of_each(nodes, NODES_MAX, |node| node.node_pool.clone());
}

fn fewer_pods(list: &mut NodeList, left_out: &mut BTreeMap<String, usize>) -> (usize, usize) {
    let wanted: Vec<usize> = list.nodes.iter().map(|node| node.pods.len()).collect();
    let shares = fair_shares(&wanted, PODS_MAX);
    for (node, share) in list.nodes.iter_mut().zip(&shares) {
        if *share < node.pods.len() {
            left_out.insert(node.name.clone(), node.pods.len() - share);
            node.pods.truncate(*share);
        }
    }
    (shares.iter().sum(), wanted.iter().sum())
}

/// Keeps the first and the last sample, and of each stretch between them those that stand out.
fn thin(samples: &mut Vec<Sample>) {
    let points: usize = samples.iter().map(|sample| sample.node_pools.len().max(1)).sum();
    if points <= POOL_SAMPLES_MAX {
        return;
    }
    let max = (samples.len() * POOL_SAMPLES_MAX / points).max(SAMPLES_MIN);
    let stretch = samples.len().div_ceil((max / STANDING_OUT.len()).max(1));
    let mut kept = BTreeSet::from([0, samples.len() - 1]);
    for (position, some) in samples.chunks(stretch).enumerate() {
        for height in STANDING_OUT {
            let highest = some.iter().enumerate().max_by_key(|(_, sample)| height(sample));
            kept.extend(highest.map(|(within, _)| position * stretch + within));
        }
    }
    let mut position = 0;
    samples.retain(|_| {
        position += 1;
        kept.contains(&(position - 1))
    });
}

/// What a sample can stand out by.
const STANDING_OUT: [fn(&Sample) -> u64; 3] = [
    |sample| sample.price.micros(),
    |sample| sample.node_pools.iter().map(|pool| pool.spot + pool.on_demand + pool.reserved).sum(),
    |sample| sample.waiting_pods,
];

#[cfg(test)]
mod tests {
    use super::{fair_shares, first_of_each};

    #[test]
    fn shares_are_fair() {
        let cases: [(&[usize], usize, &[usize]); 5] = [
            (&[], 5, &[]),
            (&[3, 1, 2], 6, &[3, 1, 2]),
            (&[9, 1, 9], 9, &[4, 1, 4]),
            (&[5, 5], 0, &[0, 0]),
            (&[100, 2, 50], 32, &[15, 2, 15]),
        ];
        for (wanted, max, shares) in cases {
            assert_eq!(fair_shares(wanted, max), shares, "{wanted:?} of {max}");
        }
    }

    #[test]
    fn rare_kinds_are_kept_whole_and_the_order_stays() {
        let mut list: Vec<char> = "aaabaacaaa".chars().collect();
        first_of_each(&mut list, 5, |kind| *kind);
        assert_eq!(list.iter().collect::<String>(), "aaabc");
    }
}
