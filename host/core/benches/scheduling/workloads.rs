//! The pods of every case. Where nothing else is said, numbers and shares are choices of ours.
//!
//! Karpenter's: the mix and the preferences of `pkg/controllers/provisioning/scheduling/scheduling_benchmark_test.go`,
//! and two loads of `test/suites/performance`. Ours: sizes alone, services as clusters of many teams have them, large
//! pods, and as many kinds of pods as there can be.

use whittle_core::model::labels;
use whittle_core::model::pod::{PodSpec, Preferred};
use whittle_core::model::requirement::Requirement;

use crate::chance::Chance;
use crate::pods::{GIB, MIB, of_deployment, plain, spread, term};

/// What waits for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Karpenter's mix: a fifth each of plain pods, pods spread over zones, over nodes, pods near their like in a
    /// zone, and pods that want a node for themselves.
    Diverse(usize),
    /// Equal pods that would rather be in one zone, and far from one another.
    Preferring(usize),
    /// The sizes of Karpenter's mix and nothing else.
    Sizes(usize),
    /// Deployments of all sizes, few of them large.
    Services(Services),
    /// Pods of 1 to 16 vCPU.
    Large(usize),
    /// Karpenter's 30 Deployments with 1,000 pods, all spread over zones.
    Wide,
    /// Karpenter's small and large pods, 500 of each.
    Basic,
}

/// Deployments with replicas by Zipf's law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Services {
    pub(crate) pods: usize,
    pub(crate) deployments: usize,
    pub(crate) rules: Rules,
}

/// Whether services say where they want to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// They run anywhere.
    None,
    /// Six of ten want amd64 and one arm64, three of ten are spread over zones, one keeps its replicas apart.
    Some,
}

/// The specs of pods, one for each.
pub(crate) type Specs = Box<dyn Iterator<Item = PodSpec>>;

impl Workload {
    /// The pods in the order in which they become known.
    pub(crate) fn specs(self) -> Specs {
        match self {
            Self::Diverse(count) => diverse(count),
            Self::Preferring(count) => {
                let spec = preferring(&mut Chance::seeded(42));
                Box::new(std::iter::repeat_n(spec, count))
            }
            Self::Sizes(count) => {
                let mut chance = Chance::seeded(1);
                Box::new((0..count).map(move |_| karpenters_size(&mut chance)))
            }
            Self::Services(services) => replicated(services.kinds()),
            Self::Large(count) => {
                let mut chance = Chance::seeded(3);
                Box::new((0..count).map(move |_| large(&mut chance)))
            }
            Self::Wide => replicated(wide()),
            Self::Basic => replicated(vec![
                (of_deployment("small", plain(900, 3_100 * MIB)), 500),
                (of_deployment("large", plain(3_500, 28 * GIB)), 500),
            ]),
        }
    }
}

fn replicated(kinds: Vec<(PodSpec, usize)>) -> Specs {
    Box::new(kinds.into_iter().flat_map(|(spec, replicas)| std::iter::repeat_n(spec, replicas)))
}

const LETTERS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

fn diverse(count: usize) -> Specs {
    let mut chance = Chance::seeded(42);
    let share = count / 5;
    Box::new((0..count).map(move |at| one_of_five(at.checked_div(share).unwrap_or(0), &mut chance)))
}

/// A pod of Karpenter's mix. What is left over after five equal shares is plain.
fn one_of_five(kind: usize, chance: &mut Chance) -> PodSpec {
    let letter = chance.one_of(&LETTERS);
    let (key, value) = match kind {
        3 => ("my-affininity", letter),
        4 => ("app", "nginx"),
        _ => ("my-label", letter),
    };
    let mut rules = PodSpec::default();
    match kind {
        1 => rules.topology_spread.push(spread(labels::ZONE, "my-label", chance.one_of(&LETTERS))),
        2 => rules.topology_spread.push(spread(labels::HOSTNAME, "my-label", chance.one_of(&LETTERS))),
        3 => rules.pod_affinity.push(term(labels::ZONE, key, value)),
        4 => rules.pod_anti_affinity.push(term(labels::HOSTNAME, key, value)),
        _ => {}
    }
    let PodSpec { namespace, requests, .. } = karpenters_size(chance);
    PodSpec { namespace, requests, labels: [(key.to_owned(), value.to_owned())].into(), ..rules }
}

fn karpenters_size(chance: &mut Chance) -> PodSpec {
    let cpu_millis = chance.one_of(&[100, 250, 500, 1_000, 1_500]);
    plain(cpu_millis, chance.one_of(&[100, 256, 512, 1_024, 2_048, 4_096]) * MIB)
}

fn preferring(chance: &mut Chance) -> PodSpec {
    let apart = |weight, key| Preferred { weight, term: term(key, "app", "nginx") };
    let zone = vec![Requirement::equals(labels::ZONE, "1")];
    PodSpec {
        labels: [("app".to_owned(), "nginx".to_owned())].into(),
        preferred_node_affinity: vec![Preferred { weight: 1, term: zone }],
        preferred_pod_anti_affinity: vec![apart(10, labels::ZONE), apart(1, labels::HOSTNAME)],
        ..karpenters_size(chance)
    }
}

