//! Clusters made at random, small enough to be read when a property fails.
//!
//! Here is what a generated cluster consists of and which of them there are; `generated/parts` makes the parts,
//! `generated/objects` turns them into what becomes known. Every part has a plain value that it shrinks to.

mod objects;
mod parts;

use proptest::collection::vec;
use proptest::prelude::Strategy;
use whittle_core::model::labels::{TENANCY, ZONE};
use whittle_core::model::requirement::Operator;
use whittle_core::settings::{PreferencePolicy, Settings};

use crate::cluster::catalogue::CATEGORY;

/// When generated clusters are looked at, in seconds after the start: late enough for everything to have been quiet.
pub(crate) const LATE: u64 = 3_600;

/// A cluster as it is generated. Pools, kinds of pods and nodes are known by their position.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) pools: Vec<PoolLike>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) nodes: Vec<NodeLike>,
    pub(crate) daemons: Vec<Daemon>,
    /// What EC2 has refused of late: instance type, zone, whether spot.
    pub(crate) refused: Vec<(&'static str, &'static str, bool)>,
    /// Capacity reservations: instance type, zone, how many instances. `reserved_worlds` alone have some.
    pub(crate) reserved: Vec<(&'static str, &'static str, u32)>,
}

/// A condition on a node label.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    key: &'static str,
    operator: Operator,
    values: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct PoolLike {
    weight: u32,
    taint: Mark,
    startup_taint: bool,
    only: Option<Want>,
    team: Team,
    limit: Option<(&'static str, u64)>,
    min_values: Option<(&'static str, u32)>,
}

/// The taint `special`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    None,
    NoSchedule,
    PreferNoSchedule,
}

/// What a pool says of the label `team`.
#[derive(Clone, Copy, Debug)]
enum Team {
    Nothing,
    Red,
    RedOrBlue,
    Numbered,
    Any,
}

/// Pods of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) waiting: usize,
    /// The kind whose app they belong to, if it is not their own. Of one app, kinds are versions.
    app: Option<usize>,
    namespace: usize,
    cpu: u64,
    gib: u64,
    gpu: bool,
    /// Alternatives of the required node affinity.
    wants: Vec<Vec<Want>>,
    /// Preferred node affinity, heaviest first.
    likes: Vec<Want>,
    tolerant: bool,
    rules: Vec<Rule>,
    port: bool,
    volume: Option<Volume>,
    /// Whether a Service selects them, so that a default spread is for them.
    selected: bool,
}

/// What volume pods mount.
#[derive(Clone, Debug)]
struct Volume {
    /// Where it is or may be made; anywhere when none is listed.
    zones: Vec<&'static str>,
    mounted: Mounted,
    /// Whether the driver `ebs` attaches it to nodes, and so counts it.
    attached: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mounted {
    /// Each pod has its own.
    Own,
    /// All have the same.
    Shared,
}

/// How pods want to be relative to others, or would like to be.
#[derive(Clone, Debug)]
struct Rule {
    key: &'static str,
    force: Force,
    /// Whether only pods of their own version are meant.
    version: Version,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Force {
    Required,
    Preferred,
}

/// Which versions of an app a rule means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    All,
    Same,
    Other,
}

#[derive(Clone, Debug)]
enum What {
    Spread { max_skew: u32, min_domains: Option<u32>, honour_taints: bool, ignore_affinity: bool },
    Near { kind: usize, whose: Whose },
    Away { kind: usize, whose: Whose },
}

/// In which namespaces a rule looks for pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Own,
    Listed,
    Selected,
    All,
}

#[derive(Clone, Debug)]
pub(crate) struct NodeLike {
    pool: usize,
    instance_type: &'static str,
    zone: &'static str,
    spot: bool,
    age: Age,
    taint: Mark,
    residents: Vec<usize>,
    /// How many volumes it can attach.
    volumes: Option<u32>,
}

/// How far a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    InFlight,
    Unregistered,
    Starting,
    Running,
    Unmanaged,
    Leaving,
}

#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    cpu: u64,
    tolerant: bool,
    on: Option<Want>,
    port: bool,
}

