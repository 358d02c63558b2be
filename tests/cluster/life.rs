//! The life of NodeClaims on a real control plane: what replaces them, what holds up their end, and what is said of it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Node};
use k8s_openapi::api::storage::v1::VolumeAttachment;
use k8s_openapi::jiff;
use kube_client::Client;
use kube_client::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use libtest_mimic::Trial;
use serde_json::{Value, from_value, json};
use whittle_api::conditions::find;
use whittle_api::node_claim::NodeClaim;
use whittle_api::node_pool::NodePool;

use crate::controller::{Story, deployment, node_pool, story, wait_for_pods, wait_until_all_agree};
use crate::shared::{Shared, until};

pub(crate) fn trials(_: &Arc<Shared>) -> Vec<Trial> {
    vec![
        story("nodes_of_an_edited_node_pool_are_replaced_and_no_pod_is_without_a_place", drifts),
        story("an_instance_ends_only_when_its_volumes_are_detached", waits_for_volumes),
        story("a_drain_that_a_budget_holds_says_so_and_goes_on_when_it_may", is_held),
        story("a_drain_is_cut_when_its_grace_period_ends", is_cut),
        story("a_node_that_is_unhealthy_for_long_is_given_up_where_that_is_wanted", is_repaired),
    ]
}

fn claims(client: &Client) -> Api<NodeClaim> {
    Api::all(client.clone())
}

async fn all_claims(client: &Client) -> Result<Vec<NodeClaim>> {
    Ok(claims(client).list(&ListParams::default()).await?.items)
}

/// `True NodePoolDrifted`: status and reason of a condition.
fn condition(claim: &NodeClaim, type_: &str) -> Option<String> {
    let conditions = &claim.status.as_ref()?.conditions;
    find(conditions, type_).map(|condition| format!("{} {}", condition.status, condition.reason))
}

fn annotation<'a>(claim: &'a NodeClaim, key: &str) -> Option<&'a str> {
    claim.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn name(claim: &NodeClaim) -> String {
    claim.metadata.name.clone().unwrap_or_default()
}

/// Waits until the one NodeClaim has a condition, and gives it.
async fn wait_for_condition(client: &Client, type_: &str, expected: &str) -> Result<NodeClaim> {
    until(&format!("the NodeClaim says {type_}={expected}"), async || {
        let all = all_claims(client).await?;
        Ok(all.into_iter().find(|claim| condition(claim, type_).as_deref() == Some(expected)))
    })
    .await
}

async fn wait_until_gone(client: &Client, claim: &str) -> Result<()> {
    until(&format!("NodeClaim {claim} is gone"), async || {
        Ok(claims(client).get_opt(claim).await?.is_none().then_some(()))
    })
    .await
}

async fn wait_for_event(client: &Client, reason: &str) -> Result<String> {
    let events = Api::<Event>::all(client.clone());
    until(&format!("there is an Event {reason}"), async || {
        let found = events.list(&ListParams::default().fields(&format!("reason={reason}"))).await?;
        Ok(found.items.into_iter().find_map(|event| event.message))
    })
    .await
}

/// The one NodeClaim, once its node is ready, and the name of its Node.
async fn one_node(client: &Client) -> Result<(String, String)> {
    let claim = wait_for_condition(client, "Initialized", "True Initialized").await?;
    let node = claim.status.as_ref().and_then(|status| status.node_name.clone());
    Ok((name(&claim), node.context("a NodeClaim that names its Node")?))
}

async fn delete(client: &Client, claim: &str) -> Result<()> {
    claims(client).delete(claim, &DeleteParams::default()).await?;
    Ok(())
}

fn drifts(story: &Story) -> Result<()> {
    let [class, mut pool] = node_pool("Never");
    let at_once = |nodes: &str| json!([{ "nodes": nodes, "reasons": ["Drifted"] }]);
    pool["spec"]["disruption"]["budgets"] = at_once("0");
    story.apply(&[class, pool.clone(), deployment("web", 10)])?;
    let _controller = story.controller()?;
    let old: BTreeSet<String> = story.ask(async |client| {
        wait_for_pods(&client, "default", 10).await?;
        wait_until_all_agree(&client).await?;
        let all = all_claims(&client).await?;
        for claim in &all {
            let version = annotation(claim, "karpenter.sh/nodepool-hash-version");
            ensure!(version == Some("whittle-v1"), "{}: {version:?}", name(claim));
        }
        let hashes: BTreeSet<_> =
            all.iter().map(|one| annotation(one, "karpenter.sh/nodepool-hash")).collect();
        let of_pool = until("the NodePool has a fingerprint", async || {
            let pool = Api::<NodePool>::all(client.clone()).get("general").await?;
            Ok(pool.metadata.annotations.and_then(|all| all.get("karpenter.sh/nodepool-hash").cloned()))
        })
        .await?;
        ensure!(hashes == BTreeSet::from([Some(of_pool.as_str())]), "{hashes:?}, the NodePool has {of_pool}");
        Ok(all.iter().map(name).collect())
    })?;
    pool["spec"]["template"]["metadata"] = json!({ "labels": { "team": "shop" } });
    story.apply(&[pool.clone()])?;
    story.ask(async |client| wait_for_condition(&client, "Drifted", "True NodePoolDrifted").await)?;
    pool["spec"]["disruption"]["budgets"] = at_once("1");
    story.apply(&[pool])?;
    story.ask(async |client| {
        let said = Cell::new(false);
        until("all nodes are new ones, and no two were away at once", async || {
            let all = all_claims(&client).await?;
            let replaced: Vec<_> =
                all.iter().filter_map(|claim| condition(claim, "DisruptionReason")).collect();
            ensure!(replaced.len() <= 1, "{} nodes are being replaced at once", replaced.len());
            said.set(said.get() || replaced == ["True Drifted"]);
            Ok((!all.iter().any(|claim| old.contains(&name(claim)))).then_some(()))
        })
        .await?;
        ensure!(said.get(), "no NodeClaim said that it was replaced because it had drifted");
        wait_for_pods(&client, "default", 10).await?;
        wait_until_all_agree(&client).await?;
        for node in Api::<Node>::all(client.clone()).list(&ListParams::default()).await? {
            let team = node.metadata.labels.as_ref().and_then(|labels| labels.get("team"));
            ensure!(team.is_some_and(|team| team == "shop"), "{:?} has {team:?}", node.metadata.name);
        }
        Ok(())
    })
}

