use aws_sdk_ec2::types::{
    EbsInfo, EbsOptimizedInfo, EfaInfo, GpuDeviceInfo, GpuDeviceMemoryInfo, GpuInfo,
    InferenceAcceleratorInfo, InferenceDeviceInfo, InstanceType, InstanceTypeHypervisor, MemoryInfo,
    NetworkCardInfo, NeuronDeviceCoreInfo, NeuronDeviceInfo, NeuronInfo, VCpuInfo,
};
use serde_json::Value;
use whittle_catalog::catalog::Catalog;

use super::*;

/// Types as EC2 described them, what is not read left out. Recorded in moto (Apache License 2.0, see `NOTICE` in
/// `host/catalog/data`), from an earlier day than the tables are.
fn recorded() -> Vec<Value> {
    serde_json::from_str(include_str!("../shapes/types.json")).unwrap()
}

fn number(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| number.try_into().ok())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn list<T>(value: &Value, each: impl Fn(&Value) -> T) -> Option<Vec<T>> {
    value.as_array().map(|all| all.iter().map(each).collect())
}

fn words<T: for<'a> From<&'a str>>(value: &Value) -> Option<Vec<T>> {
    list(value, |one| T::from(one.as_str().unwrap_or_default()))
}

/// Some if the answer has such an object.
fn object<'a>(info: &'a Value, name: &str) -> Option<&'a Value> {
    info.get(name)
}

fn network(network: &Value) -> NetworkInfo {
    let card = |card: &Value| {
        NetworkCardInfo::builder()
            .set_network_card_index(number(&card["NetworkCardIndex"]))
            .set_maximum_network_interfaces(number(&card["MaximumNetworkInterfaces"]))
            .set_baseline_bandwidth_in_gbps(card["BaselineBandwidthInGbps"].as_f64())
            .build()
    };
    let efa = |efa: &Value| {
        EfaInfo::builder().set_maximum_efa_interfaces(number(&efa["MaximumEfaInterfaces"])).build()
    };
    NetworkInfo::builder()
        .set_network_performance(text(&network["NetworkPerformance"]))
        .set_default_network_card_index(number(&network["DefaultNetworkCardIndex"]))
        .set_network_cards(list(&network["NetworkCards"], card))
        .set_ipv4_addresses_per_interface(number(&network["Ipv4AddressesPerInterface"]))
        .set_efa_info(object(network, "EfaInfo").map(efa))
        .set_encryption_in_transit_supported(network["EncryptionInTransitSupported"].as_bool())
        .build()
}

fn processor(processor: &Value) -> ProcessorInfo {
    ProcessorInfo::builder()
        .set_manufacturer(text(&processor["Manufacturer"]))
        .set_supported_architectures(words(&processor["SupportedArchitectures"]))
        .set_supported_features(words(&processor["SupportedFeatures"]))
        .set_sustained_clock_speed_in_ghz(processor["SustainedClockSpeedInGhz"].as_f64())
        .build()
}

fn ebs(ebs: &Value) -> EbsInfo {
    let optimized = |info: &Value| {
        let most = number(&info["MaximumBandwidthInMbps"]);
        EbsOptimizedInfo::builder().set_maximum_bandwidth_in_mbps(most).build()
    };
    EbsInfo::builder()
        .set_ebs_optimized_support(ebs["EbsOptimizedSupport"].as_str().map(Into::into))
        .set_ebs_optimized_info(object(ebs, "EbsOptimizedInfo").map(optimized))
        .build()
}

fn gpus(info: &Value) -> GpuInfo {
    let gpu = |gpu: &Value| {
        let memory = number(&gpu["MemoryInfo"]["SizeInMiB"]);
        GpuDeviceInfo::builder()
            .set_name(text(&gpu["Name"]))
            .set_manufacturer(text(&gpu["Manufacturer"]))
            .set_count(number(&gpu["Count"]))
            .memory_info(GpuDeviceMemoryInfo::builder().set_size_in_mib(memory).build())
            .build()
    };
    GpuInfo::builder().set_gpus(list(&info["Gpus"], gpu)).build()
}

