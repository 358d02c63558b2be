//! `whittle run` on a real control plane, as a process of its own: what a user would see of it.
//!
//! Each story has a control plane to itself, because a controller decides about everything that is there. Instances are
//! simulated, and kwok plays their kubelets; volumes have nobody who would make them, so no pod here has any.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, Pod};
use kube_client::Client;
use kube_client::api::{Api, ListParams};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;
use whittle_api::conditions::find;
use whittle_api::node_claim::NodeClaim;
use whittle_control_plane::component::Component;
use whittle_control_plane::plane::ControlPlane;
use whittle_tests::command;

use crate::shared::{Shared, block_on, client, failed, start, start_with, until};

pub(crate) fn trials(_: &Arc<Shared>) -> Vec<Trial> {
    vec![
        story("pods_get_nodes_and_the_nodes_go_when_the_pods_have_gone", comes_and_goes),
        story("a_controller_that_is_killed_again_and_again_leaves_one_instance_for_each_claim", is_killed),
        story("ticket_cluster_runs_on_the_nodes_that_its_node_pools_promise", ticket_cluster),
        story("a_pod_without_a_place_is_told_why_and_what_would_do", is_explained),
    ]
}

/// A test with a control plane of its own.
pub(crate) fn story(name: &str, tell: fn(&Story) -> Result<()>) -> Trial {
    Trial::test(name, move || Story::begin().and_then(|story| story.tell(tell)).map_err(failed))
}

/// A control plane, and where what belongs to a story is written.
pub(crate) struct Story {
    pub(crate) plane: ControlPlane,
    pub(crate) folder: TempDir,
}

impl Story {
    pub(crate) fn begin() -> Result<Self> {
        Ok(Self { plane: start()?, folder: tempfile::tempdir()? })
    }

    /// Tells a story. When it does not end well, what the controller had to say is part of the error.
    pub(crate) fn tell(self, story: fn(&Self) -> Result<()>) -> Result<()> {
        let log = || fs::read_to_string(self.log()).unwrap_or_default();
        story(&self).with_context(|| format!("the controller says:\n{}", log()))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("controller.log")
    }

    /// Starts a controller that leads at once. It ends when it is dropped, as `kill -9` would end it.
    pub(crate) fn controller(&self) -> Result<Controller> {
        self.controller_with(&[])
    }

    /// The same with some more flags.
    pub(crate) fn controller_with(&self, flags: &[&str]) -> Result<Controller> {
        let flags = [&["--disable-leader-election"], flags].concat();
        self.controller_as(&self.plane.kubeconfig(), &flags)
    }

    /// Starts a controller with the rights of a kubeconfig.
    pub(crate) fn controller_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<Controller> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(whittle()?);
        command.args(["run", "--cloud", "sim", "--log-format", "text"]).args(arguments);
        command.args(["--metrics-port", "0", "--health-probe-port", "0", "--simulated-boot", "1s"]);
        command.args(["--region", "ap-northeast-2", "--kubeconfig"]).arg(kubeconfig);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Controller(command.spawn().context("cannot start whittle")?))
    }

    /// Applies objects.
    pub(crate) fn apply(&self, objects: &[Value]) -> Result<()> {
        let file = self.folder.path().join("objects.json");
        fs::write(
            &file,
            serde_json::to_vec(&json!({ "apiVersion": "v1", "kind": "List", "items": objects }))?,
        )?;
        self.plane.apply(&file)
    }

    /// A story on a control plane with some more flags.
    pub(crate) fn begin_with(flags: &[(Component, &str)]) -> Result<Self> {
        Ok(Self { plane: start_with(flags)?, folder: tempfile::tempdir()? })
    }

    /// What controllers have said up to now.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Starts a controller that stands for the lease, as the user of this kubeconfig.
    pub(crate) fn candidate(&self, kubeconfig: &Path, flags: &[&str]) -> Result<Controller> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(whittle()?);
        command.args(["run", "--cloud", "sim", "--log-format", "text", "--health-probe-port", "0"]);
        command.args(["--bind-address", "127.0.0.1", "--simulated-boot", "1s", "--region", "ap-northeast-2"]);
        command.arg("--kubeconfig").arg(kubeconfig).args(flags);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Controller(command.spawn().context("cannot start whittle")?))
    }

    pub(crate) fn ask<T>(&self, ask: impl AsyncFnOnce(Client) -> Result<T>) -> Result<T> {
        block_on(async { ask(client(&self.plane.kubeconfig()).await?).await })
    }
}

