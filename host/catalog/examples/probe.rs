use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use whittle_catalog::catalog::Catalog;
use whittle_catalog::settings::{AmiFamily, NodeClassSettings};
use whittle_core::event::Event;
use whittle_core::model::labels;
use whittle_core::model::node_pool::*;
use whittle_core::model::pod::*;
use whittle_core::model::requirement::*;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::*;
use whittle_core::plan::*;
use whittle_core::provision::problem::Cache;
use whittle_core::provision::{provision, provision_in_karpenter_order};
use whittle_core::state::ClusterState;
const MIB: u64 = 1 << 20;
struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn f(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        let (a, b) = (self.f().max(1e-12), self.f());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
    fn weighted(&mut self, w: &[f64]) -> usize {
        let mut x = self.f();
        for (i, p) in w.iter().enumerate() {
            if x < *p {
                return i;
            }
            x -= p;
        }
        w.len() - 1
    }
}
fn pool(variant: &str) -> NodePool {
    let r = |k: &str, o: Operator, v: &[&str]| Requirement::new(k, o, v.iter().copied());
    let k = |s: &str| format!("karpenter.k8s.aws/instance-{s}");
    let mut reqs = vec![r(labels::CAPACITY_TYPE, Operator::In, &["on-demand"])];
    if variant != "ALL" {
        reqs.push(r(&k("category"), Operator::In, &["c", "m", "r"]));
    }
    if variant == "G5" {
        reqs.push(r(&k("generation"), Operator::Gt, &["5"]));
        reqs.push(r(&k("cpu"), Operator::Gte, &["4"]));
        reqs.push(r(&k("cpu"), Operator::Lte, &["64"]));
    } else if variant != "ALL" {
        reqs.push(r(&k("generation"), Operator::Gt, &["2"]));
    }
    if variant.ends_with("32") {
        reqs.push(r(&k("cpu"), Operator::Lte, &["32"]));
    }
    if !variant.starts_with('B') && variant != "ALL" {
        reqs.push(r(labels::ARCH, Operator::In, &["amd64"]));
    }
    NodePool {
        name: "default".into(),
        weight: 0,
        node_class: "default".into(),
        requirements: reqs,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        taints: vec![],
        startup_taints: vec![],
        limits: BTreeMap::new(),
        disruption: Disruption {
            consolidate_after: None,
            policy: ConsolidationPolicy::WhenEmptyOrUnderutilized,
            budgets: vec![],
        },
        expire_after: None,
        termination_grace_period: None,
        replicas: None,
        ready: true,
        deleting: false,
    }
}
fn spec(app: &str, cpu: u64, mib: u64) -> PodSpec {
    PodSpec {
        namespace: "d".into(),
        labels: [("app".to_owned(), app.to_owned())].into(),
        requests: Resources { cpu_millis: cpu, memory_bytes: mib * MIB, pods: 1, ..Resources::default() },
        ..PodSpec::default()
    }
}
fn sel(app: &str) -> Option<LabelSelector> {
    Some(LabelSelector { requirements: vec![Requirement::equals("app", app)] })
}
fn spread(app: &str, key: &str) -> TopologySpread {
    TopologySpread {
        key: key.into(),
        max_skew: 1,
        min_domains: None,
        when_unsatisfiable: WhenUnsatisfiable::DoNotSchedule,
        selector: sel(app),
        match_label_keys: vec![],
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: InclusionPolicy::Ignore,
    }
}
fn anti(app: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        key: labels::HOSTNAME.into(),
        selector: sel(app),
        namespaces: vec![],
        namespace_selector: None,
        match_label_keys: vec![],
        mismatch_label_keys: vec![],
    }
}
fn workload(name: &str, n: usize) -> Vec<(Arc<PodSpec>, usize)> {
    let mut out = vec![];
    match name {
        "kgen" => {
            let mut r = Rng(1);
            let mut c: BTreeMap<(u64, u64), usize> = BTreeMap::new();
            for _ in 0..n {
                let cpu = [100, 250, 500, 1000, 1500][(r.next() % 5) as usize];
                let mem = [100, 256, 512, 1024, 2048, 4096][(r.next() % 6) as usize];
                *c.entry((cpu, mem)).or_default() += 1;
            }
            for ((a, b), k) in c {
                out.push((Arc::new(spec(&format!("k{a}-{b}"), a, b)), k));
            }
        }
        "micro" | "microC" => {
            let mut r = Rng(7);
            let d = match n {
                1000 => 50,
                10000 => 145,
                _ => 198,
            };
            let w: Vec<f64> = (0..d).map(|i| (i as f64 + 3.0).powf(-0.9)).collect();
            let sum: f64 = w.iter().sum();
            for i in 0..d {
                let reps = ((w[i] / sum * n as f64).round() as usize).max(1);
                let cpu = [50, 100, 200, 250, 500, 1000, 2000, 4000]
                    [r.weighted(&[0.10, 0.20, 0.15, 0.20, 0.15, 0.12, 0.06, 0.02])];
                let ratio = (3f64.ln() + 0.9 * r.normal()).exp().clamp(0.25, 32.0);
                let mib = ((cpu as f64 / 1000.0 * ratio * 1024.0) as u64).max(64);
                let app = format!("m{i}");
                let mut s = spec(&app, cpu, mib);
                if name == "microC" {
                    let a = r.f();
                    if a < 0.6 {
                        s.node_affinity = vec![vec![Requirement::equals(labels::ARCH, "amd64")]];
                    } else if a < 0.7 {
                        s.node_affinity = vec![vec![Requirement::equals(labels::ARCH, "arm64")]];
                    }
                    let b = r.f();
                    if b < 0.3 {
                        s.topology_spread.push(spread(&app, labels::ZONE));
                    } else if b < 0.4 {
                        s.pod_anti_affinity.push(anti(&app));
                    }
                }
                out.push((Arc::new(s), reps));
            }
        }
        "big" => {
            let mut r = Rng(3);
            let mut c: BTreeMap<(u64, u64), usize> = BTreeMap::new();
            for _ in 0..n {
                let cpu = [1, 2, 4, 8, 16][r.weighted(&[0.25, 0.3, 0.25, 0.15, 0.05])];
                let g = [1, 2, 4, 8, 12][(r.next() % 5) as usize];
                *c.entry((cpu * 1000, cpu * g * 1024)).or_default() += 1;
            }
            for ((a, b), k) in c {
                out.push((Arc::new(spec(&format!("b{a}-{b}"), a, b)), k));
            }
        }
        "wide" => {
            let cpus = [
                240, 450, 650, 900, 1400, 1900, 2400, 2800, 3300, 3700, 2300, 900, 1300, 2800, 1800, 1850,
                3300, 3800, 225, 450, 700, 900, 1300, 1800, 2400, 2800, 3400, 3800, 3300, 2800,
            ];
            let mem = [
                300, 400, 700, 1024, 2048, 4096, 8192, 4096, 16384, 10240, 65536, 30720, 32768, 32768, 30720,
                20480, 30720, 300, 500, 750, 1024, 2048, 4096, 8192, 16384, 32768, 28672, 65536, 13312,
                24576,
            ];
            for i in 0..30 {
                let app = format!("w{i}");
                let mut s = spec(&app, cpus[i], mem[i]);
                s.topology_spread.push(spread(&app, labels::ZONE));
                if i < 3 {
                    s.pod_anti_affinity.push(anti(&app));
                } else if i < 6 {
                    s.topology_spread.push(spread(&app, labels::HOSTNAME));
                }
                out.push((Arc::new(s), if i < 20 { 35 } else { 30 }));
            }
        }
        "rich" => {
            let mut r = Rng(11);
            for i in 0..n / 10 {
                let cpu = 50 + r.next() % 2000;
                let mib = 64 + r.next() % 8000;
                out.push((Arc::new(spec(&format!("r{i}"), cpu, mib)), 10));
            }
        }
        _ => {
            out.push((Arc::new(spec("s", 900, 3100)), 500));
            out.push((Arc::new(spec("l", 3500, 28 * 1024)), 500));
        }
    }
    out
}
fn main() {
    let filter: Vec<String> = std::env::args().skip(1).collect();
    let catalog = Catalog::embedded();
    let types: Arc<[_]> = catalog
        .instance_types(
            "us-east-1",
            &NodeClassSettings { ami_family: AmiFamily::Al2023, ..NodeClassSettings::default() },
        )
        .unwrap()
        .into();
    let cases: &[(&str, usize, &str)] = &[
        ("kgen", 1000, "A"),
        ("kgen", 10000, "A"),
        ("kgen", 10000, "A32"),
        ("kgen", 100000, "A32"),
        ("micro", 1000, "A"),
        ("micro", 10000, "A"),
        ("micro", 10000, "A32"),
        ("micro", 10000, "G5"),
        ("micro", 10000, "ALL"),
        ("micro", 100000, "A32"),
        ("micro", 100000, "ALL"),
        ("microC", 10000, "B32"),
        ("microC", 10000, "B"),
        ("big", 2000, "A32"),
        ("big", 2000, "A"),
        ("wide", 1000, "A32"),
        ("wide", 1000, "A"),
        ("basic", 1000, "A32"),
        ("rich", 100000, "A32"),
    ];
    for (w, n, v) in cases {
        let id = format!("{w}-{n}-{v}");
        if !filter.is_empty() && !filter.iter().any(|f| id.contains(f.as_str())) {
            continue;
        }
        let mut state = ClusterState::default();
        state.apply(
            Event::NodeClass(NodeClass {
                name: "default".into(),
                ready: true,
                instance_types: types.clone(),
            }),
            Timestamp::EPOCH,
        );
        state.apply(Event::NodePool(Box::new(pool(v))), Timestamp::EPOCH);
        let mut ds = spec("ds", 350, 512);
        ds.requests.pods = 5;
        ds.owner = Some(Owner { kind: "DaemonSet".into(), name: "ds".into() });
        state.apply(
            Event::DaemonSet(DaemonSet { namespace: "d".into(), name: "ds".into(), spec: ds.into() }),
            Timestamp::EPOCH,
        );
        let groups = workload(w, *n);
        let mut id_n = 0;
        let t0 = Instant::now();
        for (s, k) in &groups {
            for _ in 0..*k {
                id_n += 1;
                state.apply(
                    Event::Pod(Pod {
                        uid: format!("{id_n:08x}"),
                        name: format!("p{id_n}"),
                        spec: s.clone(),
                        volume_claims: vec![],
                        node: None,
                        unschedulable: true,
                        nominated_node: None,
                        phase: PodPhase::Pending,
                        ready: false,
                        created: Timestamp::EPOCH,
                        started: None,
                        deleting: None,
                    }),
                    Timestamp::EPOCH,
                );
            }
        }
        let t_apply = t0.elapsed();
        let price = |p: &Plan| -> (usize, f64) {
            let l: Vec<_> = p
                .actions
                .iter()
                .filter_map(|a| match a {
                    Action::Launch(l) => Some(l.price().micros()),
                    _ => None,
                })
                .collect();
            (l.len(), l.iter().sum::<u64>() as f64 / 1e6)
        };
        let mut cache = Cache::default();
        provision_in_karpenter_order(state.snapshot(), &mut cache, Timestamp::EPOCH, 1);
        let mut best = [f64::MAX; 2];
        let mut plans = vec![];
        for _ in 0..3 {
            plans.clear();
            let t = Instant::now();
            plans.push(provision_in_karpenter_order(state.snapshot(), &mut cache, Timestamp::EPOCH, 1));
            best[0] = best[0].min(t.elapsed().as_secs_f64() * 1e3);
            let t = Instant::now();
            plans.push(provision(state.snapshot(), &mut cache, Timestamp::EPOCH, 1));
            best[1] = best[1].min(t.elapsed().as_secs_f64() * 1e3);
        }
        let (a, b) = (price(&plans[0]), price(&plans[1]));
        let bad = if *n <= 2000 {
            whittle_core::check::check(state.snapshot(), &plans[1], Timestamp::EPOCH).len()
        } else {
            0
        };
        println!(
            "{id:20} pods {id_n:6} groups {:5} apply {:7.1} | karp {:4} nodes {:9.3}$ {:7.1} ms | ours {:4} nodes {:9.3}$ {:7.1} ms | {:+.2} % unplaced {} bad {bad}",
            groups.len(),
            t_apply.as_secs_f64() * 1e3,
            a.0,
            a.1,
            best[0],
            b.0,
            b.1,
            best[1],
            (b.1 / a.1 - 1.0) * 100.0,
            plans[1].report.unplaced.len()
        );
    }
}
