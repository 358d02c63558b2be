//! What `whittle run` costs on a real control plane: `cargo bench -p whittle-tests --bench controller`.
//!
//! Three cases, each with a control plane of its own and with instances that are simulated: how soon after a scale-up all
//! NodeClaims are there, what a large cluster costs in CPU and memory, and what kube-scheduler makes of a plan. Behind
//! `--` stand words, and a case is run when its name contains one of them; `pods=200`, `nodes=50` and `idle=5` make it
//! smaller than it is meant to be. What is measured is the controller alone, but on the same machine as everything else:
//! the figures are only as good as the machine is idle, and nothing depends on them.

mod cluster;
mod controller;
mod marks;
#[path = "../usage.rs"]
mod usage;

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use tokio::runtime;
use tokio::time::sleep;
use whittle_api::node_claim::NodeClaim;

use crate::cluster::{Cluster, Shape, mixed, uniform};
use crate::controller::{Controller, megabytes};
use crate::marks::Marks;

/// The batch window closes when no new pod has come for so long, which is the default of `whittle run`.
const IDLE_WINDOW: Duration = Duration::from_secs(1);
/// It closes at the latest so long after its first pod.
const LONGEST_WINDOW: Duration = Duration::from_secs(10);
/// Pods on a node of the large cluster.
const PODS_ON_A_NODE: usize = 10;

/// What is asked for on the command line.
struct Asked {
    words: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Asked {
    fn read() -> Result<Self> {
        let mut asked = Self { words: Vec::new(), numbers: BTreeMap::new() };
        // Cargo adds a word of its own.
        for argument in env::args().skip(1).filter(|argument| argument != "--bench") {
            match argument.split_once('=') {
                Some((name, number)) => {
                    ensure!(
                        ["pods", "nodes", "idle"].contains(&name),
                        "{name}: expected pods, nodes or idle"
                    );
                    let number = number.parse().with_context(|| format!("{argument}: expected a number"))?;
                    asked.numbers.insert(name.to_owned(), number);
                }
                None => asked.words.push(argument),
            }
        }
        Ok(asked)
    }

    fn wants(&self, case: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| case.contains(word.as_str()))
    }

    fn number(&self, name: &str, otherwise: usize) -> usize {
        self.numbers.get(name).copied().unwrap_or(otherwise)
    }
}

fn main() -> Result<()> {
    let asked = Asked::read()?;
    // What is made is marked while something else is applied.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if asked.wants("scale-up") {
        runtime.block_on(scale_up(asked.number("pods", 1_000)))?;
    }
    if asked.wants("large-cluster") {
        let idle = u64::try_from(asked.number("idle", 60))?;
        runtime.block_on(large_cluster(asked.number("nodes", 1_000), Duration::from_secs(idle)))?;
    }
    if asked.wants("plan-kept") {
        runtime.block_on(plan_kept(asked.number("pods", 1_000)))?;
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

/// From a Deployment's scale-up to all NodeClaims.
async fn scale_up(pods: usize) -> Result<()> {
    let cluster = Cluster::start(&Shape { cpus: &["4", "8", "16"], consolidate_after: "Never" })?;
    cluster.apply(&[uniform("web", 0, "900m")])?;
    let controller = Controller::start(&cluster, &["--simulated-boot", "2s"])?;
    let client = cluster.client().await?;
    controller.wait_until_synced().await?;
    let seen = Marks::<Pod>::of(&client, |_| true);
    let waiting = Marks::<Pod>::of(&client, is_unschedulable);
    let claimed = Marks::<NodeClaim>::of(&client, |_| true);
    let begin = Instant::now();
    cluster.apply(&[uniform("web", pods, "900m")])?;
    cluster.wait_for_pods(&client, pods).await?;
    ensure!(seen.count() == pods, "{} pods were seen", seen.count());
    let (first_pod, last_pod) = seen.first_and_last().context("no pod was seen")?;
    let (first_waits, last_waits) = waiting.first_and_last().context("no pod has waited")?;
    let (first_claim, last_claim) = claimed.first_and_last().context("no NodeClaim was seen")?;
    head(&format!("A Deployment is scaled from 0 to {pods} pods"));
    row("the last pod is made, after the first", &seconds(last_pod - first_pod));
    row(
        "kube-scheduler finds no place for the last pod, after the first",
        &seconds(last_waits - first_waits),
    );
    row("the first NodeClaim is made, after the scale-up", &seconds(first_claim - begin));
    row("all NodeClaims are made, after the scale-up", &seconds(last_claim - begin));
    row("NodeClaims", &claimed.count().to_string());
    // Pods that kube-scheduler finds later have a window of their own.
    let first_closes = first_waits + LONGEST_WINDOW;
    let idle = last_waits + IDLE_WINDOW;
    let closes = if last_waits > first_closes { idle } else { idle.min(first_closes) };
    row(
        "all NodeClaims are made, after the batch window has closed",
        &seconds(last_claim.saturating_duration_since(closes)),
    );
    row("CPU of the controller", &seconds(controller.usage()?.cpu));
    row("all pods run, after the scale-up", &seconds(begin.elapsed()));
    Ok(())
}

/// Whether kube-scheduler has found no place for a pod: from then on it waits for a node.
fn is_unschedulable(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.reason.as_deref() == Some("Unschedulable")))
}

