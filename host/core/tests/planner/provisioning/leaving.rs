//! Pods on nodes that are on their way out get another place in time.

use whittle_core::model::labels::ZONE;

use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, pdb, pool};
use crate::cluster::{Cluster, START};

#[test]
fn a_node_is_launched_for_the_pods_of_one_that_leaves() {
    let reclaimed = node("b");
    let notice = reclaimed.reclaimed(START);
    for cluster in [
        Cluster::new().with(node("a").leaving(START)),
        Cluster::new().with(node("a")).with(reclaimed).with(notice).with(pod("other").cpu(1_900).on("a")),
    ] {
        let name = if cluster.state.snapshot().nodes.contains_key("node-b") { "b" } else { "a" };
        let mut cluster = cluster.with(pool("general")).with(pod("web").on(name));
        assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
    }
}

#[test]
fn pods_of_a_leaving_node_take_room_that_is_there_without_being_nominated() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a").leaving(START))
        .with(node("b"))
        .with(pod("web").cpu(1_000).on("a"))
        .with(pod("young").cpu(1_000));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: young"]);
}

#[test]
fn pods_that_end_with_their_node_need_no_other() {
    let mut ended = pod("ended").on("a").object();
    ended.phase = whittle_core::model::pod::PodPhase::Succeeded;
    let mut blocking = pdb("frozen", "frozen", 0);
    blocking.blocks_always = true;
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a").leaving(START))
        .with(pods("logs", 1).daemon().on("a"))
        .with(pods("static", 1).owned_by("Node").on("a"))
        .with(pod("leaving").on("a").leaving(START))
        .with(ended)
        .with(pod("stays").do_not_disrupt().on("a"))
        .with(blocking)
        .with(pod("frozen").on("a"));
    assert_eq!(cluster.provisioned(), Vec::<String>::new());
}

#[test]
fn a_leaving_pod_of_a_stateful_set_will_come_back_and_needs_a_place() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a").leaving(START))
        .with(pod("db-0").owned_by("StatefulSet").on("a").leaving(START));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: db-0"]);
}

#[test]
fn pods_of_a_leaving_node_do_not_count_where_they_are() {
    let mut cluster = Cluster::new()
        .with(pool("general").only(ZONE, &["a", "b"]))
        .with(node("a").leaving(START))
        .with(pods("web", 2).zone_spread(1).on("a"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0", "general c.large/b/spot: web-1"]);
}
