//! Capacity reservations: taken first, waited for, and never promised twice.

use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels::{
    CAPACITY_TYPE, HOSTNAME, INSTANCE_TYPE, RESERVATION_ID, RESERVATION_TYPE, ZONE,
};
use whittle_core::model::requirement::Operator;
use whittle_core::plan::LaunchOffering;
use whittle_core::provision::problem::Cache;
use whittle_core::provision::provision_in_karpenter_order;
use whittle_core::settings::{MinValuesPolicy, Settings};

use crate::cluster::catalogue::{CATEGORY, reserving};
use crate::cluster::nodes::{claimed, values_of};
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, pool};
use crate::cluster::{Cluster, START, at, launches, text};

const WAITS: &str =
    "the pod waits for a capacity reservation: other new nodes hold what is left until they are launched";

fn waits(pod: &str, pool: &str) -> String {
    format!("shop/{pod}: {pool}: {WAITS}")
}

#[test]
fn reserved_capacity_comes_first_and_a_launch_of_it_lists_nothing_else() {
    let class = reserving(&[("m.xlarge", "b", "cr-2", 1), ("m.large", "b", "cr-1", 1)]);
    let launches = Cluster::new().with(class).with(pool("general")).with(pod("web")).launches();
    let listed: Vec<_> = launches[0]
        .offerings
        .iter()
        .map(|LaunchOffering { instance_type, zone, capacity_type, reservation, .. }| {
            (instance_type.as_str(), zone.as_str(), *capacity_type, reservation.as_deref())
        })
        .collect();
    let reserved = CapacityType::Reserved;
    let expected = [("m.large", "b", reserved, Some("cr-1")), ("m.xlarge", "b", reserved, Some("cr-2"))];
    assert_eq!(listed, expected, "what would cost less on demand comes first");
    assert_eq!(values_of(&launches[0], CAPACITY_TYPE), ["reserved"]);
    assert_eq!(values_of(&launches[0], RESERVATION_ID), ["cr-1", "cr-2"]);
    assert_eq!(values_of(&launches[0], INSTANCE_TYPE), ["m.large", "m.xlarge"]);
}

#[test]
fn pods_wait_for_reserved_capacity_that_new_nodes_hold_and_have_other_nodes_once_it_is_gone() {
    let mut cluster = Cluster::new()
        .with(reserving(&[("c.large", "a", "cr-1", 2)]))
        .with(pool("general"))
        .with(pods("web", 3).cpu(1_900));
    let plan = cluster.provision_and_expect(START);
    assert_eq!(
        text::plan(&plan),
        [
            "general c.large/a/reserved: web-0".to_owned(),
            "general c.large/a/reserved: web-1".to_owned(),
            waits("web-2", "general"),
        ]
    );
    let asked_for = cluster.provision(at(1));
    assert_eq!(text::plan(&asked_for), ["general c.large/a/spot: web-2"], "asked for and not seen yet");
    for launch in launches(&plan) {
        cluster = cluster.with(claimed(&launch, START));
    }
    assert_eq!(text::plan(&cluster.provision(at(1))), ["general c.large/a/spot: web-2"], "on their way");
    let mut cluster = launches(&plan).iter().fold(cluster, |cluster, launch| {
        let bought = claimed(launch, START).bought("c.large", "a", CapacityType::OnDemand);
        cluster.with(bought.claim(|claim| {
            let instance = claim.instance.as_mut().expect("an instance");
            (instance.capacity_type, instance.reservation) = (CapacityType::Reserved, Some("cr-1".into()));
        }))
    });
    assert_eq!(text::plan(&cluster.provision(at(2))), ["general c.large/a/spot: web-2"], "launched");
}

