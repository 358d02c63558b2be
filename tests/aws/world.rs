//! A world to tell stories in: a control plane, an account of the emulator, a joiner, and `whittle run --cloud aws`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Node;
use kube_client::Client;
use kube_client::api::{Api, ListParams};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use whittle_api::node_claim::NodeClaim;

use crate::controller::{Controller, Story, whittle};
use crate::emulator::{Emulator, Machine};
use crate::joiner::Joiner;
use crate::shared::{failed, until, until_after};

/// The cluster that the account has, and its queue.
pub(crate) const CLUSTER: &str = "ticket-cluster";

/// How long to wait for what is noticed when instances are listed: every ten seconds at first, and later every two minutes.
pub(crate) const LISTED_AGAIN: Duration = Duration::from_secs(300);

/// Where the account is.
pub(crate) const REGION: &str = "ap-northeast-2";

/// What a story is told in. In this order: instances stop joining before there is nothing left to ask.
pub(crate) struct World {
    joiner: Joiner,
    pub(crate) aws: Emulator,
    pub(crate) story: Story,
}

/// A test with a world of its own.
pub(crate) fn story(name: &str, tell: fn(&World) -> Result<()>) -> Trial {
    Trial::test(name, move || World::begin().and_then(|world| world.tell(tell)).map_err(failed))
}

impl World {
    pub(crate) fn begin() -> Result<Self> {
        let story = Story::begin()?;
        let aws = Emulator::start(story.folder.path())?;
        let joiner = Joiner::start(aws.port(), CLUSTER, story.plane.kubeconfig());
        Ok(Self { joiner, aws, story })
    }

    /// Tells a story. When it does not end well, what everybody had to say is part of the error.
    fn tell(self, story: fn(&Self) -> Result<()>) -> Result<()> {
        let told = story(&self).and_then(|()| {
            let problems = self.joiner.problems();
            anyhow::ensure!(problems.is_empty(), "instances could not join: {}", problems.join("; "));
            Ok(())
        });
        told.with_context(|| {
            let emulator = fs::read_to_string(self.story.folder.path().join("emulator.log"));
            format!(
                "the controller says:\n{}\nthe emulator says:\n{}\ninstances could not join: {:?}\ncalls: {:?}\n",
                self.story.said(),
                emulator.unwrap_or_default(),
                self.joiner.problems(),
                self.aws.calls(),
            )
        })
    }

    /// Starts a controller that leads at once. It ends when it is dropped, as `kill -9` would end it.
    pub(crate) fn controller(&self) -> Result<Controller> {
        self.controller_with(&["--metrics-port", "0"])
    }

    /// The same with some more flags.
    pub(crate) fn controller_with(&self, flags: &[&str]) -> Result<Controller> {
        self.start(&[&["--disable-leader-election"], flags].concat())
    }

    /// One that leads when it has the lease.
    pub(crate) fn elected(&self) -> Result<Controller> {
        self.start(&["--metrics-port", "0"])
    }

