//! Pod affinity, pod anti-affinity and host ports: who may be with whom.

use whittle_core::event::Event;
use whittle_core::model::labels::{ARCH, CAPACITY_TYPE, HOSTNAME, ZONE};
use whittle_core::model::pod::LabelSelector;
use whittle_core::model::requirement::Requirement;

use crate::cluster::Cluster;
use crate::cluster::nodes::{carried_out, claimed, node};
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{PoolWords, pool};
use crate::cluster::{START, at, launches, text};

#[test]
fn pods_near_themselves_start_in_one_domain_and_stay_in_it() {
    for (key, expected) in [
        (HOSTNAME, vec!["general c.xlarge/a/spot: web-0 web-1 web-2"]),
        (ARCH, vec!["general c.xlarge/a/spot: web-0 web-1 web-2"]),
        (ZONE, vec!["general c.xlarge/a/spot: web-0 web-1 web-2"]),
    ] {
        let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 3).cpu(700).near("web", key));
        assert_eq!(cluster.provisioned(), expected, "{key}");
    }
}

#[test]
fn pods_near_themselves_on_one_node_are_no_more_than_it_holds() {
    let small = pool("general").only("node.kubernetes.io/instance-type", &["c.large"]);
    let mut cluster = Cluster::new().with(small).with(pods("web", 4).near("web", HOSTNAME));
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: web-0 web-1 web-2",
            "shop/web-3: general: pod affinity over kubernetes.io/hostname leaves no domain",
        ]
    );
}

#[test]
fn pods_join_the_zone_of_those_they_want_to_be_near_to() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("full").zone("c"))
        .with(pod("db").cpu(1_900).on("full"))
        .with(pod("web").near("db", ZONE));
    assert_eq!(cluster.provisioned(), ["general c.large/c/spot: web"]);
}

#[test]
fn pods_near_nobody_are_nowhere() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web").near("db", ZONE));
    assert_eq!(
        cluster.provisioned(),
        ["shop/web: general: pod affinity over topology.kubernetes.io/zone leaves no domain"]
    );
}

#[test]
fn pods_that_depend_on_one_another_are_placed_in_one_round() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(pod("first").cpu(300).near("second", ZONE))
        .with(pod("second").cpu(200).near("third", ZONE))
        .with(pod("third").cpu(100).select(ZONE, "b"));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: first second third"]);
}

#[test]
fn pods_apart_from_themselves_get_a_node_each() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 2).apart(HOSTNAME));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0", "general c.large/a/spot: web-1"]);
}

#[test]
fn pods_apart_by_zone_are_as_many_as_there_are_zones() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 4).apart(ZONE));
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: web-0",
            "general c.large/b/spot: web-1",
            "general c.large/c/spot: web-2",
            "shop/web-3: general: pod anti-affinity over topology.kubernetes.io/zone leaves no domain",
        ]
    );
}

#[test]
fn pods_keep_away_from_those_that_run() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(pod("db").on("a"))
        .with(pod("web").away_from("db", ZONE));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: web"]);
}

#[test]
fn pods_that_run_keep_others_away() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(pod("guard").away_from("web", ZONE).on("a"))
        .with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: web"]);
}

#[test]
fn pods_of_the_same_round_keep_others_away() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(pod("guard").cpu(600).away_from("web", ZONE))
        .with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: guard", "general c.large/b/spot: web"]);
}

#[test]
fn a_leaving_pod_keeps_nobody_away() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(pod("guard").away_from("web", HOSTNAME).on("a").leaving(START))
        .with(pod("web"));
    assert_eq!(cluster.provisioned(), ["web on a"]);
}

#[test]
fn other_labels_divide_pods_too() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 2).apart(CAPACITY_TYPE));
    assert_eq!(
        cluster.provisioned(),
        ["general c.large/a/spot: web-0", "general c.large/a/on-demand: web-1"]
    );
}