/// A controller that runs.
pub(crate) struct Controller(pub(crate) Child);

impl Controller {
    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed, and that is as well.
        self.0.kill().and_then(|()| self.0.wait()).ok();
    }
}

/// The command.
pub(crate) fn whittle() -> Result<&'static Path> {
    command::whittle().map_err(Error::msg)
}

pub(crate) fn node_pool(consolidate_after: &str) -> [Value; 2] {
    let terms = json!([{ "tags": { "karpenter.sh/discovery": "story" } }]);
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
                        { "key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m"] },
                        { "key": "karpenter.k8s.aws/instance-cpu", "operator": "In", "values": ["4", "8"] },
                        { "key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"] },
                    ],
                } },
                "disruption": {
                    "consolidationPolicy": "WhenEmptyOrUnderutilized",
                    "consolidateAfter": consolidate_after,
                    "budgets": [{ "nodes": "100%" }],
                },
            },
        }),
    ]
}

pub(crate) fn deployment(name: &str, replicas: u32) -> Value {
    let labels = json!({ "app": name });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [
                    { "name": "main", "image": "none", "resources": { "requests": { "cpu": "900m" } } },
                ] },
            },
        },
    })
}

/// The pods of a namespace that run.
pub(crate) async fn running(client: &Client, namespace: &str) -> Result<Vec<Pod>> {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?;
    let runs = |pod: &Pod| pod.status.as_ref().is_some_and(|it| it.phase.as_deref() == Some("Running"));
    Ok(pods.items.into_iter().filter(runs).collect())
}

pub(crate) async fn wait_for_pods(client: &Client, namespace: &str, count: usize) -> Result<()> {
    until(&format!("{count} pods of {namespace} run"), async || {
        Ok((running(client, namespace).await?.len() == count).then_some(()))
    })
    .await
}

/// Waits until so many pods are told that there is no place for them. A controller that is started then decides about all of
/// them at once, and not about those that happen to be there.
pub(crate) async fn wait_until_pods_wait(client: &Client, count: usize) -> Result<()> {
    let waits = |pod: &&Pod| {
        let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.reason.as_deref() == Some("Unschedulable"))
    };
    until(&format!("{count} pods wait"), async || {
        let pods = Api::<Pod>::namespaced(client.clone(), "default").list(&ListParams::default()).await?;
        Ok((pods.items.iter().filter(waits).count() == count).then_some(()))
    })
    .await
}

/// The names of Nodes, the Nodes that NodeClaims have, and how many instances there are.
pub(crate) async fn standing(client: &Client) -> Result<(BTreeSet<String>, BTreeSet<String>, usize)> {
    let all = ListParams::default();
    let nodes = Api::<Node>::all(client.clone()).list(&all).await?;
    let claims = Api::<NodeClaim>::all(client.clone()).list(&all).await?;
    let instances = all.labels("whittle.dev/simulated-instance=true");
    let instances = Api::<ConfigMap>::namespaced(client.clone(), "kube-system").list(&instances).await?;
    let of_claim = |claim: NodeClaim| claim.status.and_then(|status| status.node_name).unwrap_or_default();
    Ok((
        nodes.items.into_iter().filter_map(|node| node.metadata.name).collect(),
        claims.items.into_iter().map(of_claim).collect(),
        instances.items.len(),
    ))
}

/// Waits until each instance is the Node of one NodeClaim, and tells how many there are.
pub(crate) async fn wait_until_all_agree(client: &Client) -> Result<usize> {
    until("every instance is the Node of one NodeClaim, and nothing else is there", async || {
        let (nodes, claimed, instances) = standing(client).await?;
        Ok((nodes == claimed && nodes.len() == instances).then_some(instances))
    })
    .await
}