fn neuron(info: &Value) -> NeuronInfo {
    let device = |device: &Value| {
        let cores = number(&device["CoreInfo"]["Count"]);
        NeuronDeviceInfo::builder()
            .set_name(text(&device["Name"]))
            .set_count(number(&device["Count"]))
            .core_info(NeuronDeviceCoreInfo::builder().set_count(cores).build())
            .build()
    };
    NeuronInfo::builder().set_neuron_devices(list(&info["NeuronDevices"], device)).build()
}

fn inference(info: &Value) -> InferenceAcceleratorInfo {
    let device = |device: &Value| {
        InferenceDeviceInfo::builder()
            .set_name(text(&device["Name"]))
            .set_manufacturer(text(&device["Manufacturer"]))
            .set_count(number(&device["Count"]))
            .build()
    };
    InferenceAcceleratorInfo::builder().set_accelerators(list(&info["Accelerators"], device)).build()
}

fn storage(info: &Value) -> InstanceStorageInfo {
    InstanceStorageInfo::builder()
        .set_total_size_in_gb(info["TotalSizeInGB"].as_i64())
        .set_nvme_support(info["NvmeSupport"].as_str().map(Into::into))
        .build()
}

fn info(info: &Value) -> InstanceTypeInfo {
    let vcpus = number(&info["VCpuInfo"]["DefaultVCpus"]);
    InstanceTypeInfo::builder()
        .set_instance_type(info["InstanceType"].as_str().map(InstanceType::from))
        .set_supported_usage_classes(words(&info["SupportedUsageClasses"]))
        .set_hypervisor(info["Hypervisor"].as_str().map(InstanceTypeHypervisor::from))
        .v_cpu_info(VCpuInfo::builder().set_default_v_cpus(vcpus).build())
        .memory_info(MemoryInfo::builder().set_size_in_mib(info["MemoryInfo"]["SizeInMiB"].as_i64()).build())
        .processor_info(processor(&info["ProcessorInfo"]))
        .network_info(network(&info["NetworkInfo"]))
        .ebs_info(ebs(&info["EbsInfo"]))
        .set_instance_storage_info(object(info, "InstanceStorageInfo").map(storage))
        .set_gpu_info(object(info, "GpuInfo").map(gpus))
        .set_neuron_info(object(info, "NeuronInfo").map(neuron))
        .set_inference_accelerator_info(object(info, "InferenceAcceleratorInfo").map(inference))
        .build()
}

#[test]
fn what_ec2_answers_comes_to_what_the_tables_have() {
    let catalog = Catalog::embedded();
    for recorded in recorded() {
        let name = recorded["InstanceType"].as_str().unwrap();
        let embedded = catalog.specification(name);
        assert!(embedded.is_some(), "{name} is in no table");
        assert_eq!(specification(&info(&recorded)).as_ref(), embedded, "{name}");
    }
}

#[test]
fn a_type_that_is_described_in_part_is_left_out() {
    let mut recorded = recorded().swap_remove(0);
    assert!(specification(&info(&recorded)).is_some());
    recorded["MemoryInfo"] = Value::Null;
    assert_eq!(specification(&info(&recorded)), None);
}

#[test]
fn bandwidth_is_that_of_all_cards_and_at_most_what_is_published() {
    let of = |published: &str, baselines: &[f64]| {
        let cards = baselines.iter().map(|one| NetworkCardInfo::builder().baseline_bandwidth_in_gbps(*one));
        let cards = cards.map(|card| card.build()).collect();
        let network = NetworkInfo::builder().network_performance(published).set_network_cards(Some(cards));
        network_mbps(&network.build())
    };
    let cases = [
        ("Up to 10 Gigabit", &[0.75][..], Some(750)),
        ("25 Gigabit", &[25.0], Some(25_000)),
        ("4x 100 Gigabit", &[100.0, 100.0, 100.0, 100.0], Some(400_000)),
        ("100 Gigabit", &[100.0, 100.0], Some(100_000)),
        ("Low to Moderate", &[0.064], None),
    ];
    for (published, baselines, expected) in cases {
        assert_eq!(of(published, baselines), expected, "{published}");
    }
}
