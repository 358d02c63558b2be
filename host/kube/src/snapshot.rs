//! A cluster's state as manifests in a directory, as a simulation reads them: every kind that has a say in which nodes
//! there are, and a scenario that says where and when.
//!
//! What containers are told stays in the cluster: commands, arguments and environments say nothing about nodes, and people
//! put secrets into them.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use kube_client::Client;
use kube_client::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::{Value, json};
use whittle_core::model::time::Timestamp;

use crate::error::{Reaction, message, reaction};

/// So many objects come with one answer.
const PAGE: u32 = 500;

/// API version, kind and plural of everything that is written.
const KINDS: [(&str, &str, &str); 19] = [
    ("v1", "Namespace", "namespaces"),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses"),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses"),
    ("karpenter.k8s.aws/v1", "EC2NodeClass", "ec2nodeclasses"),
    ("karpenter.sh/v1", "NodePool", "nodepools"),
    ("karpenter.sh/v1", "NodeClaim", "nodeclaims"),
    ("v1", "Node", "nodes"),
    ("storage.k8s.io/v1", "CSINode", "csinodes"),
    ("v1", "PersistentVolume", "persistentvolumes"),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("v1", "Service", "services"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "ReplicaSet", "replicasets"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("batch/v1", "CronJob", "cronjobs"),
    ("batch/v1", "Job", "jobs"),
    ("v1", "Pod", "pods"),
];

/// The file in which user data stands: whether nodes have drifted depends on it.
pub const NODE_CLASSES: &str = "ec2nodeclasses.yaml";

/// What containers are told and what looks after them: nothing here says anything about nodes.
const OF_CONTAINERS: [&str; 11] = [
    "args",
    "command",
    "env",
    "envFrom",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "volumeMounts",
];

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum NoSnapshot {
    /// The directory has something in it already.
    #[error("{} is not empty: a snapshot goes into a directory of its own", .0.display())]
    NotEmpty(PathBuf),
    /// Something cannot be listed: half a cluster would be simulated as if it were a whole one.
    #[error("cannot list {plural}: {message}")]
    Refused {
        /// What.
        plural: &'static str,
        /// What the API server says.
        message: String,
    },
    /// An object cannot be written as YAML.
    #[error("{plural} cannot be written as YAML: {message}")]
    Unwritable {
        /// What.
        plural: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// How many objects of each kind, by the name of its file; kinds of which there are none have no file.
    pub objects: Vec<(String, usize)>,
    /// The kinds that this cluster does not know.
    pub unknown: Vec<&'static str>,
}

/// Writes the state of a cluster into a directory, with `region` and `now` as its scenario.
///
/// # Errors
///
/// As [`NoSnapshot`] says.
pub async fn write(
    client: &Client,
    directory: &Path,
    region: &str,
    now: Timestamp,
) -> Result<Written, NoSnapshot> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| NoSnapshot::Io { path, error }
    };
    fs::create_dir_all(directory).map_err(io(directory))?;
    if fs::read_dir(directory).map_err(io(directory))?.next().is_some() {
        return Err(NoSnapshot::NotEmpty(directory.to_owned()));
    }
    let mut written = Written::default();
    for (api_version, kind, plural) in KINDS {
        let Some(objects) = list(client, (api_version, kind, plural)).await? else {
            written.unknown.push(kind);
            continue;
        };
        if objects.is_empty() {
            continue;
        }
        let path = directory.join(format!("{plural}.yaml"));
        let mut file = io::BufWriter::new(fs::File::create(&path).map_err(io(&path))?);
        for object in &objects {
            let unwritable = |message| NoSnapshot::Unwritable { plural, message };
            let text = serde_saphyr::to_string(object).map_err(|error| unwritable(error.to_string()))?;
            writeln!(file, "---\n{}", text.trim_end()).map_err(io(&path))?;
        }
        file.flush().map_err(io(&path))?;
        written.objects.push((format!("{plural}.yaml"), objects.len()));
    }
    let path = directory.join("scenario.yaml");
    fs::write(&path, scenario(region, now)).map_err(io(&path))?;
    Ok(written)
}

fn scenario(region: &str, now: Timestamp) -> String {
    format!(
        "apiVersion: whittle.dev/v1alpha1\nkind: Scenario\nmetadata:\n  name: snapshot\nspec:\n  region: {region}\n  \
         start: \"{now}\"\n"
    )
}

/// All objects of a kind, without what does not matter; `None`: the cluster does not know the kind.
async fn list(
    client: &Client,
    (api_version, kind, plural): (&str, &str, &'static str),
) -> Result<Option<Vec<Value>>, NoSnapshot> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let mut objects = Vec::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = match api.list(&parameters).await {
            Ok(page) => page,
            Err(error) if reaction(&error) == Reaction::Gone => return Ok(None),
            Err(error) => return Err(NoSnapshot::Refused { plural, message: message(&error) }),
        };
        let made = page.items.into_iter().map(|object| serde_json::to_value(object).unwrap_or_default());
        objects.extend(made.map(|object| pruned(object, api_version, kind)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(Some(objects)),
        }
    }
}

/// An object with its kind, which lists leave out, and without what is none of a simulation's business.
fn pruned(mut object: Value, api_version: &str, kind: &str) -> Value {
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    let templates = ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"];
    for template in templates {
        for containers in ["containers", "initContainers", "ephemeralContainers"] {
            let place = format!("{template}/{containers}");
            let found = object.pointer_mut(&place).and_then(Value::as_array_mut);
            for container in found.into_iter().flatten().filter_map(Value::as_object_mut) {
                OF_CONTAINERS.iter().for_each(|field| drop(container.remove(*field)));
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::pruned;

    #[test]
    fn what_containers_are_told_stays_in_the_cluster_wherever_the_template_is() {
        let container = json!({ "name": "main", "image": "web", "env": [{ "name": "TOKEN", "value": "s3cret" }],
            "command": ["run", "--password=s3cret"], "resources": { "requests": { "cpu": "1" } } });
        let pods = json!({ "containers": [container], "initContainers": [container] });
        let metadata = json!({ "name": "a", "managedFields": [{ "manager": "s3cret" }],
            "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "s3cret", "kept": "yes" } });
        let places = [
            ("v1", "Pod", json!({ "metadata": metadata, "spec": pods })),
            (
                "apps/v1",
                "Deployment",
                json!({ "metadata": metadata, "spec": { "template": { "spec": pods } } }),
            ),
            (
                "batch/v1",
                "CronJob",
                json!({ "metadata": metadata, "spec": { "jobTemplate": { "spec": { "template": { "spec": pods } } } } }),
            ),
        ];
        for (api_version, kind, object) in places {
            let text = pruned(object, api_version, kind).to_string();
            assert!(!text.contains("s3cret"), "{text}");
            assert_eq!(text.matches(r#""cpu":"1""#).count(), 2, "{text}");
            assert!(text.contains(r#""kept":"yes""#), "{text}");
            assert!(text.contains(&format!(r#""kind":"{kind}""#)), "{text}");
        }
    }
}
