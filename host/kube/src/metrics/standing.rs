//! How things stand: of every node, pod and NodePool, and of all together. Worked out when somebody asks for it, written
//! once and forgotten: nothing of it is kept up to date in between, and what is gone is not told any more.

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::MetricType;
use whittle_core::disrupt::budget::allowed;
use whittle_core::model::labels::{
    ARCH, CAPACITY_TYPE, INSTANCE_CATEGORY, INSTANCE_TYPE, NODE_POOL, OS, REGION, ZONE,
};
use whittle_core::model::node::Node;
use whittle_core::model::node_pool::{DisruptionReason, NODES, NodePool};
use whittle_core::model::pod::{Pod, PodPhase};
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::DeleteReason;
use whittle_core::state::Snapshot;

use super::lives::dollars;
use super::{in_units, reason as word_of};

/// Whether each node and each pod is told of, or sums alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Each of them, as Karpenter has it.
    Everything,
    /// NodePools and the cluster (`--disable-cluster-state-observability`).
    Sums,
}

/// The labels of a node that are labels of its metrics, too, under Karpenter's short names.
const OF_NODES: [(&str, &str); 8] = [
    (ARCH, "arch"),
    (CAPACITY_TYPE, "capacity_type"),
    (INSTANCE_CATEGORY, "instance_category"),
    (INSTANCE_TYPE, "instance_type"),
    (NODE_POOL, "nodepool"),
    (OS, "os"),
    (REGION, "region"),
    (ZONE, "zone"),
];

type Labels = Vec<(&'static str, String)>;

/// A value with its labels; those that many values share are kept once.
#[derive(Debug)]
struct Value {
    of: Arc<Labels>,
    resource: Option<String>,
    value: f64,
}

impl EncodeLabelSet for Value {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, value) in self.of.iter() {
            (*name, value.as_str()).encode(encoder.encode_label())?;
        }
        match &self.resource {
            Some(resource) => ("resource_type", resource.as_str()).encode(encoder.encode_label()),
            None => Ok(()),
        }
    }
}

/// What is told, in the order of [`LISTED`].
type Told = [Vec<Value>; LISTED.len()];

/// Names and meanings of everything that is told here.
pub(super) const LISTED: [(&str, &str); 13] = [
    ("nodes_allocatable", "What pods can have of a node"),
    ("nodes_total_pod_requests", "What the pods of a node ask for, those of DaemonSets included"),
    ("nodes_total_daemon_requests", "What the pods of DaemonSets on a node ask for"),
    ("nodes_system_overhead", "What a node has and pods cannot have"),
    ("nodes_current_lifetime_seconds", "How long a node has been there"),
    ("pods_state", "1 for each pod, with where it is and how far"),
    ("cluster_utilization_percent", "What pods ask for, of what they can have on all nodes"),
    ("nodepools_usage", "What the nodes of a NodePool have"),
    ("nodepools_limit", "The limits of a NodePool"),
    (
        "nodepools_allowed_disruptions",
        "How many more nodes of a NodePool may be disrupted now, by its budgets",
    ),
    ("nodepools_cost_total", "What an hour of all instances of a NodePool costs, in dollars"),
    ("cluster_state_node_count", "Nodes that are known"),
    ("scheduler_unschedulable_pods_count", "Pods without a place after the last decision"),
];

/// What was worked out last and nobody has written yet.
#[derive(Clone, Default)]
pub(super) struct Standing(Arc<Mutex<Option<Told>>>);

impl Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standing")
    }
}

impl Standing {
    /// Works it out.
    pub(super) fn look(&self, snapshot: &Snapshot, unplaced: usize, (now, detail): (Timestamp, Detail)) {
        let told = tell(snapshot, unplaced, now, detail);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        for ((name, help), values) in LISTED.into_iter().zip(told.into_iter().flatten()) {
            if values.is_empty() {
                continue;
            }
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for value in &values {
                if value.of.is_empty() && value.resource.is_none() {
                    metric.encode_gauge(&value.value)?;
                } else {
                    metric.encode_family(value)?.encode_gauge(&value.value)?;
                }
            }
        }
        Ok(())
    }
}