fn waits_for_volumes(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 1)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let (claim, node) = one_node(&client).await?;
        let attachments = Api::<VolumeAttachment>::all(client.clone());
        let attachment = json!({
            "metadata": { "name": "held" },
            "spec": {
                "attacher": "ebs.csi.aws.com", "nodeName": node, "source": { "persistentVolumeName": "pv-1" },
            },
        });
        attachments.create(&PostParams::default(), &from_value(attachment)?).await?;
        delete(&client, &claim).await?;
        let waits = until("it waits for its volume", async || {
            let known = claims(&client).get(&claim).await?;
            let waits =
                condition(&known, "VolumesDetached").as_deref() == Some("Unknown AwaitingVolumeDetachment");
            Ok(waits.then_some(known))
        })
        .await?;
        ensure!(condition(&waits, "Drained").as_deref() == Some("True Drained"), "it is drained");
        wait_for_event(&client, "AwaitingVolumeDetachment").await?;
        let known = Api::<Node>::all(client.clone()).get_opt(&node).await?;
        ensure!(known.is_some(), "its Node is still there");
        attachments.delete("held", &DeleteParams::default()).await?;
        wait_until_gone(&client, &claim).await
    })
}

fn budget(max_unavailable: &Value) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": "web", "namespace": "default" },
        "spec": { "maxUnavailable": max_unavailable, "selector": { "matchLabels": { "app": "web" } } },
    })
}

fn is_held(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 2), budget(&json!(0))])?;
    let _controller = story.controller()?;
    let claim = story.ask(async |client| {
        wait_for_pods(&client, "default", 2).await?;
        let (claim, _) = one_node(&client).await?;
        delete(&client, &claim).await?;
        let message = wait_for_event(&client, "FailedDraining").await?;
        ensure!(message.contains("PodDisruptionBudget default/web"), "{message}");
        wait_for_condition(&client, "Drained", "Unknown Draining").await?;
        ensure!(
            claims(&client).get(&claim).await?.metadata.deletion_timestamp.is_some(),
            "it is still there"
        );
        Ok(claim)
    })?;
    story.apply(&[budget(&json!("100%"))])?;
    story.ask(async |client| {
        wait_until_gone(&client, &claim).await?;
        wait_for_pods(&client, "default", 2).await
    })
}

/// A pod that asks to be left alone.
fn protected() -> Value {
    let mut web = deployment("web", 1);
    web["spec"]["template"]["metadata"]["annotations"] = json!({ "karpenter.sh/do-not-disrupt": "true" });
    web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    web
}

fn is_cut(story: &Story) -> Result<()> {
    let [class, mut pool] = node_pool("Never");
    pool["spec"]["template"]["spec"]["terminationGracePeriod"] = json!("15s");
    story.apply(&[class, pool, protected()])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        let (claim, _) = one_node(&client).await?;
        delete(&client, &claim).await?;
        let by = until("the NodeClaim says when its drain must be over", async || {
            let known = claims(&client).get(&claim).await?;
            let by = annotation(&known, "karpenter.sh/nodeclaim-termination-timestamp").map(str::to_owned);
            Ok(by.map(|by| (by, known.metadata.deletion_timestamp.clone())))
        })
        .await?;
        let deleted = by.1.context("a NodeClaim that is being deleted")?.0;
        let by: jiff::Timestamp = by.0.parse()?;
        ensure!(by.as_second() - deleted.as_second() == 15, "from {deleted} to {by}");
        wait_until_gone(&client, &claim).await?;
        wait_for_event(&client, "TerminationGracePeriodExpiring").await?;
        wait_for_pods(&client, "default", 1).await
    })
}

fn is_repaired(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, protected()])?;
    let _controller = story.controller_with(&["--feature-gates", "NodeRepair=true"])?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        let (claim, node) = one_node(&client).await?;
        let an_hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
        let sick = json!({ "status": { "conditions": [{
            "type": "StorageReady", "status": "False", "reason": "DiskIsGone", "message": "",
            "lastTransitionTime": an_hour_ago.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }] } });
        let nodes = Api::<Node>::all(client.clone());
        nodes.patch_status(&node, &PatchParams::default(), &Patch::Strategic(sick)).await?;
        wait_until_gone(&client, &claim).await?;
        wait_for_pods(&client, "default", 1).await
    })
}
