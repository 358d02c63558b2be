//! The cluster's side of nodes: NodeClaims and Nodes, and what is on them.

use whittle_core::event::Event;
use whittle_core::lifecycle::given::labels_of;
use whittle_core::model::labels;
use whittle_core::model::node::{Instance, Node, NodeClaim};
use whittle_core::model::node_pool::{DisruptionReason, NodePool};
use whittle_core::model::requirement::{Taint, TaintEffect};
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Cordon, DeleteReason, Retaint};

use super::World;
use super::pods::End;
use crate::journal::EntryKind;

impl World {
    /// A NodePool is there or has changed.
    pub(super) fn put_pool(&mut self, pool: NodePool) {
        self.meters.pool(&pool.name);
        self.outbox.push(Event::NodePool(Box::new(pool.clone())));
        self.pools.insert(pool.name.clone(), pool);
    }

    /// A claim that is there from the start, with its instance.
    pub(super) fn take_in_claim(&mut self, claim: NodeClaim) {
        if let Some(instance) = &claim.instance {
            self.take_in_machine(&claim, instance);
        }
        self.outbox.push(Event::NodeClaim(Box::new(claim.clone())));
        self.node_claims.insert(claim.name.clone(), claim);
    }

    /// A node that is there from the start.
    pub(super) fn take_in_node(&mut self, node: Node) {
        let name = node.name.clone();
        let pool = match self.machines.get_mut(&node.provider_id) {
            Some(machine) => {
                machine.node = Some(name.clone());
                let pool = machine.pool.clone();
                self.machine_of_node.insert(name.clone(), node.provider_id.clone());
                self.boot_on(&node.provider_id, &node);
                pool
            }
            None => {
                let label = node.labels.get(labels::NODE_POOL).cloned();
                let pool = label.unwrap_or_else(|| crate::meter::NO_POOL.to_owned());
                self.meters.pool(&pool).foreign_comes();
                pool
            }
        };
        self.meters.pool(&pool).allocatable.add(&node.allocatable);
        self.nodes.insert(name.clone(), node);
        self.publish_node(&name);
    }

    pub(super) fn publish_node(&mut self, name: &str) {
        let Some(node) = self.nodes.get(name) else { return };
        self.scheduler.put_node(node);
        self.outbox.push(Event::Node(Box::new(node.clone())));
        self.nodes_for_daemons.insert(name.to_owned());
    }

    pub(super) fn publish_claim(&mut self, name: &str) {
        if let Some(claim) = self.node_claims.get(name) {
            self.outbox.push(Event::NodeClaim(Box::new(claim.clone())));
        }
    }

    /// A claim is made, without an instance yet.
    pub(super) fn create_claim(&mut self, claim: &NodeClaim) {
        if !self.node_claims.contains_key(&claim.name) {
            self.node_claims.insert(claim.name.clone(), claim.clone());
            self.publish_claim(&claim.name);
        }
    }

    /// A claim learns which instance it has: from then on it says what its node will say.
    pub(super) fn set_instance(&mut self, name: &str, instance: &Instance) -> Found {
        let region = self.setup.region.clone();
        let Some(claim) = self.node_claims.get_mut(name) else { return Found::Nothing };
        let types = self.classes.get(&claim.node_class).map(|class| &class.instance_types);
        let kind = types.and_then(|types| types.iter().find(|kind| kind.name == instance.instance_type));
        claim.labels.extend(labels_of(kind, instance, &region));
        claim.instance = Some(instance.clone());
        self.publish_claim(name);
        Found::Something
    }

    /// A node that has joined gets what its claim says.
    pub(super) fn register(&mut self, claim_name: &str, node_name: &str) -> Found {
        let now = self.now;
        let Some(claim) = self.node_claims.get_mut(claim_name) else { return Found::Nothing };
        let Some(node) = self.nodes.get_mut(node_name) else { return Found::Nothing };
        claim.node = Some(node_name.to_owned());
        claim.registered = claim.registered.or(Some(now));
        node.labels.extend(claim.labels.clone());
        node.labels.insert(labels::REGISTERED.to_owned(), "true".to_owned());
        node.taints.retain(|taint| taint.key != labels::UNREGISTERED_TAINT);
        for taint in &claim.taints {
            if !node.taints.contains(taint) {
                node.taints.push(taint.clone());
            }
        }
        self.publish_claim(claim_name);
        self.publish_node(node_name);
        Found::Something
    }

    /// A node is ready for its pods.
    pub(super) fn initialize(&mut self, claim_name: &str, node_name: &str) -> Found {
        let now = self.now;
        let Some(claim) = self.node_claims.get_mut(claim_name) else { return Found::Nothing };
        let Some(node) = self.nodes.get_mut(node_name) else { return Found::Nothing };
        claim.initialized = claim.initialized.or(Some(now));
        node.labels.insert(labels::INITIALIZED.to_owned(), "true".to_owned());
        self.publish_claim(claim_name);
        self.publish_node(node_name);
        Found::Something
    }

