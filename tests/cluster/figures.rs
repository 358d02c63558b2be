//! What `whittle run` tells about itself: the metrics that `docs/metrics.md` lists.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use whittle_control_plane::ports;

use crate::controller::{
    Story, deployment, node_pool, story, wait_for_pods, wait_until_all_agree, wait_until_no_node_is_left,
};
use crate::shared::{block_on, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![story("metrics_are_those_of_the_page_and_tell_what_happened", tell)]
}

/// What is answered on `/metrics`.
fn ask(port: u16) -> Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(answer)
}

/// The sum of all values of a metric.
fn value(text: &str, name: &str) -> f64 {
    let of_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let number = |line: &str| line.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok());
    text.lines().filter(of_it).filter_map(number).sum()
}

/// Names as the page has them: those of counters and infos with their endings.
fn told(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let name = |line: &str| match line.split_once(' ') {
        Some((name, "counter")) => format!("{name}_total"),
        Some((name, "info")) => format!("{name}_info"),
        Some((name, _)) => name.to_owned(),
        None => line.to_owned(),
    };
    types.map(name).collect()
}

/// What the metrics must tell of so many nodes that came and went, and of their pods.
fn expected(nodes: f64, pods: f64) -> [(&'static str, f64); 10] {
    [
        ("karpenter_cluster_state_node_count", 0.0),
        ("karpenter_nodeclaims_created_total", nodes),
        ("karpenter_nodes_created_total", nodes),
        ("karpenter_nodes_terminated_total", nodes),
        ("karpenter_nodeclaims_terminated_total", nodes),
        ("karpenter_nodeclaims_disrupted_total", nodes),
        ("karpenter_nodeclaims_termination_duration_seconds_count", nodes),
        ("karpenter_pods_bound_duration_seconds_count", pods),
        ("karpenter_pods_startup_duration_seconds_count", pods),
        ("whittle_pods_bound_total", pods),
    ]
}

/// Waits until the metrics tell this, and gives all of them; they follow what the API server has by a moment.
fn wait_for(port: u16, expected: &[(&str, f64)]) -> Result<String> {
    let told = block_on(until("the metrics tell what happened", async || {
        let text = ask(port)?;
        let all = expected.iter().all(|(name, expected)| (value(&text, name) - expected).abs() < 0.5);
        Ok(all.then_some(text))
    }));
    told.with_context(|| format!("expected {expected:?}, found:\n{}", ask(port).unwrap_or_default()))
}

fn tell(story: &Story) -> Result<()> {
    // Nothing is moved while pods come, however slowly they do: every node that is launched stays until there are none.
    let [class, mut pool] = node_pool("Never");
    story.apply(&[class, pool.clone(), deployment("web", 12)])?;
    let port = ports::free()?;
    let flags = ["--disable-leader-election", "--metrics-port", &port.to_string()];
    let _controller = story.candidate(&story.plane.kubeconfig(), &flags)?;
    let nodes = story.ask(async |client| {
        wait_for_pods(&client, "default", 12).await?;
        wait_until_all_agree(&client).await
    })?;
    story.apply(&[deployment("web", 0)])?;
    story.ask(async |client| wait_for_pods(&client, "default", 0).await)?;
    pool["spec"]["disruption"]["consolidateAfter"] = json!("1s");
    story.apply(&[pool])?;
    story.ask(async |client| wait_until_no_node_is_left(&client).await)?;
    #[expect(clippy::cast_precision_loss, reason = "a handful of nodes")]
    let text = wait_for(port, &expected(nodes as f64, 12.0))?;
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let listed: BTreeSet<String> = rows.map(str::to_owned).collect();
    let unlisted: Vec<_> = told(&text).difference(&listed).cloned().collect();
    ensure!(unlisted.is_empty(), "the page does not list {unlisted:?}");
    let (planned, realised) = (
        value(&text, "whittle_launches_planned_dollars_per_hour_total"),
        value(&text, "whittle_launches_realised_dollars_per_hour_total"),
    );
    ensure!(planned > 0.0 && (planned - realised).abs() < 1e-9, "planned {planned}, realised {realised}");
    Ok(())
}
