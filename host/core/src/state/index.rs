//! What is derived from the objects as they arrive: which pods wait, which are where, what they ask for.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::event::ObjectKey;
use crate::model::pod::Pod;
use crate::model::resources::Resources;
use crate::state::by_uid::ByUid;
use crate::state::groups::GroupId;
use crate::state::pods::ByAge;

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Those that have waited longest first.
    waiting: BTreeMap<GroupId, BTreeSet<ByAge>>,
    nodes: BTreeMap<String, NodeLoad>,
    mounts: BTreeMap<ObjectKey, BTreeSet<String>>,
    claims: ByUid<String>,
    /// The Nodes that say they are of an instance: one, but for a moment or by mistake.
    instances: ByUid<BTreeSet<String>>,
}

/// The pods on a node and what they ask for together.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeLoad {
    pub(super) pods: BTreeSet<String>,
    pub(super) requests: Resources,
    pub(super) groups: BTreeMap<GroupId, OfGroup>,
    /// The claims that they mount, with how many pods mount each.
    pub(super) mounts: BTreeMap<ObjectKey, u32>,
}

/// How many pods of a group are on a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OfGroup {
    pub(super) staying: u32,
    pub(super) leaving: u32,
}

impl OfGroup {
    const fn of(&mut self, leaving: bool) -> &mut u32 {
        if leaving { &mut self.leaving } else { &mut self.staying }
    }
}

impl Index {
    pub(super) fn on_node(&self, node: &str) -> Option<&NodeLoad> {
        self.nodes.get(node)
    }

    /// The waiting pods, group by group.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (GroupId, impl ExactSizeIterator<Item = &Pod>)> {
        let groups = self.waiting.iter();
        groups.map(|(group, pods)| (*group, pods.iter().map(|ByAge(pod)| &**pod)))
    }

    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn mounting(&self, claim: &ObjectKey) -> Vec<String> {
        self.mounts.get(claim).map(|uids| uids.iter().cloned().collect()).unwrap_or_default()
    }

    /// Puts a pod where it belongs. As it was before, it has been taken out.
    pub(super) fn put_pod(&mut self, pod: &Arc<Pod>, group: GroupId) {
        if let Some(node) = held_node(pod) {
            let load = match self.nodes.get_mut(node) {
                Some(load) => load,
                None => self.nodes.entry(node.clone()).or_default(),
            };
            load.pods.insert(pod.uid.clone());
            load.requests = load.requests.plus(&pod.spec.requests);
            *load.groups.entry(group).or_default().of(pod.deleting.is_some()) += 1;
            claims_of(pod).into_iter().for_each(|claim| *load.mounts.entry(claim).or_default() += 1);
        }
        if pod.is_provisionable() {
            self.waiting.entry(group).or_default().insert(ByAge(Arc::clone(pod)));
        }
    }

    /// Notes which claims a pod mounts, and tells those that another pod has had to itself until now.
    pub(super) fn mount(&mut self, pod: &Pod) -> Vec<ObjectKey> {
        let mut shared = Vec::new();
        for claim in claims_of(pod) {
            let pods = self.mounts.entry(claim.clone()).or_default();
            if pods.insert(pod.uid.clone()) && pods.len() == 2 {
                shared.push(claim);
            }
        }
        shared
    }

    /// Whether more than one pod mounts a claim.
    pub(super) fn is_shared(&self, claim: &ObjectKey) -> bool {
        self.mounts.get(claim).is_some_and(|pods| pods.len() > 1)
    }

    /// Forgets what a pod mounts, and tells the claims that one other pod has to itself from now on.
    pub(super) fn unmount(&mut self, pod: &Pod) -> Vec<ObjectKey> {
        let claims = claims_of(pod);
        claims.iter().for_each(|claim| remove_from(&mut self.mounts, claim, &pod.uid));
        claims
            .into_iter()
            .filter(|claim| self.mounts.get(claim).is_some_and(|pods| pods.len() == 1))
            .collect()
    }

    /// Takes a pod out of where `put_pod` has put it: it is the same pod, with the same group.
    pub(super) fn take_out(&mut self, pod: &Arc<Pod>, group: GroupId) {
        if pod.is_provisionable() {
            remove_from(&mut self.waiting, &group, &ByAge(Arc::clone(pod)));
        }
        let Some(node) = held_node(pod) else { return };
        let Some(load) = self.nodes.get_mut(node) else { return };
        load.pods.remove(&pod.uid);
        load.requests = load.requests.minus(&pod.spec.requests);
        if let Some(pods) = load.groups.get_mut(&group) {
            *pods.of(pod.deleting.is_some()) -= 1;
            if pods.staying + pods.leaving == 0 {
                load.groups.remove(&group);
            }
        }
        for claim in claims_of(pod) {
            if let Some(pods) = load.mounts.get_mut(&claim) {
                *pods -= 1;
                if *pods == 0 {
                    load.mounts.remove(&claim);
                }
            }
        }
        if load.pods.is_empty() {
            self.nodes.remove(node);
        }
    }

    pub(super) fn claim_of_instance(&self, provider_id: &str) -> Option<&str> {
        self.claims.get(provider_id).map(String::as_str)
    }

    /// An instance is that of the first NodeClaim that says so.
    pub(super) fn put_claim_instance(&mut self, provider_id: &str, claim: &str) {
        if self.claim_of_instance(provider_id).is_none() {
            self.claims.insert(provider_id.to_owned(), claim.to_owned());
        }
    }

    /// Forgets whose an instance is, if it is this NodeClaim's.
    pub(super) fn remove_claim_instance(&mut self, provider_id: &str, claim: &str) {
        if self.claim_of_instance(provider_id) == Some(claim) {
            self.claims.remove(provider_id);
        }
    }

    pub(super) fn nodes_of_instance(&self, provider_id: &str) -> Option<&BTreeSet<String>> {
        self.instances.get(provider_id)
    }

    /// A Node that says of no instance that it is its own is nobody's.
    pub(super) fn put_node_instance(&mut self, provider_id: &str, node: &str) {
        if provider_id.is_empty() {
            return;
        }
        let mut nodes = self.instances.remove(provider_id).unwrap_or_default();
        nodes.insert(node.to_owned());
        self.instances.insert(provider_id.to_owned(), nodes);
    }

    pub(super) fn remove_node_instance(&mut self, provider_id: &str, node: &str) {
        let Some(mut nodes) = self.instances.remove(provider_id) else { return };
        nodes.remove(node);
        if !nodes.is_empty() {
            self.instances.insert(provider_id.to_owned(), nodes);
        }
    }
}

/// The node on which a pod takes room.
fn held_node(pod: &Pod) -> Option<&String> {
    pod.node.as_ref().filter(|_| !pod.phase.is_terminal())
}

/// The claims that a pod mounts, each once.
fn claims_of(pod: &Pod) -> BTreeSet<ObjectKey> {
    pod.volume_claims.iter().map(|name| (pod.spec.namespace.clone(), name.clone())).collect()
}

fn remove_from<K: Ord, V: Ord + Borrow<B>, B: Ord + ?Sized>(
    sets: &mut BTreeMap<K, BTreeSet<V>>,
    key: &K,
    value: &B,
) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}
