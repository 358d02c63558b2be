//! The parts of generated clusters. What is rare in a part is rare here too, so that most worlds place most pods.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use whittle_core::model::labels::{ARCH, CAPACITY_TYPE, HOSTNAME, INSTANCE_TYPE, TENANCY, ZONE, ZONE_ID};
use whittle_core::model::pod::{InclusionPolicy, TopologySpread, WhenUnsatisfiable};
use whittle_core::model::requirement::Operator;
use whittle_core::settings::{MinValuesPolicy, PreferencePolicy, Settings};

use super::{
    Age, Daemon, Force, Kind, Mark, Mounted, NodeLike, PoolLike, Rule, Team, Version, Volume, Want, What,
    Whose,
};
use crate::cluster::catalogue::{CATEGORY, CPUS, GPUS};

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    let preferences = select(vec![
        PreferencePolicy::Respect,
        PreferencePolicy::Respect,
        PreferencePolicy::Respect,
        PreferencePolicy::Ignore,
    ]);
    let min_values = select(vec![MinValuesPolicy::Strict, MinValuesPolicy::BestEffort]);
    let default_spread = prop_oneof![6 => Just(Vec::new()), 1 => vec(default_spreads(), 1..3)];
    (preferences, min_values, default_spread).prop_map(|(preferences, min_values, default_spread)| Settings {
        preferences,
        min_values,
        default_spread,
        ..Settings::default()
    })
}

fn default_spreads() -> impl Strategy<Value = TopologySpread> {
    let when = select(vec![WhenUnsatisfiable::ScheduleAnyway, WhenUnsatisfiable::DoNotSchedule]);
    (select(vec![ZONE, HOSTNAME]), 1_u32..3, when).prop_map(|(key, max_skew, when_unsatisfiable)| {
        TopologySpread {
            key: key.to_owned(),
            max_skew,
            min_domains: None,
            when_unsatisfiable,
            selector: None,
            match_label_keys: Vec::new(),
            node_affinity_policy: InclusionPolicy::Honor,
            node_taints_policy: InclusionPolicy::Ignore,
        }
    })
}

/// True in so many of a hundred.
fn rarely(percent: u32) -> impl Strategy<Value = bool> {
    option::weighted(f64::from(percent) / 100.0, Just(())).prop_map(|one| one.is_some())
}

pub(super) fn pools() -> impl Strategy<Value = PoolLike> {
    let team =
        select(vec![Team::Nothing, Team::Nothing, Team::Red, Team::RedOrBlue, Team::Numbered, Team::Any]);
    let limit = select(vec![
        ("cpu", 9_000),
        ("cpu", 2_000),
        ("nodes", 2),
        ("memory", 40 << 30),
        ("nvidia.com/gpu", 1),
    ]);
    let min_values =
        select(vec![(CATEGORY, 2), (INSTANCE_TYPE, 3), (CPUS, 2), (ZONE, 2), (INSTANCE_TYPE, 11)]);
    (
        0_u32..3,
        marks(),
        rarely(15),
        option::of(pool_wants()),
        team,
        option::weighted(0.3, limit),
        option::weighted(0.2, min_values),
    )
        .prop_map(|(weight, taint, startup_taint, only, team, limit, min_values)| PoolLike {
            weight,
            taint,
            startup_taint,
            only,
            team,
            limit,
            min_values,
        })
}

fn marks() -> impl Strategy<Value = Mark> {
    select(vec![Mark::None, Mark::None, Mark::NoSchedule, Mark::PreferNoSchedule])
}

fn want(key: &'static str, operator: Operator, values: &[&'static str]) -> Want {
    Want { key, operator, values: values.to_vec() }
}

/// What pools ask of their nodes.
fn pool_wants() -> impl Strategy<Value = Want> {
    use Operator::{DoesNotExist, Exists, Gt, Gte, In, Lt, Lte, NotIn};
    select(vec![
        want(ZONE, In, &["a"]),
        want(ZONE, In, &["b", "c"]),
        want(ZONE, NotIn, &["a"]),
        want(ARCH, In, &["amd64"]),
        want(CAPACITY_TYPE, In, &["on-demand"]),
        want(CATEGORY, In, &["c", "m"]),
        want(CATEGORY, NotIn, &["c"]),
        want(CPUS, Gt, &["2"]),
        want(CPUS, Lt, &["8"]),
        want(CPUS, Gte, &["4"]),
        want(CPUS, Lte, &["4"]),
        want(GPUS, Exists, &[]),
        want(GPUS, DoesNotExist, &[]),
        want(INSTANCE_TYPE, In, &["c.large", "m.large"]),
    ])
}

/// What pods ask of their node.
fn pod_wants() -> impl Strategy<Value = Want> {
    use Operator::{DoesNotExist, Exists, Gt, Gte, In, Lt, Lte, NotIn};
    select(vec![
        want(ZONE, In, &["b"]),
        want(ZONE, In, &["a", "c"]),
        want(ZONE, NotIn, &["a"]),
        want(ZONE_ID, In, &["id-c"]),
        want(ARCH, In, &["arm64"]),
        want(ARCH, Exists, &[]),
        want(CAPACITY_TYPE, In, &["on-demand"]),
        want(CPUS, Gt, &["2"]),
        want(CPUS, Lt, &["8"]),
        want(CPUS, Gte, &["4"]),
        want(CPUS, Lte, &["2"]),
        want(GPUS, DoesNotExist, &[]),
        want(TENANCY, In, &["dedicated"]),
        want(HOSTNAME, In, &["node-n0"]),
        want(HOSTNAME, NotIn, &["node-n0"]),
        want("team", In, &["red"]),
        want("team", In, &["blue", "7"]),
        want("team", NotIn, &["red"]),
        want("team", Exists, &[]),
        want("team", DoesNotExist, &[]),
        want("team", Gt, &["6"]),
        want("team", Lte, &["7"]),
    ])
}

