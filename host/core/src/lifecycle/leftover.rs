//! What a process that ended in the middle of something has left: NodeClaims without an instance, instances without a
//! NodeClaim, NodeClaims whose instance is gone, Nodes that nobody lets go.
//!
//! Nothing is remembered across a restart. All of this is read off the objects and the cloud's own list, so it is the
//! same after a crash, after a lost answer and after somebody else's hand.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::instance_type::{CapacityType, InstanceType, Offering};
use crate::model::labels;
use crate::model::node::{Node, NodeClaim};
use crate::model::time::{Duration, Timestamp};
use crate::plan::LaunchOffering;
use crate::provision::existing::is_fulfilled;
use crate::state::Snapshot;

/// An instance without a NodeClaim is ended when it is older than this: its NodeClaim may only not have been seen yet
/// (Karpenter: 30 s). A NodeClaim whose instance is not listed is given up when the instance is as old: EC2 lists what it
/// launched a little later.
pub const STRAY_AFTER: Duration = Duration::from_secs(30);

/// An instance as the cloud lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Running {
    /// `aws:///<zone>/<instance id>`.
    pub provider_id: String,
    /// The NodeClaim that it was launched for.
    pub claim: String,
    /// How it is bought now.
    pub capacity_type: CapacityType,
    /// When it was launched.
    pub launched: Timestamp,
}

/// A NodeClaim that has no instance, and what it may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlaunched {
    /// The NodeClaim, as it is written.
    pub claim: NodeClaim,
    /// What it allows and what is thought to be available, cheapest first; never empty.
    pub offerings: Vec<LaunchOffering>,
}

/// The NodeClaims that are written and have no instance: their launch did not happen, or nobody has heard of it. To
/// launch again for the same NodeClaim is safe, because its client token is the same.
///
/// `is_under_way` tells by name which launches are under way or were a moment ago.
#[must_use]
pub fn unlaunched(
    snapshot: &Snapshot,
    now: Timestamp,
    is_under_way: impl Fn(&str) -> bool,
) -> Vec<Unlaunched> {
    let claims = snapshot.claims.values().filter(|claim| {
        let is_wanted = claim.deleting.is_none() && !snapshot.refused.contains(&claim.name);
        claim.instance.is_none() && is_wanted && !is_under_way(&claim.name)
    });
    let with_offerings = claims.map(|claim| {
        let offerings = offerings(snapshot, claim, now);
        Unlaunched { claim: claim.clone(), offerings }
    });
    with_offerings.filter(|one| !one.offerings.is_empty()).collect()
}

/// What a NodeClaim may be launched as, cheapest first.
fn offerings(snapshot: &Snapshot, claim: &NodeClaim, now: Timestamp) -> Vec<LaunchOffering> {
    let Some(class) = snapshot.node_classes.get(&claim.node_class) else { return Vec::new() };
    let mut found = Vec::new();
    for kind in class.instance_types.iter().filter(|kind| claim.requests.fits_in(&kind.allocatable())) {
        for offering in &kind.offerings {
            let key = (kind.name.clone(), offering.zone.clone(), offering.capacity_type);
            let is_to_be_had = offering.available && snapshot.is_available(&key, now);
            if is_to_be_had && allows(claim, kind, offering) {
                found.push(LaunchOffering {
                    instance_type: kind.name.clone(),
                    zone: offering.zone.clone(),
                    capacity_type: offering.capacity_type,
                    reservation: offering.reservation.as_ref().map(|one| one.id.clone()),
                    price: offering.price,
                });
            }
        }
    }
    found.sort_by(|a, b| {
        (a.price, &a.instance_type, &a.zone, a.capacity_type).cmp(&(
            b.price,
            &b.instance_type,
            &b.zone,
            b.capacity_type,
        ))
    });
    found
}

