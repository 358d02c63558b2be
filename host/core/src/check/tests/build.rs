//! A small cluster to be changed, and tables of changes with what they must give.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::check;
use crate::check::legal::keep_legal;
use crate::event::{Event, Notice, NoticeKind};
use crate::model::instance_type::{CapacityType, InstanceType, Offering};
use crate::model::labels::{
    ARCH, CAPACITY_TYPE, DISRUPTED_TAINT, HOSTNAME, INSTANCE_TYPE, NODE_POOL, OS, ZONE,
};
use crate::model::node::{Instance, Node, NodeClaim, VolumeLimits};
use crate::model::node_pool::{
    Budget, BudgetNodes, ConsolidationPolicy, DaemonSet, Disruption, DisruptionReason, NodeClass, NodePool,
    PodDisruptionBudget, VolumeBinding, VolumeClaim,
};
use crate::model::pod::{
    InclusionPolicy, LabelSelector, Owner, Pod, PodAffinityTerm, PodPhase, PodSpec, TopologySpread,
    WhenUnsatisfiable,
};
use crate::model::price::Price;
use crate::model::requirement::{Requirement, Taint, TaintEffect, Toleration, TolerationOperator};
use crate::model::resources::Resources;
use crate::model::time::{Duration, Timestamp};
use crate::plan::{
    Action, Cordon, Delete, DeleteReason, Eviction, Launch, LaunchOffering, Nomination, Outcome, Plan,
};
use crate::settings::Settings;
use crate::state::ClusterState;

pub(super) const NOW: Timestamp = Timestamp::from_millis(36_000_000);
pub(super) const GIB: u64 = 1 << 30;

/// A cluster and a plan for it.
#[derive(Clone, Default)]
pub(super) struct Scene {
    pub(super) settings: Settings,
    pub(super) pool: Option<NodePool>,
    pub(super) class: Option<NodeClass>,
    pub(super) nodes: Vec<(Option<NodeClaim>, Option<Node>)>,
    pub(super) pods: Vec<Pod>,
    pub(super) daemon_sets: Vec<DaemonSet>,
    pub(super) budgets: Vec<PodDisruptionBudget>,
    pub(super) volumes: Vec<VolumeClaim>,
    pub(super) others: Vec<Event>,
    pub(super) actions: Vec<Action>,
    pub(super) nominations: Vec<(&'static str, &'static str)>,
}

impl Scene {
    /// The violations of the plan, as they print.
    pub(super) fn judge(self) -> Vec<String> {
        let (state, plan) = self.known();
        check(state.snapshot(), &plan, NOW).iter().map(ToString::to_string).collect()
    }

    /// What is left of the plan, and the violations for which the rest was left out, as they print.
    pub(super) fn keep_legal(self) -> (Vec<Action>, Vec<String>) {
        let (state, mut plan) = self.known();
        let violations = keep_legal(state.snapshot(), &mut plan, NOW);
        (plan.actions, violations.iter().map(ToString::to_string).collect())
    }

    /// The cluster, and the plan for it.
    fn known(self) -> (ClusterState, Plan) {
        let mut state = ClusterState::new(self.settings);
        let (claims, nodes): (Vec<_>, Vec<_>) = self.nodes.into_iter().unzip();
        let mut events: Vec<Event> = Vec::new();
        events.extend(self.pool.map(|pool| Event::NodePool(Box::new(pool))));
        events.extend(self.class.map(Event::NodeClass));
        events.extend(claims.into_iter().flatten().map(|claim| Event::NodeClaim(Box::new(claim))));
        events.extend(nodes.into_iter().flatten().map(|node| Event::Node(Box::new(node))));
        events.extend(self.volumes.into_iter().map(Event::VolumeClaim));
        events.extend(self.daemon_sets.into_iter().map(Event::DaemonSet));
        events.extend(self.budgets.into_iter().map(Event::PodDisruptionBudget));
        events.extend(self.pods.into_iter().map(Arc::new).map(Event::Pod));
        events.extend(self.others);
        for event in events {
            // Long ago: pods that arrive end the quiet of their nodes.
            state.apply(event, Timestamp::EPOCH);
        }
        let earlier = self.nominations.iter().map(|(pod, place)| nominate(pod, place)).collect();
        state.expect(&Plan { actions: earlier, ..Plan::default() }, NOW);
        (state, Plan { actions: self.actions, ..Plan::default() })
    }

    pub(super) fn pool(&mut self) -> &mut NodePool {
        self.pool.as_mut().unwrap()
    }

