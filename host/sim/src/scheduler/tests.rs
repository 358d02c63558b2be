//! Facts about the scheduler model, each on a few nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use whittle_core::model::labels::{HOSTNAME, ZONE};
use whittle_core::model::node::{Node, VolumeLimits};
use whittle_core::model::node_pool::{VolumeBinding, VolumeClaim};
use whittle_core::model::pod::{
    HostPort, InclusionPolicy, LabelSelector, PodAffinityTerm, PodSpec, TopologySpread, WhenUnsatisfiable,
};
use whittle_core::model::requirement::{Requirement, Taint, TaintEffect};
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;

use super::{Claims, Decision, Leaving, Namespaces, Scheduler, Waiting};
use crate::random::Random;

const GIB: u64 = 1 << 30;

fn resources(cpu_millis: u64, memory_bytes: u64) -> Resources {
    Resources { cpu_millis, memory_bytes, pods: 110, ..Resources::default() }
}

fn node(name: &str, zone: &str, cpu_millis: u64) -> Node {
    let labels = [(HOSTNAME, name), (ZONE, zone)];
    Node {
        name: name.into(),
        provider_id: format!("aws:///{zone}/{name}"),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        taints: Vec::new(),
        capacity: resources(cpu_millis, 32 * GIB),
        allocatable: resources(cpu_millis, 32 * GIB),
        ready: true,
        conditions: Vec::new(),
        do_not_disrupt: false,
        held: false,
        created: Timestamp::EPOCH,
        deleting: None,
    }
}

fn spec(app: &str, cpu_millis: u64) -> PodSpec {
    PodSpec {
        namespace: "shop".into(),
        labels: BTreeMap::from([("app".to_owned(), app.to_owned())]),
        requests: Resources { pods: 1, ..resources(cpu_millis, GIB) },
        ..PodSpec::default()
    }
}

fn selector(app: &str) -> LabelSelector {
    LabelSelector { requirements: vec![Requirement::equals("app", app)] }
}

fn spread(app: &str, key: &str) -> TopologySpread {
    TopologySpread {
        key: key.into(),
        max_skew: 1,
        min_domains: None,
        when_unsatisfiable: WhenUnsatisfiable::DoNotSchedule,
        selector: Some(selector(app)),
        match_label_keys: Vec::new(),
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: InclusionPolicy::Ignore,
    }
}

fn term(app: &str, key: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        key: key.into(),
        selector: Some(selector(app)),
        namespaces: Vec::new(),
        namespace_selector: None,
        match_label_keys: Vec::new(),
        mismatch_label_keys: Vec::new(),
    }
}

struct Bench {
    scheduler: Scheduler,
    chance: Random,
    claims: Claims,
    pods: u64,
}

impl Bench {
    fn with(nodes: &[Node]) -> Self {
        let mut scheduler = Scheduler::default();
        nodes.iter().for_each(|node| scheduler.put_node(node));
        Self { scheduler, chance: Random::new(1, 1), claims: Claims::new(), pods: 0 }
    }

    fn add(&mut self, spec: &PodSpec, count: u64) {
        self.add_with_volumes(spec, count, &[]);
    }

    fn add_with_volumes(&mut self, spec: &PodSpec, count: u64, volumes: &[&str]) {
        let ord = self.scheduler.spec(&Arc::new(spec.clone()), &Namespaces::new());
        for _ in 0..count {
            self.pods += 1;
            let volumes = volumes.iter().map(|name| ("shop".to_owned(), (*name).to_owned())).collect();
            self.scheduler.wait(Waiting { pod: self.pods, spec: ord, volumes, pinned: None });
        }
    }

    /// Who went where, and `-` for those told that they fit nowhere.
    fn run(&mut self) -> Vec<(u64, String)> {
        let mut decisions = Vec::new();
        while let Some(decision) = self.scheduler.step(&self.claims, &mut self.chance) {
            decisions.push(match decision {
                Decision::Bind(pod, node) => (pod, node),
                Decision::Unschedulable(pod) => (pod, "-".to_owned()),
            });
        }
        decisions.sort();
        decisions
    }

