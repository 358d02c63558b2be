//! Requirements on labels: what pods ask for, what NodePools offer, and what new nodes carry.

use whittle_core::model::labels::{ARCH, HOSTNAME, NODE_CLASS, NODE_POOL, TENANCY, ZONE, ZONE_ID};
use whittle_core::model::requirement::Operator::{self, DoesNotExist, Exists, Gt, Gte, In, Lt, Lte, NotIn};

use crate::cluster::Cluster;
use crate::cluster::catalogue::CPUS;
use crate::cluster::nodes::values_of;
use crate::cluster::pods::pod;
use crate::cluster::pools::{PoolWords, pool};

type Case = (Operator, &'static [&'static str], &'static str);

#[track_caller]
fn each(pool_words: fn() -> whittle_core::model::node_pool::NodePool, key: &str, cases: &[Case]) {
    for (operator, values, expected) in cases {
        let mut cluster = Cluster::new().with(pool_words()).with(pod("web").needs(key, *operator, values));
        assert_eq!(cluster.provisioned(), [*expected], "{key} {operator:?} {values:?}");
    }
}

const PLACED: &str = "general c.large/a/spot: web";

#[test]
fn a_label_that_the_pool_defines_is_had_as_far_as_the_pool_allows() {
    each(
        || pool("general").only("team", &["red", "blue"]),
        "team",
        &[
            (In, &["red"], PLACED),
            (
                In,
                &["green"],
                "shop/web: general: the pod wants team In [green], the NodePool offers blue, red",
            ),
            (NotIn, &["red"], PLACED),
            (
                NotIn,
                &["red", "blue"],
                "shop/web: general: the pod wants team NotIn [blue, red], the NodePool offers blue, red",
            ),
            (Exists, &[], PLACED),
            (
                DoesNotExist,
                &[],
                "shop/web: general: the pod wants team DoesNotExist, the NodePool offers blue, red",
            ),
        ],
    );
}

#[test]
fn a_label_that_nobody_defines_can_only_be_absent() {
    each(
        || pool("general"),
        "team",
        &[
            (In, &["red"], "shop/web: general: the pod wants team In [red], the NodePool offers nothing"),
            (Exists, &[], "shop/web: general: the pod wants team Exists, the NodePool offers nothing"),
            (Gt, &["1"], "shop/web: general: the pod wants team Gte [2], the NodePool offers nothing"),
            (NotIn, &["red"], PLACED),
            (DoesNotExist, &[], PLACED),
        ],
    );
}

#[test]
fn a_label_of_the_instance_type_is_compared_as_a_number() {
    let none = "shop/web: general: the pod wants karpenter.k8s.aws/instance-cpu";
    let offers = "the NodePool offers 16, 2, 4, 64, 8";
    each(
        || pool("general"),
        CPUS,
        &[
            (Gt, &["4"], "general c.2xlarge/a/spot: web"),
            (Gte, &["4"], "general c.xlarge/a/spot: web"),
            (Lt, &["4"], PLACED),
            (Lte, &["2"], PLACED),
            (Gt, &["16"], "general m.metal/a/spot: web"),
        ],
    );
    for (operator, value, wanted) in [(Gt, "64", "Gte [65]"), (Lt, "2", "Lte [1]")] {
        let asking = pod("web").needs(CPUS, operator, &[value]);
        let mut cluster = Cluster::new().with(pool("general")).with(asking);
        assert_eq!(cluster.provisioned(), [format!("{none} {wanted}, {offers}")]);
    }
}

#[test]
fn a_bound_beyond_all_numbers_matches_nothing() {
    let asking = pod("web").needs(CPUS, Gt, &["9223372036854775807"]);
    let mut cluster = Cluster::new().with(pool("general")).with(asking);
    assert!(cluster.launches().is_empty());
}

#[test]
fn conditions_that_contradict_one_another_are_not_fulfilled_by_a_missing_label() {
    let teams = pod("web").select("team", "red").select("team", "blue");
    let cpus = pod("db").needs(CPUS, Gt, &["8"]).needs(CPUS, Lt, &["4"]);
    let gpus = pod("ai").select("karpenter.k8s.aws/instance-gpu-count", "1").needs(
        "karpenter.k8s.aws/instance-gpu-count",
        NotIn,
        &["1"],
    );
    let mut cluster = Cluster::new().with(pool("general")).with(teams).with(cpus).with(gpus);
    assert_eq!(cluster.launches(), []);
}

#[test]
fn well_known_labels_need_no_mention_by_the_pool() {
    for (key, value, expected) in [
        (ZONE, "b", "general c.large/b/spot: web"),
        (ZONE_ID, "id-c", "general c.large/c/spot: web"),
        (ARCH, "arm64", "general a.large/a/spot: web"),
        ("karpenter.sh/capacity-type", "on-demand", "general c.large/a/on-demand: web"),
        ("node.kubernetes.io/instance-type", "r.large", "general r.large/a/spot: web"),
        ("failure-domain.beta.kubernetes.io/zone", "b", "general c.large/b/spot: web"),
        ("topology.ebs.csi.aws.com/zone", "b", "general c.large/b/spot: web"),
        ("beta.kubernetes.io/arch", "arm64", "general a.large/a/spot: web"),
    ] {
        let mut cluster = Cluster::new().with(pool("general")).with(pod("web").select(key, value));
        assert_eq!(cluster.provisioned(), [expected], "{key}");
    }
}

