//! Nodes, what lives on them, and what may happen to them.

use crate::bindings::consolidation::exports::whittle::policy::consolidation::{Move, Reason};
use crate::bindings::interruption::exports::whittle::policy::interruption::{Kind, Notice};
use crate::bindings::policy::whittle::policy::types::{
    CapacityType, Effect, Instant, Label, Node, Price, Residents, Resources, Taint,
};

/// A spot `m6i.large` of the NodePool `general` in the zone `a` at $0.04 per hour, ready since the epoch, empty.
#[must_use]
pub fn node(claim: &str) -> Node {
    let allocatable = Resources {
        cpu_millis: 1_930,
        memory_bytes: 7 << 30,
        ephemeral_storage_bytes: 17 << 30,
        pods: 29,
        extended: Vec::new(),
    };
    let requested = Resources {
        cpu_millis: 0,
        memory_bytes: 0,
        ephemeral_storage_bytes: 0,
        pods: 0,
        extended: Vec::new(),
    };
    Node {
        claim: claim.to_owned(),
        node_pool: "general".to_owned(),
        instance_type: "m6i.large".to_owned(),
        zone: "a".to_owned(),
        capacity_type: CapacityType::Spot,
        price: 40_000,
        created: 0,
        initialized: Some(0),
        last_pod_event: None,
        labels: Vec::new(),
        taints: Vec::new(),
        allocatable,
        requested,
        residents: Vec::new(),
        facts: Vec::new(),
    }
}

/// So many pods of a workload in the namespace `default`.
#[must_use]
pub fn residents(kind: &str, name: &str, pods: u32) -> Residents {
    Residents {
        namespace: "default".to_owned(),
        owner_kind: kind.to_owned(),
        owner_name: name.to_owned(),
        labels: Vec::new(),
        priority: 0,
        pods,
    }
}

/// A move that ends these nodes because their pods can be had for less elsewhere, and launches nothing.
#[must_use]
pub fn moving(nodes: impl IntoIterator<Item = u32>) -> Move {
    Move {
        reason: Reason::Underutilized,
        nodes: nodes.into_iter().collect(),
        replacements: Vec::new(),
        saving: 0,
        pods_moved: 0,
        disruption_cost: 0,
        facts: Vec::new(),
    }
}

/// A notice about a node, received at the epoch and due two minutes later.
#[must_use]
pub fn notice(kind: Kind, node: Node) -> Notice {
    Notice { kind, node, received: 0, deadline: 120_000, facts: Vec::new() }
}

impl Node {
    /// In a NodePool.
    #[must_use]
    pub fn in_pool(mut self, node_pool: &str) -> Self {
        node_pool.clone_into(&mut self.node_pool);
        self
    }

    /// Bought in this way.
    #[must_use]
    pub fn bought_as(mut self, capacity_type: CapacityType) -> Self {
        self.capacity_type = capacity_type;
        self
    }

    /// At a price.
    #[must_use]
    pub fn priced(mut self, price: Price) -> Self {
        self.price = price;
        self
    }

    /// With one more label.
    #[must_use]
    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.push(Label { key: key.to_owned(), value: value.to_owned() });
        self
    }

    /// With one more taint.
    #[must_use]
    pub fn tainted(mut self, key: &str, value: &str, effect: Effect) -> Self {
        self.taints.push(Taint { key: key.to_owned(), value: value.to_owned(), effect });
        self
    }

    /// With one more workload on it.
    #[must_use]
    pub fn inhabited_by(mut self, residents: Residents) -> Self {
        self.residents.push(residents);
        self
    }

    /// Ready for pods since this moment.
    #[must_use]
    pub fn ready_since(mut self, initialized: Instant) -> Self {
        self.initialized = Some(initialized);
        self
    }

    /// With the last coming or going of a pod at this moment.
    #[must_use]
    pub fn quiet_since(mut self, last_pod_event: Instant) -> Self {
        self.last_pod_event = Some(last_pod_event);
        self
    }
}

impl Residents {
    /// In a namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// With one more label.
    #[must_use]
    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.push(Label { key: key.to_owned(), value: value.to_owned() });
        self
    }
}

impl Move {
    /// Possible for a reason.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }

    /// Saving so much.
    #[must_use]
    pub fn saving(mut self, saving: Price) -> Self {
        self.saving = saving;
        self
    }

    /// Moving so many ordinary pods.
    #[must_use]
    pub fn moving_pods(mut self, pods: u32) -> Self {
        self.pods_moved = pods;
        self.disruption_cost = u64::from(pods) * 1_000;
        self
    }
}
