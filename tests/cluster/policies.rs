//! Policies that are swapped on disk while `whittle run` decides with them, and pods wait.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{Event, Node};
use kube_client::Client;
use kube_client::api::{Api, ListParams};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use whittle_tests::modules::module;

use crate::controller::{
    Story, deployment, node_pool, running, standing, story, wait_for_pods, wait_until_all_agree,
};
use crate::shared::{block_on, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![story("pods_that_wait_are_decided_about_anew_when_a_policy_is_swapped", swapped)]
}

/// Nothing that is sold is as new as that, so whoever waits goes on waiting. As in all of these, the longest time that there
/// is: a machine on which everything runs at once may have none for a policy in its usual 20 ms.
const NOTHING_WILL_DO: &str = "policies:\n- {name: newer, module: policy.wasm, limits: {wall: 200ms}, settings: {atLeast: 99, bandPercent: 10, neverBelow: 99}}\n";

/// Whoever is called web has to stay.
const WEB_IS_CRITICAL: &str = "policies:\n- {name: critical, module: policy.wasm, limits: {wall: 200ms}, settings: {workloads: [{labels: {app: web}}]}}\n";

/// Three pods that leave no room for a fourth on a node with four CPUs: the scheduler puts a pod wherever there is room, and
/// what was bought for one Deployment must not be used by the other.
fn filling(name: &str) -> Value {
    let mut deployment = deployment(name, 3);
    let containers = &mut deployment["spec"]["template"]["spec"]["containers"];
    containers[0]["resources"]["requests"]["cpu"] = json!("1200m");
    deployment
}

/// Waits until a pod of this Deployment is told why it has no place.
async fn wait_until_told(client: &Client, deployment: &str) -> Result<()> {
    let events = Api::<Event>::namespaced(client.clone(), "default");
    until(&format!("a pod of {deployment} is told why it waits"), async || {
        let found = events.list(&ListParams::default().fields("reason=FailedScheduling")).await?;
        let of_it = |event: &Event| {
            let name = event.involved_object.name.as_deref().unwrap_or_default();
            name.starts_with(deployment) && event.message.as_ref().is_some_and(|it| it.contains("general:"))
        };
        Ok(found.items.iter().any(of_it).then_some(()))
    })
    .await
}

/// How what a Deployment runs on was bought.
async fn bought(client: &Client, deployment: &str) -> Result<BTreeSet<String>> {
    let nodes = Api::<Node>::all(client.clone());
    let mut bought = BTreeSet::new();
    for pod in running(client, "default").await? {
        if pod.metadata.name.as_ref().is_some_and(|name| name.starts_with(deployment)) {
            let node = nodes.get(&pod.spec.and_then(|spec| spec.node_name).unwrap_or_default()).await?;
            let labels = node.metadata.labels.unwrap_or_default();
            bought.insert(labels.get("karpenter.sh/capacity-type").cloned().unwrap_or_default());
        }
    }
    Ok(bought)
}

/// Puts a file in the place of another, as whoever copies carefully does.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let beside = folder.join(format!(".{name}.new"));
    fs::write(&beside, bytes)?;
    Ok(fs::rename(beside, folder.join(name))?)
}

fn swapped(story: &Story) -> Result<()> {
    let folder = story.folder.path().join("policies");
    fs::create_dir(&folder)?;
    put(&folder, "policy.wasm", &module("prefer-generation"))?;
    put(&folder, "policies.yaml", NOTHING_WILL_DO.as_bytes())?;
    let [class, mut pool] = node_pool("Never");
    let requirements = pool["spec"]["template"]["spec"]["requirements"].as_array_mut();
    let both = json!({
        "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"],
    });
    requirements.into_iter().for_each(|requirements| requirements.push(both.clone()));
    story.apply(&[class, pool, filling("web")])?;
    let policies = folder.to_str().unwrap_or_default();
    let _controller = story.controller_with(&["--policies", policies])?;
    story.ask(async |client| wait_until_told(&client, "web").await)?;

    put(&folder, "policy.wasm", b"no module at all")?;
    block_on(until("the broken file is refused", async || {
        Ok(story.said().contains("policies are refused, the old ones stay").then_some(()))
    }))?;
    story.apply(&[filling("shop")])?;
    story.ask(async |client| {
        wait_until_told(&client, "shop").await?;
        let (nodes, claims, instances) = standing(&client).await?;
        ensure!(
            (nodes.len(), claims.len(), instances) == (0, 0, 0),
            "the old policy lets nobody buy anything: {nodes:?}, {claims:?}, {instances} instances"
        );
        Ok(())
    })?;

    put(&folder, "policy.wasm", &module("critical-on-demand"))?;
    put(&folder, "policies.yaml", WEB_IS_CRITICAL.as_bytes())?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 6).await?;
        wait_until_all_agree(&client).await?;
        let found = (bought(&client, "web").await?, bought(&client, "shop").await?);
        let only = |how: &str| BTreeSet::from([how.to_owned()]);
        ensure!(found == (only("on-demand"), only("spot")), "web and shop are on {found:?}");
        Ok(())
    })
}
