//! Who runs the cluster, and with which rights: two controllers of which one leads, an API server that goes away, and a
//! service account that has what `host/kube/rbac.yaml` gives it and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube_client::Client;
use kube_client::api::Api;
use libtest_mimic::Trial;
use serde_json::json;
use whittle_control_plane::component::Component;

use crate::controller::{Story, deployment, node_pool, standing, story, wait_for_pods, wait_until_all_agree};
use crate::shared::{Shared, block_on, failed, until};

pub(crate) fn trials(_: &Arc<Shared>) -> Vec<Trial> {
    vec![
        story("when_the_leader_is_killed_the_other_one_goes_on", leader_is_killed),
        story("the_rights_that_are_shipped_are_enough_and_one_that_is_missing_is_named", rights),
        Trial::test("a_controller_goes_on_when_its_api_server_comes_back", || {
            let outcome = Story::begin().and_then(|mut story| {
                let outcome = api_server_comes_back(&mut story);
                let log = fs::read_to_string(story.log()).unwrap_or_default();
                outcome.map_err(|error| error.context(format!("the controller says:\n{log}")))
            });
            outcome.map_err(failed)
        }),
    ]
}

/// Who holds the lease.
async fn leader(client: &Client, other_than: Option<&str>) -> Result<String> {
    let leases = Api::<Lease>::namespaced(client.clone(), "kube-system");
    until("somebody leads", async || {
        let lease = leases.get_opt("karpenter-leader-election").await?;
        let holder = lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity);
        Ok(holder.filter(|holder| !holder.is_empty() && Some(holder.as_str()) != other_than))
    })
    .await
}

fn leader_is_killed(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 4)])?;
    let admin = story.plane.kubeconfig();
    let first = story.controller_as(&admin, &["--identity", "first"])?;
    let holder = story.ask(async |client| {
        let holder = leader(&client, None).await?;
        wait_for_pods(&client, "default", 4).await?;
        Ok(holder)
    })?;
    ensure!(holder.starts_with("first-"), "{holder}");
    let _second = story.controller_as(&admin, &["--identity", "second"])?;
    drop(first);
    story.apply(&[deployment("web", 12)])?;
    story.ask(async |client| {
        let holder = leader(&client, Some(&holder)).await?;
        ensure!(holder.starts_with("second-"), "{holder}");
        wait_for_pods(&client, "default", 12).await?;
        wait_until_all_agree(&client).await.map(drop)
    })
}

fn api_server_comes_back(story: &mut Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 4)])?;
    let _controller = story.controller()?;
    story.ask(async |client| wait_for_pods(&client, "default", 4).await)?;
    story.plane.stop(Component::ApiServer)?;
    let log = story.log();
    block_on(until("the controller says that its API server is away", async || {
        Ok(fs::read_to_string(&log)?.contains("WARN").then_some(()))
    }))?;
    story.plane.start_again(Component::ApiServer)?;
    story.apply(&[deployment("web", 12)])?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 12).await?;
        wait_until_all_agree(&client).await.map(drop)
    })
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/kube/rbac.yaml")
}

fn rights(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("1s");
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "whittle", "namespace": "kube-system" },
    });
    story.apply(&[class, pool, account, deployment("web", 6)])?;
    // All but one: NodeClaims may not be made.
    let cut = fs::read_to_string(shipped())?.replace("[create, delete, patch]", "[delete, patch]");
    let file = story.folder.path().join("rbac.yaml");
    fs::write(&file, &cut)?;
    ensure!(cut != fs::read_to_string(shipped())?, "the rule that is cut is there");
    story.plane.apply(&file)?;
    let kubeconfig = story.plane.kubeconfig_of_service_account("kube-system", "whittle")?;
    let _controller = story.controller_as(&kubeconfig, &[])?;
    let log = story.log();
    block_on(until("the missing right is named", async || {
        let said = fs::read_to_string(&log)?;
        Ok(said.contains("cannot create resource \"nodeclaims\"").then_some(()))
    }))?;
    story.plane.apply(&shipped())?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 6).await?;
        wait_until_all_agree(&client).await.map(drop)
    })?;
    let before = fs::read_to_string(&log)?.len();
    story.apply(&[deployment("web", 0)])?;
    story.ask(async |client| {
        until("no node is left", async || {
            Ok((standing(&client).await? == (Default::default(), Default::default(), 0)).then_some(()))
        })
        .await
    })?;
    let since = fs::read_to_string(&log)?.split_off(before);
    ensure!(!since.contains("forbidden"), "a right is missing: {since}");
    Ok(())
}
