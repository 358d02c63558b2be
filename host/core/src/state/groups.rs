//! Pod groups: pods that are equal for scheduling share one entry.
//!
//! A pod's volumes are part of what makes it equal, because a volume in one zone binds its pod to that zone: see
//! [`volumes`](crate::state::volumes). A spread that an operator wants for pods that state none is taken for the
//! pod's own from here on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use crate::event::ObjectKey;
use crate::model::labels::{self, NODE_POOL};
use crate::model::node_pool::VolumeClaim;
use crate::model::pod::{Pod, PodSpec, TopologySpread};
use crate::model::requirement::{Operator, Requirement};
use crate::state::volumes::{Attachments, Mounted, mounted};
use crate::why::Why;

/// The dense id of a group, valid for the snapshot it came from and all later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(crate) u32);

/// Pods that are equal for scheduling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodGroup {
    /// What they look like.
    pub spec: Arc<PodSpec>,
    /// Where their volumes let them be: each entry holds alternatives, one of which must hold. What can be anywhere
    /// is not listed.
    pub volumes: Vec<Vec<Vec<Requirement>>>,
    /// What their volumes take of what a node can attach.
    pub attachments: Attachments,
    /// Why they can be nowhere.
    pub impossible: Option<Impossible>,
}

/// Why pods can be nowhere, whatever is launched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impossible {
    /// Because of a volume.
    Volume(String),
    /// Because of the nodes they ask for.
    Selector(String),
}

impl Impossible {
    /// The same as a reason.
    #[must_use]
    pub fn why(&self) -> Why {
        match self {
            Self::Volume(message) => Why::Volume { message: message.clone() },
            Self::Selector(message) => Why::Selector { message: message.clone() },
        }
    }
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(message) | Self::Selector(message) => f.write_str(message),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    groups: IndexSet<Arc<PodGroup>, FxBuildHasher>,
}

/// What decides about a pod's group besides the pod.
pub(super) struct Known<'a> {
    pub(super) claims: &'a BTreeMap<ObjectKey, VolumeClaim>,
    /// Whether more than one pod mounts a claim.
    pub(super) is_shared: &'a dyn Fn(&ObjectKey) -> bool,
    pub(super) default_spread: &'a [TopologySpread],
}

impl Groups {
    pub(super) fn get(&self, group: GroupId) -> &Arc<PodGroup> {
        &self.groups[group.0 as usize]
    }

    pub(super) fn intern(&mut self, pod: &Pod, known: &Known<'_>) -> GroupId {
        let spec = with_default_spread(&pod.spec, known.default_spread);
        let Mounted { alternatives, attachments, impossible } = mounted(pod, known.claims, known.is_shared);
        let impossible =
            asks_for_nothing_there_is(&spec).map(Impossible::Selector).or(impossible.map(Impossible::Volume));
        let group = PodGroup { spec, volumes: alternatives, attachments, impossible };
        let known = self.groups.get_index_of(&group);
        let ord = known.unwrap_or_else(|| self.groups.insert_full(Arc::new(group)).0);
        // A cluster with four billion kinds of pods has other worries.
        GroupId(u32::try_from(ord).unwrap_or(u32::MAX))
    }
}

/// The spread of an operator, for pods that state none and that somebody selects.
fn with_default_spread(spec: &Arc<PodSpec>, defaults: &[TopologySpread]) -> Arc<PodSpec> {
    let Some(siblings) = spec.siblings.as_ref().filter(|_| spec.topology_spread.is_empty()) else {
        return Arc::clone(spec);
    };
    if defaults.is_empty() {
        return Arc::clone(spec);
    }
    let counted =
        defaults.iter().map(|spread| TopologySpread { selector: Some(siblings.clone()), ..spread.clone() });
    Arc::new(PodSpec { topology_spread: counted.collect(), ..PodSpec::clone(spec) })
}

/// Why a pod asks for nodes that no NodePool can have, in every way that it leaves open.
fn asks_for_nothing_there_is(spec: &PodSpec) -> Option<String> {
    let mut reasons = spec.node_affinity.iter().map(|term| term.iter().find_map(never_offered));
    let first = reasons.next()??;
    reasons.all(|reason| reason.is_some()).then_some(first)
}

fn never_offered(requirement: &Requirement) -> Option<String> {
    let Requirement { key, operator, .. } = requirement;
    if key == NODE_POOL && *operator == Operator::DoesNotExist {
        return Some(format!("the pod wants a node of no NodePool ({requirement})"));
    }
    let restricted = labels::is_restricted(key);
    restricted.then(|| format!("the pod asks for the label {key}, which no NodePool may promise"))
}
