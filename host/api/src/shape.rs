//! Parts of schemas that the derive cannot say: patterns on the values of maps, quantities, plain integers.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::rules;

/// A label's key: an optional DNS subdomain, a slash and a name.
pub(crate) const LABEL_KEY: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*(\/))?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$";
/// A label's value: empty, or a name.
pub(crate) const LABEL_VALUE: &str = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
/// A Kubernetes quantity.
pub(crate) const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";
/// A quantity, or a share in percent.
pub(crate) const QUANTITY_OR_PERCENT: &str = r"^((\d{1,2}(\.\d{1,2})?|100(\.0{1,2})?)%|(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?)$";
/// A span of time in whole hours, minutes and seconds.
pub(crate) const DURATION: &str = r"^([0-9]+(s|m|h))+$";
/// As [`DURATION`], or without an end.
pub(crate) const DURATION_OR_NEVER: &str = r"^(([0-9]+(s|m|h))+|Never)$";

fn integer(format: &str) -> Schema {
    json_schema!({ "type": "integer", "format": format })
}

/// An integer of 32 bits.
pub(crate) fn int32(_: &mut SchemaGenerator) -> Schema {
    integer("int32")
}

/// An integer of 64 bits.
pub(crate) fn int64(_: &mut SchemaGenerator) -> Schema {
    integer("int64")
}

/// Quantities by resource name. Kubernetes takes numbers and texts for a quantity.
pub(crate) fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "pattern": QUANTITY,
            "x-kubernetes-int-or-string": true,
        },
    })
}

/// The labels that a NodePool gives its nodes.
pub(crate) fn pool_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 100,
        "additionalProperties": { "type": "string", "maxLength": 63, "pattern": LABEL_VALUE },
        "x-kubernetes-validations": [
            { "rule": rules::POOL_KEYS, "message": rules::KARPENTER_DOMAIN },
            { "rule": rules::NOT_NODE_POOL_KEYS, "message": rules::NOT_NODE_POOL },
            { "rule": rules::NOT_HOSTNAME_KEYS, "message": rules::NOT_HOSTNAME },
            { "rule": rules::aws_keys(), "message": rules::AWS_DOMAIN },
        ],
    })
}

/// The key of a requirement of a NodePool.
pub(crate) fn pool_requirement_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 316,
        "pattern": LABEL_KEY,
        "x-kubernetes-validations": [
            { "rule": rules::POOL_KEY, "message": rules::KARPENTER_DOMAIN },
            { "rule": rules::NOT_NODE_POOL_KEY, "message": rules::NOT_NODE_POOL },
            { "rule": rules::NOT_HOSTNAME_KEY, "message": rules::NOT_HOSTNAME },
            { "rule": rules::aws_key(), "message": rules::AWS_DOMAIN },
        ],
    })
}

/// The key of a requirement of a NodeClaim.
pub(crate) fn claim_requirement_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 316,
        "pattern": LABEL_KEY,
        "x-kubernetes-validations": [
            { "rule": rules::CLAIM_KEY, "message": rules::KARPENTER_DOMAIN },
            { "rule": rules::NOT_HOSTNAME_KEY, "message": rules::NOT_HOSTNAME },
            { "rule": rules::aws_key(), "message": rules::AWS_DOMAIN },
        ],
    })
}

/// The values of a requirement.
pub(crate) fn requirement_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "string", "maxLength": 63, "pattern": LABEL_VALUE },
        "x-kubernetes-list-type": "atomic",
    })
}

/// A taint's key.
pub(crate) fn taint_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "pattern": LABEL_KEY })
}

/// A taint's value: by Kubernetes a label's value, and by the released CRD also a label's key.
pub(crate) fn taint_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": format!("{LABEL_VALUE}|{LABEL_KEY}") })
}

/// Tags by which AWS resources are selected; `*` stands for every value.
pub(crate) fn selector_tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": { "type": "string" },
        "x-kubernetes-validations": [
            { "rule": "self.all(k, k != '' && self[k] != '')", "message": "no tag with an empty key or an empty value" },
        ],
    })
}

/// Tags for what is made from an EC2NodeClass.
pub(crate) fn node_class_tags(_: &mut SchemaGenerator) -> Schema {
    let keys = [
        ("k != 'eks:eks-cluster-name'", "no tag eks:eks-cluster-name, which is set for every cluster"),
        (
            "!k.startsWith('kubernetes.io/cluster')",
            "no tag that begins with kubernetes.io/cluster, which is set for every cluster",
        ),
        ("k != 'karpenter.sh/nodepool'", "no tag karpenter.sh/nodepool, which is set for every node"),
        ("k != 'karpenter.sh/nodeclaim'", "no tag karpenter.sh/nodeclaim, which is set for every node"),
        (
            "k != 'karpenter.k8s.aws/ec2nodeclass'",
            "no tag karpenter.k8s.aws/ec2nodeclass, which is set for every node",
        ),
    ];
    let empty = ("k != ''", "no tag with an empty key");
    let rules: Vec<_> = [empty]
        .into_iter()
        .chain(keys)
        .map(|(rule, message)| serde_json::json!({ "rule": format!("self.all(k, {rule})"), "message": message }))
        .collect();
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string" },
        "x-kubernetes-validations": rules,
    })
}
