//! That nothing is launched twice: whatever a process did not know yet, whoever it took over from, and that a pod which has
//! lost its place is not forgotten over it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube_client::Client;
use kube_client::api::{Api, ListParams};
use libtest_mimic::Trial;
use serde_json::json;
use whittle_api::node_claim::NodeClaim;
use whittle_api::node_class::Ec2NodeClass;

use crate::controller::{running, wait_for_pods, wait_until_pods_wait};
use crate::emulator::Machine;
use crate::notices::spot_warning;
use crate::shared::{until, until_after};
use crate::world::{World, apart, node_pool, story};

const TYPES: [&str; 3] = ["c5.large", "m5.large", "r5.large"];

/// A lease that nobody renews runs out, and another takes it.
const HANDED_OVER: Duration = Duration::from_secs(180);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("a_launch_that_fails_before_its_node_claim_is_seen_is_made_once", not_known_yet),
        story("who_takes_over_finds_what_was_launched_and_not_answered", taken_over),
        story("successors_take_the_nodes_that_are_on_their_way_for_those_before_them", succeeded),
        story("a_pod_that_only_seemed_to_fit_gets_a_larger_node", seemed_to_fit),
        story("a_pod_whose_room_was_taken_before_it_came_gets_another_node", room_is_taken),
    ]
}

async fn is_ready(client: &Client) -> Result<()> {
    let classes = Api::<Ec2NodeClass>::all(client.clone());
    until_after(HANDED_OVER, "the class is ready", async || {
        let status = classes.get("default").await?.status.unwrap_or_default();
        Ok(status.conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True").then_some(()))
    })
    .await
}

async fn ever(world: &World, client: &Client, pods: usize) -> Result<()> {
    until_after(HANDED_OVER, "all pods run", async || {
        Ok((running(client, "default").await?.len() == pods).then_some(()))
    })
    .await?;
    world.wait_until_all_agree(client).await?;
    let ever = world.aws.machines()?.len();
    ensure!(ever == pods, "for {pods} pods apart there have been {ever} instances");
    Ok(())
}

/// The class is ready from before, and the new process has yet to learn what it selects.
fn not_known_yet(world: &World) -> Result<()> {
    const PODS: u32 = 20;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool])?;
    let first = world.controller()?;
    world.ask(async |client| is_ready(&client).await)?;
    drop(first);
    world.aws.fail(&json!({ "kind": "stall", "action": "ec2:DescribeSubnets", "seconds": 10 }))?;
    world.apply(&[apart("web", PODS)])?;
    world.ask(async |client| {
        wait_until_pods_wait(&client, PODS as usize).await?;
        let _second = world.controller()?;
        ever(world, &client, PODS as usize).await
    })
}

/// One leads and one stands by; the one that leads dies while EC2 has launched two fleets and has not answered.
fn taken_over(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool])?;
    let first = world.elected()?;
    world.ask(async |client| {
        is_ready(&client).await?;
        let _second = world.elected()?;
        until("both have listed everything", async || {
            Ok((world.story.said().matches("everything is listed").count() == 2).then_some(()))
        })
        .await?;
        let stall = json!({ "kind": "stall", "action": "ec2:CreateFleet", "seconds": 600, "after": true });
        world.aws.fail(&stall)?;
        for (name, launched) in [("web", 3), ("more", 6)] {
            world.apply(&[apart(name, 3)])?;
            world.wait_for_machines("it is launched", |living| living.len() == launched).await?;
        }
        drop(first);
        world.aws.heal()?;
        ever(world, &client, 6).await
    })
}

/// Waits until each pod without a node is told which one it is to have.
async fn wait_until_nominated(client: &Client, count: usize) -> Result<()> {
    let pods = Api::<Pod>::namespaced(client.clone(), "default");
    let events = Api::<Event>::namespaced(client.clone(), "default");
    until(&format!("{count} pods that wait are told of their nodes"), async || {
        let waits = |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none());
        let all = pods.list(&ListParams::default()).await?.items;
        let waiting: BTreeSet<_> = all.into_iter().filter(waits).filter_map(|pod| pod.metadata.uid).collect();
        let told = events.list(&ListParams::default().fields("reason=Nominated")).await?.items;
        let told: BTreeSet<_> = told.into_iter().filter_map(|event| event.involved_object.uid).collect();
        Ok((waiting.len() == count && waiting.is_subset(&told)).then_some(()))
    })
    .await
}

/// Spot instances are gone at once after their warning, and EC2 has no answer for others before their pods have successors.
fn succeeded(world: &World) -> Result<()> {
    const PODS: usize = 4;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", u32::try_from(PODS)?)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", PODS).await?;
        let old = world.wait_until_all_agree(&client).await?;
        world.aws.fail(&json!({ "kind": "stall", "action": "ec2:CreateFleet", "seconds": 600 }))?;
        world.aws.send(&old.iter().map(spot_warning).collect::<Vec<_>>())?;
        let claims = Api::<NodeClaim>::all(client.clone());
        until("others are on their way", async || {
            let all = claims.list(&ListParams::default()).await?.items;
            Ok((all.len() == 2 * PODS).then_some(()))
        })
        .await?;
        old.iter().try_for_each(|machine| world.aws.vanish(&machine.id))?;
        wait_until_nominated(&client, PODS).await?;
        world.aws.heal()?;
        let is_old = |machine: &Machine| old.iter().any(|old| old.id == machine.id);
        let all_new = |living: &[Machine]| living.len() >= PODS && !living.iter().any(is_old);
        world.wait_for_machines("all instances are new", all_new).await?;
        wait_for_pods(&client, "default", PODS).await?;
        world.wait_until_all_agree(&client).await?;
        let new = world.aws.machines()?.iter().filter(|machine| !is_old(machine)).count();
        ensure!(new == PODS, "for {PODS} pods that moved once {new} instances were launched");
        Ok(())
    })
}

/// Of one type less is left for pods than EC2's figures promise.
fn seemed_to_fit(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &["c5.large", "c5.xlarge"]);
    world.apply(&[class, pool, apart("web", 1)])?;
    world.aws.fail(&json!({ "kind": "meagre", "type": "c5.large", "cpu": 1_000 }))?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        let ever: Vec<String> = world.aws.machines()?.into_iter().map(|one| one.instance_type).collect();
        ensure!(ever == ["c5.large", "c5.xlarge"], "{ever:?}");
        Ok(())
    })
}

/// A DaemonSet comes while the node boots, and takes more than was left for it.
fn room_is_taken(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &["c5.large", "c5.xlarge"]);
    world.apply(&[class, pool, apart("web", 1)])?;
    world.aws.fail(&json!({ "kind": "boot", "seconds": 8 }))?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        world.wait_for_machines("a node is launched", |living| living.len() == 1).await?;
        world.apply(&[json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": { "name": "agent", "namespace": "default" },
            "spec": {
                "selector": { "matchLabels": { "app": "agent" } },
                "template": { "metadata": { "labels": { "app": "agent" } }, "spec": {
                    "priorityClassName": "system-node-critical",
                    "containers": [{ "name": "main", "image": "none", "resources": { "requests": { "cpu": "1" } } }],
                } },
            },
        })])?;
        let is_larger = |living: &[Machine]| {
            living.iter().any(|one| one.instance_type == "c5.xlarge")
        };
        world.wait_for_machines("there is a larger node", is_larger).await?;
        // The pod, and one of the DaemonSet on each node.
        wait_for_pods(&client, "default", 3).await
    })
}
