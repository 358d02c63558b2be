//! Which kinds are read, and in which version.

use super::structure::Origin;

/// A kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The API group and version.
    pub(super) api_version: &'static str,
    /// Other groups that had the same kind before.
    former_groups: &'static [&'static str],
}

const fn kind(name: &'static str, api_version: &'static str) -> Kind {
    Kind { name, api_version, former_groups: &[] }
}

const fn moved_kind(
    name: &'static str,
    api_version: &'static str,
    former_groups: &'static [&'static str],
) -> Kind {
    Kind { name, api_version, former_groups }
}

const KINDS: [Kind; 19] = [
    kind("NodePool", "karpenter.sh/v1"),
    kind("NodeClaim", "karpenter.sh/v1"),
    kind("EC2NodeClass", "karpenter.k8s.aws/v1"),
    moved_kind("Deployment", "apps/v1", &["extensions"]),
    moved_kind("ReplicaSet", "apps/v1", &["extensions"]),
    kind("StatefulSet", "apps/v1"),
    moved_kind("DaemonSet", "apps/v1", &["extensions"]),
    kind("Job", "batch/v1"),
    kind("CronJob", "batch/v1"),
    kind("Pod", "v1"),
    kind("Node", "v1"),
    kind("PodDisruptionBudget", "policy/v1"),
    kind("PersistentVolumeClaim", "v1"),
    kind("PersistentVolume", "v1"),
    kind("StorageClass", "storage.k8s.io/v1"),
    kind("CSINode", "storage.k8s.io/v1"),
    kind("Service", "v1"),
    kind("PriorityClass", "scheduling.k8s.io/v1"),
    kind("Namespace", "v1"),
];

/// Kinds that Karpenter had before, with what took their place.
const REPLACED: [(&str, &str, &str); 3] = [
    ("karpenter.sh", "Provisioner", "a NodePool of karpenter.sh/v1, which took the place of Provisioner"),
    ("karpenter.sh", "Machine", "a NodeClaim of karpenter.sh/v1, which took the place of Machine"),
    (
        "karpenter.k8s.aws",
        "AWSNodeTemplate",
        "an EC2NodeClass of karpenter.k8s.aws/v1, which took the place of AWSNodeTemplate",
    ),
];

/// What to do with an object of some API version and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Read it.
    As(Kind),
    /// Its version is not understood; what is expected instead.
    Outdated(String),
    /// It means nothing here.
    Skip,
}

pub(super) fn reading(api_version: &str, name: &str) -> Reading {
    let group = group(api_version);
    if let Some((_, _, expected)) = REPLACED.iter().find(|(of, kind, _)| *of == group && *kind == name) {
        return Reading::Outdated((*expected).to_owned());
    }
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else { return Reading::Skip };
    if kind.api_version == api_version {
        Reading::As(*kind)
    } else if self::group(kind.api_version) == group || kind.former_groups.contains(&group) {
        Reading::Outdated(kind.api_version.to_owned())
    } else {
        Reading::Skip
    }
}

impl Kind {
    /// Who made the kind's schema.
    pub(super) fn origin(&self) -> Origin {
        if group(self.api_version).starts_with("karpenter.") { Origin::Custom } else { Origin::Kubernetes }
    }

    /// Whether objects of this kind are in a namespace.
    pub(super) fn is_namespaced(&self) -> bool {
        !matches!(
            self.name,
            "NodePool"
                | "NodeClaim"
                | "EC2NodeClass"
                | "Node"
                | "PersistentVolume"
                | "StorageClass"
                | "CSINode"
                | "PriorityClass"
                | "Namespace"
        )
    }
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::{Reading, reading};

    #[test]
    fn a_kind_is_read_in_its_version_only() {
        assert!(matches!(reading("karpenter.sh/v1", "NodePool"), Reading::As(_)));
        assert_eq!(reading("karpenter.sh/v1beta1", "NodePool"), Reading::Outdated("karpenter.sh/v1".into()));
        assert_eq!(reading("extensions/v1beta1", "Deployment"), Reading::Outdated("apps/v1".into()));
        assert_eq!(reading("policy/v1beta1", "PodDisruptionBudget"), Reading::Outdated("policy/v1".into()));
        assert!(matches!(reading("karpenter.sh/v1alpha5", "Provisioner"), Reading::Outdated(_)));
    }

    #[test]
    fn the_same_word_in_another_group_is_another_kind() {
        assert_eq!(reading("longhorn.io/v1beta2", "Node"), Reading::Skip);
        assert_eq!(reading("batch.volcano.sh/v1alpha1", "Job"), Reading::Skip);
        assert_eq!(reading("v1", "ConfigMap"), Reading::Skip);
        assert_eq!(reading("karpenter.sh/v1alpha1", "NodeOverlay"), Reading::Skip);
    }
}
