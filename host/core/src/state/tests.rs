use std::collections::BTreeMap;

use super::ClusterState;
use crate::event::Event;
use crate::model::node::Node;
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
