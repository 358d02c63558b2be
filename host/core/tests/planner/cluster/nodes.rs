//! Nodes and NodeClaims at every point of their lives.

use std::collections::BTreeMap;

use whittle_core::event::{Event, Notice, NoticeKind};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels;
use whittle_core::model::node::{Instance, Node, NodeClaim};
use whittle_core::model::requirement::{Requirement, Taint};
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Launch, Outcome};

use super::catalogue::named;
use super::pools::taint;
use super::{Known, secs};

/// A NodeClaim with its Node, as far as they are there.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) claim: Option<NodeClaim>,
    pub(crate) node: Option<Node>,
}

/// An initialized on-demand `m.large` in zone a of the NodePool `general`.
pub(crate) fn node(name: &str) -> Machine {
    let claim = claim(name, "general");
    let machine = Machine { claim: Some(claim), node: None };
    machine.bought("m.large", "a", CapacityType::OnDemand).joined()
}

/// The NodeClaim of a NodePool, not launched yet.
fn claim(name: &str, pool: &str) -> NodeClaim {
    let pool_labels = [(labels::NODE_POOL, pool), (labels::NODE_CLASS, "default")];
    NodeClaim {
        name: name.into(),
        node_pool: pool.into(),
        node_class: "default".into(),
        labels: pool_labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..NodeClaim::default()
    }
}

/// The NodeClaim that carrying out a launch makes, not launched yet.
pub(crate) fn claimed(launch: &Launch, now: Timestamp) -> Machine {
    let claim = NodeClaim {
        labels: BTreeMap::clone(&launch.labels),
        requirements: launch.requirements.to_vec(),
        taints: launch.taints.clone(),
        startup_taints: launch.startup_taints.clone(),
        requests: launch.requests.clone(),
        created: now,
        expire_after: launch.expire_after,
        termination_grace_period: launch.termination_grace_period,
        node_class: launch.node_class.clone(),
        ..claim(&launch.claim, &launch.node_pool)
    };
    Machine { claim: Some(claim), node: None }
}

impl Machine {
    /// The NodeClaim, to be changed.
    pub(crate) fn claim(mut self, change: impl FnOnce(&mut NodeClaim)) -> Self {
        change(self.claim.as_mut().expect("a node with a NodeClaim"));
        self
    }

    /// The Node, to be changed.
    pub(crate) fn node(mut self, change: impl FnOnce(&mut Node)) -> Self {
        change(self.node.as_mut().expect("a node that has joined"));
        self
    }

    pub(crate) fn name(&self) -> String {
        self.claim.as_ref().expect("a node with a NodeClaim").name.clone()
    }

    /// EC2 has launched it as this; no Node yet.
    pub(crate) fn bought(self, instance_type: &str, zone: &str, capacity_type: CapacityType) -> Self {
        let provider_id = format!("aws:///{zone}/i-{}", self.name());
        let bought = named(instance_type);
        let offering = bought
            .offerings
            .iter()
            .find(|offering| offering.zone == zone && offering.capacity_type == capacity_type)
            .expect("an offering of the catalogue");
        let instance = Instance {
            provider_id,
            instance_type: instance_type.into(),
            zone: zone.into(),
            capacity_type,
            reservation: offering.reservation.as_ref().map(|one| one.id.clone()),
            price: offering.price,
            capacity: bought.capacity.clone(),
            allocatable: bought.allocatable(),
            launched: self.claim.as_ref().expect("a node with a NodeClaim").created,
        };
        let launched = Self { claim: self.claim, node: None };
        launched.claim(|claim| claim.instance = Some(instance))
    }

    /// Its Node has joined, is registered, ready and initialized.
    pub(crate) fn joined(self) -> Self {
        let claim = self.claim.expect("a node with a NodeClaim");
        let instance = claim.instance.clone().expect("a node that was launched");
        let name = format!("node-{}", claim.name);
        let bought = named(&instance.instance_type);
        let single = bought.labels.iter().filter(|(_, values)| values.len() == 1);
        let mut node_labels: BTreeMap<_, _> =
            single.map(|(key, values)| (key.clone(), values[0].clone())).collect();
        for (key, value) in [
            (labels::ZONE, instance.zone.clone()),
            (labels::ZONE_ID, format!("id-{}", instance.zone)),
            (labels::CAPACITY_TYPE, instance.capacity_type.label().to_owned()),
            (labels::HOSTNAME, name.clone()),
        ] {
            node_labels.insert(key.to_owned(), value);
        }
        node_labels.extend(claim.labels.clone());
        let node = Node {
            name: name.clone(),
            provider_id: instance.provider_id,
            labels: node_labels,
            taints: claim.taints.clone(),
            capacity: instance.capacity,
            allocatable: instance.allocatable,
            ready: true,
            conditions: Vec::new(),
            do_not_disrupt: false,
            held: true,
            created: claim.created,
            deleting: None,
        };
        let at = Some(claim.created);
        let claim = NodeClaim { node: Some(name), registered: at, initialized: at, ..claim };
        Self { claim: Some(claim), node: Some(node) }
    }

