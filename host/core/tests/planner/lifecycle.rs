//! The life of a NodeClaim, step by step.

use whittle_core::event::Event;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels::{NOT_READY_TAINT, UNINITIALIZED_TAINT};
use whittle_core::model::price::Price;
use whittle_core::plan::{LaunchOffering, Outcome};
use whittle_core::settings::Settings;

use crate::cluster::catalogue::GPU;
use crate::cluster::nodes::{Machine, node};
use crate::cluster::pods::pod;
use crate::cluster::pools::taint;
use crate::cluster::{Cluster, START, at, secs};

/// The same, made at the start.
fn young(machine: Machine) -> Machine {
    machine.claim(|claim| {
        claim.created = START;
        if let Some(instance) = &mut claim.instance {
            instance.launched = START;
        }
    })
}

#[test]
fn every_state_has_its_next_step() {
    let cases: [(&str, Machine, &[&str]); 9] = [
        ("is being launched", young(node("a").unlaunched()), &[]),
        ("is on its way", young(node("a").in_flight()), &[]),
        ("has joined", young(node("a").unregistered()), &["register a"]),
        ("is not ready", node("a").uninitialized(), &[]),
        ("is ready", node("a").claim(|claim| claim.initialized = None), &["initialize a"]),
        ("runs", node("a"), &[]),
        ("has lost its Node", Machine { node: None, ..node("a") }, &["delete a (InstanceGone)"]),
        (
            "has a Node that somebody deleted",
            node("a").node(|node| node.deleting = Some(START)),
            &["delete a (NodeDeleted)"],
        ),
        ("was never launched and is deleted", node("a").unlaunched().leaving(START), &["finalize a"]),
    ];
    for (state, machine, expected) in cases {
        assert_eq!(Cluster::new().with(machine).due(START), expected, "a NodeClaim that {state}");
    }
}

#[test]
fn a_claim_that_is_not_launched_in_five_minutes_is_given_up() {
    let cluster = Cluster::new().with(young(node("a").unlaunched()));
    assert_eq!(cluster.lifecycle(at(299)).next, Some(at(300)));
    assert_eq!(cluster.due(at(299)), Vec::<String>::new());
    assert_eq!(cluster.due(at(300)), ["delete a (NeverJoined)"]);
}

#[test]
fn a_node_that_does_not_join_in_fifteen_minutes_is_given_up() {
    let cluster = Cluster::new().with(young(node("a").in_flight()));
    assert_eq!(cluster.lifecycle(at(899)).next, Some(at(900)));
    assert_eq!(cluster.due(at(899)), Vec::<String>::new());
    assert_eq!(cluster.due(at(900)), ["delete a (NeverJoined)"]);

    let late = young(node("a").in_flight()).claim(|claim| {
        claim.instance.as_mut().expect("an instance").launched = at(240);
    });
    let cluster = Cluster::new().with(late);
    assert_eq!(cluster.due(at(899)), Vec::<String>::new());
    assert_eq!(cluster.due(at(900)), ["delete a (NeverJoined)"], "from when it was made, not launched");
}

#[test]
fn how_long_a_node_may_take_to_join_can_be_set() {
    let settings = Settings { registration_timeout: secs(60), ..Settings::default() };
    let cluster = Cluster::set(settings).with(young(node("a").in_flight()));
    assert_eq!(cluster.due(at(59)), Vec::<String>::new());
    assert_eq!(cluster.due(at(60)), ["delete a (NeverJoined)"]);
}

#[test]
fn time_is_never_up_for_a_node_that_has_joined() {
    for machine in [node("a").uninitialized(), young(node("a"))] {
        assert_eq!(Cluster::new().with(machine).due(at(100_000)), Vec::<String>::new());
    }
}

#[test]
fn a_node_is_initialized_when_nothing_is_missing_any_more() {
    let ready = || node("a").claim(|claim| claim.initialized = None);
    let gpu = || {
        node("a").instance_type("g.xlarge").claim(|claim| {
            claim.initialized = None;
            claim.requests.set(GPU, 1);
        })
    };
    let cases: [(&str, Machine, bool); 7] = [
        ("nothing", ready(), true),
        ("readiness", ready().node(|node| node.ready = false), false),
        ("the end of a startup taint", ready().startup_taint("cni"), false),
        ("the end of a taint that marks it as starting", ready().marked(taint(UNINITIALIZED_TAINT)), false),
        ("a device", gpu().node(|node| node.allocatable.set(GPU, 0)), false),
        ("no device", gpu(), true),
        ("a device that its type does not have", ready().claim(|claim| claim.requests.set(GPU, 1)), true),
    ];
    for (missing, machine, initialized) in cases {
        let due = Cluster::new().with(machine).due(START);
        let expected: &[&str] = if initialized { &["initialize a"] } else { &[] };
        assert_eq!(due, expected, "missing: {missing}");
    }
    let unready = ready().marked(taint(NOT_READY_TAINT));
    assert_eq!(Cluster::new().with(unready).due(START), Vec::<String>::new());
}

#[test]
fn a_node_expires_exactly_when_its_time_is_up_whatever_its_pods_say() {
    let mortal = young(node("a")).claim(|claim| claim.expire_after = Some(secs(3_600)));
    let cluster = Cluster::new().with(mortal).with(pod("web").do_not_disrupt().on("a"));
    assert_eq!(cluster.lifecycle(START).next, Some(at(3_600)));
    assert_eq!(cluster.due(at(3_599)), Vec::<String>::new());
    assert_eq!(cluster.due(at(3_600)), ["delete a (Expired)"]);
}

#[test]
fn a_claim_for_which_ec2_has_no_capacity_is_let_go_at_once() {
    let offering = LaunchOffering {
        instance_type: "c.large".into(),
        zone: "a".into(),
        capacity_type: CapacityType::Spot,
        reservation: None,
        price: Price::ZERO,
    };
    let refused = Outcome::InsufficientCapacity { claim: "a".into(), offerings: vec![offering], at: START };
    let cluster = Cluster::new().with(node("a").unlaunched()).with(Event::Outcome(refused));
    assert_eq!(cluster.due(START), ["delete a (InsufficientCapacity)", "finalize a"]);
    let cluster = cluster.with(node("a").unlaunched().leaving(START));
    assert_eq!(cluster.due(START), ["finalize a"]);
}

#[test]
fn an_instance_that_the_cloud_has_ended_takes_its_claim_along() {
    let ended = node("a").terminated();
    let cluster = Cluster::new().with(node("a")).with(ended.clone()).with(pod("web").on("a"));
    assert_eq!(cluster.due(START), ["delete a (InstanceGone)"]);
    let cluster = cluster.with(node("a").leaving(START));
    assert_eq!(cluster.due(START), ["finalize a"], "its pods are gone with it: nothing is waited for");
}

#[test]
fn a_claim_that_is_gone_needs_nothing() {
    let cluster = Cluster::new().with(node("a").unlaunched()).with(Event::NodeClaimGone("a".into()));
    assert_eq!(cluster.due(at(10_000)), Vec::<String>::new());
}
