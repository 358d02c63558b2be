//! What the interruption queue says, and what comes of it: warnings, many of them, none at all, and nonsense.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube_client::Client;
use kube_client::api::{Api, ListParams};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use whittle_control_plane::ports;

use crate::controller::wait_for_pods;
use crate::emulator::{Machine, Present, text_of};
use crate::shared::until;
use crate::world::{REGION, World, apart, node_pool, story};

const TYPES: [&str; 3] = ["c5.large", "m5.large", "r5.large"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("a_node_that_spot_takes_back_is_replaced_before_it_is_drained", warning),
        story("two_hundred_warnings_at_once_are_all_heeded", many_warnings),
        story("a_queue_that_is_not_there_yet_or_any_more_is_waited_for", queue_comes_and_goes),
        story("messages_that_nobody_understands_are_counted_and_deleted", poison),
    ]
}

/// A message of EventBridge, of just now: what EC2 announces comes two minutes after it was said.
fn message(source: &str, kind: &str, detail: &Value) -> String {
    json!({
        "version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602", "source": source, "detail-type": kind,
        "account": "123456789012", "time": Timestamp::now().to_string(), "region": REGION, "resources": [], "detail": detail,
    })
    .to_string()
}

/// The two minutes' warning of a spot instance.
pub(crate) fn spot_warning(machine: &Machine) -> String {
    let detail = json!({ "instance-id": machine.id, "instance-action": "terminate" });
    message("aws.ec2", "EC2 Spot Instance Interruption Warning", &detail)
}

/// The pods on a node that nobody has asked to leave.
async fn staying(client: &Client, node: &str) -> Result<usize> {
    let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let pods = Api::<Pod>::namespaced(client.clone(), "default").list(&on_node).await?;
    Ok(pods.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).count())
}

/// The nodes that can take pods.
async fn open_nodes(client: &Client) -> Result<BTreeSet<String>> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
    let is_open = |node: &Node| {
        let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let ready = conditions.any(|one| one.type_ == "Ready" && one.status == "True");
        let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).count();
        ready && taints == 0
    };
    Ok(nodes.items.into_iter().filter(is_open).filter_map(|node| node.metadata.name).collect())
}

fn warning(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 2)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 2).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        let lost = machines.first().context("there is a node")?;
        until("both nodes are open", async || Ok((open_nodes(&client).await?.len() == 2).then_some(())))
            .await?;
        // Long enough that whoever does not wait for the replacement is seen.
        world.aws.fail(&json!({ "kind": "boot", "seconds": 5 }))?;
        world.aws.send(&[spot_warning(lost)])?;
        until("a replacement is open", async || {
            // In this order: whoever has left by now had another place before.
            let left = staying(&client, &lost.host).await? == 0;
            let open = open_nodes(&client).await?;
            let replaced = open.iter().any(|node| machines.iter().all(|one| one.host != *node));
            ensure!(replaced || !left, "pods had to leave {} before there was another place", lost.host);
            Ok(replaced.then_some(()))
        })
        .await?;
        world
            .wait_for_machines("the instance is ended", |living| living.iter().all(|one| one.id != lost.id))
            .await?;
        wait_for_pods(&client, "default", 2).await?;
        let after = world.wait_until_all_agree(&client).await?;
        ensure!(after.len() == 2, "{after:?}");
        queue_is_empty(world).await
    })
}

async fn queue_is_empty(world: &World) -> Result<()> {
    until("the queue is empty", async || {
        let queue = world.aws.queue()?;
        Ok((queue.present && queue.waiting == 0 && queue.handled == 0).then_some(()))
    })
    .await
}

fn many_warnings(world: &World) -> Result<()> {
    const NODES: usize = 40;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", u32::try_from(NODES)?)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", NODES).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        // EventBridge delivers at least once.
        let all: Vec<String> = machines.iter().cycle().take(200).map(spot_warning).collect();
        world.aws.send(&all)?;
        let ids: BTreeSet<&String> = machines.iter().map(|one| &one.id).collect();
        world
            .wait_for_machines("none of the old instances lives", |living| {
                living.iter().all(|one| !ids.contains(&one.id))
            })
            .await?;
        wait_for_pods(&client, "default", NODES).await?;
        let after = world.wait_until_all_agree(&client).await?;
        ensure!(after.len() == NODES, "{} pods apart have {} nodes", NODES, after.len());
        queue_is_empty(world).await
    })
}

fn queue_comes_and_goes(world: &World) -> Result<()> {
    world.aws.set_queue(Present::No)?;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 1)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        world.wait_for_words("sqs:GetQueueUrl").await?;
        for _ in 0..2 {
            world.aws.set_queue(Present::Yes)?;
            let machines = world.wait_until_all_agree(&client).await?;
            let lost = machines.first().context("there is a node")?;
            world.aws.send(&[spot_warning(lost)])?;
            world
                .wait_for_machines("the instance is replaced", |living| {
                    !living.is_empty() && living.iter().all(|one| one.id != lost.id)
                })
                .await?;
            wait_for_pods(&client, "default", 1).await?;
            queue_is_empty(world).await?;
            world.aws.set_queue(Present::No)?;
        }
        world.wait_until_all_agree(&client).await.map(drop)
    })
}

fn poison(world: &World) -> Result<()> {
    let port = ports::free()?;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 1)])?;
    let _controller =
        world.controller_with(&["--metrics-port", &port.to_string(), "--bind-address", "127.0.0.1"])?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        let before = world.wait_until_all_agree(&client).await?;
        let nonsense = [
            String::new(),
            "garbage".to_owned(),
            "{".to_owned(),
            "[[[[".repeat(5_000),
            json!({ "version": "0" }).to_string(),
            message("aws.ec2", "EC2 Spot Instance Interruption Warning", &json!({ "instance-id": 7 })),
            message("aws.ec2", "Something New", &json!({})),
            message("aws.s3", "Object Created", &json!({ "bucket": "b" })),
            message(
                "aws.ec2",
                "EC2 Instance State-change Notification",
                &json!({ "instance-id": "i-of-others", "state": "terminated" }),
            ),
        ];
        world.aws.send(&nonsense)?;
        queue_is_empty(world).await?;
        let counted = until("all of them are counted", async || {
            let text = text_of(port, "/metrics")?;
            let received = sum(&text, "karpenter_interruption_received_messages_total");
            let deleted = sum(&text, "karpenter_interruption_deleted_messages_total");
            Ok((received >= nonsense.len() && deleted >= nonsense.len()).then_some((received, deleted)))
        })
        .await?;
        ensure!(counted == (nonsense.len(), nonsense.len()), "received and deleted: {counted:?}");
        // And what comes after them is heard.
        let lost = before.first().context("there is a node")?;
        world.aws.send(&[spot_warning(lost)])?;
        world
            .wait_for_machines("the instance is ended", |living| living.iter().all(|one| one.id != lost.id))
            .await
            .map(drop)
    })
}

/// The sum of a counter over all of its labels.
fn sum(metrics: &str, name: &str) -> usize {
    let values =
        metrics.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<usize>().ok()).sum()
}
