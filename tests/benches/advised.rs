//! What policies add to a decision about 10,000 pods: `cargo bench -p whittle-tests`.
//!
//! The same plan is made without policies and with several, in one process, again and again. A plan here is more than a
//! decision: the world it is made for, and the judgement of `check`, are part of both times. What is spent on asking is
//! measured by itself, at the port. Medians, only as good as the machine is idle; nothing depends on them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use whittle_api::manifest::File;
use whittle_control::ports::policies::{Counsel, Policies};
use whittle_core::advice::words::Reads;
use whittle_core::advice::{Advice, Hook, Kind, Question};
use whittle_core::model::node_pool::NodePool;
use whittle_core::model::time::Timestamp;
use whittle_policy::advisor::{Advisor, Patience};
use whittle_policy::engine::Engine;
use whittle_policy::reload::bring_in;
use whittle_sim::plan::plan_files;
use whittle_sim::policies::{PolicySource, Source};
use whittle_sim::run::Options;
use whittle_tests::modules::module;

/// Pods, in so many Deployments.
const PODS: usize = 10_000;
const DEPLOYMENTS: [usize; 2] = [20, 200];
/// How often each plan is made.
const TIMES: usize = 15;

/// What is attached: the modules, their settings, and what else is said of them. One that fails to say its taints would
/// hold the launches up, as it should, so that one is not asked for any.
const ATTACHED: [(&str, &[(&str, &str)]); 5] = [
    ("spot-ratio", &[("spot-ratio", "{onDemandBase: 2, spotPercent: 80}")]),
    ("prefer-generation", &[("prefer-generation", "{atLeast: 7, bandPercent: 10}")]),
    (
        "load-test-isolation",
        &[("load-test-isolation", "{workloads: {namespaces: [loadtest]}, key: example.com/loadtest}")],
    ),
    (
        "all three",
        &[
            ("spot-ratio", "{onDemandBase: 2, spotPercent: 80}"),
            ("prefer-generation", "{atLeast: 7, bandPercent: 10}"),
            ("load-test-isolation", "{workloads: {namespaces: [loadtest]}, key: example.com/loadtest}"),
        ],
    ),
    ("one that spins", &[("hostile", "{does: spins, from: 1768212000001}, hooks: [capacity, offerings]")]),
];

/// The clock of these plans: after the moment from which the hostile guest does harm.
const START: &str = "2026-01-13T10:00:00Z";

/// Policies, and how long asking them took.
#[derive(Debug)]
struct Timed {
    advisor: Arc<Advisor>,
    micros: AtomicU64,
    asked: Mutex<BTreeMap<Kind, usize>>,
}

#[derive(Debug)]
struct TimedSource(Arc<Timed>);

impl PolicySource for TimedSource {
    fn policies(&self) -> Arc<dyn Policies> {
        Arc::clone(&self.0) as Arc<dyn Policies>
    }

    fn swap(&self, directory: &str) -> Result<String, String> {
        Err(format!("nothing swaps in {directory}"))
    }
}

impl Policies for Timed {
    fn counsel(&self, node_pools: &BTreeMap<String, NodePool>) -> Box<dyn Counsel + '_> {
        Box::new(TimedCounsel { timed: self, counsel: self.advisor.counsel(node_pools) })
    }
}

struct TimedCounsel<'a> {
    timed: &'a Timed,
    counsel: Box<dyn Counsel + 'a>,
}

impl Counsel for TimedCounsel<'_> {
    fn generation(&self) -> &str {
        self.counsel.generation()
    }

    fn reads(&self) -> &Reads {
        self.counsel.reads()
    }

    fn answers(&self, hook: Hook) -> bool {
        self.counsel.answers(hook)
    }

    fn is_obeyed(&self, policy: &str, hook: Hook) -> bool {
        self.counsel.is_obeyed(policy, hook)
    }

    fn ask(&mut self, question: &Question, now: Timestamp) -> Advice {
        let start = Instant::now();
        let advice = self.counsel.ask(question, now);
        let micros = u64::try_from(start.elapsed().as_micros()).expect("less than an age");
        self.timed.micros.fetch_add(micros, Ordering::SeqCst);
        self.timed.asked.lock().expect("no panic").insert(question.kind(), question.len());
        advice
    }
}

