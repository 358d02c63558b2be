//! Where pods are expected: what plans have said, until it comes about or runs out.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::time::Timestamp;
use crate::plan::{Action, Nomination, Plan};
use crate::state::{ASKED_FOR, ClusterState, NOMINATED_FOR, Snapshot, claim_for};

impl Snapshot {
    /// When the next thing runs out that `ClusterState::expire` forgets.
    #[must_use]
    pub fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let nominations = self.nominations.values().map(|(_, until)| *until);
        let asked = self.asked.values().map(|claim| claim.created + ASKED_FOR);
        let expiries = self.unavailable.values().copied().chain(nominations).chain(asked);
        expiries.filter(|until| *until > now && *until < Timestamp::MAX).min()
    }

    /// Whether pods can still be expected on a NodeClaim, or on a Node that has none.
    #[must_use]
    pub fn is_expected(&self, place: &str) -> bool {
        match self.claims.get(place) {
            Some(claim) => !self.is_leaving(claim),
            None if self.asked.contains_key(place) => true,
            None => self.nodes.get(place).is_some_and(|node| node.deleting.is_none()),
        }
    }

    /// A node is ready: kube-scheduler gets a little time to bind the pods that are expected there, then they
    /// are looked at anew, because it may have put others in their room.
    pub(super) fn end_expectations(&mut self, claim: &str, now: Timestamp) {
        let expected = self.nominations.values_mut().filter(|(node, _)| node == claim);
        expected.for_each(|(_, until)| *until = (*until).min(now + NOMINATED_FOR));
    }

    /// A NodeClaim that could not even be written will not come: its pods look for another place.
    pub(super) fn give_up_unwritten(&mut self, claim: &str) {
        if self.asked.remove(claim).is_some() {
            self.nominations.retain(|_, (node, _)| node != claim);
            self.vacancies.remove(claim);
        }
    }
}

impl ClusterState {
    /// Remembers where a plan expects waiting pods: on nodes that are ready for a little while, on others until
    /// they are.
    pub fn expect(&mut self, plan: &Plan, now: Timestamp) {
        let homeless: BTreeSet<_> =
            plan.report.unplaced.iter().map(|unplaced| unplaced.pod.clone()).collect();
        if homeless != self.snapshot.homeless {
            Arc::make_mut(&mut self.snapshot).homeless = homeless;
        }
        for action in &plan.actions {
            match action {
                Action::Launch(launch) => {
                    let claim = claim_for(launch, now);
                    Arc::make_mut(&mut self.snapshot).asked.insert(claim.name.clone(), claim);
                    launch.pods.iter().for_each(|pod| self.expect_one(pod, &launch.claim, Timestamp::MAX));
                }
                Action::Nominate(nomination) => {
                    let Nomination { pod, node } = nomination;
                    let claim = self.snapshot.claim_or_asked(node);
                    let on_its_way = claim.is_some_and(|claim| claim.initialized.is_none());
                    let until = if on_its_way { Timestamp::MAX } else { now + NOMINATED_FOR };
                    self.expect_one(pod, node, until);
                    Arc::make_mut(&mut self.snapshot).fill_vacancy(nomination);
                }
                Action::Register(_)
                | Action::Initialize(_)
                | Action::Cordon(_)
                | Action::Uncordon(_)
                | Action::Delete(_)
                | Action::Evict(_)
                | Action::Terminate(_)
                | Action::Finalize(_) => {}
            }
        }
    }

    fn expect_one(&mut self, pod_uid: &str, node: &str, until: Timestamp) {
        let snapshot = Arc::make_mut(&mut self.snapshot);
        snapshot.version += 1;
        snapshot.nominations.insert(pod_uid.to_owned(), (node.to_owned(), until));
    }

    /// Forgets what has run out: refused offerings, nominations, and NodeClaims that nobody made.
    pub fn expire(&mut self, now: Timestamp) {
        let stale = |until: &Timestamp| *until <= now;
        let snapshot = &self.snapshot;
        let nothing_to_do = !snapshot.unavailable.values().any(stale)
            && !snapshot.nominations.values().any(|(_, until)| stale(until))
            && !snapshot.asked.values().any(|claim| stale(&(claim.created + ASKED_FOR)));
        if nothing_to_do {
            return;
        }
        let snapshot = Arc::make_mut(&mut self.snapshot);
        snapshot.version += 1;
        snapshot.unavailable.retain(|_, until| !stale(until));
        snapshot.nominations.retain(|_, (_, until)| !stale(until));
        snapshot.asked.retain(|_, claim| !stale(&(claim.created + ASKED_FOR)));
        let Snapshot { vacancies, claims, asked, .. } = snapshot;
        vacancies.retain(|claim, _| claims.contains_key(claim) || asked.contains_key(claim));
    }
}
