//! The life of EC2NodeClasses on a real control plane: what is said of them, and what holds up their end.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Event;
use kube_client::Client;
use kube_client::api::{Api, DeleteParams, ListParams};
use libtest_mimic::Trial;
use serde_json::json;
use whittle_api::conditions::find;
use whittle_api::node_claim::NodeClaim;
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_class::resolved::Topic;
use whittle_api::node_pool::NodePool;

use crate::controller::{Story, deployment, node_pool, story, wait_for_pods};
use crate::shared::until;

/// The finalizer of classes, which is Karpenter's.
const FINALIZER: &str = "karpenter.k8s.aws/termination";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("a_class_says_of_which_generation_it_is_ready", says),
        story("a_class_is_held_while_nodes_use_it_and_let_go_when_they_are_gone", is_held),
    ]
}

fn classes(client: &Client) -> Api<Ec2NodeClass> {
    Api::all(client.clone())
}

/// Waits until a class says of all its conditions that they are true, of the class as it is.
async fn wait_until_ready(client: &Client, generation: i64) -> Result<Ec2NodeClass> {
    until(&format!("the class is ready in generation {generation}"), async || {
        let class = classes(client).get("default").await?;
        let conditions = class.status.clone().unwrap_or_default().conditions;
        let is_so = |type_: &str| {
            find(&conditions, type_)
                .is_some_and(|one| one.status == "True" && one.observed_generation == Some(generation))
        };
        let all = Topic::NEEDED.map(Topic::condition).into_iter().chain(["Ready"]).all(is_so);
        Ok(all.then_some(class))
    })
    .await
}

fn says(story: &Story) -> Result<()> {
    let [mut class, pool] = node_pool("Never");
    story.apply(&[class.clone(), pool])?;
    let _controller = story.controller()?;
    let first = story.ask(async |client| wait_until_ready(&client, 1).await)?;
    ensure!(first.metadata.finalizers.as_deref() == Some(&[FINALIZER.to_owned()][..]), "the class is held");
    class["spec"]["tags"] = json!({ "team": "shop" });
    story.apply(&[class])?;
    let second = story.ask(async |client| wait_until_ready(&client, 2).await)?;
    let since = |class: &Ec2NodeClass| {
        let conditions = class.status.clone().unwrap_or_default().conditions;
        find(&conditions, "Ready").map(|ready| ready.last_transition_time.clone())
    };
    ensure!(since(&first) == since(&second), "what was true stays true since then");
    Ok(())
}

fn is_held(story: &Story) -> Result<()> {
    story.apply(&node_pool("Never"))?;
    story.apply(&[deployment("web", 1)])?;
    let _controller = story.controller()?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        classes(&client).delete("default", &DeleteParams::default()).await?;
        let events = Api::<Event>::all(client.clone());
        let waits = ListParams::default().fields("reason=WaitingOnNodeClaimTermination");
        let note = until("it says what the class waits for", async || {
            let found = events.list(&waits).await?;
            Ok(found.items.into_iter().find_map(|event| event.message))
        })
        .await?;
        let claims = Api::<NodeClaim>::all(client.clone());
        let all = claims.list(&ListParams::default()).await?;
        let claim = all.items.first().and_then(|claim| claim.metadata.name.clone());
        let claim = claim.context("a NodeClaim")?;
        ensure!(note == format!("Waiting on NodeClaim termination for {claim}"), "found {note}");
        let held = classes(&client).get("default").await?;
        ensure!(held.metadata.deletion_timestamp.is_some(), "the class ends");
        until("the NodePool launches nothing more", async || {
            let pool = Api::<NodePool>::all(client.clone()).get("general").await?;
            let conditions = pool.status.unwrap_or_default().conditions;
            Ok(find(&conditions, "Ready").filter(|ready| ready.status == "False").map(drop))
        })
        .await?;
        claims.delete(&claim, &DeleteParams::default()).await?;
        until("the class is gone", async || {
            Ok(classes(&client).get_opt("default").await?.is_none().then_some(()))
        })
        .await?;
        let left = claims.list(&ListParams::default()).await?.items.len();
        ensure!(left == 0, "no NodeClaim is left, found {left}");
        Ok(())
    })
}
