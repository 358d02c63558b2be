//! Worlds that begin in the middle: what a cluster was doing when its objects were printed goes on.

use whittle_core::model::labels::{NOT_READY_TAINT, UNREGISTERED_TAINT};
use whittle_core::model::node::{Instance, Node};
use whittle_core::model::requirement::{TaintEffect, Toleration, TolerationOperator};

use super::*;

/// A pod as the API server has it: with what the template does not say.
fn live_pod(name: &str, spec: &PodSpec, node: &str) -> Pod {
    let mut spec = spec.clone();
    spec.labels.insert("pod-template-hash".into(), "5d8f".into());
    spec.tolerations.push(Toleration {
        key: Some(NOT_READY_TAINT.into()),
        operator: TolerationOperator::Exists,
        effect: Some(TaintEffect::NoExecute),
    });
    Pod {
        uid: format!("uid-{name}"),
        name: name.into(),
        spec: Arc::new(spec),
        volume_claims: Vec::new(),
        node: Some(node.to_owned()),
        unschedulable: false,
        nominated_node: None,
        phase: PodPhase::Running,
        ready: true,
        created: START_DEFAULT,
        started: Some(START_DEFAULT),
        deleting: None,
        stops_within: None,
    }
}

fn foreign_node(name: &str) -> Node {
    let room = Resources { cpu_millis: 8_000, memory_bytes: 32 * GIB, pods: 58, ..Resources::default() };
    Node {
        name: name.into(),
        provider_id: String::new(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        capacity: room.clone(),
        allocatable: room,
        ready: true,
        conditions: Vec::new(),
        do_not_disrupt: false,
        held: false,
        created: START_DEFAULT,
        deleting: None,
    }
}

/// A world with one node of somebody else and two pods of the workload on it, as they are in a real cluster.
fn adopted(kind: WorkloadKind, owner: (&str, &str), names: [&str; 2]) -> World {
    let (key, spec) = workload(kind, owner, 2);
    let pods = names.map(|name| live_pod(name, &spec.pod, "old")).to_vec();
    world_with(Objects {
        workloads: [(key, spec)].into(),
        nodes: BTreeMap::from([("old".to_owned(), foreign_node("old"))]),
        pods,
        ..Objects::default()
    })
}

#[test]
fn what_a_cluster_adds_to_its_pods_replaces_none_of_them() {
    let run = Duration::from_secs(7_200);
    let cases = [
        (WorkloadKind::Deployment, ("Deployment", "web"), ["web-5d8f-a", "web-5d8f-b"]),
        (WorkloadKind::Deployment, ("ReplicaSet", "web-5d8f"), ["web-5d8f-a", "web-5d8f-b"]),
        (
            WorkloadKind::StatefulSet { ordered: true, claims: vec![] },
            ("StatefulSet", "db"),
            ["db-0", "db-1"],
        ),
        (WorkloadKind::Job { completions: 2, run }, ("Job", "import"), ["import-a", "import-b"]),
    ];
    for (kind, owner, pods) in cases {
        let mut world = adopted(kind, owner, pods);
        world.advance(seconds(3_600));
        assert_eq!((names(&world), ready(&world)), (pods.map(str::to_owned).to_vec(), 2), "{owner:?}");
    }
    let (_, spec) = workload(WorkloadKind::DaemonSet, ("DaemonSet", "agent"), 0);
    let mut world = world_with(Objects {
        pods: vec![live_pod("agent-x", &spec.pod, "old")],
        workloads: [(key("DaemonSet", "agent"), spec)].into(),
        nodes: BTreeMap::from([("old".to_owned(), foreign_node("old"))]),
        ..Objects::default()
    });
    world.advance(seconds(3_600));
    assert_eq!((names(&world), ready(&world)), (vec!["agent-x".to_owned()], 1));
}

#[test]
fn a_template_that_is_applied_later_replaces_adopted_pods() {
    let mut world = adopted(WorkloadKind::Deployment, ("Deployment", "web"), ["web-5d8f-a", "web-5d8f-b"]);
    let (key, mut spec) = workload(WorkloadKind::Deployment, ("Deployment", "web"), 2);
    Arc::make_mut(&mut spec.pod).requests.cpu_millis = 500;
    let objects = Objects { workloads: [(key, spec)].into(), ..Objects::default() };
    world.enter(seconds(60), Step::Put(Box::new(objects)));
    world.advance(seconds(3_600));
    let cpu: Vec<u64> = world.pods.values().map(|entry| entry.pod.spec.requests.cpu_millis).collect();
    assert_eq!((cpu, ready(&world)), (vec![500, 500], 2));
}

#[test]
fn a_pod_of_a_job_that_runs_already_ends_when_its_time_is_over() {
    let run = Duration::from_secs(600);
    let kind = WorkloadKind::Job { completions: 2, run };
    let mut world = adopted(kind, ("Job", "import"), ["import-a", "import-b"]);
    world.advance(seconds(599));
    assert_eq!(ready(&world), 2);
    world.advance(seconds(700));
    assert_eq!(names(&world), Vec::<String>::new());
}

#[test]
fn a_node_of_somebody_else_is_counted_though_nobody_here_pays_for_it() {
    let world = adopted(WorkloadKind::Deployment, ("Deployment", "web"), ["web-5d8f-a", "web-5d8f-b"]);
    let meter = &world.meters.pools[crate::meter::NO_POOL];
    assert_eq!((meter.node_count(), meter.nodes_peak, meter.rate), (1, 1, Price::ZERO));
}

fn instance_launched_at(launched: Timestamp) -> Instance {
    let room = Resources { cpu_millis: 4_000, memory_bytes: 16 * GIB, pods: 58, ..Resources::default() };
    Instance {
        provider_id: "aws:///z2/i-0000000000000000a".into(),
        instance_type: "t1.large".into(),
        zone: "z2".into(),
        capacity_type: CapacityType::Spot,
        reservation: None,
        price: Price::from_micros(30_000),
        capacity: room.clone(),
        allocatable: room,
        launched,
    }
}

#[test]
fn an_instance_on_its_way_joins_when_it_would_have_joined() {
    for (flown, joins_after) in [(20, 10), (300, 0)] {
        let launched = START_DEFAULT - Duration::from_secs(flown);
        let in_flight = NodeClaim { instance: Some(instance_launched_at(launched)), ..claim("a") };
        let node_claims = BTreeMap::from([("a".to_owned(), in_flight)]);
        let mut world = world_with(Objects { node_claims, ..Objects::default() });
        if joins_after > 0 {
            world.advance(seconds(joins_after - 1));
            assert_eq!(world.nodes.len(), 0);
        }
        world.advance(seconds(joins_after));
        assert_eq!(world.nodes.len(), 1, "launched {flown} s ago");
    }
}

#[test]
fn a_node_that_has_just_joined_becomes_ready_and_no_second_one_joins() {
    let launched = START_DEFAULT - Duration::from_secs(33);
    let instance = instance_launched_at(launched);
    let taint = |key: &str| whittle_core::model::requirement::Taint {
        key: key.to_owned(),
        value: String::new(),
        effect: TaintEffect::NoExecute,
    };
    let node = Node {
        provider_id: instance.provider_id.clone(),
        taints: vec![taint(UNREGISTERED_TAINT), taint(NOT_READY_TAINT)],
        ready: false,
        created: START_DEFAULT - Duration::from_secs(3),
        ..foreign_node("ip-10-0-0-1")
    };
    let in_flight = NodeClaim { instance: Some(instance), ..claim("a") };
    let mut world = world_with(Objects {
        node_claims: BTreeMap::from([("a".to_owned(), in_flight)]),
        nodes: BTreeMap::from([(node.name.clone(), node)]),
        ..Objects::default()
    });
    world.advance(seconds(6));
    assert!(!world.nodes["ip-10-0-0-1"].ready);
    world.advance(seconds(120));
    assert_eq!(world.nodes.keys().collect::<Vec<_>>(), ["ip-10-0-0-1"]);
    assert!(world.nodes["ip-10-0-0-1"].ready);
    assert_eq!(world.meters.pools["pool"].node_count(), 1);
}
