//! What `whittle run --cloud aws` asks of AWS, and how fast it hears: `cargo bench -p whittle-tests --bench aws`.
//!
//! On a real control plane and the emulator of `tests/aws`, which is slower than AWS and on the same two cores: how many
//! requests there are does not depend on it, how long things take does. Behind `--` stand words, and a case is run when
//! its name contains one of them; `nodes=20`, `messages=500` and `idle=10` make it smaller than it is meant to be.

#[expect(dead_code, reason = "what only stories need is here as well")]
#[path = "../../cluster/controller.rs"]
mod controller;
#[expect(dead_code, reason = "what only stories need is here as well")]
#[path = "../../aws/emulator.rs"]
mod emulator;
#[expect(dead_code, reason = "what only stories need is here as well")]
#[path = "../../aws/joiner.rs"]
mod joiner;
#[path = "../../aws/python.rs"]
mod python;
#[expect(dead_code, reason = "what only stories need is here as well")]
#[path = "../../cluster/shared.rs"]
mod shared;
#[path = "../usage.rs"]
mod usage;
#[expect(dead_code, reason = "what only stories need is here as well")]
#[path = "../../aws/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube_client::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::controller::{deployment, running, wait_for_pods};
use crate::emulator::Machine;
use crate::shared::{until, until_after};
use crate::usage::cpu;
use crate::world::{REGION, World, apart, node_pool};

/// A full queue is given so long, and the names of a thousand instances.
const LONG: Duration = Duration::from_secs(1_800);

const TYPES: [&str; 3] = ["c5.large", "m5.large", "r5.large"];

/// What is asked for on the command line: words, and numbers by name.
fn asked() -> Result<(Vec<String>, BTreeMap<String, usize>)> {
    let (mut words, mut numbers) = (Vec::new(), BTreeMap::new());
    // Cargo adds a word of its own.
    for argument in env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.split_once('=') {
            Some((name, number)) => {
                let known = ["nodes", "messages", "idle"];
                ensure!(known.contains(&name), "{name}: expected nodes, messages or idle");
                let number = number.parse().with_context(|| format!("{argument}: expected a number"))?;
                numbers.insert(name.to_owned(), number);
            }
            None => words.push(argument),
        }
    }
    Ok((words, numbers))
}

fn main() -> Result<()> {
    let (words, numbers) = asked()?;
    let wants = |case: &str| words.is_empty() || words.iter().any(|word| case.contains(word.as_str()));
    let number = |name: &str, otherwise| numbers.get(name).copied().unwrap_or(otherwise);
    if wants("launch") {
        launch(number("nodes", 1_000), number("idle", 240))?;
    }
    if wants("one-warning") {
        warning()?;
    }
    if wants("many-warnings") {
        many_warnings(number("nodes", 200))?;
    }
    if wants("messages") {
        messages(number("messages", 15_000))?;
    }
    Ok(())
}

fn row(what: &str, value: &str) {
    println!("| {what} | {value} |");
}

fn head(title: &str) {
    println!("\n| {title} | |\n|---|---|");
}

fn seconds(span: Duration) -> String {
    format!("{:.2} s", span.as_secs_f64())
}

/// How often each action was called since.
fn since(
    before: &BTreeMap<(String, u16), u64>,
    after: &BTreeMap<(String, u16), u64>,
) -> BTreeMap<String, u64> {
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    for (call, count) in after {
        *calls.entry(call.0.clone()).or_default() += count - before.get(call).copied().unwrap_or(0);
    }
    calls.retain(|_, count| *count > 0);
    calls
}

/// Pods of which a node of these types holds one.
fn alone(name: &str, replicas: u32) -> Value {
    let mut deployment = deployment(name, replicas);
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("1500m");
    deployment
}

/// Waits until this holds of the instances that live. Not asked all the time: the emulator says all about each of them.
async fn wait_for_machines(world: &World, what: &str, holds: impl Fn(&[Machine]) -> bool) -> Result<()> {
    until_after(LONG, what, async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(holds(&world.aws.living()?).then_some(()))
    })
    .await
}

