//! What the instance catalogue needs of an EC2NodeClass.
//!
//! The catalogue has a type of its own made of core types only; whoever joins the two copies field by field.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use whittle_core::model::fingerprint::Fingerprint;
use whittle_core::model::instance_type::ReservationKind;

use crate::node_class::hardware::{InstanceStorePolicy, NetworkInterface, Switch};
use crate::node_class::selectors::SubnetSelectorTerm;
use crate::node_class::status::{CapacityReservation, ReservationState, ReservationType};
use crate::node_class::{AmiFamily, Ec2NodeClass, Ec2NodeClassSpec};
use crate::problem::{At, Defect};
use crate::quantity;
use crate::template::NodeClassRef;

use super::requirement::quoted;
use crate::conditions;

/// The settings of an EC2NodeClass that decide what an instance type offers to pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeClassSettings {
    /// The class's name.
    pub name: String,
    /// Whether the class is valid and ready, as it is now, and does not end; true when no status says otherwise.
    pub ready: bool,
    /// The fingerprint of what its instances are given once and for all.
    pub fingerprint: Fingerprint,
    /// The family of the image.
    pub ami_family: AmiFamily,
    /// How many pods a node may have at most.
    pub max_pods: Option<u64>,
    /// How many pods a node may have for each CPU; `None` for no such limit.
    pub pods_per_core: Option<u64>,
    /// What is kept for Kubernetes' daemons, in place of the defaults: CPU in thousandths, the rest in whole units.
    pub kube_reserved: BTreeMap<String, u64>,
    /// What is kept for the system's daemons, in the same units.
    pub system_reserved: BTreeMap<String, u64>,
    /// Thresholds below which pods are evicted at once, by signal.
    pub eviction_hard: BTreeMap<String, Threshold>,
    /// Thresholds below which pods are evicted after a while, by signal.
    pub eviction_soft: BTreeMap<String, Threshold>,
    /// Bytes of the volume that holds the pods' files; `None` when the class does not say.
    pub root_volume_bytes: Option<u64>,
    /// Whether the instance type's own disks hold the pods' files.
    pub instance_store_raid0: bool,
    /// Address prefixes for each network interface.
    pub ip_prefix_count: Option<u64>,
    /// The zones of the subnets that were found, name and id; empty when nothing was found yet.
    pub zones: Vec<Zone>,
    /// The capacity reservations that were found and do not end soon. How many instances each has is not known here.
    pub reservations: Vec<Reservation>,
    /// The network interfaces that are asked for; empty for what the type has.
    pub network_interfaces: Vec<NetworkInterface>,
    /// Whether virtual machines must be able to run in the instance.
    pub nested_virtualization: bool,
    /// Whether idle connections are tracked otherwise than by default, which only Nitro can.
    pub connection_tracking: bool,
    /// How subnets are selected.
    pub subnet_selector_terms: Vec<SubnetSelectorTerm>,
}

/// A zone in which the class has a subnet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its account-independent id.
    pub id: Option<String>,
}

/// A capacity reservation that the class may use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reservation {
    /// Its id.
    pub id: String,
    /// The instance type that it holds.
    pub instance_type: String,
    /// The name of the zone that it is in.
    pub zone: String,
    /// How it was bought.
    pub kind: ReservationKind,
}

/// When the kubelet evicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// Below so many bytes, inodes or process ids.
    Amount(u64),
    /// Below so many millionths of what the node has: 5 % is 50 000.
    PerMillion(u64),
}

