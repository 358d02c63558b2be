//! How many volumes a node can attach.

use whittle_core::event::Event;
use whittle_core::model::node_pool::VolumeClaim;

use crate::cluster::Cluster;
use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{attached_volume, pool, volume, volume_limit};

/// A node that can attach `limit` volumes and has one.
fn with_limit(limit: u32) -> Cluster {
    ["there", "data", "logs"]
        .into_iter()
        .fold(Cluster::new(), |cluster, name| cluster.with(attached_volume(name)))
        .with(pool("general"))
        .with(node("a"))
        .with(pod("old").volume("there").on("a"))
        .with(volume_limit("a", limit))
}

#[test]
fn a_node_that_can_attach_no_more_volumes_takes_no_more_pods_that_need_one() {
    let mut cluster = with_limit(1).with(pod("db").volume("data")).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: db", "web on a"]);
}

#[test]
fn volumes_are_attached_up_to_the_limit_and_of_a_new_node_none_is_known() {
    let mut cluster = with_limit(2)
        .with(pod("db-0").volume("data"))
        .with(pod("db-1").volume("logs"))
        .with(volume_limit("b", 0));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: db-1", "db-0 on a"]);
}

#[test]
fn a_pod_needs_all_of_its_volumes_on_one_node() {
    let mut cluster = with_limit(2).with(pod("db").volume("data").volume("logs"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: db"]);
}

#[test]
fn a_volume_that_several_pods_share_is_attached_once() {
    let mut cluster = with_limit(2).with(pods("web", 3).cpu(100).volume("data"));
    assert_eq!(cluster.provisioned(), ["web-0 on a", "web-1 on a", "web-2 on a"]);
    let mut cluster = with_limit(1).with(pods("web", 2).volume("there"));
    assert_eq!(cluster.provisioned(), ["web-0 on a", "web-1 on a"]);
}

#[test]
fn a_volume_counts_as_shared_as_long_as_somebody_shares_it() {
    let cluster = with_limit(2).with(pods("web", 2).volume("data"));
    let mut alone = cluster.with(Event::PodGone("web-1".into())).with(pod("db").volume("logs"));
    assert_eq!(alone.provisioned(), ["general c.large/a/spot: web-0", "db on a"]);
}

#[test]
fn what_no_driver_attaches_and_drivers_without_a_limit_count_nothing() {
    let other = VolumeClaim { driver: Some("efs".into()), ..volume("files", &[]) };
    let mut cluster = with_limit(1)
        .with(volume("nfs", &[]))
        .with(other)
        .with(pod("db").volume("nfs"))
        .with(pod("web").volume("files"));
    assert_eq!(cluster.provisioned(), ["db on a", "web on a"]);
}

#[test]
fn a_limit_that_is_not_known_any_more_holds_nobody_off() {
    let mut cluster =
        with_limit(1).with(pod("db").volume("data")).with(Event::VolumeLimitsGone("node-a".into()));
    assert_eq!(cluster.provisioned(), ["db on a"]);
}

#[test]
fn a_node_is_not_emptied_onto_one_that_could_not_attach_its_volumes() {
    let fits = with_limit(2).with(node("b")).with(pod("db").volume("data").on("b"));
    assert_eq!(
        fits.clone().disrupted(),
        ["a Underutilized", "b: pod shop/db fits on no other node"],
        "the pod of a goes to b, of which no limit is known"
    );
    let full = fits.with(volume_limit("b", 1)).with(volume_limit("a", 1));
    assert_eq!(
        full.clone().disrupted(),
        ["a: pod shop/old fits on no other node", "b: pod shop/db fits on no other node"]
    );
}
