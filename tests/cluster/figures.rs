//! What `whittle run` tells about itself: the metrics that `docs/metrics.md` lists.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::controller::{Story, deployment, node_pool, standing, wait_for_pods, wait_until_all_agree};
use crate::shared::{block_on, failed, until};

pub(crate) fn trials() -> Vec<Trial> {
    let name = "metrics_are_those_of_the_page_and_tell_what_happened";
    vec![Trial::test(name, || Story::begin().and_then(|story| story.tell(tell)).map_err(failed))]
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

fn tell(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("1s");
    story.apply(&[class, pool, deployment("web", 12)])?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let flags = ["--disable-leader-election", "--metrics-port", &port.to_string()];
    let _controller = story.candidate(&story.plane.kubeconfig(), &flags)?;
    let nodes = story.ask(async |client| {
        wait_for_pods(&client, "default", 12).await?;
        wait_until_all_agree(&client).await
    })?;
    story.apply(&[deployment("web", 0)])?;
    story.ask(async |client| {
        until("no node is left", async || Ok((standing(&client).await?.2 == 0).then_some(()))).await
    })?;
    let text = block_on(until("it knows that the nodes are gone", async || {
        let text = ask(port)?;
        Ok((value(&text, "karpenter_cluster_state_node_count") < 0.5).then_some(text))
    }))?;
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let listed: BTreeSet<String> = rows.map(str::to_owned).collect();
    let unlisted: Vec<_> = told(&text).difference(&listed).cloned().collect();
    ensure!(unlisted.is_empty(), "the page does not list {unlisted:?}");
    #[expect(clippy::cast_precision_loss, reason = "a handful of nodes")]
    let nodes = nodes as f64;
    let expected = [
        ("karpenter_nodeclaims_created_total", nodes),
        ("karpenter_nodes_created_total", nodes),
        ("karpenter_nodes_terminated_total", nodes),
        ("karpenter_nodeclaims_terminated_total", nodes),
        ("karpenter_nodeclaims_disrupted_total", nodes),
        ("karpenter_nodeclaims_termination_duration_seconds_count", nodes),
        ("karpenter_pods_bound_duration_seconds_count", 12.0),
        ("karpenter_pods_startup_duration_seconds_count", 12.0),
        ("whittle_pods_bound_total", 12.0),
    ];
    for (name, expected) in expected {
        let found = value(&text, name);
        ensure!((found - expected).abs() < 0.5, "{name} is {found}, not {expected}:\n{text}");
    }
    let (planned, realised) = (
        value(&text, "whittle_launches_planned_dollars_per_hour_total"),
        value(&text, "whittle_launches_realised_dollars_per_hour_total"),
    );
    ensure!(planned > 0.0 && (planned - realised).abs() < 1e-9, "planned {planned}, realised {realised}");
    Ok(())
}
