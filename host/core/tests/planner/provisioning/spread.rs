//! Topology spread: over zones, nodes, capacity types and labels.

use whittle_core::model::labels::{ARCH, CAPACITY_TYPE, HOSTNAME, ZONE};
use whittle_core::model::pod::{InclusionPolicy, LabelSelector, PodPhase};

use crate::cluster::nodes::{claimed, node};
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{PoolWords, daemon_set, pool};
use crate::cluster::{Cluster, START, at, launches, text};

#[test]
fn pods_go_to_the_emptiest_zone() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 4).zone_spread(1));
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: web-0 web-3",
            "general c.large/b/spot: web-1",
            "general c.large/c/spot: web-2",
        ]
    );
}

#[test]
fn a_wider_skew_needs_fewer_zones() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 3).zone_spread(2));
    let zones: Vec<_> = cluster.launches().iter().map(|launch| launch.pods.len()).collect();
    assert_eq!(zones, [2, 1]);
}

#[test]
fn zones_that_the_pool_does_not_have_are_not_domains() {
    let narrow = pool("general").only(ZONE, &["a", "b"]);
    let mut cluster = Cluster::new().with(narrow).with(pods("web", 3).zone_spread(1));
    assert_eq!(
        cluster.provisioned(),
        ["general c.large/a/spot: web-0 web-2", "general c.large/b/spot: web-1"]
    );
}

#[test]
fn zones_that_the_pods_do_not_want_are_not_domains() {
    let mut cluster =
        Cluster::new().with(pool("general")).with(pods("web", 3).zone_spread(1).select(ZONE, "b"));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: web-0 web-1 web-2"]);
}

#[test]
fn with_node_affinity_ignored_zones_that_the_pods_do_not_want_count_as_empty() {
    let ignoring = pods("web", 2)
        .spread(ZONE, 1, |spread| spread.node_affinity_policy = InclusionPolicy::Ignore)
        .select(ZONE, "b");
    let mut cluster = Cluster::new().with(pool("general")).with(ignoring);
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/b/spot: web-0",
            "shop/web-1: general: topology spread over topology.kubernetes.io/zone leaves no domain",
        ]
    );
}

#[test]
fn pods_that_run_are_counted() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(pods("web", 2).zone_spread(1).on("a"))
        .with(pod("web").named("new").zone_spread(1));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: new"]);
}

#[test]
fn only_pods_that_are_meant_and_stay_are_counted() {
    let mut ended = pods("web", 1).named("ended").on("a").object();
    ended.phase = PodPhase::Succeeded;
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(pod("api").cpu(100).on("a"))
        .with(pods("web", 1).named("elsewhere").cpu(100).namespace("bank").on("a"))
        .with(pods("web", 1).named("leaving").cpu(100).on("a").leaving(START))
        .with(ended)
        .with(pod("web").zone_spread(1));
    assert_eq!(cluster.provisioned(), ["web on a"]);
}

#[test]
fn a_skew_that_is_broken_already_leaves_the_emptiest_zones_only() {
    let mut cluster = Cluster::new()
        .with(pool("general").only(ZONE, &["a", "b"]))
        .with(node("a"))
        .with(node("b").zone("b"))
        .with(pods("web", 3).on("a"))
        .with(pods("web", 2).named("new").zone_spread(1));
    assert_eq!(cluster.provisioned(), ["new on b"]);
}

#[test]
fn with_too_few_domains_the_emptiest_counts_as_zero() {
    let wide = pods("web", 3).spread(ZONE, 1, |spread| spread.min_domains = Some(3));
    let mut cluster = Cluster::new().with(pool("general").only(ZONE, &["a", "b"])).with(wide.clone());
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: web-0",
            "general c.large/b/spot: web-1",
            "shop/web-2: general: topology spread over topology.kubernetes.io/zone leaves no domain",
        ]
    );
    let mut enough = Cluster::new().with(pool("general")).with(wide);
    assert_eq!(enough.launches().len(), 3);
}

#[test]
fn a_spread_over_nodes_opens_nodes() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 3).host_spread(1));
    assert_eq!(
        cluster.provisioned(),
        ["general c.large/a/spot: web-0", "general c.large/a/spot: web-1", "general c.large/a/spot: web-2"]
    );
}

#[test]
fn spreads_of_different_apps_do_not_interact() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(pods("web", 2).host_spread(1))
        .with(pods("api", 2).host_spread(1));
    assert_eq!(
        cluster.provisioned(),
        ["general c.large/a/spot: api-0 web-0", "general c.large/a/spot: api-1 web-1"]
    );
}

#[test]
fn capacity_types_are_domains_too() {
    let mut cluster =
        Cluster::new().with(pool("general")).with(pods("web", 3).spread(CAPACITY_TYPE, 1, |_| {}));
    assert_eq!(
        cluster.provisioned(),
        ["general c.large/a/spot: web-0 web-2", "general c.large/a/on-demand: web-1"],
        "nothing is for sale as reserved"
    );
}

