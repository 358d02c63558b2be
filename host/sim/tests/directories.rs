//! Whole directories: the same record from the same files, the example day, and every mistake told.
//!
//! `UPDATE_GOLDEN=1` writes the expected texts anew.

use std::path::{Path, PathBuf};

use whittle_sim::plan;
use whittle_sim::record::Record;
use whittle_sim::record::text::{self, Detail};
use whittle_sim::run::{Options, simulate};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn record(dir: &str, seed: Option<u64>) -> Record {
    let options = Options { seed, ..Options::default() };
    simulate(&here(dir), &options, &mut |_| {}).unwrap_or_else(|problems| panic!("{problems}"))
}

fn assert_is(found: &str, expected: &str) {
    let path = here(expected);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).expect("the expected text can be written");
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default());
}

#[test]
fn every_mistake_in_a_scenario_is_told_at_once() {
    for dir in ["tests/mistakes", "tests/misshapen", "tests/follows"] {
        let problems = simulate(&here(dir), &Options::default(), &mut |_| {}).unwrap_err();
        assert_is(&format!("{problems}\n"), &format!("{dir}/expected.txt"));
    }
}

#[test]
fn the_same_directory_and_seed_give_the_same_bytes_and_another_seed_another_day() {
    let bytes = |seed| serde_json::to_string(&record("tests/small", seed)).unwrap();
    let first = bytes(None);
    assert_eq!(first, bytes(None));
    assert_ne!(first, bytes(Some(2)));
}

#[test]
fn a_region_that_is_asked_for_takes_the_place_of_the_scenarios() {
    let options = Options { region: Some("eu-central-1".into()), ..Options::default() };
    let simulated = simulate(&here("tests/small"), &options, &mut |_| {}).unwrap();
    let planned = plan::plan(&here("tests/small"), &options).unwrap();
    assert_eq!(
        (simulated.settings.region.as_str(), planned.region.as_str()),
        ("eu-central-1", "eu-central-1")
    );
    assert!(simulated.last.nodes.iter().all(|node| node.zone.starts_with("eu-central-1")));
    assert!(planned.launches.iter().all(|node| node.cheapest.zone.starts_with("eu-central-1")));
    for text in [text::timeline(&simulated, Detail::Compact), plan::text(&planned)] {
        assert!(!text.contains("no region given"));
    }
}

#[test]
fn the_default_region_is_said_when_nobody_chose_one() {
    let (simulated, planned) =
        (record("tests/settles", None), plan::plan(&here("tests/settles"), &Options::default()));
    for text in [text::timeline(&simulated, Detail::Compact), plan::text(&planned.unwrap())] {
        assert_eq!(text.lines().next(), Some("no region given: us-east-1"));
    }
    let summary = text::summary(&simulated, Detail::Compact);
    assert!(summary.starts_with("settles: "), "{summary}");
}

#[test]
fn an_unknown_region_is_answered_with_those_there_are() {
    let options = Options { region: Some("eu-centrall-1".into()), ..Options::default() };
    let problems = simulate(&here("tests/small"), &options, &mut |_| {}).unwrap_err();
    let [problem] = problems.0.as_slice() else { panic!("{problems}") };
    assert_eq!(problem.defect.found, "\"eu-centrall-1\"");
    assert!(problem.defect.expected.contains("ap-northeast-2, "), "{problem}");
    assert!(problem.defect.expected.contains("us-west-2"), "{problem}");
}

#[test]
fn a_cluster_without_a_scenario_settles() {
    let record = record("tests/settles", None);
    assert_eq!(record.totals.waiting_at_end, 0);
    assert!(record.totals.launches > 0);
    assert_eq!(record.violations, []);
}

#[test]
fn the_day_of_the_example_loses_no_pod_and_breaks_no_rule() {
    let record = record("../../examples/ticket-cluster", None);
    assert_eq!(record.violations, []);
    assert_eq!((record.totals.waiting_at_end, record.totals.interrupted_pods), (0, 0));
    let loadtest = record.node_pools.iter().find(|pool| pool.name == "loadtest").unwrap();
    assert!(loadtest.nodes_peak > 0);
    assert_eq!(loadtest.nodes_last, 0);
}

#[test]
fn a_plan_has_a_place_for_every_pod_of_the_example() {
    let report = plan::plan(&here("../../examples/ticket-cluster"), &Options::default()).unwrap();
    assert_eq!((report.unplaced, report.violations), (vec![], vec![]));
    let placed: usize = report.launches.iter().map(|launch| launch.pods.len()).sum();
    let expected: usize = report.nominations.values().map(Vec::len).sum();
    // coredns 2, web 6, api 8, waiting-room 3, payment 4, queue-worker 5, orders-db 3, seat-cache 3.
    assert_eq!(placed + expected, 34);
}
