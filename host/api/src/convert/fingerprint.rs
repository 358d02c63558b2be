//! Fingerprints: those that objects carry as annotations, and that of an EC2NodeClass.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use whittle_core::model::fingerprint::{Fingerprint, MadeFrom, Printer};
use whittle_core::model::labels::{
    NODE_CLASS_HASH, NODE_CLASS_HASH_VERSION, NODE_POOL_HASH, NODE_POOL_HASH_VERSION,
};

use super::node_class::ami_family;
use crate::node_class::Ec2NodeClassSpec;

/// What is selected rather than said: what was found for it is compared with the instances themselves.
const SELECTED: [&str; 7] = [
    "subnetSelectorTerms",
    "securityGroupSelectorTerms",
    "capacityReservationSelectorTerms",
    "placementGroupSelector",
    "amiSelectorTerms",
    // What the family comes to is taken in by itself, because an alias says it as well.
    "amiFamily",
    "ipPrefixCount",
];

/// The fingerprint of what instances of a class are given once and for all. The order in which lists are written is no
/// difference, and neither is a field that is not set: a field that is new to us adds nothing to classes without it.
#[must_use]
pub fn of_node_class(spec: &Ec2NodeClassSpec) -> Fingerprint {
    let mut printer = Printer::default();
    printer.take(format!("amiFamily={:?}", ami_family(spec)));
    // What was read from JSON can be written as JSON.
    if let Ok(Value::Object(fields)) = serde_json::to_value(spec) {
        let fields: BTreeMap<String, Value> = fields.into_iter().collect();
        for (name, value) in fields.iter().filter(|(name, _)| !SELECTED.contains(&name.as_str())) {
            printer.take(format!("{name}={}", canonical(value)));
        }
    }
    printer.print()
}

/// A value in the one way of many in which it can be written.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let set = fields.iter().filter(|(_, value)| !value.is_null());
            let mut lines: Vec<String> =
                set.map(|(name, value)| format!("{name:?}:{}", canonical(value))).collect();
            lines.sort_unstable();
            format!("{{{}}}", lines.join(","))
        }
        Value::Array(items) => {
            let mut lines: Vec<String> = items.iter().map(canonical).collect();
            lines.sort_unstable();
            format!("[{}]", lines.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// What a NodeClaim says that it was made from.
#[must_use]
pub fn made_from(claim: &ObjectMeta) -> MadeFrom {
    MadeFrom {
        node_pool: read(claim, (NODE_POOL_HASH, NODE_POOL_HASH_VERSION)),
        node_class: read(claim, (NODE_CLASS_HASH, NODE_CLASS_HASH_VERSION)),
    }
}

/// A fingerprint that an object carries, with the annotations of its hash and of its version.
#[must_use]
pub fn read(object: &ObjectMeta, (hash, version): (&str, &str)) -> Option<Fingerprint> {
    let annotations = object.annotations.as_ref()?;
    let text = |key: &str| annotations.get(key).cloned();
    Some(Fingerprint { version: text(version)?, hash: text(hash)? })
}

/// The annotations that say what a NodeClaim was made from.
#[must_use]
pub fn annotations(made_from: &MadeFrom) -> BTreeMap<String, String> {
    let pool = (NODE_POOL_HASH, NODE_POOL_HASH_VERSION, made_from.node_pool.as_ref());
    let class = (NODE_CLASS_HASH, NODE_CLASS_HASH_VERSION, made_from.node_class.as_ref());
    let mut annotations = BTreeMap::new();
    for (hash, version, fingerprint) in [pool, class] {
        if let Some(fingerprint) = fingerprint {
            annotations.insert(hash.to_owned(), fingerprint.hash.clone());
            annotations.insert(version.to_owned(), fingerprint.version.clone());
        }
    }
    annotations
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use whittle_core::model::fingerprint::Fingerprint;

    use super::of_node_class;

    fn printed(change: fn(&mut Value)) -> Fingerprint {
        let mut spec = json!({
            "subnetSelectorTerms": [{ "tags": { "a": "b" } }],
            "securityGroupSelectorTerms": [{ "tags": { "a": "b" } }],
            "amiSelectorTerms": [{ "alias": "al2023@latest" }],
            "role": "nodes",
            "tags": { "team": "shop" },
            "blockDeviceMappings": [
                { "deviceName": "/dev/xvda", "ebs": { "volumeSize": "20Gi" } },
                { "deviceName": "/dev/xvdb", "ebs": { "volumeSize": "50Gi" } },
            ],
            "kubelet": { "maxPods": 50 },
        });
        change(&mut spec);
        of_node_class(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn the_fingerprint_of_a_class_is_the_same_in_every_release_of_this_version() {
        let expected = Fingerprint { version: "whittle-v1".into(), hash: "48d2862f274e258c".into() };
        assert_eq!(printed(|_| {}), expected);
    }

    #[test]
    fn what_instances_are_given_changes_it_and_what_is_selected_does_not() {
        let before = printed(|_| {});
        let given: [fn(&mut Value); 9] = [
            |spec| spec["role"] = json!("others"),
            |spec| spec["tags"]["team"] = json!("other"),
            |spec| spec["userData"] = json!("#!/bin/sh"),
            |spec| spec["kubelet"]["maxPods"] = json!(60),
            |spec| spec["blockDeviceMappings"][0]["ebs"]["volumeSize"] = json!("30Gi"),
            |spec| spec["associatePublicIPAddress"] = json!(true),
            |spec| spec["detailedMonitoring"] = json!(true),
            |spec| spec["instanceStorePolicy"] = json!("RAID0"),
            |spec| spec["amiSelectorTerms"] = json!([{ "alias": "bottlerocket@latest" }]),
        ];
        for (position, change) in given.into_iter().enumerate() {
            assert_ne!(printed(change), before, "change {position}");
        }
        let selected: [fn(&mut Value); 6] = [
            |spec| spec["subnetSelectorTerms"] = json!([{ "id": "subnet-1" }]),
            |spec| spec["securityGroupSelectorTerms"] = json!([{ "id": "sg-1" }]),
            |spec| spec["amiSelectorTerms"] = json!([{ "alias": "al2023@v20260101" }]),
            |spec| spec["amiFamily"] = json!("AL2023"),
            |spec| spec["ipPrefixCount"] = json!(1),
            |spec| spec["blockDeviceMappings"].as_array_mut().unwrap().reverse(),
        ];
        for (position, change) in selected.into_iter().enumerate() {
            assert_eq!(printed(change), before, "change {position}");
        }
    }
}
