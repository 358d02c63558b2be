//! What a process that ended in the middle of something has left, and what is done about it.

use whittle_core::event::Event;
use whittle_core::lifecycle::demoted::{Demoted, demoted};
use whittle_core::lifecycle::leftover::{Running, Strays, strays, unlaunched};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels::{CAPACITY_TYPE, INSTANCE_TYPE, ZONE};
use whittle_core::model::node::{Node, NodeClaim};
use whittle_core::model::requirement::{Operator, Requirement};
use whittle_core::plan::{LaunchOffering, Outcome};

use crate::cluster::nodes::{Machine, claimed, node};
use crate::cluster::pods::pods;
use crate::cluster::pools::pool;
use crate::cluster::{Cluster, START, at, launches};

fn names(cluster: &Cluster, under_way: &str) -> Vec<String> {
    let found = unlaunched(cluster.state.snapshot(), START, |claim| claim == under_way);
    found.into_iter().map(|one| one.claim.name).collect()
}

#[test]
fn a_claim_without_an_instance_is_launched_unless_it_is_on_its_way_or_on_its_way_out() {
    let unlaunched = || node("a").unlaunched();
    let refused = Outcome::InsufficientCapacity { claim: "a".into(), offerings: Vec::new(), at: START };
    let cases: [(&str, Cluster, &str, &[&str]); 6] = [
        ("has no instance", Cluster::new().with(unlaunched()), "", &["a"]),
        ("is just being launched", Cluster::new().with(unlaunched()), "a", &[]),
        ("has an instance", Cluster::new().with(node("a").in_flight()), "", &[]),
        ("is being deleted", Cluster::new().with(unlaunched().leaving(START)), "", &[]),
        ("EC2 has no capacity for", Cluster::new().with(unlaunched()).with(Event::Outcome(refused)), "", &[]),
        (
            "belongs to a class that is gone",
            Cluster::new().with(unlaunched()).with(Event::NodeClassGone("default".into())),
            "",
            &[],
        ),
    ];
    for (state, cluster, under_way, expected) in cases {
        assert_eq!(names(&cluster, under_way), expected, "a NodeClaim that {state}");
    }
}

#[test]
fn a_launch_that_did_not_happen_may_become_what_it_might_have_become() {
    let mut cluster = Cluster::new().with(pool("general")).with(pods("web", 1).cpu(1_500));
    let [launch] = launches(&cluster.provision(START)).try_into().unwrap();
    let claim = Machine { node: None, ..claimed(&launch, START) };
    let written = claim.claim(|claim| claim.instance = None);
    let mut restarted = Cluster::new().with(pool("general")).with(pods("web", 1).cpu(1_500));
    restarted.tell(written, START);
    let [found] = unlaunched(restarted.state.snapshot(), START, |_| false).try_into().unwrap();
    let listed: Vec<&LaunchOffering> = found.offerings.iter().collect();
    let planned: Vec<&LaunchOffering> = launch.offerings.iter().collect();
    assert!(!planned.is_empty());
    assert!(planned.iter().all(|offering| listed.contains(offering)), "{planned:?}\n{listed:?}");
    for offering in &listed {
        assert!(planned.iter().any(|one| one.instance_type == offering.instance_type), "{offering:?}");
    }
    assert!(listed.is_sorted_by_key(|offering| offering.price));
}

#[test]
fn only_what_the_claim_asks_for_is_listed_and_nothing_that_was_refused() {
    let claim = node("a").unlaunched().claim(|claim| {
        claim.labels.clear();
        claim.requirements = vec![
            Requirement::new(INSTANCE_TYPE, Operator::In, ["m.large", "m.xlarge"]),
            Requirement::new(ZONE, Operator::NotIn, ["a"]),
            Requirement::equals(CAPACITY_TYPE, CapacityType::OnDemand.label()),
        ];
    });
    let mut cluster = Cluster::new().with(claim);
    let listed = |cluster: &Cluster| -> Vec<(String, String)> {
        let [found] = unlaunched(cluster.state.snapshot(), START, |_| false).try_into().unwrap();
        let offerings = found.offerings.into_iter();
        offerings.map(|one| (one.instance_type, one.zone)).collect()
    };
    let pair = |kind: &str, zone: &str| (kind.to_owned(), zone.to_owned());
    let before = listed(&cluster);
    let expected = [pair("m.large", "b"), pair("m.large", "c"), pair("m.xlarge", "b"), pair("m.xlarge", "c")];
    assert_eq!(before, expected);
    let [found] = unlaunched(cluster.state.snapshot(), START, |_| false).try_into().unwrap();
    let refused = Outcome::InsufficientCapacity {
        claim: "another".into(),
        offerings: vec![found.offerings[0].clone()],
        at: START,
    };
    cluster.tell(Event::Outcome(refused), START);
    assert_eq!(listed(&cluster), expected[1..]);
}

fn running(machine: &Machine, launched: u64) -> Running {
    let claim = machine.claim.as_ref().expect("a machine with a NodeClaim");
    let instance = claim.instance.as_ref().expect("an instance");
    let (provider_id, capacity_type) = (instance.provider_id.clone(), instance.capacity_type);
    Running { provider_id, claim: claim.name.clone(), capacity_type, launched: at(launched) }
}

