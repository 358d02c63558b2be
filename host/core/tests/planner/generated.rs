//! Clusters made at random, small enough to be read when a property fails.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use whittle_core::event::Event;
use whittle_core::model::labels::{ARCH, CAPACITY_TYPE, HOSTNAME, ZONE};
use whittle_core::model::node_pool::NodePool;
use whittle_core::model::pod::InclusionPolicy;
use whittle_core::model::requirement::Operator;
use whittle_core::model::resources::Resources;

use crate::cluster::catalogue::{self, CATEGORY, CPUS};
use crate::cluster::nodes::{Machine, node};
use crate::cluster::pods::{Pods, pods};
use crate::cluster::pools::{PoolWords, attached_volume, daemon_set, pool, volume_limit};
use crate::cluster::{Cluster, Known, START, at};

/// A cluster as it is generated. Pools, kinds of pods and nodes are known by their position.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) pools: Vec<PoolLike>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) nodes: Vec<NodeLike>,
    pub(crate) daemons: Vec<Daemon>,
}

#[derive(Clone, Debug)]
pub(crate) struct PoolLike {
    weight: u32,
    taint: bool,
    only: Option<(&'static str, Vec<&'static str>)>,
    team: Team,
    limit: Option<(&'static str, u64)>,
}

/// What a pool says of the label `team`.
#[derive(Clone, Copy, Debug)]
enum Team {
    Nothing,
    Red,
    RedOrBlue,
    Any,
}

/// Pods of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    waiting: usize,
    cpu: u64,
    gib: u64,
    wants: Option<(&'static str, Operator, &'static str)>,
    tolerant: bool,
    rules: Vec<Rule>,
    port: bool,
    volume: Mounts,
}

/// What volume pods mount, attached by the driver `ebs`.
#[derive(Clone, Copy, Debug)]
enum Mounts {
    Nothing,
    /// Each its own.
    Own,
    /// All the same.
    Shared,
}

