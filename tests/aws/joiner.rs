//! What plays the kubelets: every instance that runs becomes a Node, as its user data says.
//!
//! It asks the emulator for instances and not DescribeInstances: a machine boots whether or not the API has heard of it yet.
//! A Node of an instance that has ended is left to the controllers, as a kubelet leaves it; one whose instance has vanished
//! is not ready any more. Nodes are kept alive by kwok.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube_client::api::{Api, Patch, PatchParams, PostParams};
use libtest_mimic::Trial;
use serde::Deserialize;
use serde_json::{Value, from_value, json};

use crate::emulator::{Machine, machines};
use crate::shared::{block_on, client, failed};

/// How long until looking for instances again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Share of an instance's memory that its pods can see, in percent: a little more than is planned with.
const VISIBLE_PERCENT: u64 = 93;

/// The type of the part of user data that nodeadm reads.
const NODE_CONFIG: &str = "application/node.eks.aws";

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("user_data_that_no_node_of_the_cluster_would_have_is_not_taken", || {
        is_not_taken().map_err(failed)
    })]
}

/// Lets instances join until it is dropped.
pub(crate) struct Joiner {
    ended: Arc<AtomicBool>,
    problems: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Joiner {
    pub(crate) fn start(port: u16, cluster: &'static str, kubeconfig: PathBuf) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let problems = Arc::new(Mutex::new(Vec::new()));
        let (until, into) = (Arc::clone(&ended), Arc::clone(&problems));
        let thread = thread::spawn(move || {
            let outcome = block_on(join_all(port, cluster, &kubeconfig, &until, &into));
            if let Err(error) = outcome {
                into.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{error:#}"));
            }
        });
        Self { ended, problems, thread: Some(thread) }
    }

    /// What has kept instances from joining up to now.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it died of is among the problems, or was printed.
            thread.join().ok();
        }
    }
}

