//! Reasons: what excludes a pod, counted, and a decision that ends before it knows.

use whittle_core::model::labels::{ARCH, CAPACITY_TYPE, INSTANCE_TYPE, ZONE};
use whittle_core::settings::Settings;
use whittle_core::why::change::Remedy;
use whittle_core::why::lost::LostTo;
use whittle_core::why::{TopologyRule, Unplaced, Why};

use crate::cluster::catalogue::{CATEGORY, CPUS};
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{PoolWords, daemon_set, pool};
use crate::cluster::{Cluster, START};

fn unplaced(cluster: &mut Cluster) -> Vec<Unplaced> {
    cluster.provision(START).report.unplaced
}

#[test]
fn each_label_and_resource_says_how_many_instance_types_it_costs() {
    let asking = pod("web").select(ARCH, "amd64").select(CPUS, "8").cpu(200_000).memory(20);
    let mut cluster = Cluster::new().with(pool("general").only(CPUS, &["2", "4", "8"])).with(asking);
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/web: general: none of 10 instance types will do: 8 are not karpenter.k8s.aws/instance-cpu In [8], 2 have less cpu than the 200 asked for (the largest 7900m), 1 has less memory than the 20Gi asked for (the largest 31.5Gi) (a type may lack several)"
        ]
    );
}

#[test]
fn labels_that_exclude_everything_only_together_each_cost_some() {
    let asking = pod("web").select(ARCH, "arm64").select(CATEGORY, "m");
    let mut cluster = Cluster::new().with(pool("general")).with(asking);
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/web: general: none of 12 instance types will do: 7 are not karpenter.k8s.aws/instance-category In [m], 5 are not kubernetes.io/arch In [arm64]"
        ]
    );
}

#[test]
fn what_is_not_sold_in_a_zone_and_way_is_counted_after_what_would_not_do_anyway() {
    let class = crate::cluster::catalogue::class();
    let only_on_demand = |name: &str| name.starts_with('c');
    let mut types = class.instance_types.to_vec();
    for one in types.iter_mut().filter(|one| only_on_demand(&one.name)) {
        one.offerings.retain(|offering| offering.zone != "a");
    }
    let class = whittle_core::model::node_pool::NodeClass { instance_types: types.into(), ..class };
    let only = pool("general").only(INSTANCE_TYPE, &["c.large", "c.xlarge", "m.large"]);
    let mut cluster = Cluster::new().with(class).with(only).with(pod("web").select(ZONE, "a").cpu(3_000));
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/web: general: none of 3 instance types will do: 2 have less cpu than the 3 asked for (the largest 3900m), 1 is not sold in these zones and capacity types"
        ]
    );
}

#[test]
fn what_daemon_sets_take_is_not_there_for_pods() {
    let mut cluster = Cluster::new()
        .with(pool("general").only(INSTANCE_TYPE, &["c.large"]))
        .with(daemon_set(pods("agent", 1).cpu(400).memory(1)))
        .with(pod("web").cpu(1_600));
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/web: general: none of 1 instance types will do: 1 has less cpu than the 1600m asked for (the largest 1500m)"
        ]
    );
}

#[test]
fn counts_add_up_unless_a_type_lacks_several_resources() {
    let askings: [fn(Pods) -> Pods; 4] = [
        |pod| pod.select(ARCH, "arm64").cpu(10_000),
        |pod| pod.select(CATEGORY, "c").memory(17),
        |pod| pod.select(CATEGORY, "r").select(ARCH, "arm64"),
        |pod| pod.select(CAPACITY_TYPE, "on-demand").cpu(64_000),
    ];
    for asking in askings {
        let mut cluster = Cluster::new().with(pool("general")).with(asking(pod("web")));
        let unplaced = unplaced(&mut cluster);
        let why = &unplaced[0].node_pools[0].why;
        let Why::InstanceTypes { considered, lost } = why else { panic!("another reason: {why}") };
        assert_eq!(lost.iter().map(|lost| lost.instance_types).sum::<u32>(), *considered, "{why}");
    }
}

#[test]
fn who_asks_for_too_much_of_everything_is_told_the_largest_of_each() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web").cpu(100_000).memory(1_000));
    let unplaced = unplaced(&mut cluster);
    let why = &unplaced[0].node_pools[0].why;
    let Why::InstanceTypes { lost, .. } = why else { panic!("another reason: {why}") };
    let largest: Vec<_> = lost
        .iter()
        .filter_map(|lost| match &lost.to {
            LostTo::Resource { resource, largest, .. } => Some((resource.as_str(), *largest)),
            _ => None,
        })
        .collect();
    assert_eq!(largest, [("cpu", 63_900), ("memory", (256 << 30) - (512 << 20))]);
    assert_eq!(unplaced[0].remedy, Remedy::NoSingleChange);
}

/// A budget of looks that ends before everybody had a turn.
fn short_of_looks(looks: u64) -> Cluster {
    Cluster::set(Settings { looks, ..Settings::default() }).with(pool("general"))
}

#[test]
fn pods_for_which_no_looks_are_left_are_unplaced_for_that_reason_and_no_other() {
    let mut cluster = short_of_looks(2).with(pods("web", 3).cpu(1_900).apart("kubernetes.io/hostname"));
    let plan = cluster.provision(START);
    assert_eq!(plan.actions.len(), 2, "the looks that there are go into nodes");
    let expected = Unplaced {
        pod: "web-2".into(),
        name: "shop/web-2".into(),
        node_pools: Vec::new(),
        itself: Some(Why::Looks { looks: 2 }),
        remedy: Remedy::NotTried,
    };
    assert_eq!(plan.report.unplaced, [expected]);
    let mut enough = short_of_looks(100).with(pods("web", 3).cpu(1_900).apart("kubernetes.io/hostname"));
    assert_eq!(enough.launches().len(), 3);
}

#[test]
fn a_pod_that_was_refused_with_its_last_look_has_the_reason_of_the_refusal() {
    let asking = pod("web").near("nobody", ZONE);
    let mut cluster = short_of_looks(1).with(asking);
    let unplaced = unplaced(&mut cluster);
    let why = Why::Topology { rule: TopologyRule::Affinity, key: ZONE.into() };
    assert_eq!((&unplaced[0].itself, &unplaced[0].node_pools[0].why), (&None, &why));
}