/// How pods want to be relative to those of a kind, their own or another.
#[derive(Clone, Debug)]
enum Rule {
    Spread { key: &'static str, max_skew: u32, honour_taints: bool, ignore_affinity: bool },
    Near { kind: usize, key: &'static str },
    Away { kind: usize, key: &'static str },
}

#[derive(Clone, Debug)]
pub(crate) struct NodeLike {
    pool: usize,
    instance_type: &'static str,
    zone: &'static str,
    spot: bool,
    age: Age,
    taint: bool,
    residents: Vec<usize>,
    /// How many volumes it can attach.
    volumes: Option<u32>,
}

/// How far a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    InFlight,
    Starting,
    Running,
    Unmanaged,
    Leaving,
}

#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    cpu: u64,
    tolerant: bool,
    on_c_only: bool,
}

/// Any cluster.
pub(crate) fn worlds() -> impl Strategy<Value = World> {
    let age =
        select(vec![Age::InFlight, Age::Starting, Age::Running, Age::Running, Age::Unmanaged, Age::Leaving]);
    (vec(pools(), 1..4), vec(kinds(), 1..6), vec(nodes(age), 0..5), vec(daemons(), 0..3))
        .prop_map(|(pools, kinds, nodes, daemons)| World { pools, kinds, nodes, daemons })
}

/// A cluster in which no node leaves. Pods of leaving nodes are expected nowhere in particular, so they may take
/// another place in the next plan, and leave theirs to others.
pub(crate) fn staying_worlds() -> impl Strategy<Value = World> {
    worlds().prop_map(|world| {
        let stays = |node: NodeLike| match node.age {
            Age::Leaving => NodeLike { age: Age::Running, ..node },
            _ => node,
        };
        World { nodes: world.nodes.into_iter().map(stays).collect(), ..world }
    })
}

/// A cluster in which nothing waits and all nodes run.
pub(crate) fn quiet_worlds() -> impl Strategy<Value = World> {
    let running = select(vec![Age::Running, Age::Running, Age::Unmanaged]);
    (vec(pools(), 1..3), vec(kinds(), 1..6), vec(nodes(running), 1..7), vec(daemons(), 0..3)).prop_map(
        |(pools, kinds, nodes, daemons)| {
            let kinds = kinds.into_iter().map(|kind| Kind { waiting: 0, ..kind }).collect();
            World { pools, kinds, nodes, daemons }
        },
    )
}

fn pools() -> impl Strategy<Value = PoolLike> {
    let only = prop_oneof![
        Just((ZONE, vec!["a"])),
        Just((ZONE, vec!["b", "c"])),
        Just((ARCH, vec!["amd64"])),
        Just((CAPACITY_TYPE, vec!["on-demand"])),
        Just((CATEGORY, vec!["c", "m"])),
        Just(("node.kubernetes.io/instance-type", vec!["c.large", "m.large"])),
    ];
    let team = select(vec![Team::Nothing, Team::Nothing, Team::Red, Team::RedOrBlue, Team::Any]);
    let limit = select(vec![("cpu", 2_000), ("cpu", 9_000), ("nodes", 2), ("memory", 40 << 30)]);
    (0_u32..3, any::<bool>(), option::of(only), team, option::weighted(0.3, limit))
        .prop_map(|(weight, taint, only, team, limit)| PoolLike { weight, taint, only, team, limit })
}

fn kinds() -> impl Strategy<Value = Kind> {
    let wants = select(vec![
        (ZONE, Operator::In, "b"),
        (ZONE, Operator::NotIn, "a"),
        (ARCH, Operator::In, "arm64"),
        (CAPACITY_TYPE, Operator::In, "on-demand"),
        (CPUS, Operator::Gt, "2"),
        ("team", Operator::In, "red"),
        ("team", Operator::NotIn, "red"),
        ("team", Operator::Exists, ""),
        ("team", Operator::DoesNotExist, ""),
    ]);
    let cpu = select(vec![50, 400, 900, 1_900, 3_900]);
    (
        0_usize..5,
        cpu,
        0_u64..4,
        option::of(wants),
        any::<bool>(),
        vec(rules(), 0..3),
        option::weighted(0.2, Just(())),
        select(vec![Mounts::Nothing, Mounts::Nothing, Mounts::Own, Mounts::Shared]),
    )
        .prop_map(|(waiting, cpu, gib, wants, tolerant, rules, port, volume)| Kind {
            waiting,
            cpu,
            gib,
            wants,
            tolerant,
            rules,
            port: port.is_some(),
            volume,
        })
}

fn rules() -> impl Strategy<Value = Rule> {
    let key = || select(vec![ZONE, HOSTNAME, ZONE, HOSTNAME, CAPACITY_TYPE, "team"]);
    prop_oneof![
        (key(), 1_u32..3, any::<bool>(), any::<bool>()).prop_map(
            |(key, max_skew, honour_taints, ignore_affinity)| Rule::Spread {
                key,
                max_skew,
                honour_taints,
                ignore_affinity
            }
        ),
        (0_usize..6, key()).prop_map(|(kind, key)| Rule::Near { kind, key }),
        (0_usize..6, key()).prop_map(|(kind, key)| Rule::Away { kind, key }),
    ]
}

fn nodes(age: impl Strategy<Value = Age>) -> impl Strategy<Value = NodeLike> {
    let instance_type = select(vec!["c.large", "m.large", "a.large", "m.xlarge", "c.2xlarge"]);
    let zone = select(vec!["a", "b", "c"]);
    let residents = vec(0_usize..6, 0..4);
    let taint = option::weighted(0.2, Just(()));
    let volumes = option::of(0_u32..4);
    (0_usize..3, instance_type, zone, any::<bool>(), age, taint, residents, volumes).prop_map(
        |(pool, instance_type, zone, spot, age, taint, residents, volumes)| NodeLike {
            pool,
            instance_type,
            zone,
            spot,
            age,
            taint: taint.is_some(),
            residents,
            volumes,
        },
    )
}

fn daemons() -> impl Strategy<Value = Daemon> {
    (select(vec![100, 400]), any::<bool>(), any::<bool>()).prop_map(|(cpu, tolerant, on_c_only)| Daemon {
        cpu,
        tolerant,
        on_c_only,
    })
}

impl World {
    /// The cluster, known in the order in which it is written.
    pub(crate) fn cluster(&self) -> Cluster {
        self.known(self.events())
    }

    /// The cluster, known in another order. A NodePool before its nodes or after, a pod before its node or after:
    /// none of that may matter.
    pub(crate) fn shuffled(&self, seed: u64) -> Cluster {
        let mut events = self.events();
        let mut state = seed;
        for at in (1..events.len()).rev() {
            // A linear congruential generator (Knuth's MMIX) is random enough to shuffle by.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let other = usize::try_from(state >> 33).expect("31 bits") % (at + 1);
            events.swap(at, other);
        }
        self.known(events)
    }

    fn known(&self, events: Vec<Event>) -> Cluster {
        let mut cluster = Cluster::default();
        for event in events {
            cluster.tell(event, at(0));
        }
        cluster
    }

    fn events(&self) -> Vec<Event> {
        let mut events = catalogue::class().events();
        for (at, like) in self.pools.iter().enumerate() {
            events.extend(like.pool(&pool_name(at), self.team(at)).events());
        }
        for (at, daemon) in self.daemons.iter().enumerate() {
            events.extend(daemon_set(daemon.pods(at)).events());
        }
        for (at, like) in self.nodes.iter().enumerate() {
            let machine = self.machine(at, like);
            let joined = machine.node.is_some();
            events.extend(machine.events());
            if joined {
                for (kind, pods) in self.residents(at, like) {
                    events.extend(self.with_volumes(kind, pods));
                }
                events.extend(like.volumes.map(|volumes| volume_limit(&format!("n{at}"), volumes)));
            }
        }
        for (at, kind) in self.kinds.iter().enumerate() {
            events.extend(self.with_volumes(at, self.pods(at, kind, kind.waiting)));
        }
        events
    }