#[test]
fn an_instance_without_a_claim_is_ended_when_it_is_old_enough_for_its_claim_to_be_known() {
    let machine = node("a");
    let gone = Cluster::new();
    let known = Cluster::new().with(node("a"));
    let unheard = Cluster::new().with(node("a").unlaunched());
    let stray = running(&machine, 0);
    let ended = Strays { instances: vec![stray.clone()], ..Strays::default() };
    let cases = [
        ("just now", &gone, 29, Strays::default()),
        ("long ago", &gone, 30, ended),
        ("long ago, and its NodeClaim says so", &known, 30, Strays::default()),
        ("long ago, and its NodeClaim does not say so yet", &unheard, 30, Strays::default()),
    ];
    for (when, cluster, now, expected) in cases {
        let found = strays(cluster.state.snapshot(), std::slice::from_ref(&stray), at(now));
        assert_eq!(found, expected, "launched {when}");
    }
}

#[test]
fn an_instance_stays_its_claims_when_a_copy_of_that_comes_and_goes() {
    let machine = node("b");
    let stray = running(&machine, 0);
    // By name before and after the one that it is copied from.
    for copied in ["a", "c"] {
        let copy = Machine { node: None, ..node("b") }.claim(|claim| claim.name = copied.to_owned());
        let gone = Event::NodeClaimGone(copied.to_owned());
        let cluster = Cluster::new().with(node("b")).with(copy).with(gone);
        let snapshot = cluster.state.snapshot();
        let owner = snapshot.claim_of_instance(&stray.provider_id).map(|claim| claim.name.as_str());
        assert_eq!(owner, Some("b"), "after the end of {copied}");
        assert_eq!(strays(snapshot, std::slice::from_ref(&stray), at(60)), Strays::default(), "{copied}");
    }
}

#[test]
fn a_claim_whose_instance_is_gone_is_deleted_when_its_node_does_not_answer_either() {
    let unready = |machine: Machine| machine.node(|node| node.ready = false);
    let young = unready(node("a")).claim(|claim| {
        claim.instance.as_mut().expect("an instance").launched = START;
    });
    let cases: [(&str, Machine, &[&str]); 6] = [
        ("answers", node("a"), &[]),
        ("does not answer", unready(node("a")), &["a"]),
        ("has just been launched", young, &[]),
        ("is gone", Machine { node: None, ..node("a") }, &["a"]),
        ("never joined", node("a").in_flight(), &[]),
        ("is leaving", unready(node("a")).leaving(START), &[]),
    ];
    for (state, machine, expected) in cases {
        let found = strays(Cluster::new().with(machine).state.snapshot(), &[], START);
        assert_eq!(found.claims, expected, "a node that {state}");
    }
    let machine = unready(node("a"));
    let listed = [running(&machine, 0)];
    assert_eq!(strays(Cluster::new().with(machine).state.snapshot(), &listed, START), Strays::default());
}

#[test]
fn a_node_that_is_deleted_and_that_nobody_else_stands_for_is_let_go() {
    let left = |change: fn(&mut Node)| {
        let mut node = node("a").node.expect("it has joined");
        (node.held, node.deleting, node.created) = (true, Some(START), at(0));
        change(&mut node);
        node
    };
    let of = |node: Node, running: &[Running], now: u64| {
        let cluster = Cluster::new().with(Event::Node(Box::new(node)));
        strays(cluster.state.snapshot(), running, at(now)).nodes
    };
    let listed = [running(&node("a"), 0)];
    assert_eq!(of(left(|_| {}), &[], 30), [left(|_| {}).name]);
    let none: [String; 0] = [];
    assert_eq!(of(left(|_| {}), &[], 29), none, "made a moment ago");
    assert_eq!(of(left(|_| {}), &listed, 30), none, "its instance runs");
    assert_eq!(of(left(|node| node.deleting = None), &[], 30), none, "nobody has deleted it");
    assert_eq!(of(left(|node| node.held = false), &[], 30), none, "others hold it");
    let owned = Cluster::new().with(node("a").node(|node| (node.held, node.deleting) = (true, Some(START))));
    assert_eq!(strays(owned.state.snapshot(), &[], at(30)).nodes, none, "its NodeClaim sees to it");
}

#[test]
fn what_was_reserved_and_is_on_demand_is_told_until_both_the_claim_and_its_node_say_so() {
    let reserved = || CapacityType::Reserved.label().to_owned();
    let on_demand = || node("a").claim(|claim| bought_as(claim, CapacityType::OnDemand));
    let by_claim = on_demand().claim(|claim| bought_as(claim, CapacityType::Reserved));
    let by_node = on_demand().node(|node| drop(node.labels.insert(CAPACITY_TYPE.to_owned(), reserved())));
    let listed = |capacity_type| Running { capacity_type, ..running(&node("a"), 0) };
    let told = vec![Demoted { claim: "a".to_owned(), node: Some("node-a".to_owned()) }];
    let cases = [
        ("the NodeClaim says so", by_claim.clone(), CapacityType::OnDemand, 60, told.clone()),
        ("the Node says so", by_node, CapacityType::OnDemand, 60, told),
        ("neither says so", on_demand(), CapacityType::OnDemand, 60, vec![]),
        ("it is", by_claim.clone(), CapacityType::Reserved, 60, vec![]),
        ("it has just been launched", by_claim, CapacityType::OnDemand, 29, vec![]),
    ];
    for (why, machine, now, listed_at, expected) in cases {
        let cluster = Cluster::new().with(machine);
        let found = demoted(cluster.state.snapshot(), &[listed(now)], at(listed_at));
        assert_eq!(found, expected, "{why}");
    }
}

fn bought_as(claim: &mut NodeClaim, capacity_type: CapacityType) {
    if let Some(instance) = &mut claim.instance {
        instance.capacity_type = capacity_type;
    }
}
