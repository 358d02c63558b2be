//! Which instance types, how many pods on each, and what a launch lists.

use whittle_core::event::Event;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels::{ARCH, CAPACITY_TYPE, INSTANCE_TYPE};
use whittle_core::model::requirement::Operator::In;
use whittle_core::plan::{LaunchOffering, Outcome};

use crate::cluster::catalogue::{GPU, GPUS};
use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, pool};
use crate::cluster::{Cluster, START, at, text};

#[test]
fn one_small_pod_gets_the_cheapest_type() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn without_a_node_pool_nothing_is_launched_and_the_pod_says_so() {
    let mut cluster = Cluster::new().with(pod("web"));
    assert_eq!(cluster.provisioned(), ["shop/web: there is no NodePool"]);
}

#[test]
fn pods_that_wait_for_nothing_get_nothing() {
    let mut cluster = Cluster::new().with(pool("general"));
    assert_eq!(cluster.provisioned(), Vec::<String>::new());
}

#[test]
fn pods_share_a_node_that_grows_with_them() {
    let mut three = Cluster::new().with(pool("general")).with(pods("web", 3));
    assert_eq!(three.provisioned(), ["general c.large/a/spot: web-0 web-1 web-2"]);
    let mut four = Cluster::new().with(pool("general")).with(pods("web", 4));
    assert_eq!(four.provisioned(), ["general c.xlarge/a/spot: web-0 web-1 web-2 web-3"]);
}

#[test]
fn a_node_that_is_full_of_resources_is_followed_by_another() {
    let small = pool("general").only(INSTANCE_TYPE, &["c.large"]);
    let mut cluster = Cluster::new().with(small).with(pods("web", 4));
    assert_eq!(
        cluster.provisioned(),
        ["general c.large/a/spot: web-0 web-1 web-2", "general c.large/a/spot: web-3"]
    );
}

#[test]
fn a_node_that_is_full_of_pods_is_followed_by_another() {
    let small = pool("general").only(INSTANCE_TYPE, &["c.large"]);
    let mut cluster = Cluster::new().with(small).with(pods("web", 11).cpu(0).memory(0));
    let pods: Vec<_> = cluster.launches().iter().map(|launch| launch.pods.len()).collect();
    assert_eq!(pods, [10, 1]);
}

#[test]
fn the_largest_pods_are_placed_first_and_small_ones_fill_the_rest() {
    let small = pool("general").only(INSTANCE_TYPE, &["c.xlarge"]);
    let mut cluster =
        Cluster::new().with(small).with(pods("small", 2).cpu(400)).with(pods("large", 2).cpu(3_000));
    assert_eq!(
        cluster.provisioned(),
        ["general c.xlarge/a/spot: large-0 small-0", "general c.xlarge/a/spot: large-1 small-1"]
    );
}

#[test]
fn of_equally_large_pods_the_oldest_comes_first() {
    let mut cluster = Cluster::new()
        .with(pool("general").limit("nodes", 1).only(INSTANCE_TYPE, &["c.large"]))
        .with(pod("young").cpu(1_500).started(at(5)))
        .with(pod("zold").cpu(1_500).started(at(1)));
    assert_eq!(cluster.provisioned()[0], "general c.large/a/spot: zold");
}

#[test]
fn a_pod_larger_than_every_type_says_what_they_lack() {
    let huge = pod("huge").cpu(100_000).memory(100);
    let mut cluster = Cluster::new().with(pool("general")).with(huge);
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/huge: general: none of 12 instance types will do: 12 have less cpu than the 100 asked for (the largest 63900m), 11 have less memory than the 100Gi asked for (the largest 255.5Gi) (a type may lack several)"
        ]
    );
}

#[test]
fn what_the_system_keeps_is_not_for_pods() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web").cpu(2_000));
    assert_eq!(cluster.provisioned(), ["general c.xlarge/a/spot: web"]);
}

#[test]
fn a_pod_that_asks_for_nothing_is_placed() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web").cpu(0).memory(0));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn a_device_is_found_on_the_types_that_have_it() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("ai").asking(GPU, 1));
    assert_eq!(cluster.provisioned(), ["general g.xlarge/a/spot: ai"]);
}

#[test]
fn a_device_that_no_type_has_is_named() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("ai").asking("example.com/fpga", 1));
    assert_eq!(
        cluster.provisioned(),
        ["shop/ai: general: none of 12 instance types will do: 12 have no example.com/fpga"]
    );
}

#[test]
fn devices_that_no_one_type_has_together_are_not_had() {
    let greedy = pod("ai").asking(GPU, 1).select(ARCH, "arm64");
    let mut cluster = Cluster::new().with(pool("general")).with(greedy);
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/ai: general: none of 12 instance types will do: 10 are not kubernetes.io/arch In [arm64], 2 have no nvidia.com/gpu"
        ]
    );
}

#[test]
fn different_architectures_split_nodes() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(pod("arm").select(ARCH, "arm64"))
        .with(pod("intel").select(ARCH, "amd64"));
    assert_eq!(cluster.provisioned(), ["general a.large/a/spot: arm", "general c.large/a/spot: intel"]);
}

fn listed(cluster: Cluster) -> Vec<String> {
    let mut cluster = cluster;
    let launches = cluster.launches();
    launches[0].offerings.iter().map(|o| format!("{}/{}", o.instance_type, o.zone)).collect()
}