    /// Bought as another type or elsewhere than at first.
    pub(crate) fn instance_type(self, name: &str) -> Self {
        let instance = self.instance();
        self.rebought(name, &instance.zone, instance.capacity_type)
    }

    pub(crate) fn zone(self, zone: &str) -> Self {
        let instance = self.instance();
        self.rebought(&instance.instance_type, zone, instance.capacity_type)
    }

    pub(crate) fn spot(self) -> Self {
        let instance = self.instance();
        self.rebought(&instance.instance_type, &instance.zone, CapacityType::Spot)
    }

    fn instance(&self) -> Instance {
        self.claim.as_ref().and_then(|claim| claim.instance.clone()).expect("a node that was launched")
    }

    fn rebought(self, instance_type: &str, zone: &str, capacity_type: CapacityType) -> Self {
        self.bought(instance_type, zone, capacity_type).joined()
    }

    pub(crate) fn of_pool(self, pool: &str) -> Self {
        self.label(labels::NODE_POOL, pool).claim(|claim| claim.node_pool = pool.into())
    }

    pub(crate) fn label(self, key: &str, value: &str) -> Self {
        self.claim(|claim| drop(claim.labels.insert(key.into(), value.into())))
            .node(|node| drop(node.labels.insert(key.into(), value.into())))
    }

    /// A taint that its NodePool gives it.
    pub(crate) fn taint(self, key: &str) -> Self {
        self.claim(|claim| claim.taints.push(taint(key))).marked(taint(key))
    }

    /// A taint that its Node has got, from whomever.
    pub(crate) fn marked(self, taint: Taint) -> Self {
        self.node(|node| node.taints.push(taint))
    }

    /// A taint that its Node starts with and that somebody removes.
    pub(crate) fn startup_taint(self, key: &str) -> Self {
        self.claim(|claim| claim.startup_taints.push(taint(key))).marked(taint(key))
    }

    /// The NodeClaim is there, and EC2 has not launched anything for it.
    pub(crate) fn unlaunched(self) -> Self {
        let unlaunched = Self { node: None, ..self };
        unlaunched.claim(|claim| {
            claim.instance = None;
            claim.node = None;
            claim.registered = None;
            claim.initialized = None;
        })
    }

    /// Launched, and its Node has not joined.
    pub(crate) fn in_flight(self) -> Self {
        let in_flight = Self { node: None, ..self };
        in_flight.claim(|claim| {
            claim.node = None;
            claim.registered = None;
            claim.initialized = None;
        })
    }

    /// Its Node has joined, with nothing but what the kubelet gives it.
    pub(crate) fn unregistered(self) -> Self {
        let provider_zone = self.instance().zone;
        self.marked(taint(labels::UNREGISTERED_TAINT))
            .node(|node| node.labels = BTreeMap::from([(labels::ZONE.to_owned(), provider_zone)]))
            .claim(|claim| {
                claim.node = None;
                claim.registered = None;
                claim.initialized = None;
            })
    }

    /// Registered, and not ready for pods yet.
    pub(crate) fn uninitialized(self) -> Self {
        self.claim(|claim| claim.initialized = None).node(|node| node.ready = false)
    }

    /// Somebody else's: there is no NodeClaim.
    pub(crate) fn unmanaged(self) -> Self {
        Self { claim: None, ..self }
    }

    pub(crate) fn leaving(self, since: Timestamp) -> Self {
        self.claim(|claim| claim.deleting = Some(since))
    }

    /// Pods last came or went then.
    pub(crate) fn busy(self, at: Timestamp) -> Self {
        self.claim(|claim| claim.last_pod_event = Some(at))
    }

    /// EC2 takes the instance in two minutes.
    pub(crate) fn reclaimed(&self, now: Timestamp) -> Event {
        self.notice(NoticeKind::Reclaim, now)
    }

    pub(crate) fn notice(&self, kind: NoticeKind, now: Timestamp) -> Event {
        let provider_id = self.instance().provider_id;
        Event::Notice(Notice { provider_id, kind, received: now, deadline: now + secs(120) })
    }

    /// EC2 has ended the instance.
    pub(crate) fn terminated(&self) -> Event {
        Event::Outcome(Outcome::Terminated { claim: self.name() })
    }
}

impl Known for Machine {
    fn events(self) -> Vec<Event> {
        let claim = self.claim.map(|claim| Event::NodeClaim(Box::new(claim)));
        let node = self.node.map(|node| Event::Node(Box::new(node)));
        claim.into_iter().chain(node).collect()
    }
}

/// The offering that a launch counts on is bought.
pub(crate) fn carried_out(launch: &Launch, now: Timestamp) -> Machine {
    let first = launch.offerings.first().expect("a launch that lists an offering");
    claimed(launch, now).bought(&first.instance_type, &first.zone, first.capacity_type)
}

/// The values that a launch leaves open for a label.
pub(crate) fn values_of(launch: &Launch, key: &str) -> Vec<String> {
    let of_key = |requirement: &&Requirement| requirement.key == key;
    launch.requirements.iter().filter(of_key).flat_map(|requirement| requirement.values.clone()).collect()
}
