//! Disks, network interfaces, the metadata service and processor options of an EC2NodeClass.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shape;

/// One disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockDeviceMapping {
    /// The device's name: `/dev/xvda`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// The EBS volume behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebs: Option<BlockDevice>,
    /// Whether the kubelet keeps its files here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume: Option<bool>,
}

/// An EBS volume that is made for a launch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.snapshotID) || has(self.volumeSize)").message("'snapshotID' or 'volumeSize'"),
    validation = Rule::new("!has(self.volumeInitializationRate) || has(self.snapshotID)")
        .message("'snapshotID' beside 'volumeInitializationRate'")
)]
pub struct BlockDevice {
    /// Whether the volume ends with its instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_on_termination: Option<bool>,
    /// Whether the volume is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Operations per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int64")]
    pub iops: Option<i64>,
    /// The key that the volume is encrypted with.
    #[serde(rename = "kmsKeyID", default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// The snapshot that the volume is made from.
    #[serde(rename = "snapshotID", default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// MiB per second, for gp3 volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int64")]
    pub throughput: Option<i64>,
    /// MiB per second at which the snapshot is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 100, max = 300))]
    pub volume_initialization_rate: Option<i32>,
    /// The volume's size in `Gi`, `G`, `Ti` or `T`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = "^((?:[1-9][0-9]{0,3}|[1-4][0-9]{4}|[5][0-8][0-9]{3}|59000)Gi|(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|[6][0-3][0-9]{3}|64000)G|([1-9]|[1-4][0-9]|5[0-8])Ti|([1-9]|[1-5][0-9]|6[0-4])T)$"
    ))]
    pub volume_size: Option<String>,
    /// The volume's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<VolumeType>,
}

/// The type of an EBS volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum VolumeType {
    /// Magnetic, of an older kind.
    Standard,
    /// Provisioned operations.
    Io1,
    /// Provisioned operations, more durable.
    Io2,
    /// General purpose.
    Gp2,
    /// Cold.
    Sc1,
    /// Throughput.
    St1,
    /// General purpose, the newer kind.
    Gp3,
}

/// What to do with disks that belong to the instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum InstanceStorePolicy {
    /// Join them into one and keep pods' files there.
    RAID0,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInterface {
    /// The network card it is on.
    #[schemars(schema_with = "shape::int32", range(min = 0))]
    pub network_card_index: i32,
    /// Its position on the card.
    #[schemars(schema_with = "shape::int32", range(min = 0))]
    pub device_index: i32,
    /// What it carries.
    pub interface_type: InterfaceType,
}

/// What a network interface carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum InterfaceType {
    /// Addresses.
    Interface,
    /// The Elastic Fabric Adapter's own traffic and no addresses.
    EfaOnly,
}

/// Whether something is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Switch {
    /// It is.
    Enabled,
    /// It is not.
    Disabled,
}

/// How the instance metadata service answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MetadataOptions {
    /// Whether it answers at all.
    #[serde(rename = "httpEndpoint")]
    pub http_endpoint: Switch,
    /// Whether it answers over IPv6.
    #[serde(rename = "httpProtocolIPv6")]
    pub http_protocol_ipv6: Switch,
    /// How many hops its answers travel.
    #[schemars(schema_with = "shape::int64", range(min = 1, max = 64))]
    pub http_put_response_hop_limit: i64,
    /// Whether a token is needed.
    pub http_tokens: HttpTokens,
}

impl Default for MetadataOptions {
    fn default() -> Self {
        Self {
            http_endpoint: Switch::Enabled,
            http_protocol_ipv6: Switch::Disabled,
            http_put_response_hop_limit: 1,
            http_tokens: HttpTokens::Required,
        }
    }
}

/// Whether the metadata service wants a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum HttpTokens {
    /// It does.
    Required,
    /// It does not.
    Optional,
}

/// How long idle connections are tracked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.tcpEstablishedTimeout) || has(self.udpStreamTimeout) || has(self.udpTimeout)")
        .message("at least one of 'tcpEstablishedTimeout', 'udpStreamTimeout' and 'udpTimeout'")
)]
pub struct ConnectionTracking {
    /// Seconds for established TCP connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 60, max = 432_000))]
    pub tcp_established_timeout: Option<i32>,
    /// Seconds for UDP with more than one request and answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 60, max = 180))]
    pub udp_stream_timeout: Option<i32>,
    /// Seconds for UDP with one request and answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::int32", range(min = 30, max = 60))]
    pub udp_timeout: Option<i32>,
}

/// What the processors may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CpuOptions {
    /// Whether virtual machines may run in the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested_virtualization: Option<Switch>,
}
