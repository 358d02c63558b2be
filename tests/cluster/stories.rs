//! What happens to nodes and pods while `whittle run` looks after them: limits, drains, taints, volumes, and people who
//! delete things.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube_client::Client;
use kube_client::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use libtest_mimic::Trial;
use serde_json::json;
use whittle_api::node_claim::NodeClaim;
use whittle_api::node_pool::NodePool;

use crate::controller::{
    Story, deployment, node_pool, running, standing, story, wait_for_pods, wait_until_all_agree,
};
use crate::shared::{Shared, until};

pub(crate) fn trials(_: &Arc<Shared>) -> Vec<Trial> {
    vec![
        story("pods_wait_at_the_limit_of_their_node_pool_until_it_is_raised", limit_is_raised),
        story("pods_wait_until_startup_taints_are_gone", startup_taints),
        story("the_pods_of_daemon_sets_have_room_on_every_new_node", daemon_sets),
        story("pods_that_spread_over_zones_get_nodes_in_each", zone_spread),
        story("a_pod_goes_where_its_volume_is", volume),
        story("a_node_that_somebody_deletes_is_replaced_and_its_instance_ended", node_is_deleted),
        story("the_nodes_of_a_node_pool_that_is_deleted_go_though_they_are_in_use", pool_is_deleted),
    ]
}

/// An Event on any pod that says this.
async fn wait_until_told(client: &Client, reason: &str, words: &str) -> Result<()> {
    let events = Api::<Event>::all(client.clone());
    until(&format!("an Event {reason} says {words:?}"), async || {
        let found = events.list(&ListParams::default().fields(&format!("reason={reason}"))).await?;
        let says = |event: &Event| event.message.as_deref().is_some_and(|message| message.contains(words));
        Ok(found.items.iter().any(says).then_some(()))
    })
    .await
}

async fn only_claim(client: &Client) -> Result<NodeClaim> {
    let claims = Api::<NodeClaim>::all(client.clone()).list(&ListParams::default()).await?.items;
    ensure!(claims.len() == 1, "{} NodeClaims", claims.len());
    claims.into_iter().next().context("a NodeClaim")
}

async fn wait_until_only(client: &Client, other_than: &str) -> Result<()> {
    until(&format!("{other_than} is replaced"), async || {
        let (nodes, claimed, instances) = standing(client).await?;
        let agreed = nodes == claimed && nodes.len() == instances && instances == 1;
        Ok((agreed && !nodes.contains(other_than)).then_some(()))
    })
    .await
}

fn limit_is_raised(story: &Story) -> Result<()> {
    let [class, mut pool] = node_pool("Never");
    pool["spec"]["limits"] = json!({ "cpu": "8" });
    story.apply(&[class, pool, deployment("web", 16)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_until_told(&client, "FailedScheduling", "limit of 8 cpu").await?;
        wait_for_pods(&client, "default", 8).await?;
        let pools = Api::<NodePool>::all(client.clone());
        let raised = json!({ "spec": { "limits": { "cpu": "100" } } });
        pools.patch("general", &PatchParams::default(), &Patch::Merge(raised)).await?;
        wait_for_pods(&client, "default", 16).await
    })
}

