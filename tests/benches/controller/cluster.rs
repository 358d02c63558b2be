//! The control plane under a controller that is measured, what is put into it, and waiting for what will be so.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube_client::api::{Api, ListParams};
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;
use whittle_api::node_claim::NodeClaim;
use whittle_control_plane::plane::ControlPlane;
use whittle_control_plane::program::Program;

use crate::is_unschedulable;

/// A thousand nodes take kwok and the controller manager minutes.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Often enough for what is waited for, seldom enough to leave the machine to what is measured.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What may be launched.
pub(crate) struct Shape {
    /// The numbers of vCPUs.
    pub(crate) cpus: &'static [&'static str],
    /// When an empty node goes.
    pub(crate) consolidate_after: &'static str,
}

/// A control plane with a NodePool.
pub(crate) struct Cluster {
    plane: ControlPlane,
    folder: TempDir,
}

impl Cluster {
    pub(crate) fn start(shape: &Shape) -> Result<Self> {
        let plane = ControlPlane::start(&Program::provide()?, &[])?;
        plane.apply(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/whittle-crd/crds"))?;
        let cluster = Self { plane, folder: tempfile::tempdir()? };
        cluster.apply(&pool(shape))?;
        Ok(cluster)
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig()
    }

    /// Where the controller writes.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("controller.log")
    }

    pub(crate) async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    pub(crate) fn apply(&self, objects: &[Value]) -> Result<()> {
        let file = self.folder.path().join("objects.json");
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        fs::write(&file, serde_json::to_vec(&list)?)?;
        self.plane.apply(&file)
    }

    /// Waits until so many pods run. What their Deployments say would be cheaper to ask, and stands still for minutes when
    /// the controller manager has fallen behind.
    pub(crate) async fn wait_for_pods(&self, client: &Client, pods: usize) -> Result<()> {
        let all = Api::<Pod>::namespaced(client.clone(), "default");
        let running = ListParams::default().fields("status.phase=Running").match_any();
        let what = format!("{pods} pods run");
        let run = until(&what, async || {
            let found = all.list_metadata(&running).await?;
            Ok((found.items.len() == pods).then_some(()))
        });
        run.await.with_context(|| format!("the controller says:\n{}", self.said()))
    }

    /// Waits until kube-scheduler has found so many pods to be without a place.
    pub(crate) async fn wait_until_unschedulable(&self, client: &Client, pods: usize) -> Result<()> {
        let all = Api::<Pod>::namespaced(client.clone(), "default");
        until(&format!("{pods} pods have no place"), async || {
            let found = all.list(&ListParams::default()).await?;
            Ok((found.iter().filter(|pod| is_unschedulable(pod)).count() == pods).then_some(()))
        })
        .await
    }

    /// Waits until every NodeClaim has its instance, and tells how many there are.
    pub(crate) async fn wait_until_launched(&self, client: &Client) -> Result<usize> {
        let claims = Api::<NodeClaim>::all(client.clone());
        until("every NodeClaim has an instance", async || {
            let found = claims.list(&ListParams::default()).await?.items;
            let is_launched =
                |claim: &NodeClaim| claim.status.as_ref().is_some_and(|status| status.provider_id.is_some());
            Ok((!found.is_empty() && found.iter().all(is_launched)).then_some(found.len()))
        })
        .await
    }

    /// Waits until every Node is that of one NodeClaim, and tells how many there are.
    pub(crate) async fn wait_until_all_agree(&self, client: &Client) -> Result<usize> {
        let (nodes, claims) = (Api::<Node>::all(client.clone()), Api::<NodeClaim>::all(client.clone()));
        until("every Node is that of a NodeClaim", async || {
            let nodes = nodes.list_metadata(&ListParams::default()).await?;
            let names: BTreeSet<_> = nodes.items.into_iter().filter_map(|node| node.metadata.name).collect();
            let claims = claims.list(&ListParams::default()).await?;
            let of = |claim: NodeClaim| claim.status.and_then(|status| status.node_name);
            let claimed: BTreeSet<_> = claims.items.into_iter().map(of).collect();
            let agree = names.iter().cloned().map(Some).collect::<BTreeSet<_>>() == claimed;
            Ok(agree.then_some(names.len()))
        })
        .await
    }

    /// Waits until there are so many Nodes.
    pub(crate) async fn wait_for_nodes(&self, client: &Client, count: usize) -> Result<()> {
        let nodes = Api::<Node>::all(client.clone());
        let what = format!("there are {count} nodes");
        let there = until(&what, async || {
            let found = nodes.list_metadata(&ListParams::default()).await?;
            Ok((found.items.len() == count).then_some(()))
        });
        there.await.with_context(|| format!("the controller says:\n{}", self.said()))
    }

    /// The end of what the controller has said.
    fn said(&self) -> String {
        let said = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// Asks until the answer is `Some`. `what` is what is waited for, as a sentence.
pub(crate) async fn until<T, F>(what: &str, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await.with_context(|| format!("waiting until {what}"))? {
            return Ok(answer);
        }
        if begin.elapsed() > PATIENCE {
            bail!("after {} s it is still not so that {what}", PATIENCE.as_secs());
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn pool(shape: &Shape) -> [Value; 2] {
    let terms = json!([{ "tags": { "karpenter.sh/discovery": "measured" } }]);
    let one_of = |key: &str, values: &[&str]| json!({ "key": key, "operator": "In", "values": values });
    [
        json!({
            "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": { "name": "default" },
            "spec": {
                "role": "nodes", "amiSelectorTerms": [{ "alias": "al2023@latest" }],
                "subnetSelectorTerms": terms, "securityGroupSelectorTerms": terms,
            },
        }),
        json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "general" },
            "spec": {
                "template": { "spec": {
                    "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
                    "requirements": [
                        one_of("karpenter.k8s.aws/instance-category", &["c", "m", "r"]),
                        one_of("karpenter.k8s.aws/instance-cpu", shape.cpus),
                        one_of("kubernetes.io/arch", &["amd64"]),
                        one_of("karpenter.sh/capacity-type", &["on-demand"]),
                    ],
                } },
                "disruption": {
                    "consolidationPolicy": "WhenEmpty",
                    "consolidateAfter": shape.consolidate_after,
                    "budgets": [{ "nodes": "100%" }],
                },
            },
        }),
    ]
}

/// A Deployment of pods of one size.
pub(crate) fn uniform(name: &str, replicas: usize, cpu: &str) -> Value {
    sized(name, replicas, (cpu, "256Mi"))
}

fn sized(name: &str, replicas: usize, (cpu, memory): (&str, &str)) -> Value {
    let labels = json!({ "app": name });
    let requests = json!({ "cpu": cpu, "memory": memory });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [
                    { "name": "main", "image": "none", "resources": { "requests": requests } },
                ] },
            },
        },
    })
}

/// So many pods of six sizes, the small ones in greater number.
pub(crate) fn mixed(pods: usize) -> Vec<Value> {
    const SIZES: [(&str, &str, usize); 6] = [
        ("250m", "512Mi", 40),
        ("500m", "2Gi", 25),
        ("900m", "1Gi", 15),
        ("1500m", "6Gi", 10),
        ("2", "3Gi", 7),
        ("3500m", "12Gi", 3),
    ];
    let mut left = pods;
    let mut all = Vec::new();
    for (at, (cpu, memory, percent)) in SIZES.into_iter().enumerate() {
        let is_last = at + 1 == SIZES.len();
        let replicas = if is_last { left } else { (pods * percent / 100).min(left) };
        left -= replicas;
        all.push(sized(&format!("size-{at}"), replicas, (cpu, memory)));
    }
    all
}
