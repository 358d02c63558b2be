//! The CEL rules that several custom resources share.
//!
//! A rule is data: it goes into the CRD for the API server, and the manifest reader evaluates the same text.

/// Label keys of `karpenter.sh` and its subdomains that a NodePool may set or require.
pub(crate) const POOL_KEYS: &str =
    r#"self.all(x, x == "karpenter.sh/capacity-type" || !x.find("^([^/]+)").endsWith("karpenter.sh"))"#;
/// As [`POOL_KEYS`], for one key.
pub(crate) const POOL_KEY: &str =
    r#"self == "karpenter.sh/capacity-type" || !self.find("^([^/]+)").endsWith("karpenter.sh")"#;
/// As [`POOL_KEY`] in a NodeClaim, which names its NodePool as well.
pub(crate) const CLAIM_KEY: &str = r#"self in ["karpenter.sh/capacity-type", "karpenter.sh/nodepool"] || !self.find("^([^/]+)").endsWith("karpenter.sh")"#;
/// What the rules above allow.
pub(crate) const KARPENTER_DOMAIN: &str =
    "no label of the domain karpenter.sh other than karpenter.sh/capacity-type";

/// No label map may set the pool's own label.
pub(crate) const NOT_NODE_POOL_KEYS: &str = r#"self.all(x, x != "karpenter.sh/nodepool")"#;
/// As [`NOT_NODE_POOL_KEYS`], for one key.
pub(crate) const NOT_NODE_POOL_KEY: &str = r#"self != "karpenter.sh/nodepool""#;
/// What the rules above allow.
pub(crate) const NOT_NODE_POOL: &str =
    "a label other than karpenter.sh/nodepool, which follows from the NodePool";

/// No label map may set the hostname.
pub(crate) const NOT_HOSTNAME_KEYS: &str = r#"self.all(x, x != "kubernetes.io/hostname")"#;
/// As [`NOT_HOSTNAME_KEYS`], for one key.
pub(crate) const NOT_HOSTNAME_KEY: &str = r#"self != "kubernetes.io/hostname""#;
/// What the rules above allow.
pub(crate) const NOT_HOSTNAME: &str =
    "a label other than kubernetes.io/hostname, which every node has of its own";

/// What the rules of [`aws_key`] and [`aws_keys`] allow.
pub(crate) const AWS_DOMAIN: &str = "no label of the domain karpenter.k8s.aws other than the documented ones, such as karpenter.k8s.aws/instance-family";

/// The labels of the domain `karpenter.k8s.aws` that have a meaning.
pub(crate) const AWS_LABELS: [&str; 29] = [
    "capacity-reservation-id",
    "capacity-reservation-interruptible",
    "capacity-reservation-type",
    "ec2nodeclass",
    "instance-accelerator-count",
    "instance-accelerator-manufacturer",
    "instance-accelerator-name",
    "instance-capability-flex",
    "instance-category",
    "instance-cpu",
    "instance-cpu-manufacturer",
    "instance-cpu-sustained-clock-speed-mhz",
    "instance-ebs-bandwidth",
    "instance-encryption-in-transit-supported",
    "instance-family",
    "instance-generation",
    "instance-gpu-count",
    "instance-gpu-manufacturer",
    "instance-gpu-memory",
    "instance-gpu-name",
    "instance-hypervisor",
    "instance-local-nvme",
    "instance-memory",
    "instance-network-bandwidth",
    "instance-size",
    "instance-tenancy",
    "nitro-sandbox",
    "placement-group-id",
    "placement-group-partition",
];

/// The rule that one key is no unknown label of `karpenter.k8s.aws`.
pub(crate) fn aws_key() -> String {
    format!(r#"self in {} || !self.find("^([^/]+)").endsWith("karpenter.k8s.aws")"#, aws_labels())
}

/// The rule that no key of a map is an unknown label of `karpenter.k8s.aws`.
pub(crate) fn aws_keys() -> String {
    format!(r#"self.all(x, x in {} || !x.find("^([^/]+)").endsWith("karpenter.k8s.aws"))"#, aws_labels())
}

fn aws_labels() -> String {
    let labels: Vec<String> =
        AWS_LABELS.iter().map(|label| format!(r#""karpenter.k8s.aws/{label}""#)).collect();
    format!("[{}]", labels.join(", "))
}

/// An `In` requirement lists a value.
pub(crate) const IN_HAS_VALUES: &str =
    "self.all(x, x.operator == 'In' ? has(x.values) && x.values.size() != 0 : true)";
/// What [`IN_HAS_VALUES`] asks for.
pub(crate) const IN_HAS_VALUES_MESSAGE: &str = "at least one value for every requirement with operator 'In'";
/// A comparison names one non-negative integer.
pub(crate) const COMPARISON_HAS_INTEGER: &str = "self.all(x, x.operator in ['Gt', 'Lt', 'Gte', 'Lte'] ? has(x.values) && x.values.size() == 1 && int(x.values[0]) >= 0 : true)";
/// What [`COMPARISON_HAS_INTEGER`] asks for.
pub(crate) const COMPARISON_HAS_INTEGER_MESSAGE: &str = "exactly one integer, not negative, as the value of every requirement with operator 'Gt', 'Lt', 'Gte' or 'Lte'";
/// An `In` requirement lists as many values as must remain.
pub(crate) const ENOUGH_VALUES: &str = "self.all(x, x.operator == 'In' && has(x.minValues) ? has(x.values) && x.values.size() >= x.minValues : true)";
/// What [`ENOUGH_VALUES`] asks for.
pub(crate) const ENOUGH_VALUES_MESSAGE: &str =
    "at least 'minValues' values for every requirement with operator 'In' that has 'minValues'";

/// A value stays what it was made with.
pub(crate) const IMMUTABLE: &str = "self == oldSelf";
/// A text is not empty.
pub(crate) const NOT_EMPTY: &str = "self != ''";