/// CPU, memory and the cost of doing nothing.
async fn large_cluster(nodes: usize, idle: Duration) -> Result<()> {
    let pods = nodes * PODS_ON_A_NODE;
    // Ten of them fill a node.
    let shape = Shape { cpus: &["16"], consolidate_after: "5s" };
    let cluster = Cluster::start(&shape)?;
    cluster.apply(&[uniform("web", 0, "1500m")])?;
    let controller = Controller::start(&cluster, &["--simulated-boot", "2s"])?;
    let client = cluster.client().await?;
    controller.wait_until_synced().await?;
    let at_start = controller.usage()?;
    cluster.apply(&[uniform("web", pods, "1500m")])?;
    cluster.wait_for_pods(&client, pods).await?;
    let there = cluster.wait_until_all_agree(&client).await?;
    let full = controller.usage()?;
    let quiet = controller.usage()?;
    // Time is what is measured here: what is done while nothing happens.
    sleep(idle).await;
    let after_quiet = controller.usage()?;
    cluster.apply(&[uniform("web", 0, "1500m")])?;
    cluster.wait_for_nodes(&client, 0).await?;
    sleep(idle).await;
    let empty = controller.usage()?;

    head(&format!("{there} nodes and {pods} pods"));
    row("memory before", &megabytes(at_start.resident_kb));
    row("CPU until all pods run", &seconds(full.cpu - at_start.cpu));
    row("memory with all of them", &megabytes(full.resident_kb));
    let idle_cpu = (after_quiet.cpu - quiet.cpu).as_secs_f64() / idle.as_secs_f64().max(1.0);
    row(
        &format!("CPU for each second of {} s in which nothing happens", idle.as_secs()),
        &format!("{:.1} ms", idle_cpu * 1e3),
    );
    row("CPU until all nodes are gone", &seconds(empty.cpu - after_quiet.cpu));
    row("most memory ever", &megabytes(empty.peak_kb));
    row(&format!("memory {} s after all nodes are gone", idle.as_secs()), &megabytes(empty.resident_kb));
    Ok(())
}

/// What kube-scheduler makes of a plan, with nominations and without.
async fn plan_kept(pods: usize) -> Result<()> {
    head(&format!("A plan for {pods} pods of six sizes: planned, and what stands when all of them run"));
    for nominate in ["true", "false"] {
        let cluster = Cluster::start(&Shape { cpus: &["4", "8", "16", "32"], consolidate_after: "Never" })?;
        cluster.apply(&mixed(pods))?;
        let client = cluster.client().await?;
        cluster.wait_until_unschedulable(&client, pods).await?;
        // It boots long enough for the whole of the first plan to be launched before the first node opens.
        let flags = ["--simulated-boot", "30s", "--nominate-pods", nominate];
        let controller = Controller::start(&cluster, &flags)?;
        let planned = cluster.wait_until_launched(&client).await?;
        let price = controller.metric("whittle_launches_planned_dollars_per_hour_total")?;
        let launched = controller.metric("whittle_launches_realised_dollars_per_hour_total")?;
        cluster.wait_for_pods(&client, pods).await?;
        let there = cluster.wait_until_all_agree(&client).await?;
        let at_rest = controller.wait_for_cost_of(there).await?;
        let with = if nominate == "true" { "nominated" } else { "not nominated" };
        row(
            &format!("{with}: plan"),
            &format!("{planned} nodes, ${price:.4}/h; launched for ${launched:.4}/h"),
        );
        row(
            &format!("{with}: at rest"),
            &format!("{there} nodes, ${at_rest:.4}/h, {:.3} of the plan", at_rest / price),
        );
        let of = |place: &str| controller.metric(&format!("whittle_pods_bound_total{{place=\"{place}\"}}"));
        row(
            &format!("{with}: pods bound as planned, elsewhere, without a plan"),
            &format!("{:.0}, {:.0}, {:.0}", of("planned")?, of("another")?, of("unplanned")?),
        );
    }
    Ok(())
}