/// Waits until every NodeClaim says that its node is initialized, which is the last that is said of a node that joins.
pub(crate) async fn wait_until_all_are_initialized(client: &Client) -> Result<()> {
    let is_initialized = |claim: &NodeClaim| {
        let conditions = claim.status.as_ref().map(|status| status.conditions.as_slice());
        find(conditions.unwrap_or_default(), "Initialized").is_some_and(|one| one.status == "True")
    };
    until("every NodeClaim is initialized", async || {
        let claims = Api::<NodeClaim>::all(client.clone()).list(&ListParams::default()).await?;
        Ok(claims.items.iter().all(is_initialized).then_some(()))
    })
    .await
}

pub(crate) async fn wait_until_no_node_is_left(client: &Client) -> Result<()> {
    until("no node is left", async || {
        Ok((standing(client).await? == (BTreeSet::new(), BTreeSet::new(), 0)).then_some(()))
    })
    .await
}

fn comes_and_goes(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("1s");
    story.apply(&[class, pool, deployment("web", 20)])?;
    story.ask(async |client| wait_until_pods_wait(&client, 20).await)?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 20).await?;
        let nodes = wait_until_all_agree(&client).await?;
        // 20 pods of 900m do not fit on one node of 8 CPUs, and 8 are more than three of them to a node of 4.
        ensure!((3..=7).contains(&nodes), "{nodes} nodes");
        Ok(())
    })?;
    story.apply(&[deployment("web", 0)])?;
    story.ask(async |client| wait_until_no_node_is_left(&client).await)
}

fn is_killed(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool])?;
    for (round, replicas) in [9, 18, 27].into_iter().enumerate() {
        story.apply(&[deployment("web", replicas)])?;
        let controller = story.controller()?;
        story.ask(async |client| {
            let claims = Api::<NodeClaim>::all(client);
            // In the middle of it: as soon as it has asked for more, launched or not.
            until("the controller has asked for nodes", async || {
                Ok((claims.list(&ListParams::default()).await?.items.len() > round).then_some(()))
            })
            .await
        })?;
        drop(controller);
    }
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 27).await?;
        wait_until_all_agree(&client).await.map(drop)
    })
}

fn ticket_cluster(story: &Story) -> Result<()> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ticket-cluster");
    for file in ["cluster.yaml", "nodeclass.yaml", "nodepools.yaml", "system.yaml", "workloads.yaml"] {
        story.plane.apply(&example.join(file))?;
    }
    let _controller = story.controller()?;
    story.ask(async |client| {
        // web, api, waiting-room, payment, queue-worker.
        wait_for_pods(&client, "ticketing", 6 + 8 + 3 + 4 + 5).await?;
        wait_until_all_agree(&client).await?;
        let nodes = Api::<Node>::all(client.clone());
        for pod in running(&client, "ticketing").await? {
            let app = pod.metadata.labels.iter().flatten().find(|(key, _)| *key == "app");
            let app = app.map(|(_, app)| app.clone()).unwrap_or_default();
            let node = nodes.get(&pod.spec.and_then(|spec| spec.node_name).unwrap_or_default()).await?;
            let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
            let found = (label("karpenter.sh/nodepool"), label("karpenter.sh/capacity-type"));
            let (pool, bought) = match app.as_str() {
                "payment" => ("on-demand-critical", "on-demand"),
                _ => ("mixed-workload", "spot"),
            };
            ensure!(found == (Some(pool.into()), Some(bought.into())), "{app} is on {found:?}");
        }
        Ok(())
    })
}

fn is_explained(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    let mut picky = deployment("picky", 1);
    picky["spec"]["template"]["spec"]["nodeSelector"] = json!({ "kubernetes.io/arch": "arm64" });
    story.apply(&[class, pool, picky])?;
    let _controller = story.controller()?;
    let message = story.ask(async |client| {
        let events = Api::<Event>::namespaced(client, "default");
        until("the pod has an Event of the controller", async || {
            let events = events.list(&ListParams::default().fields("reason=FailedScheduling")).await?;
            let mut messages = events.items.into_iter().filter_map(|event| event.message);
            Ok(messages.find(|message| message.contains("general:")))
        })
        .await
    })?;
    for part in ["kubernetes.io/arch In [arm64]", "Smallest change: "] {
        ensure!(message.contains(part), "{part:?} is not in {message:?}");
    }
    Ok(())
}
