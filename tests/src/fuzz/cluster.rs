//! Small clusters that bytes stand for, with amounts that nobody would write.
//!
//! Names are few, so that rules meet: three zones, five labels, apps called after their position. A label that a pool
//! leaves open has no values that could be listed, so no rule spreads pods over it.

mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use arbitrary::Arbitrary;
use whittle_core::event::Event;
use whittle_core::model::instance_type::{CapacityType, InstanceType, Offering};
use whittle_core::model::labels;
use whittle_core::model::node::Node;
use whittle_core::model::node_pool::{
    ConsolidationPolicy, DaemonSet, Disruption, NodeClass, NodePool, VolumeBinding, VolumeClaim,
};
use whittle_core::model::pod::{
    HostPort, InclusionPolicy, LabelSelector, Owner, Pod, PodAffinityTerm, PodPhase, PodSpec, Preferred,
    TopologySpread, WhenUnsatisfiable,
};
use whittle_core::model::price::Price;
use whittle_core::model::requirement::{Operator, Requirement, Taint, TaintEffect};
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;
use whittle_core::state::ClusterState;

use self::words::{Amount, Compared, Key, Resource, Tolerated, Value, Wish, Zone};

/// Of each kind of object, at most so many are looked at: enough for rules to meet, few enough to be read.
const OBJECTS_MAX: usize = 6;
/// Pods of one kind that wait.
const PODS_MAX: usize = 8;

/// The most distinct values that a NodePool may ask to keep.
const MIN_VALUES_MAX: usize = 50;

/// A cluster.
#[derive(Arbitrary, Clone, Debug)]
pub(super) struct World {
    pools: Vec<PoolLike>,
    kinds: Vec<Kind>,
    nodes: Vec<NodeLike>,
    daemons: Vec<Daemon>,
}

#[derive(Arbitrary, Clone, Debug)]
struct PoolLike {
    weight: u8,
    only: Vec<Wish>,
    min_values: Option<u8>,
    labelled: Option<Value>,
    tainted: bool,
    limit: Option<(Resource, Amount)>,
}

#[derive(Arbitrary, Clone, Debug)]
struct Kind {
    waiting: u8,
    requests: Vec<(Resource, Amount)>,
    terms: Vec<Vec<Wish>>,
    preferred: Vec<(i8, Wish)>,
    rules: Vec<Rule>,
    tolerates: Option<Tolerated>,
    port: Option<bool>,
    volume: Option<Option<Vec<Wish>>>,
}

#[derive(Arbitrary, Clone, Debug)]
struct NodeLike {
    zone: Zone,
    rack: Option<Value>,
    tainted: bool,
    ready: bool,
    allocatable: Vec<(Resource, Amount)>,
    residents: Vec<u8>,
}

#[derive(Arbitrary, Clone, Debug)]
struct Daemon {
    requests: Vec<(Resource, Amount)>,
    wish: Option<Wish>,
    tolerates: Option<Tolerated>,
}

/// How pods want to be relative to those of a kind, their own or another.
#[derive(Arbitrary, Clone, Debug)]
enum Rule {
    Spread { key: Key, max_skew: u32, min_domains: Option<u32>, soft: bool, taints: bool, affinity: bool },
    Near { kind: u8, key: Key },
    Away { kind: u8, key: Key },
    RatherNear { kind: u8, key: Key, weight: i8 },
    RatherAway { kind: u8, key: Key, weight: i8 },
}

impl World {
    /// All that is known of the cluster.
    pub(super) fn state(&self, now: Timestamp) -> ClusterState {
        let mut state = ClusterState::default();
        for event in self.events() {
            state.apply(event, now);
        }
        state
    }

