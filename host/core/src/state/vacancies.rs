//! Room on nodes that are not launched yet, left by the pods that it was planned for.
//!
//! What such a node will be is not known, so that nobody else can be promised a place on it. A pod that is to scheduling
//! what the one that left was can: it is mostly that one's successor, and without this it would get a node of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::labels;
use crate::model::pod::{Pod, PodSpec};
use crate::plan::Nomination;
use crate::state::Snapshot;
use crate::state::groups::GroupId;

/// The room of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacancy {
    /// The group that a waiting pod like the one that left belongs to.
    pub group: GroupId,
    /// What the one that left looked like at the end, without what it got from its Node.
    pub spec: Arc<PodSpec>,
    /// Its PersistentVolumeClaims. Who mounts them changes as one pod goes and another comes, and the group with it.
    pub volume_claims: Vec<String>,
}

impl Vacancy {
    /// Whether a pod is to scheduling what the one that left was.
    #[must_use]
    pub fn is_for(&self, pod: &Pod) -> bool {
        self.volume_claims == pod.volume_claims && self.spec == pod.spec
    }
}

/// Vacancies by NodeClaim, and by the uid of the pod that left.
pub type Vacancies = BTreeMap<String, BTreeMap<String, Vacancy>>;

impl Snapshot {
    /// Whether a NodeClaim is there or asked for, and has no instance.
    #[must_use]
    pub fn is_unlaunched(&self, claim: &str) -> bool {
        self.claim_or_asked(claim).is_some_and(|claim| claim.instance.is_none())
    }

    /// A pod is expected nowhere any more.
    pub(super) fn vacate(&mut self, pod_uid: &str) {
        let Some((claim, _)) = self.nominations.remove(pod_uid) else { return };
        let Some(pod) = self.pods.shared(pod_uid).filter(|_| self.is_unlaunched(&claim)) else { return };
        let group = self.group_for(&as_it_came(Arc::clone(&pod)));
        let (spec, volume_claims) = (Arc::clone(&self.group(group).spec), pod.volume_claims.clone());
        let of_claim = self.vacancies.entry(claim).or_default();
        of_claim.insert(pod_uid.to_owned(), Vacancy { group, spec, volume_claims });
    }

    /// A pod takes the room of one that was like it, if there is any.
    pub(super) fn fill_vacancy(&mut self, Nomination { pod, node }: &Nomination) {
        let Some((pod, left)) = self.pods.get(pod).zip(self.vacancies.get_mut(node)) else { return };
        let left_by = left.iter().find(|(_, one)| one.is_for(pod)).map(|(uid, _)| uid.clone());
        left_by.map(|uid| left.remove(&uid));
        if left.is_empty() {
            self.vacancies.remove(node);
        }
    }
}

/// A pod without the labels that it got from its Node when it was bound (Kubernetes: PodTopologyLabels).
fn as_it_came(mut pod: Arc<Pod>) -> Arc<Pod> {
    if [labels::ZONE, labels::REGION].iter().any(|label| pod.spec.labels.contains_key(*label)) {
        let spec = Arc::make_mut(&mut Arc::make_mut(&mut pod).spec);
        spec.labels.retain(|label, _| label != labels::ZONE && label != labels::REGION);
    }
    pod
}
