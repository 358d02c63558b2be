//! What is asked of EC2 for a NodeClaim: launch templates, and the offerings that it may choose among as overrides.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use whittle_api::node_class::Ec2NodeClass;
use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::node::NodeClaim;
use whittle_core::plan::LaunchOffering;

use super::tags;
use super::template::{Template, Variant, digest, template};
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
    /// Each with its overrides.
    pub(crate) templates: Vec<(Template, Vec<Override>)>,
    /// The tags of instances, volumes and the fleet.
    pub(crate) tags: BTreeMap<String, String>,
    /// What the class says about where the request comes from.
    pub(crate) context: Option<String>,
}

/// An offering, and where and with what it would be launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Override {
    pub(crate) offering: LaunchOffering,
    pub(crate) subnet: String,
    pub(crate) image: String,
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
    (cluster, class): (&Cluster, &Ec2NodeClass),
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
    for offering in cheapest(offerings, capacity_type) {
        let Some(kind) = types(&offering.instance_type) else { continue };
        let Some(image) = image_for(&status.amis, &kind.labels) else { continue };
        let Some(subnet) = status.subnets.iter().find(|subnet| subnet.zone == offering.zone) else {
            continue;
        };
        let variant = Variant {
            image: image.id.clone(),
            max_pods: kind.capacity.pods,
            reservation: offering.reservation.clone(),
            is_spot: capacity_type == CapacityType::Spot,
        };
        let offering = offering.clone();
        let one = Override { offering, subnet: subnet.id.clone(), image: image.id.clone() };
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
    Ok(Request { key, node_pool: claim.node_pool.clone(), capacity_type, templates, tags, context })
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