    fn counts(&mut self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, node) in self.run() {
            *counts.entry(node).or_default() += 1;
        }
        counts
    }
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn least_allocated_spreads_pods_over_equal_nodes() {
    let mut bench = Bench::with(&["a", "b", "c"].map(|name| node(name, "z1", 4_000)));
    bench.add(&spec("web", 500), 9);
    assert_eq!(bench.counts(), counts(&[("a", 3), ("b", 3), ("c", 3)]));
}

#[test]
fn what_does_not_fit_is_told_once_and_goes_to_the_next_node_that_comes() {
    let mut bench = Bench::with(&[node("a", "z1", 1_000)]);
    bench.add(&spec("web", 600), 2);
    assert_eq!(bench.run(), [(1, "a".to_owned()), (2, "-".to_owned())]);
    assert_eq!(bench.run(), []);
    bench.scheduler.put_node(&node("small", "z1", 500));
    assert_eq!(bench.run(), []);
    bench.scheduler.put_node(&node("b", "z1", 1_000));
    assert_eq!(bench.run(), [(2, "b".to_owned())]);
}

#[test]
fn room_that_a_pod_leaves_is_used_by_one_that_waits() {
    let mut bench = Bench::with(&[node("a", "z1", 1_000)]);
    let web = spec("web", 600);
    bench.add(&web, 2);
    bench.run();
    let ord = bench.scheduler.spec(&Arc::new(web), &Namespaces::new());
    bench.scheduler.release(ord, "a", Leaving::AtOnce);
    assert_eq!(bench.run(), [(2, "a".to_owned())]);
}

#[test]
fn the_highest_priority_goes_first_whoever_came_first() {
    let mut bench = Bench::with(&[node("a", "z1", 1_000)]);
    bench.add(&spec("web", 600), 1);
    bench.add(&PodSpec { priority: 1_000, ..spec("payment", 600) }, 1);
    assert_eq!(bench.run(), [(1, "-".to_owned()), (2, "a".to_owned())]);
}

#[test]
fn taints_keep_off_and_node_affinity_draws_in() {
    let mut tainted = node("a", "z1", 4_000);
    let taint = Taint { key: "dedicated".into(), value: String::new(), effect: TaintEffect::NoSchedule };
    tainted.taints.push(taint);
    let mut bench = Bench::with(&[tainted, node("b", "z2", 4_000)]);
    bench.add(&spec("web", 100), 3);
    let in_z1 = vec![vec![Requirement::equals(ZONE, "z1")]];
    bench.add(&PodSpec { node_affinity: in_z1, ..spec("db", 100) }, 1);
    assert_eq!(bench.counts(), counts(&[("-", 1), ("b", 3)]));
}

#[test]
fn a_zone_spread_fills_the_emptiest_zone_and_then_waits_for_a_node() {
    let nodes = [node("a", "z1", 8_000), node("b", "z1", 8_000), node("c", "z2", 1_000)];
    let mut bench = Bench::with(&nodes);
    let web = PodSpec { topology_spread: vec![spread("web", ZONE)], ..spec("web", 500) };
    bench.add(&web, 7);
    let placed = bench.counts();
    // Two fit into z2, so z1 may hold three.
    assert_eq!((placed["c"], placed["a"] + placed["b"], placed["-"]), (2, 3, 2));
    bench.scheduler.put_node(&node("d", "z2", 8_000));
    assert_eq!(bench.counts(), counts(&[("d", 2)]));
}

#[test]
fn pods_that_keep_apart_get_a_node_each_and_keep_newcomers_off() {
    let mut bench = Bench::with(&["a", "b"].map(|name| node(name, "z1", 4_000)));
    let db = PodSpec { pod_anti_affinity: vec![term("db", HOSTNAME)], ..spec("db", 100) };
    bench.add(&db, 3);
    assert_eq!(bench.counts(), counts(&[("-", 1), ("a", 1), ("b", 1)]));
    // The db pods on both nodes keep this one off, although it has no rule of its own.
    bench.add(&spec("db", 50), 1);
    assert_eq!(bench.counts(), counts(&[("-", 1)]));
}

