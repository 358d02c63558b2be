//! Texts of ten megabytes, wherever a text may stand.

use serde_json::{Value, json};

use crate::directory::{deployment, file, planned, pool, simulated, spread, with_class};

const LONG: usize = 10_000_000;

fn usual() -> Value {
    pool("default", |_| ())
}

#[test]
fn a_text_of_ten_megabytes_is_refused_and_not_quoted_in_full() {
    let long = "x".repeat(LONG);
    let nines = "9".repeat(LONG);
    let pod = |change: &dyn Fn(&mut Value)| vec![usual(), deployment("web", 2, change)];
    let operator = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "a", "operator": long, "values": ["b"] }] }],
    } } });
    let mut labelled = deployment("web", 2, |_| ());
    labelled["spec"]["template"]["metadata"]["labels"]["long"] = json!(long);
    let cases = [
        ("a name", vec![usual(), deployment(&long, 2, |_| ())]),
        ("a name of a NodePool", vec![pool(&long, |_| ())]),
        ("a label", vec![usual(), labelled]),
        ("a selector", pod(&|spec| spec["nodeSelector"] = json!({ "a": long }))),
        ("a topology key", pod(&|spec| spec["topologySpreadConstraints"] = spread("web", &long))),
        ("a toleration", pod(&|spec| spec["tolerations"] = json!([{ "key": "a", "value": long }]))),
        ("a class of priority", pod(&|spec| spec["priorityClassName"] = json!(long))),
        ("an operator", pod(&|spec| spec["affinity"] = operator.clone())),
        (
            "a quantity",
            pod(&|spec| {
                spec["containers"][0]["resources"]["requests"] = json!({ "cpu": nines });
            }),
        ),
        (
            "a value of a NodePool",
            vec![pool("default", |spec| {
                spec["template"]["spec"]["requirements"] =
                    json!([{ "key": "example.com/a", "operator": "In", "values": [long] }]);
            })],
        ),
        (
            "a duration",
            vec![pool("default", |spec| {
                spec["disruption"] = json!({ "consolidateAfter": format!("{nines}s") });
            })],
        ),
        (
            "a budget",
            vec![pool("default", |spec| {
                spec["disruption"] =
                    json!({ "consolidateAfter": "0s", "budgets": [{ "nodes": format!("{nines}%") }] });
            })],
        ),
    ];
    for (name, objects) in cases {
        let problems = planned(with_class(&objects)).problems();
        assert!(problems.len() <= 3, "{name}: {problems:?}");
    }
}

#[test]
fn a_key_of_ten_megabytes_is_refused() {
    let long = "x".repeat(LONG);
    for text in
        [format!("{long}: 1\n"), format!("? {long}\n: 1\n"), format!("{{\"{long}\": 1}}"), long.clone()]
    {
        let mut files = with_class(&[usual()]);
        files.push(file("long.yaml", &text));
        planned(files).problems();
    }
}

#[test]
fn a_scenario_with_a_text_of_ten_megabytes_is_refused_and_not_quoted_in_full() {
    let long = "x".repeat(LONG);
    let bodies = [
        format!("region: {long}"),
        format!("zones: [{long}]"),
        format!("duration: {long}"),
        format!("start: {long}"),
        format!("utcOffset: {long}"),
        format!("prices: {long}"),
        format!("? {long}\n  : 1"),
        format!("events: [{{ at: {long}, label: a }}]"),
        format!("events: [{{ at: +1m, scale: {{ workload: {long}, replicas: 1 }} }}]"),
        format!("events: [{{ at: +1m, apply: {{ file: {long} }} }}]"),
        format!("events: [{{ at: +1m, interrupt: {{ zone: {long} }} }}]"),
        format!("events: [{{ at: +1m, interrupt: {{ instanceType: {long} }} }}]"),
    ];
    for body in bodies {
        let mut files = with_class(&[usual(), deployment("web", 2, |_| ())]);
        let head = "apiVersion: whittle.dev/v1alpha1\nkind: Scenario\nspec:\n  ";
        files.push(file("scenario.yaml", &format!("{head}{body}\n")));
        assert!(simulated(files).is_err(), "{body:.40}");
    }
}
