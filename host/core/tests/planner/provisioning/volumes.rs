//! Volumes bind their pods to where they are.

use whittle_core::model::labels::ZONE;
use whittle_core::model::node_pool::{VolumeBinding, VolumeClaim};

use crate::cluster::Cluster;
use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, pool, volume};

#[test]
fn a_pod_goes_where_its_volume_is() {
    let mut cluster =
        Cluster::new().with(pool("general")).with(volume("data", &["c"])).with(pod("db").volume("data"));
    assert_eq!(cluster.provisioned(), ["general c.large/c/spot: db"]);
}

#[test]
fn a_volume_that_is_not_made_yet_leaves_its_zones_open() {
    let zones = &["b", "c"];
    let mut cluster =
        Cluster::new().with(pool("general")).with(volume("data", zones)).with(pod("db").volume("data"));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: db"]);
}

#[test]
fn all_volumes_of_a_pod_must_be_within_reach() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(volume("data", &["a", "b"]))
        .with(volume("logs", &["b", "c"]))
        .with(pod("db").volume("data").volume("logs"));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: db"]);
}

#[test]
fn a_volume_where_the_pool_has_no_nodes_is_the_reason() {
    let mut cluster = Cluster::new()
        .with(pool("general").only(ZONE, &["a"]))
        .with(volume("data", &["c"]))
        .with(pod("db").volume("data"));
    assert_eq!(
        cluster.provisioned(),
        ["shop/db: general: the pod's volumes can only be where topology.kubernetes.io/zone In [c]"]
    );
}

#[test]
fn a_volume_that_does_not_exist_keeps_its_pod_and_no_other_waiting() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("db").volume("data")).with(pod("web"));
    assert_eq!(
        cluster.provisioned(),
        ["general c.large/a/spot: web", "shop/db: PersistentVolumeClaim shop/data does not exist"]
    );
}

#[test]
fn a_volume_that_can_be_nowhere_says_why() {
    let binding = VolumeBinding::Impossible("its volume is lost".into());
    let lost = VolumeClaim { binding, ..volume("data", &[]) };
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(whittle_core::event::Event::VolumeClaim(lost))
        .with(pod("db").volume("data"));
    assert_eq!(cluster.provisioned(), ["shop/db: PersistentVolumeClaim shop/data: its volume is lost"]);
}

#[test]
fn a_volume_that_comes_later_than_its_pod_is_taken_in() {
    let cluster = Cluster::new().with(pool("general")).with(pod("db").volume("data"));
    let mut cluster = cluster.with(volume("data", &["b"]));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: db"]);
}

#[test]
fn a_node_elsewhere_will_not_do() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("near").zone("c"))
        .with(node("far"))
        .with(volume("data", &["c"]))
        .with(pod("db").volume("data"));
    assert_eq!(cluster.provisioned(), ["db on near"]);
}

#[test]
fn where_volumes_are_does_not_change_how_pods_are_counted() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(volume("data", &["a"]))
        .with(pods("web", 2).named("bound").zone_spread(1).volume("data"))
        .with(pods("web", 2).zone_spread(1));
    assert_eq!(
        cluster.provisioned(),
        ["general c.large/a/spot: bound", "general c.large/b/spot: web-0", "general c.large/c/spot: web-1",]
    );
}
