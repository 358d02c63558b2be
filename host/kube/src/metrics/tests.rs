use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use whittle_core::event::Event;
use whittle_core::model::instance_type::{CapacityType, InstanceType, Offering};
use whittle_core::model::node_pool::NodeClass;
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;
use whittle_core::state::ClusterState;

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

#[test]
fn what_can_be_bought_is_told_of_all_classes_and_of_none_that_is_gone() {
    let offering = |capacity_type, price, available| Offering {
        zone: "a".into(),
        zone_id: String::new(),
        capacity_type,
        price: Price::from_micros(price),
        estimated: false,
        available,
        reservation: None,
    };
    let class = |name: &str, kind: &str| NodeClass {
        name: name.into(),
        ready: true,
        fingerprint: None,
        instance_types: [InstanceType {
            name: kind.into(),
            labels: BTreeMap::new(),
            capacity: Resources { cpu_millis: 2_000, memory_bytes: 1_024, ..Resources::default() },
            overhead: Resources::default(),
            offerings: vec![
                offering(CapacityType::Spot, u64::MAX, false),
                offering(CapacityType::OnDemand, 250_000, true),
            ],
        }]
        .into(),
    };
    let metrics = Metrics::new();
    let mut state = ClusterState::default();
    let now = Timestamp::EPOCH;
    let told = |metrics: &Metrics| -> Vec<String> {
        let text = metrics.text().unwrap();
        let lines = text.lines().filter(|line| line.starts_with("karpenter_cloudprovider_instance_type"));
        let mut lines: Vec<_> = lines
            .map(|line| line.trim_start_matches("karpenter_cloudprovider_instance_type_").to_owned())
            .collect();
        lines.sort();
        lines
    };
    for (name, kind) in [("one", "m.large"), ("two", "c.large")] {
        let event = Event::NodeClass(class(name, kind));
        metrics.heard(&event, state.snapshot(), now);
        state.apply(event, now);
    }
    let of_m = [
        r#"cpu_cores{instance_type="m.large"} 2.0"#,
        r#"memory_bytes{instance_type="m.large"} 1024.0"#,
        r#"offering_available{instance_type="m.large",capacity_type="on-demand",zone="a"} 1"#,
        r#"offering_available{instance_type="m.large",capacity_type="spot",zone="a"} 0"#,
        r#"offering_price_estimate{instance_type="m.large",capacity_type="on-demand",zone="a"} 0.25"#,
    ];
    let mut both: Vec<String> = of_m.iter().map(|line| line.replace("m.large", "c.large")).collect();
    both.extend(of_m.map(str::to_owned));
    both.sort();
    assert_eq!(told(&metrics), both);
    metrics.heard(&Event::NodeClassGone("two".into()), state.snapshot(), now);
    assert_eq!(told(&metrics), of_m);
}

#[test]
fn the_age_of_prices_is_told_when_they_were_found() {
    let metrics = Metrics::new();
    let line = "whittle_prices_found_timestamp_seconds{";
    assert!(!metrics.text().unwrap().contains(line));
    metrics.priced(&BTreeMap::from([(CapacityType::Spot, Timestamp::from_millis(1_500))]));
    let expected = r#"whittle_prices_found_timestamp_seconds{capacity_type="spot"} 1.5"#;
    assert!(metrics.text().unwrap().lines().any(|found| found == expected));
}
