//! The labels that a node of an instance type carries.
//!
//! Zone, zone id and capacity type belong to offerings and are not here. Labels of capacity reservations and
//! placement groups are not here either: they describe one instance, not its type.

use std::collections::BTreeMap;

use whittle_core::model::labels;

use crate::settings::NodeClassSettings;
use crate::specification::Specification;

/// The label of the Windows build.
const WINDOWS_BUILD: &str = "node.kubernetes.io/windows-build";

/// Every label of a node of this type in this region, each with the values it may have. All but the tenancy have
/// exactly one. A label that does not apply, such as the GPU's name where there is none, is not in the map.
///
/// Two labels are there without a value of EC2's, as with Karpenter, whose users may rely on it: bare metal carries
/// `instance-hypervisor` with an empty value, and types without a stated clock speed carry a speed of 0.
#[must_use]
pub fn labels(
    specification: &Specification,
    region: &str,
    settings: &NodeClassSettings,
) -> BTreeMap<String, Vec<String>> {
    let stable = [
        (labels::INSTANCE_TYPE, Some(specification.name)),
        (labels::ARCH, Some(specification.arch)),
        (labels::OS, Some(settings.ami_family.os())),
        (labels::REGION, Some(region)),
        (WINDOWS_BUILD, settings.ami_family.windows_build()),
    ];
    let mut found: BTreeMap<String, Vec<String>> = stable
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), vec![value?.to_owned()])))
        .collect();
    found.insert(labels::TENANCY.to_owned(), vec!["default".to_owned(), "dedicated".to_owned()]);
    let described = texts(specification).into_iter().chain(numbers(specification));
    found.extend(
        described
            .filter_map(|(key, value)| Some((format!("{}{key}", labels::INSTANCE_PREFIX), vec![value?]))),
    );
    found
}

/// The labels that are words.
fn texts(specification: &Specification) -> Vec<(&'static str, Option<String>)> {
    let (gpu, accelerator) = (specification.gpu.as_ref(), specification.accelerator.as_ref());
    vec![
        ("category", specification.generation().map(|_| specification.category().to_owned())),
        ("family", Some(specification.family().to_owned())),
        ("generation", specification.generation().map(str::to_owned)),
        ("size", Some(specification.size().to_owned())),
        ("capability-flex", Some(specification.family().contains("-flex").to_string())),
        ("hypervisor", Some(specification.hypervisor.to_owned())),
        ("encryption-in-transit-supported", Some(specification.encryption_in_transit.to_string())),
        ("cpu-manufacturer", Some(specification.cpu_manufacturer.to_owned())),
        ("gpu-name", gpu.map(|gpu| gpu.name.to_owned())),
        ("gpu-manufacturer", gpu.map(|gpu| gpu.manufacturer.to_owned())),
        ("accelerator-name", accelerator.map(|accelerator| accelerator.name.to_owned())),
        ("accelerator-manufacturer", accelerator.map(|accelerator| accelerator.manufacturer.to_owned())),
    ]
}

/// The labels that are numbers, which requirements can compare.
fn numbers(specification: &Specification) -> Vec<(&'static str, Option<String>)> {
    let (gpu, accelerator) = (specification.gpu.as_ref(), specification.accelerator.as_ref());
    let numbers = [
        ("cpu", Some(specification.vcpus)),
        ("cpu-sustained-clock-speed-mhz", Some(specification.clock_mhz.unwrap_or(0))),
        ("memory", Some(specification.memory_mib)),
        ("local-nvme", specification.nvme_gb),
        ("ebs-bandwidth", specification.ebs_mbps),
        ("network-bandwidth", specification.network_mbps),
        ("gpu-count", gpu.map(|gpu| gpu.count)),
        ("gpu-memory", gpu.map(|gpu| gpu.memory_mib)),
        ("accelerator-count", accelerator.map(|accelerator| accelerator.count)),
    ];
    numbers.into_iter().map(|(key, number)| (key, number.map(|number| number.to_string()))).collect()
}