    /// Pods of a kind, and the volumes that they mount.
    fn with_volumes(&self, kind: usize, pods: Pods) -> Vec<Event> {
        let mut events = Vec::new();
        for mut pod in pods.objects() {
            let volume = match self.kinds[kind].volume {
                Mounts::Nothing => None,
                Mounts::Own => Some(format!("of-{}", pod.name)),
                Mounts::Shared => Some(format!("of-{}", app_name(kind))),
            };
            events.extend(volume.iter().map(|name| Event::VolumeClaim(attached_volume(name))));
            pod.volume_claims.extend(volume);
            events.push(Event::Pod(pod));
        }
        events
    }

    /// What a pool says of the label `team`. Where pods are spread over it, its values are listed: domains that
    /// nobody can list are no domains.
    fn team(&self, pool: usize) -> Team {
        let about = |rule: &Rule| match rule {
            Rule::Spread { key, .. } | Rule::Near { key, .. } | Rule::Away { key, .. } => *key == "team",
        };
        let is_domain = self.kinds.iter().flat_map(|kind| &kind.rules).any(about);
        match self.pools[pool].team {
            Team::Any if is_domain => Team::RedOrBlue,
            team => team,
        }
    }

    fn machine(&self, at: usize, like: &NodeLike) -> Machine {
        let pool_ord = like.pool % self.pools.len();
        let machine = node(&format!("n{at}")).instance_type(like.instance_type).zone(like.zone);
        let machine = if like.spot { machine.spot() } else { machine };
        let machine = machine.of_pool(&pool_name(pool_ord));
        let machine = if like.taint { machine.taint("special") } else { machine };
        let machine = match self.team(pool_ord) {
            Team::Nothing => machine,
            Team::Red | Team::RedOrBlue => machine.label("team", "red"),
            Team::Any => machine.label("team", "0"),
        };
        match like.age {
            Age::InFlight => machine.in_flight(),
            Age::Starting => machine.uninitialized(),
            Age::Running => machine,
            Age::Unmanaged => machine.unmanaged(),
            Age::Leaving => machine.leaving(START),
        }
    }

    /// Pods that run on a node, as many of those meant for it as it holds.
    fn residents(&self, at: usize, like: &NodeLike) -> Vec<(usize, Pods)> {
        let room = catalogue::named(like.instance_type).allocatable();
        let mut used = Resources::default();
        let mut residents = Vec::new();
        for (ord, kind) in like.residents.iter().enumerate() {
            let kind_ord = kind % self.kinds.len();
            let pods = self.pods(kind_ord, &self.kinds[kind_ord], 1);
            let with = used.plus(&pods.spec.requests);
            if with.fits_in(&room) && (pods.spec.host_ports.is_empty() || ord == 0) {
                used = with;
                residents.push((kind_ord, pods.named(&format!("r{at}-{ord}")).on(&format!("n{at}"))));
            }
        }
        residents
    }

    fn pods(&self, at: usize, kind: &Kind, count: usize) -> Pods {
        let mut all = pods(&app_name(at), count).cpu(kind.cpu).memory(kind.gib);
        if kind.tolerant {
            all = all.tolerates("special");
        }
        if kind.port {
            all = all.host_port(80);
        }
        if let Some((key, operator, value)) = kind.wants {
            let values: &[&str] = if value.is_empty() { &[] } else { &[value] };
            all = all.needs(key, operator, values);
        }
        kind.rules.iter().fold(all, |all, rule| match rule {
            Rule::Spread { key, max_skew, honour_taints, ignore_affinity } => {
                all.spread(key, *max_skew, |spread| {
                    if *honour_taints {
                        spread.node_taints_policy = InclusionPolicy::Honor;
                    }
                    if *ignore_affinity {
                        spread.node_affinity_policy = InclusionPolicy::Ignore;
                    }
                })
            }
            Rule::Near { kind, key } => all.near(&app_name(kind % self.kinds.len()), key),
            Rule::Away { kind, key } => all.away_from(&app_name(kind % self.kinds.len()), key),
        })
    }
}

fn pool_name(at: usize) -> String {
    format!("p{at}")
}

fn app_name(at: usize) -> String {
    format!("k{at}")
}

impl PoolLike {
    fn pool(&self, name: &str, team: Team) -> NodePool {
        let mut made = pool(name).weight(self.weight);
        if self.taint {
            made = made.taint("special");
        }
        if let Some((key, values)) = &self.only {
            made = made.only(key, values);
        }
        if let Some((resource, amount)) = self.limit {
            made = made.limit(resource, amount);
        }
        match team {
            Team::Nothing => made,
            Team::Red => made.label("team", "red"),
            Team::RedOrBlue => made.only("team", &["red", "blue"]),
            Team::Any => made.needs("team", Operator::Exists, &[]),
        }
    }
}

impl Daemon {
    fn pods(&self, at: usize) -> Pods {
        let mut all = pods(&format!("d{at}"), 0).cpu(self.cpu).memory(0);
        if self.tolerant {
            all = all.tolerates_everything();
        }
        if self.on_c_only {
            all = all.needs(CATEGORY, Operator::In, &["c"]);
        }
        all
    }
}
