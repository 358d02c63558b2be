//! The names of labels, annotations, taints and values that carry meaning.
//!
//! Sources: Kubernetes "Well-Known Labels, Annotations and Taints"; Karpenter's API reference.

/// The zone a node is in.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// The zone's account-independent id.
pub const ZONE_ID: &str = "topology.k8s.aws/zone-id";
/// The region a node is in.
pub const REGION: &str = "topology.kubernetes.io/region";
/// The node's own name.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// The EC2 instance type.
pub const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
/// The letters before the generation in a type's name: `m`, `c`, `t`, ….
pub const INSTANCE_CATEGORY: &str = "karpenter.k8s.aws/instance-category";
/// How many GPUs an instance has.
pub const GPU_COUNT: &str = "karpenter.k8s.aws/instance-gpu-count";
/// How many accelerators that are no GPUs an instance has.
pub const ACCELERATOR_COUNT: &str = "karpenter.k8s.aws/instance-accelerator-count";
/// The processor architecture: `amd64` or `arm64`.
pub const ARCH: &str = "kubernetes.io/arch";
/// The operating system: `linux` or `windows`.
pub const OS: &str = "kubernetes.io/os";
/// How the capacity is bought: `spot`, `on-demand` or `reserved`.
pub const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
/// The capacity reservation that an instance was bought from.
pub const RESERVATION_ID: &str = "karpenter.k8s.aws/capacity-reservation-id";
/// How that reservation was bought: `default` or `capacity-block`.
pub const RESERVATION_TYPE: &str = "karpenter.k8s.aws/capacity-reservation-type";
/// The NodePool a node belongs to.
pub const NODE_POOL: &str = "karpenter.sh/nodepool";
/// The EC2NodeClass a node was made from.
pub const NODE_CLASS: &str = "karpenter.k8s.aws/ec2nodeclass";
/// What the labels of instance types begin with (Karpenter).
pub const INSTANCE_PREFIX: &str = "karpenter.k8s.aws/instance-";
/// Whether the instance is on shared or dedicated hardware.
pub const TENANCY: &str = "karpenter.k8s.aws/instance-tenancy";
/// A Node with this label has registered with all of its taints: those that are missing when it joins were taken off by
/// whoever they were for.
pub const DO_NOT_SYNC_TAINTS: &str = "karpenter.sh/do-not-sync-taints";
/// Set once the node has joined and carries its labels and taints.
pub const REGISTERED: &str = "karpenter.sh/registered";
/// Set once the node is ready for its pods.
pub const INITIALIZED: &str = "karpenter.sh/initialized";

/// On a pod, Node or NodeClaim: leave me alone.
pub const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";
/// On a pod: what its removal costs relative to its siblings.
pub const POD_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// On a NodeClaim: whether its NodePool's `minValues` had to be lowered for it, `true` or `false`.
pub const MIN_VALUES_RELAXED: &str = "karpenter.sh/nodeclaim-min-values-relaxed";

/// The fingerprint of a NodePool's template: on the NodePool as it is, on a NodeClaim as it was.
pub const NODE_POOL_HASH: &str = "karpenter.sh/nodepool-hash";
/// How that fingerprint was made.
pub const NODE_POOL_HASH_VERSION: &str = "karpenter.sh/nodepool-hash-version";
/// The fingerprint of an EC2NodeClass: on the class as it is, on a NodeClaim as it was.
pub const NODE_CLASS_HASH: &str = "karpenter.k8s.aws/ec2nodeclass-hash";
/// How that fingerprint was made.
pub const NODE_CLASS_HASH_VERSION: &str = "karpenter.k8s.aws/ec2nodeclass-hash-version";
/// On a NodeClaim that ends: when its drain must be over.
pub const TERMINATION_TIMESTAMP: &str = "karpenter.sh/nodeclaim-termination-timestamp";

/// The finalizer that keeps a NodeClaim, and its Node, until the instance is gone.
pub const TERMINATION_FINALIZER: &str = "karpenter.sh/termination";

/// The taint of a node that has not been registered yet.
pub const UNREGISTERED_TAINT: &str = "karpenter.sh/unregistered";
/// The taint of a node that is being taken away.
pub const DISRUPTED_TAINT: &str = "karpenter.sh/disrupted";
/// The taint that Kubernetes puts on a node that is not ready.
pub const NOT_READY_TAINT: &str = "node.kubernetes.io/not-ready";
/// The taint that Kubernetes puts on a node that it cannot reach.
pub const UNREACHABLE_TAINT: &str = "node.kubernetes.io/unreachable";
/// The taint of a node that its cloud provider has not initialized yet.
pub const UNINITIALIZED_TAINT: &str = "node.cloudprovider.kubernetes.io/uninitialized";
/// The prefix of taints that readiness gates put on a node.
pub const READINESS_TAINT_PREFIX: &str = "readiness.k8s.io/";

/// The name in force for a label key: older and provider-specific spellings are replaced by the stable one.
#[must_use]
pub fn normalized(key: &str) -> &str {
    match key {
        "failure-domain.beta.kubernetes.io/zone" | "topology.ebs.csi.aws.com/zone" => ZONE,
        "failure-domain.beta.kubernetes.io/region" => REGION,
        "beta.kubernetes.io/arch" => ARCH,
        "beta.kubernetes.io/os" => OS,
        "beta.kubernetes.io/instance-type" => INSTANCE_TYPE,
        other => other,
    }
}

/// The domains in which nobody but the autoscaler gives labels.
const RESTRICTED_DOMAINS: [&str; 2] = ["karpenter.sh", "karpenter.k8s.aws"];

/// Whether a label is in a domain of the autoscaler's own and none of those that it gives to new nodes, so that no
/// NodePool can promise it. Labels of Kubernetes' own domains may be promised.
#[must_use]
pub fn is_restricted(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let is_within = |restricted: &str| {
        domain.strip_suffix(restricted).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !is_well_known(key) && RESTRICTED_DOMAINS.into_iter().any(is_within)
}

/// Whether a label is one that every new node gets a value for, so that a pod may ask for it although no
/// NodePool mentions it.
#[must_use]
pub fn is_well_known(key: &str) -> bool {
    matches!(
        key,
        ZONE | ZONE_ID
            | REGION
            | INSTANCE_TYPE
            | ARCH
            | OS
            | CAPACITY_TYPE
            | NODE_POOL
            | "node.kubernetes.io/windows-build"
    ) || key.starts_with("karpenter.k8s.aws/")
}

#[cfg(test)]
mod tests {
    use super::is_restricted;

    #[test]
    fn only_labels_of_the_autoscalers_own_domains_are_restricted() {
        for key in
            ["karpenter.sh/custom", "karpenter.sh/initialized", "sub.karpenter.sh/x", "x.karpenter.k8s.aws/y"]
        {
            assert!(is_restricted(key), "{key}");
        }
        for key in [
            "karpenter.sh/nodepool",
            "karpenter.sh/capacity-type",
            "karpenter.k8s.aws/instance-cpu",
            "kubernetes.io/custom",
            "node.kubernetes.io/custom",
            "mykarpenter.sh/custom",
            "team",
        ] {
            assert!(!is_restricted(key), "{key}");
        }
    }
}