fn tell(snapshot: &Snapshot, unplaced: usize, now: Timestamp, detail: Detail) -> Told {
    let [mut allocatable, mut requests, mut daemons, mut overhead, mut lifetimes, mut pods] =
        <[Vec<Value>; 6]>::default();
    let (mut can_have, mut asked) = (Resources::default(), Resources::default());
    for node in snapshot.nodes.values() {
        let used = snapshot.used_on(&node.name);
        can_have = can_have.plus(&node.allocatable);
        asked = asked.plus(&used);
        if detail == Detail::Sums {
            continue;
        }
        let of = Arc::new(labels_of(node));
        push(&mut allocatable, &of, &node.allocatable);
        push(&mut requests, &of, &used);
        push(&mut daemons, &of, &of_daemons(snapshot, &node.name));
        push(&mut overhead, &of, &node.capacity.minus(&node.allocatable));
        lifetimes.push(Value { of, resource: None, value: seconds(node.created, now) });
    }
    if detail == Detail::Everything {
        pods.extend(snapshot.pods.iter().map(|pod| state_of(pod, snapshot)));
    }
    let [mut usage, mut limit, mut may, mut cost] = <[Vec<Value>; 4]>::default();
    for pool in snapshot.node_pools.values() {
        let of = Arc::new(vec![("nodepool", pool.name.clone())]);
        let (used, nodes) = snapshot.used_of_pool(&pool.name);
        push(&mut usage, &of, &used);
        usage.push(amount(&of, NODES, nodes));
        limit.extend(pool.limits.iter().map(|(resource, limit)| amount(&of, resource, *limit)));
        may.extend(disruptions(snapshot, pool, now));
        cost.push(Value { of, resource: None, value: cost_of(snapshot, &pool.name) });
    }
    let sum = |value: f64| vec![Value { of: Arc::default(), resource: None, value }];
    let nodes = sum(count(snapshot.nodes.len()));
    let utilization = utilization(&asked, &can_have);
    [
        allocatable,
        requests,
        daemons,
        overhead,
        lifetimes,
        pods,
        utilization,
        usage,
        limit,
        may,
        cost,
        nodes,
        sum(count(unplaced)),
    ]
}

fn amount(of: &Arc<Labels>, resource: &str, amount: u64) -> Value {
    Value { of: Arc::clone(of), resource: Some(resource.to_owned()), value: in_units(resource, amount) }
}

fn push(values: &mut Vec<Value>, of: &Arc<Labels>, resources: &Resources) {
    values.extend(resources.iter().map(|(resource, found)| amount(of, resource, found)));
}

fn labels_of(node: &Node) -> Labels {
    let phase = match (node.deleting.is_some(), node.ready) {
        (true, _) => "Terminated",
        (false, true) => "Running",
        (false, false) => "Pending",
    };
    let mut labels = vec![
        ("node_name", node.name.clone()),
        ("node_phase", phase.to_owned()),
        ("managed", node.labels.contains_key(NODE_POOL).to_string()),
    ];
    let of = |key: &str| node.labels.get(key).cloned().unwrap_or_default();
    labels.extend(OF_NODES.into_iter().map(|(key, name)| (name, of(key))));
    labels
}

fn of_daemons(snapshot: &Snapshot, node: &str) -> Resources {
    let mut sum = Resources::default();
    for (group, count) in snapshot.groups_on(node) {
        let spec = &snapshot.group(group).spec;
        if spec.owner.as_ref().is_some_and(|owner| owner.kind == "DaemonSet") {
            sum = sum.plus(&spec.requests.times(count.into()));
        }
    }
    sum
}

fn state_of(pod: &Pod, snapshot: &Snapshot) -> Value {
    let node = pod.node.as_ref().and_then(|node| snapshot.nodes.get(node));
    let of_node = |key: &str| node.and_then(|node| node.labels.get(key)).cloned().unwrap_or_default();
    let owner = pod.spec.owner.as_ref().map(|owner| format!("{}/{}", owner.kind, owner.name));
    let phase = match pod.phase {
        PodPhase::Pending => "Pending",
        PodPhase::Running => "Running",
        PodPhase::Succeeded => "Succeeded",
        PodPhase::Failed => "Failed",
    };
    let of = vec![
        ("name", pod.name.clone()),
        ("namespace", pod.spec.namespace.clone()),
        ("owner", owner.unwrap_or_default()),
        ("node", pod.node.clone().unwrap_or_default()),
        ("nodepool", of_node(NODE_POOL)),
        ("zone", of_node(ZONE)),
        ("arch", of_node(ARCH)),
        ("capacity_type", of_node(CAPACITY_TYPE)),
        ("instance_type", of_node(INSTANCE_TYPE)),
        ("phase", phase.to_owned()),
        ("ready", pod.ready.to_string()),
        ("scheduled", pod.node.is_some().to_string()),
        ("managed", (!of_node(NODE_POOL).is_empty()).to_string()),
    ];
    Value { of: Arc::new(of), resource: None, value: 1.0 }
}

