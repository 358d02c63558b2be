//! Nodes whose pods fit on others.

use whittle_core::disrupt::{Move, disrupt};
use whittle_core::model::labels::{HOSTNAME, ZONE};
use whittle_core::model::node_pool::DisruptionReason;
use whittle_core::provision::problem::Cache;

use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, daemon_set, pool};
use crate::cluster::{Cluster, START, at, secs, text};

#[test]
fn a_node_whose_pods_fit_elsewhere_goes() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("cheap").spot())
        .with(node("dear"))
        .with(pod("one").on("cheap"))
        .with(pod("two").on("dear"));
    assert_eq!(cluster.disrupted(), ["dear Underutilized", "cheap: pod shop/one fits on no other node"]);
}

#[test]
fn the_best_saving_for_the_least_disruption_comes_first() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("big").instance_type("m.xlarge"))
        .with(node("small"))
        .with(pods("many", 3).cpu(100).on("big"))
        .with(pod("one").cpu(100).on("small"));
    // 0.20 dollars over 1 + 3 and 0.10 over 1 + 1: equal, so the first by name.
    assert_eq!(cluster.disrupted()[0], "big Underutilized");
    let mut cluster = cluster.with(pods("more", 1).cpu(100).on("big"));
    assert_eq!(cluster.disrupted()[0], "small Underutilized");
}

#[test]
fn nodes_of_somebody_else_take_pods_too() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("ours"))
        .with(node("theirs").unmanaged())
        .with(pod("web").on("ours"));
    assert_eq!(cluster.disrupted(), ["ours Underutilized"]);
}

#[test]
fn room_is_filled_once() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(node("b"))
        .with(node("c"))
        .with(pod("one").cpu(1_000).on("a"))
        .with(pod("two").cpu(1_000).on("b"))
        .with(pod("three").cpu(900).on("c"));
    assert_eq!(
        cluster.disrupted(),
        ["a Underutilized", "b: pod shop/two fits on no other node", "c: pod shop/one fits on no other node",]
    );
}

#[test]
fn what_is_tried_and_fails_leaves_no_trace() {
    // Of the pods of `a` the small one fits on `c` and the large one nowhere; then `c` must have room for `one`.
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a").instance_type("m.2xlarge"))
        .with(node("b"))
        .with(node("c").spot())
        .with(pod("small").cpu(1_000).on("a"))
        .with(pod("large").cpu(6_000).on("a"))
        .with(pod("one").cpu(1_500).on("b"))
        .with(pod("two").cpu(300).on("c"));
    assert_eq!(
        cluster.disrupted(),
        [
            "b Underutilized",
            "a: pod shop/large fits on no other node",
            "c: pod shop/one fits on no other node"
        ]
    );
}

#[test]
fn pods_are_not_moved_to_nodes_that_are_not_quiet_or_not_ready() {
    for destination in [node("b").busy(START), node("b").uninitialized(), node("b").in_flight()] {
        let mut cluster =
            Cluster::new().with(pool("general")).with(node("a")).with(destination).with(pod("web").on("a"));
        assert_eq!(cluster.disrupted()[..], ["a: pod shop/web fits on no other node"]);
    }
}

#[test]
fn pods_are_moved_to_nodes_of_pools_that_never_consolidate() {
    let never = pool("static").change(|pool| pool.disruption.consolidate_after = None);
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(never)
        .with(node("a"))
        .with(node("b").of_pool("static"))
        .with(pod("web").on("a"));
    assert_eq!(cluster.disrupted(), ["a Underutilized"]);
}

#[test]
fn room_that_waiting_pods_need_is_not_room_for_moves() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(node("b"))
        .with(pod("stays").do_not_disrupt().cpu(100).on("b"))
        .with(pod("web").cpu(1_000).on("a"))
        .with(pod("waiting").cpu(900));
    // `waiting` fits next to `web` on `a`, which can then not go to `b` without it.
    let found = cluster.disrupted();
    assert!(!found.iter().any(|line| line.starts_with("a Under")), "{found:?}");
}

#[test]
fn room_that_pods_of_a_leaving_node_need_is_not_room_for_moves() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(node("b").of_pool("static"))
        .with(node("gone").leaving(START))
        .with(pod("web").cpu(1_000).on("a"))
        .with(pod("homeless").cpu(900).on("gone"));
    assert_eq!(cluster.disrupted(), ["a Underutilized"], "each of the two has a node");
    let mut cluster = cluster.with(pod("other").cpu(1_000).on("gone"));
    assert_eq!(cluster.disrupted(), ["a: pod shop/web fits on no other node"]);
}

