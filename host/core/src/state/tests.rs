use std::collections::BTreeMap;

use super::ClusterState;
use crate::event::Event;
use crate::model::instance_type::CapacityType;
use crate::model::node::{Instance, Node, NodeClaim};
use crate::model::price::Price;
use crate::model::resources::Resources;
use crate::model::time::{Duration, Timestamp};
use crate::settings::Settings;

const INSTANCE: &str = "aws:///a/i-1";

fn node(name: &str, made: u64) -> Event {
    Event::Node(Box::new(Node {
        name: name.to_owned(),
        provider_id: INSTANCE.to_owned(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        capacity: Resources::default(),
        allocatable: Resources::default(),
        ready: true,
        conditions: Vec::new(),
        do_not_disrupt: false,
        held: false,
        created: Timestamp::EPOCH + Duration::from_secs(made),
        deleting: None,
    }))
}

#[test]
fn of_two_nodes_of_one_instance_the_one_made_last_counts_in_whatever_order_they_become_known() {
    let gone = |name: &str| Event::NodeGone(name.to_owned());
    for (events, expected) in [
        (vec![node("old", 1), node("new", 2)], Some("new")),
        (vec![node("new", 2), node("old", 1)], Some("new")),
        (vec![node("a", 1), node("b", 1)], Some("b")),
        (vec![node("b", 1), node("a", 1)], Some("b")),
        (vec![node("old", 1), node("new", 2), gone("new")], Some("old")),
        (vec![node("new", 2), node("old", 1), gone("old")], Some("new")),
        (vec![node("old", 1), gone("old")], None),
    ] {
        let mut state = ClusterState::new(Settings::default());
        events.iter().for_each(|event| state.apply(event.clone(), Timestamp::EPOCH));
        let found = state.snapshot().node_of_instance(INSTANCE).map(|node| node.name.as_str());
        assert_eq!(found, expected, "{events:?}");
    }
}

#[test]
fn a_claim_that_names_the_node_of_another_instance_does_not_get_it() {
    let instance = |id: &str| Instance {
        provider_id: id.to_owned(),
        instance_type: "small".into(),
        zone: "a".into(),
        capacity_type: CapacityType::OnDemand,
        reservation: None,
        price: Price::ZERO,
        capacity: Resources::default(),
        allocatable: Resources::default(),
        launched: Timestamp::EPOCH,
    };
    let claim = |instance: Option<Instance>| NodeClaim {
        name: "a".into(),
        instance,
        node: Some("named".into()),
        ..NodeClaim::default()
    };
    let mut state = ClusterState::new(Settings::default());
    state.apply(node("named", 0), Timestamp::EPOCH);
    let found = |claim: &NodeClaim| state.snapshot().node_of_claim(claim).map(|node| node.name.as_str());
    assert_eq!(found(&claim(Some(instance(INSTANCE)))), Some("named"));
    assert_eq!(found(&claim(Some(instance("aws:///a/i-2")))), None, "it is of another instance");
    assert_eq!(found(&claim(None)), None, "it has no instance");
}
