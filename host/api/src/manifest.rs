//! Manifests from files and directories, as people write them and as `kubectl get -o yaml` prints them.
//!
//! Every file holds any number of documents, YAML or JSON, Lists too. What is wrong is reported in one run: every
//! problem of every document of every file, and what is right is understood regardless. Two things are left to
//! the API server: rules on changes (`oldSelf`), and what only a cluster can know.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};

use crate::node_claim::NodeClaim;
use crate::node_class::Ec2NodeClass;
use crate::node_pool::NodePool;
use crate::problem::{Defect, Path, Problem, Source};

mod conversion;
mod kinds;
mod object;
mod rules;
mod scalar;
mod schema;
mod structure;
mod suggestion;
mod yaml;

/// An object and where it was read from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The object, defaults applied.
    pub object: T,
    /// Where it was read from.
    pub source: Source,
    /// Where in its document it is: nowhere, or `items[3]`.
    within: Path,
    lines: Arc<yaml::Lines>,
}

impl<T> Loaded<T> {
    /// A defect of this object as a problem of its file, with its line.
    #[must_use]
    pub fn problem(&self, defect: Defect) -> Problem {
        object::problem(&self.source, &self.within, &self.lines, defect)
    }
}

/// An object that means nothing to a node autoscaler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Where it was read from; its kind and name.
    pub source: Source,
    /// Its API version.
    pub api_version: String,
}

/// Everything that was read. Objects are in the order of files and documents.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// NodePools.
    pub node_pools: Vec<Loaded<NodePool>>,
    /// NodeClaims.
    pub node_claims: Vec<Loaded<NodeClaim>>,
    /// EC2NodeClasses.
    pub node_classes: Vec<Loaded<Ec2NodeClass>>,
    /// Deployments.
    pub deployments: Vec<Loaded<Deployment>>,
    /// ReplicaSets.
    pub replica_sets: Vec<Loaded<ReplicaSet>>,
    /// StatefulSets.
    pub stateful_sets: Vec<Loaded<StatefulSet>>,
    /// DaemonSets.
    pub daemon_sets: Vec<Loaded<DaemonSet>>,
    /// Jobs.
    pub jobs: Vec<Loaded<Job>>,
    /// CronJobs. Their pods come and go; the Jobs they make are what matters.
    pub cron_jobs: Vec<Loaded<CronJob>>,
    /// Pods.
    pub pods: Vec<Loaded<Pod>>,
    /// Nodes.
    pub nodes: Vec<Loaded<Node>>,
    /// PodDisruptionBudgets.
    pub pod_disruption_budgets: Vec<Loaded<PodDisruptionBudget>>,
    /// PersistentVolumeClaims.
    pub persistent_volume_claims: Vec<Loaded<PersistentVolumeClaim>>,
    /// PersistentVolumes.
    pub persistent_volumes: Vec<Loaded<PersistentVolume>>,
    /// StorageClasses.
    pub storage_classes: Vec<Loaded<StorageClass>>,
    /// CSINodes.
    pub csi_nodes: Vec<Loaded<CSINode>>,
    /// Services.
    pub services: Vec<Loaded<Service>>,
    /// PriorityClasses.
    pub priority_classes: Vec<Loaded<PriorityClass>>,
    /// Namespaces.
    pub namespaces: Vec<Loaded<Namespace>>,
    /// Objects of other kinds.
    pub skipped: Vec<Skipped>,
    /// Everything that is wrong, in the order of files and documents. An object with a problem is in no list above.
    pub problems: Vec<Problem>,
}

/// A text and the name it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The name that problems give.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Reads files, and all `*.yaml`, `*.yml` and `*.json` files below directories, in the order of their paths.
#[must_use]
pub fn read(paths: &[PathBuf]) -> Manifests {
    let mut gathered = Gathered::default();
    for path in paths {
        if path.is_dir() {
            gathered.walk(path, path, 0);
        } else {
            gathered.read_file(path, &path.display().to_string());
        }
    }
    let mut manifests = parse(&gathered.files);
    gathered.problems.append(&mut manifests.problems);
    Manifests { problems: gathered.problems, ..manifests }
}

/// The texts of files, and what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// The files, in the order of their paths.
    pub files: Vec<File>,
    /// Files and directories that cannot be read.
    pub problems: Vec<Problem>,
}

/// The `*.yaml`, `*.yml` and `*.json` files below a directory, by names relative to it. What is hidden is passed
/// over.
#[must_use]
pub fn files_below(directory: &FilePath) -> Gathered {
    let mut gathered = Gathered::default();
    gathered.walk(directory, FilePath::new(""), 0);
    gathered
}

/// Reads texts.
#[must_use]
pub fn parse(files: &[File]) -> Manifests {
    let mut manifests = Manifests::default();
    let mut seen = BTreeMap::new();
    for file in files {
        for (position, document) in yaml::documents(&file.text).into_iter().enumerate() {
            let source = Source { file: file.name.clone(), document: position + 1, ..Source::default() };
            match document {
                Ok(document) => object::read(document, &source, &mut seen, &mut manifests),
                Err(broken) => manifests.problems.push(Problem {
                    source: Source { line: broken.line, ..source },
                    defect: Defect {
                        path: Path::default(),
                        found: broken.found,
                        expected: broken.expected.to_owned(),
                    },
                }),
            }
        }
    }
    conversion::check(&mut manifests);
    manifests
}

/// Links may lead in circles; no tree of manifests is this deep.
const DIRECTORY_DEPTH_MAX: usize = 32;

impl Gathered {
    /// Gathers what is in a directory so many directories down, which problems and files call `name`.
    fn walk(&mut self, directory: &FilePath, name: &FilePath, depth: usize) {
        let shown = if name.as_os_str().is_empty() { directory } else { name }.display().to_string();
        if depth > DIRECTORY_DEPTH_MAX {
            let found = "directories nested too deeply";
            self.problems.push(unreadable(&shown, found, "a directory of manifests"));
            return;
        }
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                let expected = "a directory that can be read";
                self.problems.push(unreadable(&shown, &error.to_string(), expected));
                return;
            }
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| !is_hidden(path)) {
            let Some(last) = path.file_name() else { continue };
            let name = name.join(last);
            if path.is_dir() {
                self.walk(path, &name, depth + 1);
            } else if is_manifest(path) {
                self.read_file(path, &name.display().to_string());
            }
        }
    }

    fn read_file(&mut self, path: &FilePath, name: &str) {
        match std::fs::read(path) {
            Err(error) => self.problems.push(unreadable(name, &error.to_string(), "a file that can be read")),
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => self.files.push(File { name: name.to_owned(), text }),
                Err(_) => {
                    self.problems.push(unreadable(name, "bytes that are not UTF-8", "a text in UTF-8"));
                }
            },
        }
    }
}

fn is_hidden(path: &FilePath) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn is_manifest(path: &FilePath) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
}

fn unreadable(file: &str, found: &str, expected: &str) -> Problem {
    Problem {
        source: Source { file: file.to_owned(), ..Source::default() },
        defect: Defect { path: Path::default(), found: found.to_owned(), expected: expected.to_owned() },
    }
}
