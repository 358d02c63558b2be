//! Scenarios that ask for what no world can do.

use serde_json::Value;

use crate::directory::{deployment, file, pool, simulated, with_class};

fn run(body: &str) -> Result<whittle_sim::record::Record, Vec<String>> {
    run_with(&[pool("default", |_| ()), deployment("web", 3, |_| ())], body)
}

fn run_with(objects: &[Value], body: &str) -> Result<whittle_sim::record::Record, Vec<String>> {
    let mut files = with_class(objects);
    let head = "apiVersion: whittle.dev/v1alpha1\nkind: Scenario\nmetadata: { name: hostile }\nspec:\n";
    files.push(file("scenario.yaml", &format!("{head}{body}\n")));
    simulated(files)
}

#[test]
fn what_a_scenario_cannot_mean_is_refused_where_it_stands() {
    let table = [
        ("  duration: -5s", "spec.duration"),
        ("  duration: 2000000h", "spec.duration"),
        ("  start: 1969-01-01T00:00:00Z", "spec.start"),
        ("  utcOffset: \"+99:99\"", "spec.utcOffset"),
        ("  seed: -1", "spec.seed"),
        ("  seed: 18446744073709551616", "spec.seed"),
        ("  region: \"\"", "spec.region"),
        ("  zones: [nowhere]", "spec.zones[0]"),
        ("  prices: /dev/null", "spec.prices"),
        ("  prices: ../../prices.csv", "spec.prices"),
        ("  prices: none.csv", "spec.prices"),
        ("  timings: { jitterPercent: 18446744073709551615 }", "spec.timings.jitterPercent"),
        ("  timings: { join: 99999999999999999999h }", "spec.timings.join"),
        ("  events: [{ at: +1m, interrupt: { percent: 101 } }]", "spec.events[0].interrupt.percent"),
        ("  events: [{ at: +1m, price: { factor: -1 } }]", "spec.events[0].price.factor"),
        ("  events: [{ at: +1m, price: { factor: 1e308 } }]", "spec.events[0].price.factor"),
        ("  events: [{ at: +1m, apply: { file: scenario.yaml } }]", "spec.events[0].apply.file"),
        ("  events: [{ at: +1m, apply: { file: ../x.yaml } }]", "spec.events[0].apply.file"),
        (
            "  events: [{ at: +1m, scale: { workload: web, replicas: 18446744073709551615 } }]",
            "spec.events[0].scale.replicas",
        ),
        (
            "  events: [{ at: +1m, scale: { workload: web, replicas: 300001, over: 1h } }]",
            "spec.events[0].scale.replicas",
        ),
    ];
    for (body, place) in table {
        let problems = run(body).map(|record| record.settings.name).unwrap_err();
        assert!(
            problems.iter().all(|problem| problem.contains(&format!(" {place}\n"))),
            "{body}: {problems:?}"
        );
    }
}

#[test]
fn a_scenario_that_is_no_yaml_is_refused_with_its_line() {
    for (body, line) in [("  duration: 1h\n  a: b: c", 6), ("  duration: [", 5), ("  seed: .nan", 5)] {
        let problems = run(body).map(|record| record.settings.name).unwrap_err();
        assert!(problems[0].starts_with(&format!("scenario.yaml:{line}\n")), "{problems:?}");
        assert_eq!(problems[0].lines().count(), 3, "{problems:?}");
    }
}

#[test]
fn what_is_extreme_and_means_something_is_simulated() {
    let bodies = [
        "  duration: 0s",
        "  duration: 1h\n  sampleEvery: 0s",
        "  duration: 1h\n  sampleEvery: 1ns",
        "  duration: 30h\n  start: \"9999-12-30T22:00:00Z\"\n  utcOffset: \"+14:00\"",
        "  duration: 1h\n  start: \"1970-01-01T00:00:00Z\"\n  utcOffset: \"-14:00\"",
        "  duration: 1h\n  zones: []",
        "  duration: 1h\n  zones: [us-east-1a, us-east-1a]",
        "  duration: 3h\n  timings: { join: 2000000h, ready: 2000000h, podStart: 2000000h, jitterPercent: 100 }",
        "  duration: 3h\n  timings: { join: 0s, ready: 0s, terminate: 0s, podStart: 0s, podStop: 0s }\n  events: \
         [{ at: +1h, interrupt: {} }, { at: +2h, deleteNode: { count: 18446744073709551615 } }]",
        "  duration: 1h\n  events: [{ at: +1m, interrupt: { count: 18446744073709551615 } }]",
        "  duration: 1h\n  events: [{ at: +1m, capacity: { available: false, for: 2000000h } }, \
         { at: +2m, scale: { workload: web, replicas: 30 } }]",
        "  duration: 1h\n  events: [{ at: +1m, price: { factor: 0 } }, { at: +2m, price: { factor: 1000 } }]",
        "  duration: 1h\n  events: [{ at: +0s, scale: { workload: web, replicas: 0 } }, \
         { at: +0s, delete: { workload: web } }]",
    ];
    for body in bodies {
        if let Err(problems) = run(body) {
            panic!("{body}: {}", problems.join("\n"));
        }
    }
}

#[test]
fn prices_that_grow_a_thousandfold_again_and_again_stay_prices() {
    let grows = ["{ at: +1m, price: { factor: 1000 } }"; 12].join(", ");
    let body = format!(
        "  duration: 30m\n  events: [{grows}, {{ at: +2m, scale: {{ workload: web, replicas: 9 }} }}]"
    );
    assert!(run(&body).is_ok());
}

#[test]
fn jobs_without_end_are_simulated_and_too_many_at_once_are_refused() {
    let job = |completions: i64, parallelism: i64, seconds: &str| {
        serde_json::json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": "j", "annotations": { "whittle.dev/run-seconds": seconds } },
            "spec": { "completions": completions, "parallelism": parallelism, "template": { "spec": {
                "restartPolicy": "Never", "containers": [{ "name": "one", "image": "one" }],
            } } },
        })
    };
    let most = i64::from(i32::MAX);
    let usual = || pool("default", |_| ());
    for (completions, parallelism, seconds) in [(most, 5, "60"), (3, 3, "18446744073709551615"), (0, 0, "1")]
    {
        let objects = [usual(), job(completions, parallelism, seconds)];
        assert!(run_with(&objects, "  duration: 20m").is_ok(), "{completions} {parallelism} {seconds}");
    }
    for (completions, parallelism, seconds) in [(most, most, "1"), (-1, 1, "1"), (1, -1, "1"), (1, 1, "0")] {
        let objects = [usual(), job(completions, parallelism, seconds)];
        assert!(run_with(&objects, "  duration: 20m").is_err(), "{completions} {parallelism} {seconds}");
    }
}