    fn start(&self, flags: &[&str]) -> Result<Controller> {
        let log = File::options().create(true).append(true).open(self.story.log())?;
        let mut command = Command::new(whittle()?);
        command.args(["run", "--cloud", "aws", "--cluster-name", CLUSTER, "--region", REGION]);
        command.args(["--interruption-queue", CLUSTER, "--log-format", "text"]);
        command.args(["--health-probe-port", "0", "--kubeconfig"]).arg(self.story.plane.kubeconfig());
        command.args(flags);
        self.let_aws_be_found(&mut command);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Controller(command.spawn().context("cannot start whittle")?))
    }

    /// By the SDK's own settings, and by no others that this machine may have.
    fn let_aws_be_found(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.env("AWS_ENDPOINT_URL", self.aws.endpoint());
        command.envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ]);
    }

    /// Applies objects.
    pub(crate) fn apply(&self, objects: &[Value]) -> Result<()> {
        self.story.apply(objects)
    }

    pub(crate) fn ask<T>(&self, ask: impl AsyncFnOnce(Client) -> Result<T>) -> Result<T> {
        self.story.ask(ask)
    }

    /// Waits until each instance that lives is the Node of one NodeClaim, and nothing else is there.
    pub(crate) async fn wait_until_all_agree(&self, client: &Client) -> Result<Vec<Machine>> {
        until("every instance is the Node of one NodeClaim, and nothing else is there", async || {
            let living = self.aws.living()?;
            let instances: BTreeSet<String> = living.iter().map(Machine::provider_id).collect();
            let (nodes, claims) =
                (provider_ids_of_nodes(client).await?, provider_ids_of_claims(client).await?);
            // As lists: two that name one instance are no agreement.
            let agree = [nodes, claims].iter().all(|ids| {
                ids.len() == instances.len() && ids.iter().cloned().collect::<BTreeSet<_>>() == instances
            });
            Ok(agree.then_some(living))
        })
        .await
    }

    /// Waits until this holds of the instances that live.
    pub(crate) async fn wait_for_machines(
        &self,
        what: &str,
        holds: impl Fn(&[Machine]) -> bool,
    ) -> Result<Vec<Machine>> {
        until_after(LISTED_AGAIN, what, async || {
            let living = self.aws.living()?;
            Ok(holds(&living).then_some(living))
        })
        .await
    }

    /// Waits until the controller has said this.
    pub(crate) async fn wait_for_words(&self, words: &str) -> Result<()> {
        until(&format!("the controller says {words:?}"), async || {
            Ok(self.story.said().contains(words).then_some(()))
        })
        .await
    }
}

async fn provider_ids_of_nodes(client: &Client) -> Result<Vec<String>> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
    Ok(nodes
        .items
        .into_iter()
        .map(|node| node.spec.and_then(|spec| spec.provider_id).unwrap_or_default())
        .collect())
}

async fn provider_ids_of_claims(client: &Client) -> Result<Vec<String>> {
    let claims = Api::<NodeClaim>::all(client.clone()).list(&ListParams::default()).await?;
    let id = |claim: NodeClaim| claim.status.and_then(|status| status.provider_id).unwrap_or_default();
    Ok(claims.items.into_iter().map(id).collect())
}

/// A file of the example cluster.
pub(crate) fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ticket-cluster").join(file)
}

/// An EC2NodeClass that finds what the account has, and a NodePool with these ways to buy instances of these types.
pub(crate) fn node_pool(capacity: &[&str], types: &[&str]) -> [Value; 2] {
    let terms = json!([{ "tags": { "karpenter.sh/discovery": CLUSTER } }]);
    [
        json!({
            "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": { "name": "default" },
            "spec": {
                "role": "ticket-cluster-eks-worker-role", "amiSelectorTerms": [{ "alias": "al2023@latest" }],
                "subnetSelectorTerms": terms, "securityGroupSelectorTerms": terms,
            },
        }),
        json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "general" },
            "spec": {
                "template": { "spec": {
                    "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
                    "requirements": [
                        { "key": "karpenter.sh/capacity-type", "operator": "In", "values": capacity },
                        { "key": "node.kubernetes.io/instance-type", "operator": "In", "values": types },
                        { "key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"] },
                    ],
                    "expireAfter": "Never",
                } },
                "disruption": {
                    "consolidationPolicy": "WhenEmpty", "consolidateAfter": "Never", "budgets": [{ "nodes": "100%" }],
                },
            },
        }),
    ]
}

/// Pods of 1500m each on a host of its own.
pub(crate) fn apart(name: &str, replicas: u32) -> Value {
    let mut deployment = crate::controller::deployment(name, replicas);
    let pods = &mut deployment["spec"]["template"]["spec"];
    pods["containers"][0]["resources"]["requests"]["cpu"] = json!("1500m");
    pods["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
        { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": name } } },
    ] } });
    deployment
}