/// The settings of an EC2NodeClass that decide what an instance type offers to pods.
///
/// # Errors
///
/// All quantities that cannot be read.
pub fn node_class_settings(class: &Ec2NodeClass) -> Result<NodeClassSettings, Vec<Defect>> {
    let mut defects = Vec::new();
    let root = At::Root;
    let at = root.key("spec");
    let kubelet_at = at.key("kubelet");
    let spec = &class.spec;
    let kubelet = spec.kubelet.clone().unwrap_or_default();
    let positive = |count: Option<i32>| count.and_then(|count| u64::try_from(count).ok());
    let reserved = |map: Option<BTreeMap<String, _>>, name: &str, defects: &mut Vec<Defect>| {
        amounts(&map.unwrap_or_default(), &kubelet_at.key(name), defects)
    };
    let ami_family = ami_family(spec);
    let status = class.status.clone().unwrap_or_default();
    let settings = NodeClassSettings {
        name: class.metadata.name.clone().unwrap_or_default(),
        ready: is_ready(class, &status.conditions),
        fingerprint: super::fingerprint::of_node_class(spec),
        ami_family,
        max_pods: positive(kubelet.max_pods),
        pods_per_core: positive(kubelet.pods_per_core).filter(|count| *count > 0),
        kube_reserved: reserved(kubelet.kube_reserved, "kubeReserved", &mut defects),
        system_reserved: reserved(kubelet.system_reserved, "systemReserved", &mut defects),
        eviction_hard: thresholds(kubelet.eviction_hard, &kubelet_at.key("evictionHard"), &mut defects),
        eviction_soft: thresholds(kubelet.eviction_soft, &kubelet_at.key("evictionSoft"), &mut defects),
        root_volume_bytes: root_volume_bytes(spec, ami_family, &at, &mut defects),
        instance_store_raid0: spec.instance_store_policy == Some(InstanceStorePolicy::RAID0),
        ip_prefix_count: positive(spec.ip_prefix_count),
        zones: zones(&status.subnets),
        reservations: reservations(&status.capacity_reservations),
        network_interfaces: spec.network_interfaces.clone(),
        nested_virtualization: spec.cpu_options.as_ref().and_then(|options| options.nested_virtualization)
            == Some(Switch::Enabled),
        connection_tracking: spec.connection_tracking.is_some(),
        subnet_selector_terms: spec.subnet_selector_terms.clone(),
    };
    if defects.is_empty() { Ok(settings) } else { Err(defects) }
}

/// What a status says of an older generation says nothing of this one.
fn is_ready(class: &Ec2NodeClass, said: &[Condition]) -> bool {
    let is_of_now = |one: &Condition| match (one.observed_generation, class.metadata.generation) {
        (Some(observed), Some(generation)) => observed >= generation,
        (None, _) | (_, None) => true,
    };
    class.metadata.deletion_timestamp.is_none()
        && conditions::find(said, conditions::READY).is_none_or(|one| one.status == "True" && is_of_now(one))
}

/// The family that a class says or that its alias stands for. The rules of the class leave no third case.
#[must_use]
pub fn ami_family(spec: &Ec2NodeClassSpec) -> AmiFamily {
    let alias = || spec.ami_selector_terms.iter().find_map(|term| term.alias.as_deref());
    spec.ami_family.or_else(|| alias().and_then(AmiFamily::from_alias)).unwrap_or(AmiFamily::Custom)
}

/// Whether a NodePool or NodeClaim refers to an EC2NodeClass.
#[must_use]
pub fn is_ec2_node_class(reference: &NodeClassRef) -> bool {
    reference.group == "karpenter.k8s.aws" && reference.kind == "EC2NodeClass"
}

fn zones(subnets: &[crate::node_class::status::Subnet]) -> Vec<Zone> {
    let mut zones: Vec<Zone> =
        subnets.iter().map(|subnet| Zone { name: subnet.zone.clone(), id: subnet.zone_id.clone() }).collect();
    zones.sort();
    zones.dedup();
    zones
}

/// Those that are about to end take no new instances (Karpenter: capacity blocks expire 40 minutes before their end).
fn reservations(found: &[CapacityReservation]) -> Vec<Reservation> {
    let lasting = found.iter().filter(|one| match one.state {
        ReservationState::Active => true,
        ReservationState::Expiring => false,
    });
    let mut reservations: Vec<_> = lasting
        .map(|one| Reservation {
            id: one.id.clone(),
            instance_type: one.instance_type.clone(),
            zone: one.availability_zone.clone(),
            kind: match one.reservation_type {
                ReservationType::Default => ReservationKind::Default,
                ReservationType::CapacityBlock => ReservationKind::CapacityBlock,
            },
        })
        .collect();
    reservations.sort();
    reservations
}

