//! Budgets of NodePools.

use whittle_core::model::node_pool::BudgetNodes::{Count, Percent};
use whittle_core::model::node_pool::DisruptionReason::{Drifted, Empty, Underutilized};
use whittle_core::model::node_pool::NodePool;

use crate::cluster::nodes::node;
use crate::cluster::pods::pod;
use crate::cluster::pools::{PoolWords, pool};
use crate::cluster::{Cluster, START};

/// A pool with ten empty nodes.
fn ten(pool: NodePool) -> Cluster {
    (0..10).fold(Cluster::new().with(pool), |cluster, at| cluster.with(node(&format!("n{at}"))))
}

#[test]
fn the_strictest_budget_counts_and_shares_are_rounded_up() {
    for (budgets, expected) in [
        (vec![], 10),
        (vec![Count(3)], 3),
        (vec![Count(0)], 0),
        (vec![Percent(25)], 3),
        (vec![Percent(100)], 10),
        (vec![Percent(0)], 0),
        (vec![Count(5), Percent(20)], 2),
    ] {
        let general = budgets.iter().fold(pool("general"), |pool, nodes| pool.budget(*nodes, &[]));
        assert_eq!(ten(general).disrupt(START).moves.len(), expected, "{budgets:?}");
    }
}

#[test]
fn a_budget_holds_only_for_its_reasons() {
    let general = pool("general").budget(Count(1), &[Underutilized, Drifted]).budget(Count(4), &[Empty]);
    assert_eq!(ten(general).disrupt(START).moves.len(), 4);
}

#[test]
fn nodes_beyond_the_budget_say_so() {
    let mut cluster = ten(pool("general").budget(Count(9), &[]));
    assert_eq!(
        cluster.disrupted().last().expect("ten lines"),
        "n9: the disruption budget of NodePool general is used up"
    );
}

#[test]
fn nodes_that_are_away_already_count_against_the_budget() {
    let mut cluster = ten(pool("general").budget(Count(4), &[]))
        .with(node("n0").leaving(START))
        .with(node("n1").node(|node| node.ready = false));
    let moved: Vec<_> = cluster.disrupt(START).moves.into_iter().map(|found| found.claim).collect();
    assert_eq!(moved, ["n1", "n2"]);
}

#[test]
fn nodes_that_start_are_not_counted() {
    let mut cluster = ten(pool("general").budget(Percent(10), &[])).with(node("new").uninitialized());
    assert_eq!(cluster.disrupt(START).moves.len(), 1, "a tenth of ten, not of eleven");
}

#[test]
fn one_budget_holds_for_all_reasons_together() {
    let mut cluster = Cluster::new()
        .with(pool("general").budget(Count(1), &[]))
        .with(node("a"))
        .with(node("b"))
        .with(node("c"))
        .with(pod("one").on("a"))
        .with(pod("two").on("b"));
    assert_eq!(
        cluster.disrupted(),
        [
            "c Empty",
            "a: the disruption budget of NodePool general is used up",
            "b: the disruption budget of NodePool general is used up",
        ]
    );
}

#[test]
fn each_pool_has_its_own_budget() {
    let mut cluster = Cluster::new()
        .with(pool("general").budget(Count(1), &[]))
        .with(pool("other").budget(Count(1), &[]))
        .with(node("a"))
        .with(node("b").of_pool("other"));
    assert_eq!(cluster.disrupted(), ["a Empty", "b Empty"]);
}
