//! How long things take and what becomes of them: pods until they are bound and run, nodes until they are ready and until
//! they are gone; and whether the plan was kept.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use whittle_core::model::node::NodeClaim;
use whittle_core::model::pod::Pod;
use whittle_core::model::price::Price;
use whittle_core::model::time::Timestamp;
use whittle_core::state::Snapshot;

use super::OfPool;
use super::listed::Shelf;

/// Upper ends of buckets for what takes from a moment to an hour, in seconds.
const SPANS: [f64; 16] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

fn spans() -> Histogram {
    Histogram::new(SPANS)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfNode {
    nodepool: String,
    zone: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfInstance {
    nodepool: String,
    capacity_type: String,
    zone: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bound {
    place: &'static str,
}

type Money = Counter<f64, AtomicU64>;

/// These metrics.
#[derive(Debug)]
pub(super) struct Lives {
    pods_bound: Histogram,
    pods_started: Histogram,
    places: Family<Bound, Counter>,
    nodes_created: Family<OfNode, Counter>,
    nodes_terminated: Family<OfNode, Counter>,
    claims_terminated: Family<OfInstance, Counter>,
    claim_termination: Histogram,
    node_termination: Histogram,
    drained: Family<OfPool, Counter>,
    node_lifetime: Histogram,
    node_ready: Histogram,
    planned: Money,
    realised: Money,
}

impl Lives {
    pub(super) fn new() -> Self {
        Self {
            pods_bound: spans(),
            pods_started: spans(),
            places: Family::default(),
            nodes_created: Family::default(),
            nodes_terminated: Family::default(),
            claims_terminated: Family::default(),
            claim_termination: spans(),
            node_termination: spans(),
            drained: Family::default(),
            node_lifetime: Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
                60.0, 4.0, 9,
            )),
            node_ready: spans(),
            planned: Money::default(),
            realised: Money::default(),
        }
    }

    pub(super) fn list_karpenters(&self, shelf: &mut Shelf<'_>) {
        shelf.add(
            "pods_bound_duration_seconds",
            "From the creation of a pod to when it was seen bound",
            self.pods_bound.clone(),
        );
        shelf.add(
            "pods_startup_duration_seconds",
            "From the creation of a pod to when it was seen ready",
            self.pods_started.clone(),
        );
        shelf.add("nodes_created", "Nodes that have joined", self.nodes_created.clone());
        shelf.add("nodes_terminated", "Nodes that are gone", self.nodes_terminated.clone());
        shelf.add("nodeclaims_terminated", "NodeClaims that are gone", self.claims_terminated.clone());
        shelf.add(
            "nodeclaims_termination_duration_seconds",
            "From when the deletion of a NodeClaim was asked for to when it was gone",
            self.claim_termination.clone(),
        );
        shelf.add(
            "nodes_termination_duration_seconds",
            "From when the deletion of a node was asked for to when it was gone",
            self.node_termination.clone(),
        );
        shelf.add(
            "nodes_drained",
            "Nodes that were drained and whose instance was ended",
            self.drained.clone(),
        );
        shelf.add(
            "nodes_lifetime_duration_seconds",
            "How long nodes have lived that are gone",
            self.node_lifetime.clone(),
        );
    }

    pub(super) fn list_ours(&self, shelf: &mut Shelf<'_>) {
        shelf.add(
            "nodeclaims_ready_duration_seconds",
            "From the creation of a NodeClaim to when its node was seen ready",
            self.node_ready.clone(),
        );
        shelf.add(
            "pods_bound",
            "Pods that were bound: to the node that was planned, to another although one was planned, or without a plan",
            self.places.clone(),
        );
        shelf.add(
            "launches_planned_dollars_per_hour",
            "What was launched, at the price of the offering that was planned with",
            self.planned.clone(),
        );
        shelf.add(
            "launches_realised_dollars_per_hour",
            "What was launched, at the price of the instance that came",
            self.realised.clone(),
        );
    }

    /// A pod is known anew, which was known as in `snapshot` until now.
    pub(super) fn pod(&self, pod: &Pod, snapshot: &Snapshot, now: Timestamp) {
        let Some(before) = snapshot.pods.get(&pod.uid) else { return };
        let age = seconds(pod.created, now);
        if let (None, Some(node)) = (&before.node, &pod.node) {
            self.pods_bound.observe(age);
            let planned = snapshot.nominations.get(&pod.uid).map(|(place, _)| place);
            let place = planned.map_or("unplanned", |place| {
                let of_claim = snapshot.claims.get(place).and_then(|claim| claim.node.as_ref());
                if of_claim.unwrap_or(place) == node { "planned" } else { "another" }
            });
            self.places.get_or_create(&Bound { place }).inc();
        }
        if !before.ready && pod.ready {
            self.pods_started.observe(age);
        }
    }

    /// A NodeClaim is known anew, which was known as in `snapshot` until now.
    pub(super) fn claim(&self, claim: &NodeClaim, snapshot: &Snapshot, now: Timestamp) {
        let Some(before) = snapshot.claims.get(&claim.name) else { return };
        if before.registered.is_none() && claim.registered.is_some() {
            self.nodes_created.get_or_create(&of_node(claim)).inc();
        }
        if before.initialized.is_none() && claim.initialized.is_some() {
            self.node_ready.observe(seconds(claim.created, now));
        }
    }

    /// A NodeClaim is gone, which was known as in `snapshot` until now.
    pub(super) fn claim_gone(&self, name: &str, snapshot: &Snapshot, now: Timestamp) {
        let Some(claim) = snapshot.claims.get(name) else { return };
        let of_node = of_node(claim);
        let capacity_type = claim.instance.as_ref().map_or("", |one| one.capacity_type.label()).to_owned();
        let labels =
            OfInstance { nodepool: of_node.nodepool.clone(), capacity_type, zone: of_node.zone.clone() };
        self.claims_terminated.get_or_create(&labels).inc();
        if let Some(asked) = claim.deleting {
            self.claim_termination.observe(seconds(asked, now));
        }
        if claim.registered.is_some() {
            self.nodes_terminated.get_or_create(&of_node).inc();
            self.node_lifetime.observe(seconds(claim.created, now));
            if let Some(asked) = claim.deleting {
                self.node_termination.observe(seconds(asked, now));
            }
        }
    }

    /// An instance was ended, which comes after the drain of its node.
    pub(super) fn drained(&self, name: &str, snapshot: &Snapshot) {
        let Some(claim) = snapshot.claims.get(name).filter(|claim| claim.registered.is_some()) else {
            return;
        };
        self.drained.get_or_create(&OfPool { nodepool: claim.node_pool.clone() }).inc();
    }

    /// An instance was launched, at a price and for another that it was planned with.
    pub(super) fn launched(&self, planned: Price, realised: Price) {
        self.planned.inc_by(dollars(planned));
        self.realised.inc_by(dollars(realised));
    }
}

fn of_node(claim: &NodeClaim) -> OfNode {
    let zone = claim.instance.as_ref().map(|one| one.zone.clone()).unwrap_or_default();
    OfNode { nodepool: claim.node_pool.clone(), zone }
}

#[expect(clippy::cast_precision_loss, reason = "a time for a chart")]
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).millis() as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a sum of money for a chart")]
pub(super) fn dollars(price: Price) -> f64 {
    price.micros() as f64 / 1e6
}
