//! Which pods are nominated anew, and which lose a nomination.

use std::collections::BTreeSet;

use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::state::Snapshot;

/// A pod whose node is open and not ready yet, and which has lost its nomination to a failed attempt of the scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renomination {
    /// The pod's uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Node; `None` takes the name off.
    pub node: Option<String>,
}

/// A pod that was nominated and is not on its node this long after it was ready has lost its room to another.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(60);

/// The pods that are to lose a nomination: their node is ready, and others have taken their room. While they have it they
/// are no new demand, and would wait for ever. `nominated` are the uids of pods that may have a nomination. Where pods leave a node, the scheduler makes room there itself.
#[must_use]
pub fn stale_nominations(
    snapshot: &Snapshot,
    nominated: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<Renomination> {
    let stale = nominated.iter().filter_map(|uid| snapshot.pods.get(uid)).filter(|pod| {
        let Some(node) = pod.nominated_node.as_ref().and_then(|name| snapshot.nodes.get(name)) else {
            return false;
        };
        let ready = snapshot.claim_of_node(node).and_then(|claim| claim.initialized);
        let waits = pod.node.is_none() && pod.deleting.is_none() && pod.unschedulable;
        let is_expected = snapshot.nominations.contains_key(&pod.uid);
        waits
            && !is_expected
            && ready.is_some_and(|since| since + STALE_AFTER <= now)
            && !snapshot.pods_on(&node.name).any(|other| other.deleting.is_some())
    });
    let anew = stale.map(|pod| Renomination {
        uid: pod.uid.clone(),
        namespace: pod.spec.namespace.clone(),
        name: pod.name.clone(),
        node: None,
    });
    anew.collect()
}

/// The pods that are to be nominated anew. A node opens before it is ready, and whatever the scheduler tries in between
/// fails and clears the name.
#[must_use]
pub fn renominations(snapshot: &Snapshot) -> Vec<Renomination> {
    let mut found = Vec::new();
    for (uid, (place, _)) in &snapshot.nominations {
        let Some(claim) = snapshot.claims.get(place) else { continue };
        if claim.registered.is_none() || claim.initialized.is_some() || claim.deleting.is_some() {
            continue;
        }
        let (Some(node), Some(pod)) = (snapshot.node_of_claim(claim), snapshot.pods.get(uid)) else {
            continue;
        };
        if pod.is_provisionable() {
            let (namespace, name) = (pod.spec.namespace.clone(), pod.name.clone());
            let node = Some(node.name.clone());
            found.push(Renomination { uid: uid.clone(), namespace, name, node });
        }
    }
    found
}