    fn events(&self) -> Vec<Event> {
        let mut events = vec![Event::NodeClass(class())];
        for (at, pool) in self.pools.iter().take(OBJECTS_MAX).enumerate() {
            events.push(Event::NodePool(Box::new(pool.made(at))));
        }
        for (at, daemon) in self.daemons.iter().take(OBJECTS_MAX).enumerate() {
            events.push(Event::DaemonSet(daemon.made(at)));
        }
        for (at, node) in self.nodes.iter().take(OBJECTS_MAX).enumerate() {
            events.push(Event::Node(Box::new(node.made(at))));
            for (ord, kind) in node.residents.iter().take(2).enumerate() {
                events.extend(self.resident((at, ord), usize::from(*kind)));
            }
        }
        for (at, kind) in self.kinds.iter().take(OBJECTS_MAX).enumerate() {
            events.extend(kind.volume_claim(at));
            let spec = Arc::new(self.spec(at, kind));
            let waiting = (0..usize::from(kind.waiting).min(PODS_MAX)).map(|ord| Pod {
                unschedulable: true,
                ..pod(format!("k{at}-{ord}"), &spec, kind.claims(at))
            });
            events.extend(waiting.map(Arc::new).map(Event::Pod));
        }
        events
    }

    /// A pod that runs on a node already, whether or not it may: what is there is no plan's fault.
    fn resident(&self, (node, ord): (usize, usize), kind: usize) -> Option<Event> {
        let kinds = self.kinds.len().min(OBJECTS_MAX);
        let at = kind.checked_rem(kinds)?;
        let spec = Arc::new(PodSpec {
            requests: Resources { pods: 1, ..Resources::default() },
            host_ports: Vec::new(),
            ..self.spec(at, &self.kinds[at])
        });
        let running = Pod {
            node: Some(node_name(node)),
            phase: PodPhase::Running,
            ready: true,
            ..pod(format!("r{node}-{ord}"), &spec, Vec::new())
        };
        Some(Event::Pod(Arc::new(running)))
    }

    fn spec(&self, at: usize, kind: &Kind) -> PodSpec {
        let mut spec = PodSpec {
            namespace: "small".to_owned(),
            owner: Some(Owner { kind: "Deployment".to_owned(), name: app(at) }),
            labels: BTreeMap::from([("app".to_owned(), app(at))]),
            requests: Resources { pods: 1, ..requests(&kind.requests) },
            node_affinity: kind.terms.iter().take(3).map(|term| wishes(term)).collect(),
            preferred_node_affinity: kind
                .preferred
                .iter()
                .take(3)
                .map(|(weight, wish)| Preferred { weight: heavy(*weight), term: vec![wish.made()] })
                .collect(),
            tolerations: kind.tolerates.iter().map(Tolerated::made).collect(),
            host_ports: kind.port.iter().map(|everywhere| port(*everywhere)).collect(),
            ..PodSpec::default()
        };
        for rule in kind.rules.iter().take(4) {
            self.add_rule(rule, at, &mut spec);
        }
        // Conversions hand preferences over in this order.
        spec.preferred_node_affinity.sort_by_key(|preferred| -preferred.weight);
        spec.preferred_pod_affinity.sort_by_key(|preferred| -preferred.weight);
        spec.preferred_pod_anti_affinity.sort_by_key(|preferred| -preferred.weight);
        spec
    }

    fn add_rule(&self, rule: &Rule, at: usize, spec: &mut PodSpec) {
        let term = |kind: u8, key: Key| {
            let kinds = self.kinds.len().clamp(1, OBJECTS_MAX);
            term(&app(usize::from(kind) % kinds), self.domain(key))
        };
        match *rule {
            Rule::Spread { key, max_skew, min_domains, soft, taints, affinity } => {
                spec.topology_spread.push(TopologySpread {
                    key: self.domain(key).to_owned(),
                    max_skew: max_skew.max(1),
                    min_domains: min_domains.filter(|least| *least > 0 && !soft),
                    when_unsatisfiable: if soft {
                        WhenUnsatisfiable::ScheduleAnyway
                    } else {
                        WhenUnsatisfiable::DoNotSchedule
                    },
                    selector: Some(selector(&app(at))),
                    match_label_keys: Vec::new(),
                    node_affinity_policy: policy(affinity),
                    node_taints_policy: policy(taints),
                });
            }
            Rule::Near { kind, key } => spec.pod_affinity.push(term(kind, key)),
            Rule::Away { kind, key } => spec.pod_anti_affinity.push(term(kind, key)),
            Rule::RatherNear { kind, key, weight } => {
                spec.preferred_pod_affinity.push(Preferred { weight: heavy(weight), term: term(kind, key) })
            }
            Rule::RatherAway { kind, key, weight } => spec
                .preferred_pod_anti_affinity
                .push(Preferred { weight: heavy(weight), term: term(kind, key) }),
        }
    }

