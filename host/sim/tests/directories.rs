//! Whole directories: the same record from the same files, the example day, and every mistake told.
//!
//! `BLESS=1` writes the expected texts anew.

use std::path::{Path, PathBuf};

use whittle_sim::plan;
use whittle_sim::record::Record;
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
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).expect("the expected text can be written");
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default());
}

#[test]
fn every_mistake_in_a_scenario_is_told_at_once() {
    for dir in ["tests/mistakes", "tests/misshapen"] {
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
