//! What only shows when an object is made into the core's: the last check of what was read.
//!
//! After it, every object that is still there converts without defects.

use std::collections::BTreeSet;

use super::{Loaded, Manifests};
use crate::convert::pod::{Priorities, pod};
use crate::convert::workload::{daemon_set, deployment, job, replica_set, stateful_set};
use crate::convert::{budget, node, node_claim, node_class, node_pool, volume};
use crate::problem::{Defect, Path, Problem, Source};

/// Adds what conversions find wrong to the problems, and takes all objects with problems out of the lists.
pub(super) fn check(manifests: &mut Manifests) {
    let mut known = Known::default();
    known.add(&manifests.problems);
    let classes: Vec<_> = manifests.priority_classes.iter().map(|loaded| loaded.object.clone()).collect();
    let priorities = Priorities::new(&classes);
    let mut found = Vec::new();
    let to = &mut found;
    keep(&mut manifests.node_pools, &known, to, |one| node_pool::node_pool(one).err());
    keep(&mut manifests.node_claims, &known, to, |one| node_claim::node_claim(one).err());
    keep(&mut manifests.node_classes, &known, to, |one| node_class::node_class_settings(one).err());
    keep(&mut manifests.deployments, &known, to, |one| deployment(one, &priorities).err());
    keep(&mut manifests.replica_sets, &known, to, |one| replica_set(one, &priorities).err());
    keep(&mut manifests.stateful_sets, &known, to, |one| stateful_set(one, &priorities).err());
    keep(&mut manifests.daemon_sets, &known, to, |one| daemon_set(one, &priorities).err());
    keep(&mut manifests.jobs, &known, to, |one| job(one, &priorities).err());
    keep(&mut manifests.cron_jobs, &known, to, |_| None);
    keep(&mut manifests.pods, &known, to, |one| pod(one, &priorities).err());
    keep(&mut manifests.nodes, &known, to, |one| node::node(one).err());
    keep(&mut manifests.pod_disruption_budgets, &known, to, |one| budget::pod_disruption_budget(one).err());
    keep(&mut manifests.persistent_volume_claims, &known, to, |_| None);
    keep(&mut manifests.persistent_volumes, &known, to, |_| None);
    keep(&mut manifests.storage_classes, &known, to, |_| None);
    keep(&mut manifests.csi_nodes, &known, to, |one| volume::volume_limits(one).err());
    keep(&mut manifests.services, &known, to, |_| None);
    keep(&mut manifests.priority_classes, &known, to, |_| None);
    keep(&mut manifests.namespaces, &known, to, |_| None);
    if !found.is_empty() {
        manifests.problems.append(&mut found);
        in_order(&mut manifests.problems);
    }
}

/// Which objects have problems, and where.
#[derive(Default)]
struct Known {
    objects: BTreeSet<(String, usize, Path)>,
    places: BTreeSet<(String, usize, Path)>,
}

impl Known {
    fn add(&mut self, problems: &[Problem]) {
        for Problem { source: Source { file, document, .. }, defect } in problems {
            self.places.insert((file.clone(), *document, defect.path.clone()));
            for length in 0..=defect.path.0.len().min(2) {
                let within = Path(defect.path.0[..length].to_vec());
                self.objects.insert((file.clone(), *document, within));
            }
        }
    }

    /// Whether the object has a problem. One that is no list's item is the whole document.
    fn has<T>(&self, loaded: &Loaded<T>) -> bool {
        let Source { file, document, .. } = &loaded.source;
        self.objects.contains(&(file.clone(), *document, loaded.within.clone()))
    }

    /// Whether the same place, or the one right around it, was found wrong already. What is wrong with a `spec` as a
    /// whole hides nothing inside of it.
    fn covers(&self, problem: &Problem, within: &Path) -> bool {
        let Source { file, document, .. } = &problem.source;
        let path = &problem.defect.path.0;
        let shortest = (within.0.len() + 2).max(path.len().saturating_sub(1));
        (shortest..path.len())
            .chain([path.len()])
            .any(|length| self.places.contains(&(file.clone(), *document, Path(path[..length].to_vec()))))
    }
}

fn keep<T>(
    list: &mut Vec<Loaded<T>>,
    known: &Known,
    found: &mut Vec<Problem>,
    defects: impl Fn(&T) -> Option<Vec<Defect>>,
) {
    list.retain(|loaded| {
        let problems = defects(&loaded.object).into_iter().flatten().map(|defect| loaded.problem(defect));
        let fresh: Vec<Problem> = problems.filter(|problem| !known.covers(problem, &loaded.within)).collect();
        let good = fresh.is_empty() && !known.has(loaded);
        found.extend(fresh);
        good
    });
}

/// Files in the order in which they were read, then documents, then lines.
fn in_order(problems: &mut [Problem]) {
    let mut files: Vec<String> = Vec::new();
    for problem in problems.iter() {
        if !files.contains(&problem.source.file) {
            files.push(problem.source.file.clone());
        }
    }
    let position = |file: &str| files.iter().position(|one| one == file);
    problems.sort_by_cached_key(|problem| {
        let Source { file, document, line, .. } = &problem.source;
        (position(file), *document, *line, problem.defect.clone())
    });
}