#[test]
fn pods_that_want_company_start_anywhere_and_stay_together() {
    let mut bench = Bench::with(&["a", "b", "c"].map(|name| node(name, name, 4_000)));
    bench.add(&PodSpec { pod_affinity: vec![term("cache", ZONE)], ..spec("cache", 100) }, 5);
    let placed = bench.counts();
    assert_eq!(placed.values().copied().collect::<Vec<_>>(), [5]);
}

#[test]
fn a_host_port_is_taken_once_per_node() {
    let mut bench = Bench::with(&["a", "b"].map(|name| node(name, "z1", 4_000)));
    let port = HostPort { ip: "0.0.0.0".into(), port: 80, protocol: "TCP".into() };
    bench.add(&PodSpec { host_ports: vec![port], ..spec("edge", 100) }, 3);
    assert_eq!(bench.counts(), counts(&[("-", 1), ("a", 1), ("b", 1)]));
}

#[test]
fn a_volume_keeps_its_pod_in_its_zone() {
    let mut bench = Bench::with(&[node("a", "z1", 4_000), node("b", "z2", 4_000)]);
    let binding = VolumeBinding::Nodes(vec![vec![Requirement::equals(ZONE, "z2")]]);
    let claim =
        VolumeClaim { namespace: "shop".into(), name: "data".into(), volume: None, binding, driver: None };
    bench.claims.insert(("shop".into(), "data".into()), claim);
    bench.add_with_volumes(&spec("db", 100), 1, &["data"]);
    bench.add_with_volumes(&spec("db", 100), 1, &["gone"]);
    assert_eq!(bench.run(), [(1, "b".to_owned()), (2, "-".to_owned())]);
}

#[test]
fn a_node_that_goes_takes_its_counts_with_it() {
    let mut bench = Bench::with(&[node("a", "z1", 4_000)]);
    let db = PodSpec { pod_anti_affinity: vec![term("db", ZONE)], ..spec("db", 100) };
    bench.add(&db, 1);
    bench.run();
    bench.scheduler.remove_node("a");
    bench.scheduler.put_node(&node("b", "z1", 4_000));
    bench.add(&db, 1);
    assert_eq!(bench.run(), [(2, "b".to_owned())]);
}

#[test]
fn a_node_attaches_no_more_volumes_than_its_driver_allows_and_a_shared_one_once() {
    let mut bench = Bench::with(&[node("a", "z1", 4_000)]);
    for name in ["one", "two", "shared"] {
        let binding = VolumeBinding::Nodes(Vec::new());
        let driver = Some("ebs".to_owned());
        let claim =
            VolumeClaim { namespace: "shop".into(), name: name.into(), volume: None, binding, driver };
        bench.claims.insert(("shop".into(), name.into()), claim);
    }
    let drivers = BTreeMap::from([("ebs".to_owned(), 2)]);
    bench.scheduler.limit_volumes(&VolumeLimits { node: "a".into(), drivers });
    bench.add_with_volumes(&spec("web", 100), 2, &["shared"]);
    bench.add_with_volumes(&spec("db", 100), 1, &["one"]);
    bench.add_with_volumes(&spec("db", 100), 1, &["two"]);
    let there = |pod| (pod, "a".to_owned());
    assert_eq!(bench.run(), [there(1), there(2), there(3), (4, "-".to_owned())]);
    // Its volume goes with the last pod that mounts it.
    let web = bench.scheduler.spec(&Arc::new(spec("web", 100)), &Namespaces::new());
    let shared = [("shop".to_owned(), "shared".to_owned())];
    for left in [Vec::new(), vec![there(4)]] {
        bench.scheduler.detach(&shared, "a");
        bench.scheduler.release(web, "a", Leaving::AtOnce);
        assert_eq!(bench.run(), left);
    }
}
