//! What is derived from the objects as they arrive: which pods wait, which are where, what they ask for.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use crate::event::ObjectKey;
use crate::model::pod::Pod;
use crate::model::resources::Resources;
use crate::model::time::Timestamp;
use crate::state::by_uid::ByUid;
use crate::state::groups::GroupId;

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    groups: ByUid<PodPlace>,
    /// Those that have waited longest first.
    waiting: BTreeMap<GroupId, BTreeSet<(Timestamp, String)>>,
    nodes: BTreeMap<String, NodeLoad>,
    mounts: BTreeMap<ObjectKey, BTreeSet<String>>,
    claims: ByUid<String>,
    instances: ByUid<String>,
}

/// Where the index has put a pod, to take it out again without knowing how it has changed since.
#[derive(Clone, Debug)]
struct PodPlace {
    group: GroupId,
    node: Option<(String, Resources)>,
    mounts: BTreeSet<ObjectKey>,
    /// Since when it waits, if it does.
    waiting: Option<Timestamp>,
    leaving: bool,
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

    pub(super) fn waiting(&self) -> &BTreeMap<GroupId, BTreeSet<(Timestamp, String)>> {
        &self.waiting
    }

    pub(super) fn group_of(&self, uid: &str) -> Option<GroupId> {
        self.groups.get(uid).map(|place| place.group)
    }

    pub(super) fn mounting(&self, claim: &ObjectKey) -> Vec<String> {
        self.mounts.get(claim).map(|uids| uids.iter().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn put_pod(&mut self, pod: &Pod, group: GroupId) {
        self.take_out(&pod.uid);
        let bound = pod.node.as_ref().filter(|_| !pod.phase.is_terminal());
        let waiting = pod.is_provisionable().then_some(pod.created);
        let leaving = pod.deleting.is_some();
        let mounts = claims_of(pod);
        let node = bound.map(|node| (node.clone(), pod.spec.requests.clone()));
        if let Some((node, requests)) = &node {
            let load = self.nodes.entry(node.clone()).or_default();
            load.pods.insert(pod.uid.clone());
            load.requests = load.requests.plus(requests);
            *load.groups.entry(group).or_default().of(leaving) += 1;
            mounts.iter().for_each(|claim| *load.mounts.entry(claim.clone()).or_default() += 1);
        }
        if let Some(since) = waiting {
            self.waiting.entry(group).or_default().insert((since, pod.uid.clone()));
        }
        self.groups.insert(pod.uid.clone(), PodPlace { group, node, mounts, waiting, leaving });
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

    /// Forgets a pod, and tells the claims that one other pod has to itself from now on.
    pub(super) fn remove_pod(&mut self, pod: &Pod) -> Vec<ObjectKey> {
        self.take_out(&pod.uid);
        let claims = claims_of(pod);
        claims.iter().for_each(|claim| remove_from(&mut self.mounts, claim, &pod.uid));
        claims
            .into_iter()
            .filter(|claim| self.mounts.get(claim).is_some_and(|pods| pods.len() == 1))
            .collect()
    }

    fn take_out(&mut self, uid: &str) {
        let Some(place) = self.groups.remove(uid) else { return };
        if let Some(since) = place.waiting {
            remove_from(&mut self.waiting, &place.group, &(since, uid.to_owned()));
        }
        if let Some((node, requests)) = place.node
            && let Some(load) = self.nodes.get_mut(&node)
        {
            load.pods.remove(uid);
            load.requests = load.requests.minus(&requests);
            if let Some(pods) = load.groups.get_mut(&place.group) {
                *pods.of(place.leaving) -= 1;
                if pods.staying + pods.leaving == 0 {
                    load.groups.remove(&place.group);
                }
            }
            for claim in &place.mounts {
                if let Some(pods) = load.mounts.get_mut(claim) {
                    *pods -= 1;
                    if *pods == 0 {
                        load.mounts.remove(claim);
                    }
                }
            }
            if load.pods.is_empty() {
                self.nodes.remove(&node);
            }
        }
    }

    pub(super) fn claim_of_instance(&self, provider_id: &str) -> Option<&str> {
        self.claims.get(provider_id).map(String::as_str)
    }

    pub(super) fn put_claim_instance(&mut self, provider_id: &str, claim: &str) {
        self.claims.insert(provider_id.to_owned(), claim.to_owned());
    }

    pub(super) fn remove_claim_instance(&mut self, provider_id: &str) {
        self.claims.remove(provider_id);
    }

    pub(super) fn node_of_instance(&self, provider_id: &str) -> Option<&str> {
        self.instances.get(provider_id).map(String::as_str)
    }

    pub(super) fn put_node_instance(&mut self, provider_id: &str, node: &str) {
        self.instances.insert(provider_id.to_owned(), node.to_owned());
    }

    pub(super) fn remove_node_instance(&mut self, provider_id: &str) {
        self.instances.remove(provider_id);
    }
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