/// Any cluster.
pub(crate) fn worlds() -> impl Strategy<Value = World> {
    let nodes = vec(parts::nodes(parts::ages()), 0..5);
    let rest = (vec(parts::daemons(), 0..3), parts::refused());
    (parts::settings(), vec(parts::pools(), 1..4), vec(parts::kinds(), 1..6), nodes, rest).prop_map(
        |(settings, pools, kinds, nodes, (daemons, refused))| World {
            settings,
            pools,
            kinds,
            nodes,
            daemons,
            refused,
            reserved: Vec::new(),
        },
    )
}

/// A cluster in which no spread looks at nodes by a label that new nodes are not bound to by then: whether it counts the
/// pods on such a node is known only once the node is bought.
pub(crate) fn judgeable_worlds() -> impl Strategy<Value = World> {
    worlds().prop_map(|mut world| {
        for Kind { wants, rules, selected, .. } in &mut world.kinds {
            // A default spread looks at what pods want.
            *selected &= wants.is_empty();
            for rule in rules {
                if let What::Spread { ignore_affinity, .. } = &mut rule.what {
                    *ignore_affinity |= wants.iter().flatten().any(|want| want.key != rule.key);
                }
            }
        }
        world
    })
}

/// A cluster with capacity reservations in which no node leaves, so that it can be judged after a decision too.
pub(crate) fn reserved_worlds() -> impl Strategy<Value = World> {
    (staying_worlds(), vec(parts::reserved(), 1..4)).prop_map(|(world, reserved)| World { reserved, ..world })
}

/// A cluster in which no node leaves. Pods of leaving nodes are expected nowhere in particular, so they may take
/// another place in the next plan, and leave theirs to others. The first node has joined: pods may ask for it by name,
/// and before that nobody knows what it will be called. DaemonSets run or do not run on an instance type: room that is
/// kept for the pods of one that turns out not to run in the zone that is bought is room that becomes known later. No rule
/// is about tenancy, which the nodes of these tests have no label of unless it was asked for.
pub(crate) fn staying_worlds() -> impl Strategy<Value = World> {
    judgeable_worlds().prop_map(|mut world| {
        for rule in world.kinds.iter_mut().flat_map(|kind| &mut kind.rules).filter(|rule| rule.key == TENANCY)
        {
            rule.key = ZONE;
        }
        let stays = |(at, node): (usize, NodeLike)| match node.age {
            Age::Leaving => NodeLike { age: Age::Running, ..node },
            Age::InFlight if at == 0 => NodeLike { age: Age::Starting, ..node },
            Age::InFlight | Age::Unregistered | Age::Starting | Age::Running | Age::Unmanaged => node,
        };
        let nodes = world.nodes.into_iter().enumerate().map(stays).collect();
        let by_type = |daemon: Daemon| Daemon { on: daemon.on.filter(|want| want.key == CATEGORY), ..daemon };
        World { nodes, daemons: world.daemons.into_iter().map(by_type).collect(), ..world }
    })
}

/// A cluster in which nothing waits and all nodes run. NodePools have no limits where preferences count: a node that
/// goes gives room back under a limit, and then another may be launched for a wish that could not be had before.
pub(crate) fn quiet_worlds() -> impl Strategy<Value = World> {
    let nodes = vec(parts::nodes(parts::quiet_ages()), 1..7);
    (worlds(), nodes).prop_map(|(world, nodes)| {
        let kinds = world.kinds.into_iter().map(|kind| Kind { waiting: 0, ..kind }).collect();
        let unlimited = |pool: PoolLike| PoolLike { limit: None, ..pool };
        let pools = match world.settings.preferences {
            PreferencePolicy::Respect => world.pools.into_iter().map(unlimited).collect(),
            PreferencePolicy::Ignore => world.pools,
        };
        World { pools, kinds, nodes, ..world }
    })
}

/// A cluster in which no node leaves, no pod minds another and no NodePool counts what it has: where a pod goes depends on room alone.
/// What it waits for fits on a new node or never will, whoever else waits.
pub(crate) fn plain_worlds() -> impl Strategy<Value = World> {
    staying_worlds().prop_map(|world| {
        let kinds = world.kinds.into_iter().map(|kind| Kind { rules: Vec::new(), ..kind }).collect();
        let pools = world.pools.into_iter().map(|pool| PoolLike { limit: None, min_values: None, ..pool });
        let settings = Settings { default_spread: Vec::new(), ..world.settings };
        World { settings, pools: pools.collect(), kinds, refused: Vec::new(), ..world }
    })
}