fn large(chance: &mut Chance) -> PodSpec {
    let cpus = chance.by_share(&[(1, 0.25), (2, 0.30), (4, 0.25), (8, 0.15), (16, 0.05)]);
    plain(cpus * 1_000, cpus * chance.one_of(&[1, 2, 4, 8, 12]) * GIB)
}

/// How many replicas a Deployment may have and still keep them apart: nobody pays for hundreds of nodes that way.
const APART_MAX: usize = 50;

/// Memory is asked for in steps of this.
const MEMORY_STEP: u64 = 16 * MIB;

/// GiB per vCPU, so that every pod fits a node of 32 vCPU.
const RATIO: std::ops::RangeInclusive<f64> = 0.25..=24.0;

impl Services {
    fn kinds(self) -> Vec<(PodSpec, usize)> {
        let mut chance = Chance::seeded(7);
        let replicas = zipf(self.pods, self.deployments);
        let kind = |(at, replicas)| {
            let spec = of_deployment(&format!("service-{at}"), service(&mut chance));
            (self.bound(spec, replicas, &mut chance), replicas)
        };
        replicas.into_iter().enumerate().map(kind).collect()
    }

    fn bound(self, mut spec: PodSpec, replicas: usize, chance: &mut Chance) -> PodSpec {
        if self.rules == Rules::None {
            return spec;
        }
        let app = spec.labels["app"].clone();
        if let Some(arch) = chance.by_share(&[(Some("amd64"), 0.6), (Some("arm64"), 0.1), (None, 0.3)]) {
            spec.node_affinity.push(vec![Requirement::equals(labels::ARCH, arch)]);
        }
        if chance.unit() < 0.3 {
            spec.topology_spread.push(spread(labels::ZONE, "app", &app));
        }
        if chance.unit() < 0.1 && replicas <= APART_MAX {
            spec.pod_anti_affinity.push(term(labels::HOSTNAME, "app", &app));
        }
        spec
    }
}

fn service(chance: &mut Chance) -> PodSpec {
    let cpus = [50, 100, 200, 250, 500, 1_000, 2_000, 4_000];
    let shares = [0.10, 0.20, 0.15, 0.20, 0.15, 0.12, 0.06, 0.02];
    let shares: Vec<_> = cpus.into_iter().zip(shares).collect();
    let cpu_millis = chance.by_share(&shares);
    let ratio = chance.log_normal(3.0, 0.9).clamp(*RATIO.start(), *RATIO.end());
    let memory_bytes = ratio * cpu_millis as f64 / 1_000.0 * GIB as f64;
    plain(cpu_millis, (memory_bytes as u64).div_ceil(MEMORY_STEP) * MEMORY_STEP)
}

/// So many pods in so many Deployments, the share of the i-th as `(i + 3)^-0.9`, none without a replica.
fn zipf(pods: usize, deployments: usize) -> Vec<usize> {
    let shares: Vec<f64> = (0..deployments).map(|at| (at as f64 + 3.0).powf(-0.9)).collect();
    let all: f64 = shares.iter().sum();
    let mut replicas: Vec<usize> =
        shares.iter().map(|share| ((share / all * pods as f64) as usize).max(1)).collect();
    // What rounding has left goes to the largest.
    let given: usize = replicas.iter().sum();
    replicas[0] = (replicas[0] + pods).saturating_sub(given).max(1);
    replicas
}

fn wide() -> Vec<(PodSpec, usize)> {
    const CPU_MILLIS: [u64; 30] = [
        240, 450, 650, 900, 1_400, 1_900, 2_400, 2_800, 3_300, 3_700, 2_300, 900, 1_300, 2_800, 1_800, 1_850,
        3_300, 3_800, 225, 450, 700, 900, 1_300, 1_800, 2_400, 2_800, 3_400, 3_800, 3_300, 2_800,
    ];
    const GI: u64 = 1_024;
    const MEMORY_MIB: [u64; 30] = [
        300,
        400,
        700,
        GI,
        2 * GI,
        4 * GI,
        8 * GI,
        4 * GI,
        16 * GI,
        10 * GI,
        64 * GI,
        30 * GI,
        32 * GI,
        32 * GI,
        30 * GI,
        20 * GI,
        30 * GI,
        300,
        500,
        750,
        GI,
        2 * GI,
        4 * GI,
        8 * GI,
        16 * GI,
        32 * GI,
        28 * GI,
        64 * GI,
        13 * GI,
        24 * GI,
    ];
    let kind = |(at, (cpu_millis, mib)): (usize, (u64, u64))| {
        let name = format!("wide-{}", at + 1);
        let mut spec = of_deployment(&name, plain(cpu_millis, mib * MIB));
        spec.topology_spread.push(spread(labels::ZONE, "app", &name));
        match at + 1 {
            1..=3 => spec.pod_anti_affinity.push(term(labels::HOSTNAME, "app", &name)),
            4..=6 => spec.topology_spread.push(spread(labels::HOSTNAME, "app", &name)),
            _ => {}
        }
        (spec, if at < 20 { 35 } else { 30 })
    };
    CPU_MILLIS.into_iter().zip(MEMORY_MIB).enumerate().map(kind).collect()
}
