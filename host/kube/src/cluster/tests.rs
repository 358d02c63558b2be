use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use whittle_api::convert;
use whittle_api::convert::pod::Priorities;
use whittle_core::event::Event;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, Eviction, NodeRef, Nomination, Plan};
use whittle_core::settings::Settings;
use whittle_core::state::ClusterState;

use super::Facts;
use super::nominations::{Renomination, STALE_AFTER, renominations, stale_nominations};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A pod that waits, with this nomination by the scheduler.
fn pod(name: &str, nominated: Option<&str>) -> Event {
    let unschedulable = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" });
    let pod = json!({
        "metadata": { "namespace": "shop", "name": name, "uid": format!("uid-{name}") },
        "spec": { "containers": [] },
        "status": { "phase": "Pending", "conditions": [unschedulable], "nominatedNodeName": nominated },
    });
    Event::Pod(Arc::new(convert::pod::pod(&object(pod), &Priorities::new(&[])).unwrap()))
}

/// A NodeClaim with these conditions, and its Node.
fn claim(name: &str, conditions: &[&str]) -> Vec<Event> {
    let id = format!("aws:///a/{name}");
    let condition = |type_: &&str| {
        json!({
            "type": type_, "status": "True", "reason": type_, "message": "",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        })
    };
    let reference = json!({ "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" });
    let claim = json!({
        "metadata": { "name": name, "labels": { "karpenter.sh/nodepool": "web" } },
        "spec": { "requirements": [], "nodeClassRef": reference },
        "status": { "providerID": id, "conditions": conditions.iter().map(condition).collect::<Vec<_>>() },
    });
    let node = json!({ "metadata": { "name": format!("node-{name}") }, "spec": { "providerID": id } });
    let claim = convert::node_claim::node_claim(&object(claim)).unwrap();
    let node = convert::node::node(&object(node)).unwrap();
    vec![Event::NodeClaim(Box::new(claim)), Event::Node(Box::new(node))]
}

fn nominate(pod: &str, node: &str) -> Action {
    Action::Nominate(Nomination { pod: format!("uid-{pod}"), node: node.to_owned() })
}

fn state(events: Vec<Event>, expected: Vec<Action>) -> ClusterState {
    let mut state = ClusterState::new(Settings::default());
    events.into_iter().for_each(|event| state.apply(event, NOW));
    state.expect(&Plan { actions: expected, ..Plan::default() }, NOW);
    state
}

#[test]
fn a_pod_is_nominated_anew_while_its_node_is_open_and_not_ready_and_the_name_is_lost() {
    let cases: [(&str, &[&str], Option<&str>, bool); 4] = [
        ("is closed", &["Launched"], None, false),
        ("is open", &["Launched", "Registered"], None, true),
        ("is open and the name is there", &["Launched", "Registered"], Some("node-a"), false),
        ("is ready", &["Launched", "Registered", "Initialized"], None, false),
    ];
    for (node, conditions, nominated, expected) in cases {
        let mut events = claim("a", conditions);
        events.extend([pod("web-1", nominated), pod("not-expected", None)]);
        let found = renominations(state(events, vec![nominate("web-1", "a")]).snapshot());
        let anew = Renomination {
            uid: "uid-web-1".into(),
            namespace: "shop".into(),
            name: "web-1".into(),
            node: Some("node-a".into()),
        };
        assert_eq!(found, if expected { vec![anew] } else { Vec::new() }, "a node that {node}");
    }
}

#[test]
fn a_plan_knows_the_names_of_its_pods_and_who_is_expected_on_a_node_that_opens() {
    let mut events = claim("a", &["Launched"]);
    events.extend(["web-1", "web-2", "elsewhere", "leaves"].map(|name| pod(name, None)));
    let expected = vec![nominate("web-1", "a"), nominate("web-2", "a"), nominate("elsewhere", "b")];
    let state = state(events, expected);
    let register = Action::Register(NodeRef { claim: "a".into(), node: Some("node-a".into()) });
    let evict = Eviction { pod: "uid-leaves".into(), claim: "b".into(), forced: None };
    let plan = Plan { actions: vec![register, Action::Evict(evict)], ..Plan::default() };
    let facts = Facts::of(&plan, state.snapshot());
    let known: Vec<&str> = facts.pods.values().map(|(_, name)| name.as_str()).collect();
    assert_eq!(known, ["leaves", "web-1", "web-2"]);
    assert_eq!(facts.expected.get("a"), Some(&vec!["uid-web-1".to_owned(), "uid-web-2".to_owned()]));
}

#[test]
fn a_pod_whose_room_another_took_loses_its_nomination_when_its_node_has_been_ready_for_a_while() {
    let ready = ["Launched", "Registered", "Initialized"];
    let found = |conditions: &[&str], expected: Vec<Action>, now: Timestamp| {
        let mut events = claim("a", conditions);
        events.push(pod("web-1", Some("node-a")));
        let nominated = BTreeSet::from(["uid-web-1".to_owned()]);
        stale_nominations(state(events, expected).snapshot(), &nominated, now).len()
    };
    let late = Timestamp::EPOCH + STALE_AFTER;
    assert_eq!(found(&ready, Vec::new(), late), 1);
    assert_eq!(found(&ready, Vec::new(), Timestamp::from_millis(late.millis() - 1)), 0);
    assert_eq!(found(&ready, vec![nominate("web-1", "a")], late), 0);
    assert_eq!(found(&ready[..2], Vec::new(), late), 0);
}