#[test]
fn a_pod_tied_to_a_node_by_name_gets_no_new_node() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web").select(HOSTNAME, "node-a"));
    assert_eq!(
        cluster.provisioned(),
        [
            "shop/web: general: the pod wants kubernetes.io/hostname In [node-a], the NodePool offers new nodes only"
        ]
    );
}

#[test]
fn a_pod_that_avoids_a_node_by_name_gets_a_new_one() {
    let avoiding = pod("web").needs(HOSTNAME, NotIn, &["node-a"]);
    let mut cluster = Cluster::new().with(pool("general")).with(avoiding);
    assert_eq!(cluster.provisioned(), [PLACED]);
}

#[test]
fn a_pod_may_name_its_pool_whatever_the_weights_are() {
    let mut cluster = Cluster::new()
        .with(pool("heavy").weight(100))
        .with(pool("light"))
        .with(pod("web").select(NODE_POOL, "light"));
    assert_eq!(cluster.provisioned(), ["light c.large/a/spot: web"]);
}

#[test]
fn alternatives_are_tried_from_left_to_right() {
    let choosy = pod("web").select(ZONE, "nowhere").or(ZONE, "c").or(ZONE, "a");
    let mut cluster = Cluster::new().with(pool("general")).with(choosy);
    assert_eq!(cluster.provisioned(), ["general c.large/c/spot: web"]);
}

#[test]
fn pods_that_want_different_values_get_different_nodes() {
    let mut cluster = Cluster::new()
        .with(pool("general").only("team", &["red", "blue"]))
        .with(pod("one").select("team", "red"))
        .with(pod("two").select("team", "blue"))
        .with(pod("three").needs("team", Exists, &[]));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: one three", "general c.large/a/spot: two"]);
    let teams: Vec<_> = cluster.launches().iter().map(|launch| launch.labels["team"].clone()).collect();
    assert_eq!(teams, ["red", "blue"]);
}

#[test]
fn a_new_node_carries_the_labels_of_its_pool_and_one_value_of_each_that_the_pool_leaves_open() {
    let open = pool("general").label("tier", "web").only("team", &["red", "blue"]);
    let launches = Cluster::new().with(open).with(pod("web")).launches();
    let labels: Vec<_> =
        launches[0].labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [(NODE_CLASS, "default"), (NODE_POOL, "general"), ("team", "blue"), ("tier", "web")]);
}

#[test]
fn a_label_that_must_be_there_with_any_value_gets_one() {
    for (operator, values, expected) in [(Exists, &[][..], "0"), (Gt, &["5"][..], "6"), (Lt, &["5"][..], "0")]
    {
        let launches = Cluster::new()
            .with(pool("general").needs("rack", operator, values))
            .with(pod("web").needs("rack", Exists, &[]).needs("rack", NotIn, &["7"]))
            .launches();
        assert_eq!(launches[0].labels.get("rack").map(String::as_str), Some(expected), "{operator:?}");
    }
}

#[test]
fn a_label_that_a_node_may_have_several_values_of_is_given_the_one_that_is_asked_for() {
    let launches =
        Cluster::new().with(pool("general")).with(pod("web").select(TENANCY, "dedicated")).launches();
    assert_eq!(launches[0].labels[TENANCY], "dedicated");
    assert_eq!(values_of(&launches[0], TENANCY), ["dedicated"]);
}

#[test]
fn what_is_left_open_is_said_in_the_launch_requirements() {
    let launches = Cluster::new()
        .with(pool("general").only(ZONE, &["a", "b"]))
        .with(pod("web").needs(CPUS, Lte, &["2"]).select(ARCH, "amd64"))
        .launches();
    let types = values_of(&launches[0], "node.kubernetes.io/instance-type");
    assert_eq!(types, ["c.large", "m.large", "r.large"]);
    assert_eq!(values_of(&launches[0], ZONE), ["a", "b"]);
    assert_eq!(values_of(&launches[0], "karpenter.sh/capacity-type"), ["spot"]);
}

#[test]
fn both_ends_of_a_range_are_written_as_two_requirements() {
    let ranged = pool("general").needs("rack", Gt, &["2"]).needs("rack", Lt, &["9"]);
    let launches = Cluster::new().with(ranged).with(pod("web")).launches();
    let racks = launches[0].requirements.iter().filter(|requirement| requirement.key == "rack");
    assert_eq!(racks.map(ToString::to_string).collect::<Vec<_>>(), ["rack Gte [3]", "rack Lte [8]"]);
}

#[test]
fn reasons_do_not_depend_on_which_labels_were_seen_first() {
    let asking = || pod("web").select("zebra", "1").select("apple", "1");
    let mut fresh = Cluster::new().with(pool("general")).with(asking());
    let mut used = Cluster::new().with(pool("general")).with(pod("old").select("zebra", "1"));
    assert_eq!(used.launches(), []);
    let mut used = used.with(asking());
    assert_eq!(fresh.provisioned(), used.provisioned()[1..]);
    assert!(fresh.provisioned()[0].contains("apple"), "the first by name");
}
