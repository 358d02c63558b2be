//! The catalogue against figures that others published.

use std::collections::BTreeMap;

use whittle_catalog::capacity::{GIB, MIB, eni_limited_pods};
use whittle_catalog::catalog::Catalog;
use whittle_catalog::on_demand::Quote;
use whittle_catalog::overhead::kube_reserved_cpu_millis;
use whittle_catalog::settings::{AmiFamily, NodeClassSettings};
use whittle_core::model::instance_type::InstanceType;
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;

/// A type in us-east-1, with the family of image that has one for it.
fn instance_type(name: &str) -> InstanceType {
    let ami_family = if name.starts_with("a1.") { AmiFamily::Al2 } else { AmiFamily::Al2023 };
    let settings = NodeClassSettings { ami_family, ..NodeClassSettings::default() };
    Catalog::embedded()
        .instance_type("us-east-1", name, &settings)
        .ok()
        .flatten()
        .expect("a type of us-east-1")
}

/// The labels that describe an instance, without their prefix, as `key=value`.
fn instance_labels(instance_type: &InstanceType) -> Vec<String> {
    let labels = instance_type.labels.iter();
    labels
        .filter_map(|(key, values)| {
            let key = key.strip_prefix("karpenter.k8s.aws/instance-")?;
            Some(format!("{key}={}", values.join("|")))
        })
        .collect()
}

#[test]
fn the_number_of_pods_is_that_of_the_eks_images() {
    // Source: eni-max-pods.txt of the EKS images (amazon-eks-ami).
    let published = [
        ("c5.large", 29),
        ("c5.4xlarge", 234),
        ("c5.18xlarge", 737),
        ("g4dn.xlarge", 29),
        ("i3.large", 29),
        ("m4.large", 20),
        ("m5.large", 29),
        ("m5.xlarge", 58),
        ("m5.2xlarge", 58),
        ("m5.4xlarge", 234),
        ("m5.24xlarge", 737),
        ("m6g.medium", 8),
        ("p3dn.24xlarge", 737),
        ("p4d.24xlarge", 737),
        ("r5.large", 29),
        ("t2.micro", 4),
        ("t2.medium", 17),
        ("t3.nano", 4),
        ("t3.micro", 4),
        ("t3.small", 11),
        ("t3.medium", 17),
        ("t3.large", 35),
        ("t4g.medium", 17),
        ("trn1.32xlarge", 247),
        ("x1.32xlarge", 234),
    ];
    let catalog = Catalog::embedded();
    let counted = published.map(|(name, _)| {
        let specification = catalog.specification(name).unwrap();
        (name, eni_limited_pods(specification, 0))
    });
    assert_eq!(counted, published);
}

#[test]
fn what_is_left_for_pods_is_what_karpenter_publishes() {
    // Source: Karpenter's reference of instance types: CPU in thousandths, memory in MiB, pods.
    let published = [
        ("a1.medium", 940, 1_392, 8),
        ("a1.metal", 15_890, 27_322, 234),
        ("c1.medium", 1_930, 1_122, 12),
        ("c1.xlarge", 7_910, 5_637, 58),
        ("c3.8xlarge", 31_850, 53_903, 234),
        ("c4.large", 1_930, 2_878, 29),
        ("c4.8xlarge", 35_840, 53_903, 234),
        ("i8g.16xlarge", 63_770, 476_445, 737),
        ("i8g.48xlarge", 191_450, 1_446_378, 737),
        ("im4gn.large", 1_930, 6_844, 29),
        ("im4gn.16xlarge", 63_770, 233_962, 737),
        ("inf1.xlarge", 3_920, 6_804, 38),
        ("inf1.24xlarge", 95_690, 177_976, 321),
        ("inf2.xlarge", 3_920, 14_162, 58),
        ("m5.large", 1_930, 6_903, 29),
    ];
    let counted = published.map(|(name, ..)| {
        let left = instance_type(name).allocatable();
        assert_eq!(left.memory_bytes % MIB, 0);
        assert_eq!(left.ephemeral_storage_bytes, 17 * GIB);
        (name, left.cpu_millis, left.memory_bytes / MIB, left.pods)
    });
    assert_eq!(counted, published);
}

#[test]
fn cpu_is_reserved_in_four_steps() {
    let vcpus = [1, 2, 4, 8, 16, 32, 48, 64, 96, 192];
    let reserved = vcpus.map(|vcpus| kube_reserved_cpu_millis(vcpus * 1_000));
    assert_eq!(reserved, [60, 70, 80, 90, 110, 150, 190, 230, 310, 550]);
}

#[test]
fn capacity_and_overhead_of_an_m5_large_add_up() {
    let m5_large = instance_type("m5.large");
    let capacity = Resources {
        cpu_millis: 2_000,
        memory_bytes: (8_192 - 615) * MIB,
        ephemeral_storage_bytes: 20 * GIB,
        pods: 29,
        extended: BTreeMap::new(),
    };
    let overhead = Resources {
        cpu_millis: 70,
        memory_bytes: (11 * 29 + 255 + 100) * MIB,
        ephemeral_storage_bytes: GIB + 2 * GIB,
        pods: 0,
        extended: BTreeMap::new(),
    };
    assert_eq!((m5_large.capacity, m5_large.overhead), (capacity, overhead));
}

#[test]
fn memory_of_arm64_is_less_what_the_kernel_sets_aside() {
    // 16384 MiB less 64 MiB, less 7.5 % of the rest.
    assert_eq!(instance_type("m6g.xlarge").capacity.memory_bytes, (16_320 - 1_224) * MIB);
    assert_eq!(instance_type("m6i.xlarge").capacity.memory_bytes, (16_384 - 1_229) * MIB);
}

