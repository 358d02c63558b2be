//! The CRDs of the chart are those of the types, and an API server can take them.

use std::path::Path;

use serde_json::Value;
use similar::TextDiff;
use whittle_api::crds::{crd_yaml, crds};

/// Set to write the chart's copies anew instead of comparing them.
const UPDATE: &str = "UPDATE_GOLDEN";

#[test]
fn the_chart_holds_the_crds_of_the_types() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/whittle-crd/crds");
    let mut differences = String::new();
    for crd in crds() {
        let name = crd.metadata.name.clone().unwrap();
        let path = directory.join(format!("{name}.yaml"));
        let wanted = crd_yaml(&crd);
        if std::env::var_os(UPDATE).is_some() {
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        if found != wanted {
            let diff = TextDiff::from_lines(&found, &wanted);
            differences.push_str(&diff.unified_diff().header(&name, "generated").to_string());
        }
    }
    assert!(differences.is_empty(), "run again with {UPDATE}=1 to accept:\n{differences}");
}

#[test]
fn the_crds_have_the_names_that_clusters_know() {
    let names: Vec<String> = crds().into_iter().filter_map(|crd| crd.metadata.name).collect();
    assert_eq!(
        names,
        ["nodepools.karpenter.sh", "nodeclaims.karpenter.sh", "ec2nodeclasses.karpenter.k8s.aws"]
    );
}

#[test]
fn a_node_pool_can_be_scaled() {
    let crd = serde_json::to_value(&crds()[0]).unwrap();
    let scale = &crd["spec"]["versions"][0]["subresources"]["scale"];
    let wanted =
        serde_json::json!({ "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.nodes" });
    assert_eq!(*scale, wanted);
}

/// The rules of the Kubernetes documentation for structural schemas: every part has a type, nothing is referred to, and
/// `anyOf` occurs only where a number or a text is meant.
#[test]
fn the_schemas_are_structural() {
    for crd in crds() {
        let value = serde_json::to_value(&crd).unwrap();
        let mut offences = Vec::new();
        offences_of(&value["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut offences);
        assert_eq!(offences, Vec::<String>::new(), "{:?}", crd.metadata.name);
    }
}

fn offences_of(schema: &Value, path: &str, offences: &mut Vec<String>) {
    let int_or_string = schema.get("x-kubernetes-int-or-string").is_some();
    if schema.get("type").is_none() && !int_or_string {
        offences.push(format!("{path}: no type"));
    }
    for word in ["$ref", "oneOf", "allOf", "not", "nullable", "definitions", "$defs"] {
        if schema.get(word).is_some() {
            offences.push(format!("{path}: {word}"));
        }
    }
    if schema.get("anyOf").is_some() && !int_or_string {
        offences.push(format!("{path}: anyOf"));
    }
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_some() {
        offences.push(format!("{path}: properties and additionalProperties"));
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        offences_of(property, &format!("{path}.{name}"), offences);
    }
    for part in ["items", "additionalProperties"] {
        if let Some(part_schema) = schema.get(part) {
            offences_of(part_schema, &format!("{path}[{part}]"), offences);
        }
    }
}