/// Whether a node of this offering fulfils all that the NodeClaim asks for. A label that the type may have with one of
/// several values is fulfilled when one of them will do; one that the node gets from its NodePool is on the NodeClaim.
pub(crate) fn allows(claim: &NodeClaim, kind: &InstanceType, offering: &Offering) -> bool {
    let mut node: BTreeMap<String, String> = claim.labels.clone();
    let own = [
        (labels::INSTANCE_TYPE, kind.name.as_str()),
        (labels::ZONE, offering.zone.as_str()),
        (labels::ZONE_ID, offering.zone_id.as_str()),
        (labels::CAPACITY_TYPE, offering.capacity_type.label()),
    ];
    node.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    if let Some(reservation) = &offering.reservation {
        node.insert(labels::RESERVATION_ID.to_owned(), reservation.id.clone());
        node.insert(labels::RESERVATION_TYPE.to_owned(), reservation.kind.label().to_owned());
    }
    claim.requirements.iter().all(|requirement| {
        let values = kind.labels.get(&requirement.key).map(Vec::as_slice).unwrap_or_default();
        if values.is_empty() {
            return is_fulfilled(requirement, &node);
        }
        values.iter().any(|value| {
            is_fulfilled(requirement, &BTreeMap::from([(requirement.key.clone(), value.clone())]))
        })
    })
}

/// What is without its counterpart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// Instances that no NodeClaim stands for, to be ended, in the order of their ids.
    pub instances: Vec<Running>,
    /// NodeClaims whose instance is gone, to be deleted, by name.
    pub claims: Vec<String>,
    /// NodeClaims that are being deleted and whose instance is gone already: nothing is left to be drained.
    pub ended: Vec<String>,
    /// Nodes that are being deleted and that only our finalizer keeps: neither their NodeClaim nor their instance is there.
    pub nodes: Vec<String>,
}

/// What is without its counterpart, when the cloud lists these instances. `listed` is when the list was asked for: a
/// NodeClaim launched later is not in it.
///
/// A NodeClaim is given up only when it is registered and its Node is not ready either: the cloud's list may lag behind,
/// and one that never joined is given up by time (Karpenter).
#[must_use]
pub fn strays(snapshot: &Snapshot, running: &[Running], listed: Timestamp) -> Strays {
    let ids: BTreeSet<&str> = running.iter().map(|one| one.provider_id.as_str()).collect();
    let is_owned = |one: &&Running| {
        let by_instance = snapshot.claim_of_instance(&one.provider_id);
        // The NodeClaim is there, only it does not say yet which instance it has: a launch that was interrupted.
        let by_name = snapshot.claims.get(&one.claim).filter(|claim| claim.instance.is_none());
        by_instance.or(by_name).is_some() || snapshot.asked.contains_key(&one.claim)
    };
    let is_old = |one: &&Running| one.launched + STRAY_AFTER <= listed;
    let mut instances: Vec<Running> =
        running.iter().filter(is_old).filter(|one| !is_owned(one)).cloned().collect();
    instances.sort();
    let is_gone = |claim: &&NodeClaim| {
        let missing = claim.instance.as_ref().is_some_and(|instance| {
            !ids.contains(instance.provider_id.as_str()) && instance.launched + STRAY_AFTER <= listed
        });
        let ready = snapshot.node_of_claim(claim).is_some_and(|node| node.ready);
        missing && claim.registered.is_some() && !snapshot.terminated.contains(&claim.name) && !ready
    };
    let (ended, claims) =
        snapshot.claims.values().filter(is_gone).partition::<Vec<_>, _>(|claim| claim.deleting.is_some());
    let names = |claims: Vec<&NodeClaim>| claims.into_iter().map(|claim| claim.name.clone()).collect();
    let is_left = |node: &&Node| {
        let is_known = ids.contains(node.provider_id.as_str()) || snapshot.claim_of_node(node).is_some();
        let is_old = node.created + STRAY_AFTER <= listed;
        node.held && node.deleting.is_some() && is_old && !is_known
    };
    let nodes = snapshot.nodes.values().filter(is_left).map(|node| node.name.clone()).collect();
    Strays { instances, claims: names(claims), ended: names(ended), nodes }
}
