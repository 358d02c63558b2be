//! What plans cost beside one another.
//!
//! No greedy keeps the price from rising when a pod goes or something cheaper is for sale: it fills other nodes then, and
//! they may suit those that come later less. What holds is held here, where pods do not mind one another: when nothing
//! but the last step changes, and when what is new is an old instance type for less. A plan that looks for the cheapest
//! nodes has Karpenter's order as its net, so it is held to that.

use std::cmp::Reverse;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use whittle_core::event::Event;
use whittle_core::model::labels::INSTANCE_TYPE;
use whittle_core::model::node_pool::NodeClass;
use whittle_core::model::pod::Pod;
use whittle_core::model::price::Price;
use whittle_core::plan::{Launch, Plan};
use whittle_core::provision::problem::Cache;

use super::{config, planned, planned_in_karpenter_order};
use crate::cluster::pods::pods;
use crate::cluster::pools::pool;
use crate::cluster::{Cluster, at, catalogue, launches, text};
use crate::generated::{LATE, plain_worlds, worlds};

fn price(plan: &Plan) -> Price {
    launches(plan).iter().map(Launch::price).sum()
}

fn unplaced(plan: &Plan) -> Vec<&str> {
    plan.report.unplaced.iter().map(|unplaced| unplaced.pod.as_str()).collect()
}

/// The same cluster, where one of the instance types is for sale a second time, under another name and for a tenth less.
fn with_a_cheaper_type(cluster: &Cluster, which: usize) -> Cluster {
    let mut types = catalogue::all().to_vec();
    let mut cheaper = types[which % types.len()].clone();
    cheaper.name = format!("{}-next", cheaper.name);
    cheaper.labels.insert(INSTANCE_TYPE.to_owned(), vec![cheaper.name.clone()]);
    for offering in &mut cheaper.offerings {
        offering.price = offering.price.scaled(900_000);
    }
    types.push(cheaper);
    let mut cluster = cluster.clone();
    cluster.tell(NodeClass { instance_types: types.into(), ..catalogue::class() }, at(LATE));
    cluster
}

fn without(cluster: &Cluster, pod: &str) -> Cluster {
    let mut cluster = cluster.clone();
    cluster.tell(Event::PodGone(pod.to_owned()), at(LATE));
    cluster
}

/// The waiting pod that comes last in Karpenter's order.
fn last(cluster: &Cluster) -> Option<String> {
    let snapshot = cluster.state.snapshot();
    let pods = snapshot.waiting().flat_map(|(_, pods)| pods);
    let rank = |pod: &&Pod| {
        let requests = &pod.spec.requests;
        (Reverse((requests.cpu_millis, requests.memory_bytes)), pod.uid.clone())
    };
    pods.max_by_key(rank).map(|pod| pod.uid.clone())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_plan_places_no_fewer_pods_than_karpenters_order_and_costs_no_more_where_it_places_as_many(
        world in worlds(),
    ) {
        let cluster = world.cluster();
        let (ours, theirs) = (planned(&cluster, &mut Cache::default()), planned_in_karpenter_order(&cluster));
        let [our_left, their_left] = [&ours, &theirs].map(|plan| unplaced(plan).len());
        prop_assert!(our_left <= their_left);
        if our_left == their_left {
            prop_assert!(price(&ours) <= price(&theirs));
        }
    }

    #[test]
    fn a_cheaper_type_never_raises_the_price_in_karpenters_order_nor_above_it(
        world in plain_worlds(),
        which in any::<usize>(),
    ) {
        let cluster = world.cluster();
        let cheaper = with_a_cheaper_type(&cluster, which);
        let before = planned_in_karpenter_order(&cluster);
        for after in [planned_in_karpenter_order(&cheaper), planned(&cheaper, &mut Cache::default())] {
            prop_assert_eq!(unplaced(&after), unplaced(&before));
            prop_assert!(price(&after) <= price(&before));
        }
    }

    #[test]
    fn without_the_last_pod_karpenters_order_costs_no_more_nor_does_a_plan_cost_more_than_it(
        world in plain_worlds(),
    ) {
        let cluster = world.cluster();
        let Some(last) = last(&cluster) else { return Ok(()) };
        let fewer = without(&cluster, &last);
        let before = planned_in_karpenter_order(&cluster);
        for after in [planned_in_karpenter_order(&fewer), planned(&fewer, &mut Cache::default())] {
            prop_assert!(price(&after) <= price(&before), "without {last}");
        }
    }
}

/// Without a pod that is not the last, Karpenter's order can cost more. Here each large pod wants a node of its own, for
/// its port, and of 8 CPUs there is room for one small pod beside it. With three of them the small pods have a node
/// each. With two, the third goes where there are the fewest pods rather than to a node of its own, and makes it one of
/// 16 CPUs.
#[test]
fn without_a_large_pod_karpenters_order_can_cost_more() {
    let cluster = |large: usize| {
        Cluster::new()
            .with(pool("general"))
            .with(pods("large", large).cpu(3_900).host_port(80))
            .with(pods("small", 3).cpu(2_100))
    };
    let plan = |large: usize| text::plan(&planned_in_karpenter_order(&cluster(large)));
    assert_eq!(
        plan(3),
        [
            "general c.2xlarge/a/spot: large-0 small-0",
            "general c.2xlarge/a/spot: large-1 small-1",
            "general c.2xlarge/a/spot: large-2 small-2",
        ]
    );
    assert_eq!(
        plan(2),
        ["general m.4xlarge/a/spot: large-0 small-0 small-2", "general c.2xlarge/a/spot: large-1 small-1",]
    );
    let price = |large: usize| price(&planned_in_karpenter_order(&cluster(large)));
    assert_eq!((price(3), price(2)), (Price::from_micros(384_000), Price::from_micros(448_000)));
}