fn disruptions(snapshot: &Snapshot, pool: &NodePool, now: Timestamp) -> impl Iterator<Item = Value> {
    let reasons = [DisruptionReason::Underutilized, DisruptionReason::Empty, DisruptionReason::Drifted];
    let nodes = snapshot.claims.values().filter(|claim| claim.node_pool == pool.name).count();
    let of = reasons.map(|reason| {
        let of = vec![
            ("nodepool", pool.name.clone()),
            ("reason", word_of(DeleteReason::Disrupted(reason)).to_owned()),
        ];
        // Where no budget says anything, all of them may go.
        let allowed = allowed(snapshot, pool, reason, now).min(u64::try_from(nodes).unwrap_or(u64::MAX));
        Value { of: Arc::new(of), resource: None, value: in_units(NODES, allowed) }
    });
    of.into_iter()
}

fn cost_of(snapshot: &Snapshot, pool: &str) -> f64 {
    let claims = snapshot.claims.values().filter(|claim| claim.node_pool == pool);
    let prices = claims.filter_map(|claim| Some(claim.instance.as_ref()?.price));
    dollars(prices.sum())
}

fn utilization(asked: &Resources, can_have: &Resources) -> Vec<Value> {
    let of = Arc::new(Labels::new());
    let percent = |(resource, all): (&str, u64)| {
        let used = in_units(resource, asked.get(resource));
        let value = used / in_units(resource, all) * 100.0;
        (all > 0).then(|| Value { of: Arc::clone(&of), resource: Some(resource.to_owned()), value })
    };
    can_have.iter().filter_map(percent).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a number for a chart")]
fn count(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a time for a chart")]
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).millis() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;
    use whittle_core::event::Event;
    use whittle_core::model::resources::CPU;
    use whittle_core::model::time::Duration;
    use whittle_core::settings::Settings;
    use whittle_core::state::ClusterState;

    use super::*;

    /// What is told of a cluster with one node.
    fn told(detail: Detail) -> (String, String) {
        let amounts = |cpu| {
            let mut resources = Resources::default();
            resources.set(CPU, cpu);
            resources
        };
        let node = Node {
            name: "a".to_owned(),
            provider_id: "aws:///b/i-1".to_owned(),
            labels: [(ZONE.to_owned(), "b".to_owned())].into(),
            taints: Vec::new(),
            capacity: amounts(4_000),
            allocatable: amounts(3_900),
            ready: true,
            conditions: Vec::new(),
            do_not_disrupt: false,
            held: false,
            created: Timestamp::EPOCH,
            deleting: None,
        };
        let mut state = ClusterState::new(Settings::default());
        state.apply(Event::Node(Box::new(node)), Timestamp::EPOCH);
        let standing = Standing::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(standing.clone()));
        let write = || {
            let mut out = String::new();
            text::encode(&mut out, &registry).unwrap();
            out
        };
        let now = Timestamp::EPOCH + Duration::from_secs(60);
        standing.look(state.snapshot(), 2, (now, detail));
        (write(), write())
    }

    #[test]
    fn nodes_are_told_of_with_their_labels_once_each_time_somebody_asks() {
        let (first, second) = told(Detail::Everything);
        let labels = "node_name=\"a\",node_phase=\"Running\",managed=\"false\",arch=\"\",capacity_type=\"\",\
                      instance_category=\"\",instance_type=\"\",nodepool=\"\",os=\"\",region=\"\",zone=\"b\"";
        for line in [
            format!("nodes_allocatable{{{labels},resource_type=\"cpu\"}} 3.9"),
            format!("nodes_system_overhead{{{labels},resource_type=\"cpu\"}} 0.1"),
            format!("nodes_current_lifetime_seconds{{{labels}}} 60.0"),
            "cluster_utilization_percent{resource_type=\"cpu\"} 0.0".to_owned(),
            "cluster_state_node_count 1.0".to_owned(),
            "scheduler_unschedulable_pods_count 2.0".to_owned(),
        ] {
            assert!(first.lines().any(|found| found == line), "{line} is not in:\n{first}");
        }
        assert_eq!(second, "# EOF\n");
    }

    #[test]
    fn sums_alone_name_no_node() {
        let (text, _) = told(Detail::Sums);
        assert!(text.contains("cluster_state_node_count 1.0") && !text.contains("node_name"), "{text}");
    }
}
