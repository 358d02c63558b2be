//! The custom resource EC2NodeClass, `karpenter.k8s.aws/v1`: how instances are launched.
//!
//! Fields, defaults and rules are those of Karpenter 1.14. What is selected is in [`selectors`], disks and
//! networks in [`hardware`], the kubelet in [`kubelet`], what was found in the account in [`status`].

#![expect(unreachable_pub, reason = "kube's derive copies the types into functions")]
#![expect(clippy::duplicated_attributes, reason = "every print column has a type, and several have the same")]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{rules, shape};

pub mod hardware;
pub mod kubelet;
pub mod resolved;
pub mod selectors;
pub mod status;

use hardware::{
    BlockDeviceMapping, ConnectionTracking, CpuOptions, InstanceStorePolicy, MetadataOptions,
    NetworkInterface,
};
use kubelet::Kubelet;
use selectors::{
    AmiSelectorTerm, CapacityReservationSelectorTerm, PlacementGroupSelector, SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
};
use status::Ec2NodeClassStatus;

/// How instances are launched.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "karpenter.k8s.aws",
    version = "v1",
    kind = "EC2NodeClass",
    root = "Ec2NodeClass",
    plural = "ec2nodeclasses",
    singular = "ec2nodeclass",
    shortname = "ec2nc",
    shortname = "ec2ncs",
    category = "karpenter",
    status = "Ec2NodeClassStatus",
    derive = "PartialEq",
    doc = "How EC2 instances are launched.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.role", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.role) != has(self.instanceProfile)")
        .message("either 'role' or 'instanceProfile', and not both"),
    validation = Rule::new("has(self.amiFamily) || self.amiSelectorTerms.exists(x, has(x.alias))")
        .message("'amiFamily' when no AMI is selected by 'alias'"),
    validation = Rule::new("!has(self.amiFamily) || self.amiFamily == 'Custom' || self.amiSelectorTerms.all(x, !has(x.alias) || x.alias.find('^[^@]+') == self.amiFamily.lowerAscii())")
        .message("'amiFamily' to be the family of the 'alias', or 'Custom'")
)]
pub struct Ec2NodeClassSpec {
    /// The subnets to launch in: those that any term selects.
    #[x_kube(
        validation = Rule::new("self.all(x, has(x.tags) || has(x.id))").message("'tags' or 'id' in every term"),
        validation = Rule::new("!self.all(x, has(x.id) && has(x.tags))").message("no 'tags' beside 'id'")
    )]
    #[schemars(length(min = 1, max = 30))]
    pub subnet_selector_terms: Vec<SubnetSelectorTerm>,
    /// The security groups of the instances: those that any term selects.
    #[x_kube(
        validation = Rule::new("self.all(x, has(x.tags) || has(x.id) || has(x.name))")
            .message("'tags', 'id' or 'name' in every term"),
        validation = Rule::new("!self.all(x, has(x.id) && (has(x.tags) || has(x.name)))")
            .message("no 'tags' and no 'name' beside 'id'"),
        validation = Rule::new("!self.all(x, has(x.name) && (has(x.tags) || has(x.id)))")
            .message("no 'tags' and no 'id' beside 'name'")
    )]
    #[schemars(length(min = 1, max = 30))]
    pub security_group_selector_terms: Vec<SecurityGroupSelectorTerm>,
    /// The capacity reservations that may be used: those that any term selects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        validation = Rule::new("self.all(x, has(x.tags) || has(x.id) || has(x.instanceMatchCriteria))")
            .message("'tags', 'id' or 'instanceMatchCriteria' in every term"),
        validation = Rule::new("self.all(x, !has(x.id) || !(has(x.tags) || has(x.ownerID) || has(x.instanceMatchCriteria)))")
            .message("no 'tags', no 'ownerID' and no 'instanceMatchCriteria' beside 'id'")
    )]
    #[schemars(length(max = 30))]
    pub capacity_reservation_selector_terms: Vec<CapacityReservationSelectorTerm>,
    /// The placement group of the instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_group_selector: Option<PlacementGroupSelector>,
    /// The images to launch: those that any term selects.
    #[x_kube(
        validation = Rule::new("self.all(x, has(x.tags) || has(x.id) || has(x.name) || has(x.alias) || has(x.ssmParameter))")
            .message("'tags', 'id', 'name', 'alias' or 'ssmParameter' in every term"),
        validation = Rule::new("!self.exists(x, has(x.id) && (has(x.alias) || has(x.tags) || has(x.name) || has(x.owner)))")
            .message("no 'alias', no 'tags', no 'name' and no 'owner' beside 'id'"),
        validation = Rule::new("!self.exists(x, has(x.alias) && (has(x.id) || has(x.tags) || has(x.name) || has(x.owner)))")
            .message("no 'id', no 'tags', no 'name' and no 'owner' beside 'alias'"),
        validation = Rule::new("!(self.exists(x, has(x.alias)) && self.size() != 1)")
            .message("no other term beside one with 'alias'")
    )]
    #[schemars(length(min = 1, max = 30))]
    pub ami_selector_terms: Vec<AmiSelectorTerm>,
    /// The family of the image, which decides how user data and disks are set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ami_family: Option<AmiFamily>,
    /// User data, merged with what the family needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// The IAM role of the nodes; an instance profile is made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(rules::NOT_EMPTY).message("a role, not an empty text"))]
    pub role: Option<String>,
    /// The instance profile of the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(rules::NOT_EMPTY).message("an instance profile, not an empty text"))]
    pub instance_profile: Option<String>,
    /// Tags for everything that is made from this class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "shape::node_class_tags")]
    pub tags: BTreeMap<String, String>,
    /// Whether instances get a public address; what the subnet says when absent.
    #[serde(rename = "associatePublicIPAddress", default, skip_serializing_if = "Option::is_none")]
    pub associate_public_ip_address: Option<bool>,
    /// How many address prefixes each network interface gets.
    #[serde(rename = "ipPrefixCount", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 0))]
    pub ip_prefix_count: Option<i32>,
    /// Settings of the kubelet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<Kubelet>,
    /// The disks of the instances; the family's own when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        validation = Rule::new("self.filter(x, has(x.rootVolume) && x.rootVolume).size() <= 1")
            .message("at most one mapping with 'rootVolume'")
    )]
    #[schemars(length(max = 50))]
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// What to do with disks that belong to the instance type; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_store_policy: Option<InstanceStorePolicy>,
    /// The network interfaces of the instances; chosen by what the type has when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        validation = Rule::new("self.exists(x, x.networkCardIndex == 0 && x.deviceIndex == 0 && x.interfaceType == 'interface')")
            .message("a primary one, with network card 0, device 0 and type 'interface'"),
        validation = Rule::new("self.all(x, self.filter(y, y.networkCardIndex == x.networkCardIndex && y.deviceIndex == x.deviceIndex).size() == 1)")
            .message("no two with the same 'networkCardIndex' and 'deviceIndex'"),
        validation = Rule::new("self.all(x, self.filter(y, y.networkCardIndex == x.networkCardIndex && y.interfaceType == 'efa-only').size() <= 1)")
            .message("at most one of type 'efa-only' on each network card")
    )]
    #[schemars(length(max = 150))]
    pub network_interfaces: Vec<NetworkInterface>,
    /// Whether CloudWatch gets measurements every minute rather than every five.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detailed_monitoring: Option<bool>,
    /// How the instance metadata service answers.
    #[serde(default)]
    pub metadata_options: MetadataOptions,
    /// How long idle connections are tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_tracking: Option<ConnectionTracking>,
    /// The `Context` of EC2's CreateFleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// What the processors may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_options: Option<CpuOptions>,
}