    /// The label that a rule counts pods by.
    fn domain(&self, key: Key) -> &'static str {
        let is_open = |pool: &PoolLike| {
            pool.only
                .iter()
                .any(|wish| matches!(wish.key, Key::Rack) && !matches!(wish.operator, Compared::In))
        };
        match key {
            Key::Rack if self.pools.iter().any(is_open) => labels::ZONE,
            key => key.label(),
        }
    }
}

impl PoolLike {
    fn made(&self, at: usize) -> NodePool {
        // A NodePool may not ask for a name of its nodes or of its own.
        let may_ask = |wish: &&Wish| !matches!(wish.key, Key::Hostname | Key::Pool);
        let mut requirements: Vec<Requirement> =
            self.only.iter().filter(may_ask).take(3).map(Wish::made).collect();
        if let (Some(first), Some(least)) = (requirements.first_mut(), self.min_values) {
            // Nor for more values than it lists.
            let most = if first.operator == Operator::In { first.values.len() } else { MIN_VALUES_MAX };
            first.min_values = u32::try_from(usize::from(least).clamp(1, most)).ok();
        }
        let rack = self.labelled.map(|value| (Key::Rack.label().to_owned(), value.text().to_owned()));
        NodePool {
            name: pool_name(at),
            weight: u32::from(self.weight) % 101,
            node_class: "default".to_owned(),
            requirements,
            labels: rack.into_iter().collect(),
            annotations: BTreeMap::new(),
            taints: self.tainted.then(special).into_iter().collect(),
            startup_taints: Vec::new(),
            limits: self
                .limit
                .iter()
                .map(|(resource, amount)| (resource.name().to_owned(), amount.number()))
                .collect(),
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
}

impl Kind {
    fn claims(&self, at: usize) -> Vec<String> {
        self.volume.iter().map(|_| app(at)).collect()
    }

    /// The claim of a volume: where it can be, or that it can be nowhere.
    fn volume_claim(&self, at: usize) -> Option<Event> {
        let binding = match self.volume.as_ref()? {
            Some(term) => VolumeBinding::Nodes(vec![wishes(term)]),
            None => VolumeBinding::Impossible("the claim is lost".to_owned()),
        };
        Some(Event::VolumeClaim(VolumeClaim {
            namespace: "small".to_owned(),
            name: app(at),
            volume: None,
            binding,
            driver: None,
        }))
    }
}

impl NodeLike {
    fn made(&self, at: usize) -> Node {
        let zone = match self.zone {
            Zone::A => "a",
            Zone::B => "b",
            Zone::C => "c",
        };
        let name = node_name(at);
        let mut node_labels = BTreeMap::from([
            (labels::ZONE.to_owned(), zone.to_owned()),
            (labels::HOSTNAME.to_owned(), name.clone()),
            (labels::ARCH.to_owned(), "amd64".to_owned()),
            (labels::OS.to_owned(), "linux".to_owned()),
        ]);
        node_labels.extend(self.rack.map(|value| (Key::Rack.label().to_owned(), value.text().to_owned())));
        let mut room =
            Resources { cpu_millis: 4_000, memory_bytes: 16 << 30, pods: 20, ..Resources::default() };
        for (resource, amount) in self.allocatable.iter().take(3) {
            room.set(resource.name(), amount.number());
        }
        Node {
            provider_id: format!("aws:///{zone}/i-{at}"),
            labels: node_labels,
            taints: self.tainted.then(special).into_iter().collect(),
            capacity: room.clone(),
            allocatable: room,
            ready: self.ready,
            conditions: Vec::new(),
            do_not_disrupt: false,
            held: true,
            created: Timestamp::EPOCH,
            deleting: None,
            name,
        }
    }
}

impl Daemon {
    fn made(&self, at: usize) -> DaemonSet {
        let name = format!("d{at}");
        let spec = PodSpec {
            namespace: "small".to_owned(),
            owner: Some(Owner { kind: "DaemonSet".to_owned(), name: name.clone() }),
            requests: Resources { pods: 1, ..requests(&self.requests) },
            node_affinity: self.wish.iter().map(|wish| vec![wish.made()]).collect(),
            tolerations: self.tolerates.iter().map(Tolerated::made).collect(),
            ..PodSpec::default()
        };
        DaemonSet { namespace: "small".to_owned(), name, spec: Arc::new(spec) }
    }
}

fn wishes(wishes: &[Wish]) -> Vec<Requirement> {
    wishes.iter().take(3).map(Wish::made).collect()
}

fn requests(amounts: &[(Resource, Amount)]) -> Resources {
    let mut requests = Resources::default();
    for (resource, amount) in amounts.iter().take(3) {
        requests.set(resource.name(), amount.number());
    }
    requests
}

/// Weights are 1 to 100.
fn heavy(weight: i8) -> i32 {
    i32::from(weight).clamp(1, 100)
}

fn policy(honours: bool) -> InclusionPolicy {
    if honours { InclusionPolicy::Honor } else { InclusionPolicy::Ignore }
}

fn selector(app: &str) -> LabelSelector {
    LabelSelector { requirements: vec![Requirement::equals("app", app)] }
}

fn term(app: &str, key: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        key: key.to_owned(),
        selector: Some(selector(app)),
        namespaces: vec!["small".to_owned()],
        namespace_selector: None,
        match_label_keys: Vec::new(),
        mismatch_label_keys: Vec::new(),
    }
}

fn port(everywhere: bool) -> HostPort {
    let ip = if everywhere { "0.0.0.0" } else { "10.0.0.1" };
    HostPort { ip: ip.to_owned(), port: 80, protocol: "TCP".to_owned() }
}

fn special() -> Taint {
    Taint { key: "special".to_owned(), value: String::new(), effect: TaintEffect::NoSchedule }
}

fn pod(name: String, spec: &Arc<PodSpec>, volume_claims: Vec<String>) -> Pod {
    Pod {
        uid: name.clone(),
        name,
        spec: Arc::clone(spec),
        volume_claims,
        node: None,
        unschedulable: false,
        nominated_node: None,
        phase: PodPhase::Pending,
        ready: false,
        created: Timestamp::EPOCH,
        started: None,
        deleting: None,
        stops_within: None,
    }
}

fn app(at: usize) -> String {
    format!("k{at}")
}

fn node_name(at: usize) -> String {
    format!("n{at}")
}

fn pool_name(at: usize) -> String {
    format!("p{at}")
}

/// Four instance types, two of them with a GPU and without a limit to speak of.
fn class() -> NodeClass {
    let types = [("m.small", 2, 8, 0), ("m.large", 8, 32, 0), ("g.large", 8, 32, 1), ("m.metal", 96, 384, 0)];
    let instance_types = types.map(|(name, cpus, gib, gpus)| instance_type(name, (cpus, gib, gpus)));
    NodeClass {
        name: "default".to_owned(),
        ready: true,
        fingerprint: None,
        instance_types: instance_types.into(),
    }
}

fn instance_type(name: &str, (cpus, gib, gpus): (u64, u64, u64)) -> InstanceType {
    let one = |value: &str| vec![value.to_owned()];
    let type_labels = BTreeMap::from([
        (labels::INSTANCE_TYPE.to_owned(), one(name)),
        (labels::ARCH.to_owned(), one("amd64")),
        (labels::OS.to_owned(), one("linux")),
        (Key::Cpus.label().to_owned(), one(&cpus.to_string())),
    ]);
    let mut capacity = Resources {
        cpu_millis: cpus * 1_000,
        memory_bytes: gib << 30,
        ephemeral_storage_bytes: 20 << 30,
        pods: cpus * 5,
        ..Resources::default()
    };
    capacity.set(Resource::Gpu.name(), gpus);
    let price = Price::from_micros((cpus + 20 * gpus) * 50_000);
    let bought = [(CapacityType::OnDemand, price), (CapacityType::Spot, price.scaled(400_000))];
    let offerings = ["a", "b", "c"].into_iter().flat_map(|zone| {
        bought.map(|(capacity_type, price)| Offering {
            reservation: None,
            zone: zone.to_owned(),
            zone_id: format!("id-{zone}"),
            capacity_type,
            price,
            estimated: false,
            available: true,
        })
    });
    let overhead = Resources { cpu_millis: 100, memory_bytes: 1 << 29, ..Resources::default() };
    InstanceType {
        name: name.to_owned(),
        labels: type_labels,
        capacity,
        overhead,
        offerings: offerings.collect(),
    }
}
