//! The CustomResourceDefinitions, for the API server and for the manifest reader.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::node_claim::NodeClaim;
use crate::node_class::Ec2NodeClass;
use crate::node_pool::NodePool;

/// The CustomResourceDefinitions of NodePool, NodeClaim and EC2NodeClass.
///
/// # Panics
///
/// When the types of this crate do not make a definition, which the tests rule out.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [NodePool::crd(), NodeClaim::crd(), Ec2NodeClass::crd()].into_iter().map(plain).collect()
}

/// The definitions as YAML, one document for each.
///
/// # Panics
///
/// As [`crds`].
#[must_use]
pub fn crds_yaml() -> String {
    crds().iter().map(|crd| format!("---\n{}", crd_yaml(crd))).collect()
}

/// One definition as YAML.
///
/// # Panics
///
/// When the definition cannot be serialized, which the tests rule out.
#[must_use]
pub fn crd_yaml(crd: &CustomResourceDefinition) -> String {
    let mut yaml = serde_saphyr::to_string(crd).expect("a definition is plain data");
    if !yaml.ends_with('\n') {
        yaml.push('\n');
    }
    yaml
}

/// The definition without `nullable`: for Kubernetes an absent field is simply not there, and a null is a mistake.
fn plain(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut value = serde_json::to_value(crd).expect("a definition is plain data");
    remove_nullable(&mut value);
    serde_json::from_value(value).expect("a definition without `nullable` is a definition")
}

fn remove_nullable(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("nullable").is_some_and(Value::is_boolean) {
                map.remove("nullable");
            }
            map.values_mut().for_each(remove_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nullable),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
