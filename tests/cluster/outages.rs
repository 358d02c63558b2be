//! What fails beside or below `whittle run`: the leader is killed, the API server is away, a watch comes too late.

use std::cell::RefCell;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Api, ListParams, VersionMatch};
use kube_client::{Client, Error};
use libtest_mimic::Trial;
use whittle_control_plane::component::Component;

use crate::controller::{
    Controller, Story, deployment, node_pool, standing, wait_for_pods, wait_until_all_agree,
};
use crate::shared::{block_on, failed, until};

pub(crate) fn trials() -> Vec<Trial> {
    let story =
        |name: &str, flags: &'static [(Component, &'static str)], tell: fn(&mut Story) -> Result<()>| {
            Trial::test(name, move || {
                let told = Story::begin_with(flags).and_then(|mut story| {
                    let told = tell(&mut story);
                    told.with_context(|| format!("the controllers say:\n{}", story.said()))
                });
                told.map_err(failed)
            })
        };
    // As often as etcd can be asked, so that nobody has to wait until a watch is too old.
    let forgets = &[(Component::ApiServer, "--etcd-compaction-interval=1s")];
    vec![
        story("when_the_leader_is_killed_the_other_one_goes_on", &[], leader_is_killed),
        story("a_leader_that_was_stopped_for_long_does_nothing_when_it_goes_on", &[], leader_is_stopped),
        story("a_leader_without_an_api_server_ends_and_its_successor_goes_on", &[], leader_is_cut_off),
        story("a_controller_that_leads_alone_outlives_an_api_server_that_is_away", &[], server_is_away),
        story("a_watch_that_is_too_old_is_started_anew_and_loses_nothing", forgets, watch_is_too_old),
    ]
}

const QUIET: [&str; 2] = ["--metrics-port", "0"];

/// Waits until somebody holds the lease who is not `other`, and tells who.
async fn wait_for_leader(client: &Client, other: &str) -> Result<String> {
    let leases = Api::<Lease>::namespaced(client.clone(), "kube-system");
    until("somebody else leads", async || {
        let lease = leases.get_opt("karpenter-leader-election").await?;
        let holder = lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity);
        Ok(holder.filter(|holder| !holder.is_empty() && holder != other))
    })
    .await
}

/// Waits until a leader has ended because it lost the lease.
fn wait_until_deposed(story: &Story, leader: Controller) -> Result<()> {
    let leader = RefCell::new(leader);
    let ended = block_on(until("the leader has ended", async || leader.borrow_mut().ended()))?;
    ensure!(!ended.success(), "{ended}");
    ensure!(story.said().contains("the lease was lost"), "it does not say why");
    Ok(())
}

/// Two controllers for six pods that run: the one that leads, its identity, and the other one.
fn leader_and_other(story: &Story) -> Result<(Controller, String, Controller)> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 6)])?;
    let kubeconfig = story.plane.kubeconfig();
    let (one, other) = (story.candidate(&kubeconfig, &QUIET)?, story.candidate(&kubeconfig, &QUIET)?);
    let identity = story.ask(async |client| {
        wait_for_pods(&client, "default", 6).await?;
        wait_for_leader(&client, "").await
    })?;
    // An identity is `<name>-<process>-<a number>`.
    let leads = |one: &Controller| identity.contains(&format!("-{}-", one.id()));
    ensure!(leads(&one) != leads(&other), "one of both leads: {identity}");
    let (leader, other) = if leads(&one) { (one, other) } else { (other, one) };
    Ok((leader, identity, other))
}

/// Six more pods are what it would decide about, had it not lost the lease meanwhile.
fn leader_is_stopped(story: &mut Story) -> Result<()> {
    let (leader, identity, _other) = leader_and_other(story)?;
    signal(&leader, "STOP")?;
    story.apply(&[deployment("web", 12)])?;
    let nodes = story.ask(async |client| {
        wait_for_leader(&client, &identity).await?;
        wait_for_pods(&client, "default", 12).await?;
        wait_until_all_agree(&client).await?;
        Ok(standing(&client).await?.0)
    })?;
    signal(&leader, "CONT")?;
    wait_until_deposed(story, leader)?;
    let left = story.ask(async |client| standing(&client).await)?;
    ensure!(left == (nodes.clone(), nodes.clone(), nodes.len()), "{nodes:?} were there, and now {left:?}");
    Ok(())
}