/// What is asked of AWS for so many nodes, each for a pod of its own, and then while nothing happens.
fn launch(nodes: usize, idle: usize) -> Result<()> {
    let world = World::begin()?;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, alone("web", 1)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 1).await?;
        let before = world.aws.calls()?;
        let begin = Instant::now();
        world.apply(&[alone("web", u32::try_from(nodes + 1)?)])?;
        wait_for_machines(&world, "all instances are launched", |living| living.len() > nodes).await?;
        head(&format!("{nodes} nodes are launched"));
        row("all instances are launched, after the scale-up", &seconds(begin.elapsed()));
        for (action, count) in since(&before, &world.aws.calls()?) {
            row(&format!("`{action}`"), &count.to_string());
        }
        until_after(LONG, "all pods run", async || {
            Ok((running(&client, "default").await?.len() > nodes).then_some(()))
        })
        .await?;
        row("all pods run, after the scale-up", &seconds(begin.elapsed()));
        // Names are written one a second, and lists come often for a while after the start.
        wait_for_machines(&world, "all instances have their names", |living| {
            living.iter().all(|machine| machine.tags.contains_key("Name"))
        })
        .await?;
        world.wait_until_all_agree(&client).await?;
        tokio::time::sleep(Duration::from_secs(200)).await;
        let before = world.aws.calls()?;
        // Time is what is measured here: what is asked while nothing happens.
        tokio::time::sleep(Duration::from_secs(u64::try_from(idle)?)).await;
        head(&format!("{} nodes, and nothing happens for {idle} s", nodes + 1));
        for (action, count) in since(&before, &world.aws.calls()?) {
            row(
                &format!("`{action}`"),
                &format!("{count}, {} an hour", count * 3_600 / u64::try_from(idle)?),
            );
        }
        Ok(())
    })
}

/// A message of EventBridge, of just now.
fn spot_warning(instance: &str) -> String {
    json!({
        "version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602", "source": "aws.ec2",
        "detail-type": "EC2 Spot Instance Interruption Warning", "account": "123456789012",
        "time": Timestamp::now().to_string(), "region": REGION, "resources": [],
        "detail": { "instance-id": instance, "instance-action": "terminate" },
    })
    .to_string()
}

fn is_closed(node: &Node) -> bool {
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.any(|taint| taint.key == "karpenter.sh/disrupted")
}

/// From a message to the node that is closed and to the replacement that is launched; the median of five.
fn warning() -> Result<()> {
    let world = World::begin()?;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 2)])?;
    let _controller = world.controller()?;
    let (mut closed, mut launched) = (Vec::new(), Vec::new());
    world.ask(async |client| {
        let nodes = Api::<Node>::all(client.clone());
        for _ in 0..5 {
            wait_for_pods(&client, "default", 2).await?;
            let machines = world.wait_until_all_agree(&client).await?;
            let lost = machines.first().context("there is a node")?;
            let old: BTreeSet<&String> = machines.iter().map(|one| &one.id).collect();
            let begin = Instant::now();
            world.aws.send(&[spot_warning(&lost.id)])?;
            until("the node is closed", async || Ok(is_closed(&nodes.get(&lost.host).await?).then_some(())))
                .await?;
            closed.push(begin.elapsed());
            let is_new = |living: &[Machine]| living.iter().any(|one| !old.contains(&one.id));
            world.wait_for_machines("the replacement is launched", is_new).await?;
            launched.push(begin.elapsed());
            let gone = |living: &[Machine]| living.iter().all(|one| one.id != lost.id);
            world.wait_for_machines("the old one is ended", gone).await?;
        }
        Ok(())
    })?;
    head("A spot warning is put on the queue");
    for (what, mut spans) in [("the node is closed", closed), ("the replacement is launched", launched)] {
        spans.sort();
        row(what, &seconds(*spans.get(2).context("there are five")?));
    }
    Ok(())
}

