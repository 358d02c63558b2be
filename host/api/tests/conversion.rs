//! From objects to the core's model.

use std::collections::BTreeMap;

use whittle_api::convert::budget::{CountOrPercent, DisruptionBudgetSpec, pod_disruption_budget};
use whittle_api::convert::node::node;
use whittle_api::convert::node_claim::{node_claim, node_claim_from};
use whittle_api::convert::node_class::{Reservation, Threshold, node_class_settings};
use whittle_api::convert::node_pool::node_pool;
use whittle_api::convert::pod::{Priorities, pod};
use whittle_api::convert::workload::{daemon_set, deployment, job, replica_set, stateful_set};
use whittle_api::manifest::{File, Loaded, Manifests, parse};
use whittle_core::model::instance_type::{CapacityType, ReservationKind};
use whittle_core::model::node_pool::{
    Budget, BudgetNodes, BudgetWindow, ConsolidationPolicy, Disruption, DisruptionReason,
};
use whittle_core::model::pod::{DoNotDisrupt, HostPort, LabelSelector, Owner, PodPhase, PodSpec, Preferred};
use whittle_core::model::requirement::{Operator, Requirement};
use whittle_core::model::resources::Resources;
use whittle_core::model::time::{Duration, Timestamp};

fn read(text: &str) -> Manifests {
    let manifests = parse(&[File { name: "x.yaml".into(), text: text.into() }]);
    assert_eq!(manifests.problems, [], "{text}");
    manifests
}

fn objects<T: Clone>(loaded: &[Loaded<T>]) -> Vec<T> {
    loaded.iter().map(|one| one.object.clone()).collect()
}

/// The pod with this spec, and with this metadata beside its name.
fn pod_with(metadata: &str, spec: &str) -> whittle_core::model::pod::Pod {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: shop{metadata}}}, spec: {{{spec}}}}}"
    );
    pod(&read(&text).pods[0].object, &Priorities::new(&[])).expect("the pod has no defects")
}

fn spec_of(spec: &str) -> PodSpec {
    PodSpec::clone(&pod_with("", spec).spec)
}

const GOOD: &str = include_str!("manifests/good/general-purpose.yaml");

#[test]
fn a_node_pool_is_converted_with_its_defaults_and_stable_label_names() {
    let pool = node_pool(&read(GOOD).node_pools[0].object).unwrap();
    assert_eq!((pool.name.as_str(), pool.weight, pool.node_class.as_str()), ("general", 10, "default"));
    let requirement = |key: &str, operator, values: &[&str], min_values| Requirement {
        min_values,
        ..Requirement::new(key, operator, values.iter().copied())
    };
    let wanted = [
        requirement("kubernetes.io/arch", Operator::In, &["amd64"], None),
        requirement("kubernetes.io/os", Operator::In, &["linux"], None),
        requirement("karpenter.sh/capacity-type", Operator::In, &["spot", "on-demand"], None),
        requirement("karpenter.k8s.aws/instance-category", Operator::In, &["c", "m", "r"], Some(2)),
        requirement("karpenter.k8s.aws/instance-generation", Operator::Gte, &["5"], None),
        requirement("karpenter.k8s.aws/instance-cpu", Operator::Lte, &["64"], None),
        requirement("karpenter.k8s.aws/instance-hypervisor", Operator::Exists, &[], None),
    ];
    assert_eq!(pool.requirements, wanted);
    let limits = [("cpu", 1_000_000), ("memory", 1_000 << 30), ("nodes", 100)];
    assert_eq!(pool.limits, limits.map(|(name, limit)| (name.to_owned(), limit)).into());
    let window = |schedule: &str, minutes: u64| {
        Some(BudgetWindow { schedule: schedule.into(), duration: Duration::from_secs(minutes * 60) })
    };
    let disruption = Disruption {
        consolidate_after: Some(Duration::from_secs(60)),
        policy: ConsolidationPolicy::WhenEmptyOrUnderutilized,
        budgets: vec![
            Budget { nodes: BudgetNodes::Percent(10), reasons: vec![], window: None },
            Budget {
                nodes: BudgetNodes::Count(0),
                reasons: vec![DisruptionReason::Underutilized],
                window: window("0 0 * * *", 10),
            },
            Budget { nodes: BudgetNodes::Count(2), reasons: vec![], window: window("0 9 * * mon-fri", 510) },
        ],
    };
    assert_eq!(pool.disruption, disruption);
    assert_eq!(pool.expire_after, Some(Duration::from_secs(336 * 3_600)));
    assert_eq!(pool.termination_grace_period, Some(Duration::from_secs(48 * 3_600)));
    assert_eq!((pool.replicas, pool.ready, pool.deleting), (None, true, false));
}

