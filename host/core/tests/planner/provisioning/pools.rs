//! Which NodePool: weights, taints, and pools that take no new nodes.

use whittle_core::model::requirement::{Operator, Taint, TaintEffect};

use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, pool, taint};
use crate::cluster::{Cluster, START, catalogue, launches, secs};

#[test]
fn a_node_pool_that_contradicts_itself_launches_nothing() {
    let pools = [
        pool("torn").label("team", "red").only("team", &["blue"]),
        pool("torn").only("team", &["red"]).only("team", &["blue"]),
        pool("torn").label("team", "red").needs("team", Operator::DoesNotExist, &[]),
        pool("torn").needs("team", Operator::Gt, &["4"]).needs("team", Operator::Lt, &["5"]),
    ];
    for torn in pools {
        let mut cluster = Cluster::new().with(torn).with(pods("web", 1));
        let plan = cluster.provision(START);
        assert_eq!(launches(&plan), []);
        let why = plan.report.unplaced[0].node_pools[0].why.to_string();
        assert!(why.starts_with("no value of team is what the NodePool asks for: team "), "{why}");
    }
}

#[test]
fn the_heaviest_pool_wins_and_ties_go_to_the_last_by_name() {
    let mut cluster = Cluster::new()
        .with(pool("a").weight(5))
        .with(pool("b").weight(10).on_demand())
        .with(pool("c").weight(10).on_demand())
        .with(pod("web"));
    assert_eq!(cluster.provisioned(), ["c c.large/a/on-demand: web"]);
}

#[test]
fn a_lighter_pool_is_tried_when_the_heavier_will_not_do() {
    let mut cluster =
        Cluster::new().with(pool("heavy").weight(10).taint("special")).with(pool("light")).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["light c.large/a/spot: web"]);
}

#[test]
fn a_taint_that_the_pod_does_not_tolerate_excludes_the_pool() {
    let mut cluster = Cluster::new().with(pool("general").taint("special")).with(pod("web"));
    assert_eq!(
        cluster.provisioned(),
        ["shop/web: general: the pod does not tolerate the taint special:NoSchedule"]
    );
}

#[test]
fn a_pod_that_tolerates_the_taint_gets_a_node_that_has_it() {
    let mut cluster =
        Cluster::new().with(pool("general").taint("special")).with(pod("web").tolerates("special"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
    assert_eq!(cluster.launches()[0].taints, [taint("special")]);
}

#[test]
fn a_toleration_makes_no_taint() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web").tolerates("special"));
    assert_eq!(cluster.launches()[0].taints, []);
}

#[test]
fn startup_taints_keep_no_pod_from_a_new_node() {
    let mut cluster = Cluster::new().with(pool("general").startup_taint("cni")).with(pod("web"));
    let launch = &cluster.launches()[0];
    assert_eq!((&*launch.taints, &*launch.startup_taints), (&[][..], &[taint("cni")][..]));
}

#[test]
fn a_taint_that_only_prefers_keeps_no_pod_away() {
    let soft = Taint { effect: TaintEffect::PreferNoSchedule, ..taint("special") };
    let mut cluster =
        Cluster::new().with(pool("general").change(|pool| pool.taints.push(soft))).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn a_pool_that_takes_no_new_nodes_says_why() {
    let mut missing = pool("missing");
    missing.node_class = "nowhere".into();
    let mut cluster = Cluster::new()
        .with(pool("deleted").change(|pool| pool.deleting = true))
        .with(pool("fixed").change(|pool| pool.replicas = Some(3)))
        .with(missing)
        .with(pool("unready").change(|pool| pool.ready = false))
        .with(pod("web"));
    assert_eq!(
        cluster.provisioned(),
        ["shop/web: unready: NodePool unready is not ready; missing: EC2NodeClass nowhere does not exist; \
          fixed: the NodePool has a fixed number of nodes (spec.replicas); deleted: NodePool deleted is not ready"]
    );
}

#[test]
fn a_class_that_is_not_ready_launches_nothing() {
    let mut class = catalogue::class();
    class.ready = false;
    let mut cluster = Cluster::new().with(class).with(pool("general")).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["shop/web: general: EC2NodeClass default is not ready"]);
}

#[test]
fn a_pool_whose_requirements_no_type_fulfils_says_which() {
    let odd = pool("general").only("kubernetes.io/arch", &["riscv64"]);
    let mut cluster = Cluster::new().with(odd).with(pod("web"));
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/web: general: the pod wants kubernetes.io/arch In [riscv64], the NodePool offers amd64, arm64"
        ]
    );
}

#[test]
fn every_pool_gives_its_own_reason_in_the_order_in_which_they_are_tried() {
    let mut cluster = Cluster::new()
        .with(pool("small").only("node.kubernetes.io/instance-type", &["c.large"]))
        .with(pool("tainted").weight(3).taint("special"))
        .with(pool("zoned").weight(2).only("topology.kubernetes.io/zone", &["c"]))
        .with(pod("web").cpu(3_000).select("topology.kubernetes.io/zone", "a"));
    assert_eq!(
        cluster.provisioned(),
        ["shop/web: tainted: the pod does not tolerate the taint special:NoSchedule; \
          zoned: the pod wants topology.kubernetes.io/zone In [a], the NodePool offers c; \
          small: none of 1 instance types will do: 1 has less cpu than the 3 asked for (the largest 1900m)"]
    );
}

#[test]
fn what_the_pool_says_of_its_nodes_lives_is_said_in_the_launch() {
    let mortal = pool("general").change(|pool| {
        pool.expire_after = Some(secs(3_600));
        pool.termination_grace_period = Some(secs(60));
    });
    let launch = &Cluster::new().with(mortal).with(pod("web")).launches()[0];
    assert_eq!(
        (launch.node_class.as_str(), launch.expire_after, launch.termination_grace_period),
        ("default", Some(secs(3_600)), Some(secs(60)))
    );
}