pub(super) fn kinds() -> impl Strategy<Value = Kind> {
    let size = (select(vec![50, 400, 900, 1_900, 3_900]), 0_u64..4, rarely(8));
    let whose = (option::weighted(0.2, 0_usize..5), select(vec![0_usize, 0, 0, 1]));
    let alternatives = prop_oneof![
        2 => Just(Vec::new()),
        2 => vec(vec(pod_wants(), 1..3), 1..2),
        1 => vec(vec(pod_wants(), 1..2), 2..4),
    ];
    let likes = prop_oneof![3 => Just(Vec::new()), 1 => vec(pod_wants(), 1..3)];
    let extras = (any::<bool>(), rarely(20), option::weighted(0.3, volumes()), rarely(30));
    (0_usize..5, whose, size, alternatives, likes, vec(rules(), 0..3), extras).prop_map(
        |(
            waiting,
            (app, namespace),
            (cpu, gib, gpu),
            wants,
            likes,
            rules,
            (tolerant, port, volume, selected),
        )| Kind {
            waiting,
            app,
            namespace,
            cpu,
            gib,
            gpu,
            wants,
            likes,
            tolerant,
            rules,
            port,
            volume,
            selected,
        },
    )
}

fn volumes() -> impl Strategy<Value = Volume> {
    let zones = select(vec![vec![], vec![], vec!["b"], vec!["c", "a"]]);
    (zones, select(vec![Mounted::Own, Mounted::Shared]), any::<bool>())
        .prop_map(|(zones, mounted, attached)| Volume { zones, mounted, attached })
}

fn rules() -> impl Strategy<Value = Rule> {
    let key =
        select(vec![ZONE, HOSTNAME, ZONE, HOSTNAME, ZONE, HOSTNAME, CAPACITY_TYPE, "team", ARCH, TENANCY]);
    let force = select(vec![Force::Required, Force::Required, Force::Preferred]);
    let version = select(vec![Version::All, Version::All, Version::All, Version::Same, Version::Other]);
    let whose = || select(vec![Whose::Own, Whose::Own, Whose::Listed, Whose::Selected, Whose::All]);
    let min_domains = option::weighted(0.2, select(vec![2_u32, 4]));
    let spread = (1_u32..3, min_domains, any::<bool>(), any::<bool>()).prop_map(
        |(max_skew, min_domains, honour_taints, ignore_affinity)| What::Spread {
            max_skew,
            min_domains,
            honour_taints,
            ignore_affinity,
        },
    );
    let what = prop_oneof![
        spread,
        (0_usize..6, whose()).prop_map(|(kind, whose)| What::Near { kind, whose }),
        (0_usize..6, whose()).prop_map(|(kind, whose)| What::Away { kind, whose }),
    ];
    (key, force, version, what).prop_map(|(key, force, version, what)| Rule { key, force, version, what })
}

pub(super) fn ages() -> impl Strategy<Value = Age> {
    select(vec![
        Age::Running,
        Age::Running,
        Age::InFlight,
        Age::Starting,
        Age::Unregistered,
        Age::Unmanaged,
        Age::Leaving,
    ])
}

pub(super) fn quiet_ages() -> impl Strategy<Value = Age> {
    select(vec![Age::Running, Age::Running, Age::Unmanaged])
}

pub(super) fn nodes(age: impl Strategy<Value = Age>) -> impl Strategy<Value = NodeLike> {
    let instance_type = select(vec!["c.large", "m.large", "a.large", "m.xlarge", "c.2xlarge", "g.xlarge"]);
    let zone = select(vec!["a", "b", "c"]);
    let taint = select(vec![Mark::None, Mark::None, Mark::None, Mark::NoSchedule, Mark::PreferNoSchedule]);
    let residents = vec(0_usize..6, 0..4);
    let volumes = option::weighted(0.3, 0_u32..4);
    (0_usize..3, instance_type, zone, any::<bool>(), age, taint, residents, volumes).prop_map(
        |(pool, instance_type, zone, spot, age, taint, residents, volumes)| NodeLike {
            pool,
            instance_type,
            zone,
            spot,
            age,
            taint,
            residents,
            volumes,
        },
    )
}

pub(super) fn daemons() -> impl Strategy<Value = Daemon> {
    let on = select(vec![
        want(CATEGORY, Operator::In, &["c"]),
        want(ZONE, Operator::NotIn, &["a"]),
        want("team", Operator::In, &["red"]),
    ]);
    (select(vec![100, 400]), any::<bool>(), option::of(on), rarely(10))
        .prop_map(|(cpu, tolerant, on, port)| Daemon { cpu, tolerant, on, port })
}

pub(super) fn reserved() -> impl Strategy<Value = (&'static str, &'static str, u32)> {
    let instance_type = select(vec!["c.large", "m.large", "a.xlarge", "m.2xlarge", "g.xlarge"]);
    (instance_type, select(vec!["a", "b", "c"]), 0_u32..4)
}

pub(super) fn refused() -> impl Strategy<Value = Vec<(&'static str, &'static str, bool)>> {
    let instance_type = select(vec!["c.large", "m.large", "a.large", "a.xlarge", "c.xlarge", "g.xlarge"]);
    let one = (instance_type, select(vec!["a", "b", "c"]), any::<bool>());
    prop_oneof![3 => Just(Vec::new()), 1 => vec(one, 1..6)]
}
