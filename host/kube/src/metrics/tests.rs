use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use super::Metrics;

const HEAD: &str = "# Metrics

What `whittle run` answers on `/metrics` (`--metrics-port`). Names that begin with `karpenter_` mean what they mean there,
so that dashboards go on working; those that begin with `whittle_` are our own. A metric with labels is told from the
first time on that it has a value. How nodes, pods and NodePools stand is worked out when somebody asks; with
`--disable-cluster-state-observability` single nodes and pods are left out. This page is written by `UPDATE_GOLDEN=1 cargo test -p whittle-kube metrics`.

| name | kind | what it means |
|---|---|---|
";

#[test]
fn the_page_of_metrics_lists_every_one_with_its_meaning() {
    let metrics = Metrics::new();
    let mut page = HEAD.to_owned();
    for one in metrics.listed() {
        writeln!(page, "| {} | {} | {} |", one.name, one.kind, one.help).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), page);
}

#[test]
fn what_has_no_labels_is_told_from_the_beginning() {
    let text = Metrics::new().text().unwrap();
    for line in ["karpenter_cluster_state_synced 0", "whittle_leader 0", "karpenter_build_info{version="] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} is not in:\n{text}");
    }
}
