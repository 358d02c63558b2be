//! What people change while `whittle run` is at it: NodePools that are edited and deleted, Nodes and NodeClaims that are
//! deleted by hand.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Node};
use kube_client::Client;
use kube_client::api::{Api, DeleteParams, ListParams};
use libtest_mimic::Trial;
use serde_json::json;
use whittle_api::node_claim::NodeClaim;
use whittle_api::node_pool::NodePool;

use crate::controller::{Story, deployment, node_pool, standing, story, wait_for_pods, wait_until_all_agree};
use crate::shared::until;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("pods_that_wait_get_nodes_when_their_node_pool_is_edited", edited),
        story("nodes_of_a_deleted_node_pool_go_and_their_pods_run_on_those_of_another", pool_deleted),
        story("a_node_that_is_deleted_by_hand_is_drained_and_its_pods_get_another", node_deleted),
        story("a_node_claim_that_is_deleted_by_hand_goes_with_its_instance", claim_deleted),
    ]
}

fn edited(story: &Story) -> Result<()> {
    let [class, mut pool] = node_pool("Never");
    let mut web = deployment("web", 3);
    web["spec"]["template"]["spec"]["nodeSelector"] = json!({ "kubernetes.io/arch": "arm64" });
    story.apply(&[class, pool.clone(), web])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let events = Api::<Event>::namespaced(client.clone(), "default");
        until("the pods are told why they wait", async || {
            let found = events.list(&ListParams::default().fields("reason=FailedScheduling")).await?;
            let mut messages = found.items.into_iter().filter_map(|event| event.message);
            Ok(messages.any(|message| message.contains("general:")).then_some(()))
        })
        .await
    })?;
    pool["spec"]["template"]["spec"]["requirements"][2]["values"] = json!(["amd64", "arm64"]);
    story.apply(&[pool])?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 3).await?;
        wait_until_all_agree(&client).await.map(drop)
    })
}

/// Waits until none of these Nodes is left and everything runs again.
async fn wait_until_replaced(client: &Client, old: &BTreeSet<String>, pods: usize) -> Result<()> {
    until("the old nodes are gone", async || {
        let (nodes, _, _) = standing(client).await?;
        Ok(nodes.is_disjoint(old).then_some(()))
    })
    .await?;
    wait_for_pods(client, "default", pods).await?;
    wait_until_all_agree(client).await.map(drop)
}

/// The Nodes of a cluster in which so many pods run and nothing is under way.
async fn settled(client: &Client, pods: usize) -> Result<BTreeSet<String>> {
    wait_for_pods(client, "default", pods).await?;
    wait_until_all_agree(client).await?;
    Ok(standing(client).await?.0)
}

fn pool_deleted(story: &Story) -> Result<()> {
    let [class, mut pool] = node_pool("Never");
    let mut spare = pool.clone();
    spare["metadata"]["name"] = json!("spare");
    pool["spec"]["weight"] = json!(10);
    story.apply(&[class, pool, spare, deployment("web", 12)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let old = settled(&client, 12).await?;
        Api::<NodePool>::all(client.clone()).delete("general", &DeleteParams::default()).await?;
        wait_until_replaced(&client, &old, 12).await?;
        let nodes = Api::<Node>::all(client).list(&ListParams::default()).await?;
        let pools: BTreeSet<Option<String>> = nodes
            .items
            .into_iter()
            .map(|node| node.metadata.labels.and_then(|labels| labels.get("karpenter.sh/nodepool").cloned()))
            .collect();
        ensure!(pools == BTreeSet::from([Some("spare".to_owned())]), "{pools:?}");
        Ok(())
    })
}

fn node_deleted(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 4)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let old = settled(&client, 4).await?;
        let nodes = Api::<Node>::all(client.clone());
        for node in &old {
            nodes.delete(node, &DeleteParams::default()).await?;
        }
        wait_until_replaced(&client, &old, 4).await
    })
}

fn claim_deleted(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 4)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let old = settled(&client, 4).await?;
        let claims = Api::<NodeClaim>::all(client.clone());
        for claim in claims.list(&ListParams::default()).await? {
            let name = claim.metadata.name.context("a NodeClaim has a name")?;
            claims.delete(&name, &DeleteParams::default()).await?;
        }
        wait_until_replaced(&client, &old, 4).await
    })
}
