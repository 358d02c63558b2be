//! Directories in memory, and what has to hold for what comes of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use whittle_api::manifest::File;
use whittle_sim::plan::{PlanReport, plan_files};
use whittle_sim::problems::Problems;
use whittle_sim::run::{Options, simulate_files};

/// What a directory comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is refused, for reasons that say something.
    Refused(Vec<String>),
    /// It is planned, and the plan breaks no rule.
    Planned(Box<PlanReport>),
}

impl Outcome {
    /// The plan; a directory that is refused fails the test.
    #[track_caller]
    pub(crate) fn plan(self) -> PlanReport {
        match self {
            Self::Planned(report) => *report,
            Self::Refused(problems) => panic!("refused: {}", problems.join("\n")),
        }
    }

    /// The problems; a directory that is planned fails the test.
    #[track_caller]
    pub(crate) fn problems(self) -> Vec<String> {
        match self {
            Self::Refused(problems) => problems,
            Self::Planned(report) => panic!("planned, with {} nodes", report.launches.len()),
        }
    }
}

/// An EC2NodeClass, and these objects.
pub(crate) fn with_class(objects: &[Value]) -> Vec<File> {
    let mut text = json!({
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": { "name": "default" },
        "spec": {
            "amiSelectorTerms": [{ "alias": "al2023@latest" }],
            "role": "worker",
            "subnetSelectorTerms": [{ "tags": { "a": "b" } }],
            "securityGroupSelectorTerms": [{ "tags": { "a": "b" } }],
        },
    })
    .to_string();
    for object in objects {
        text.push_str("\n---\n");
        text.push_str(&object.to_string());
    }
    vec![file("objects.yaml", &text)]
}

pub(crate) fn file(name: &str, text: &str) -> File {
    File { name: name.to_owned(), text: text.to_owned() }
}

/// A NodePool that launches two families on demand; `change` gets its spec.
pub(crate) fn pool(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut pool = json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": { "name": name },
        "spec": { "template": { "spec": {
            "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
            "requirements": [
                { "key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m6i", "m7g"] },
                { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"] },
            ],
        } } },
    });
    change(&mut pool["spec"]);
    pool
}

/// A NodePool whose requirements are these.
pub(crate) fn pool_of(name: &str, requirements: &Value) -> Value {
    pool(name, |spec| spec["template"]["spec"]["requirements"] = requirements.clone())
}

/// A Deployment of small pods; `change` gets the spec of its pods.
pub(crate) fn deployment(name: &str, replicas: u64, change: impl FnOnce(&mut Value)) -> Value {
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{
                    "name": "one",
                    "image": "one",
                    "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } },
                }] },
            },
        },
    });
    change(&mut deployment["spec"]["template"]["spec"]);
    deployment
}

/// Sets what the one container of a pod asks for.
pub(crate) fn ask(spec: &mut Value, resource: &str, amount: &str) {
    spec["containers"][0]["resources"]["requests"][resource] = json!(amount);
}

/// Terms of required affinity to apps.
pub(crate) fn near(apps: &[String], key: &str) -> Value {
    let term = |app| json!({ "topologyKey": key, "labelSelector": { "matchLabels": { "app": app } } });
    json!({ "requiredDuringSchedulingIgnoredDuringExecution": apps.iter().map(term).collect::<Vec<_>>() })
}

/// A hard spread of an app's pods.
pub(crate) fn spread(app: &str, key: &str) -> Value {
    json!([{
        "topologyKey": key,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": { "app": app } },
    }])
}

/// What files come to when they are planned. Fails the test when that breaks a rule, loses a pod or says nothing.
#[track_caller]
pub(crate) fn planned(files: Vec<File>) -> Outcome {
    match plan_files(files, &Options::default()) {
        Err(problems) => Outcome::Refused(said(&problems)),
        Ok(report) => {
            assert_eq!(report.violations, [], "the plan breaks no rule");
            accounts_for_every_pod(&report);
            Outcome::Planned(Box::new(report))
        }
    }
}

/// What files come to when they are simulated.
#[track_caller]
pub(crate) fn simulated(files: Vec<File>) -> Result<whittle_sim::record::Record, Vec<String>> {
    match simulate_files(files, &Options::default(), &mut |_| ()) {
        Err(problems) => Err(said(&problems)),
        Ok(record) => {
            let violations: Vec<String> =
                record.violations.iter().map(|broken| broken.violation.to_string()).collect();
            assert_eq!(violations, Vec::<String>::new(), "no plan breaks a rule");
            Ok(record)
        }
    }
}

/// Each problem as it is printed. A problem says where, and what was found and expected, in a line that can be read.
#[track_caller]
fn said(problems: &Problems) -> Vec<String> {
    assert!(!problems.0.is_empty(), "what is refused is refused for a reason");
    for problem in &problems.0 {
        let shown = problem.to_string();
        assert!(!problem.source.file.is_empty(), "{shown:.1000}");
        assert!(!problem.defect.found.is_empty(), "{shown:.1000}");
        assert!(!problem.defect.expected.is_empty(), "{shown:.1000}");
        assert!(shown.len() < 4_000, "{} bytes: {shown:.1000}", shown.len());
    }
    problems.0.iter().map(ToString::to_string).collect()
}

/// No pod has two places, or a place and a reason for having none.
#[track_caller]
fn accounts_for_every_pod(report: &PlanReport) {
    let mut seen = BTreeSet::new();
    let launched = report.launches.iter().flat_map(|launch| &launch.pods);
    let placed = report.nominations.values().chain(report.scheduled.values()).flatten();
    let unplaced = report.unplaced.iter().map(|unplaced| &unplaced.name);
    for pod in launched.chain(placed).chain(unplaced) {
        assert!(seen.insert(pod), "{pod} is in the plan twice");
    }
}

/// How many pods of a plan have a place, and how many have none.
pub(crate) fn placed_and_not(report: &PlanReport) -> (usize, usize) {
    let launched: usize = report.launches.iter().map(|launch| launch.pods.len()).sum();
    let elsewhere: usize = report.nominations.values().chain(report.scheduled.values()).map(Vec::len).sum();
    (launched + elsewhere, report.unplaced.len())
}