#[test]
fn what_a_node_pool_does_not_say_has_karpenters_defaults() {
    let manifests = read(include_str!("manifests/good/node-pool-list.json"));
    let pool = node_pool(&manifests.node_pools[0].object).unwrap();
    let tenth = Budget { nodes: BudgetNodes::Percent(10), reasons: vec![], window: None };
    let disruption = Disruption {
        consolidate_after: Some(Duration::ZERO),
        policy: ConsolidationPolicy::WhenEmptyOrUnderutilized,
        budgets: vec![tenth],
    };
    assert_eq!((pool.weight, &pool.disruption), (0, &disruption));
    assert_eq!(
        (pool.expire_after, pool.termination_grace_period),
        (Some(Duration::from_secs(720 * 3_600)), None)
    );
    assert!(!pool.ready, "its status says so");
}

#[test]
fn never_is_no_span_and_no_budget_is_none() {
    let manifests = read(include_str!("manifests/good/special.yaml"));
    let gpu = node_pool(&manifests.node_pools[0].object).unwrap();
    assert_eq!((gpu.expire_after, gpu.disruption.consolidate_after), (None, None));
    assert_eq!((gpu.disruption.budgets.len(), gpu.disruption.policy), (0, ConsolidationPolicy::WhenEmpty));
    let windows = node_pool(&manifests.node_pools[1].object).unwrap();
    assert_eq!(windows.replicas, Some(2));
}

#[test]
fn the_effective_requests_of_pods() {
    let gib = 1 << 30;
    let table: &[(&str, u64, u64)] = &[
        ("containers: [{name: a}]", 0, 0),
        ("containers: [{name: a, resources: {requests: {cpu: 250m, memory: 1Gi}}}]", 250, gib),
        (
            "containers: [{name: a, resources: {requests: {cpu: 1}}}, {name: b, resources: {requests: {cpu: 0.5}}}]",
            1_500,
            0,
        ),
        // Limits count where requests are absent, resource by resource.
        (
            "containers: [{name: a, resources: {limits: {cpu: 2, memory: 2Gi}, requests: {memory: 1Gi}}}]",
            2_000,
            gib,
        ),
        ("containers: [{name: a, resources: {limits: {cpu: 2}, requests: {cpu: 0}}}]", 0, 0),
        // An init container counts when it is larger than all containers together.
        (
            "containers: [{name: a, resources: {requests: {cpu: 1, memory: 2Gi}}}], initContainers: [{name: i, resources: {requests: {cpu: 3, memory: 1Gi}}}]",
            3_000,
            2 * gib,
        ),
        // A sidecar runs beside the containers and beside the init containers after it.
        (
            "containers: [{name: a, resources: {requests: {cpu: 1}}}], initContainers: [{name: s, restartPolicy: Always, resources: {requests: {cpu: 2}}}, {name: i, resources: {requests: {cpu: 3}}}]",
            5_000,
            0,
        ),
        // … and not beside those before it.
        (
            "containers: [{name: a, resources: {requests: {cpu: 1}}}], initContainers: [{name: i, resources: {requests: {cpu: 3}}}, {name: s, restartPolicy: Always, resources: {requests: {cpu: 2}}}]",
            3_000,
            0,
        ),
        (
            "containers: [{name: a, resources: {requests: {cpu: 1}}}], overhead: {cpu: 250m, memory: 1Gi}",
            1_250,
            gib,
        ),
        // What is said for the pod replaces the sum, and a limit of the pod counts where nobody requests.
        (
            "containers: [{name: a, resources: {requests: {cpu: 1}}}], resources: {requests: {cpu: 3}, limits: {memory: 1Gi}}",
            3_000,
            gib,
        ),
        ("containers: [{name: a, resources: {requests: {cpu: 1}}}], resources: {limits: {cpu: 3}}", 1_000, 0),
    ];
    for (spec, cpu_millis, memory_bytes) in table {
        let wanted = Resources {
            cpu_millis: *cpu_millis,
            memory_bytes: *memory_bytes,
            pods: 1,
            ..Resources::default()
        };
        assert_eq!(spec_of(spec).requests, wanted, "{spec}");
    }
    let gpu = spec_of("containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]");
    assert_eq!(gpu.requests.extended, BTreeMap::from([("nvidia.com/gpu".to_owned(), 2)]));
}