async fn join_all(
    port: u16,
    cluster: &str,
    kubeconfig: &std::path::Path,
    ended: &AtomicBool,
    problems: &Mutex<Vec<String>>,
) -> Result<()> {
    let nodes = Api::<Node>::all(client(kubeconfig).await?);
    // By the ids of their instances, the names of Nodes.
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    while !ended.load(Ordering::Relaxed) {
        let all = machines(port)?;
        let vanished = |id: &String| all.iter().all(|machine| machine.id != *id);
        for (_, node) in seen.extract_if(.., |id, _| vanished(id)) {
            fall_silent(&nodes, &node).await?;
        }
        for machine in all {
            if machine.state != "running" || machine.silent || seen.contains_key(&machine.id) {
                continue;
            }
            seen.insert(machine.id.clone(), machine.host.clone());
            let joined = match read(&machine.user_data, cluster) {
                Ok(config) => join(&nodes, &machine, &config).await,
                Err(error) => Err(error),
            };
            if let Err(error) = joined {
                let problem = format!("{}: {error:#}", machine.id);
                problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

async fn join(nodes: &Api<Node>, machine: &Machine, config: &NodeConfig) -> Result<()> {
    nodes.create(&PostParams::default(), &from_value(node(machine, config))?).await?;
    Ok(())
}

/// What is left of a kubelet whose instance is not there any more: the controller manager finds that it says nothing. It
/// would take 40 seconds to, and kwok speaks for every Node that it is not kept from.
async fn fall_silent(nodes: &Api<Node>, name: &str) -> Result<()> {
    let quiet =
        Patch::Merge(json!({ "metadata": { "annotations": { "test.whittle.dev/never-ready": "true" } } }));
    let unknown = Patch::Strategic(json!({ "status": { "conditions": [
        { "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status." },
    ] } }));
    let options = PatchParams::default();
    if nodes.get_opt(name).await?.is_some() {
        nodes.patch(name, &options, &quiet).await?;
        nodes.patch_status(name, &options, &unknown).await?;
    }
    Ok(())
}

/// What nodeadm reads, as far as a Node shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct NodeConfig {
    spec: Spec,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct Spec {
    cluster: Cluster,
    kubelet: Kubelet,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    name: String,
    api_server_endpoint: String,
    certificate_authority: String,
    cidr: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct Kubelet {
    config: KubeletConfiguration,
    #[serde(default)]
    flags: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KubeletConfiguration {
    max_pods: u32,
    #[serde(default)]
    register_with_taints: Vec<Value>,
}

impl NodeConfig {
    fn labels(&self) -> BTreeMap<String, String> {
        let flags = self.spec.kubelet.flags.iter();
        let labels = flags
            .filter_map(|flag| flag.strip_prefix("--node-labels="))
            .flat_map(|it| it.trim_matches('"').split(','));
        labels
            .filter_map(|label| label.split_once('='))
            .map(|(key, value)| (key.into(), value.into()))
            .collect()
    }
}

/// The NodeConfig in an instance's user data.
fn read(user_data: &str, cluster: &str) -> Result<NodeConfig> {
    let marker = format!("Content-Type: {NODE_CONFIG}\n");
    let (_, part) =
        user_data.split_once(&marker).with_context(|| format!("no NodeConfig in {user_data:?}"))?;
    let (_, body) = part.split_once("\n").context("a part has a body")?;
    let body = body.split("\n--").next().unwrap_or_default();
    let config: NodeConfig = serde_json::from_str(body).with_context(|| format!("no NodeConfig: {body}"))?;
    let Cluster { name, api_server_endpoint, certificate_authority, cidr } = &config.spec.cluster;
    ensure!(name == cluster, "this is a node of cluster {name:?}, and not of {cluster:?}");
    for (what, found) in
        [("endpoint", api_server_endpoint), ("certificate", certificate_authority), ("cidr", cidr)]
    {
        ensure!(!found.is_empty(), "the cluster has no {what}");
    }
    let unregistered =
        |taint: &Value| taint["key"] == "karpenter.sh/unregistered" && taint["effect"] == "NoExecute";
    let taints = &config.spec.kubelet.config.register_with_taints;
    ensure!(taints.iter().any(unregistered), "the taint karpenter.sh/unregistered is not among {taints:?}");
    Ok(config)
}

fn node(machine: &Machine, config: &NodeConfig) -> Value {
    let architecture = if machine.architecture == "arm64" { "arm64" } else { "amd64" };
    let mut labels = config.labels();
    let given = [
        ("kubernetes.io/arch", architecture),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/hostname", &machine.host),
        ("node.kubernetes.io/instance-type", &machine.instance_type),
        ("topology.kubernetes.io/zone", &machine.zone),
        ("topology.kubernetes.io/region", machine.zone.trim_end_matches(char::is_alphabetic)),
    ];
    labels.extend(given.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let kubelet = &config.spec.kubelet.config;
    let mut holds = json!({
        "cpu": machine.cpus.to_string(),
        "memory": format!("{}Mi", machine.mebibytes * VISIBLE_PERCENT / 100),
        "pods": kubelet.max_pods.to_string(),
        "ephemeral-storage": "80Gi",
    });
    let capacity = holds.clone();
    holds["cpu"] = json!(format!("{}m", machine.cpus * 1_000 - machine.kept_millis));
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": machine.host, "labels": labels },
        "spec": { "providerID": machine.provider_id(), "taints": kubelet.register_with_taints },
        "status": { "capacity": capacity, "allocatable": holds },
    })
}

fn is_not_taken() -> Result<()> {
    let written = |name: &str, taint: &str| {
        let config = json!({ "spec": {
            "cluster": { "name": name, "apiServerEndpoint": "https://x", "certificateAuthority": "Q0E=", "cidr": "10.0.0.0/24" },
            "kubelet": {
                "config": { "maxPods": 29, "registerWithTaints": [{ "key": taint, "effect": "NoExecute" }] },
                "flags": ["--node-labels=a=b,c/d=e"],
            },
        } });
        format!(
            "--//\nContent-Type: text/x-shellscript\n\n:\n\n--//\nContent-Type: {NODE_CONFIG}\n\n{config:#}\n\n--//--\n"
        )
    };
    let read =
        |text: &str| read(text, "shop").map(|config| config.labels()).map_err(|error| error.to_string());
    let labels = [("a", "b"), ("c/d", "e")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    ensure!(
        read(&written("shop", "karpenter.sh/unregistered")) == Ok(BTreeMap::from(labels)),
        "a good one is taken"
    );
    let cases = [
        (written("other", "karpenter.sh/unregistered"), "this is a node of cluster \"other\""),
        (written("shop", "dedicated"), "the taint karpenter.sh/unregistered is not among"),
        ("#!/bin/sh".to_owned(), "no NodeConfig in"),
    ];
    for (text, expected) in cases {
        let found = read(&text).err().unwrap_or_default();
        ensure!(found.contains(expected), "{found:?} does not say {expected:?}");
    }
    Ok(())
}
