//! Any text as a manifest beside a small cluster: it is read, and what reads is planned.

use whittle_api::manifest::{File, Manifests, parse};
use whittle_sim::plan::plan_files;
use whittle_sim::run::Options;

use super::small_cluster;

/// More pods than this make a slow plan and no new one.
const PODS_MAX: i64 = 2_000;

/// What is wrong with how bytes are read as a manifest and planned.
///
/// # Errors
///
/// A rule that the plan breaks, and a problem that says nothing.
pub fn judge(data: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(data) else { return Ok(()) };
    let files = vec![small_cluster(), File { name: "any.yaml".to_owned(), text: text.to_owned() }];
    let manifests = parse(&files);
    for problem in &manifests.problems {
        if problem.source.file != "any.yaml" {
            return Err(format!("a problem of a file that has none: {problem}"));
        }
        if problem.defect.found.is_empty() || problem.defect.expected.is_empty() {
            return Err(format!("a problem that says nothing: {problem:?}"));
        }
    }
    if !manifests.problems.is_empty() || pods(&manifests) > PODS_MAX {
        return Ok(());
    }
    match plan_files(files, &Options::default()) {
        // What the world finds wrong beyond the manifests.
        Err(_) => Ok(()),
        Ok(report) => match report.violations.first() {
            Some(violation) => Err(format!("the plan breaks a rule: {violation}")),
            None => Ok(()),
        },
    }
}

/// How many pods the manifests ask for.
fn pods(manifests: &Manifests) -> i64 {
    let replicas = |wanted: Option<i32>| i64::from(wanted.unwrap_or(1));
    let deployments = manifests.deployments.iter().filter_map(|one| one.object.spec.as_ref()?.replicas);
    let sets = manifests.replica_sets.iter().filter_map(|one| one.object.spec.as_ref()?.replicas);
    let stateful = manifests.stateful_sets.iter().filter_map(|one| one.object.spec.as_ref()?.replicas);
    let jobs = manifests.jobs.iter().filter_map(|one| one.object.spec.as_ref()?.parallelism);
    deployments.chain(sets).chain(stateful).chain(jobs).map(|wanted| replicas(Some(wanted))).sum()
}