#[test]
fn a_pod_that_is_being_resized_holds_the_larger_of_what_it_asks_for_and_what_it_has() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, resources: {requests: {cpu: 1, memory: 2Gi}}}]}, status: {phase: Running, containerStatuses: [{name: a, image: a, imageID: a, ready: true, restartCount: 0, allocatedResources: {cpu: 2, memory: 1Gi}}]}}";
    let live = pod(&read(text).pods[0].object, &Priorities::new(&[])).unwrap();
    assert_eq!((live.spec.requests.cpu_millis, live.spec.requests.memory_bytes), (2_000, 2 << 30));
    assert_eq!(live.phase, PodPhase::Running);
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, resources: {requests: {cpu: 1}}}], initContainers: [{name: s, restartPolicy: Always, resources: {requests: {cpu: 1}}}, {name: i, resources: {requests: {cpu: 1}}}]}, status: {initContainerStatuses: [{name: s, image: a, imageID: a, ready: true, restartCount: 0, allocatedResources: {cpu: 3}}, {name: i, image: a, imageID: a, ready: true, restartCount: 0, allocatedResources: {cpu: 9}}]}}";
    let live = pod(&read(text).pods[0].object, &Priorities::new(&[])).unwrap();
    assert_eq!(live.spec.requests.cpu_millis, 4_000, "a sidecar may be resized, an init container has ended");
}

#[test]
fn the_node_selector_is_part_of_every_alternative() {
    let arch = || Requirement::equals("kubernetes.io/arch", "arm64");
    let selector = "nodeSelector: {beta.kubernetes.io/arch: arm64}, containers: []";
    assert_eq!(spec_of("containers: []").node_affinity, Vec::<Vec<Requirement>>::new());
    assert_eq!(spec_of(selector).node_affinity, [vec![arch()]]);
    let affinity = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: topology.ebs.csi.aws.com/zone, operator: In, values: [a]}]}, {}, {matchExpressions: [{key: cpu, operator: Gt, values: ['4']}]}]}}}";
    let zone = Requirement::equals("topology.kubernetes.io/zone", "a");
    let cpu = Requirement::new("cpu", Operator::Gt, ["4"]);
    let wanted = [vec![arch(), zone], vec![arch(), cpu]];
    assert_eq!(spec_of(&format!("{selector}, {affinity}")).node_affinity, wanted);
}

#[test]
fn preferences_are_sorted_heaviest_first_and_keep_their_order_otherwise() {
    let term = |weight: i32, key: &str| {
        format!("{{weight: {weight}, preference: {{matchExpressions: [{{key: {key}, operator: Exists}}]}}}}")
    };
    let preferred = [term(1, "a"), term(50, "b"), term(50, "c"), term(100, "d")].join(", ");
    let spec = spec_of(&format!(
        "containers: [], affinity: {{nodeAffinity: {{preferredDuringSchedulingIgnoredDuringExecution: [{preferred}]}}}}"
    ));
    let wanted = [(100, "d"), (50, "b"), (50, "c"), (1, "a")].map(|(weight, key)| Preferred {
        weight,
        term: vec![Requirement::new(key, Operator::Exists, [""; 0])],
    });
    assert_eq!(spec.preferred_node_affinity, wanted);
}

