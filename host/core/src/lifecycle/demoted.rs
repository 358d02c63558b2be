//! Nodes whose capacity reservation has ended: the instance runs on, on demand.

use crate::lifecycle::leftover::{Running, STRAY_AFTER};
use crate::model::instance_type::CapacityType;
use crate::model::labels;
use crate::model::time::Timestamp;
use crate::state::Snapshot;

/// A NodeClaim that says, or whose Node says, that it is reserved, and that is on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demoted {
    /// Its name.
    pub claim: String,
    /// The name of its Node.
    pub node: Option<String>,
}

/// What was reserved and is on demand, when the cloud lists these instances, in their order (Karpenter: capacity type
/// controller).
///
/// An instance that is younger than a list may lag behind is left as it was launched.
#[must_use]
pub fn demoted(snapshot: &Snapshot, running: &[Running], listed: Timestamp) -> Vec<Demoted> {
    let on_demand = running
        .iter()
        .filter(|one| one.capacity_type == CapacityType::OnDemand && one.launched + STRAY_AFTER <= listed);
    let demoted = on_demand.filter_map(|one| {
        let claim = snapshot.claim_of_instance(&one.provider_id)?;
        let node = snapshot.node_of_claim(claim);
        let reserved = CapacityType::Reserved;
        let by_claim = claim
            .instance
            .as_ref()
            .is_some_and(|known| known.capacity_type == reserved || known.reservation.is_some());
        let by_node = node.is_some_and(|node| {
            let label = node.labels.get(labels::CAPACITY_TYPE);
            label.is_some_and(|label| label == reserved.label())
                || node.labels.contains_key(labels::RESERVATION_ID)
        });
        let node = node.map(|node| node.name.clone());
        (by_claim || by_node).then(|| Demoted { claim: claim.name.clone(), node })
    });
    demoted.collect()
}
