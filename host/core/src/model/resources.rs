//! Amounts of resources: what a pod asks for, what a node has.
//!
//! Quantities are whole numbers in each resource's own unit. Parsing `250m` or `2Gi` is the border's work.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An amount of each resource. A resource that is not named has the amount zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Resources {
    /// Thousandths of a CPU.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of local ephemeral storage.
    pub ephemeral_storage_bytes: u64,
    /// Number of pods.
    pub pods: u64,
    /// Every other resource by its Kubernetes name (`nvidia.com/gpu`), in whole units. Never holds a zero.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extended: BTreeMap<String, u64>,
}

/// The Kubernetes name of the CPU resource.
pub const CPU: &str = "cpu";
/// The Kubernetes name of the memory resource.
pub const MEMORY: &str = "memory";
/// The Kubernetes name of the local storage resource.
pub const EPHEMERAL_STORAGE: &str = "ephemeral-storage";
/// The Kubernetes name of the resource that counts pods.
pub const PODS: &str = "pods";

/// What the Kubernetes names of huge pages begin with; their amounts are bytes.
pub const HUGE_PAGES: &str = "hugepages-";

impl Resources {
    /// The amount of the resource with this Kubernetes name: CPU in thousandths, everything else in whole units.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        match name {
            CPU => self.cpu_millis,
            MEMORY => self.memory_bytes,
            EPHEMERAL_STORAGE => self.ephemeral_storage_bytes,
            PODS => self.pods,
            other => self.extended.get(other).copied().unwrap_or(0),
        }
    }

    /// Sets the amount of the resource with this Kubernetes name.
    pub fn set(&mut self, name: &str, amount: u64) {
        match name {
            CPU => self.cpu_millis = amount,
            MEMORY => self.memory_bytes = amount,
            EPHEMERAL_STORAGE => self.ephemeral_storage_bytes = amount,
            PODS => self.pods = amount,
            other if amount == 0 => {
                self.extended.remove(other);
            }
            other => {
                self.extended.insert(other.to_owned(), amount);
            }
        }
    }

    /// All resources with an amount above zero, the four standard ones first, then by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let standard = [
            (CPU, self.cpu_millis),
            (MEMORY, self.memory_bytes),
            (EPHEMERAL_STORAGE, self.ephemeral_storage_bytes),
            (PODS, self.pods),
        ];
        let extended = self.extended.iter().map(|(name, amount)| (name.as_str(), *amount));
        standard.into_iter().chain(extended).filter(|(_, amount)| *amount > 0)
    }

    /// Whether every amount is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Whether this much of everything is there in `available`.
    #[must_use]
    pub fn fits_in(&self, available: &Self) -> bool {
        self.iter().all(|(name, amount)| amount <= available.get(name))
    }

    /// The sum, resource by resource.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.combined(other, u64::saturating_add)
    }

    /// The difference, resource by resource, never below zero.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.combined(other, u64::saturating_sub)
    }

    /// The larger amount of each resource.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        self.combined(other, Ord::max)
    }

    /// This much `times` over.
    #[must_use]
    pub fn times(&self, times: u64) -> Self {
        self.combined(&Self::default(), |amount, _| amount.saturating_mul(times))
    }

    fn combined(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let names = self.extended.keys().chain(other.extended.keys());
        let extended = names
            .map(|name| (name.clone(), combine(self.get(name), other.get(name))))
            .filter(|(_, amount)| *amount > 0)
            .collect();
        Self {
            cpu_millis: combine(self.cpu_millis, other.cpu_millis),
            memory_bytes: combine(self.memory_bytes, other.memory_bytes),
            ephemeral_storage_bytes: combine(self.ephemeral_storage_bytes, other.ephemeral_storage_bytes),
            pods: combine(self.pods, other.pods),
            extended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Resources;

    fn gpu(count: u64) -> Resources {
        let mut resources = Resources { cpu_millis: 500, ..Resources::default() };
        resources.set("nvidia.com/gpu", count);
        resources
    }

    #[test]
    fn an_extended_resource_that_the_node_lacks_does_not_fit() {
        let node = Resources { cpu_millis: 4_000, ..Resources::default() };
        assert!(!gpu(1).fits_in(&node));
        assert!(gpu(0).fits_in(&node));
    }

    #[test]
    fn sums_and_differences_keep_no_zero_entries() {
        assert_eq!(gpu(1).plus(&gpu(2)).get("nvidia.com/gpu"), 3);
        assert_eq!(gpu(1).minus(&gpu(1)), Resources::default());
        assert_eq!(gpu(2).times(3).get("nvidia.com/gpu"), 6);
    }
}
