//! Nodes that are being replaced: begun, and given up.

use crate::model::node::NodeClaim;
use crate::model::time::Timestamp;
use crate::plan::{Action, Plan};
use crate::state::{ClusterState, Snapshot};

impl Snapshot {
    /// Since when a NodeClaim is being replaced; `None` when it is not.
    #[must_use]
    pub fn replaced_since(&self, claim: &NodeClaim) -> Option<Timestamp> {
        self.replacing.get(&claim.name).copied().or(claim.disrupted)
    }
}

impl ClusterState {
    /// A NodeClaim is to be replaced: from now on its pods need places elsewhere.
    pub fn replace(&mut self, claim: &str, now: Timestamp) {
        self.change(|snapshot| {
            snapshot.replacing.insert(claim.to_owned(), now);
        });
    }

    /// A NodeClaim that was to be replaced stays. Its pods are expected elsewhere no more.
    pub fn keep(&mut self, claim: &str) {
        self.change(|snapshot| {
            snapshot.replacing.remove(claim);
            let Some(known) = snapshot.claims.get_mut(claim) else { return };
            known.disrupted = None;
            let node = known.node.clone();
            let staying: Vec<String> =
                node.iter().flat_map(|node| snapshot.pods_on(node)).map(|pod| pod.uid.clone()).collect();
            for uid in staying {
                snapshot.vacate(&uid);
            }
        });
    }
}

/// Writes into the launches of a plan what they are made from, and which of the NodeClaims that are being replaced they
/// stand in for.
pub fn stamp(plan: &mut Plan, snapshot: &Snapshot) {
    for action in &mut plan.actions {
        let Action::Launch(launch) = action else { continue };
        let pool = snapshot.node_pools.get(&launch.node_pool);
        let class = snapshot.node_classes.get(&launch.node_class);
        launch.made_from.node_pool = pool.map(crate::model::node_pool::NodePool::fingerprint);
        launch.made_from.node_class = class.and_then(|class| class.fingerprint.clone());
        let nodes = launch.pods.iter().filter_map(|uid| snapshot.pods.get(uid)?.node.as_ref());
        let claims = nodes.filter_map(|name| snapshot.claim_of_node(snapshot.nodes.get(name)?));
        let replaced = claims.filter(|claim| snapshot.replaced_since(claim).is_some());
        launch.replaces = replaced.map(|claim| claim.name.clone()).collect();
        launch.replaces.sort_unstable();
        launch.replaces.dedup();
    }
}
