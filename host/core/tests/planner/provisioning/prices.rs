//! Packing for the lowest price: of two plans the cheaper one is kept, and it keeps every rule.
//!
//! `Cluster::provision` has `check` judge each plan, so that what is looked at here is what it costs and who is where.

use whittle_core::model::labels::{CAPACITY_TYPE, HOSTNAME, INSTANCE_TYPE, ZONE};
use whittle_core::model::price::Price;
use whittle_core::plan::Launch;

use crate::cluster::catalogue::CATEGORY;
use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, pool};
use crate::cluster::{Cluster, START, launches, text};

fn price(launches: &[Launch]) -> Price {
    launches.iter().map(Launch::price).sum()
}

/// What both plans cost: the one in Karpenter's order and the one that is kept.
fn prices(cluster: &mut Cluster) -> (Price, Price) {
    let in_order = launches(&cluster.provision_in_karpenter_order(START));
    (price(&in_order), price(&cluster.launches()))
}

/// A NodePool whose prices do not differ from zone to zone.
fn on_demand() -> whittle_core::model::node_pool::NodePool {
    pool("general").on_demand().only(CATEGORY, &["c", "m", "r"])
}

#[test]
fn pods_that_want_different_things_share_nodes_rather_than_fill_them_with_their_like() {
    // Largest first would open nodes for the CPUs alone and leave all the memory for the end.
    let mut cluster = Cluster::new()
        .with(on_demand())
        .with(pods("math", 8).cpu(1_500))
        .with(pods("cache", 8).cpu(200).memory(7));
    let (in_order, kept) = prices(&mut cluster);
    assert!(kept < in_order, "{kept} instead of {in_order}");
}

#[test]
fn where_karpenters_order_is_the_cheapest_it_is_kept() {
    let mut cluster = Cluster::new().with(on_demand()).with(pod("web"));
    let in_order = text::plan(&cluster.provision_in_karpenter_order(START));
    assert_eq!(cluster.provisioned(), in_order);
    assert_eq!(in_order, ["general c.large/a/on-demand: web"]);
}

#[test]
fn room_that_is_there_is_filled_before_anything_is_opened() {
    let mut cluster = Cluster::new()
        .with(on_demand())
        .with(node("one").instance_type("m.4xlarge"))
        .with(pods("math", 8).cpu(1_500))
        .with(pods("cache", 8).cpu(200).memory(7));
    let plan = cluster.provision(START);
    let on_the_node = text::plan(&plan).iter().filter(|line| line.ends_with(" on one")).count();
    assert!(on_the_node >= 8, "{:?}", text::plan(&plan));
}

#[test]
fn the_heavier_pool_is_used_though_the_lighter_one_is_cheaper() {
    let dear = pool("dear").weight(9).on_demand().only(CATEGORY, &["r"]);
    let mut cluster = Cluster::new()
        .with(dear)
        .with(on_demand())
        .with(pods("math", 8).cpu(700))
        .with(pods("cache", 4).memory(7));
    assert!(cluster.launches().iter().all(|launch| launch.node_pool == "dear"));
}

#[test]
fn pods_are_spread_over_zones_and_kept_apart_whatever_is_cheaper() {
    let mut cluster = Cluster::new()
        .with(pool("general").only(CATEGORY, &["c", "m", "r"]))
        .with(pods("spread", 7).cpu(900).zone_spread(1))
        .with(pods("apart", 5).cpu(300).apart(HOSTNAME))
        .with(pods("hosts", 6).cpu(400).host_spread(2))
        .with(pods("cache", 6).cpu(200).memory(7));
    let (in_order, kept) = prices(&mut cluster);
    assert!(kept < in_order, "{kept} instead of {in_order}");
    assert_eq!(cluster.provision(START).report.unplaced, []);
}

#[test]
fn pods_that_others_spread_are_counted_in_their_zone_once() {
    // The free ones belong to the same app and count for the spread of the others.
    let free = pods("web", 4).cpu(700);
    let mut spread = pods("web", 5).cpu(700).zone_spread(1);
    spread = spread.renamed("strict");
    let cluster =
        Cluster::new().with(on_demand()).with(free).with(spread).with(pods("cache", 6).cpu(200).memory(7));
    let mut cluster = cluster;
    assert_eq!(cluster.provision(START).report.unplaced, []);
}

#[test]
fn limits_hold_for_nodes_that_are_opened_many_at_once() {
    let limited = on_demand().only(INSTANCE_TYPE, &["c.large"]).limit("cpu", 12_000);
    let mut cluster = Cluster::new().with(limited).with(pods("math", 20).cpu(900).apart(HOSTNAME));
    let launched = cluster.launches();
    assert_eq!(launched.len(), 6, "six nodes of two CPUs each");
}

#[test]
fn pods_that_can_be_had_on_spot_do_not_pay_for_those_that_cannot() {
    let mut cluster = Cluster::new()
        .with(pool("general").only(CATEGORY, &["c", "m", "r"]))
        .with(pods("steady", 4).cpu(900).select(CAPACITY_TYPE, "on-demand"))
        .with(pods("cheap", 4).cpu(850))
        .with(pods("cache", 4).cpu(200).memory(7));
    let (in_order, kept) = prices(&mut cluster);
    assert!(kept < in_order, "{kept} instead of {in_order}");
}

#[test]
fn a_pod_that_must_be_where_another_is_finds_it() {
    let mut cluster = Cluster::new()
        .with(on_demand())
        .with(pod("cache").cpu(200).memory(7).select(ZONE, "b"))
        .with(pods("web", 4).cpu(900).near("cache", ZONE))
        .with(pods("math", 8).cpu(1_500));
    assert_eq!(cluster.provision(START).report.unplaced, []);
}
