//! Bottlerocket: settings as TOML. What joining needs goes before the user's own; everything else of the user's stays.

use toml::{Table, Value};

use super::{Input, LocalStorage};

/// What pods write: images and layers, volumes, logs (Karpenter).
const DIRECTORIES: [&str; 3] = ["/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods"];

/// What is wrong and where, without the line itself: there may be a secret in it.
fn no_toml(error: toml::de::Error) -> String {
    let at = error.span().map(|span| format!(" at byte {}", span.start)).unwrap_or_default();
    format!("spec.userData is no TOML{at}: {}", error.message())
}

pub(super) fn user_data(input: &Input<'_>) -> Result<String, String> {
    let own = input.own.unwrap_or_default();
    let mut document: Table = own.parse().map_err(no_toml)?;
    let settings = table(&mut document, "settings")?;
    if input.local_storage == LocalStorage::Raid0 {
        // Before 1.46.0 `bind` alone binds nothing, and any version takes the directories.
        let bind: Vec<&str> = ["bind", "--dirs"].into_iter().chain(DIRECTORIES).collect();
        let command = [
            ("mode", Value::from("always")),
            ("essential", Value::from(true)),
            ("commands", Value::from(vec![storage(&["init"]), storage(&bind)])),
        ];
        let command: Table = command.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        table(settings, "bootstrap-commands")?
            .insert("000-mount-instance-storage".to_owned(), command.into());
    }
    kubernetes(table(settings, "kubernetes")?, input)?;
    toml::to_string(&document).map_err(|error| error.to_string())
}

fn storage(words: &[&str]) -> Value {
    let words = ["apiclient", "ephemeral-storage"].iter().chain(words);
    Value::from(words.map(|word| Value::from(*word)).collect::<Vec<_>>())
}

fn kubernetes(settings: &mut Table, input: &Input<'_>) -> Result<(), String> {
    let cluster = input.cluster;
    let mut put = |key: &str, value: Value| drop(settings.insert(key.to_owned(), value));
    put("cluster-name", cluster.name.clone().into());
    put("api-server", cluster.endpoint.clone().into());
    put("cluster-certificate", cluster.certificate.clone().into());
    put("max-pods", i64::try_from(input.max_pods).unwrap_or(i64::MAX).into());
    let kubelet = &input.kubelet;
    if let Some(dns) = kubelet.cluster_dns.first().or(cluster.dns.as_ref()) {
        put("cluster-dns-ip", dns.clone().into());
    }
    let texts = |values: &std::collections::BTreeMap<String, String>| -> Value {
        values.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect::<Table>().into()
    };
    let reserved = [("system-reserved", &kubelet.system_reserved), ("kube-reserved", &kubelet.kube_reserved)];
    for (key, values) in reserved {
        if let Some(values) = values {
            put(key, texts(&values.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect()));
        }
    }
    let thresholds = [
        ("eviction-hard", &kubelet.eviction_hard),
        ("eviction-soft", &kubelet.eviction_soft),
        ("eviction-soft-grace-period", &kubelet.eviction_soft_grace_period),
    ];
    for (key, values) in thresholds {
        if let Some(values) = values {
            put(key, texts(values));
        }
    }
    let numbers = [
        ("eviction-max-pod-grace-period", kubelet.eviction_max_pod_grace_period.map(Value::from)),
        (
            "image-gc-high-threshold-percent",
            kubelet.image_gc_high_threshold_percent.map(|share| share.to_string().into()),
        ),
        (
            "image-gc-low-threshold-percent",
            kubelet.image_gc_low_threshold_percent.map(|share| share.to_string().into()),
        ),
        ("cpu-cfs-quota-enforced", kubelet.cpu_cfs_quota.map(Value::from)),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            put(key, value);
        }
    }
    let labels = table(settings, "node-labels")?;
    labels.extend(input.labels.iter().map(|(key, value)| (key.clone(), value.clone().into())));
    let mut taints = Table::new();
    for taint in &input.taints {
        let entry = taints.entry(taint.key.clone()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(effects) = entry {
            effects.push(format!("{}:{:?}", taint.value, taint.effect).into());
        }
    }
    settings.insert("node-taints".to_owned(), taints.into());
    Ok(())
}

fn table<'a>(parent: &'a mut Table, key: &str) -> Result<&'a mut Table, String> {
    let entry = parent.entry(key.to_owned()).or_insert_with(|| Value::Table(Table::new()));
    entry.as_table_mut().ok_or_else(|| format!("spec.userData has {key} that is no table"))
}
