//! Nodes that are there or on their way are filled before new ones are launched.

use whittle_core::model::labels::{self, CAPACITY_TYPE, ZONE, ZONE_ID};
use whittle_core::model::requirement::{Operator, Taint, TaintEffect};

use crate::cluster::catalogue::GPU;
use crate::cluster::nodes::{carried_out, node};
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, pool, taint};
use crate::cluster::{Cluster, START, at, launches, text};

#[test]
fn room_on_a_node_that_is_there_is_used_first() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a"))
        .with(pod("old").cpu(1_000).on("a"))
        .with(pods("web", 2));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-1", "web-0 on a"]);
}

#[test]
fn a_node_on_its_way_is_used_before_it_has_joined() {
    let mut cluster = Cluster::new().with(pool("general")).with(node("a").in_flight()).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["web on a"]);
}

#[test]
fn a_node_on_its_way_is_no_place_for_pods_that_want_another() {
    let mut cluster =
        Cluster::new().with(pool("general")).with(node("a").in_flight()).with(pod("web").select(ZONE, "b"));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: web"]);
}

#[test]
fn what_is_known_of_a_node_on_its_way_is_enough_to_place_pods() {
    for (key, value) in [
        (ZONE, "a"),
        (ZONE_ID, "id-a"),
        (CAPACITY_TYPE, "on-demand"),
        (labels::INSTANCE_TYPE, "m.large"),
        (labels::ARCH, "amd64"),
        (labels::NODE_POOL, "general"),
    ] {
        for machine in [node("a").in_flight(), node("a").unregistered()] {
            let mut cluster =
                Cluster::new().with(pool("general")).with(machine).with(pod("web").select(key, value));
            assert_eq!(cluster.provisioned(), ["web on a"], "{key}");
        }
    }
}

#[test]
fn a_leaving_node_takes_no_pods() {
    for machine in [
        node("a").leaving(START),
        node("a").in_flight().leaving(START),
        node("a").node(|node| node.deleting = Some(START)),
        node("a").marked(taint(labels::DISRUPTED_TAINT)),
    ] {
        let mut cluster = Cluster::new().with(pool("general")).with(machine).with(pod("web"));
        assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
    }
}

#[test]
fn initialized_nodes_come_before_those_that_are_not() {
    let mut cluster =
        Cluster::new().with(pool("general")).with(node("a").uninitialized()).with(node("b")).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["web on b"]);
}

#[test]
fn a_startup_taint_keeps_pods_away_only_once_the_node_is_initialized() {
    let starting = || node("a").startup_taint("cni");
    let mut cluster = Cluster::new().with(pool("general")).with(starting().uninitialized()).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["web on a"]);
    let mut cluster = Cluster::new().with(pool("general")).with(starting()).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn marks_of_a_node_that_starts_keep_nobody_away_while_it_starts() {
    let no_execute = |key: &str| Taint { effect: TaintEffect::NoExecute, ..taint(key) };
    for mark in [
        taint(labels::NOT_READY_TAINT),
        no_execute(labels::NOT_READY_TAINT),
        taint(labels::UNREACHABLE_TAINT),
        taint(labels::UNINITIALIZED_TAINT),
        taint("readiness.k8s.io/network"),
    ] {
        let starting = node("a").marked(mark.clone());
        let mut cluster =
            Cluster::new().with(pool("general")).with(starting.clone().uninitialized()).with(pod("web"));
        assert_eq!(cluster.provisioned(), ["web on a"], "{mark} while it starts");
        for machine in [starting.clone(), starting.unmanaged()] {
            let mut cluster = Cluster::new().with(pool("general")).with(machine).with(pod("web"));
            assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"], "{mark} later");
        }
    }
}

#[test]
fn a_taint_of_the_pool_counts_before_the_node_carries_it() {
    for machine in [
        node("a").taint("special").in_flight(),
        node("a").claim(|c| c.taints.push(taint("special"))).unregistered(),
    ] {
        let mut cluster = Cluster::new().with(pool("general")).with(machine).with(pod("web"));
        assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
    }
}

