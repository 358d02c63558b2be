//! EKS's own images: where SSM keeps their ids, by family, version of Kubernetes, architecture and variant.
//!
//! Pure. Sources: "Retrieve recommended AMI IDs" in the EKS user guide and in the documentation of Bottlerocket; which
//! variant is for which instance types is Karpenter's.

use whittle_api::node_class::AmiFamily;
use whittle_api::node_class::status::AmiRequirement;
use whittle_api::template::Operator;
use whittle_core::model::labels::{ACCELERATOR_COUNT, GPU_COUNT};

/// The first version of Kubernetes without images of AL2.
const WITHOUT_AL2: (u32, u32) = (1, 33);
/// The first version of Kubernetes with images of Windows Server 2025.
const WITH_WINDOWS_2025: (u32, u32) = (1, 35);

/// For which instance types an image is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Those without accelerators.
    Standard,
    /// Those with GPUs.
    Nvidia,
    /// Those with AWS's own accelerators.
    Neuron,
}

impl Variant {
    /// What its nodes are like.
    pub(crate) fn requirements(self) -> Vec<AmiRequirement> {
        let of = |key: &str, operator| AmiRequirement { key: key.to_owned(), operator, values: Vec::new() };
        match self {
            Self::Standard => {
                vec![of(ACCELERATOR_COUNT, Operator::DoesNotExist), of(GPU_COUNT, Operator::DoesNotExist)]
            }
            Self::Nvidia => vec![of(GPU_COUNT, Operator::Exists)],
            Self::Neuron => vec![of(ACCELERATOR_COUNT, Operator::Exists)],
        }
    }
}

/// A parameter of SSM that holds the id of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) path: String,
    /// The variants that this image is.
    pub(crate) variants: &'static [Variant],
}

const STANDARD: &[Variant] = &[Variant::Standard];
const ACCELERATED: &[Variant] = &[Variant::Neuron, Variant::Nvidia];

/// The parameters of the images of an alias such as `al2023@latest`, for a version of Kubernetes such as `1.34`.
///
/// # Errors
///
/// Why there are none.
pub(crate) fn parameters(alias: &str, kubernetes: &str) -> Result<Vec<Parameter>, String> {
    let unknown = || format!("{alias:?} names no family of images");
    let family = AmiFamily::from_alias(alias).ok_or_else(unknown)?;
    let version = alias.split_once('@').map_or("latest", |(_, version)| version);
    let number =
        number(kubernetes).ok_or_else(|| format!("Kubernetes {kubernetes:?} is no version such as 1.34"))?;
    match family {
        AmiFamily::AL2 if number >= WITHOUT_AL2 => {
            Err(format!("there are no images of AL2 for Kubernetes {kubernetes}: 1.32 was the last"))
        }
        AmiFamily::Windows2025 if number < WITH_WINDOWS_2025 => Err(format!(
            "there are no images of Windows Server 2025 for Kubernetes {kubernetes}: 1.35 is the first"
        )),
        AmiFamily::AL2 => Ok(al2(version, kubernetes)),
        AmiFamily::AL2023 => Ok(al2023(version, kubernetes)),
        AmiFamily::Bottlerocket => Ok(bottlerocket(version, kubernetes)),
        AmiFamily::Windows2019 => Ok(windows(2019, kubernetes)),
        AmiFamily::Windows2022 => Ok(windows(2022, kubernetes)),
        AmiFamily::Windows2025 => Ok(windows(2025, kubernetes)),
        AmiFamily::Custom => Err(unknown()),
    }
}

