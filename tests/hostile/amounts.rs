//! Numbers that are negative, absurd, or at the ends of what a number holds.

use serde_json::{Value, json};

use crate::directory::{ask, deployment, placed_and_not, planned, pool, pool_of, spread, with_class};

fn usual() -> Value {
    pool("default", |_| ())
}

#[test]
fn an_absurd_quantity_is_refused_and_a_tiny_one_taken_wherever_it_stands() {
    let refused =
        ["1e30", "-1", "9223372036854775808", "18446744073709551615", "8Ei", "NaN", "inf", "", "0x10"];
    for resource in ["cpu", "memory", "nvidia.com/gpu"] {
        for amount in refused {
            let problems = planned(with_class(&everywhere(resource, amount))).problems();
            assert_eq!(problems.len(), 3, "{amount}: {problems:?}");
            assert!(problems.iter().all(|problem| problem.contains(resource)), "{amount}: {problems:?}");
        }
        for amount in ["0", "1e-30"] {
            planned(with_class(&everywhere(resource, amount))).plan();
        }
    }
}

/// A limit, a pod and a DaemonSet's pod with an amount.
fn everywhere(resource: &str, amount: &str) -> [Value; 3] {
    let limited = pool("default", |spec| spec["limits"] = json!({ resource: amount }));
    let web = deployment("web", 2, |spec| ask(spec, resource, amount));
    let mut daemon = deployment("agent", 1, |spec| ask(spec, resource, amount));
    daemon["kind"] = json!("DaemonSet");
    daemon["spec"].as_object_mut().expect("a spec is an object").remove("replicas");
    [limited, web, daemon]
}

#[test]
fn a_quantity_that_is_a_number_is_read_like_one_that_is_a_text() {
    for (amount, is_refused) in
        [(json!(1e30), true), (json!(-1), true), (json!(1e-30), false), (json!(2), false)]
    {
        let web = deployment("web", 2, |spec| {
            spec["containers"][0]["resources"]["requests"]["cpu"] = amount.clone();
        });
        let outcome = planned(with_class(&[usual(), web]));
        if is_refused { drop(outcome.problems()) } else { drop(outcome.plan()) }
    }
}

#[test]
fn pods_that_are_larger_than_every_number_of_a_node_are_unplaced() {
    for (resource, amount) in [
        ("memory", "9223372036854775807"),
        ("cpu", "9223372036854775"),
        ("nvidia.com/gpu", "9223372036854775807"),
    ] {
        let web = deployment("web", 3, |spec| ask(spec, resource, amount));
        assert_eq!(placed_and_not(&planned(with_class(&[usual(), web])).plan()), (0, 3), "{resource}");
    }
}

#[test]
fn sums_of_what_runs_on_a_node_do_not_overflow() {
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": "n1", "labels": { "kubernetes.io/hostname": "n1" } },
        "spec": { "providerID": "aws:///us-east-1a/i-1" },
        "status": {
            "allocatable": { "cpu": "9223372036854775", "memory": "9223372036854775807", "pods": "9223372036854775807" },
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    });
    let running = |name: &str, node: Option<&str>| {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name },
            "spec": {
                "nodeName": node.unwrap_or_default(),
                "containers": [{ "name": "one", "image": "one", "resources": { "requests": {
                    "cpu": "9223372036854775", "memory": "9223372036854775807",
                } } }],
            },
            "status": { "phase": if node.is_some() { "Running" } else { "Pending" } },
        })
    };
    let pods =
        [running("a", Some("n1")), running("b", Some("n1")), running("c", Some("n1")), running("d", None)];
    let objects: Vec<Value> = [usual(), node].into_iter().chain(pods).collect();
    assert_eq!(placed_and_not(&planned(with_class(&objects)).plan()), (0, 1));
}

#[test]
fn limits_at_both_ends_are_kept_or_refused() {
    let limited = |amount: &str| {
        let pool = pool("default", |spec| {
            spec["limits"] = json!({ "memory": amount, "nodes": amount, "example.com/none": amount });
        });
        planned(with_class(&[pool, deployment("web", 3, |_| ())]))
    };
    assert_eq!(placed_and_not(&limited("0").plan()), (0, 3));
    assert_eq!(placed_and_not(&limited("9223372036854775807").plan()), (3, 0));
    assert_eq!(limited("18446744073709551615").problems().len(), 3);
}

#[test]
fn weights_priorities_and_skews_at_their_ends_are_taken_and_beyond_them_refused() {
    let weight = |weight: i64| {
        planned(with_class(&[
            pool("default", |spec| spec["weight"] = json!(weight)),
            deployment("web", 1, |_| ()),
        ]))
    };
    let with = |change: &dyn Fn(&mut Value)| planned(with_class(&[usual(), deployment("web", 2, change)]));
    let priority = |priority: i64| with(&|spec| spec["priority"] = json!(priority));
    let skewed = |field: &str, number: i64| {
        with(&|spec| {
            spec["topologySpreadConstraints"] = spread("web", "topology.kubernetes.io/zone");
            spec["topologySpreadConstraints"][0][field] = json!(number);
        })
    };
    let skew = |number| skewed("maxSkew", number);
    let domains = |number| skewed("minDomains", number);
    for outcome in [weight(1), weight(100), priority(i32::MIN.into()), priority(i32::MAX.into())] {
        outcome.plan();
    }
    for outcome in [skew(1), skew(i32::MAX.into()), domains(1), domains(i32::MAX.into())] {
        outcome.plan();
    }
    let beyond = i64::from(i32::MAX) + 1;
    for outcome in [weight(0), weight(101), weight(-1), weight(beyond), weight(i64::MIN)] {
        outcome.problems();
    }
    for outcome in
        [priority(beyond), skew(0), skew(-1), skew(beyond), domains(0), domains(-1), domains(beyond)]
    {
        outcome.problems();
    }
}

#[test]
fn more_pods_than_a_cluster_can_have_are_refused() {
    for replicas in [300_001, i32::MAX.unsigned_abs().into()] {
        let problems = planned(with_class(&[usual(), deployment("web", replicas, |_| ())])).problems();
        let wanted = format!(
            "objects.yaml:5 (document 3, Deployment web) spec.replicas\n  found    {replicas} pods, with 0 of other \
             workloads\n  expected at most 300000 pods together"
        );
        assert_eq!(problems, [wanted]);
    }
    let many = ["a", "b"].map(|name| deployment(name, 200_000, |_| ()));
    let [a, b] = many;
    assert_eq!(planned(with_class(&[usual(), a, b])).problems().len(), 1);
    planned(with_class(&[usual(), deployment("web", u64::MAX, |_| ())])).problems();
}

#[test]
fn minimum_values_that_nothing_can_keep_leave_pods_unplaced_and_impossible_ones_are_refused() {
    let least = |least: i64| {
        let requirements = json!([
            { "key": "karpenter.k8s.aws/instance-generation", "operator": "Exists", "minValues": least },
        ]);
        planned(with_class(&[pool_of("default", &requirements), deployment("web", 2, |_| ())]))
    };
    assert_eq!(placed_and_not(&least(50).plan()), (0, 2));
    for impossible in [0, -1, 51, i64::MAX] {
        least(impossible).problems();
    }
}
