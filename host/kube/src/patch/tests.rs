use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};
use whittle_api::node_claim::{NodeClaim, NodeClaimStatus};
use whittle_core::model::requirement::{Taint, TaintEffect};
use whittle_core::model::time::Timestamp;
use whittle_core::plan::Retaint;

use super::{cordoned, initialized, joined, labelled, opened, registered, released, retainted, uncordoned};

fn taint(key: &str, effect: &str) -> Value {
    json!({ "key": key, "effect": effect })
}

fn node(labels: Value, taints: Value) -> Node {
    let metadata = json!({ "name": "n", "resourceVersion": "7", "labels": labels });
    serde_json::from_value(json!({ "metadata": metadata, "spec": { "taints": taints } })).unwrap()
}

fn claim() -> NodeClaim {
    serde_json::from_value(json!({
        "metadata": {
            "name": "web-1", "uid": "u-1",
            "labels": { "karpenter.sh/nodepool": "web" }, "annotations": { "team": "a" },
        },
        "spec": {
            "taints": [taint("dedicated", "NoSchedule")],
            "startupTaints": [taint("starting", "NoExecute")],
            "requirements": [],
            "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
        },
    }))
    .unwrap()
}

#[test]
fn a_node_that_joins_gets_what_its_claim_says_and_stays_closed_until_it_is_opened() {
    let unregistered = taint("karpenter.sh/unregistered", "NoExecute");
    let dedicated = taint("dedicated", "NoSchedule");
    let before = node(json!({}), json!([unregistered, dedicated]));
    let owner = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": "web-1", "uid": "u-1",
        "blockOwnerDeletion": true,
    });
    let taints = json!([unregistered, dedicated, taint("starting", "NoExecute")]);
    let expected = json!({
        "metadata": {
            "resourceVersion": "7",
            "labels": { "karpenter.sh/nodepool": "web" },
            "annotations": { "team": "a" },
            "finalizers": ["karpenter.sh/termination"],
            "ownerReferences": [owner],
        },
        "spec": { "taints": taints },
    });
    assert_eq!(joined(&before, &claim()), expected);

    let expected = json!({
        "metadata": { "resourceVersion": "7", "labels": { "karpenter.sh/registered": "true" } },
        "spec": { "taints": [dedicated, taint("starting", "NoExecute")] },
    });
    assert_eq!(opened(&node(json!({}), taints)), expected);
}

#[test]
fn taints_are_not_given_a_second_time_and_not_to_nodes_that_ask_for_none() {
    for label in ["karpenter.sh/registered", "karpenter.sh/do-not-sync-taints"] {
        let patch = joined(&node(json!({ label: "true" }), json!([])), &claim());
        assert_eq!(patch["spec"], json!({ "taints": [] }), "{label}");
    }
    let patch = joined(&node(json!({ "karpenter.sh/do-not-sync-taints": "yes" }), json!([])), &claim());
    assert_eq!(patch["spec"]["taints"].as_array().map(Vec::len), Some(2));
}

#[test]
fn cordon_and_uncordon_undo_one_another_and_ask_for_nothing_twice() {
    let dedicated = taint("dedicated", "NoSchedule");
    let disrupted = taint("karpenter.sh/disrupted", "NoSchedule");
    let (open, closed) =
        (node(json!({}), json!([dedicated])), node(json!({}), json!([dedicated, disrupted])));
    assert_eq!(cordoned(&open).unwrap()["spec"]["taints"], json!([dedicated, disrupted]));
    assert_eq!(uncordoned(&closed).unwrap()["spec"]["taints"], json!([dedicated]));
    assert_eq!((cordoned(&closed), uncordoned(&open)), (None, None));
}

#[test]
fn a_claim_that_was_made_by_hand_is_held_once_it_has_an_instance_unless_it_goes_already() {
    let labels = [("zone".to_owned(), "a".to_owned())].into();
    let held = labelled(&claim(), &labels);
    let expected =
        json!({ "labels": { "zone": "a" }, "finalizers": [super::FINALIZER], "resourceVersion": null });
    assert_eq!(held["metadata"], expected);
    let mut ours = claim();
    ours.metadata.finalizers = Some(vec![super::FINALIZER.into()]);
    assert_eq!(labelled(&ours, &labels), json!({ "metadata": { "labels": { "zone": "a" } } }));
    let mut goes = claim();
    goes.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(labelled(&goes, &labels), json!({ "metadata": { "labels": { "zone": "a" } } }));
}

#[test]
fn letting_go_takes_our_finalizer_and_leaves_those_of_others() {
    let mut held = node(json!({}), json!([]));
    held.metadata.finalizers = Some(vec!["other".into(), super::FINALIZER.into()]);
    let expected = json!({ "metadata": { "resourceVersion": "7", "finalizers": ["other"] } });
    assert_eq!(released(&held.metadata), Some(expected));
    held.metadata.finalizers = Some(vec!["other".into()]);
    assert_eq!(released(&held.metadata), None);
}

#[test]
fn a_condition_keeps_the_time_of_its_last_transition() {
    let mut status = NodeClaimStatus::default();
    registered(&mut status, "n", Timestamp::from_millis(1_000));
    initialized(&mut status, Timestamp::from_millis(2_000));
    registered(&mut status, "n", Timestamp::from_millis(3_000));
    let since = |type_| whittle_api::conditions::true_since(&status.conditions, type_);
    let expected = [("Registered", 1_000), ("Initialized", 2_000), ("Ready", 2_000)];
    for (type_, millis) in expected {
        assert_eq!(since(type_), Some(Timestamp::from_millis(millis)), "{type_}");
    }
    assert_eq!(status.conditions.len(), 3);
}

#[test]
fn a_living_node_gets_and_loses_the_taints_that_are_meant_and_keeps_the_others() {
    let meant = |key: &str, value: &str| Taint {
        key: key.to_owned(),
        value: value.to_owned(),
        effect: TaintEffect::NoSchedule,
    };
    let retaint = Retaint {
        claim: "web-1".to_owned(),
        node: "n".to_owned(),
        add: vec![meant("quarantine", "noisy")],
        remove: vec![meant("burst", "")],
    };
    let other = taint("burst", "NoExecute");
    let before = node(json!({}), json!([taint("burst", "NoSchedule"), other]));
    let added = json!({ "key": "quarantine", "value": "noisy", "effect": "NoSchedule" });
    let expected = json!({
        "metadata": { "resourceVersion": "7" },
        "spec": { "taints": [other, added] },
    });
    assert_eq!(retainted(&before, &retaint), Some(expected));
    let done = node(json!({}), json!([other, added]));
    assert_eq!(retainted(&done, &retaint), None, "it is so already");
    let registered_with_taints = node(json!({ "karpenter.sh/do-not-sync-taints": "true" }), json!([]));
    assert!(retainted(&registered_with_taints, &retaint).is_some(), "that is about joining alone");
}