    /// New pods keep off a node. One that is replaced says so on its claim.
    pub(super) fn cordon(&mut self, cordon: &Cordon) -> Found {
        let now = self.now;
        let is_replaced = cordon.reason == DeleteReason::Disrupted(DisruptionReason::Drifted);
        if let Some(claim) = self.node_claims.get_mut(&cordon.claim).filter(|_| is_replaced) {
            claim.disrupted = claim.disrupted.or(Some(now));
            self.publish_claim(&cordon.claim);
        }
        let name = cordon.node.as_str();
        let Some(node) = self.nodes.get_mut(name) else { return Found::Nothing };
        if !node.taints.iter().any(|taint| taint.key == labels::DISRUPTED_TAINT) {
            let key = labels::DISRUPTED_TAINT.to_owned();
            node.taints.push(Taint { key, value: String::new(), effect: TaintEffect::NoSchedule });
            self.publish_node(name);
        }
        Found::Something
    }

    /// New pods may come again.
    pub(super) fn uncordon(&mut self, claim: &str, name: &str) -> Found {
        if let Some(known) = self.node_claims.get_mut(claim)
            && known.disrupted.take().is_some()
        {
            self.publish_claim(claim);
        }
        let Some(node) = self.nodes.get_mut(name) else { return Found::Nothing };
        node.taints.retain(|taint| taint.key != labels::DISRUPTED_TAINT);
        self.publish_node(name);
        Found::Something
    }

    /// Policies want a node to carry other taints.
    pub(super) fn retaint(&mut self, retaint: &Retaint) -> Found {
        let Some(node) = self.nodes.get_mut(&retaint.node) else { return Found::Nothing };
        node.taints.retain(|taint| !retaint.remove.contains(taint) && !retaint.add.contains(taint));
        node.taints.extend(retaint.add.iter().cloned());
        self.publish_node(&retaint.node);
        Found::Something
    }

    /// The drain of a claim's node must be over then, if not earlier.
    pub(super) fn end_by(&mut self, name: &str, at: Timestamp) -> Found {
        let Some(claim) = self.node_claims.get_mut(name) else { return Found::Nothing };
        claim.terminate_by = Some(claim.terminate_by.map_or(at, |by| by.min(at)));
        self.publish_claim(name);
        Found::Something
    }

    /// The deletion of a claim is asked for. The Node is deleted with it and stays until `finalize`.
    pub(super) fn delete_claim(&mut self, name: &str) -> Found {
        let now = self.now;
        let Some(claim) = self.node_claims.get_mut(name) else { return Found::Nothing };
        if claim.deleting.is_none() {
            claim.deleting = Some(now);
            self.publish_claim(name);
        }
        Found::Something
    }

    /// Lets go of a claim and its Node. Whatever is still on the node is gone with it.
    pub(super) fn finalize(&mut self, claim_name: &str, node_name: Option<&str>) -> Found {
        let claim = self.node_claims.remove(claim_name);
        let machine = self.machine_of_claim.remove(claim_name);
        let joined = machine.as_ref().and_then(|id| self.machines.get(id)).and_then(|m| m.node.clone());
        let node_name = node_name.map(str::to_owned).or(joined);
        if let Some(node) = node_name {
            self.remove_node(&node);
        }
        if claim.is_none() {
            return Found::Nothing;
        }
        self.outbox.push(Event::NodeClaimGone(claim_name.to_owned()));
        Found::Something
    }

    fn remove_node(&mut self, name: &str) {
        self.lose_pods_on(name, End::Lost);
        let Some(node) = self.nodes.remove(name) else { return };
        let machine = self.machine_of_node.remove(name).and_then(|id| self.machines.get(&id));
        let is_gone = machine.is_some_and(|machine| machine.phase == super::machines::Phase::Gone);
        if !is_gone {
            let pool = machine.map(|machine| machine.pool.clone());
            let label = || node.labels.get(labels::NODE_POOL).cloned();
            let pool = pool.or_else(label).unwrap_or_else(|| crate::meter::NO_POOL.to_owned());
            let is_foreign = machine.is_none();
            let meter = self.meters.pool(&pool);
            meter.allocatable.take(&node.allocatable);
            if is_foreign {
                meter.foreign_goes();
            }
        }
        self.scheduler.remove_node(name);
        self.outbox.push(Event::NodeGone(name.to_owned()));
        // What its drivers said goes with it.
        self.outbox.push(Event::VolumeLimitsGone(name.to_owned()));
    }

    /// Everything on a node is gone.
    pub(super) fn lose_pods_on(&mut self, name: &str, end: End) {
        let pods: Vec<_> = self.on_node.get(name).into_iter().flatten().copied().collect();
        for pod in pods {
            self.remove_pod(pod, end);
        }
    }

    /// Somebody deletes a Node. Its finalizer keeps it until whoever launched it has drained it.
    pub(super) fn delete_node(&mut self, id: &str) {
        let now = self.now;
        let Some(machine) = self.machines.get(id) else { return };
        let (claim, pool, node) = (machine.claim.clone(), machine.pool.clone(), machine.node.clone());
        self.note(EntryKind::NodeDeleted, Some(&pool), &claim, "is deleted by hand".to_owned());
        match node.as_ref().and_then(|name| self.nodes.get_mut(name)) {
            Some(node) => {
                node.deleting = node.deleting.or(Some(now));
                let name = node.name.clone();
                self.publish_node(&name);
            }
            None => {
                self.delete_claim(&claim);
            }
        }
    }

    /// The pods on a node.
    pub(crate) fn pods_on(&self, node: &str) -> impl Iterator<Item = &whittle_core::model::pod::Pod> {
        let pods = self.on_node.get(node).into_iter().flatten();
        pods.filter_map(|ord| self.pods.get(ord)).map(|entry| &entry.pod)
    }
}

/// Whether the object of an operation was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It was.
    Something,
    /// It was not.
    Nothing,
}
