//! Amazon Linux 2: a call of the image's `bootstrap.sh`, with the kubelet's settings as flags.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use whittle_api::node_class::kubelet::Kubelet;

use super::{Input, LocalStorage, begun, mime, pairs};

const SHELL: &str = "text/x-shellscript; charset=\"us-ascii\"";

pub(super) fn user_data(input: &Input<'_>) -> Result<String, String> {
    let own = begun(input.own.unwrap_or_default());
    let mut parts = match own.trim() {
        "" => Vec::new(),
        _ if mime::is_archive(own) => mime::parts(own)?,
        _ => vec![mime::Part::new(SHELL, own)],
    };
    parts.push(mime::Part::new(SHELL, &script(input)));
    Ok(mime::archive(&parts))
}

fn script(input: &Input<'_>) -> String {
    let cluster = input.cluster;
    let mut words = vec![
        format!("/etc/eks/bootstrap.sh '{}'", cluster.name),
        format!("--apiserver-endpoint '{}'", cluster.endpoint),
        format!("--b64-cluster-ca '{}'", cluster.certificate),
    ];
    let dns = input.kubelet.cluster_dns.first().or(cluster.dns.as_ref());
    words.extend(dns.map(|dns| format!("--dns-cluster-ip '{dns}'")));
    words.push("--use-max-pods false".to_owned());
    words.push(format!("--kubelet-extra-args '{}'", flags(input).join(" ")));
    if input.local_storage == LocalStorage::Raid0 {
        words.push("--local-disks raid0".to_owned());
    }
    format!(
        "#!/bin/bash -xe\nexec > >(tee /var/log/user-data.log|logger -t user-data -s 2>/dev/console) 2>&1\n{}",
        words.join(" \\\n  ")
    )
}

fn flags(input: &Input<'_>) -> Vec<String> {
    let taints: Vec<String> = input.taints.iter().map(ToString::to_string).collect();
    let mut flags = vec![
        format!("--node-labels=\"{}\"", pairs(&input.labels)),
        format!("--register-with-taints=\"{}\"", taints.join(",")),
        format!("--max-pods={}", input.max_pods),
    ];
    let Kubelet {
        cluster_dns: _,
        max_pods: _,
        pods_per_core,
        system_reserved,
        kube_reserved,
        eviction_hard,
        eviction_soft,
        eviction_soft_grace_period,
        eviction_max_pod_grace_period,
        image_gc_high_threshold_percent,
        image_gc_low_threshold_percent,
        cpu_cfs_quota,
    } = &input.kubelet;
    let number = |name: &str, value: &Option<i32>| value.map(|value| format!("--{name}={value}"));
    let list = |name: &str, sign: &str, values: &Option<BTreeMap<String, String>>| {
        let values = values.as_ref().filter(|values| !values.is_empty())?;
        let texts: Vec<String> = values.iter().map(|(key, value)| format!("{key}{sign}{value}")).collect();
        Some(format!("--{name}=\"{}\"", texts.join(",")))
    };
    let text = |values: &Option<BTreeMap<String, _>>| {
        values.as_ref().map(|values| {
            let own = |(key, value): (&String, &Quantity)| (key.clone(), value.0.clone());
            values.iter().map(own).collect()
        })
    };
    let more = [
        number("pods-per-core", pods_per_core),
        list("system-reserved", "=", &text(system_reserved)),
        list("kube-reserved", "=", &text(kube_reserved)),
        list("eviction-hard", "<", eviction_hard),
        list("eviction-soft", "<", eviction_soft),
        list("eviction-soft-grace-period", "=", eviction_soft_grace_period),
        number("eviction-max-pod-grace-period", eviction_max_pod_grace_period),
        number("image-gc-high-threshold", image_gc_high_threshold_percent),
        number("image-gc-low-threshold", image_gc_low_threshold_percent),
        cpu_cfs_quota.map(|quota| format!("--cpu-cfs-quota={quota}")),
    ];
    flags.extend(more.into_iter().flatten());
    flags
}
