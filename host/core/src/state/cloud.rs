//! What the cloud says: notices, what came of launches and terminations, instances that are not what was found for their
//! class.

use crate::drift::CloudDrift;
use crate::event::{Notice, NoticeKind};
use crate::model::time::Timestamp;
use crate::plan::{LaunchOffering, Outcome};
use crate::state::{Snapshot, UNAVAILABLE_FOR};

impl Snapshot {
    pub(super) fn put_notice(&mut self, notice: Notice) {
        // An instance of somebody else's, or one that is gone already: nothing of ours will be lost.
        let Some(claim) = self.index.claim_of_instance(&notice.provider_id) else { return };
        let known = self.notices.get(claim);
        // What will certainly happen is not taken back by what perhaps might.
        if known.is_some_and(|known| notice.kind > known.kind) {
            return;
        }
        let instance = self.claims.get(claim).and_then(|claim| claim.instance.as_ref());
        if let Some(instance) = instance.filter(|_| notice.kind == NoticeKind::Reclaim) {
            // What EC2 takes back here it has no more of: the replacement is not bought from the same pool.
            let key = (instance.instance_type.clone(), instance.zone.clone(), instance.capacity_type);
            self.unavailable.insert(key, notice.received + UNAVAILABLE_FOR);
        }
        self.notices.insert(claim.to_owned(), notice);
    }

    /// What EC2 has none of at `at` is not asked for again for a while.
    fn leave_alone(&mut self, offerings: Vec<LaunchOffering>, at: Timestamp) {
        for LaunchOffering { instance_type, zone, capacity_type, .. } in offerings {
            self.unavailable.insert((instance_type, zone, capacity_type), at + UNAVAILABLE_FOR);
        }
    }

    pub(super) fn put_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Launched { claim, instance, refused } => {
                self.leave_alone(refused, instance.launched);
                self.index.put_claim_instance(&instance.provider_id, &claim);
                self.vacancies.remove(&claim);
                if let Some(known) = self.claims.get_mut(&claim) {
                    known.instance = Some(*instance);
                }
            }
            Outcome::InsufficientCapacity { claim, offerings, at } => {
                self.leave_alone(offerings, at);
                self.asked.remove(&claim);
                self.refused.insert(claim);
            }
            Outcome::Terminated { claim } => drop(self.terminated.insert(claim)),
            Outcome::Unwritten { claim, .. } => self.give_up_unwritten(&claim),
            // Its NodeClaim is there, seen or not yet, and its instance is asked for again.
            Outcome::Failed { .. } => {}
        }
    }

    pub(super) fn put_instance_drift(&mut self, provider_id: String, found: Option<CloudDrift>) {
        match found {
            Some(found) => drop(self.cloud_drift.insert(provider_id, found)),
            None => drop(self.cloud_drift.remove(&provider_id)),
        }
    }
}
