//! A cluster that runs: nodes with their NodeClaims, and pods bound to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use whittle_core::event::Event;
use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::labels;
use whittle_core::model::node::{Instance, Node, NodeClaim};
use whittle_core::model::pod::{Pod, PodPhase};
use whittle_core::model::time::Timestamp;

use crate::pods::{MIB, of_deployment, plain, waiting};
use crate::world::fake_type;

/// How large the cluster is.
pub(crate) const NODES: usize = 5_000;
/// How many pods each of its nodes has.
pub(crate) const PODS_PER_NODE: usize = 20;

/// How many Deployments they belong to.
const DEPLOYMENTS: usize = 200;
/// Pods of the cluster are numbered from here, so that others can be numbered from zero.
const FIRST_POD: usize = 10_000_000;
/// Nodes have eight vCPUs and 16 GiB.
const TYPE: u64 = 7;

/// Everything that makes the cluster known, besides what it may launch: NodeClaims and nodes, then pods.
pub(crate) fn events() -> impl Iterator<Item = Event> {
    let machines = (0..NODES)
        .flat_map(|at| [Event::NodeClaim(Box::new(claim(at))), Event::Node(Box::new(node(at)))].into_iter());
    machines.chain((0..NODES * PODS_PER_NODE).map(|at| Event::Pod(Arc::new(bound(at, at / PODS_PER_NODE)))))
}

/// The `at`-th pod of the cluster, as it runs on a node.
pub(crate) fn bound(at: usize, on: usize) -> Pod {
    let deployment = at % DEPLOYMENTS;
    // They leave 400m on each node: room for some of the pods that come later, and not for most.
    let cpu_millis = [200, 300, 400, 600][deployment % 4];
    let memory_bytes = [256, 512, 768][deployment % 3] * MIB;
    let spec = of_deployment(&format!("service-{deployment}"), plain(cpu_millis, memory_bytes));
    Pod {
        node: Some(name(on)),
        unschedulable: false,
        phase: PodPhase::Running,
        ready: true,
        started: Some(Timestamp::EPOCH),
        ..waiting(FIRST_POD + at, spec)
    }
}

/// The `at`-th node.
pub(crate) fn node(at: usize) -> Node {
    let it = fake_type(TYPE);
    Node {
        name: name(at),
        provider_id: provider_id(at),
        labels: node_labels(at, &it),
        taints: Vec::new(),
        allocatable: it.allocatable(),
        capacity: it.capacity,
        ready: true,
        conditions: Vec::new(),
        do_not_disrupt: false,
        held: true,
        created: Timestamp::EPOCH,
        deleting: None,
    }
}

/// The NodeClaim of the `at`-th node.
pub(crate) fn claim(at: usize) -> NodeClaim {
    let it = fake_type(TYPE);
    NodeClaim {
        name: format!("default-{at:05}"),
        node_pool: "default".into(),
        node_class: "default".into(),
        labels: [(labels::NODE_POOL.to_owned(), "default".to_owned())].into(),
        requests: it.allocatable(),
        instance: Some(Instance {
            provider_id: provider_id(at),
            instance_type: it.name.clone(),
            zone: zone(at).into(),
            capacity_type: CapacityType::OnDemand,
            reservation: None,
            price: it.offerings[0].price,
            allocatable: it.allocatable(),
            capacity: it.capacity,
            launched: Timestamp::EPOCH,
        }),
        node: Some(name(at)),
        registered: Some(Timestamp::EPOCH),
        initialized: Some(Timestamp::EPOCH),
        ..NodeClaim::default()
    }
}

/// The name of the `at`-th node.
pub(crate) fn name(at: usize) -> String {
    format!("ip-10-{}-{}-{}.ec2.internal", at >> 16 & 0xff, at >> 8 & 0xff, at & 0xff)
}

fn provider_id(at: usize) -> String {
    format!("aws:///{}/i-{at:017x}", zone(at))
}

fn zone(at: usize) -> &'static str {
    ["1", "2", "3"][at % 3]
}

fn node_labels(at: usize, it: &InstanceType) -> BTreeMap<String, String> {
    let found = [
        (labels::HOSTNAME, name(at)),
        (labels::ZONE, zone(at).to_owned()),
        (labels::INSTANCE_TYPE, it.name.clone()),
        (labels::ARCH, "amd64".to_owned()),
        (labels::OS, "linux".to_owned()),
        (labels::CAPACITY_TYPE, CapacityType::OnDemand.label().to_owned()),
        (labels::NODE_POOL, "default".to_owned()),
        (labels::REGISTERED, "true".to_owned()),
        (labels::INITIALIZED, "true".to_owned()),
    ];
    found.map(|(key, value)| (key.to_owned(), value)).into()
}