/// The family of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum AmiFamily {
    /// Amazon Linux 2.
    AL2,
    /// Amazon Linux 2023.
    AL2023,
    /// Bottlerocket.
    Bottlerocket,
    /// Nothing is assumed.
    Custom,
    /// Windows Server 2019.
    Windows2019,
    /// Windows Server 2022.
    Windows2022,
    /// Windows Server 2025.
    Windows2025,
}

impl AmiFamily {
    /// The family of an alias such as `al2023@latest`.
    #[must_use]
    pub fn from_alias(alias: &str) -> Option<Self> {
        Some(match alias.split_once('@')?.0 {
            "al2" => Self::AL2,
            "al2023" => Self::AL2023,
            "bottlerocket" => Self::Bottlerocket,
            "windows2019" => Self::Windows2019,
            "windows2022" => Self::Windows2022,
            "windows2025" => Self::Windows2025,
            _ => return None,
        })
    }

    /// The device that holds the pods' files when no mapping says `rootVolume`; `None` when the family does not say.
    #[must_use]
    pub const fn pods_device(self) -> Option<&'static str> {
        match self {
            Self::AL2 | Self::AL2023 => Some("/dev/xvda"),
            Self::Bottlerocket => Some("/dev/xvdb"),
            Self::Windows2019 | Self::Windows2022 | Self::Windows2025 => Some("/dev/sda1"),
            Self::Custom => None,
        }
    }
}
