//! What instance types are like: DescribeInstanceTypes, and what its answer comes to.
//!
//! The same is done with the same answer by `host/catalog/generate/generate.py`, for the tables.

use aws_sdk_ec2::types::{
    ArchitectureType, EbsOptimizedSupport, EphemeralNvmeSupport, InstanceStorageInfo, InstanceTypeInfo,
    NetworkInfo, ProcessorInfo, SupportedAdditionalProcessorFeature, UsageClassType,
};
use whittle_catalog::names::kept;
use whittle_catalog::specification::{Accelerator, Gpu, Specification};

use crate::classes::filters::filter;
use crate::connect::Clients;
use crate::error::Failure;

/// So many types on a page, the most that EC2 gives.
const PAGE: i32 = 100;

/// All types of the region that Kubernetes can run on.
pub(super) async fn specifications(clients: &Clients) -> Result<Vec<Specification>, Failure> {
    let asked = clients.ec2.describe_instance_types();
    let asked = asked
        .filters(filter("supported-virtualization-type", &["hvm"]))
        .filters(filter("processor-info.supported-architecture", &["x86_64", "arm64"]));
    let pages = asked.into_paginator().page_size(PAGE).items().send();
    let infos = pages.try_collect().await;
    let infos = infos.map_err(|error| Failure::of("ec2:DescribeInstanceTypes", &error))?;
    Ok(infos.iter().filter_map(understood).collect())
}

fn understood(info: &InstanceTypeInfo) -> Option<Specification> {
    let found = specification(info);
    if found.is_none() {
        let name = info.instance_type().map_or("without a name", |name| name.as_str());
        tracing::debug!(instance_type = name, "an instance type is described in part only and left out");
    }
    found
}

/// An instance type as EC2 describes it; `None` where it does not say what a node could not be planned without.
pub(super) fn specification(info: &InstanceTypeInfo) -> Option<Specification> {
    let (network, processor) = (info.network_info()?, info.processor_info()?);
    let default = network.default_network_card_index().unwrap_or(0);
    let mut cards = network.network_cards().iter();
    let card = cards.find(|card| card.network_card_index().unwrap_or(0) == default)?;
    let sold = |class: &UsageClassType| info.supported_usage_classes().contains(class);
    let neuron = info.neuron_info().and_then(|neuron| neuron.neuron_devices().first());
    let cores = neuron.and_then(|device| {
        Some(whole(device.count())? * whole(device.core_info().and_then(|cores| cores.count()))?)
    });
    let nested = SupportedAdditionalProcessorFeature::NestedVirtualization;
    Some(Specification {
        name: kept(info.instance_type()?.as_str()),
        vcpus: whole(info.v_cpu_info()?.default_v_cpus())?,
        memory_mib: whole(info.memory_info()?.size_in_mib())?,
        arch: arch(processor)?,
        hypervisor: info.hypervisor().map_or("", |hypervisor| kept(hypervisor.as_str())),
        cpu_manufacturer: label(processor.manufacturer()?),
        clock_mhz: processor.sustained_clock_speed_in_ghz().map(thousandths).filter(|mhz| *mhz > 0),
        enis: whole(card.maximum_network_interfaces())?,
        ipv4_per_eni: whole(network.ipv4_addresses_per_interface())?,
        network_cards: network.network_cards().len() as u64,
        efa_interfaces: whole(network.efa_info().and_then(|efa| efa.maximum_efa_interfaces())).unwrap_or(0),
        network_mbps: network_mbps(network),
        ebs_mbps: ebs_mbps(info),
        encryption_in_transit: network.encryption_in_transit_supported().unwrap_or(false),
        nested_virtualization: processor.supported_features().contains(&nested),
        sold_on_demand: sold(&UsageClassType::OnDemand),
        sold_as_spot: sold(&UsageClassType::Spot),
        nvme_gb: info.instance_storage_info().and_then(nvme_gb),
        gpu: gpu(info),
        accelerator: accelerator(info),
        neuron_cores: cores.unwrap_or(0),
    })
}

/// The first architecture that Kubernetes runs on, by its name there.
fn arch(processor: &ProcessorInfo) -> Option<&'static str> {
    processor.supported_architectures().iter().find_map(|one| match one {
        ArchitectureType::X8664 => Some("amd64"),
        ArchitectureType::Arm64 => Some("arm64"),
        _ => None,
    })
}

/// The baseline bandwidth of all network cards, at most the published total of the type. `None` where EC2 publishes words
/// ("Moderate") instead of a figure.
fn network_mbps(network: &NetworkInfo) -> Option<u64> {
    let published = network.network_performance()?;
    let published = published.strip_prefix("Up to ").unwrap_or(published);
    let (count, each) = published.rsplit_once("x ").unwrap_or(("1", published));
    let (count, gigabits) = (count.parse::<f64>().ok()?, each.strip_suffix(" Gigabit")?.parse::<f64>().ok()?);
    let cards = network.network_cards().iter();
    let baseline = cards.map(|card| card.baseline_bandwidth_in_gbps()).sum::<Option<f64>>()?;
    Some(thousandths(baseline.min(gigabits * count)))
}

/// The highest bandwidth to EBS, where it is there without asking.
fn ebs_mbps(info: &InstanceTypeInfo) -> Option<u64> {
    let ebs = info.ebs_info()?;
    let is_default = ebs.ebs_optimized_support() == Some(&EbsOptimizedSupport::Default);
    whole(ebs.ebs_optimized_info()?.maximum_bandwidth_in_mbps()).filter(|_| is_default)
}

fn nvme_gb(storage: &InstanceStorageInfo) -> Option<u64> {
    let has_nvme = storage.nvme_support().is_some_and(|nvme| *nvme != EphemeralNvmeSupport::Unsupported);
    whole(storage.total_size_in_gb()).filter(|_| has_nvme)
}

fn gpu(info: &InstanceTypeInfo) -> Option<Gpu> {
    let gpu = info.gpu_info()?.gpus().first()?;
    Some(Gpu {
        name: label(gpu.name()?),
        manufacturer: label(gpu.manufacturer()?),
        count: whole(gpu.count())?,
        memory_mib: whole(gpu.memory_info()?.size_in_mib())?,
    })
}

/// Neuron devices, whose maker EC2 does not name, else those for inference.
fn accelerator(info: &InstanceTypeInfo) -> Option<Accelerator> {
    let neuron = info.neuron_info().and_then(|neuron| neuron.neuron_devices().first());
    if let Some(neuron) = neuron {
        let (name, count) = (label(neuron.name()?), whole(neuron.count())?);
        return Some(Accelerator { name, manufacturer: "aws", count });
    }
    let device = info.inference_accelerator_info()?.accelerators().first()?;
    Some(Accelerator {
        name: label(device.name()?),
        manufacturer: label(device.manufacturer()?),
        count: whole(device.count())?,
    })
}

/// A name as it appears in a label value.
fn label(name: &str) -> &'static str {
    kept(&name.to_lowercase().replace(' ', "-"))
}

fn whole(number: Option<impl TryInto<u64>>) -> Option<u64> {
    number.and_then(|number| number.try_into().ok())
}

/// A thousand times a number of EC2's, which has few decimals, to the nearest whole.
fn thousandths(number: f64) -> u64 {
    (number * 1e3).round() as u64
}

#[cfg(test)]
mod tests;
