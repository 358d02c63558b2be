//! K1, the scheduling benchmark of Karpenter's own repository, on its own catalogue and with its own mix of pods
//! (`pkg/controllers/provisioning/scheduling/scheduling_benchmark_test.go`): a fifth each of plain pods, pods spread
//! over zones, over hosts, pods near their like in a zone, and pods that want a host for themselves.
//!
//! Prints, for each number of pods, the time to take them in and the time to place them, medians of several runs. The
//! number of nodes is the one thing that must not change: it is checked against Karpenter's published ones.

#![expect(clippy::disallowed_types, reason = "a benchmark reads the clock")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration as Elapsed, Instant};

use whittle_core::event::Event;
use whittle_core::model::instance_type::{CapacityType, InstanceType, Offering};
use whittle_core::model::labels;
use whittle_core::model::node_pool::{ConsolidationPolicy, Disruption, NodeClass, NodePool};
use whittle_core::model::pod::{
    InclusionPolicy, LabelSelector, Pod, PodAffinityTerm, PodPhase, PodSpec, TopologySpread,
    WhenUnsatisfiable,
};
use whittle_core::model::price::Price;
use whittle_core::model::requirement::Requirement;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, Plan};
use whittle_core::provision::problem::Cache;
use whittle_core::provision::provision;
use whittle_core::state::ClusterState;

const GIB: u64 = 1 << 30;
const NOW: Timestamp = Timestamp::from_millis(100_000);
const RUNS: usize = 5;

/// Numbers of pods, and the nodes that Karpenter makes for them.
const SIZES: [(usize, usize); 9] = [
    (1, 1),
    (50, 10),
    (100, 20),
    (500, 100),
    (1_000, 200),
    (2_000, 400),
    (5_000, 1_000),
    (10_000, 2_000),
    (20_000, 4_000),
];

fn main() {
    println!("{:>6}  {:>6}  {:>12}  {:>12}  {:>10}", "pods", "nodes", "taken in", "placed", "pods/s");
    for (count, nodes_expected) in SIZES {
        let runs: Vec<_> = (0..RUNS).map(|_| run(count)).collect();
        let nodes = runs[0].nodes;
        assert_eq!(nodes, nodes_expected, "{count} pods");
        let taken_in = median(runs.iter().map(|run| run.taken_in).collect());
        let placed = median(runs.iter().map(|run| run.placed).collect());
        let per_second = count as f64 / (taken_in + placed).as_secs_f64();
        println!(
            "{count:>6}  {nodes:>6}  {:>9.2} ms  {:>9.2} ms  {per_second:>10.0}",
            millis(taken_in),
            millis(placed)
        );
    }
}

struct Run {
    nodes: usize,
    taken_in: Elapsed,
    placed: Elapsed,
}

fn run(count: usize) -> Run {
    let mut state = ClusterState::default();
    state.apply(Event::NodeClass(class()), NOW);
    state.apply(Event::NodePool(Box::new(pool())), NOW);
    let pods = pods(count);
    let start = Instant::now();
    for pod in pods {
        state.apply(Event::Pod(pod), NOW);
    }
    let taken_in = start.elapsed();
    let start = Instant::now();
    let plan = provision(state.snapshot(), &mut Cache::default(), NOW, 1);
    let placed = start.elapsed();
    assert_eq!(plan.report.unplaced, Vec::new());
    Run { nodes: launches(&plan), taken_in, placed }
}

fn launches(plan: &Plan) -> usize {
    plan.actions.iter().filter(|action| matches!(action, Action::Launch(_))).count()
}

fn median(mut times: Vec<Elapsed>) -> Elapsed {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Elapsed) -> f64 {
    time.as_secs_f64() * 1e3
}

/// SplitMix64: the same pods in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.next() as usize % items.len()]
    }
}

fn class() -> NodeClass {
    let instance_types = (0..400).map(instance_type).collect();
    NodeClass { name: "default".into(), ready: true, instance_types }
}

