//! What goes wrong beside launching: rights that are missing, instances that vanish or never join, an API that learns late.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Event;
use kube_client::Client;
use kube_client::api::{Api, DeleteParams, ListParams};
use libtest_mimic::Trial;
use serde_json::json;
use whittle_api::node_claim::NodeClaim;
use whittle_api::node_class::Ec2NodeClass;

use crate::controller::wait_for_pods;
use crate::emulator::Machine;
use crate::shared::{until, until_after};
use crate::world::{CLUSTER, LISTED_AGAIN, World, apart, node_pool, story};

const TYPES: [&str; 3] = ["c5.large", "m5.large", "r5.large"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("a_launch_that_is_denied_is_said_with_the_name_of_the_action", launch_is_denied),
        story("a_look_that_is_denied_is_said_with_the_name_of_the_action", look_is_denied),
        story("an_instance_that_vanishes_is_replaced", vanishes),
        story("an_instance_that_never_joins_holds_nobody_elses_pods_and_is_given_up", never_joins),
        story("an_instance_that_may_not_be_ended_keeps_no_other_from_it", protected),
        story("instances_that_ec2_does_not_tell_of_yet_are_kept", lag),
        story("in_an_isolated_vpc_nodes_have_the_profile_that_is_named_and_iam_is_not_called", isolated),
    ]
}

/// Waits until a condition of the class and an Event name the action.
async fn is_said(client: &Client, action: &str) -> Result<()> {
    let classes = Api::<Ec2NodeClass>::all(client.clone());
    until(&format!("a condition of the EC2NodeClass names {action}"), async || {
        let status = classes.get("default").await?.status.unwrap_or_default();
        let named = status.conditions.iter().any(|one| one.status != "True" && one.message.contains(action));
        Ok(named.then_some(()))
    })
    .await?;
    let events = Api::<Event>::all(client.clone());
    until(&format!("an Event names {action}"), async || {
        let all = events.list(&ListParams::default()).await?.items;
        Ok(all
            .iter()
            .any(|one| one.message.as_deref().is_some_and(|text| text.contains(action)))
            .then_some(()))
    })
    .await
}

fn is_denied(world: &World, action: &str, code: &str) -> Result<()> {
    world.aws.fail(&json!({ "kind": "error", "action": action, "code": code }))?;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 1)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        is_said(&client, action).await?;
        let living = world.aws.living()?;
        ensure!(living.is_empty(), "there are instances: {living:?}");
        Ok(())
    })
}

fn launch_is_denied(world: &World) -> Result<()> {
    is_denied(world, "ec2:CreateFleet", "UnauthorizedOperation")
}

fn look_is_denied(world: &World) -> Result<()> {
    is_denied(world, "ec2:DescribeSubnets", "UnauthorizedOperation")
}

fn vanishes(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 2)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 2).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        let gone = machines.first().context("there is a node")?;
        world.aws.vanish(&gone.id)?;
        world.wait_for_machines("there is another in its place", |living| living.len() == 2).await?;
        wait_for_pods(&client, "default", 2).await?;
        world.wait_until_all_agree(&client).await.map(drop)
    })
}

/// A quarter of an hour is what no story waits for.
fn never_joins(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.aws.fail(&json!({ "kind": "silent", "type": "c5.large" }))?;
    world.apply(&[class, pool, apart("web", 1)])?;
    let _controller = world.controller_with(&["--metrics-port", "0", "--registration-timeout", "60s"])?;
    world.ask(async |client| {
        let claims = Api::<NodeClaim>::all(client.clone());
        let silent =
            world.wait_for_machines("it runs", |living| living.iter().any(|one| one.state == "running"));
        let silent = silent.await?;
        ensure!(silent.len() == 1 && silent.iter().all(|one| one.silent), "{silent:?}");
        // Whatever else wants a node gets one of its own, and nothing is launched a second time for the pod that waits.
        world.aws.heal()?;
        world.aws.fail(&json!({ "kind": "capacity", "type": "c5.large" }))?;
        world.apply(&[apart("shop", 1)])?;
        let both = world.wait_for_machines("there is a second", |living| living.len() > 1).await?;
        ensure!(both.len() == 2, "{both:?}");
        let known = claims.list(&ListParams::default()).await?.items.len();
        ensure!(known == 2, "{known} NodeClaims");
        world.aws.heal()?;
        let is_given_up = |living: &[Machine]| living.len() == 2 && living.iter().all(|one| !one.silent);
        world.wait_for_machines("another takes its place", is_given_up).await?;
        wait_for_pods(&client, "default", 2).await?;
        world.wait_until_all_agree(&client).await.map(drop)
    })
}

fn protected(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 3)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 3).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        let kept = machines.first().context("there is a node")?;
        world.aws.fail(&json!({ "kind": "protected", "id": kept.id }))?;
        world.apply(&[apart("web", 0)])?;
        wait_for_pods(&client, "default", 0).await?;
        let claims = Api::<NodeClaim>::all(client.clone());
        claims.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        let is_alone = |living: &[Machine]| living.len() == 1 && living.iter().all(|one| one.id == kept.id);
        world.wait_for_machines("all others are ended", is_alone).await?;
        world.aws.heal()?;
        world.wait_for_machines("it is ended as soon as it may be", <[Machine]>::is_empty).await.map(drop)
    })
}

fn lag(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.aws.fail(&json!({ "kind": "lag", "seconds": 15 }))?;
    world.apply(&[class, pool, apart("web", 3)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 3).await?;
        world.wait_until_all_agree(&client).await?;
        let before = world.aws.count("ec2:DescribeInstances")?;
        until_after(LISTED_AGAIN, "they were looked for twice more", async || {
            Ok((world.aws.count("ec2:DescribeInstances")? > before + 1).then_some(()))
        })
        .await?;
        let all = world.aws.machines()?;
        ensure!(all.len() == 3, "3 pods apart have {} instances, living and dead", all.len());
        world.wait_until_all_agree(&client).await.map(drop)
    })
}

fn isolated(world: &World) -> Result<()> {
    let [mut class, pool] = node_pool(&["spot"], &TYPES);
    let profile = format!("{CLUSTER}-nodes");
    let spec = class["spec"].as_object_mut().context("a class has a spec")?;
    spec.remove("role");
    spec.insert("instanceProfile".to_owned(), json!(profile));
    world.apply(&[class, pool, apart("web", 1)])?;
    let _controller = world.controller_with(&["--metrics-port", "0", "--isolated-vpc"])?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        ensure!(machines.iter().all(|one| one.profile.as_deref() == Some(&profile)), "{machines:?}");
        Ok(())
    })?;
    let calls = world.aws.calls()?;
    let of_iam: Vec<_> = calls.keys().filter(|(action, _)| action.starts_with("iam:")).collect();
    ensure!(of_iam.is_empty(), "IAM was called: {of_iam:?}");
    Ok(())
}
