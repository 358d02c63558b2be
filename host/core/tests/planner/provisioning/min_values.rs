//! Minimum numbers of distinct values where lists are cut short, and where they may be lowered.

use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::labels::{CAPACITY_TYPE, INSTANCE_TYPE, ZONE};
use whittle_core::model::node_pool::NodeClass;
use whittle_core::model::price::Price;
use whittle_core::model::requirement::Operator;
use whittle_core::plan::Launch;
use whittle_core::settings::{MinValuesPolicy, Settings};

use crate::cluster::catalogue::{CATEGORY, CPUS, class, named};
use crate::cluster::nodes::values_of;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, pool};
use crate::cluster::{Cluster, text};

fn best_effort() -> Cluster {
    Cluster::set(Settings { min_values: MinValuesPolicy::BestEffort, ..Settings::default() })
}

/// The minimum of distinct values that a launch states for a label.
fn stated(launch: &Launch, key: &str) -> Vec<Option<u32>> {
    let of_key = launch.requirements.iter().filter(|requirement| requirement.key == key);
    of_key.map(|requirement| requirement.min_values).collect()
}

/// Eighty types of one category, and ten dearer ones with a category each.
fn many() -> NodeClass {
    let mut types = Vec::new();
    for at in 0..90_u64 {
        let mut one = InstanceType { name: format!("t{at:02}.large"), ..named("c.large") };
        one.labels.insert(INSTANCE_TYPE.to_owned(), vec![one.name.clone()]);
        if at >= 80 {
            one.labels.insert(CATEGORY.to_owned(), vec![format!("t{at}")]);
        }
        for offering in &mut one.offerings {
            offering.price = Price::from_micros(offering.price.micros() + 1_000 * at);
        }
        types.push(one);
    }
    NodeClass { instance_types: types.into(), ..class() }
}

#[test]
fn a_list_that_is_cut_short_keeps_what_the_minimum_needs() {
    for (least, listed, dearest) in [(1, 60, "t59.large"), (2, 61, "t80.large"), (4, 63, "t82.large")] {
        let broad = pool("general").min_values(CATEGORY, least);
        let launches = Cluster::new().with(many()).with(broad).with(pod("web")).launches();
        let types = values_of(&launches[0], INSTANCE_TYPE);
        assert_eq!((types.len(), types[listed - 1].as_str()), (listed, dearest), "{least}");
    }
}

#[test]
fn a_list_that_is_cut_short_keeps_the_minimum_of_every_key_and_the_largest_of_one() {
    let broad = pool("general").min_values(CATEGORY, 2).min_values(INSTANCE_TYPE, 62).min_values(CATEGORY, 3);
    let launches = Cluster::new().with(many()).with(broad).with(pod("web")).launches();
    let types = values_of(&launches[0], INSTANCE_TYPE);
    assert_eq!(types.len(), 64, "60, two for the number of types, two for the categories");
    assert_eq!(stated(&launches[0], CATEGORY), [Some(3), None], "stated once");
    assert_eq!(stated(&launches[0], INSTANCE_TYPE), [Some(62)]);
}

#[test]
fn a_way_to_buy_that_leaves_too_few_values_gives_way_to_the_next() {
    let whole = class();
    let spot_of_one = whole.instance_types.iter().cloned().map(|mut one| {
        if one.name != "c.large" {
            one.offerings.retain(|offering| offering.capacity_type == CapacityType::OnDemand);
        }
        one
    });
    let class = NodeClass { instance_types: spot_of_one.collect(), ..class() };
    let broad = pool("general").min_values(CATEGORY, 2);
    let mut cluster = Cluster::new().with(class).with(broad).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/on-demand: web"]);
}

#[test]
fn where_minimum_values_may_be_lowered_a_launch_has_as_many_as_there_are_and_says_so() {
    let broad = pool("general").min_values(CATEGORY, 3).min_values(CPUS, 2);
    let launches = best_effort().with(broad).with(pod("web").cpu(7_000)).launches();
    assert!(launches[0].min_values_relaxed);
    assert_eq!(stated(&launches[0], CATEGORY), [Some(2)], "c and m are left");
    assert_eq!(stated(&launches[0], CPUS), [Some(2)], "that one is kept");
}

#[test]
fn where_minimum_values_may_be_lowered_those_that_can_be_kept_are() {
    let broad = pool("general").min_values(CATEGORY, 5);
    let launches = best_effort().with(broad).with(pod("web")).launches();
    assert!(!launches[0].min_values_relaxed);
    assert_eq!(stated(&launches[0], CATEGORY), [Some(5)]);
}

#[test]
fn a_minimum_is_lowered_rather_than_that_a_lighter_pool_gets_the_pod() {
    let heavy = pool("heavy").weight(10).min_values(CATEGORY, 3);
    let known =
        |cluster: Cluster| cluster.with(heavy.clone()).with(pool("light")).with(pod("web").cpu(7_000));
    assert_eq!(known(best_effort()).provisioned(), ["heavy c.2xlarge/a/spot: web"]);
    assert_eq!(known(Cluster::new()).provisioned(), ["light c.2xlarge/a/spot: web"], "strictly");
}

#[test]
fn a_minimum_is_lowered_rather_than_that_another_node_is_opened() {
    let broad = pool("general").min_values(CATEGORY, 3);
    let plan = best_effort().with(broad).with(pods("web", 2).cpu(3_500)).provision(crate::cluster::START);
    assert_eq!(text::plan(&plan), ["general c.2xlarge/a/spot: web-0 web-1"]);
}

#[test]
fn zones_and_capacity_types_can_be_wanted_in_number_too() {
    let broad = pool("general").min_values(ZONE, 3).min_values(CAPACITY_TYPE, 2);
    let near = pod("web").needs(ZONE, Operator::In, &["a", "b"]);
    let launches = best_effort().with(broad.clone()).with(near.clone()).launches();
    assert_eq!(stated(&launches[0], ZONE), [Some(2)]);
    assert_eq!(
        Cluster::new().with(broad).with(near).provisioned(),
        [
            "shop/web: general: the NodePool wants at least 3 values of topology.kubernetes.io/zone, 2 would be left"
        ]
    );
}