fn startup_taints(story: &Story) -> Result<()> {
    let [class, mut pool] = node_pool("Never");
    pool["spec"]["template"]["spec"]["startupTaints"] =
        json!([{ "key": "example.com/agent", "effect": "NoSchedule" }]);
    story.apply(&[class, pool, deployment("web", 3)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let is_true = |claim: &NodeClaim, type_: &str| {
            let conditions = claim.status.iter().flat_map(|status| &status.conditions);
            conditions.filter(|one| one.type_ == type_).any(|one| one.status == "True")
        };
        let claim = until("the NodeClaim is registered", async || {
            let claims = Api::<NodeClaim>::all(client.clone()).list(&ListParams::default()).await?;
            Ok(claims.items.into_iter().find(|claim| is_true(claim, "Registered")))
        })
        .await?;
        ensure!(!is_true(&claim, "Initialized"), "its startup taint is still there");
        ensure!(running(&client, "default").await?.is_empty(), "nothing runs behind a startup taint");
        let nodes = Api::<Node>::all(client.clone());
        let node = claim.status.and_then(|status| status.node_name).context("the name of a Node")?;
        // The agent is ready.
        until("the startup taint is taken off", async || {
            let mut node = nodes.get(&node).await?;
            let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
            taints.retain(|taint| taint.key != "example.com/agent");
            let name = node.metadata.name.clone().unwrap_or_default();
            match nodes.replace(&name, &kube_client::api::PostParams::default(), &node).await {
                Ok(_) => Ok(Some(())),
                Err(kube_client::Error::Api(status)) if status.code == 409 => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await?;
        wait_for_pods(&client, "default", 3).await?;
        until("the NodeClaim is initialized", async || {
            Ok(is_true(&only_claim(&client).await?, "Initialized").then_some(()))
        })
        .await
    })
}

fn daemon_sets(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    let labels = json!({ "app": "agent" });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "agent", "namespace": "default" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [
                { "name": "main", "image": "none", "resources": { "requests": { "cpu": "1" } } },
            ] } },
        },
    });
    story.apply(&[class, pool, set, deployment("web", 8)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let nodes = until("the pods run, and an agent beside them on each node", async || {
            let (nodes, ..) = standing(&client).await?;
            let all_run = running(&client, "default").await?.len() == 8 + nodes.len();
            Ok((all_run && !nodes.is_empty()).then_some(nodes))
        })
        .await?;
        // 8 pods of 900m would fit on one node of 8 CPUs: not beside an agent of 1 CPU.
        ensure!(nodes.len() == 2, "{nodes:?}");
        Ok(())
    })
}

fn zone_spread(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    let mut web = deployment("web", 4);
    web["spec"]["template"]["spec"]["topologySpreadConstraints"] = json!([{
        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": { "app": "web" } },
    }]);
    story.apply(&[class, pool, web])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 4).await?;
        let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?.items;
        let zone = |node: &Node| node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned();
        let zones: std::collections::BTreeSet<String> = nodes.iter().filter_map(zone).collect();
        ensure!(zones.len() == 4, "4 pods in {zones:?}");
        Ok(())
    })
}

fn volume(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    let zone = "ap-northeast-2c";
    let capacity = json!({ "storage": "10Gi" });
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": "data" },
        "spec": {
            "capacity": capacity, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "csi": { "driver": "ebs.csi.aws.com", "volumeHandle": "vol-0123456789abcdef0" },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone] },
            ] }] } },
        },
    });
    let labels = json!({ "app": "db" });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "db", "namespace": "default" },
        "spec": {
            "serviceName": "db", "replicas": 1, "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [{
                "name": "main", "image": "none", "resources": { "requests": { "cpu": "1" } },
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }] } },
            "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": "data",
                "resources": { "requests": capacity },
            } }],
        },
    });
    story.apply(&[class, pool, volume, set])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let nodes = Api::<Node>::all(client.clone());
        let pods = Api::<Pod>::namespaced(client.clone(), "default");
        let node = until("db-0 has a node", async || {
            let pod = pods.get_opt("db-0").await?;
            Ok(pod.and_then(|pod| pod.spec).and_then(|spec| spec.node_name))
        })
        .await?;
        let labels = nodes.get(&node).await?.metadata.labels.unwrap_or_default();
        ensure!(labels.get("topology.kubernetes.io/zone").map(String::as_str) == Some(zone), "{labels:?}");
        Ok(())
    })
}

fn node_is_deleted(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 4)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 4).await?;
        wait_until_all_agree(&client).await?;
        let claim = only_claim(&client).await?;
        let node = claim.status.and_then(|status| status.node_name).context("the name of a Node")?;
        Api::<Node>::all(client.clone()).delete(&node, &DeleteParams::default()).await?;
        wait_until_only(&client, &node).await?;
        wait_for_pods(&client, "default", 4).await
    })
}

fn pool_is_deleted(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 4)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 4).await?;
        wait_until_all_agree(&client).await?;
        Api::<NodePool>::all(client.clone()).delete("general", &DeleteParams::default()).await?;
        until("its nodes are gone", async || {
            Ok((standing(&client).await? == (Default::default(), Default::default(), 0)).then_some(()))
        })
        .await?;
        wait_until_told(&client, "FailedScheduling", "there is no NodePool").await
    })
}
