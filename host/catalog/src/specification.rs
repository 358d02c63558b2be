//! What EC2 says about one instance type: a row of `data/instance-types.csv`, or what it has answered just now. Names are
//! kept for as long as the process runs ([`crate::names`]).

use serde::Serialize;

/// An instance type as EC2 describes it, before any EC2NodeClass is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Specification {
    /// The EC2 name: `m6i.large`.
    pub name: &'static str,
    /// Virtual CPUs with the default CPU options.
    pub vcpus: u64,
    /// Memory in MiB, as sold.
    pub memory_mib: u64,
    /// The Kubernetes name of the architecture: `amd64` or `arm64`.
    pub arch: &'static str,
    /// `nitro`, `xen`, or empty for bare metal.
    pub hypervisor: &'static str,
    /// `intel`, `amd` or `aws`.
    pub cpu_manufacturer: &'static str,
    /// Sustained clock speed in MHz, where EC2 states one.
    pub clock_mhz: Option<u64>,
    /// Network interfaces of the default network card, the only one that the VPC CNI uses for pods.
    pub enis: u64,
    /// IPv4 addresses of each network interface.
    pub ipv4_per_eni: u64,
    /// Network cards.
    pub network_cards: u64,
    /// Elastic Fabric Adapters at most.
    pub efa_interfaces: u64,
    /// Baseline network bandwidth in Mbps over all cards, where EC2 publishes a figure.
    pub network_mbps: Option<u64>,
    /// Highest EBS bandwidth in Mbps, where the type is EBS-optimized without asking.
    pub ebs_mbps: Option<u64>,
    /// Whether traffic between instances of this kind is encrypted by the hardware.
    pub encryption_in_transit: bool,
    /// Whether it can run virtual machines of its own.
    pub nested_virtualization: bool,
    /// Whether it is sold on demand.
    pub sold_on_demand: bool,
    /// Whether it is sold as spot capacity.
    pub sold_as_spot: bool,
    /// NVMe instance storage in GB (10⁹ bytes), all disks together.
    pub nvme_gb: Option<u64>,
    /// Its GPUs.
    pub gpu: Option<Gpu>,
    /// Its accelerators other than GPUs.
    pub accelerator: Option<Accelerator>,
    /// Neuron cores over all Neuron devices.
    pub neuron_cores: u64,
}

/// The GPUs of an instance type; all are of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gpu {
    /// The model as a label value: `t4`.
    pub name: &'static str,
    /// The manufacturer as a label value: `nvidia`.
    pub manufacturer: &'static str,
    /// How many there are; zero where a type has a part of one only (g6f, gr6f).
    pub count: u64,
    /// Memory of each in MiB.
    pub memory_mib: u64,
}

/// The accelerators of an instance type that are not GPUs; all are of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accelerator {
    /// The model as a label value: `inferentia2`.
    pub name: &'static str,
    /// The manufacturer as a label value: `aws`.
    pub manufacturer: &'static str,
    /// How many there are.
    pub count: u64,
}

impl Specification {
    /// The part of the name before the dot: `c7i-flex` of `c7i-flex.large`.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(family, _)| family)
    }

    /// The part of the name after the dot: `large` of `c7i-flex.large`.
    #[must_use]
    pub fn size(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(_, size)| size)
    }

    /// The letters that the name begins with: `c` of `c7i-flex.large`, `u` of `u-6tb1.56xlarge`.
    #[must_use]
    pub fn category(&self) -> &'static str {
        let end = self.name.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(self.name.len());
        &self.name[..end]
    }

    /// The number that follows the category: `7` of `c7i-flex.large`, `1` of `u-6tb1.56xlarge`, whose `-6tb` is a
    /// size of memory and not a generation.
    #[must_use]
    pub fn generation(&self) -> Option<&'static str> {
        let rest = &self.family()[self.category().len()..];
        let rest = rest
            .strip_prefix('-')
            .and_then(|memory| {
                memory.trim_start_matches(|digit: char| digit.is_ascii_digit()).strip_prefix("tb")
            })
            .unwrap_or(rest);
        let end = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    }

    /// Whether the instance is a whole machine without a hypervisor.
    #[must_use]
    pub fn is_bare_metal(&self) -> bool {
        self.hypervisor.is_empty()
    }
}