#[test]
fn conditions_on_a_nodes_name_are_refused_only_where_a_new_node_is_needed() {
    let spec = "containers: [], affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [node-1]}]}]}}}";
    let text = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{{spec}}}}}");
    let pending = parse(&[File { name: "x".into(), text }]);
    assert_eq!(pending.problems[0].defect.found, "conditions on the node's name");
    let bound = spec_of(&format!("nodeName: node-1, {spec}"));
    assert_eq!(bound.node_affinity, [vec![Requirement::equals("kubernetes.io/hostname", "node-1")]]);
    let owner =
        ", ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agent, uid: u, controller: true}]";
    assert_eq!(pod_with(owner, spec).spec.node_affinity, Vec::<Vec<Requirement>>::new());
}

#[test]
fn terms_on_other_pods_mean_the_pods_own_namespace_unless_they_say_otherwise() {
    let near = "containers: [], affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: failure-domain.beta.kubernetes.io/zone, labelSelector: {matchLabels: {app: db}}}, {topologyKey: kubernetes.io/hostname, namespaceSelector: {}}]}}";
    let terms = spec_of(near).pod_affinity;
    assert_eq!(
        (terms[0].key.as_str(), &terms[0].namespaces),
        ("topology.kubernetes.io/zone", &vec!["shop".to_owned()])
    );
    let selector = LabelSelector { requirements: vec![Requirement::equals("app", "db")] };
    assert_eq!((&terms[0].selector, &terms[0].namespace_selector), (&Some(selector), &None));
    assert_eq!((terms[1].namespaces.len(), &terms[1].selector), (0, &None));
    assert_eq!(terms[1].namespace_selector, Some(LabelSelector::default()));
}

#[test]
fn host_ports_are_those_of_containers_and_sidecars_and_all_with_the_hosts_network() {
    let port = |ip: &str, port, protocol: &str| HostPort { ip: ip.into(), port, protocol: protocol.into() };
    let ports = "containers: [{name: a, ports: [{containerPort: 80, hostPort: 8080}, {containerPort: 81}, {containerPort: 53, hostPort: 53, protocol: UDP, hostIP: 10.0.0.1}]}], initContainers: [{name: s, restartPolicy: Always, ports: [{containerPort: 9, hostPort: 9}]}, {name: i, ports: [{containerPort: 7, hostPort: 7}]}]";
    let wanted = [port("0.0.0.0", 9, "TCP"), port("0.0.0.0", 8_080, "TCP"), port("10.0.0.1", 53, "UDP")];
    assert_eq!(spec_of(ports).host_ports, wanted);
    let network = "hostNetwork: true, containers: [{name: a, ports: [{containerPort: 9100}]}]";
    assert_eq!(spec_of(network).host_ports, [port("0.0.0.0", 9_100, "TCP")]);
}

#[test]
fn only_true_and_positive_durations_ask_to_be_left_alone() {
    let table = [
        ("\"true\"", Some(DoNotDisrupt::Always)),
        ("1h30m", Some(DoNotDisrupt::For(Duration::from_secs(5_400)))),
        ("\"false\"", None),
        ("0s", None),
        ("-5m", None),
        ("soon", None),
    ];
    for (value, wanted) in table {
        let metadata = format!(", annotations: {{karpenter.sh/do-not-disrupt: {value}}}");
        assert_eq!(pod_with(&metadata, "containers: []").spec.do_not_disrupt, wanted, "{value}");
    }
}

#[test]
fn a_pod_of_a_deployments_replica_set_belongs_to_the_deployment() {
    let reference = |kind: &str, name: &str| {
        format!(
            ", ownerReferences: [{{apiVersion: apps/v1, kind: {kind}, name: {name}, uid: u, controller: true}}]"
        )
    };
    let owner = |metadata: &str| pod_with(metadata, "containers: []").spec.owner.clone();
    let named = |kind: &str, name: &str| Some(Owner { kind: kind.into(), name: name.into() });
    let hashed = format!(", labels: {{pod-template-hash: 7d9c}}{}", reference("ReplicaSet", "web-7d9c"));
    assert_eq!(owner(&hashed), named("Deployment", "web"));
    assert_eq!(owner(&reference("ReplicaSet", "web-7d9c")), named("ReplicaSet", "web-7d9c"));
    assert_eq!(owner(&reference("StatefulSet", "db")), named("StatefulSet", "db"));
    assert_eq!(owner(""), None);
}

