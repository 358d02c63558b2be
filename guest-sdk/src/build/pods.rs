//! Groups of pods that wait.

use crate::bindings::policy::whittle::policy::types::{
    CapacityType, Duration, Effect, Fact, Label, PodGroup, Resources, Running, Toleration, Value,
};

/// One pod of the Deployment `default/web` that asks for a CPU and 2 GiB and waits for a place, in the NodePool
/// `general`, which has everything that can be bought.
#[must_use]
pub fn group() -> PodGroup {
    PodGroup {
        namespace: "default".to_owned(),
        owner_kind: "Deployment".to_owned(),
        owner_name: "web".to_owned(),
        labels: Vec::new(),
        priority: 0,
        requests: Resources {
            cpu_millis: 1_000,
            memory_bytes: 2 << 30,
            ephemeral_storage_bytes: 0,
            pods: 1,
            extended: Vec::new(),
        },
        tolerations: Vec::new(),
        pending: 1,
        waiting: 0,
        running: Vec::new(),
        capacity_types: CapacityType::ALL.to_vec(),
        node_pools: vec!["general".to_owned()],
        facts: Vec::new(),
    }
}

impl PodGroup {
    /// So many of them wait.
    #[must_use]
    pub fn pods(mut self, pending: u32) -> Self {
        self.pending = pending;
        self
    }

    /// In a namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// Made by an object.
    #[must_use]
    pub fn owned_by(mut self, kind: &str, name: &str) -> Self {
        kind.clone_into(&mut self.owner_kind);
        name.clone_into(&mut self.owner_name);
        self
    }

    /// With one more label.
    #[must_use]
    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.push(Label { key: key.to_owned(), value: value.to_owned() });
        self
    }

    /// With a priority.
    #[must_use]
    pub fn prioritized(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Waiting for so many milliseconds.
    #[must_use]
    pub fn waiting_for(mut self, waiting: Duration) -> Self {
        self.waiting = waiting;
        self
    }

    /// With so many pods of the workload running already.
    #[must_use]
    pub fn running_on(mut self, capacity_type: CapacityType, zone: &str, pods: u32) -> Self {
        self.running.push(Running { capacity_type, zone: zone.to_owned(), pods });
        self
    }

    /// Tolerating one more taint.
    #[must_use]
    pub fn tolerating(mut self, key: &str, value: &str, effect: Effect) -> Self {
        let (key, value) = (Some(key.to_owned()), Some(value.to_owned()));
        self.tolerations.push(Toleration { key, value, effect: Some(effect) });
        self
    }

    /// Allowed on these capacity types only.
    #[must_use]
    pub fn allowing(mut self, capacity_types: impl IntoIterator<Item = CapacityType>) -> Self {
        self.capacity_types = capacity_types.into_iter().collect();
        self
    }

    /// Hosted by these NodePools, heaviest first.
    #[must_use]
    pub fn hosted_by<'a>(mut self, node_pools: impl IntoIterator<Item = &'a str>) -> Self {
        self.node_pools = node_pools.into_iter().map(str::to_owned).collect();
        self
    }

    /// Asking to be left alone.
    #[must_use]
    pub fn not_to_be_disrupted(mut self) -> Self {
        self.facts.push(Fact { name: "pod-group.do-not-disrupt".to_owned(), value: Value::Flag(true) });
        self
    }
}
