//! More of everything than a cluster has.

use serde_json::{Value, json};

use crate::directory::{deployment, placed_and_not, planned, pool, pool_of, spread, with_class};

const RACK: &str = "example.com/rack";

/// Kinds of pods, of which ten wait each. Without optimization the whole crowd takes half a minute, and a fifth of it
/// goes the same ways: `cargo test --release` asks for all.
const SHAPES: usize = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
/// Values of a label that a NodePool allows; as above.
const RACKS: usize = if cfg!(debug_assertions) { 300 } else { 1_000 };

#[test]
fn pods_of_ten_thousand_shapes_all_get_a_place() {
    let shapes = (0..SHAPES).map(|at| {
        deployment(&format!("a{at}"), 10, |spec| {
            spec["containers"][0]["resources"]["requests"] =
                json!({ "cpu": format!("{}m", 10 + at % 997), "memory": format!("{}Mi", 64 + at) });
        })
    });
    let objects: Vec<Value> = [pool("default", |_| ())].into_iter().chain(shapes).collect();
    assert_eq!(placed_and_not(&planned(with_class(&objects)).plan()), (SHAPES * 10, 0));
}

#[test]
fn pods_are_spread_over_a_thousand_values_that_a_node_pool_allows() {
    let racks: Vec<String> = (0..RACKS).map(|at| format!("r{at}")).collect();
    let requirements = json!([
        { "key": RACK, "operator": "In", "values": racks },
        { "key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m6i"] },
        { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"] },
    ]);
    let web =
        deployment("web", RACKS as u64 + 200, |spec| spec["topologySpreadConstraints"] = spread("web", RACK));
    let report = planned(with_class(&[pool_of("default", &requirements), web])).plan();
    assert_eq!(placed_and_not(&report), (RACKS + 200, 0));
    assert!(report.launches.len() >= RACKS, "a node in each rack, {} nodes", report.launches.len());
}

#[test]
fn pods_are_spread_over_a_thousand_nodes_that_are_there() {
    let nodes = (0..1_000).map(|at| {
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": format!("n{at}"), "labels": {
                RACK: format!("r{at}"), "kubernetes.io/hostname": format!("n{at}"),
                "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
            } },
            "spec": { "providerID": format!("aws:///us-east-1a/i-{at}") },
            "status": {
                "allocatable": { "cpu": "4", "memory": "16Gi", "pods": "50" },
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        })
    });
    let web = deployment("web", 1_200, |spec| spec["topologySpreadConstraints"] = spread("web", RACK));
    let objects: Vec<Value> = [pool("default", |_| ()), web].into_iter().chain(nodes).collect();
    let report = planned(with_class(&objects)).plan();
    assert_eq!((placed_and_not(&report), report.launches.len()), ((1_200, 0), 0));
}

#[test]
fn five_hundred_node_pools_get_a_plan() {
    let small = json!([
        { "key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m6i"] },
    ]);
    let alike = (0..500).map(|at| {
        let mut pool = pool_of(&format!("p{at}"), &small);
        pool["spec"]["weight"] = json!(1 + at % 100);
        pool
    });
    let objects: Vec<Value> = alike.chain([deployment("web", 20, |_| ())]).collect();
    assert_eq!(placed_and_not(&planned(with_class(&objects)).plan()), (20, 0));

    let tainted = (0..500).map(|at| {
        pool(&format!("p{at}"), |spec| {
            spec["template"]["spec"]["taints"] = json!([{ "key": format!("k{at}"), "effect": "NoSchedule" }]);
        })
    });
    let objects: Vec<Value> = tainted.chain([deployment("web", 3, |_| ())]).collect();
    let report = planned(with_class(&objects)).plan();
    assert_eq!(placed_and_not(&report), (0, 3));
    assert!(report.unplaced.iter().all(|pod| pod.node_pools.len() == 500), "a reason from every NodePool");
}

#[test]
fn two_hundred_daemon_sets_are_counted_on_every_node() {
    let daemons = (0..200).map(|at| {
        let mut daemon = deployment(&format!("d{at}"), 1, |spec| {
            spec["containers"][0]["resources"]["requests"] = json!({ "cpu": "10m", "memory": "10Mi" });
        });
        daemon["kind"] = json!("DaemonSet");
        daemon["spec"].as_object_mut().expect("a spec is an object").remove("replicas");
        daemon
    });
    let objects: Vec<Value> =
        [pool("default", |_| ()), deployment("web", 30, |_| ())].into_iter().chain(daemons).collect();
    assert_eq!(placed_and_not(&planned(with_class(&objects)).plan()), (30, 0));
}
