//! Amazon Linux 2023: a `NodeConfig` for nodeadm, which the image runs at its first boot.

use serde_json::{Value, json};

use super::{Input, LocalStorage, mime, pairs};

/// The type of a part that nodeadm reads.
const NODE_CONFIG: &str = "application/node.eks.aws";
const SHELL: &str = "text/x-shellscript; charset=\"us-ascii\"";

pub(super) fn user_data(input: &Input<'_>) -> Result<String, String> {
    let mut parts = own_parts(input.own.unwrap_or_default());
    // JSON is YAML, and has one way to write each value.
    let config = serde_json::to_string_pretty(&node_config(input)?).map_err(|error| error.to_string())?;
    parts.push(mime::Part::new(NODE_CONFIG, &config));
    Ok(mime::archive(&parts))
}

/// The user's own: parts of an archive, a NodeConfig, or a script.
fn own_parts(own: &str) -> Vec<mime::Part> {
    if own.trim().is_empty() {
        return Vec::new();
    }
    if mime::is_archive(own) {
        return mime::parts(own);
    }
    let is_config = own.lines().any(|line| line.trim_start().starts_with("apiVersion: node.eks.aws/"));
    vec![mime::Part::new(if is_config { NODE_CONFIG } else { SHELL }, own)]
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