fn leader_is_killed(story: &mut Story) -> Result<()> {
    let (first, leader, _other) = leader_and_other(story)?;
    drop(first);
    story.apply(&[deployment("web", 12)])?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 12).await?;
        wait_until_all_agree(&client).await?;
        wait_for_leader(&client, &leader).await.map(drop)
    })
}

fn leader_is_cut_off(story: &mut Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 6)])?;
    let kubeconfig = story.plane.kubeconfig();
    let leader = story.candidate(&kubeconfig, &QUIET)?;
    story.ask(async |client| wait_for_pods(&client, "default", 6).await)?;
    story.plane.stop(Component::ApiServer)?;
    wait_until_deposed(story, leader)?;
    story.plane.start_again(Component::ApiServer)?;
    story.apply(&[deployment("web", 12)])?;
    // As Kubernetes would start it anew.
    let _successor = story.candidate(&kubeconfig, &QUIET)?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 12).await?;
        wait_until_all_agree(&client).await.map(drop)
    })
}

fn server_is_away(story: &mut Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 6)])?;
    let mut controller = story.controller()?;
    story.ask(async |client| wait_for_pods(&client, "default", 6).await)?;
    story.plane.stop(Component::ApiServer)?;
    let notices = async || Ok(story.said().contains("Pod: ").then_some(()));
    block_on(until("it notices that nobody answers", notices))?;
    story.plane.start_again(Component::ApiServer)?;
    story.apply(&[deployment("web", 12)])?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 12).await?;
        wait_until_all_agree(&client).await
    })?;
    ensure!(controller.ended()?.is_none(), "it has ended");
    Ok(())
}

/// Stops a process for a while, or has it go on.
fn signal(controller: &Controller, what: &str) -> Result<()> {
    let kill = format!("kill -{what} {}", controller.id());
    ensure!(Command::new("sh").args(["-c", &kill]).status()?.success(), "{kill}");
    Ok(())
}

/// Waits until a watch from this version on would come too late.
async fn wait_until_too_old(client: &Client, version: &str) -> Result<()> {
    until("what was is forgotten", async || {
        let then = ListParams::default().limit(1).matching(VersionMatch::Exact).at(version);
        let answer = Api::<Pod>::all(client.clone()).list(&then).await;
        match answer {
            Ok(_) => Ok(None),
            Err(Error::Api(status)) if status.code == 410 => Ok(Some(())),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

fn watch_is_too_old(story: &mut Story) -> Result<()> {
    let [class, pool] = node_pool("1s");
    story.apply(&[class, pool, deployment("web", 6), deployment("gone", 6)])?;
    let controller = story.controller()?;
    let version = story.ask(async |client| {
        wait_for_pods(&client, "default", 12).await?;
        let pods = Api::<Pod>::all(client.clone()).list(&ListParams::default()).await?;
        pods.metadata.resource_version.context("a list has a version")
    })?;
    signal(&controller, "STOP")?;
    story.apply(&[deployment("web", 20), deployment("gone", 0)])?;
    // The connections of its watches are gone with it, and what it has not read of them.
    story.plane.stop(Component::ApiServer)?;
    story.plane.start_again(Component::ApiServer)?;
    story.ask(async |client| wait_until_too_old(&client, &version).await)?;
    signal(&controller, "CONT")?;
    story.ask(async |client| {
        wait_for_pods(&client, "default", 20).await?;
        wait_until_all_agree(&client).await.map(drop)
    })?;
    ensure!(story.said().contains("Expired") || story.said().contains("too old"), "no watch came too late");
    Ok(())
}
