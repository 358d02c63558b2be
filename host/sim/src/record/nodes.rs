//! Nodes and what is packed on each, at one moment.

use serde::Serialize;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels;
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;

use crate::meter::NO_POOL;
use crate::world::World;
use crate::world::machines::{Machine, Phase};

/// All nodes at one moment, those on their way included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeList {
    /// When.
    pub at: Timestamp,
    /// What they cost together.
    pub price: Price,
    /// The nodes, by NodePool and name.
    pub nodes: Vec<NodeSummary>,
}

/// One node and what is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSummary {
    /// The NodePool; `(none)` for nodes of somebody else.
    pub node_pool: String,
    /// The Node's name, or the NodeClaim's while it has not joined.
    pub name: String,
    /// The NodeClaim, empty for nodes of somebody else.
    pub claim: String,
    /// The instance type.
    pub instance_type: String,
    /// The zone.
    pub zone: String,
    /// How it is bought; `None` for nodes of somebody else that do not say.
    pub capacity_type: Option<CapacityType>,
    /// What it costs; zero for nodes of somebody else.
    pub price: Price,
    /// Whether the price is an estimate.
    pub estimated: bool,
    /// When it was launched; for nodes of somebody else, when the object was made.
    pub launched: Timestamp,
    /// Whether it has joined and is ready.
    pub ready: bool,
    /// What it can hold.
    pub allocatable: Resources,
    /// What its pods ask for together.
    pub used: Resources,
    /// Its pods, by name.
    pub pods: Vec<PodSummary>,
}

/// One pod on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSummary {
    /// `namespace/name`.
    pub name: String,
    /// Whether a DaemonSet or the node itself made it.
    pub daemon: bool,
    /// Thousandths of a CPU that it asks for.
    pub cpu_millis: u64,
    /// Bytes of memory that it asks for.
    pub memory_bytes: u64,
}

/// All nodes of a world now.
pub(crate) fn node_list(world: &World) -> NodeList {
    let running = world.machines.values().filter(|machine| machine.phase == Phase::Running);
    let mut nodes: Vec<NodeSummary> = running.map(|machine| of_machine(world, machine)).collect();
    let foreign = world.nodes.values().filter(|node| !world.machines.contains_key(&node.provider_id));
    nodes.extend(foreign.map(|node| of_foreign(world, node)));
    nodes.sort_by(|a, b| (&a.node_pool, &a.name).cmp(&(&b.node_pool, &b.name)));
    let price = nodes.iter().map(|node| node.price).sum();
    NodeList { at: world.now, price, nodes }
}

fn of_machine(world: &World, machine: &Machine) -> NodeSummary {
    let node = machine.node.as_ref().and_then(|name| world.nodes.get(name));
    let (used, pods) = node.map(|node| packed(world, &node.name)).unwrap_or_default();
    let instance = &machine.instance;
    NodeSummary {
        node_pool: machine.pool.clone(),
        name: node.map_or_else(|| machine.claim.clone(), |node| node.name.clone()),
        claim: machine.claim.clone(),
        instance_type: instance.instance_type.clone(),
        zone: instance.zone.clone(),
        capacity_type: Some(instance.capacity_type),
        price: instance.price,
        estimated: machine.estimated,
        launched: instance.launched,
        ready: node.is_some_and(|node| node.ready),
        allocatable: node.map_or_else(|| instance.allocatable.clone(), |node| node.allocatable.clone()),
        used,
        pods,
    }
}

fn of_foreign(world: &World, node: &whittle_core::model::node::Node) -> NodeSummary {
    let label = |key: &str| node.labels.get(key).cloned();
    let (used, pods) = packed(world, &node.name);
    NodeSummary {
        node_pool: label(labels::NODE_POOL).unwrap_or_else(|| NO_POOL.to_owned()),
        name: node.name.clone(),
        claim: String::new(),
        instance_type: label(labels::INSTANCE_TYPE).unwrap_or_default(),
        zone: label(labels::ZONE).unwrap_or_default(),
        capacity_type: label(labels::CAPACITY_TYPE).and_then(|label| CapacityType::from_label(&label)),
        price: Price::ZERO,
        estimated: false,
        launched: node.created,
        ready: node.ready,
        allocatable: node.allocatable.clone(),
        used,
        pods,
    }
}

fn packed(world: &World, node: &str) -> (Resources, Vec<PodSummary>) {
    let mut used = Resources::default();
    let mut pods = Vec::new();
    for pod in world.pods_on(node) {
        used = used.plus(&pod.spec.requests);
        pods.push(PodSummary {
            name: pod.full_name(),
            daemon: pod.belongs_to_node(),
            cpu_millis: pod.spec.requests.cpu_millis,
            memory_bytes: pod.spec.requests.memory_bytes,
        });
    }
    pods.sort_unstable();
    (used, pods)
}
