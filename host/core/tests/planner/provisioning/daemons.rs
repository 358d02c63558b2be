//! DaemonSets: what their pods take of new and existing nodes.

use whittle_core::model::labels::HOSTNAME;
use whittle_core::model::requirement::Operator::In;

use crate::cluster::Cluster;
use crate::cluster::catalogue::CATEGORY;
use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, daemon_set, pool};

#[test]
fn their_share_of_a_new_node_is_counted_once() {
    let mut cluster =
        Cluster::new().with(pool("general")).with(daemon_set(pods("logs", 0).cpu(900))).with(pods("web", 2));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0 web-1"]);
    assert_eq!(cluster.launches()[0].requests.cpu_millis, 1_900);
    let mut cluster = cluster.with(daemon_set(pods("metrics", 0).cpu(100)));
    assert_eq!(cluster.provisioned(), ["general c.xlarge/a/spot: web-0 web-1"]);
}

#[test]
fn a_daemon_that_does_not_tolerate_the_pool_takes_nothing_there() {
    let mut cluster = Cluster::new()
        .with(pool("general").taint("special"))
        .with(daemon_set(pods("logs", 0).cpu(1_900)))
        .with(pod("web").tolerates("special"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn startup_taints_do_not_keep_daemons_away() {
    let mut cluster = Cluster::new()
        .with(pool("general").startup_taint("cni"))
        .with(daemon_set(pods("logs", 0).cpu(1_500)))
        .with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.xlarge/a/spot: web"]);
}

#[test]
fn a_daemon_for_some_types_takes_nothing_of_the_others() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(daemon_set(pods("logs", 0).cpu(1_500).needs(CATEGORY, In, &["c"])))
        .with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general a.large/a/spot: web"]);
}

#[test]
fn a_daemon_pod_tied_to_its_node_by_name_is_one_for_every_node() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(daemon_set(pods("logs", 0).cpu(1_500).select(HOSTNAME, "node-x")))
        .with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.xlarge/a/spot: web"]);
}

#[test]
fn one_of_a_daemons_alternatives_is_enough() {
    let daemon = pods("logs", 0).cpu(1_500).select(CATEGORY, "nothing").or(CATEGORY, "c");
    let mut cluster = Cluster::new().with(pool("general")).with(daemon_set(daemon)).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general a.large/a/spot: web"]);
}

#[test]
fn a_host_port_that_a_daemon_takes_everywhere_is_the_reason() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(daemon_set(pods("logs", 0).host_port(80)))
        .with(pod("web").host_port(80));
    assert_eq!(
        cluster.provisioned(),
        ["shop/web: general: a DaemonSet takes the pod's host port on every such node"]
    );
}

#[test]
fn a_host_port_that_a_daemon_takes_on_some_types_is_free_on_the_others() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(daemon_set(pods("logs", 0).host_port(80).needs(CATEGORY, In, &["c"])))
        .with(pod("web").host_port(80));
    assert_eq!(cluster.provisioned(), ["general a.large/a/spot: web"]);
}

#[test]
fn on_a_node_that_is_there_room_is_kept_for_daemons_that_do_not_run_yet() {
    let cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(daemon_set(pods("logs", 0).cpu(1_000)))
        .with(pod("web").cpu(1_000));
    assert_eq!(cluster.clone().provisioned(), ["general c.xlarge/a/spot: web"]);
    let mut running = cluster.with(pods("logs", 1).cpu(1_000).daemon().on("a"));
    assert_eq!(running.provisioned(), ["general c.xlarge/a/spot: web"], "it takes its room itself");
}

#[test]
fn a_daemon_that_runs_already_is_not_counted_twice() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(daemon_set(pods("logs", 0).cpu(900)))
        .with(pods("logs", 1).cpu(900).daemon().on("a"))
        .with(pod("web").cpu(1_000));
    assert_eq!(cluster.provisioned(), ["web on a"]);
}

#[test]
fn a_daemon_that_cannot_run_on_a_node_that_is_there_keeps_no_room() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a").taint("special"))
        .with(daemon_set(pods("logs", 0).cpu(1_900)))
        .with(pod("web").tolerates("special"));
    assert_eq!(cluster.provisioned(), ["web on a"]);
}
