//! How instances are launched, and what becomes of it when EC2 has none, answers late, in part or not at all.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube_client::Client;
use kube_client::api::{Api, ListParams};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use whittle_api::node_claim::NodeClaim;

use crate::controller::{running, wait_for_pods};
use crate::emulator::Machine;
use crate::shared::{until, until_after};
use crate::world::{CLUSTER, REGION, World, apart, example, node_pool, story};

/// Spot prices of the emulator go up in this order.
const TYPES: [&str; 3] = ["c5.large", "m5.large", "r5.large"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("ticket_cluster_runs_on_the_instances_that_its_node_pools_promise", ticket_cluster),
        story("what_has_no_capacity_is_passed_over_by_type_by_zone_and_by_capacity_type", passes_over),
        story("what_had_no_capacity_is_taken_again_later", comes_back),
        story("a_call_that_is_throttled_is_made_again", throttled),
        story("a_fleet_that_is_half_there_is_completed_and_nothing_is_launched_twice", half),
        story("an_answer_that_is_lost_launches_nothing_twice", lost),
        story(
            "a_controller_killed_between_create_fleet_and_status_leaks_nothing_and_doubles_nothing",
            killed,
        ),
        story("what_is_reserved_is_used_up_before_anything_is_bought", reserved),
        story("a_launch_template_that_was_deleted_by_somebody_else_is_made_anew", template_is_deleted),
    ]
}

fn ticket_cluster(world: &World) -> Result<()> {
    for file in ["cluster.yaml", "nodeclass.yaml", "nodepools.yaml", "system.yaml", "workloads.yaml"] {
        world.story.plane.apply(&example(file))?;
    }
    let _controller = world.controller()?;
    world.ask(async |client| {
        // web, api, waiting-room, payment, queue-worker.
        wait_for_pods(&client, "ticketing", 6 + 8 + 3 + 4 + 5).await?;
        world.wait_until_all_agree(&client).await?;
        is_as_promised(&client, "ticketing", |app| match app {
            "payment" => ("on-demand-critical", "on-demand"),
            _ => ("mixed-workload", "spot"),
        })
        .await
    })?;
    world.story.plane.apply(&example("later/loadtest.yaml"))?;
    world.ask(async |client| {
        // kwok completes pods of a Job at once: their nodes are what is left to see.
        let machines = world.wait_for_machines("there are nodes for the load test", |living| {
            living
                .iter()
                .any(|one| one.tags.get("karpenter.sh/nodepool").is_some_and(|pool| pool == "loadtest"))
        });
        for machine in machines.await? {
            is_made_as_its_class_says(world, &machine)?;
        }
        are_tainted(&client).await
    })?;
    for template in world.aws.templates()? {
        is_owned(&template["tags"])?;
        let options = &template["data"]["MetadataOptions"];
        ensure!(options["HttpTokens"] == "required" && options["HttpPutResponseHopLimit"] == 1, "{options}");
    }
    Ok(())
}

/// That each pod is on a node of the NodePool, and bought in the way, that its app is promised.
async fn is_as_promised(
    client: &Client,
    namespace: &str,
    promised: impl Fn(&str) -> (&'static str, &'static str),
) -> Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    for pod in running(client, namespace).await? {
        let app = pod.metadata.labels.iter().flatten().find(|(key, _)| *key == "app");
        let app = app.map(|(_, app)| app.clone()).unwrap_or_default();
        let node = nodes.get(&pod.spec.and_then(|spec| spec.node_name).unwrap_or_default()).await?;
        let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
        let found = (label("karpenter.sh/nodepool"), label("karpenter.sh/capacity-type"));
        let (pool, bought) = promised(&app);
        ensure!(found == (Some(pool.into()), Some(bought.into())), "{app} is on {found:?}");
    }
    Ok(())
}

fn is_made_as_its_class_says(world: &World, machine: &Machine) -> Result<()> {
    let tag = |key: &str| machine.tags.get(key).map(String::as_str);
    let expected = [
        ("kubernetes.io/cluster/ticket-cluster", "owned"),
        ("eks:eks-cluster-name", CLUSTER),
        ("karpenter.k8s.aws/ec2nodeclass", CLUSTER),
        ("cluster", CLUSTER),
        ("team", "platform"),
    ];
    for (key, value) in expected {
        ensure!(tag(key) == Some(value), "{key} is {:?} on {machine:?}", tag(key));
    }
    let made = &world.aws.made;
    ensure!(machine.groups == made.groups && made.subnets.contains(&machine.subnet), "{machine:?}");
    ensure!(made.images.get("al2023-x86_64-standard") == Some(&machine.image), "{machine:?}");
    ensure!((machine.tokens.as_str(), machine.hops) == ("required", 1), "{machine:?}");
    ensure!(machine.profile.is_some(), "{machine:?}");
    let template = machine.template.as_deref().unwrap_or_default();
    ensure!(template.starts_with("karpenter.k8s.aws/"), "{machine:?}");
    Ok(())
}

