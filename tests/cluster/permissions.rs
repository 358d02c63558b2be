//! `whittle run` with the rights of `host/kube/rbac.yaml` and no others, and what it says when one is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube_client::api::{Api, PostParams};
use libtest_mimic::Trial;
use serde_json::json;

use crate::controller::{Story, deployment, node_pool, standing, story, wait_for_pods, wait_until_all_agree};
use crate::shared::{block_on, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("the_rights_that_are_written_down_are_enough", are_enough),
        story("a_right_that_is_missing_is_named_with_verb_and_resource", is_named),
    ]
}

/// The kubeconfig of somebody who may do what is written down.
fn account(story: &Story) -> Result<PathBuf> {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "whittle", "namespace": "kube-system" },
    });
    story.apply(&[account])?;
    story.plane.apply(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/kube/rbac.yaml"))?;
    story.plane.kubeconfig_of_service_account("kube-system", "whittle")
}

fn are_enough(story: &Story) -> Result<()> {
    let kubeconfig = account(story)?;
    let [class, pool] = node_pool("1s");
    story.apply(&[class, pool, deployment("web", 6), deployment("shop", 3)])?;
    let _controller = story.candidate(&kubeconfig, &["--metrics-port", "0"])?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 9).await?;
        wait_until_all_agree(&client).await.map(drop)
    })?;
    // Room for one node to be emptied, by evictions.
    story.apply(&[deployment("web", 1)])?;
    story.ask(async |client| {
        until("one node is left", async || Ok((standing(&client).await?.0.len() == 1).then_some(()))).await?;
        wait_for_pods(&client, "default", 4).await
    })?;
    ensure!(!story.said().contains("not allowed"), "something is not allowed");
    ensure!(!story.said().contains("forbidden"), "something is forbidden");
    Ok(())
}

fn is_named(story: &Story) -> Result<()> {
    let kubeconfig = account(story)?;
    story.ask(async |client| {
        let roles = Api::<ClusterRole>::all(client);
        let mut role = roles.get("whittle").await?;
        let rules = role.rules.as_mut().context("a role has rules")?;
        let count = rules.len();
        let creates = |verbs: &[String]| verbs.iter().any(|verb| verb == "create");
        rules.retain(|rule| {
            let resources = rule.resources.as_deref().unwrap_or_default();
            let of_claims = resources == ["nodeclaims"] && creates(&rule.verbs);
            !of_claims
        });
        ensure!(rules.len() + 1 == count, "there is one such rule");
        roles.replace("whittle", &PostParams::default(), &role).await?;
        Ok(())
    })?;
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 1)])?;
    let _controller = story.candidate(&kubeconfig, &["--metrics-port", "0"])?;
    let named = r#"cannot create resource "nodeclaims" in API group "karpenter.sh""#;
    block_on(until("it says which right is missing", async || Ok(story.said().contains(named).then_some(()))))
}