/// From warnings for so many nodes at once to all of them closed, all replacements launched, all pods on these.
fn many_warnings(nodes: usize) -> Result<()> {
    let world = World::begin()?;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, alone("web", u32::try_from(nodes)?)])?;
    let _controller = world.controller()?;
    world.ask(async |client| {
        let all_run = async || Ok((running(&client, "default").await?.len() == nodes).then_some(()));
        until_after(LONG, "all pods run", all_run).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        let old: BTreeSet<&String> = machines.iter().map(|one| &one.id).collect();
        let hosts: BTreeSet<&String> = machines.iter().map(|one| &one.host).collect();
        let warnings: Vec<String> = machines.iter().map(|one| spot_warning(&one.id)).collect();
        let begin = Instant::now();
        world.aws.send(&warnings)?;
        let listed = Api::<Node>::all(client.clone());
        until_after(LONG, "all nodes are closed", async || {
            let open = listed.list(&ListParams::default()).await?.items.into_iter().filter(|node| {
                node.metadata.name.as_ref().is_some_and(|name| hosts.contains(name)) && !is_closed(node)
            });
            Ok((open.count() == 0).then_some(()))
        })
        .await?;
        let closed = begin.elapsed();
        wait_for_machines(&world, "all replacements are launched", |living| {
            living.iter().filter(|one| !old.contains(&one.id)).count() >= nodes
        })
        .await?;
        let launched = begin.elapsed();
        wait_for_machines(&world, "the old ones are ended", |living| {
            living.iter().all(|one| !old.contains(&one.id))
        })
        .await?;
        let ended = begin.elapsed();
        until_after(LONG, "all pods run again", all_run).await?;
        head(&format!("{nodes} spot warnings about {nodes} nodes are put on the queue at once"));
        row("all nodes are closed", &seconds(closed));
        row("all replacements are launched", &seconds(launched));
        row("all old instances are ended, which is after their drain", &seconds(ended));
        row("all pods run again", &seconds(begin.elapsed()));
        Ok(())
    })
}

/// How long a full queue takes: messages of all kinds of instances, few of them this cluster's.
fn messages(count: usize) -> Result<()> {
    let world = World::begin()?;
    let [class, pool] = node_pool(&["spot"], &TYPES);
    world.apply(&[class, pool, apart("web", 2)])?;
    let controller = world.controller()?;
    world.ask(async |client| {
        wait_for_pods(&client, "default", 2).await?;
        let machines = world.wait_until_all_agree(&client).await?;
        let lost = machines.first().context("there is a node")?;
        drop(controller);
        let strangers = (1..count).map(|at| spot_warning(&format!("i-{at:017x}")));
        let all: Vec<String> = std::iter::once(spot_warning(&lost.id)).chain(strangers).collect();
        for part in all.chunks(1_000) {
            world.aws.send(part)?;
        }
        let controller = world.controller()?;
        world.wait_for_words("everything is listed").await?;
        let (emulator, own) = (cpu(world.aws.process.id())?, cpu(controller.id())?);
        let begin = Instant::now();
        until_after(LONG, "the queue is empty", async || {
            let queue = world.aws.queue()?;
            Ok((queue.waiting == 0 && queue.handled == 0).then_some(()))
        })
        .await?;
        let took = begin.elapsed();
        head(&format!("{count} messages are on the queue when the controller starts"));
        row("until all are handled and deleted", &seconds(took));
        let rate = f64::from(u32::try_from(count)?) / took.as_secs_f64();
        row("messages a second", &format!("{rate:.0}"));
        row("CPU of the controller meanwhile", &seconds(cpu(controller.id())? - own));
        row("CPU of the emulator meanwhile", &seconds(cpu(world.aws.process.id())? - emulator));
        let left = world.aws.calls()?;
        for action in ["sqs:ReceiveMessage", "sqs:DeleteMessageBatch", "sqs:DeleteMessage"] {
            let calls: u64 = left.iter().filter(|((of, _), _)| of == action).map(|(_, count)| count).sum();
            row(&format!("`{action}`"), &calls.to_string());
        }
        // Once a node of its own was among them, it is replaced.
        let gone = |living: &[Machine]| living.len() == 2 && living.iter().all(|one| one.id != lost.id);
        world.wait_for_machines("the one node that was meant is replaced", gone).await?;
        let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?.items.len();
        ensure!(nodes >= 2, "{nodes} nodes are left");
        Ok(())
    })
}
