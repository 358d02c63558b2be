//! What an EC2NodeClass says that changes which instance types it can launch and what their nodes can hold.
//!
//! Quantities are parsed already. Selectors, user data, AMIs and IAM are not here: they do not change arithmetic.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::model::instance_type::Reservation;

use crate::specification::Specification;

/// The share of a virtual machine's memory that the hypervisor keeps, in thousandths, unless told otherwise
/// (Karpenter's option `vm-memory-overhead-percent`, 7.5 %).
pub const VM_MEMORY_OVERHEAD_PER_MILLE_DEFAULT: u64 = 75;

/// The settings of one EC2NodeClass. The default is a class that sets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeClassSettings {
    /// The family of machine image.
    pub ami_family: AmiFamily,
    /// `kubelet.maxPods`: replaces the number of pods that network interfaces allow.
    pub max_pods: Option<u64>,
    /// `kubelet.podsPerCore`: caps the number of pods per vCPU; zero sets no cap.
    pub pods_per_core: Option<u64>,
    /// Network interfaces of the default card that pods cannot use (Karpenter's option `reserved-enis`).
    pub reserved_enis: u64,
    /// `kubelet.kubeReserved`: replaces the default of each resource that is named, by its Kubernetes name; CPU in
    /// thousandths, everything else in whole units.
    pub kube_reserved: BTreeMap<String, u64>,
    /// `kubelet.systemReserved`, in the same form.
    pub system_reserved: BTreeMap<String, u64>,
    /// `kubelet.evictionHard["memory.available"]`.
    pub eviction_hard_memory: Option<EvictionThreshold>,
    /// `kubelet.evictionHard["nodefs.available"]`.
    pub eviction_hard_nodefs: Option<EvictionThreshold>,
    /// The size in bytes of the volume that holds the pods' files; unless set, what the family's image has.
    pub root_volume_bytes: Option<u64>,
    /// `instanceStorePolicy: RAID0`: the pods' files are on the NVMe disks where there are any.
    pub instance_store_raid0: bool,
    /// The share of a virtual machine's memory that the hypervisor keeps, in thousandths.
    pub vm_memory_overhead_per_mille: u64,
    /// The zones of the class's subnets by name; `None` is every zone of the region. A zone that the catalogue does
    /// not have (a local zone) offers nothing.
    pub zones: Option<Vec<String>>,
    /// Zone ids by zone name, where the account pairs them otherwise than `data/zones.csv`.
    pub zone_ids: BTreeMap<String, String>,
    /// The capacity reservations that the class may use.
    pub reservations: Vec<ReservedInstances>,
    /// `networkInterfaces`, beside the primary one.
    pub network_interfaces: Vec<NetworkInterface>,
    /// What the instance type must be able to do for the class to work.
    pub required_features: BTreeSet<Feature>,
    /// Memory in bytes that nodes of an instance type really reported; replaces the estimate for that type.
    pub discovered_memory_bytes: BTreeMap<String, u64>,
}

impl Default for NodeClassSettings {
    fn default() -> Self {
        Self {
            ami_family: AmiFamily::default(),
            max_pods: None,
            pods_per_core: None,
            reserved_enis: 0,
            kube_reserved: BTreeMap::new(),
            system_reserved: BTreeMap::new(),
            eviction_hard_memory: None,
            eviction_hard_nodefs: None,
            root_volume_bytes: None,
            instance_store_raid0: false,
            vm_memory_overhead_per_mille: VM_MEMORY_OVERHEAD_PER_MILLE_DEFAULT,
            zones: None,
            zone_ids: BTreeMap::new(),
            reservations: Vec::new(),
            network_interfaces: Vec::new(),
            required_features: BTreeSet::new(),
            discovered_memory_bytes: BTreeMap::new(),
        }
    }
}

/// A capacity reservation: instances of one type in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedInstances {
    /// The instance type.
    pub instance_type: String,
    /// The zone by name.
    pub zone: String,
    /// The reservation.
    pub reservation: Reservation,
}

/// The family of machine image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AmiFamily {
    /// Amazon Linux 2.
    Al2,
    /// Amazon Linux 2023.
    #[default]
    Al2023,
    /// Bottlerocket.
    Bottlerocket,
    /// An image of the user's own.
    Custom,
    /// Windows Server 2019.
    Windows2019,
    /// Windows Server 2022.
    Windows2022,
    /// Windows Server 2025.
    Windows2025,
}

impl AmiFamily {
    /// The Windows build, the value of `node.kubernetes.io/windows-build`; `None` on Linux.
    #[must_use]
    pub const fn windows_build(self) -> Option<&'static str> {
        match self {
            Self::Al2 | Self::Al2023 | Self::Bottlerocket | Self::Custom => None,
            Self::Windows2019 => Some("10.0.17763"),
            Self::Windows2022 => Some("10.0.20348"),
            Self::Windows2025 => Some("10.0.26100"),
        }
    }

    /// The value of `kubernetes.io/os`.
    #[must_use]
    pub const fn os(self) -> &'static str {
        if self.windows_build().is_some() { "windows" } else { "linux" }
    }
}

/// When the kubelet starts to evict pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvictionThreshold {
    /// Below this many bytes.
    Bytes(u64),
    /// Below this share of the capacity, in millionths. The whole (100 %) switches eviction off.
    PerMillion(u64),
}

/// A network interface that the class attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkInterface {
    /// The network card it is on, from zero.
    pub network_card_index: u64,
    /// What it carries.
    pub kind: NetworkInterfaceKind,
}

/// What a network interface carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkInterfaceKind {
    /// IP traffic.
    Interface,
    /// Elastic Fabric Adapter traffic alone, no IP addresses.
    EfaOnly,
}

/// What a class can need of an instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// `cpuOptions.nestedVirtualization: enabled`.
    NestedVirtualization,
    /// The Nitro system, which `connectionTracking` needs.
    Nitro,
}

impl NodeClassSettings {
    /// Whether the class can launch this instance type at all.
    ///
    /// Amazon Linux 2023 has no image for a1; Windows has none for arm64; network interfaces need their card, and
    /// those for EFA alone a type that has EFA; features must be there. Bare metal that is not on Xen is Nitro.
    #[must_use]
    pub fn can_launch(&self, specification: &Specification) -> bool {
        let image = match self.ami_family {
            AmiFamily::Al2 | AmiFamily::Bottlerocket | AmiFamily::Custom => true,
            AmiFamily::Al2023 => specification.family() != "a1",
            AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025 => {
                specification.arch == "amd64"
            }
        };
        let interfaces = self.network_interfaces.iter().all(|interface| {
            let efa = interface.kind == NetworkInterfaceKind::Interface || specification.efa_interfaces > 0;
            efa && interface.network_card_index < specification.network_cards
        });
        let features = self.required_features.iter().all(|feature| match feature {
            Feature::NestedVirtualization => specification.nested_virtualization,
            Feature::Nitro => specification.hypervisor != "xen",
        });
        image && interfaces && features
    }
}
