//! What a round of disruption asks of a pod, answered once for all pods of a group.

use std::collections::BTreeMap;

use crate::event::ObjectKey;
use crate::model::pod::{DoNotDisrupt, Pod, PodSpec};
use crate::model::time::Timestamp;
use crate::pdb::{budgets_of, selecting};
use crate::state::Snapshot;
use crate::state::groups::GroupId;
use crate::why::Blocker;

/// What is the same for all pods of a group.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// Whether the pods need another place when their node goes.
    pub(crate) reschedulable: bool,
    /// Whether they need it even when they are leaving already.
    pub(crate) comes_back: bool,
    /// What evicting one costs, see `eviction_cost`.
    pub(crate) cost: i64,
    /// Whether a pod may have something to say against its eviction, so that each must be looked at.
    outspoken: bool,
}

/// The kinds of pods that a round has met.
#[derive(Debug)]
pub(crate) struct Kinds<'a> {
    snapshot: &'a Snapshot,
    now: Timestamp,
    known: BTreeMap<GroupId, Kind>,
}

impl<'a> Kinds<'a> {
    pub(crate) const fn new(snapshot: &'a Snapshot, now: Timestamp) -> Self {
        Self { snapshot, now, known: BTreeMap::new() }
    }

    pub(crate) fn of(&mut self, group: GroupId) -> &Kind {
        self.known.entry(group).or_insert_with(|| kind(self.snapshot, &self.snapshot.group(group).spec))
    }

    /// What keeps a node, because one of its pods must not be evicted.
    pub(crate) fn blocker(&mut self, node: &str) -> Option<Blocker> {
        let snapshot = self.snapshot;
        let outspoken = snapshot.groups_on(node).any(|(group, _)| self.of(group).outspoken);
        if !outspoken {
            return None;
        }
        snapshot.pods_on(node).find_map(|pod| blocker(snapshot, pod, self.now))
    }
}

fn kind(snapshot: &Snapshot, spec: &PodSpec) -> Kind {
    let owner = spec.owner.as_ref().map(|owner| owner.kind.as_str());
    let reschedulable = !spec.belongs_to_node();
    let protected = matches!(spec.do_not_disrupt, Some(DoNotDisrupt::Always | DoNotDisrupt::For(_)));
    Kind {
        reschedulable,
        comes_back: reschedulable && owner == Some("StatefulSet"),
        cost: eviction_cost(spec),
        outspoken: protected || selecting(snapshot, spec).next().is_some(),
    }
}

/// What keeps a pod from being evicted.
pub(crate) fn blocker(snapshot: &Snapshot, pod: &Pod, now: Timestamp) -> Option<Blocker> {
    if pod.phase.is_terminal() || pod.deleting.is_some() {
        return None;
    }
    if pod.is_do_not_disrupt(now) {
        return Some(Blocker::PodDoNotDisrupt { pod: pod.full_name() });
    }
    let is_static = pod.spec.owner.as_ref().is_some_and(|owner| owner.kind == "Node");
    let budgets = if is_static { Vec::new() } else { budgets_of(snapshot, pod) };
    let blocking = budgets.iter().find(|(_, allowed)| *allowed == 0 || budgets.len() > 1);
    let name = |(namespace, name): &ObjectKey| format!("{namespace}/{name}");
    blocking.map(|(key, _)| Blocker::PodDisruptionBudget { pod: pod.full_name(), budget: name(key) })
}

/// Whether a pod would need another place if its node went away.
pub(crate) fn is_reschedulable(pod: &Pod) -> bool {
    let from_stateful_set = pod.spec.owner.as_ref().is_some_and(|owner| owner.kind == "StatefulSet");
    let active = !pod.phase.is_terminal() && (pod.deleting.is_none() || from_stateful_set);
    active && !pod.belongs_to_node()
}

/// The unit of eviction costs: the cost of a pod with neither priority nor deletion cost.
pub(crate) const ONE: u64 = 1 << 27;

/// What evicting a pod costs in units of 2^-27: `1 + deletionCost / 2^27 + priority / 2^25`, between -10 and 10
/// (Karpenter).
fn eviction_cost(spec: &PodSpec) -> i64 {
    let one = i64::try_from(ONE).unwrap_or(i64::MAX);
    let cost = one + i64::from(spec.deletion_cost) + 4 * i64::from(spec.priority);
    cost.clamp(-10 * one, 10 * one)
}
