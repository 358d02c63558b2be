//! Nodes without pods of their own.

use whittle_core::model::node_pool::ConsolidationPolicy;

use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, daemon_set, pool};
use crate::cluster::{Cluster, START, at, secs, text};

#[test]
fn all_empty_nodes_go_at_once() {
    let mut cluster = Cluster::new().with(pool("general")).with(node("a")).with(node("b").spot());
    assert_eq!(cluster.disrupted(), ["a Empty", "b Empty"], "the dearest first");
}

#[test]
fn a_node_is_empty_whatever_daemons_and_leaving_pods_it_has() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(daemon_set(pods("logs", 0)))
        .with(pods("logs", 1).daemon().on("a"))
        .with(pods("static", 1).owned_by("Node").on("a"))
        .with(pod("going").on("a").leaving(START));
    assert_eq!(cluster.disrupted(), ["a Empty"]);
}

#[test]
fn pods_that_nobody_minds_losing_do_not_keep_a_node() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(pod("cheap").deletion_cost(i32::MIN).on("a"))
        .with(pod("low").priority(-(1 << 25)).on("a"));
    assert_eq!(cluster.disrupted(), ["a Empty"]);
}

#[test]
fn a_leaving_pod_of_a_stateful_set_keeps_its_node() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(pod("db-0").owned_by("StatefulSet").on("a").leaving(START));
    assert_eq!(cluster.disrupted(), ["a: pod shop/db-0 fits on no other node"]);
}

#[test]
fn a_node_must_be_quiet_for_as_long_as_its_pool_says() {
    let mut cluster = Cluster::new()
        .with(pool("general").change(|pool| pool.disruption.consolidate_after = Some(secs(60))))
        .with(node("a").busy(START));
    let early = cluster.disrupt(at(59));
    assert_eq!((text::round(&early), early.next), (Vec::new(), Some(at(60))));
    assert_eq!(text::round(&cluster.disrupt(at(60))), ["a Empty"]);
}

#[test]
fn a_node_is_quiet_at_the_earliest_since_it_was_initialized() {
    let young = node("a").claim(|claim| claim.initialized = Some(START));
    let mut cluster = Cluster::new().with(pool("general")).with(young);
    assert_eq!(cluster.disrupt(at(29)).moves, []);
    assert_eq!(text::round(&cluster.disrupt(at(30))), ["a Empty"]);
}

#[test]
fn pods_that_come_or_go_end_the_quiet_and_daemons_do_not() {
    let arrived = at(100);
    for (event, expected) in
        [(pod("web").on("a"), vec![]), (pods("logs", 1).daemon().on("a"), vec!["a Empty"])]
    {
        let mut cluster = Cluster::new().with(pool("general")).with(node("a"));
        cluster.tell(event.started(arrived), arrived);
        let round = cluster.disrupt(arrived + secs(29));
        assert_eq!(text::round(&round), expected);
    }
    let mut cluster = Cluster::new().with(pool("general")).with(node("a")).with(pod("web").on("a"));
    cluster.tell(pod("web").on("a").leaving(arrived), arrived);
    cluster.tell(whittle_core::event::Event::PodGone("web".into()), arrived + secs(10));
    assert_eq!(cluster.disrupt(arrived + secs(29)).moves, [], "it began to leave");
    assert_eq!(text::round(&cluster.disrupt(arrived + secs(30))), ["a Empty"], "its end changes nothing");
}

#[test]
fn nodes_of_a_pool_that_never_consolidates_stay() {
    let never = pool("general").change(|pool| pool.disruption.consolidate_after = None);
    let mut cluster = Cluster::new().with(never).with(node("a"));
    assert_eq!(cluster.disrupted(), Vec::<String>::new());
}

#[test]
fn nodes_that_are_not_candidates_stay() {
    for machine in [
        node("a").leaving(START),
        node("a").uninitialized(),
        node("a").in_flight(),
        node("a").unmanaged(),
        node("a").of_pool("gone"),
        node("a").node(|node| node.deleting = Some(START)),
    ] {
        let mut cluster = Cluster::new().with(pool("general")).with(machine.clone());
        assert_eq!(cluster.disrupt(START).moves, [], "{machine:?}");
    }
    let fixed = pool("general").change(|pool| pool.replicas = Some(1));
    let mut cluster = Cluster::new().with(fixed).with(node("a"));
    assert_eq!(cluster.disrupt(START).moves, [], "of a pool with a fixed number of nodes");
}

#[test]
fn a_node_that_ec2_takes_back_is_not_disrupted_too() {
    let machine = node("a");
    let notice = machine.reclaimed(START);
    let mut cluster = Cluster::new().with(pool("general")).with(machine).with(notice);
    assert_eq!(cluster.disrupted(), Vec::<String>::new());
}

#[test]
fn a_node_on_which_a_pod_is_expected_stays_until_that_runs_out() {
    let mut cluster = Cluster::new().with(pool("general")).with(node("a")).with(pod("web"));
    cluster.provision_and_expect(START);
    let round = cluster.disrupt(at(19));
    assert_eq!((round.moves, round.next), (vec![], Some(at(20))));
    assert_eq!(text::round(&cluster.disrupt(at(20))), ["a Empty"]);
}

#[test]
fn a_pool_that_consolidates_only_empty_nodes_keeps_the_others() {
    let only_empty = pool("general").change(|pool| pool.disruption.policy = ConsolidationPolicy::WhenEmpty);
    let mut cluster = Cluster::new()
        .with(only_empty)
        .with(node("a"))
        .with(node("b"))
        .with(node("c"))
        .with(pod("one").on("a"))
        .with(pod("two").on("b"));
    assert_eq!(cluster.disrupted(), ["c Empty"]);
}
