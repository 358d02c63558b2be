//! What decides where a pod may be, told by `whittle run` on a real scheduler: startup taints, DaemonSets, volumes, limits.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Node, PersistentVolumeClaim};
use kube_client::Client;
use kube_client::api::{Api, ListParams, Patch, PatchParams};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::controller::{
    Story, deployment, node_pool, running, standing, story, wait_for_pods, wait_until_all_agree,
    wait_until_no_node_is_left, wait_until_pods_wait,
};
use crate::shared::until;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("pods_wait_until_a_startup_taint_is_taken_off", startup_taints),
        story("a_new_node_has_room_for_the_pods_of_daemon_sets", daemon_sets),
        story("pods_that_spread_over_zones_get_nodes_in_each", zone_spread),
        story("pods_of_a_stateful_set_are_where_their_volumes_are", volumes),
        story("a_limit_holds_and_pods_get_their_nodes_when_it_is_raised", limits),
        story("five_hundred_pods_get_nodes_and_no_node_is_left_without_them", five_hundred),
    ]
}

fn startup_taints(story: &Story) -> Result<()> {
    let [class, mut pool] = node_pool("Never");
    let taint = json!([{ "key": "example.com/agent", "value": "starts", "effect": "NoSchedule" }]);
    pool["spec"]["template"]["spec"]["startupTaints"] = taint;
    story.apply(&[class, pool, deployment("web", 2)])?;
    story.ask(async |client| wait_until_pods_wait(&client, 2).await)?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let nodes = Api::<Node>::all(client.clone());
        let keys = |node: &Node| -> BTreeSet<String> {
            let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
            taints.map(|taint| taint.key.clone()).collect()
        };
        let registered = until("a node is open but for its startup taint", async || {
            let found = nodes.list(&ListParams::default().labels("karpenter.sh/registered=true")).await?;
            let only = BTreeSet::from(["example.com/agent".to_owned()]);
            Ok(found.items.into_iter().find(|node| keys(node) == only))
        })
        .await?;
        let labels = registered.metadata.labels.unwrap_or_default();
        ensure!(!labels.contains_key("karpenter.sh/initialized"), "it is initialized with its startup taint");
        ensure!(running(&client, "default").await?.is_empty(), "nothing runs there yet");
        let open = Patch::Merge(json!({ "spec": { "taints": null } }));
        let name = registered.metadata.name.context("a Node has a name")?;
        nodes.patch(&name, &PatchParams::default(), &open).await?;
        wait_for_pods(&client, "default", 2).await?;
        ensure!(wait_until_all_agree(&client).await? == 1, "no second node was asked for meanwhile");
        until("the node is initialized", async || {
            let labels = nodes.get(&name).await?.metadata.labels.unwrap_or_default();
            Ok(labels.contains_key("karpenter.sh/initialized").then_some(()))
        })
        .await
    })
}

fn daemon_sets(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    let labels = json!({ "app": "agent" });
    let agent = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "agent", "namespace": "default" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "containers": [
                        { "name": "main", "image": "none", "resources": { "requests": { "cpu": "1500m" } } },
                    ],
                    "tolerations": [{ "operator": "Exists" }],
                },
            },
        },
    });
    // Eight of them fit on one node of 8 CPUs, and do not beside the agent.
    story.apply(&[class, pool, agent, deployment("web", 8)])?;
    story.ask(async |client| wait_until_pods_wait(&client, 8).await)?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        let by_node = until("all pods run, and an agent on each node", async || {
            let mut by_node: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for pod in running(&client, "default").await? {
                let app = pod.metadata.labels.and_then(|labels| labels.get("app").cloned());
                let node = pod.spec.and_then(|spec| spec.node_name).unwrap_or_default();
                by_node.entry(node).or_default().push(app.unwrap_or_default());
            }
            let nodes = standing(&client).await?.0;
            let agents = by_node.values().filter(|apps| apps.contains(&"agent".to_owned())).count();
            let pods: usize = by_node.values().map(Vec::len).sum();
            Ok((pods == 8 + nodes.len() && agents == nodes.len()).then_some(by_node))
        })
        .await?;
        ensure!(by_node.len() == 2, "{by_node:?}");
        ensure!(wait_until_all_agree(&client).await? == 2, "no node more was asked for");
        Ok(())
    })
}

