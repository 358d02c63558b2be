//! Pod groups: pods that are equal for scheduling share one entry.
//!
//! A pod's volumes are part of what makes it equal, because a volume in one zone binds its pod to that zone.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use crate::event::ObjectKey;
use crate::model::node_pool::{VolumeBinding, VolumeClaim};
use crate::model::pod::{Pod, PodSpec};
use crate::model::requirement::Requirement;

/// The dense id of a group, valid for the snapshot it came from and all later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(crate) u32);

/// Pods that are equal for scheduling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodGroup {
    /// What they look like.
    pub spec: Arc<PodSpec>,
    /// Where their volumes let them be: for each volume the alternatives, one of which must hold. A volume that
    /// can be anywhere is not listed.
    pub volumes: Vec<Vec<Vec<Requirement>>>,
    /// Why they can be nowhere, because of a volume.
    pub impossible: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    groups: IndexSet<PodGroup, FxBuildHasher>,
}

impl Groups {
    pub(super) fn get(&self, group: GroupId) -> &PodGroup {
        &self.groups[group.0 as usize]
    }

    pub(super) fn intern(&mut self, pod: &Pod, claims: &BTreeMap<ObjectKey, VolumeClaim>) -> GroupId {
        let (volumes, impossible) = volumes_of(pod, claims);
        let group = PodGroup { spec: Arc::clone(&pod.spec), volumes, impossible };
        let (ord, _) = self.groups.insert_full(group);
        // A cluster with four billion kinds of pods has other worries.
        GroupId(u32::try_from(ord).unwrap_or(u32::MAX))
    }
}

type Alternatives = Vec<Vec<Requirement>>;

fn volumes_of(pod: &Pod, claims: &BTreeMap<ObjectKey, VolumeClaim>) -> (Vec<Alternatives>, Option<String>) {
    let mut volumes = Vec::new();
    for name in &pod.volume_claims {
        let key = (pod.spec.namespace.clone(), name.clone());
        match claims.get(&key).map(|claim| &claim.binding) {
            Some(VolumeBinding::Nodes(alternatives)) if alternatives.is_empty() => {}
            Some(VolumeBinding::Nodes(alternatives)) => volumes.push(alternatives.clone()),
            Some(VolumeBinding::Impossible(why)) => {
                let why = format!("PersistentVolumeClaim {}/{name}: {why}", pod.spec.namespace);
                return (Vec::new(), Some(why));
            }
            None => {
                let why = format!("PersistentVolumeClaim {}/{name} does not exist", pod.spec.namespace);
                return (Vec::new(), Some(why));
            }
        }
    }
    (volumes, None)
}
