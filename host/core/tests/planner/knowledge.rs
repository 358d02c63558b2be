//! What is known, as events change it.

use std::sync::Arc;

use whittle_core::event::Event;
use whittle_core::model::pod::PodPhase;
use whittle_core::model::resources::Resources;
use whittle_core::plan::Outcome;

use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{pool, volume};
use crate::cluster::{Cluster, START, at, launches};

#[test]
fn every_change_makes_another_version() {
    let mut cluster = Cluster::new().with(pool("general")).with(node("a")).with(pod("web"));
    let before = cluster.state.snapshot().version;
    cluster.provision_and_expect(START);
    let expected = cluster.state.snapshot().version;
    assert!(expected > before, "where pods are expected is a change");
    cluster.state.expire(at(19));
    assert_eq!(cluster.state.snapshot().version, expected, "nothing has run out");
    cluster.state.expire(at(20));
    assert!(cluster.state.snapshot().version > expected, "an expectation has run out");
}

#[test]
fn what_somebody_reads_does_not_change_under_them() {
    let cluster = Cluster::new().with(pod("web"));
    let kept = cluster.state.shared();
    let cluster = cluster.with(Event::PodGone("web".into()));
    assert!(kept.pods.get("web").is_some());
    assert!(!cluster.state.snapshot().is_anything_waiting());
}

#[test]
fn equal_pods_share_one_group_and_one_spec() {
    let cluster = Cluster::new().with(pods("web", 2)).with(pod("api"));
    let snapshot = cluster.state.snapshot();
    assert_eq!(snapshot.group_of("web-0"), snapshot.group_of("web-1"));
    assert_ne!(snapshot.group_of("web-0"), snapshot.group_of("api"));
    let spec = |uid| &snapshot.pods.get(uid).unwrap().spec;
    assert!(Arc::ptr_eq(spec("web-0"), spec("web-1")));
}

#[test]
fn pods_with_different_volumes_are_different_groups() {
    let cluster = Cluster::new()
        .with(volume("one", &["a"]))
        .with(volume("two", &["b"]))
        .with(pods("web", 1).named("first").volume("one"))
        .with(pods("web", 1).named("second").volume("two"));
    let snapshot = cluster.state.snapshot();
    assert_ne!(snapshot.group_of("first"), snapshot.group_of("second"));
    let cluster = cluster.with(volume("two", &["a"]));
    let snapshot = cluster.state.snapshot();
    assert_eq!(snapshot.group_of("first"), snapshot.group_of("second"));
}

#[test]
fn the_load_of_a_node_is_the_sum_of_the_pods_that_run_there() {
    let mut ended = pod("ended").on("a").object();
    let mut cluster =
        Cluster::new().with(node("a")).with(pods("web", 2).on("a")).with(ended.clone()).with(pod("waiting"));
    ended.phase = PodPhase::Failed;
    cluster.tell(ended, START);
    cluster.tell(Event::PodGone("web-1".into()), START);
    let snapshot = cluster.state.snapshot();
    let one = Resources { cpu_millis: 500, memory_bytes: 1 << 30, pods: 1, ..Resources::default() };
    assert_eq!(snapshot.used_on("node-a"), one);
    assert_eq!(snapshot.pods_on("node-a").map(|pod| pod.name.as_str()).collect::<Vec<_>>(), ["web-0"]);
}

#[test]
fn a_pod_that_was_bound_waits_no_more() {
    let mut cluster = Cluster::new().with(node("a")).with(pod("web"));
    assert!(cluster.state.snapshot().is_anything_waiting());
    cluster.tell(pod("web").on("a"), START);
    assert!(!cluster.state.snapshot().is_anything_waiting());
}

#[test]
fn an_instance_that_was_seen_launched_is_not_forgotten_when_an_older_claim_is_read_back() {
    let cluster = Cluster::new().with(node("a").in_flight()).with(node("a").unlaunched());
    let claim = &cluster.state.snapshot().claims["a"];
    assert!(claim.instance.is_some());
}

#[test]
fn the_next_expiry_is_that_of_what_runs_out_first() {
    let mut cluster = Cluster::new().with(pool("general")).with(node("a")).with(pod("web"));
    assert_eq!(cluster.state.snapshot().next_expiry(START), None);
    cluster.provision_and_expect(START);
    assert_eq!(cluster.state.snapshot().next_expiry(START), Some(at(20)));
}

#[test]
fn quiet_time_does_not_start_anew_when_everything_is_listed_again() {
    let mut cluster = Cluster::new().with(pool("general"));
    cluster.tell(node("a"), START);
    cluster.tell(pod("web").on("a"), START);
    let last = cluster.state.snapshot().claims["a"].last_pod_event;
    assert!(last < Some(START), "the pod has run for a day: {last:?}");
}

#[test]
fn two_decisions_at_one_moment_give_different_names() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web"));
    let first = launches(&cluster.provision_and_expect(START));
    let mut cluster = cluster.with(pod("api").cpu(3_000));
    let second = launches(&cluster.provision_and_expect(START));
    assert_ne!(first[0].claim, second[0].claim);
}

#[test]
fn a_node_claim_that_nobody_makes_is_forgotten_and_its_pods_are_placed_anew() {
    let mut cluster = Cluster::new().with(pool("general")).with(pod("web"));
    let claim = launches(&cluster.provision_and_expect(START))[0].claim.clone();
    let unwritten = Outcome::Unwritten { claim: claim.clone(), message: "refused".into() };
    let mut told = cluster.clone().with(Event::Outcome(unwritten));
    assert_eq!(launches(&told.provision(at(1))).len(), 1, "at once when it is known not to be there");
    let failed = Outcome::Failed { claim, message: "no answer".into(), retry_after: None };
    let mut told = cluster.clone().with(Event::Outcome(failed));
    assert_eq!(launches(&told.provision(at(1))), [], "it is there, and launched again");
    cluster.state.expire(at(299));
    assert_eq!(launches(&cluster.provision(at(299))), []);
    cluster.state.expire(at(300));
    assert_eq!(launches(&cluster.provision(at(300))).len(), 1);
}