#[test]
fn devices_that_a_starting_node_does_not_report_yet_are_expected() {
    let machine = || node("a").instance_type("g.xlarge").node(|node| node.allocatable.set(GPU, 0));
    let mut cluster =
        Cluster::new().with(pool("general")).with(machine().uninitialized()).with(pod("ai").asking(GPU, 1));
    assert_eq!(cluster.provisioned(), ["ai on a"]);
    let mut cluster = Cluster::new().with(pool("general")).with(machine()).with(pod("ai").asking(GPU, 1));
    assert_eq!(cluster.provisioned(), ["general g.xlarge/a/spot: ai"]);
}

#[test]
fn nodes_of_somebody_else_are_used() {
    let mut cluster = Cluster::new().with(pool("general")).with(node("a").unmanaged()).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["web on node-a"]);
}

#[test]
fn labels_of_a_node_that_is_there_are_final() {
    for (operator, values, expected) in [
        (Operator::In, &["red"][..], "general c.large/a/spot: web"),
        (Operator::Exists, &[], "general c.large/a/spot: web"),
        (Operator::NotIn, &["red"], "web on a"),
        (Operator::DoesNotExist, &[], "web on a"),
    ] {
        let mut cluster = Cluster::new()
            .with(pool("general").only("team", &["red"]))
            .with(pool("plain"))
            .with(node("a"))
            .with(pod("web").needs("team", operator, values));
        let found = cluster.provisioned();
        assert_eq!(found, [expected], "{operator:?}");
    }
}

#[test]
fn a_node_that_reports_less_than_its_type_has_is_believed() {
    let small = node("a").node(|node| node.allocatable.cpu_millis = 400);
    let mut cluster = Cluster::new().with(pool("general")).with(small).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn pods_are_expected_where_the_last_plan_put_them() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 2));
    let plan = cluster.provision_and_expect(START);
    let mut cluster = cluster.with(carried_out(&launches(&plan)[0], START));
    assert_eq!(text::plan(&cluster.provision(at(60))), Vec::<String>::new());
    let mut cluster = cluster.with(pod("late"));
    let late = text::plan(&cluster.provision(at(60)));
    assert_eq!(late, [format!("late on {}", launches(&plan)[0].claim)], "there is room for one more");
    let mut cluster = cluster.with(pod("later").cpu(1_000));
    let later = text::plan(&cluster.provision(at(60)));
    assert_eq!(later, ["general c.large/a/spot: later".to_owned(), late[0].clone()], "but not for two");
}

#[test]
fn room_that_is_kept_for_a_pod_is_kept_for_twenty_seconds_only() {
    let mut cluster = Cluster::new().with(pool("general")).with(node("a")).with(pod("slow").cpu(1_900));
    assert_eq!(text::plan(&cluster.provision_and_expect(START)), ["slow on a"]);
    assert_eq!(text::plan(&cluster.provision(at(19))), Vec::<String>::new());
    assert_eq!(text::plan(&cluster.provision(at(20))), ["slow on a"]);
    let mut cluster = cluster.with(pod("fast").cpu(1_000).on("a"));
    assert_eq!(text::plan(&cluster.provision(at(20))), ["general c.large/a/spot: slow"]);
}

#[test]
fn a_pod_whose_expected_node_is_gone_is_placed_anew() {
    let mut cluster = Cluster::new().with(pool("general")).with(node("a")).with(pod("web"));
    cluster.provision_and_expect(START);
    let gone = whittle_core::event::Event::NodeClaimGone("a".into());
    let mut cluster = cluster.with(gone).with(whittle_core::event::Event::NodeGone("node-a".into()));
    assert_eq!(text::plan(&cluster.provision(at(1))), ["general c.large/a/spot: web"]);
}

#[test]
fn pods_that_kube_scheduler_makes_room_for_are_left_to_it() {
    let mut waiting = pod("web").object();
    waiting.nominated_node = Some("node-a".into());
    let mut cluster = Cluster::new().with(pool("general")).with(waiting);
    assert_eq!(cluster.provisioned(), Vec::<String>::new());
}

#[test]
fn pods_that_do_not_wait_are_left_alone() {
    let mut scheduled = pod("new").object();
    scheduled.unschedulable = false;
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(scheduled)
        .with(pods("logs", 1).daemon())
        .with(pods("static", 1).owned_by("Node"))
        .with(pod("leaving").leaving(START));
    assert_eq!(cluster.provisioned(), Vec::<String>::new());
}