/// That what is called the cluster's own by tags can be deleted by the shipped policies.
fn is_owned(tags: &Value) -> Result<()> {
    let own =
        tags["kubernetes.io/cluster/ticket-cluster"] == "owned" && tags["karpenter.sh/nodepool"].is_string();
    ensure!(own, "a launch template has the tags {tags}");
    Ok(())
}

async fn are_tainted(client: &Client) -> Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    let of_loadtest = ListParams::default().labels("karpenter.sh/nodepool=loadtest");
    let listed = until("a node of the load test has joined", async || {
        let listed = nodes.list(&of_loadtest).await?.items;
        Ok((!listed.is_empty()).then_some(listed))
    });
    for node in listed.await? {
        let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        ensure!(taints.any(|taint| taint.key == "ticket.example/loadtest"), "{node:?}");
    }
    Ok(())
}

/// What was launched: type, zone and how it was bought.
fn types(machines: &[Machine]) -> BTreeSet<(&str, &str, &str)> {
    machines
        .iter()
        .map(|one| (one.instance_type.as_str(), one.zone.as_str(), one.capacity.as_str()))
        .collect()
}

fn passes_over(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot", "on-demand"], &TYPES);
    world.apply(&[class, pool, apart("first", 1)])?;
    world.aws.fail(&json!({ "kind": "capacity", "type": "c5.*", "capacity": "spot" }))?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        let found = types(&machines);
        ensure!(found == BTreeSet::from([("m5.large", "ap-northeast-2a", "spot")]), "{found:?}");
        world.aws.fail(&json!({ "kind": "capacity", "zone": "ap-northeast-2a", "capacity": "spot" }))?;
        world.apply(&[apart("second", 1)])?;
        wait_for_pods(&client, "default", 2).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        ensure!(
            types(&machines).contains(&("m5.large", "ap-northeast-2b", "spot")),
            "{:?}",
            types(&machines)
        );
        world.aws.fail(&json!({ "kind": "capacity", "capacity": "spot" }))?;
        world.apply(&[apart("third", 1)])?;
        wait_for_pods(&client, "default", 3).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        let bought = machines.iter().filter(|one| one.capacity == "on-demand").count();
        ensure!((machines.len(), bought) == (3, 1), "{machines:?}");
        Ok(())
    })
}

fn comes_back(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &["c5.large"]);
    world.apply(&[class, pool, apart("web", 1)])?;
    world.aws.fail(&json!({ "kind": "capacity", "capacity": "spot" }))?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        until("EC2 was asked, and has nothing", async || Ok((!world.aws.fleets()?.is_empty()).then_some(())))
            .await?;
        ensure!(world.aws.machines()?.is_empty(), "something was launched");
        world.aws.heal()?;
        // What was refused is tried again after three minutes, as Karpenter does: longer than anything else takes here.
        let living = async || Ok((!world.aws.living()?.is_empty()).then_some(()));
        until_after(Duration::from_secs(240), "it is launched after all", living).await?;
        wait_for_pods(&client, "default", 1).await?;
        world.wait_until_all_agree(&client).await.map(drop)
    })
}

fn throttled(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 3)])?;
    for action in
        ["ec2:CreateLaunchTemplate", "ec2:CreateFleet", "ec2:DescribeInstances", "ec2:DescribeSubnets"]
    {
        let fault = json!({ "kind": "error", "action": action, "code": "RequestLimitExceeded", "times": 5 });
        world.aws.fail(&fault)?;
    }
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 3).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        ensure!(machines.len() == 3, "{machines:?}");
        ensure!(
            world.aws.calls()?.contains_key(&("ec2:CreateFleet".to_owned(), 503)),
            "nothing was throttled"
        );
        Ok(())
    })
}

fn half(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 8)])?;
    world.aws.fail(&json!({ "kind": "half", "instances": 3, "times": 1 }))?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 8).await?;
        world.wait_until_all_agree(&client).await?;
        let all = world.aws.machines()?;
        ensure!(all.len() == 8, "8 pods apart have {} instances, living and dead", all.len());
        Ok(())
    })
}

fn lost(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 3)])?;
    // More often than the SDK tries by itself.
    world.aws.fail(&json!({ "kind": "lost", "action": "ec2:CreateFleet", "times": 6 }))?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 3).await?;
        world.wait_until_all_agree(&client).await?;
        let all = world.aws.machines()?;
        ensure!(all.len() == 3, "3 pods apart have {} instances, living and dead", all.len());
        Ok(())
    })
}