    pub(super) fn claim(&mut self, ord: usize) -> &mut NodeClaim {
        self.nodes[ord].0.as_mut().unwrap()
    }

    pub(super) fn node(&mut self, ord: usize) -> &mut Node {
        self.nodes[ord].1.as_mut().unwrap()
    }

    /// What the pods of the same kind as this one have in common, to be changed.
    pub(super) fn spec(&mut self, pod: usize) -> &mut PodSpec {
        Arc::make_mut(&mut self.pods[pod].spec)
    }

    /// The labels of the first launch.
    pub(super) fn labels(&mut self) -> &mut BTreeMap<String, String> {
        Arc::make_mut(&mut self.launch().labels)
    }

    pub(super) fn launch(&mut self) -> &mut Launch {
        let mut launches = self.actions.iter_mut().filter_map(|action| match action {
            Action::Launch(launch) => Some(&mut **launch),
            _ => None,
        });
        launches.next().unwrap()
    }

    /// The first type of the class, to be changed.
    pub(super) fn small(&mut self) -> &mut InstanceType {
        let class = self.class.as_mut().unwrap();
        &mut Arc::get_mut(&mut class.instance_types).unwrap()[0]
    }

    pub(super) fn with(mut self, change: fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// One change to a legal scene, and the violations that it must give.
pub(super) type Case = (fn(&mut Scene), &'static [&'static str]);

/// The scene is legal, and each change gives exactly its violations.
pub(super) fn each(legal: fn() -> Scene, cases: &[Case]) {
    assert_eq!(legal().judge(), Vec::<String>::new(), "the scene itself");
    for (ord, (change, expected)) in cases.iter().enumerate() {
        assert_eq!(legal().with(*change).judge(), *expected, "case {ord}");
    }
}

/// A NodePool and its class, nothing else.
pub(super) fn empty() -> Scene {
    Scene { pool: Some(pool()), class: Some(class()), ..Scene::default() }
}

pub(super) fn pool() -> NodePool {
    NodePool {
        name: "default".into(),
        weight: 0,
        node_class: "al2023".into(),
        requirements: Vec::new(),
        labels: BTreeMap::from([("team".into(), "shop".into())]),
        annotations: BTreeMap::new(),
        taints: Vec::new(),
        startup_taints: Vec::new(),
        limits: BTreeMap::new(),
        disruption: Disruption {
            consolidate_after: Some(Duration::from_secs(60)),
            policy: ConsolidationPolicy::WhenEmptyOrUnderutilized,
            budgets: vec![Budget { nodes: BudgetNodes::Percent(50), reasons: Vec::new(), window: None }],
        },
        expire_after: None,
        termination_grace_period: None,
        replicas: None,
        ready: true,
        deleting: false,
    }
}

/// `small` with 2 and `large` with 8 CPUs, each in the zones a, b and c, for 100 and 400 micro-dollars.
pub(super) fn class() -> NodeClass {
    let types = [("small", 2, 100), ("large", 8, 400)];
    let instance_types = types.map(|(name, cpus, micros)| {
        let labels = [(ARCH, "amd64"), (OS, "linux"), ("karpenter.k8s.aws/instance-cpu", &cpus.to_string())]
            .map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
        let offerings = ["a", "b", "c"].map(|zone| Offering {
            zone: zone.into(),
            zone_id: format!("id-{zone}"),
            capacity_type: CapacityType::OnDemand,
            price: Price::from_micros(micros),
            estimated: false,
            available: true,
            reservation: None,
        });
        InstanceType {
            name: name.into(),
            labels: BTreeMap::from(labels),
            capacity: amount(cpus * 1_000, cpus * 4),
            overhead: Resources::default(),
            offerings: offerings.to_vec(),
        }
    });
    NodeClass {
        name: "al2023".into(),
        ready: true,
        fingerprint: None,
        instance_types: Arc::from(instance_types),
    }
}

pub(super) fn amount(cpu_millis: u64, gib: u64) -> Resources {
    Resources { cpu_millis, memory_bytes: gib * GIB, pods: 10, ..Resources::default() }
}

/// An initialized node of the pool with 2 CPUs in a zone, and its NodeClaim: `node-x` and `claim-x`.
pub(super) fn node(name: &str, zone: &str) -> (Option<NodeClaim>, Option<Node>) {
    let provider_id = format!("aws:///{zone}/i-{name}");
    let (node_name, claim_name) = (format!("node-{name}"), format!("claim-{name}"));
    let labels = [
        (ZONE, zone),
        (HOSTNAME, node_name.as_str()),
        (NODE_POOL, "default"),
        (ARCH, "amd64"),
        (OS, "linux"),
        (INSTANCE_TYPE, "small"),
        (CAPACITY_TYPE, "on-demand"),
        ("team", "shop"),
    ];
    let node = Node {
        name: node_name.clone(),
        provider_id: provider_id.clone(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        taints: Vec::new(),
        capacity: amount(2_000, 8),
        allocatable: amount(2_000, 8),
        ready: true,
        conditions: Vec::new(),
        do_not_disrupt: false,
        held: true,
        created: Timestamp::EPOCH,
        deleting: None,
    };
    let instance = Instance {
        provider_id,
        instance_type: "small".into(),
        zone: zone.into(),
        capacity_type: CapacityType::OnDemand,
        reservation: None,
        price: Price::from_micros(100),
        capacity: amount(2_000, 8),
        allocatable: amount(2_000, 8),
        launched: Timestamp::EPOCH,
    };
    let claim = NodeClaim {
        name: claim_name,
        node_pool: "default".into(),
        node_class: "al2023".into(),
        labels: BTreeMap::from([("team".into(), "shop".into()), (NODE_POOL.into(), "default".into())]),
        instance: Some(instance),
        node: Some(node_name),
        registered: Some(Timestamp::EPOCH),
        initialized: Some(Timestamp::EPOCH),
        ..NodeClaim::default()
    };
    (Some(claim), Some(node))
}

/// A pod `shop/x` of the Deployment `web` that waits and asks for 500 millis and 1 GiB. Its uid is its name.
pub(super) fn pod(name: &str) -> Pod {
    let spec = PodSpec {
        namespace: "shop".into(),
        owner: Some(Owner { kind: "Deployment".into(), name: "web".into() }),
        labels: BTreeMap::from([("app".into(), "web".into())]),
        requests: Resources { pods: 1, ..amount(500, 1) },
        ..PodSpec::default()
    };
    Pod {
        uid: name.into(),
        name: name.into(),
        spec: Arc::new(spec),
        volume_claims: Vec::new(),
        node: None,
        unschedulable: true,
        nominated_node: None,
        phase: PodPhase::Pending,
        ready: false,
        created: Timestamp::EPOCH,
        started: None,
        deleting: None,
        stops_within: None,
    }
}

/// The same, running on a node.
pub(super) fn running(name: &str, node: &str) -> Pod {
    let node = Some(format!("node-{node}"));
    Pod { node, unschedulable: false, phase: PodPhase::Running, ready: true, ..pod(name) }
}

/// A pod of the DaemonSet `logs`, running on a node.
pub(super) fn daemon_pod(name: &str, node: &str) -> Pod {
    let mut pod = running(name, node);
    Arc::make_mut(&mut pod.spec).owner = Some(Owner { kind: "DaemonSet".into(), name: "logs".into() });
    pod
}

/// A static pod of a node's own.
pub(super) fn static_pod(name: &str, node: &str) -> Pod {
    let mut pod = running(name, node);
    Arc::make_mut(&mut pod.spec).owner = Some(Owner { kind: "Node".into(), name: format!("node-{node}") });
    pod
}

/// A DaemonSet `logs` whose pods ask for 1000 millis and run everywhere.
pub(super) fn daemon_set() -> DaemonSet {
    let mut spec = PodSpec { requests: Resources { pods: 1, ..amount(1_000, 1) }, ..PodSpec::default() };
    spec.tolerations = vec![Toleration { key: None, operator: TolerationOperator::Exists, effect: None }];
    DaemonSet { namespace: "shop".into(), name: "logs".into(), spec: Arc::new(spec) }
}

pub(super) fn taint(key: &str) -> Taint {
    Taint { key: key.into(), value: String::new(), effect: TaintEffect::NoSchedule }
}

pub(super) fn tolerates(key: &str) -> Toleration {
    Toleration { key: Some(key.into()), operator: TolerationOperator::Exists, effect: None }
}

pub(super) fn disrupted() -> Taint {
    taint(DISRUPTED_TAINT)
}

pub(super) fn offering(instance_type: &str, zone: &str) -> LaunchOffering {
    LaunchOffering {
        instance_type: instance_type.into(),
        zone: zone.into(),
        capacity_type: CapacityType::OnDemand,
        reservation: None,
        price: Price::from_micros(if instance_type == "small" { 100 } else { 400 }),
    }
}

/// A launch of `small` in these zones for these pods, each as `pod` makes them.
pub(super) fn launch(claim: &str, zones: &[&str], pods: &[&str]) -> Action {
    let labels = BTreeMap::from([("team".into(), "shop".into()), (NODE_POOL.into(), "default".into())]);
    Action::Launch(Box::new(Launch {
        claim: claim.into(),
        node_pool: "default".into(),
        node_class: "al2023".into(),
        labels: labels.into(),
        taints: Vec::new(),
        startup_taints: Vec::new(),
        requirements: vec![Requirement::equals(INSTANCE_TYPE, "small")].into(),
        min_values_relaxed: false,
        offerings: zones.iter().map(|zone| offering("small", zone)).collect::<Vec<_>>().into(),
        requests: Resources { pods: 1, ..amount(500, 1) }.times(pods.len() as u64),
        pods: pods.iter().map(|pod| (*pod).to_owned()).collect(),
        expire_after: None,
        termination_grace_period: None,
        replaces: Vec::new(),
        made_from: crate::model::fingerprint::MadeFrom::default(),
    }))
}

pub(super) fn nominate(pod: &str, node: &str) -> Action {
    Action::Nominate(Nomination { pod: pod.into(), node: node.into() })
}

pub(super) fn delete(claim: &str, reason: DeleteReason) -> Action {
    Action::Delete(Delete { claim: claim.into(), reason })
}

pub(super) fn disrupt(claim: &str, reason: DisruptionReason) -> Action {
    delete(claim, DeleteReason::Disrupted(reason))
}

pub(super) fn cordon(claim: &str, node: &str, reason: DeleteReason) -> Action {
    Action::Cordon(Cordon { claim: claim.into(), node: node.into(), reason })
}

pub(super) fn evict(pod: &str, claim: &str) -> Eviction {
    Eviction { pod: pod.into(), claim: claim.into(), forced: None }
}

/// EC2 takes the instance of a node in zone a in two minutes.
pub(super) fn notice(node: &str) -> Event {
    let deadline = NOW + Duration::from_secs(120);
    let provider_id = format!("aws:///a/i-{node}");
    Event::Notice(Notice { provider_id, kind: NoticeKind::Reclaim, received: NOW, deadline })
}

/// EC2 has none of these offerings for a NodeClaim.
pub(super) fn refusal(claim: &str, offerings: Vec<LaunchOffering>) -> Event {
    Event::Outcome(Outcome::InsufficientCapacity { claim: claim.into(), offerings, at: NOW })
}

pub(super) fn app(name: &str) -> LabelSelector {
    LabelSelector { requirements: vec![Requirement::equals("app", name)] }
}

/// `DoNotSchedule` over a label with a skew of one, for the pods of `web`.
pub(super) fn spread(key: &str) -> TopologySpread {
    TopologySpread {
        key: key.into(),
        max_skew: 1,
        min_domains: None,
        when_unsatisfiable: WhenUnsatisfiable::DoNotSchedule,
        selector: Some(app("web")),
        match_label_keys: Vec::new(),
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: InclusionPolicy::Ignore,
    }
}

/// A term over a label for the pods of an app in the pod's own namespace.
pub(super) fn term(key: &str, name: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        key: key.into(),
        selector: Some(app(name)),
        namespaces: Vec::new(),
        namespace_selector: None,
        match_label_keys: Vec::new(),
        mismatch_label_keys: Vec::new(),
    }
}

/// A PodDisruptionBudget that covers the pods of `web` and allows so many to go.
pub(super) fn disruption_budget(name: &str, disruptions_allowed: u32) -> PodDisruptionBudget {
    PodDisruptionBudget {
        namespace: "shop".into(),
        name: name.into(),
        selector: Some(app("web")),
        disruptions_allowed,
        always_allow_unready: false,
        blocks_always: false,
    }
}

/// The volume `data`, which can be in these zones.
pub(super) fn volume(zones: &[&str]) -> VolumeClaim {
    let alternatives = zones.iter().map(|zone| vec![Requirement::equals(ZONE, *zone)]).collect();
    VolumeClaim {
        namespace: "shop".into(),
        name: "data".into(),
        volume: None,
        binding: VolumeBinding::Nodes(alternatives),
        driver: None,
    }
}

/// The volume of this name, attached by the driver `ebs`, which can be anywhere.
pub(super) fn attached(name: &str) -> VolumeClaim {
    VolumeClaim { name: name.into(), driver: Some("ebs".into()), ..volume(&[]) }
}

/// A Node can attach so many volumes of the driver `ebs`.
pub(super) fn volume_limit(node: &str, volumes: u32) -> Event {
    let drivers = BTreeMap::from([("ebs".to_owned(), volumes)]);
    Event::VolumeLimits(VolumeLimits { node: format!("node-{node}"), drivers })
}