/// A volume in a zone, for the claim of this pod.
fn volume(pod: &str, zone: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": format!("volume-{pod}") },
        "spec": {
            "capacity": { "storage": "10Gi" }, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "claimRef": { "namespace": "default", "name": format!("data-{pod}") },
            "csi": { "driver": "ebs.csi.aws.com", "volumeHandle": format!("vol-{pod}") },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone] },
            ] }] } },
        },
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
    // The scheduler knows the zones that there are nodes in: one that has come alone would have room for all.
    story.ask(async |client| wait_until_pods_wait(&client, 4).await)?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 4).await?;
        wait_until_all_agree(&client).await?;
        let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?.items;
        let zone = |node: &Node| node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned();
        let zones: std::collections::BTreeSet<String> = nodes.iter().filter_map(zone).collect();
        ensure!(zones.len() == 4, "4 pods in {zones:?}");
        Ok(())
    })
}

fn volumes(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    let mut database = deployment("db", 3);
    database["kind"] = json!("StatefulSet");
    database["spec"]["serviceName"] = json!("db");
    database["spec"]["podManagementPolicy"] = json!("Parallel");
    database["spec"]["volumeClaimTemplates"] = json!([{
        "metadata": { "name": "data" },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "resources": { "requests": { "storage": "10Gi" } },
        },
    }]);
    let zones = [("db-0", "ap-northeast-2c"), ("db-1", "ap-northeast-2a"), ("db-2", "ap-northeast-2b")];
    let mut objects: Vec<Value> = zones.iter().map(|(pod, zone)| volume(pod, zone)).collect();
    objects.extend([class, pool, database]);
    story.apply(&objects)?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 3).await?;
        let nodes = Api::<Node>::all(client.clone());
        let mut found = BTreeSet::new();
        for pod in running(&client, "default").await? {
            let node = nodes.get(&pod.spec.and_then(|spec| spec.node_name).unwrap_or_default()).await?;
            let zone =
                node.metadata.labels.and_then(|labels| labels.get("topology.kubernetes.io/zone").cloned());
            found.insert((pod.metadata.name.unwrap_or_default(), zone.unwrap_or_default()));
        }
        let expected = zones.iter().map(|(pod, zone)| ((*pod).to_owned(), (*zone).to_owned())).collect();
        ensure!(found == expected, "{found:?}");
        let claims = Api::<PersistentVolumeClaim>::namespaced(client, "default");
        ensure!(claims.list(&ListParams::default()).await?.items.len() == 3, "each has a volume of its own");
        Ok(())
    })
}

/// Waits for an Event with this in its message.
async fn wait_for_event(client: &Client, part: &str) -> Result<()> {
    let events = Api::<Event>::namespaced(client.clone(), "default");
    until(&format!("an Event says {part:?}"), async || {
        let events = events.list(&ListParams::default().fields("reason=FailedScheduling")).await?;
        let mut messages = events.items.into_iter().filter_map(|event| event.message);
        Ok(messages.any(|message| message.contains(part)).then_some(()))
    })
    .await
}

fn limits(story: &Story) -> Result<()> {
    let [class, mut pool] = node_pool("Never");
    pool["spec"]["limits"] = json!({ "cpu": "8" });
    story.apply(&[class, pool.clone(), deployment("web", 12)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_event(&client, "general: ").await?;
        until("pods run on what the limit allows", async || {
            Ok((!running(&client, "default").await?.is_empty()).then_some(()))
        })
        .await?;
        wait_until_all_agree(&client).await?;
        let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
        let cpu = |node: &Node| -> Option<u32> {
            node.status.as_ref()?.capacity.as_ref()?.get("cpu")?.0.parse().ok()
        };
        let cpus: Vec<u32> = nodes.iter().filter_map(cpu).collect();
        ensure!(!cpus.is_empty() && cpus.len() == nodes.items.len(), "every Node says what it has");
        ensure!(cpus.iter().sum::<u32>() <= 8, "the limit is 8 CPUs: {cpus:?}");
        Ok(())
    })?;
    pool["spec"]["limits"] = json!({ "cpu": "100" });
    story.apply(&[pool])?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 12).await?;
        wait_until_all_agree(&client).await.map(drop)
    })
}

fn five_hundred(story: &Story) -> Result<()> {
    let [class, mut pool] = node_pool("1s");
    pool["spec"]["template"]["spec"]["requirements"][1]["values"] = json!(["16", "32"]);
    story.apply(&[class, pool, deployment("web", 500)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 500).await?;
        wait_until_all_agree(&client).await.map(drop)
    })?;
    story.apply(&[deployment("web", 0)])?;
    story.ask(async |client| wait_until_no_node_is_left(&client).await)
}
