//! What is asked of EC2 for a NodeClaim: launch templates, and the offerings that it may choose among as overrides.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_class::status::{Ec2NodeClassStatus, ReservationType};
use whittle_catalog::capacity::EFA;
use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::node::NodeClaim;
use whittle_core::plan::LaunchOffering;

use super::tags;
use super::template::{Market, Reserved, Template, Variant, digest, template};
use crate::addresses::Addresses;
use crate::classes::choice::image_for;
use crate::cluster::Cluster;

/// A launch chooses among so many instance types, the cheapest (Karpenter).
const TYPES_MAX: usize = 60;

/// A request. Two with one key ask for the same and can be made together.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    key: String,
    /// The NodePool that it is for.
    pub(crate) node_pool: String,
    /// How instances are bought.
    pub(crate) capacity_type: CapacityType,
    /// And if they are reserved, how the reservations were.
    pub(crate) reserved: Option<Reserved>,
    /// Each with its overrides.
    pub(crate) templates: Vec<(Template, Vec<Override>)>,
    /// The tags of instances, volumes and the fleet.
    pub(crate) tags: BTreeMap<String, String>,
    /// What the class says about where the request comes from.
    pub(crate) context: Option<String>,
    /// The subnets beside which their zone has another one with addresses.
    pub(crate) spare: BTreeSet<String>,
}

/// An offering, and where and with what it would be launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Override {
    pub(crate) offering: LaunchOffering,
    pub(crate) subnet: String,
    pub(crate) image: String,
    /// How many pods the node holds.
    pub(crate) pods: i64,
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Request {}

impl Hash for Request {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl Request {
    /// Its subnets, each with the addresses that a node there takes at least: one for each pod that it holds (Karpenter).
    pub(crate) fn addresses(&self) -> BTreeMap<&str, i64> {
        let mut least = BTreeMap::new();
        for one in self.overrides() {
            let count = least.entry(one.subnet.as_str()).or_insert(one.pods);
            *count = one.pods.min(*count);
        }
        least
    }

    /// Every offering that it may be launched as.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = &Override> {
        self.templates.iter().flat_map(|(_, overrides)| overrides)
    }
}

/// The request for a NodeClaim that may be launched as any of `offerings`.
///
/// # Errors
///
/// What the class lacks, or what of it cannot be launched.
pub(crate) fn request(
    (cluster, class, addresses): (&Cluster, &Ec2NodeClass, &Addresses),
    claim: &NodeClaim,
    offerings: &[LaunchOffering],
    types: impl Fn(&str) -> Option<InstanceType>,
) -> Result<Request, String> {
    let name = class.metadata.name.as_deref().unwrap_or_default();
    let status = class.status.clone().unwrap_or_default();
    let Some(capacity_type) = offerings.iter().map(|one| one.capacity_type).min() else {
        return Err("nothing is to be launched".to_owned());
    };
    let mut by_variant: BTreeMap<Variant, Vec<Override>> = BTreeMap::new();
    let mut spare = BTreeSet::new();
    let asks_for_efa = claim.requests.get(EFA) > 0 && class.spec.network_interfaces.is_empty();
    let listed = of_one_kind(cheapest(offerings, capacity_type), &status);
    let reserved = listed.first().and_then(|one| reserved(one.reservation.as_deref()?, &status));
    for offering in listed {
        let Some(kind) = types(&offering.instance_type) else { continue };
        let Some(image) = image_for(&status.amis, &kind.labels) else { continue };
        let Some(subnet) = addresses.best(&status.subnets, &offering.zone) else { continue };
        if addresses.are_elsewhere(&status.subnets, subnet) {
            spare.insert(subnet.id.clone());
        }
        let variant = Variant {
            image: image.id.clone(),
            max_pods: kind.capacity.pods,
            efa_interfaces: if asks_for_efa { kind.capacity.get(EFA) } else { 0 },
            market: market(offering, &status),
        };
        let offering = offering.clone();
        let pods = i64::try_from(kind.capacity.pods).unwrap_or(i64::MAX);
        let one = Override { offering, subnet: subnet.id.clone(), image: image.id.clone(), pods };
        by_variant.entry(variant).or_default().push(one);
    }
    if by_variant.is_empty() {
        return Err(format!(
            "EC2NodeClass {name} has no image and no subnet for any of the {} offerings",
            offerings.len()
        ));
    }
    let templates = by_variant
        .into_iter()
        .map(|(variant, overrides)| Ok((template(cluster, class, claim, &variant)?, overrides)))
        .collect::<Result<Vec<_>, String>>()?;
    let tags = tags::common(&cluster.name, &claim.node_pool, name, &class.spec.tags);
    let context = class.spec.context.clone();
    let key = key(&templates, &context);
    let node_pool = claim.node_pool.clone();
    Ok(Request { key, node_pool, capacity_type, reserved, templates, tags, context, spare })
}

fn market(offering: &LaunchOffering, status: &Ec2NodeClassStatus) -> Market {
    match (&offering.reservation, offering.capacity_type) {
        (Some(id), _) => {
            let kind = reserved(id, status).unwrap_or(Reserved::OnDemand);
            Market::Reservation(id.clone(), kind)
        }
        (None, CapacityType::Spot) => Market::Spot,
        (None, CapacityType::OnDemand | CapacityType::Reserved) => Market::OnDemand,
    }
}

/// How a reservation of the class was bought.
fn reserved(id: &str, status: &Ec2NodeClassStatus) -> Option<Reserved> {
    let found = status.capacity_reservations.iter().find(|one| one.id == id)?;
    Some(match found.reservation_type {
        ReservationType::CapacityBlock => Reserved::CapacityBlock,
        ReservationType::Default if found.interruptible == Some(true) => Reserved::Interruptible,
        ReservationType::Default => Reserved::OnDemand,
    })
}

/// What one request may ask for: reservations that were bought in one way, one of each type in a zone, and of capacity
/// blocks a single one (EC2). What is first stays.
fn of_one_kind<'a>(
    offerings: Vec<&'a LaunchOffering>,
    status: &Ec2NodeClassStatus,
) -> Vec<&'a LaunchOffering> {
    let kind = |one: &LaunchOffering| one.reservation.as_deref().map(|id| reserved(id, status));
    let Some((first, of_first)) = offerings.first().and_then(|one| Some((*one, kind(one)?))) else {
        return offerings;
    };
    if of_first == Some(Reserved::CapacityBlock) {
        return vec![first];
    }
    let mut pools = BTreeSet::new();
    let mut alike = offerings;
    alike.retain(|one| kind(one) == Some(of_first) && pools.insert((&one.instance_type, &one.zone)));
    alike
}

/// The offerings of the cheapest types that are bought like this, in their order.
fn cheapest(offerings: &[LaunchOffering], capacity_type: CapacityType) -> Vec<&LaunchOffering> {
    let mut bought: Vec<&LaunchOffering> =
        offerings.iter().filter(|one| one.capacity_type == capacity_type).collect();
    bought.sort_by_key(|one| one.price);
    let mut types = BTreeSet::new();
    bought.retain(|one| {
        let is_known = types.contains(&one.instance_type);
        is_known || (types.len() < TYPES_MAX && types.insert(one.instance_type.clone()))
    });
    bought
}

/// The tags are in the templates' own names.
fn key(templates: &[(Template, Vec<Override>)], context: &Option<String>) -> String {
    digest(&format!(
        "{:?}",
        (
            templates.iter().map(|(template, overrides)| (&template.name, overrides)).collect::<Vec<_>>(),
            context
        )
    ))
}
