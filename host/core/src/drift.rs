//! Whether a node still is what its NodePool and its EC2NodeClass ask for.
//!
//! Asked anew whenever it matters, of what is known at that moment: a node whose NodePool is changed back is not drifted
//! any more. What is done about drifted nodes is in `disrupt`.

use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::node::{Instance, NodeClaim};
use crate::model::node_pool::{NodeClass, NodePool};
use crate::model::time::{Duration, Timestamp};
use crate::provision::existing::{is_fulfilled, labels_of_claim};
use crate::state::Snapshot;

/// That its instance type is not sold any more is held against a node only once it is this old: lists of instance types
/// are not always whole (Karpenter: 1 h).
pub const SOLD_NO_MORE_AFTER: Duration = Duration::from_secs(3_600);

/// In what a node differs from what is asked for now, in the order in which it is looked for (Karpenter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drift {
    /// Its NodePool's template was another when it was launched.
    NodePool,
    /// Its labels do not fulfil its NodePool's requirements.
    Requirements,
    /// Its EC2NodeClass has no such instance type or no such offering any more.
    InstanceType,
    /// Its EC2NodeClass was another when it was launched.
    NodeClass,
    /// What was found in the cloud for its EC2NodeClass is another.
    Cloud(CloudDrift),
}

/// In what an instance differs from what was found for its EC2NodeClass. Whoever knows the cloud says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloudDrift {
    /// Its image is none of those that the class selects.
    Ami,
    /// Its security groups are others.
    SecurityGroups,
    /// Its subnet is none of those that the class selects.
    Subnet,
    /// Its capacity reservation is none of those that the class selects.
    CapacityReservation,
    /// It is in another placement group.
    PlacementGroup,
}

impl Drift {
    /// The reason of the condition `Drifted` (Karpenter).
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NodePool => "NodePoolDrifted",
            Self::Requirements => "RequirementsDrifted",
            Self::InstanceType => "InstanceTypeNotFound",
            Self::NodeClass => "NodeClassDrift",
            Self::Cloud(CloudDrift::Ami) => "AMIDrift",
            Self::Cloud(CloudDrift::SecurityGroups) => "SecurityGroupDrift",
            Self::Cloud(CloudDrift::Subnet) => "SubnetDrift",
            Self::Cloud(CloudDrift::CapacityReservation) => "CapacityReservationDrift",
            Self::Cloud(CloudDrift::PlacementGroup) => "PlacementGroupDrift",
        }
    }
}

/// In what a node differs from what is asked for at `now`; `None` while it has no instance, and when its NodePool is gone.
#[must_use]
pub fn drift(snapshot: &Snapshot, claim: &NodeClaim, now: Timestamp) -> Option<Drift> {
    let instance = claim.instance.as_ref()?;
    let pool = snapshot.node_pools.get(&claim.node_pool)?;
    let class = snapshot.node_classes.get(&claim.node_class);
    let made_from = &claim.made_from;
    if made_from.node_pool.as_ref().is_some_and(|known| known.differs(&pool.fingerprint())) {
        return Some(Drift::NodePool);
    }
    if !keeps_requirements(pool, claim, class) {
        return Some(Drift::Requirements);
    }
    if claim.created + SOLD_NO_MORE_AFTER <= now && is_sold_no_more(class, instance) {
        return Some(Drift::InstanceType);
    }
    let of_class = class.and_then(|class| class.fingerprint.as_ref()).zip(made_from.node_class.as_ref());
    if of_class.is_some_and(|(asked, known)| known.differs(asked)) {
        return Some(Drift::NodeClass);
    }
    snapshot.cloud_drift.get(&instance.provider_id).copied().map(Drift::Cloud)
}

/// When it will be held against a node that it is sold no more, if that is to come yet.
pub(crate) fn counts_later(snapshot: &Snapshot, claim: &NodeClaim, now: Timestamp) -> Option<Timestamp> {
    let class = snapshot.node_classes.get(&claim.node_class);
    let at = claim.created + SOLD_NO_MORE_AFTER;
    claim.instance.as_ref().filter(|instance| at > now && is_sold_no_more(class, instance)).map(|_| at)
}

/// Whether a node's labels fulfil its NodePool's requirements. A label that every node gets and that this one does not
/// have says nothing: it was not known when the node was launched.
fn keeps_requirements(pool: &NodePool, claim: &NodeClaim, class: Option<&NodeClass>) -> bool {
    if pool.requirements.is_empty() {
        return true;
    }
    let own = labels_of_claim(claim, class);
    pool.requirements.iter().all(|requirement| {
        let key = labels::normalized(&requirement.key);
        let is_unknown = labels::is_well_known(key) && !own.contains_key(key);
        is_unknown || is_fulfilled(requirement, &own)
    })
}

/// Whether a class that is known has no such offering. What was reserved may go on as it is bought on demand.
fn is_sold_no_more(class: Option<&NodeClass>, instance: &Instance) -> bool {
    let Some(class) = class.filter(|class| class.ready && !class.instance_types.is_empty()) else {
        return false;
    };
    let mut kinds = class.instance_types.iter().filter(|kind| kind.name == instance.instance_type);
    !kinds.any(|kind| {
        kind.offerings.iter().any(|offering| {
            let same = offering.capacity_type == instance.capacity_type;
            let was_reserved = instance.capacity_type == CapacityType::Reserved
                && offering.capacity_type == CapacityType::OnDemand;
            offering.zone == instance.zone && (same || was_reserved)
        })
    })
}
