//! Every CEL rule and every limit of the custom resources, broken once: the message says what is expected where.

#[path = "rules/cases.rs"]
mod cases;

use serde_json::{Value, json};
use whittle_api::manifest::{File, parse};

use cases::{LABELS, REQUIREMENTS, Table, node_class, node_pool, requirement, with};

/// All problems as `path: expected`.
fn problems(object: &Value) -> Vec<String> {
    let manifests = parse(&[File { name: "x.json".into(), text: object.to_string() }]);
    let problems = manifests.problems.iter();
    problems.map(|problem| format!("{}: {}", problem.defect.path, problem.defect.expected)).collect()
}

fn assert_broken(table: &Table) {
    assert_eq!(problems(&table.base), Vec::<String>::new(), "the base has no problem");
    for case in &table.cases {
        let (pointer, value) = (case.pointer, &case.value);
        let broken = with(table.base.clone(), pointer, value.clone());
        assert_eq!(problems(&broken), [case.expected.as_str()], "{pointer} = {value}");
    }
}

#[test]
fn every_rule_of_a_node_pool_is_held() {
    assert_broken(&cases::node_pools());
    let domain = "no label of the domain karpenter.sh other than karpenter.sh/capacity-type";
    let pool = "a label other than karpenter.sh/nodepool, which follows from the NodePool";
    let key = "spec.template.spec.requirements[0].key";
    let label = "spec.template.metadata.labels";
    let own = requirement("karpenter.sh/nodepool", "Exists", json!([]));
    let wanted = [format!("{key}: {pool}"), format!("{key}: {domain}")];
    assert_eq!(problems(&with(node_pool(), REQUIREMENTS, own)), wanted);
    let wanted = [format!("{label}: {pool}"), format!("{label}: {domain}")];
    assert_eq!(problems(&with(node_pool(), LABELS, json!({ "karpenter.sh/nodepool": "x" }))), wanted);
    let mut fixed = with(node_pool(), "/spec/limits", json!({ "nodes": 3 }));
    fixed = with(with(fixed, "/spec/replicas", json!(2)), "/spec/weight", json!(2));
    assert_eq!(problems(&fixed), ["spec: no 'weight' in a NodePool with 'replicas'"]);
    let negative = with(with(node_pool(), "/spec/limits", Value::Null), "/spec/replicas", json!(-1));
    assert_eq!(problems(&negative), ["spec.replicas: a number not below 0"]);
}

#[test]
fn every_rule_of_a_node_claim_is_held() {
    assert_broken(&cases::node_claims());
}

#[test]
fn every_rule_of_what_a_node_class_selects_is_held() {
    assert_broken(&cases::selections());
}

#[test]
fn every_rule_of_a_node_class_as_a_whole_is_held() {
    assert_broken(&cases::whole_node_classes());
    let family = with(node_class(), "/spec/amiFamily", json!("Bottlerocket"));
    assert_eq!(problems(&family), ["spec: 'amiFamily' to be the family of the 'alias', or 'Custom'"]);
    for family in ["AL2023", "Custom"] {
        assert_eq!(problems(&with(node_class(), "/spec/amiFamily", json!(family))), Vec::<String>::new());
    }
}

#[test]
fn every_rule_of_disks_and_kubelets_is_held() {
    assert_broken(&cases::disks_and_kubelets());
    let (disks, kubelet) = ("/spec/blockDeviceMappings", "/spec/kubelet");
    let size = "spec.blockDeviceMappings[0].ebs.volumeSize: a text that matches";
    for volume_size in ["0Gi", "59001Gi", "64001G", "59Ti", "65T", "8", "8Mi", "1.5Gi"] {
        let class = with(node_class(), disks, json!([{ "ebs": { "volumeSize": volume_size } }]));
        assert!(problems(&class).iter().all(|problem| problem.starts_with(size)), "{volume_size}");
        assert_eq!(problems(&class).len(), 1, "{volume_size}");
    }
    for volume_size in ["1Gi", "59000Gi", "64000G", "9Ti", "19Ti", "58Ti", "64T"] {
        let class = with(node_class(), disks, json!([{ "ebs": { "volumeSize": volume_size } }]));
        assert_eq!(problems(&class), Vec::<String>::new(), "{volume_size}");
    }
    let negative = with(node_class(), kubelet, json!({ "systemReserved": { "cpu": "-1" } }));
    let wanted = ["spec.kubelet.systemReserved: no negative quantity"];
    assert_eq!(problems(&negative), wanted);
}