#[test]
fn a_reservation_without_instances_keeps_nobody_waiting() {
    let class = reserving(&[("c.large", "a", "cr-1", 0)]);
    let mut cluster = Cluster::new().with(class).with(pool("general")).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn a_pod_that_waits_for_reserved_capacity_does_not_go_to_a_lighter_pool() {
    let mut cluster = Cluster::new()
        .with(reserving(&[("c.large", "a", "cr-1", 1)]))
        .with(pool("heavy").weight(10))
        .with(pool("light").on_demand())
        .with(pods("web", 2).cpu(1_900));
    assert_eq!(
        cluster.provisioned(),
        ["heavy c.large/a/reserved: web-0".to_owned(), waits("web-1", "heavy")]
    );
}

#[test]
fn a_pod_that_waits_for_reserved_capacity_gives_up_no_wish() {
    let wishful = pods("web", 2).cpu(1_900).would_like(1, ZONE, "a");
    let reserved = reserving(&[("c.large", "a", "cr-1", 1), ("c.large", "b", "cr-2", 1)]);
    let mut cluster = Cluster::new().with(reserved).with(pool("general")).with(wishful);
    // In zone b there is another, which the pod could have if it gave up its wish.
    let plan = text::plan(&cluster.provision(START));
    assert_eq!(plan[0], "general c.large/a/reserved: web-0");
    assert_eq!(plan.len(), 2, "{plan:?}");
    assert!(plan[1].starts_with("shop/web-1: "), "{plan:?}");
}

#[test]
fn all_node_pools_share_a_reservation() {
    let mut cluster = Cluster::new()
        .with(reserving(&[("c.large", "a", "cr-1", 1)]))
        .with(pool("blue").label("team", "blue"))
        .with(pool("red").label("team", "red"))
        .with(pods("sea", 1).cpu(1_900).select("team", "blue"))
        .with(pods("sun", 1).cpu(1_800).select("team", "red"));
    let plan = text::plan(&cluster.provision(START));
    assert_eq!(plan[0], "blue c.large/a/reserved: sea-0");
    assert!(plan[1].starts_with("shop/sun-0: ") && plan[1].contains(&format!("red: {WAITS}")), "{plan:?}");
}

#[test]
fn a_node_holds_every_reservation_that_it_could_use_and_lets_go_of_those_that_fall_away() {
    let class = reserving(&[("c.large", "a", "cr-1", 1), ("c.xlarge", "a", "cr-2", 1)]);
    let known = |pods| Cluster::new().with(class.clone()).with(pool("general")).with(pods);
    // Alone on its node the first could have either, so nothing is left for the second.
    let apart = pods("web", 2).cpu(1_800).apart(HOSTNAME);
    assert_eq!(
        known(apart).provisioned(),
        ["general c.large/a/reserved: web-0".to_owned(), waits("web-1", "general")]
    );
    // With the second pod it needs the larger, and the third has the smaller: one more would leave it none.
    assert_eq!(
        known(pods("web", 3).cpu(1_800)).provisioned(),
        ["general c.xlarge/a/reserved: web-0 web-1", "general c.large/a/reserved: web-2"]
    );
}

#[test]
fn pods_may_ask_for_a_reservation_and_keep_away_from_one() {
    let class = reserving(&[("c.large", "a", "cr-1", 1), ("m.large", "b", "cr-2", 1)]);
    for (key, operator, values, expected) in [
        (RESERVATION_ID, Operator::In, vec!["cr-2"], "general m.large/b/reserved: web"),
        (RESERVATION_ID, Operator::NotIn, vec!["cr-1"], "general m.large/b/reserved: web"),
        (RESERVATION_ID, Operator::NotIn, vec!["cr-1", "cr-2"], "general c.large/a/spot: web"),
        (RESERVATION_ID, Operator::DoesNotExist, vec![], "general c.large/a/spot: web"),
        (RESERVATION_ID, Operator::Exists, vec![], "general c.large/a/reserved: web"),
        (RESERVATION_TYPE, Operator::In, vec!["default"], "general c.large/a/reserved: web"),
        (CAPACITY_TYPE, Operator::In, vec!["on-demand"], "general c.large/a/on-demand: web"),
        (
            RESERVATION_ID,
            Operator::In,
            vec!["cr-3"],
            "shop/web: general: the pod wants karpenter.k8s.aws/capacity-reservation-id In [cr-3], \
             the NodePool offers cr-1, cr-2",
        ),
        (
            RESERVATION_TYPE,
            Operator::In,
            vec!["capacity-block"],
            "shop/web: general: the pod wants karpenter.k8s.aws/capacity-reservation-type In [capacity-block], \
             the NodePool offers default",
        ),
    ] {
        let picky = pod("web").needs(key, operator, &values);
        let mut cluster = Cluster::new().with(class.clone()).with(pool("general")).with(picky);
        assert_eq!(cluster.provisioned(), [expected], "{key} {operator:?} {values:?}");
    }
}

#[test]
fn a_node_pool_without_reserved_capacity_does_not_wait_for_it() {
    let class = reserving(&[("c.large", "a", "cr-1", 1)]);
    let plain = pool("general").only(CAPACITY_TYPE, &["spot", "on-demand"]);
    let mut cluster = Cluster::new().with(class).with(plain).with(pods("web", 2).cpu(1_900));
    assert_eq!(cluster.provisioned(), ["general c.xlarge/a/spot: web-0 web-1"]);
}

#[test]
fn a_minimum_of_values_that_reservations_alone_cannot_keep_goes_before_them() {
    let class = reserving(&[("c.large", "a", "cr-1", 1)]);
    let broad = pool("general").min_values(CATEGORY, 2);
    let known = |cluster: Cluster| cluster.with(class.clone()).with(broad.clone()).with(pod("web"));
    assert_eq!(known(Cluster::new()).provisioned(), ["general c.large/a/spot: web"]);
    let best_effort = Settings { min_values: MinValuesPolicy::BestEffort, ..Settings::default() };
    assert_eq!(known(Cluster::set(best_effort)).provisioned(), ["general c.large/a/reserved: web"]);
}

#[test]
fn pods_on_reserved_capacity_are_where_karpenters_order_puts_them() {
    let cluster = Cluster::new()
        .with(reserving(&[("c.large", "a", "cr-1", 1), ("m.2xlarge", "b", "cr-2", 2)]))
        .with(pool("general"))
        .with(pods("web", 40).cpu(700))
        .with(pods("big", 3).cpu(7_000));
    let snapshot = cluster.state.snapshot().clone();
    let in_order = provision_in_karpenter_order(&snapshot, &mut Cache::default(), START, 7);
    let reserved = |plan| -> Vec<String> {
        text::plan(plan).into_iter().filter(|line| line.contains("/reserved")).collect()
    };
    let plan = cluster.clone().provision(START);
    assert_eq!(reserved(&plan).len(), 3);
    assert_eq!(reserved(&plan), reserved(&in_order));
}
