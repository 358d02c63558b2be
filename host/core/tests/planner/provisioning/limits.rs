//! Limits of NodePools, and minimum numbers of distinct values.

use whittle_core::model::labels::{ARCH, INSTANCE_TYPE};
use whittle_core::model::requirement::Operator;

use crate::cluster::catalogue::{CATEGORY, GPU};
use crate::cluster::nodes::{claimed, node, values_of};
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, daemon_set, pool};
use crate::cluster::{Cluster, GIB, START, at, text};

#[test]
fn types_that_would_break_a_limit_are_not_listed() {
    let launches = Cluster::new().with(pool("general").limit("cpu", 4_000)).with(pod("web")).launches();
    assert_eq!(
        values_of(&launches[0], INSTANCE_TYPE),
        ["a.large", "a.xlarge", "c.large", "c.xlarge", "m.large", "m.xlarge", "r.large"]
    );
}

#[test]
fn a_limit_is_met_exactly() {
    let mut cluster = Cluster::new().with(pool("general").limit("cpu", 4_000)).with(pod("web").cpu(3_900));
    assert_eq!(cluster.provisioned(), ["general c.xlarge/a/spot: web"]);
}

#[test]
fn a_pod_that_would_break_a_limit_is_told_what_is_in_use() {
    let mut cluster =
        Cluster::new().with(pool("general").limit("cpu", 5_000)).with(node("a")).with(pod("web").cpu(3_900));
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/web: general: the NodePool's limit of 5 cpu has no room for one more node (2 in use or planned, the smallest that would do adds 4; too large for what is left: 8 of 8 types)"
        ]
    );
}

#[test]
fn a_limit_lets_some_pods_through_and_not_the_others() {
    let mut cluster = Cluster::new()
        .with(pool("general").limit("cpu", 4_000).only(INSTANCE_TYPE, &["c.large"]))
        .with(pods("web", 3).cpu(1_900));
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: web-0",
            "general c.large/a/spot: web-1",
            "shop/web-2: general: the NodePool's limit of 4 cpu has no room for one more node (4 in use or planned, the smallest that would do adds 2; too large for what is left: 1 of 1 types)",
        ]
    );
}

#[test]
fn a_pool_at_its_limit_gives_way_to_a_lighter_one() {
    let mut cluster = Cluster::new()
        .with(pool("heavy").weight(10).limit("memory", GIB))
        .with(pool("light"))
        .with(pod("web"));
    assert_eq!(cluster.provisioned(), ["light c.large/a/spot: web"]);
}

#[test]
fn nodes_can_be_limited_in_number() {
    let mut cluster = Cluster::new()
        .with(pool("general").limit("nodes", 2).only(INSTANCE_TYPE, &["c.large"]))
        .with(node("a"))
        .with(pods("web", 3).cpu(1_900));
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: web-1",
            "web-0 on a",
            "shop/web-2: general: the NodePool's limit of 2 nodes is reached (2 in use or planned)",
        ]
    );
}

#[test]
fn devices_can_be_limited() {
    let mut cluster = Cluster::new()
        .with(pool("general").limit(GPU, 1))
        .with(pods("ai", 2).asking(GPU, 1))
        .with(pod("web").cpu(3_900));
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.xlarge/a/spot: web",
            "general g.xlarge/a/spot: ai-0",
            "shop/ai-1: general: the NodePool's limit of 1 nvidia.com/gpu has no room for one more node (1 in use or planned, the smallest that would do adds 1; too large for what is left: 1 of 1 types)",
        ]
    );
}

#[test]
fn a_node_that_is_asked_for_and_not_launched_counts_under_the_limit() {
    let pool = pool("general").limit("cpu", 2_000);
    let mut cluster = Cluster::new().with(pool).with(pod("first").cpu(1_900));
    let plan = cluster.provision_and_expect(START);
    assert_eq!(text::plan(&plan), ["general c.large/a/spot: first"]);
    let mut cluster =
        cluster.with(claimed(&crate::cluster::launches(&plan)[0], START)).with(pod("second").cpu(1_900));
    assert_eq!(
        text::plan(&cluster.provision(at(1))),
        [
            "shop/second: general: the NodePool's limit of 2 cpu has no room for one more node (2 in use or planned, the smallest that would do adds 2; too large for what is left: 12 of 12 types)"
        ]
    );
}

#[test]
fn room_under_a_limit_is_counted_by_what_the_launches_list() {
    // Of the types that would do for the first pod the largest has 64 CPUs; it is exotic, so 16 are the most that
    // the launch can take of the limit.
    let mut cluster = Cluster::new()
        .with(pool("general").limit("cpu", 70_000))
        .with(pods("web", 3).cpu(1_500).apart("kubernetes.io/hostname"));
    assert_eq!(cluster.launches().len(), 3);
}

#[test]
fn a_minimum_of_distinct_values_is_kept() {
    let broad = pool("general").min_values(INSTANCE_TYPE, 12);
    let launches = Cluster::new().with(broad).with(pod("web")).launches();
    assert_eq!(values_of(&launches[0], INSTANCE_TYPE).len(), 12, "exotic types included");
}

#[test]
fn a_minimum_that_cannot_be_kept_keeps_the_pod_out() {
    let broad = pool("general").min_values(CATEGORY, 3);
    let mut cluster = Cluster::new().with(broad).with(pod("web").cpu(7_000));
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/web: general: the NodePool wants at least 3 values of karpenter.k8s.aws/instance-category, 2 would be left"
        ]
    );
}

#[test]
fn a_minimum_that_one_more_pod_would_break_opens_another_node() {
    let broad = pool("general").min_values(CATEGORY, 3);
    let mut cluster = Cluster::new().with(broad).with(pods("web", 2).cpu(3_500));
    assert_eq!(cluster.provisioned(), ["general c.xlarge/a/spot: web-0", "general c.xlarge/a/spot: web-1"]);
}

#[test]
fn a_minimum_that_one_domain_cannot_keep_may_be_kept_in_another() {
    // Besides the daemon no c.large has room, so the cheapest is arm64, of which there is one category only.
    let mut cluster = Cluster::new()
        .with(pool("many").weight(1).min_values(CATEGORY, 2))
        .with(pool("general"))
        .with(daemon_set(pods("agent", 0).cpu(100).memory(0).needs(CATEGORY, Operator::In, &["c"])))
        .with(pods("web", 2).cpu(1_900).spread(ARCH, 1, |_| {}));
    assert_eq!(cluster.provisioned(), ["general a.large/a/spot: web-0", "many m.large/a/spot: web-1"]);
}

#[test]
fn a_limit_that_leaves_few_nodes_lets_none_of_them_be_in_a_zone_that_is_too_full() {
    // Two in each of two zones would be right if the third zone could have one.
    let mut cluster = Cluster::new()
        .with(pool("general").limit("memory", 56 * GIB))
        .with(pods("web", 4).cpu(3_900).zone_spread(1))
        .with(daemon_set(pod("agent").cpu(100)));
    let plan = cluster.provision(START);
    assert_eq!(
        text::actions(&plan.actions),
        ["general c.2xlarge/a/spot: web-0", "general c.2xlarge/b/spot: web-1"]
    );
}
