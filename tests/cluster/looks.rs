//! What an operator asks of a cluster: `whittle why`, `whittle top` and `whittle snapshot`, beside a controller that runs.

use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube_client::api::{Api, ListParams};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::controller::{
    Story, deployment, node_pool, story, wait_for_pods, wait_until_all_agree, wait_until_all_are_initialized,
    whittle,
};
use crate::shared::Shared;

pub(crate) fn trials(_: &Arc<Shared>) -> Vec<Trial> {
    vec![story(
        "an_operator_is_told_why_a_pod_waits_and_a_node_stays_by_the_cluster_and_by_its_snapshot",
        is_asked,
    )]
}

fn ask(story: &Story, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(whittle()?);
    command.args(arguments).env("KUBECONFIG", story.plane.kubeconfig()).env_remove("AWS_REGION");
    command.output().context("cannot start whittle")
}

fn answer(story: &Story, arguments: &[&str]) -> Result<String> {
    let output = ask(story, arguments)?;
    let (said, complained) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success(), "{arguments:?} failed: {complained}");
    Ok(said)
}

/// A pod that no NodePool will ever have room for.
fn giant() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "giant", "namespace": "default" },
        "spec": { "containers": [{
            "name": "main", "image": "none", "env": [{ "name": "TOKEN", "value": "s3cret" }],
            "resources": { "requests": { "cpu": "100" } },
        }] },
    })
}

fn is_asked(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 6), giant()])?;
    let controller = story.controller()?;
    let nodes = story.ask(async |client| {
        wait_for_pods(&client, "default", 6).await?;
        wait_until_all_agree(&client).await?;
        wait_until_all_are_initialized(&client).await?;
        let nodes = Api::<Node>::all(client).list(&ListParams::default()).await?;
        Ok(nodes.items.into_iter().filter_map(|node| node.metadata.name).collect::<Vec<_>>())
    })?;
    drop(controller);

    let why = answer(story, &["why", "pod", "default/giant"])?;
    ensure!(
        why.contains("general: none of ") && why.contains("have less cpu than the 100 asked for"),
        "{why}"
    );
    let node = nodes.first().context("a node")?;
    let stays = answer(story, &["why", "node", node])?;
    ensure!(
        stays.contains("it is never consolidated") && stays.contains("consolidateAfter: Never"),
        "{stays}"
    );
    let top = answer(story, &["top"])?;
    ensure!(nodes.iter().all(|node| top.contains(node.as_str())), "{top}");
    ensure!(top.contains("7 pods, 1 wait") && top.contains("ap-northeast-2"), "{top}");

    let folder = story.folder.path().join("snapshot");
    let folder = folder.to_str().context("a path in UTF-8")?;
    answer(story, &["snapshot", folder])?;
    let pods = std::fs::read_to_string(format!("{folder}/pods.yaml"))?;
    ensure!(pods.contains("giant") && !pods.contains("s3cret"), "{pods}");
    let again = ask(story, &["snapshot", folder])?;
    ensure!(!again.status.success() && String::from_utf8(again.stderr)?.contains("is not empty"));
    // The same question to the snapshot has the same answer.
    ensure!(answer(story, &["why", "pod", "default/giant", "--dir", folder])? == why, "{why}");
    let simulated: Value = serde_json::from_str(&answer(story, &["simulate", folder, "--output", "json"])?)?;
    ensure!(simulated["settings"]["region"] == "ap-northeast-2", "{}", simulated["settings"]);
    ensure!(simulated["totals"]["launches"] == 0, "{}", simulated["totals"]);

    let missing = ask(story, &["why", "pod", "default/nobody"])?;
    ensure!(String::from_utf8(missing.stderr)?.contains("there is no pod default/nobody"));
    odd_is_shown(story)
}

/// What cannot be understood is shown beside every answer.
fn odd_is_shown(story: &Story) -> Result<()> {
    let mut odd = deployment("odd", 1);
    odd["kind"] = json!("DaemonSet");
    odd["spec"].as_object_mut().map(|spec| spec.remove("replicas"));
    odd["spec"]["template"]["spec"]["priorityClassName"] = json!("nobody-made-it");
    story.apply(&[odd])?;
    let why = ask(story, &["why", "pod", "default/giant"])?;
    let complaint = String::from_utf8(why.stderr)?;
    let is_named = |text: &str| text.contains("DaemonSet default/odd: ") && text.contains("nobody-made-it");
    ensure!(why.status.success() && is_named(&complaint), "{complaint}");
    let top = answer(story, &["top"])?;
    ensure!(top.contains("1 object is not understood") && is_named(&top), "{top}");
    Ok(())
}