#[test]
fn the_rest_of_a_live_pod() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: p, uid: u1, creationTimestamp: '1970-01-01T00:00:01Z', annotations: {controller.kubernetes.io/pod-deletion-cost: '-7'}}, spec: {containers: [], terminationGracePeriodSeconds: 5, priorityClassName: system-cluster-critical, volumes: [{name: a, persistentVolumeClaim: {claimName: data}}, {name: b, ephemeral: {volumeClaimTemplate: {spec: {}}}}, {name: c, emptyDir: {}}]}, status: {phase: Pending, nominatedNodeName: node-1, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]}}";
    let live = pod(&read(text).pods[0].object, &Priorities::new(&[])).unwrap();
    assert_eq!((live.uid.as_str(), live.full_name().as_str()), ("u1", "default/p"));
    assert_eq!(live.volume_claims, ["data", "p-b"]);
    assert_eq!((live.created, live.started), (Timestamp::from_millis(1_000), None));
    assert_eq!((live.phase, live.ready, live.unschedulable), (PodPhase::Pending, false, true));
    assert_eq!((live.node, live.nominated_node.as_deref()), (None, Some("node-1")));
    let spec = &live.spec;
    assert_eq!(
        (spec.priority, spec.deletion_cost, spec.termination_grace_period),
        (2_000_000_000, -7, Duration::from_secs(5))
    );
    assert_eq!(pod_with("", "containers: []").spec.termination_grace_period, Duration::from_secs(30));
}

#[test]
fn workloads_say_how_many_equal_pods_they_want() {
    let manifests = read(include_str!("manifests/good/cluster.yml"));
    let priorities = Priorities::new(&objects(&manifests.priority_classes));
    let db = stateful_set(&manifests.stateful_sets[0].object, &priorities).unwrap();
    assert_eq!((db.replicas, db.spec.priority, db.claim_templates.len()), (1, 1_000, 1));
    assert_eq!((db.spec.requests.cpu_millis, db.spec.requests.memory_bytes), (1_000, 1 << 30));
    let import = job(&manifests.jobs[0].object, &priorities).unwrap();
    assert_eq!(import.replicas, 2, "no more than are to complete");
    let agent = daemon_set(&manifests.daemon_sets[0].object, &priorities).unwrap();
    assert_eq!(
        (agent.namespace.as_str(), agent.name.as_str(), agent.spec.priority),
        ("kube-system", "agent", 2_000_001_000)
    );
    let list = read(include_str!("manifests/good/kubectl-list.yaml"));
    let web = deployment(&list.deployments[0].object, &priorities).unwrap();
    assert_eq!((web.replicas, web.owner.kind.as_str(), web.spec.requests.cpu_millis), (3, "Deployment", 250));
    assert_eq!(
        web.spec.node_affinity,
        [vec![Requirement::equals("topology.kubernetes.io/zone", "eu-central-1a")]]
    );
    let text = "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-7d9c, labels: {pod-template-hash: 7d9c}, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: u, controller: true}]}, spec: {replicas: 0, selector: {}, template: {spec: {containers: []}}}}";
    let set = replica_set(&read(text).replica_sets[0].object, &priorities).unwrap();
    assert_eq!((set.replicas, set.owner.kind.as_str(), set.owner.name.as_str()), (0, "Deployment", "web"));
}

