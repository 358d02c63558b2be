//! Manifests as people have them for Karpenter, on a real API server with `whittle run`: taken as they are, understood,
//! and shown by kubectl as Karpenter's are.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use kube_client::api::{Api, ListParams};
use libtest_mimic::Trial;
use serde_json::json;
use whittle_api::conditions::find;
use whittle_api::node_pool::NodePool;

use crate::controller::{
    Story, deployment, story, wait_for_pods, wait_until_all_agree, wait_until_all_are_initialized,
};
use crate::shared::until;

pub(crate) fn trials() -> Vec<Trial> {
    vec![story("the_example_node_pools_apply_unchanged_and_kubectl_shows_karpenters_columns", shown)]
}

/// The words of the head of a table.
fn head(table: &str) -> Vec<&str> {
    table.lines().next().unwrap_or_default().split_whitespace().collect()
}

/// Whether a row of a table has these words, wherever they stand.
fn has_row(table: &str, words: &[&str]) -> bool {
    table.lines().any(|line| {
        let found: Vec<&str> = line.split_whitespace().collect();
        words.iter().all(|word| found.contains(word))
    })
}

fn shown(story: &Story) -> Result<()> {
    story.plane.apply(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/node-pools"))?;
    // Which NodePool it gets is said by one label of a NodePool and one of an architecture.
    let mut on_arm = deployment("on-arm", 2);
    on_arm["spec"]["template"]["spec"]["nodeSelector"] = json!({ "karpenter.sh/nodepool": "arm" });
    let mut anywhere = deployment("anywhere", 2);
    anywhere["spec"]["template"]["spec"]["nodeSelector"] = json!({ "billing-team": "shop" });
    story.apply(&[on_arm, anywhere])?;
    let _controller = story.controller()?;
    let ready: BTreeMap<String, bool> = story.ask(async |client| {
        let pools = Api::<NodePool>::all(client.clone());
        wait_for_pods(&client, "default", 4).await?;
        wait_until_all_agree(&client).await?;
        wait_until_all_are_initialized(&client).await?;
        until("every NodePool says how it stands, and whoever has a node that there is one", async || {
            let mut all = BTreeMap::new();
            for pool in pools.list(&ListParams::default()).await? {
                let status = pool.status.unwrap_or_default();
                let Some(ready) = find(&status.conditions, "Ready") else { return Ok(None) };
                let name = pool.metadata.name.unwrap_or_default();
                if name == "arm" && status.nodes != 1 {
                    return Ok(None);
                }
                all.insert(name, ready.status == "True");
            }
            Ok(all.values().all(|ready| *ready).then_some(all))
        })
        .await
    })?;
    ensure!(ready.len() == 8, "{ready:?}");
    ensure!(!story.said().contains("not understood"), "something is not understood");

    let pools = story.plane.kubectl(&["get", "nodepools"])?;
    ensure!(head(&pools) == ["NAME", "NODECLASS", "NODES", "READY", "AGE"], "{pools}");
    ensure!(has_row(&pools, &["arm", "al2023", "1", "True"]), "{pools}");
    let wide = story.plane.kubectl(&["get", "nodepools", "-o", "wide"])?;
    let expected = ["NAME", "NODECLASS", "NODES", "READY", "AGE", "WEIGHT", "CPU", "MEMORY"];
    ensure!(head(&wide) == expected, "{wide}");
    let claims = story.plane.kubectl(&["get", "nodeclaims", "-o", "wide"])?;
    let expected = [
        "NAME",
        "TYPE",
        "CAPACITY",
        "ZONE",
        "NODE",
        "READY",
        "AGE",
        "IMAGEID",
        "ID",
        "NODEPOOL",
        "NODECLASS",
        "DRIFTED",
    ];
    ensure!(head(&claims) == expected, "{claims}");
    ensure!(has_row(&claims, &["on-demand", "True", "arm", "al2023"]), "{claims}");
    ensure!(has_row(&claims, &["spot", "True", "general-purpose", "al2023"]), "{claims}");
    let classes = story.plane.kubectl(&["get", "ec2nodeclasses"])?;
    ensure!(head(&classes) == ["NAME", "READY", "AGE"], "{classes}");
    ensure!(has_row(&classes, &["bottlerocket", "True"]), "{classes}");
    Ok(())
}