fn main() {
    let engine = Arc::new(Engine::new().expect("an engine"));
    for deployments in DEPLOYMENTS {
        let files = manifests(deployments);
        println!(
            "\n{PODS} pods of {deployments} Deployments{:>17}{:>14}{:>14}",
            "plan ms", "more ms", "asking ms"
        );
        let without = planned(&files, None).0;
        println!("{:<40}{:>12}", "no policies", millis(without));
        for (name, attached) in ATTACHED {
            let timed = Arc::new(Timed {
                advisor: attach(&engine, attached),
                micros: AtomicU64::new(0),
                asked: Mutex::default(),
            });
            let (with, asking) = planned(&files, Some(&timed));
            let more = millis(with.saturating_sub(without));
            let asked = timed.asked.lock().expect("no panic");
            let asked: Vec<String> = asked.iter().map(|(kind, things)| format!("{kind} {things}")).collect();
            let asked = asked.join(", ");
            println!("{name:<40}{:>12}{more:>14}{:>14}  {asked}", millis(with), millis(asking));
        }
    }
}

fn attach(engine: &Arc<Engine>, attached: &[(&str, &str)]) -> Arc<Advisor> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut list = "policies:\n".to_owned();
    for (name, settings) in attached {
        list.push_str(&format!("- {{name: {name}, module: {name}.wasm, settings: {settings}}}\n"));
        fs::write(folder.path().join(format!("{name}.wasm")), module(name)).expect("a file");
    }
    fs::write(folder.path().join("policies.yaml"), list).expect("a file");
    // Fuel alone ends what takes too long: on a busy machine a deadline that was missed would be another plan.
    let advisor = Arc::new(Advisor::new(Arc::clone(engine), Patience::Simulation));
    bring_in(&advisor, None, folder.path()).unwrap_or_else(|problems| panic!("{problems}"));
    advisor
}

/// The medians of how long a plan takes, and of how long asking does.
fn planned(files: &[File], timed: Option<&Arc<Timed>>) -> (Duration, Duration) {
    let policies = timed.map(|timed| Source(Arc::new(TimedSource(Arc::clone(timed)))));
    let options = Options { policies, ..Options::default() };
    let runs = (0..TIMES).map(|_| {
        if let Some(timed) = timed {
            timed.micros.store(0, Ordering::SeqCst);
        }
        let files = files.to_vec();
        let start = Instant::now();
        let report = plan_files(files, &options).unwrap_or_else(|problems| panic!("{problems}"));
        let took = start.elapsed();
        assert!(!report.launches.is_empty(), "nothing was decided");
        (took, Duration::from_micros(timed.map_or(0, |timed| timed.micros.load(Ordering::SeqCst))))
    });
    let (mut plans, mut asking): (Vec<Duration>, Vec<Duration>) = runs.unzip();
    plans.sort_unstable();
    asking.sort_unstable();
    (plans[TIMES / 2], asking[TIMES / 2])
}

fn millis(span: Duration) -> String {
    format!("{:.2}", span.as_secs_f64() * 1e3)
}

fn manifests(deployments: usize) -> Vec<File> {
    let mut texts = vec![
        format!(
            "apiVersion: whittle.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: advised}}\n\
             spec: {{region: us-east-1, duration: 1m, start: \"{START}\"}}\n"
        ),
        "apiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\nmetadata: {name: default}\nspec:\n  \
         amiSelectorTerms: [{alias: al2023@latest}]\n  role: worker\n  \
         subnetSelectorTerms: [{tags: {karpenter.sh/discovery: test}}]\n  \
         securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: test}}]\n"
            .to_owned(),
        "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: default}\nspec:\n  template:\n    spec:\n      \
         nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}\n      requirements:\n      \
         - {key: karpenter.sh/capacity-type, operator: In, values: [spot, on-demand]}\n      \
         - {key: karpenter.k8s.aws/instance-category, operator: In, values: [c, m, r]}\n      \
         - {key: karpenter.k8s.aws/instance-generation, operator: Gt, values: [\"4\"]}\n"
            .to_owned(),
    ];
    for number in 0..deployments {
        let (replicas, cpu) = (PODS / deployments, 100 + number * 10 % 1_900);
        texts.push(format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web-{number}}}\nspec:\n  replicas: {replicas}\n  \
             selector: {{matchLabels: {{app: web-{number}}}}}\n  template:\n    \
             metadata: {{labels: {{app: web-{number}}}}}\n    spec:\n      containers:\n      \
             - {{name: web, image: web, resources: {{requests: {{cpu: {cpu}m, memory: 1Gi}}}}}}\n"
        ));
    }
    let named = |(place, text)| File { name: format!("{place}.yaml"), text };
    texts.into_iter().enumerate().map(named).collect()
}