#[test]
fn accelerators_are_extended_resources() {
    let published: [(&str, &[(&str, u64)]); 6] = [
        ("g4dn.xlarge", &[("nvidia.com/gpu", 1)]),
        ("p4d.24xlarge", &[("nvidia.com/gpu", 8), ("vpc.amazonaws.com/efa", 4)]),
        ("inf1.6xlarge", &[("aws.amazon.com/neuron", 4), ("aws.amazon.com/neuroncore", 16)]),
        ("inf2.xlarge", &[("aws.amazon.com/neuron", 1), ("aws.amazon.com/neuroncore", 2)]),
        (
            "trn1.32xlarge",
            &[("aws.amazon.com/neuron", 16), ("aws.amazon.com/neuroncore", 32), ("vpc.amazonaws.com/efa", 8)],
        ),
        ("im4gn.16xlarge", &[("vpc.amazonaws.com/efa", 1)]),
    ];
    for (name, extended) in published {
        let expected = extended.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect();
        assert_eq!((name, instance_type(name).capacity.extended), (name, expected));
    }
}

#[test]
fn the_labels_of_a_gpu_instance_are_what_karpenter_publishes() {
    let g4dn = instance_type("g4dn.xlarge");
    let expected = [
        "capability-flex=false",
        "category=g",
        "cpu=4",
        "cpu-manufacturer=intel",
        "cpu-sustained-clock-speed-mhz=2500",
        "ebs-bandwidth=3500",
        "encryption-in-transit-supported=true",
        "family=g4dn",
        "generation=4",
        "gpu-count=1",
        "gpu-manufacturer=nvidia",
        "gpu-memory=16384",
        "gpu-name=t4",
        "hypervisor=nitro",
        "local-nvme=125",
        "memory=16384",
        "network-bandwidth=5000",
        "size=xlarge",
        "tenancy=default|dedicated",
    ];
    assert_eq!(instance_labels(&g4dn), expected);
    let stable = ["kubernetes.io/arch", "kubernetes.io/os", "topology.kubernetes.io/region"];
    assert_eq!(stable.map(|key| g4dn.labels[key].join("|")), ["amd64", "linux", "us-east-1"]);
    assert_eq!(g4dn.labels["node.kubernetes.io/instance-type"], ["g4dn.xlarge"]);
}

#[test]
fn labels_of_unusual_types_are_what_karpenter_publishes() {
    let published: [(&str, &[&str]); 8] = [
        ("c1.medium", &["cpu-sustained-clock-speed-mhz=0", "hypervisor=xen"]),
        ("a1.metal", &["hypervisor=", "size=metal", "network-bandwidth=5000"]),
        ("c7i-flex.large", &["capability-flex=true", "family=c7i-flex", "generation=7", "category=c"]),
        ("u-6tb1.112xlarge", &["category=u", "family=u-6tb1", "generation=1"]),
        ("i8g.metal-24xl", &["local-nvme=22500", "hypervisor=", "size=metal-24xl"]),
        (
            "inf1.24xlarge",
            &["accelerator-count=16", "accelerator-name=inferentia", "accelerator-manufacturer=aws"],
        ),
        ("inf2.xlarge", &["network-bandwidth=2083", "cpu-manufacturer=amd"]),
        ("m5d.large", &["local-nvme=75", "ebs-bandwidth=4750", "network-bandwidth=750"]),
    ];
    for (name, expected) in published {
        let labels = instance_labels(&instance_type(name));
        for label in expected {
            assert!(labels.iter().any(|found| found == label), "{name} has no {label}: {labels:?}");
        }
    }
    let c1 = instance_labels(&instance_type("c1.medium"));
    assert!(!c1.iter().any(|label| label.starts_with("network-bandwidth") || label.starts_with("gpu")));
}

#[test]
fn on_demand_prices_of_us_east_1_are_the_published_ones() {
    let published = [
        ("c5.xlarge", 170_000),
        ("c6g.large", 68_000),
        ("g4dn.xlarge", 526_000),
        ("g5.xlarge", 1_006_000),
        ("i3.large", 156_000),
        ("m5.large", 96_000),
        ("m5.metal", 4_608_000),
        ("m6i.large", 96_000),
        ("m7g.medium", 40_800),
        ("r5.large", 126_000),
        ("t3.nano", 5_200),
        ("t3.medium", 41_600),
        ("t3.large", 83_200),
        ("t4g.micro", 8_400),
    ];
    let catalog = Catalog::embedded();
    for (name, micros) in published {
        let expected = Quote { price: Price::from_micros(micros), estimated: false };
        assert_eq!((name, catalog.on_demand_price("us-east-1", name, "us-east-1a")), (name, Some(expected)));
    }
}

#[test]
fn on_demand_prices_of_other_regions_are_estimates_near_the_published_ones() {
    // Source of the figures: EC2's price list of ap-northeast-2. The ratios are rounded to hundredths.
    let published =
        [("c5.large", 96_000), ("m5.large", 118_000), ("r5.large", 152_000), ("t3.medium", 52_000)];
    let catalog = Catalog::embedded();
    for (name, micros) in published {
        let quote = catalog.on_demand_price("ap-northeast-2", name, "ap-northeast-2a").unwrap();
        assert!(quote.estimated);
        assert!(quote.price.micros().abs_diff(micros) * 100 < micros, "{name}: {quote}");
    }
}