const EVERY_SPOT_OFFERING: [&str; 18] = [
    "c.xlarge/a",
    "a.xlarge/a",
    "c.xlarge/b",
    "m.xlarge/a",
    "a.xlarge/b",
    "c.xlarge/c",
    "m.xlarge/b",
    "a.xlarge/c",
    "m.xlarge/c",
    "c.2xlarge/a",
    "c.2xlarge/b",
    "m.2xlarge/a",
    "c.2xlarge/c",
    "m.2xlarge/b",
    "m.2xlarge/c",
    "m.4xlarge/a",
    "m.4xlarge/b",
    "m.4xlarge/c",
];

#[test]
fn a_launch_lists_every_way_to_buy_cheapest_first_and_nothing_exotic() {
    let spot = pool("general").only(CAPACITY_TYPE, &["spot"]);
    assert_eq!(listed(Cluster::new().with(spot).with(pod("web").cpu(3_000))), EVERY_SPOT_OFFERING);
}

#[test]
fn where_on_demand_would_do_no_spot_offering_that_costs_more_is_listed() {
    let either = || Cluster::new().with(pod("web").cpu(3_000));
    // c.xlarge is 160 on demand, as are c.2xlarge/b and m.2xlarge/a on spot.
    assert_eq!(listed(either().with(pool("general"))), EVERY_SPOT_OFFERING[..12]);
    // Minimum values want many types, whatever they cost.
    let several = pool("general").min_values(INSTANCE_TYPE, 2);
    assert_eq!(listed(either().with(several))[..16], EVERY_SPOT_OFFERING[..16]);
}

#[test]
fn spot_capacity_that_costs_more_than_any_on_demand_is_not_bought() {
    let refused = refused("gone", &[("c.xlarge", CapacityType::Spot)]);
    let only = pool("general").only(INSTANCE_TYPE, &["c.xlarge", "m.4xlarge"]);
    let mut cluster = Cluster::new().with(only).with(refused).with(pod("web").cpu(3_000));
    assert_eq!(cluster.provisioned(), ["general c.xlarge/a/on-demand: web"]);
}

#[test]
fn an_accelerator_that_is_asked_for_by_label_is_listed() {
    let asking = pod("ai").needs(GPUS, In, &["1"]);
    let mut cluster = Cluster::new().with(pool("general")).with(asking);
    assert_eq!(cluster.provisioned(), ["general g.xlarge/a/spot: ai"]);
}

fn refused(claim: &str, ways: &[(&str, CapacityType)]) -> Event {
    let price = whittle_core::model::price::Price::ZERO;
    let offerings = ways.iter().flat_map(|(kind, capacity_type)| {
        ["a", "b", "c"].map(|zone| LaunchOffering {
            instance_type: (*kind).to_owned(),
            zone: zone.to_owned(),
            capacity_type: *capacity_type,
            reservation: None,
            price,
        })
    });
    Event::Outcome(Outcome::InsufficientCapacity {
        claim: claim.to_owned(),
        offerings: offerings.collect(),
        at: START,
    })
}

#[test]
fn an_offering_that_ec2_refused_is_left_alone_for_three_minutes() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(refused("gone", &[("c.large", CapacityType::Spot)]))
        .with(pod("web"));
    assert_eq!(text::plan(&cluster.provision(at(179))), ["general a.large/a/spot: web"]);
    assert_eq!(text::plan(&cluster.provision(at(180))), ["general c.large/a/spot: web"]);
}

#[test]
fn when_ec2_has_no_spot_capacity_on_demand_has_its_turn() {
    let only = pool("general").only(INSTANCE_TYPE, &["c.large"]);
    let mut cluster =
        Cluster::new().with(only).with(refused("gone", &[("c.large", CapacityType::Spot)])).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/on-demand: web"]);
}

#[test]
fn when_ec2_has_nothing_left_the_reason_is_the_offerings() {
    let ways = [("c.large", CapacityType::Spot), ("c.large", CapacityType::OnDemand)];
    let asking = || pod("web").select(ARCH, "amd64").cpu(1_900);
    let cases = [
        (&["c.large"][..], "1 instance types will do: 1 is"),
        (&["a.large", "c.large"], "2 instance types will do: 1 is not kubernetes.io/arch In [amd64], 1 is"),
    ];
    for (only, counted) in cases {
        let only = pool("general").only(INSTANCE_TYPE, only);
        let mut cluster = Cluster::new().with(only).with(refused("gone", &ways)).with(asking());
        let because = "left alone because EC2 had none, until 00:03:00 UTC";
        assert_eq!(cluster.provisioned(), [format!("shop/web: general: none of {counted} {because}")]);
    }
}

#[test]
fn pods_that_were_meant_for_a_refused_node_get_another() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web")).with(node("gone").unlaunched());
    let plan = whittle_core::plan::Plan {
        actions: vec![whittle_core::plan::Action::Nominate(whittle_core::plan::Nomination {
            pod: "web".into(),
            node: "gone".into(),
        })],
        ..Default::default()
    };
    cluster.state.expect(&plan, START);
    assert_eq!(cluster.provisioned(), Vec::<String>::new(), "expected on the node on its way");
    cluster.tell(refused("gone", &[("c.large", CapacityType::Spot)]), START);
    assert_eq!(cluster.provisioned(), ["general a.large/a/spot: web"]);
}