#[test]
fn pods_on_their_way_to_a_node_that_is_not_launched_yet_keep_others_away() {
    let mut cluster =
        Cluster::new().with(pool("general")).with(pod("one").label("app", "web").away_from("web", ZONE));
    let plan = cluster.provision_and_expect(START);
    assert_eq!(text::plan(&plan), ["general c.large/a/spot: one"]);
    let two = pod("two").label("app", "web").away_from("web", ZONE);
    let mut cluster = cluster.with(claimed(&launches(&plan)[0], START)).with(two);
    assert_eq!(text::plan(&cluster.provision(at(1))), ["general c.large/b/spot: two"]);
}

fn everywhere(mut pods: Pods, selector: LabelSelector) -> Pods {
    for term in &mut pods.spec.pod_anti_affinity {
        term.namespace_selector = Some(selector.clone());
    }
    pods
}

#[test]
fn terms_mean_pods_of_the_namespaces_that_they_name() {
    let guard = || pod("guard").away_from("web", HOSTNAME);
    let cluster = || {
        Cluster::new()
            .with(pool("general"))
            .with(node("a"))
            .with(pod("web").namespace("bank").on("a"))
            .with(Event::Namespace("bank".into(), [("tier".to_owned(), "gold".to_owned())].into()))
    };
    let own = cluster().with(guard()).provisioned();
    assert_eq!(own, ["guard on a"], "its own namespace by default");
    let all = cluster().with(everywhere(guard(), LabelSelector::default())).provisioned();
    assert_eq!(all, ["general c.large/a/spot: guard"], "all namespaces");
    let gold = LabelSelector { requirements: vec![Requirement::equals("tier", "gold")] };
    let selected = cluster().with(everywhere(guard(), gold)).provisioned();
    assert_eq!(selected, ["general c.large/a/spot: guard"], "namespaces by label");
    let mut named = guard();
    named.spec.pod_anti_affinity[0].namespaces = vec!["bank".into()];
    assert_eq!(cluster().with(named).provisioned(), ["general c.large/a/spot: guard"], "namespaces by name");
}

#[test]
fn the_same_host_port_needs_another_node() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 2).host_port(80));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0", "general c.large/a/spot: web-1"]);
}

#[test]
fn a_host_port_that_a_running_pod_has_is_taken() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(pod("old").host_port(80).on("a"))
        .with(pod("web").host_port(80));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn different_addresses_and_protocols_do_not_collide() {
    let on = |name: &str, ip: &str, protocol: &str| {
        let mut pods = pod(name).host_port(53);
        pods.spec.host_ports[0].ip = ip.into();
        pods.spec.host_ports[0].protocol = protocol.into();
        pods
    };
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(on("a", "10.0.0.1", "TCP"))
        .with(on("b", "10.0.0.2", "TCP"))
        .with(on("c", "0.0.0.0", "UDP"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: a b c"]);
}

#[test]
fn a_node_without_the_label_is_no_domain_to_keep_away_from() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 2).cpu(100).apart("rack"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0 web-1"]);
}

#[test]
fn pods_that_keep_away_wait_until_the_zone_of_a_node_on_its_way_is_known() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("db"));
    let first = cluster.provision_and_expect(START);
    cluster.tell(pod("web").away_from("db", ZONE), START);
    let wait = ["shop/web: general: pod anti-affinity over topology.kubernetes.io/zone leaves no domain"];
    assert_eq!(cluster.provisioned(), wait, "db may come to be in any zone");
    launches(&first).iter().for_each(|launch| cluster.tell(claimed(launch, START), START));
    assert_eq!(cluster.provisioned(), wait);
    launches(&first).iter().for_each(|launch| cluster.tell(carried_out(launch, START), START));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: web"], "db is in a");
}

#[test]
fn pods_that_stay_together_open_no_second_zone_while_that_of_the_first_is_not_known() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("db").cpu(3_900));
    let first = cluster.provision_and_expect(START);
    // Of the same app, so that the term is about it too.
    cluster.tell(pod("db").renamed("late").near("db", ZONE), START);
    let wait = ["shop/late-0: general: pod affinity over topology.kubernetes.io/zone leaves no domain"];
    assert_eq!(cluster.provisioned(), wait, "db may come to be in any zone");
    launches(&first).iter().for_each(|launch| cluster.tell(carried_out(launch, START), START));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: late-0"]);
}
