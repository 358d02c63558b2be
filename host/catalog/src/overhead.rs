//! What a node keeps for itself: kube-reserved, system-reserved and the hard eviction threshold.
//!
//! Defaults are those of the EKS images, as Karpenter assumes them. Soft eviction thresholds are warnings and take
//! nothing away.

use std::collections::BTreeMap;

use whittle_core::model::resources::Resources;

use crate::capacity::{GIB, MIB, eni_limited_pods};
use crate::settings::{AmiFamily, EvictionThreshold, NodeClassSettings};
use crate::specification::Specification;

/// Memory that the kubelet and the container runtime need for each pod, and for themselves.
const KUBE_RESERVED_MIB_PER_POD: u64 = 11;
/// See [`KUBE_RESERVED_MIB_PER_POD`].
const KUBE_RESERVED_MIB_BASE: u64 = 255;
/// Storage that kube-reserved keeps.
const KUBE_RESERVED_STORAGE_BYTES: u64 = GIB;
/// The kubelet's default for `memory.available`.
const EVICTION_MEMORY: EvictionThreshold = EvictionThreshold::Bytes(100 * MIB);
/// The kubelet's default for `nodefs.available`.
const EVICTION_NODEFS: EvictionThreshold = EvictionThreshold::PerMillion(100_000);
/// Shares of a CPU that kube-reserved keeps: up to so many thousandths of a CPU, so many millionths of the part
/// above the previous step. 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest.
const CPU_STEPS: [(u64, u64); 4] = [(1_000, 60_000), (2_000, 10_000), (4_000, 5_000), (u64::MAX, 2_500)];

/// What a node of this type keeps for itself, given its `capacity`. Only CPU, memory, storage and resources that
/// the settings name are in it.
#[must_use]
pub fn overhead(
    specification: &Specification,
    settings: &NodeClassSettings,
    capacity: &Resources,
) -> Resources {
    let kube_reserved = overridden(kube_reserved(specification, settings, capacity), &settings.kube_reserved);
    let system_reserved = overridden(Resources::default(), &settings.system_reserved);
    let memory = settings.eviction_hard_memory.unwrap_or(EVICTION_MEMORY);
    let nodefs = settings.eviction_hard_nodefs.unwrap_or(EVICTION_NODEFS);
    let eviction = Resources {
        memory_bytes: threshold_bytes(memory, capacity.memory_bytes),
        ephemeral_storage_bytes: threshold_bytes(nodefs, capacity.ephemeral_storage_bytes),
        ..Resources::default()
    };
    kube_reserved.plus(&system_reserved).plus(&eviction)
}

/// The CPU that kube-reserved keeps by default, in thousandths, on a node of `cpu_millis`. Each step is cut to whole
/// thousandths.
#[must_use]
pub fn kube_reserved_cpu_millis(cpu_millis: u64) -> u64 {
    let mut reserved = 0;
    let mut from = 0;
    for (until, per_million) in CPU_STEPS {
        reserved += cpu_millis.min(until).saturating_sub(from) * per_million / 1_000_000;
        from = until;
    }
    reserved
}

/// The memory in bytes that kube-reserved keeps by default on a node made for so many pods.
#[must_use]
pub fn kube_reserved_memory_bytes(pods: u64) -> u64 {
    pods.saturating_mul(KUBE_RESERVED_MIB_PER_POD).saturating_add(KUBE_RESERVED_MIB_BASE).saturating_mul(MIB)
}

/// Kube-reserved before the class's own settings. The Amazon Linux images compute it from the ENI limit whatever
/// `maxPods` says; Bottlerocket and Windows from the real number of pods.
fn kube_reserved(
    specification: &Specification,
    settings: &NodeClassSettings,
    capacity: &Resources,
) -> Resources {
    let pods = match settings.ami_family {
        AmiFamily::Al2 | AmiFamily::Al2023 | AmiFamily::Custom => eni_limited_pods(specification, 0),
        AmiFamily::Bottlerocket
        | AmiFamily::Windows2019
        | AmiFamily::Windows2022
        | AmiFamily::Windows2025 => capacity.pods,
    };
    Resources {
        cpu_millis: kube_reserved_cpu_millis(capacity.cpu_millis),
        memory_bytes: kube_reserved_memory_bytes(pods),
        ephemeral_storage_bytes: KUBE_RESERVED_STORAGE_BYTES,
        ..Resources::default()
    }
}

/// The defaults with each named resource replaced.
fn overridden(mut defaults: Resources, named: &BTreeMap<String, u64>) -> Resources {
    for (name, amount) in named {
        defaults.set(name, *amount);
    }
    defaults
}

/// What a threshold comes to of this capacity, rounded up to whole bytes.
fn threshold_bytes(threshold: EvictionThreshold, capacity_bytes: u64) -> u64 {
    match threshold {
        EvictionThreshold::Bytes(bytes) => bytes,
        EvictionThreshold::PerMillion(1_000_000) => 0,
        EvictionThreshold::PerMillion(share) => {
            let bytes = (u128::from(capacity_bytes) * u128::from(share)).div_ceil(1_000_000);
            u64::try_from(bytes).unwrap_or(u64::MAX)
        }
    }
}