#[test]
fn the_values_of_a_pools_own_label_are_domains() {
    let racks = pool("general").only("rack", &["1", "2"]);
    let mut cluster = Cluster::new().with(racks).with(pods("web", 3).spread("rack", 1, |_| {}));
    let placed: Vec<_> = cluster
        .launches()
        .into_iter()
        .map(|launch| (launch.labels["rack"].clone(), launch.pods.join(" ")))
        .collect();
    let expected = [("1", "web-0 web-2"), ("2", "web-1")];
    assert_eq!(placed, expected.map(|(rack, pods)| (rack.to_owned(), pods.to_owned())));
}

#[test]
fn a_label_that_no_node_has_leaves_no_domain() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web").spread("rack", 1, |_| {}));
    assert_eq!(cluster.provisioned(), ["shop/web: general: topology spread over rack leaves no domain"]);
}

#[test]
fn zones_and_nodes_are_spread_over_together() {
    let both = pods("web", 4).zone_spread(1).host_spread(1);
    let mut cluster = Cluster::new().with(pool("general")).with(both);
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: web-0",
            "general c.large/b/spot: web-1",
            "general c.large/c/spot: web-2",
            "general c.large/a/spot: web-3",
        ]
    );
}

#[test]
fn versions_are_spread_on_their_own_when_their_label_must_match() {
    let versioned = |name: &str, version: &str| {
        pods("web", 1)
            .named(name)
            .label("version", version)
            .spread(HOSTNAME, 1, |spread| spread.match_label_keys = vec!["version".into(), "unknown".into()])
    };
    let mut cluster =
        Cluster::new().with(pool("general")).with(versioned("one", "1")).with(versioned("two", "2"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: one two"]);
}

#[test]
fn no_selector_means_no_spread_and_an_empty_one_means_every_pod() {
    let nobody = pods("web", 2).spread(HOSTNAME, 1, |spread| spread.selector = None);
    let mut cluster = Cluster::new().with(pool("general")).with(nobody);
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0 web-1"]);
    let everybody = pod("web").spread(HOSTNAME, 1, |spread| spread.selector = Some(LabelSelector::default()));
    let mut cluster =
        Cluster::new().with(pool("general")).with(node("a")).with(pod("api").on("a")).with(everybody);
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn zones_of_nodes_that_the_pods_do_not_tolerate_count_unless_taints_are_honoured() {
    let narrow = || pool("general").only(ZONE, &["a"]);
    let special = || node("special").zone("b").taint("special");
    let counting = pods("web", 2).zone_spread(1);
    let mut cluster = Cluster::new().with(narrow()).with(special()).with(counting);
    assert_eq!(cluster.provisioned().len(), 2, "one is placed in a, one is not");
    let honouring =
        pods("web", 2).spread(ZONE, 1, |spread| spread.node_taints_policy = InclusionPolicy::Honor);
    let mut cluster = Cluster::new().with(narrow()).with(special()).with(honouring);
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0 web-1"]);
}

#[test]
fn pods_that_come_to_nodes_that_a_spread_does_not_look_at_are_not_counted() {
    let looking = |name: &str| {
        pods("web", 1)
            .named(name)
            .cpu(400)
            .spread(ZONE, 1, |spread| spread.node_taints_policy = InclusionPolicy::Honor)
    };
    let special = |name: &str| pods("web", 1).named(name).cpu(800).tolerates("special");
    let mut cluster = Cluster::new()
        .with(pool("general").only(ZONE, &["a", "b"]))
        .with(node("special").taint("special"))
        .with(special("far-0"))
        .with(special("far-1"))
        .with(looking("one"))
        .with(looking("two"));
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: one",
            "general c.large/b/spot: two",
            "far-0 on special",
            "far-1 on special",
        ]
    );
}

#[test]
fn pods_on_their_way_to_a_node_that_is_not_launched_yet_are_counted() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 1).named("one").zone_spread(1));
    let plan = cluster.provision_and_expect(START);
    assert_eq!(text::plan(&plan), ["general c.large/a/spot: one"]);
    let mut cluster =
        cluster.with(claimed(&launches(&plan)[0], START)).with(pods("web", 1).named("two").zone_spread(1));
    assert_eq!(text::plan(&cluster.provision(at(1))), ["general c.large/b/spot: two"]);
}

#[test]
fn pods_on_a_node_that_is_starting_count_for_a_spread_that_honours_taints() {
    let honouring =
        |pods: Pods| pods.spread(HOSTNAME, 1, |spread| spread.node_taints_policy = InclusionPolicy::Honor);
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("starting").startup_taint("cni").uninitialized())
        .with(honouring(pods("web", 1).named("there")).on("starting"))
        .with(honouring(pods("web", 1)));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0"]);
}

#[test]
fn pods_count_in_the_domain_of_a_node_that_is_only_asked_for() {
    // Besides the daemon, no arm64 type has room for one: that domain stays empty, and a second pod is one too many.
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(daemon_set(pods("agent", 0).cpu(100).memory(0)))
        .with(pods("web", 2).cpu(3_900).spread(ARCH, 1, |_| {}));
    let first = cluster.provision_and_expect(START);
    assert_eq!(text::actions(&first.actions), ["general c.2xlarge/a/spot: web-0"]);
    assert_eq!(text::actions(&cluster.provision(START).actions), Vec::<String>::new());
}