/// One of Karpenter's 400 fake instance types.
fn instance_type(at: u64) -> InstanceType {
    let (cpus, memory_bytes) = (at + 1, 2 * (at + 1) * GIB);
    let name = format!("fake-it-{at}");
    let one = |value: &str| vec![value.to_owned()];
    let systems = ["darwin", "linux", "windows"].map(str::to_owned).to_vec();
    let labels = [(labels::INSTANCE_TYPE, one(&name)), (labels::ARCH, one("amd64")), (labels::OS, systems)];
    let offering = |(capacity_type, zone): (CapacityType, &str)| Offering {
        zone: zone.to_owned(),
        zone_id: format!("id-of-{zone}"),
        capacity_type,
        price: Price::from_micros(cpus * 100_000 + memory_bytes / 10_000),
        estimated: false,
        available: true,
    };
    let (spot, on_demand) = (CapacityType::Spot, CapacityType::OnDemand);
    let offerings = [(spot, "1"), (spot, "2"), (on_demand, "1"), (on_demand, "2"), (on_demand, "3")];
    InstanceType {
        name,
        labels: labels.map(|(key, values)| (key.to_owned(), values)).into(),
        capacity: Resources {
            cpu_millis: cpus * 1_000,
            memory_bytes,
            ephemeral_storage_bytes: 20 * GIB,
            pods: 10 * cpus,
            extended: BTreeMap::new(),
        },
        overhead: Resources { cpu_millis: 100, memory_bytes: 10 << 20, ..Resources::default() },
        offerings: offerings.map(offering).to_vec(),
    }
}

fn pool() -> NodePool {
    NodePool {
        name: "default".into(),
        weight: 0,
        node_class: "default".into(),
        requirements: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        taints: Vec::new(),
        startup_taints: Vec::new(),
        limits: [("cpu".to_owned(), 10_000_000_000), ("memory".to_owned(), 10_000_000 * GIB)].into(),
        disruption: Disruption {
            consolidate_after: None,
            policy: ConsolidationPolicy::WhenEmptyOrUnderutilized,
            budgets: Vec::new(),
        },
        expire_after: None,
        termination_grace_period: None,
        replicas: None,
        ready: true,
        deleting: false,
    }
}

fn pods(count: usize) -> Vec<Pod> {
    let mut chance = Chance(42);
    let share = count / 5;
    (0..count).map(|at| pod(at, at.checked_div(share).unwrap_or(0), &mut chance)).collect()
}

fn pod(at: usize, kind: usize, chance: &mut Chance) -> Pod {
    const LETTERS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
    let mut spec = PodSpec { namespace: "default".into(), ..PodSpec::default() };
    let letter = chance.one_of(&LETTERS);
    let (key, value) = match kind {
        3 => ("my-affininity", letter),
        4 => ("app", "nginx"),
        _ => ("my-label", letter),
    };
    spec.labels.insert(key.into(), value.into());
    match kind {
        1 => spec.topology_spread.push(spread(labels::ZONE, chance.one_of(&LETTERS))),
        2 => spec.topology_spread.push(spread(labels::HOSTNAME, chance.one_of(&LETTERS))),
        3 => spec.pod_affinity.push(term(labels::ZONE, key, value)),
        4 => spec.pod_anti_affinity.push(term(labels::HOSTNAME, key, value)),
        _ => {}
    }
    spec.requests = Resources {
        cpu_millis: chance.one_of(&[100, 250, 500, 1_000, 1_500]),
        memory_bytes: chance.one_of(&[100, 256, 512, 1_024, 2_048, 4_096]) << 20,
        pods: 1,
        ..Resources::default()
    };
    Pod {
        uid: format!("{:016x}", chance.next()),
        name: format!("pod-{at}"),
        spec: Arc::new(spec),
        volume_claims: Vec::new(),
        node: None,
        unschedulable: true,
        nominated_node: None,
        phase: PodPhase::Pending,
        ready: false,
        created: Timestamp::EPOCH + Duration::ZERO,
        started: None,
        deleting: None,
    }
}

fn selector(key: &str, value: &str) -> Option<LabelSelector> {
    Some(LabelSelector { requirements: vec![Requirement::equals(key, value)] })
}

fn spread(key: &str, letter: &str) -> TopologySpread {
    TopologySpread {
        key: key.to_owned(),
        max_skew: 1,
        min_domains: None,
        when_unsatisfiable: WhenUnsatisfiable::DoNotSchedule,
        selector: selector("my-label", letter),
        match_label_keys: Vec::new(),
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: InclusionPolicy::Ignore,
    }
}

fn term(topology_key: &str, key: &str, value: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        key: topology_key.to_owned(),
        selector: selector(key, value),
        namespaces: Vec::new(),
        namespace_selector: None,
        match_label_keys: Vec::new(),
        mismatch_label_keys: Vec::new(),
    }
}
