//! What the kubelet of a new node will report as its capacity.
//!
//! The rules are Karpenter's, so that both count alike; the ENI formula is that of the Amazon VPC CNI.

use whittle_core::model::resources::Resources;

use crate::settings::{AmiFamily, NetworkInterfaceKind, NodeClassSettings};
use crate::specification::Specification;

/// Bytes in a MiB.
pub const MIB: u64 = 1 << 20;
/// Bytes in a GiB.
pub const GIB: u64 = 1 << 30;
/// Bytes in a GB, the unit of instance storage.
pub const GB: u64 = 1_000_000_000;

/// The Kubernetes name of the resource that an EFA interface is.
pub const EFA: &str = "vpc.amazonaws.com/efa";

/// Memory that Linux on Graviton sets aside for contiguous allocation before the kubelet sees it.
const ARM64_CMA_MIB: u64 = 64;
/// Pods on a Windows node, whose CNI does not use one address per pod and interface.
const WINDOWS_PODS: u64 = 110;
/// The volume of pods' files in the Linux images.
const LINUX_VOLUME_BYTES: u64 = 20 * GIB;
/// The volume of pods' files in the Windows images.
const WINDOWS_VOLUME_BYTES: u64 = 50 * GIB;

/// The capacity of a node of this type launched with these settings. Resources that the type lacks are not named.
#[must_use]
pub fn capacity(specification: &Specification, settings: &NodeClassSettings) -> Resources {
    let mut capacity = Resources {
        cpu_millis: specification.vcpus * 1_000,
        memory_bytes: memory_bytes(specification, settings),
        ephemeral_storage_bytes: ephemeral_storage_bytes(specification, settings),
        pods: pods(specification, settings),
        ..Resources::default()
    };
    if let Some(gpu) = &specification.gpu {
        match gpu.manufacturer {
            "nvidia" => capacity.set("nvidia.com/gpu", gpu.count),
            "amd" => capacity.set("amd.com/gpu", gpu.count),
            "habana" => capacity.set("habana.ai/gaudi", gpu.count),
            _ => {}
        }
    }
    if specification.neuron_cores > 0 {
        let devices = specification.accelerator.as_ref().map_or(0, |devices| devices.count);
        capacity.set("aws.amazon.com/neuron", devices);
        capacity.set("aws.amazon.com/neuroncore", specification.neuron_cores);
    }
    capacity.set(EFA, efa_interfaces(specification, settings));
    if settings.ami_family.windows_build().is_some() {
        let addresses = specification.ipv4_per_eni.saturating_sub(1);
        capacity.set("vpc.amazonaws.com/PrivateIPv4Address", addresses);
    }
    capacity
}

/// EFA interfaces: all that the class lists, or where it lists none as many as a launch can ask for.
fn efa_interfaces(specification: &Specification, settings: &NodeClassSettings) -> u64 {
    let listed = &settings.network_interfaces;
    let efa_only = listed.iter().filter(|interface| interface.kind == NetworkInterfaceKind::EfaOnly);
    if listed.is_empty() { specification.efa_interfaces } else { efa_only.count() as u64 }
}

/// The number of pods that network interfaces allow when `unusable_enis` of the default card are not for pods: each
/// interface has one address of its own, and two pods (the CNI and kube-proxy) use the node's network.
#[must_use]
pub fn eni_limited_pods(specification: &Specification, unusable_enis: u64) -> u64 {
    match specification.enis.saturating_sub(unusable_enis) {
        0 => 0,
        enis => enis * specification.ipv4_per_eni.saturating_sub(1) + 2,
    }
}

/// The number of pods on a node: `maxPods`, else what the network allows, capped by `podsPerCore`.
#[must_use]
pub fn pods(specification: &Specification, settings: &NodeClassSettings) -> u64 {
    let efa_only = settings.network_interfaces.iter().filter(|interface| {
        interface.network_card_index == 0 && interface.kind == NetworkInterfaceKind::EfaOnly
    });
    let unusable = settings.reserved_enis.saturating_add(efa_only.count() as u64);
    let allowed = settings.max_pods.unwrap_or_else(|| match settings.ami_family {
        AmiFamily::Al2 | AmiFamily::Al2023 | AmiFamily::Bottlerocket | AmiFamily::Custom => {
            eni_limited_pods(specification, unusable)
        }
        AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025 => WINDOWS_PODS,
    });
    match settings.pods_per_core {
        // Bottlerocket has no such setting.
        Some(per_core) if per_core > 0 && settings.ami_family != AmiFamily::Bottlerocket => {
            allowed.min(per_core.saturating_mul(specification.vcpus))
        }
        _ => allowed,
    }
}

/// Memory in bytes: what nodes of this type reported, else what is sold less what the machine keeps for itself.
fn memory_bytes(specification: &Specification, settings: &NodeClassSettings) -> u64 {
    if let Some(discovered) = settings.discovered_memory_bytes.get(specification.name) {
        return *discovered;
    }
    let cma_mib = if specification.arch == "arm64" { ARM64_CMA_MIB } else { 0 };
    let visible_mib = specification.memory_mib.saturating_sub(cma_mib);
    let overhead_mib = (visible_mib * settings.vm_memory_overhead_per_mille).div_ceil(1_000);
    visible_mib.saturating_sub(overhead_mib) * MIB
}

/// Room for pods' files in bytes: the striped NVMe disks, else the root volume, else what the image has.
fn ephemeral_storage_bytes(specification: &Specification, settings: &NodeClassSettings) -> u64 {
    let striped = specification.nvme_gb.filter(|_| settings.instance_store_raid0);
    let image = match settings.ami_family.windows_build() {
        None => LINUX_VOLUME_BYTES,
        Some(_) => WINDOWS_VOLUME_BYTES,
    };
    striped.map(|gb| gb * GB).or(settings.root_volume_bytes).unwrap_or(image)
}