#[test]
fn a_node_has_stable_labels_and_what_the_kubelet_reports() {
    let text = "{apiVersion: v1, kind: Node, metadata: {name: node-1, labels: {beta.kubernetes.io/arch: amd64, kubernetes.io/arch: arm64, beta.kubernetes.io/os: linux}, annotations: {karpenter.sh/do-not-disrupt: 'true'}}, spec: {providerID: 'aws:///a/i-1'}, status: {capacity: {cpu: 2, memory: 1Ki, pods: 10, nvidia.com/gpu: 1, hugepages-2Mi: 0}, conditions: [{type: Ready, status: 'True'}]}}";
    let node = node(&read(text).nodes[0].object).unwrap();
    let labels = [("kubernetes.io/arch", "arm64"), ("kubernetes.io/os", "linux")];
    assert_eq!(node.labels, labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    let extended = BTreeMap::from([("nvidia.com/gpu".to_owned(), 1)]);
    let capacity =
        Resources { cpu_millis: 2_000, memory_bytes: 1_024, pods: 10, ephemeral_storage_bytes: 0, extended };
    assert_eq!((&node.capacity, &node.allocatable), (&capacity, &capacity));
    assert!(node.ready && node.do_not_disrupt);
}

#[test]
fn a_node_claim_goes_to_the_core_and_back() {
    let text = "{apiVersion: karpenter.sh/v1, kind: NodeClaim, metadata: {name: c, creationTimestamp: '1970-01-01T00:00:01Z', labels: {karpenter.sh/nodepool: general, karpenter.sh/capacity-type: spot, node.kubernetes.io/instance-type: m6i.large}}, spec: {nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}, requirements: [{key: karpenter.sh/capacity-type, operator: In, values: [spot]}], taints: [{key: a, effect: NoSchedule}], resources: {requests: {cpu: 1500m, pods: '3'}}, terminationGracePeriod: 1h, expireAfter: Never}, status: {providerID: 'aws:///eu-central-1a/i-1', nodeName: node-1, capacity: {cpu: '2', memory: 8Gi}, allocatable: {cpu: 1930m, memory: 7Gi}, conditions: [{type: Launched, status: 'True', reason: Launched, message: '', lastTransitionTime: '1970-01-01T00:00:02Z'}, {type: Registered, status: 'True', reason: Registered, message: '', lastTransitionTime: '1970-01-01T00:00:03Z'}, {type: Initialized, status: 'False', reason: NodeNotReady, message: '', lastTransitionTime: '1970-01-01T00:00:04Z'}]}}";
    let claim = node_claim(&read(text).node_claims[0].object).unwrap();
    assert_eq!(
        (claim.node_pool.as_str(), claim.node_class.as_str(), claim.node.as_deref()),
        ("general", "default", Some("node-1"))
    );
    let second = |seconds: u64| Some(Timestamp::from_millis(seconds * 1_000));
    assert_eq!((claim.registered, claim.initialized), (second(3), None));
    assert_eq!(
        (claim.expire_after, claim.termination_grace_period),
        (None, Some(Duration::from_secs(3_600)))
    );
    let instance = claim.instance.clone().unwrap();
    assert_eq!((instance.zone.as_str(), instance.instance_type.as_str()), ("eu-central-1a", "m6i.large"));
    assert_eq!((instance.capacity_type, Some(instance.launched)), (CapacityType::Spot, second(2)));
    assert_eq!(node_claim(&node_claim_from(&claim)).unwrap(), claim);
    let yaml = serde_json::to_string(&node_claim_from(&claim)).unwrap();
    assert_eq!(read(&yaml).node_claims.len(), 1, "what is written can be read");
}

#[test]
fn a_node_claim_says_whether_minimum_values_were_lowered_for_it() {
    const ANNOTATION: &str = "karpenter.sh/nodeclaim-min-values-relaxed";
    for (annotations, expected) in [
        (format!("{ANNOTATION}: 'true'"), true),
        (format!("{ANNOTATION}: 'false'"), false),
        ("other: 'true'".to_owned(), false),
    ] {
        let text = format!(
            "{{apiVersion: karpenter.sh/v1, kind: NodeClaim, metadata: {{name: c, annotations: {{{annotations}}}}}, spec: {{nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}}, requirements: []}}}}"
        );
        let claim = node_claim(&read(&text).node_claims[0].object).unwrap();
        assert_eq!(claim.min_values_relaxed, expected, "{annotations}");
        let written = node_claim_from(&claim).metadata.annotations.unwrap();
        assert_eq!(
            written.get(ANNOTATION).map(String::as_str),
            Some(if expected { "true" } else { "false" })
        );
    }
}

#[test]
fn a_budget_says_what_it_allows_and_gives_its_rule() {
    let budget = |spec: &str, status: &str| {
        let text = format!(
            "{{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {{name: b}}, spec: {{{spec}}}{status}}}"
        );
        pod_disruption_budget(&read(&text).pod_disruption_budgets[0].object).unwrap()
    };
    let status = ", status: {disruptionsAllowed: 2, currentHealthy: 3, desiredHealthy: 1, expectedPods: 3}";
    let (live, rule) =
        budget("minAvailable: 50%, selector: {}, unhealthyPodEvictionPolicy: AlwaysAllow", status);
    assert_eq!((live.disruptions_allowed, live.always_allow_unready, live.blocks_always), (2, true, false));
    let wanted = DisruptionBudgetSpec {
        min_available: Some(CountOrPercent::Percent(50)),
        max_unavailable: None,
        has_status: true,
    };
    assert_eq!(rule, wanted);
    assert_eq!([rule.disruptions_allowed(3, 3), rule.disruptions_allowed(1, 3)], [1, 0]);
    for blocking in ["maxUnavailable: 0", "maxUnavailable: 0%", "minAvailable: 100%"] {
        let (file, rule) = budget(blocking, "");
        assert_eq!((file.blocks_always, file.selector, rule.has_status), (true, None, false), "{blocking}");
        assert_eq!(rule.disruptions_allowed(5, 5), 0, "{blocking}");
    }
    assert_eq!(budget("maxUnavailable: 30%", "").1.disruptions_allowed(10, 10), 3);
    assert_eq!(budget("minAvailable: 2", "").1.disruptions_allowed(5, 5), 3);
}

#[test]
fn a_node_class_says_what_the_catalogue_needs() {
    let settings = node_class_settings(&read(GOOD).node_classes[0].object).unwrap();
    assert_eq!((settings.max_pods, settings.pods_per_core), (Some(58), Some(10)));
    assert_eq!(
        settings.root_volume_bytes,
        Some(100 << 30),
        "the device where Amazon Linux keeps pods' files"
    );
    let map = |entries: &[(&str, u64)]| {
        entries.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(
        settings.system_reserved,
        map(&[("cpu", 100), ("memory", 100 << 20), ("ephemeral-storage", 1 << 30)])
    );
    assert_eq!(settings.kube_reserved, map(&[("cpu", 200)]));
    let hard = [
        ("memory.available", Threshold::PerMillion(50_000)),
        ("nodefs.available", Threshold::Amount(10 << 30)),
    ];
    assert_eq!(settings.eviction_hard, hard.map(|(signal, threshold)| (signal.to_owned(), threshold)).into());
    let special = read(include_str!("manifests/good/special.yaml"));
    let gpu = node_class_settings(&special.node_classes[0].object).unwrap();
    assert_eq!(
        (gpu.instance_store_raid0, gpu.root_volume_bytes, gpu.nested_virtualization),
        (true, None, true)
    );
    let windows = node_class_settings(&special.node_classes[1].object).unwrap();
    assert_eq!(windows.root_volume_bytes, Some(1 << 40));
}

#[test]
fn capacity_reservations_that_last_are_those_that_a_class_may_use() {
    let found = |id: &str, rest: &str| {
        format!(
            "{{id: {id}, availabilityZone: eu-central-1a, instanceType: m6i.large, instanceMatchCriteria: open, ownerID: '123456789012'{rest}}}"
        )
    };
    let all = [
        found("cr-2", ", reservationType: capacity-block, state: active"),
        found("cr-1", ""),
        found("cr-3", ", state: expiring"),
    ];
    let text = format!(
        "{{apiVersion: karpenter.k8s.aws/v1, kind: EC2NodeClass, metadata: {{name: c}}, spec: {{role: r, amiSelectorTerms: [{{alias: al2023@latest}}], subnetSelectorTerms: [{{id: subnet-1}}], securityGroupSelectorTerms: [{{id: sg-1}}]}}, status: {{capacityReservations: [{}]}}}}",
        all.join(", ")
    );
    let settings = node_class_settings(&read(&text).node_classes[0].object).unwrap();
    let expected = [("cr-1", ReservationKind::Default), ("cr-2", ReservationKind::CapacityBlock)];
    let expected = expected.map(|(id, kind)| Reservation {
        id: id.into(),
        instance_type: "m6i.large".into(),
        zone: "eu-central-1a".into(),
        kind,
    });
    assert_eq!(settings.reservations, expected);
}