fn killed(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool])?;
    for (round, replicas) in [2, 4, 6].into_iter().enumerate() {
        world
            .aws
            .fail(&json!({ "kind": "stall", "action": "ec2:CreateFleet", "seconds": 600, "after": true }))?;
        world.apply(&[apart("web", replicas)])?;
        let controller = world.controller()?;
        world.ask(async |client| {
            let before = 2 * round;
            world
                .wait_for_machines("EC2 has launched and not answered", |living| living.len() > before)
                .await?;
            drop(client);
            Ok(())
        })?;
        drop(controller);
        world.aws.heal()?;
        let _controller = world.controller()?;
        world.ask(async |client| {
            wait_for_pods(&client, "default", usize::try_from(replicas)?).await?;
            world.wait_until_all_agree(&client).await.map(drop)
        })?;
    }
    let all = world.aws.machines()?;
    ensure!(all.len() == 6, "6 pods apart have {} instances, living and dead", all.len());
    Ok(())
}

fn template_is_deleted(world: &World) -> Result<()> {
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 1)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        let gone = world.aws.forget_templates()?;
        ensure!(!gone.is_empty(), "there was no launch template");
        world.apply(&[apart("web", 2)])?;
        wait_for_pods(&client, "default", 2).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        ensure!(machines.len() == 2, "{machines:?}");
        let templates = world.aws.templates()?;
        templates.first().context("there is a launch template again").map(drop)
    })
}

/// One of the reservations that the class names has been given up: EC2 does not know it any more.
fn reserved(world: &World) -> Result<()> {
    let zone = format!("{REGION}b");
    world.aws.reserve("cr-0000000000000001", &zone, 2)?;
    let [mut class, pool] = node_pool(&["reserved", "on-demand"], &TYPES);
    class["spec"]["capacityReservationSelectorTerms"] =
        json!([{ "id": "cr-0000000000000001" }, { "id": "cr-0000000000000002" }]);
    world.apply(&[class, pool, apart("web", 3)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 3).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        let in_reservation = |machines: &[Machine]| {
            machines.iter().filter(|one| one.reservation.as_deref() == Some("cr-0000000000000001")).count()
        };
        ensure!(machines.len() == 3 && in_reservation(&machines) == 2, "{machines:?}");
        for machine in machines.iter().filter(|one| one.reservation.is_some()) {
            ensure!(machine.zone == zone && machine.instance_type == "c5.large", "{machine:?}");
        }
        let nodes = Api::<Node>::all(client.clone());
        let labelled = ListParams::default().labels("karpenter.sh/capacity-type=reserved");
        let are_labelled = async |count: usize| {
            until("Nodes are labelled as reserved", async || {
                Ok((nodes.list(&labelled).await?.items.len() == count).then_some(()))
            })
            .await
        };
        are_labelled(2).await?;
        // What asks for it alone waits until it has grown and somebody has looked again.
        let mut shop = apart("shop", 1);
        shop["spec"]["template"]["spec"]["nodeSelector"] =
            json!({ "karpenter.sh/capacity-type": "reserved" });
        world.apply(&[shop])?;
        world.aws.reserve("cr-0000000000000001", &zone, 3)?;
        until_after(Duration::from_secs(180), "a third instance is in the reservation", async || {
            let living = world.aws.living()?;
            ensure!(living.len() <= 4, "{living:?}");
            Ok((in_reservation(&living) == 3).then_some(()))
        })
        .await?;
        wait_for_pods(&client, "default", 4).await?;
        world.wait_until_all_agree(&client).await?;
        are_labelled(3).await?;
        let before = world.aws.living()?;
        world.aws.end_reservation("cr-0000000000000001")?;
        let claims = Api::<NodeClaim>::all(client.clone());
        until_after(Duration::from_secs(180), "nothing is labelled as reserved", async || {
            let of_nodes = nodes.list(&labelled).await?.items.len();
            Ok((of_nodes == 0 && claims.list(&labelled).await?.items.is_empty()).then_some(()))
        })
        .await?;
        let ids = |living: &[Machine]| living.iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>();
        ensure!(ids(&world.aws.living()?) == ids(&before), "they run on");
        let of_reservation = ListParams::default().labels("karpenter.k8s.aws/capacity-reservation-id");
        let left =
            claims.list(&of_reservation).await?.items.len() + nodes.list(&of_reservation).await?.items.len();
        ensure!(left == 0, "{left} objects still name a reservation");
        Ok(())
    })
}