fn number(kubernetes: &str) -> Option<(u32, u32)> {
    let mut parts = kubernetes.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn al2(version: &str, kubernetes: &str) -> Vec<Parameter> {
    let kinds = [("", STANDARD), ("-arm64", STANDARD), ("-gpu", ACCELERATED)];
    let one = |(kind, variants): (&str, &'static [Variant])| {
        let release = match version {
            "latest" => "recommended".to_owned(),
            version => format!("amazon-eks{kind}-node-{kubernetes}-{version}"),
        };
        let path =
            format!("/aws/service/eks/optimized-ami/{kubernetes}/amazon-linux-2{kind}/{release}/image_id");
        Parameter { path, variants }
    };
    kinds.into_iter().map(one).collect()
}

fn al2023(version: &str, kubernetes: &str) -> Vec<Parameter> {
    let kinds: [(&str, &str, &'static [Variant]); 5] = [
        ("x86_64", "standard", STANDARD),
        ("arm64", "standard", STANDARD),
        ("x86_64", "nvidia", &[Variant::Nvidia]),
        ("arm64", "nvidia", &[Variant::Nvidia]),
        ("x86_64", "neuron", &[Variant::Neuron]),
    ];
    let one = |(arch, variant, variants): (&str, &str, &'static [Variant])| {
        let release = match version {
            "latest" => "recommended".to_owned(),
            version => format!("amazon-eks-node-al2023-{arch}-{variant}-{kubernetes}-{version}"),
        };
        let folder = format!("/aws/service/eks/optimized-ami/{kubernetes}/amazon-linux-2023");
        Parameter { path: format!("{folder}/{arch}/{variant}/{release}/image_id"), variants }
    };
    kinds.into_iter().map(one).collect()
}

/// The path has the version without the `v` that aliases may have.
fn bottlerocket(version: &str, kubernetes: &str) -> Vec<Parameter> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let kinds = [
        ("", "x86_64", STANDARD),
        ("", "arm64", STANDARD),
        ("-nvidia", "x86_64", ACCELERATED),
        ("-nvidia", "arm64", ACCELERATED),
    ];
    let one = |(kind, arch, variants): (&str, &str, &'static [Variant])| {
        let path = format!("/aws/service/bottlerocket/aws-k8s-{kubernetes}{kind}/{arch}/{version}/image_id");
        Parameter { path, variants }
    };
    kinds.into_iter().map(one).collect()
}

fn windows(year: u32, kubernetes: &str) -> Vec<Parameter> {
    let image = format!("Windows_Server-{year}-English-Core-EKS_Optimized-{kubernetes}");
    vec![Parameter { path: format!("/aws/service/ami-windows-latest/{image}/image_id"), variants: STANDARD }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(alias: &str, kubernetes: &str) -> Vec<String> {
        let one = |parameter: Parameter| format!("{} {:?}", parameter.path, parameter.variants);
        parameters(alias, kubernetes).unwrap().into_iter().map(one).collect()
    }

    #[test]
    fn each_family_keeps_its_images_in_its_way() {
        let eks = "/aws/service/eks/optimized-ami/1.32";
        let latest = [
            format!("{eks}/amazon-linux-2/recommended/image_id [Standard]"),
            format!("{eks}/amazon-linux-2-arm64/recommended/image_id [Standard]"),
            format!("{eks}/amazon-linux-2-gpu/recommended/image_id [Neuron, Nvidia]"),
        ];
        assert_eq!(paths("al2@latest", "1.32"), latest);
        let pinned = [
            format!("{eks}/amazon-linux-2/amazon-eks-node-1.32-v20250101/image_id [Standard]"),
            format!("{eks}/amazon-linux-2-arm64/amazon-eks-arm64-node-1.32-v20250101/image_id [Standard]"),
            format!("{eks}/amazon-linux-2-gpu/amazon-eks-gpu-node-1.32-v20250101/image_id [Neuron, Nvidia]"),
        ];
        assert_eq!(paths("al2@v20250101", "1.32"), pinned);

        let eks = "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023";
        let latest = [
            format!("{eks}/x86_64/standard/recommended/image_id [Standard]"),
            format!("{eks}/arm64/standard/recommended/image_id [Standard]"),
            format!("{eks}/x86_64/nvidia/recommended/image_id [Nvidia]"),
            format!("{eks}/arm64/nvidia/recommended/image_id [Nvidia]"),
            format!("{eks}/x86_64/neuron/recommended/image_id [Neuron]"),
        ];
        assert_eq!(paths("al2023@latest", "1.34"), latest);
        let pinned = "x86_64/standard/amazon-eks-node-al2023-x86_64-standard-1.34-v20260101/image_id";
        assert_eq!(paths("al2023@v20260101", "1.34")[0], format!("{eks}/{pinned} [Standard]"));

        let bottlerocket = [
            "/aws/service/bottlerocket/aws-k8s-1.34/x86_64/1.40.0/image_id [Standard]",
            "/aws/service/bottlerocket/aws-k8s-1.34/arm64/1.40.0/image_id [Standard]",
            "/aws/service/bottlerocket/aws-k8s-1.34-nvidia/x86_64/1.40.0/image_id [Neuron, Nvidia]",
            "/aws/service/bottlerocket/aws-k8s-1.34-nvidia/arm64/1.40.0/image_id [Neuron, Nvidia]",
        ];
        assert_eq!(paths("bottlerocket@v1.40.0", "1.34"), bottlerocket);
        assert_eq!(
            paths("windows2022@latest", "1.34"),
            ["/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-EKS_Optimized-1.34/image_id \
              [Standard]"]
        );
    }

    #[test]
    fn what_there_are_no_images_for_says_why() {
        let cases = [
            ("al2@latest", "1.33", "there are no images of AL2 for Kubernetes 1.33: 1.32 was the last"),
            (
                "windows2025@latest",
                "1.34",
                "there are no images of Windows Server 2025 for Kubernetes 1.34: 1.35 is the first",
            ),
            ("debian@latest", "1.34", "\"debian@latest\" names no family of images"),
            ("al2023@latest", "new", "Kubernetes \"new\" is no version such as 1.34"),
        ];
        for (alias, kubernetes, expected) in cases {
            assert_eq!(parameters(alias, kubernetes), Err(expected.to_owned()));
        }
    }
}