fn amounts(
    quantities: &BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> BTreeMap<String, u64> {
    let mut amounts = BTreeMap::new();
    for (name, quantity) in quantities {
        match quantity::amount(name, quantity) {
            Some(amount) => {
                amounts.insert(name.clone(), amount);
            }
            None => defects.push(Defect::new(&at.key(name), quoted(&quantity.0), quantity::EXPECTED)),
        }
    }
    amounts
}

fn thresholds(
    texts: Option<BTreeMap<String, String>>,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> BTreeMap<String, Threshold> {
    let mut thresholds = BTreeMap::new();
    for (signal, text) in texts.into_iter().flatten() {
        let threshold = match text.strip_suffix('%') {
            Some(percent) => per_million(percent).map(Threshold::PerMillion),
            None => quantity::whole(&text).map(Threshold::Amount),
        };
        match threshold {
            Some(threshold) => {
                thresholds.insert(signal, threshold);
            }
            None => {
                let expected = "a quantity such as 100Mi or a percentage from 0% to 100%";
                defects.push(Defect::new(&at.key(&signal), quoted(&text), expected));
            }
        }
    }
    thresholds
}

/// A percentage with at most two decimals in millionths.
fn per_million(percent: &str) -> Option<u64> {
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
        return None;
    }
    let ten_thousandths: u64 = format!("{whole}{fraction:0<2}").parse().ok()?;
    (ten_thousandths <= 10_000).then_some(ten_thousandths * 100)
}

/// The size of the mapping that says `rootVolume`, else of the device where the family keeps the pods' files, else
/// for a family that does not say of the last mapping.
fn root_volume_bytes(
    spec: &Ec2NodeClassSpec,
    family: AmiFamily,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Option<u64> {
    let mappings = &spec.block_device_mappings;
    let marked = mappings.iter().position(|mapping| mapping.root_volume == Some(true));
    let of_family = || match family.pods_device() {
        Some(device) => mappings.iter().position(|mapping| mapping.device_name.as_deref() == Some(device)),
        None => mappings.len().checked_sub(1),
    };
    let position = marked.or_else(of_family)?;
    let size = mappings[position].ebs.as_ref()?.volume_size.as_deref()?;
    let bytes = quantity::whole(size);
    if bytes.is_none() {
        let list = at.key("blockDeviceMappings");
        let mapping = list.index(position);
        let ebs = mapping.key("ebs");
        defects.push(Defect::new(&ebs.key("volumeSize"), quoted(size), quantity::EXPECTED));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_class_is_ready_when_its_status_says_so_of_this_generation_and_it_does_not_end() {
        let ready = |status: &str, observed: serde_json::Value, ends: serde_json::Value| {
            let time = "2026-01-01T00:00:00Z";
            let condition = json!({
                "type": "Ready", "status": status, "reason": "Ready", "message": "",
                "lastTransitionTime": time, "observedGeneration": observed,
            });
            let spec = json!({
                "subnetSelectorTerms": [], "securityGroupSelectorTerms": [], "amiSelectorTerms": [],
            });
            let class = json!({
                "metadata": { "name": "a", "generation": 2, "deletionTimestamp": ends },
                "spec": spec,
                "status": { "conditions": [condition] },
            });
            let class: Ec2NodeClass = serde_json::from_value(class).unwrap();
            node_class_settings(&class).unwrap().ready
        };
        let none = serde_json::Value::Null;
        assert!(ready("True", json!(2), none.clone()));
        assert!(ready("True", none.clone(), none.clone()));
        assert!(!ready("True", json!(1), none.clone()));
        assert!(!ready("False", json!(2), none.clone()));
        assert!(!ready("Unknown", json!(2), none));
        assert!(!ready("True", json!(2), json!("2026-01-01T00:00:00Z")));
    }
}
