//! Amazon Linux 2023: a `NodeConfig` for nodeadm, which the image runs at its first boot.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Input, LocalStorage, begun, mime, pairs};

/// The type of a part that nodeadm reads.
const NODE_CONFIG: &str = "application/node.eks.aws";
const SHELL: &str = "text/x-shellscript; charset=\"us-ascii\"";
/// What every version of nodeadm's documents begins with.
const GROUP: &str = "node.eks.aws/";

pub(super) fn user_data(input: &Input<'_>) -> Result<String, String> {
    let mut parts = own_parts(begun(input.own.unwrap_or_default()))?;
    // JSON is YAML, and has one way to write each value.
    let config = serde_json::to_string_pretty(&node_config(input)?).map_err(|error| error.to_string())?;
    parts.push(mime::Part::new(NODE_CONFIG, &config));
    Ok(mime::archive(&parts))
}

/// The user's own: parts of an archive, a NodeConfig, or a script.
fn own_parts(own: &str) -> Result<Vec<mime::Part>, String> {
    if own.trim().is_empty() {
        return Ok(Vec::new());
    }
    if mime::is_archive(own) {
        return mime::parts(own);
    }
    let kind = if is_config(own) { NODE_CONFIG } else { SHELL };
    Ok(vec![mime::Part::new(kind, own)])
}

/// Whether a text is a NodeConfig, in YAML or in JSON, and no script that writes one.
fn is_config(own: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        api_version: String,
    }
    if own.starts_with("#!") {
        return false;
    }
    serde_saphyr::from_str::<Head>(own).map_or_else(
        // With a mistake in it, it is nodeadm that has to tell.
        |_| own.lines().any(|line| line.trim_start().starts_with(&format!("apiVersion: {GROUP}"))),
        |head| head.api_version.starts_with(GROUP),
    )
}

fn node_config(input: &Input<'_>) -> Result<Value, String> {
    let cluster = input.cluster;
    let cidr = cluster.cidr.as_ref().ok_or("the CIDR of the cluster's services is not known")?;
    let mut kubelet = serde_json::to_value(&input.kubelet).map_err(|error| error.to_string())?;
    kubelet["maxPods"] = json!(input.max_pods);
    let dns = cluster.dns.as_ref().filter(|_| input.kubelet.cluster_dns.is_empty());
    if let Some(dns) = dns {
        kubelet["clusterDNS"] = json!([dns]);
    }
    let taints = input.taints.iter().map(|taint| {
        let mut written = json!({ "key": taint.key, "effect": format!("{:?}", taint.effect) });
        if !taint.value.is_empty() {
            written["value"] = json!(taint.value);
        }
        written
    });
    kubelet["registerWithTaints"] = taints.collect();
    let mut spec = json!({
        "cluster": {
            "name": cluster.name,
            "apiServerEndpoint": cluster.endpoint,
            "certificateAuthority": cluster.certificate,
            "cidr": cidr,
        },
        "kubelet": { "config": kubelet, "flags": [format!("--node-labels={}", pairs(&input.labels))] },
    });
    match input.local_storage {
        LocalStorage::Left => {}
        LocalStorage::Raid0 => spec["instance"] = json!({ "localStorage": { "strategy": "RAID0" } }),
    }
    Ok(json!({ "apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": spec }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_config_is_told_from_a_script_however_it_is_written() {
        let cases = [
            ("apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\n", true),
            ("---\r\n# ours\r\nkind: NodeConfig\r\napiVersion: \"node.eks.aws/v1alpha1\"\r\n", true),
            ("'apiVersion' : 'node.eks.aws/v1'\n", true),
            ("{\"kind\":\"NodeConfig\",\"apiVersion\":\"node.eks.aws/v1alpha1\"}", true),
            ("{\n\t\"apiVersion\": \"node.eks.aws/v1alpha1\",\n\t\"spec\": {}\n}", true),
            ("apiVersion: node.eks.aws/v1alpha1\nspec: {{ no yaml\n", true),
            ("apiVersion: v1\nkind: Pod\n", false),
            ("echo own\n", false),
            ("#!/bin/sh\ncat <<E\napiVersion: node.eks.aws/v1alpha1\nE\n", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_config(text), expected, "{text}");
        }
    }
}