#[test]
fn labels_taints_and_ports_are_respected() {
    for (destination, moved) in [
        (node("b"), pod("web").select(ZONE, "a")),
        (node("b").label("team", "red"), pod("web").select("team", "red")),
        (node("b").taint("special"), pod("web").tolerates("special")),
    ] {
        let with = |destination, moved: crate::cluster::pods::Pods| {
            Cluster::new()
                .with(pool("general"))
                .with(pool("static").change(|p| p.disruption.consolidate_after = None))
                .with(node("a"))
                .with(destination)
                .with(moved.on("a"))
        };
        assert_eq!(with(destination.clone().of_pool("static"), moved).disrupted(), ["a Underutilized"]);
        let other = pod("web").select("team", "blue");
        assert_eq!(
            with(destination.of_pool("static"), other).disrupted(),
            ["a: pod shop/web fits on no other node"]
        );
    }
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(node("b"))
        .with(pod("one").host_port(80).on("a"))
        .with(pod("two").host_port(80).on("b"));
    assert_eq!(cluster.disrupt(START).moves, []);
}

#[test]
fn daemons_that_would_have_to_run_there_keep_their_room() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(node("b"))
        .with(daemon_set(pods("logs", 0).cpu(1_000)))
        .with(pod("one").cpu(1_000).on("a"))
        .with(pod("two").cpu(100).on("b"));
    assert_eq!(
        cluster.disrupted()[..],
        ["a: pod shop/one fits on no other node", "b: pod shop/two fits on no other node"]
    );
}

#[test]
fn spread_and_anti_affinity_hold_after_a_move() {
    let spread = |name: &str| pods("web", 1).named(name).zone_spread(1);
    let mut cluster = Cluster::new()
        .with(pool("general").only(ZONE, &["a", "b"]))
        .with(node("a"))
        .with(node("b").zone("b"))
        .with(spread("one").on("a"))
        .with(spread("two").on("b"));
    assert_eq!(cluster.disrupt(START).moves, [], "two in one zone and none in the other");
    let apart = |name: &str| pods("web", 1).named(name).apart(HOSTNAME);
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(node("b"))
        .with(apart("one").on("a"))
        .with(apart("two").on("b"));
    assert_eq!(cluster.disrupt(START).moves, []);
    let mut cluster = cluster.with(node("c").unmanaged());
    assert_eq!(cluster.disrupt(START).moves.len(), 1, "one of them has somewhere to go");
}

#[test]
fn a_second_look_confirms_only_what_is_still_legal() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(node("b"))
        .with(node("c"))
        .with(pod("one").on("a"))
        .with(pod("two").on("b"));
    let first = cluster.disrupt(START);
    assert_eq!(text::round(&first)[..2], ["c Empty", "a Underutilized"]);
    cluster.tell(pod("new").on("c").started(at(10)), at(10));
    let second = disrupt(cluster.state.snapshot(), &mut Cache::default(), at(15), Some(&first.moves));
    let kept = Move { claim: "a".into(), reason: DisruptionReason::Underutilized };
    assert_eq!(second.moves, [kept]);
    let busy = cluster.disrupt(at(10) + secs(30));
    assert_eq!(busy.moves.len(), 2, "later all but one may go");
}

#[test]
fn a_node_that_a_wish_would_launch_again_stays_though_its_pool_is_at_its_limit() {
    let cluster = |limit: u64| {
        Cluster::new()
            .with(pool("general").limit("nodes", limit))
            .with(node("wished").zone("b"))
            .with(node("other").zone("a"))
            .with(pod("web").would_like(1, ZONE, "b").on("wished"))
            .with(pod("one").select(ZONE, "a").on("other"))
    };
    let stays = ["other: pod shop/one fits on no other node", "wished: pod shop/web fits on no other node"];
    // What the node gives back of the limit as it goes is room for the next one in zone b.
    assert_eq!(cluster(2).disrupted(), stays);
    // Beyond its limit the pool launches nothing, whoever goes: then the wish is given up.
    assert_eq!(cluster(1).disrupted(), ["wished Underutilized", stays[0]]);
}
