//! Amounts of resources as dense rows: position by position, the same resource in every row.

use std::collections::BTreeMap;

use crate::model::resources::{CPU, EPHEMERAL_STORAGE, MEMORY, PODS, Resources};

/// An amount of each resource, in the order of `Axes`. Rows may be shorter than there are axes: the rest is zero.
pub(crate) type Amounts = Vec<u64>;

/// Which position stands for which resource. The four standard ones come first.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    names: Vec<String>,
    extended: BTreeMap<String, usize>,
}

impl Default for Axes {
    fn default() -> Self {
        let names = [CPU, MEMORY, EPHEMERAL_STORAGE, PODS].map(str::to_owned).to_vec();
        Self { names, extended: BTreeMap::new() }
    }
}

impl Axes {
    /// A row; resources seen for the first time get the next positions.
    pub(crate) fn row(&mut self, resources: &Resources) -> Amounts {
        for name in resources.extended.keys() {
            if !self.extended.contains_key(name) {
                self.extended.insert(name.clone(), self.names.len());
                self.names.push(name.clone());
            }
        }
        let mut row = vec![0; self.names.len()];
        let standard =
            [resources.cpu_millis, resources.memory_bytes, resources.ephemeral_storage_bytes, resources.pods];
        row[..4].copy_from_slice(&standard);
        for (name, amount) in &resources.extended {
            row[self.extended[name]] = *amount;
        }
        row
    }

    pub(crate) fn resources(&self, row: &[u64]) -> Resources {
        let mut resources = Resources::default();
        for (name, amount) in self.names.iter().zip(row) {
            resources.set(name, *amount);
        }
        resources
    }

    pub(crate) fn name(&self, axis: usize) -> &str {
        &self.names[axis]
    }
}

/// The amount at a position.
pub(crate) fn at(row: &[u64], axis: usize) -> u64 {
    row.get(axis).copied().unwrap_or(0)
}

pub(crate) fn add(row: &mut Amounts, other: &[u64]) {
    if row.len() < other.len() {
        row.resize(other.len(), 0);
    }
    for (amount, other) in row.iter_mut().zip(other) {
        *amount = amount.saturating_add(*other);
    }
}

/// Takes `other` away. What is not there cannot be taken: amounts stop at zero.
pub(crate) fn subtract(row: &mut Amounts, other: &[u64]) {
    for (amount, other) in row.iter_mut().zip(other) {
        *amount = amount.saturating_sub(*other);
    }
}

/// Whether `wanted` fits into `free`.
pub(crate) fn fits(wanted: &[u64], free: &[u64]) -> bool {
    wanted.iter().enumerate().all(|(axis, wanted)| *wanted <= at(free, axis))
}

#[cfg(test)]
mod tests {
    use super::{Axes, add, fits, subtract};
    use crate::model::resources::Resources;

    fn with_gpus(gpus: u64) -> Resources {
        let mut resources = Resources { cpu_millis: 500, pods: 1, ..Resources::default() };
        resources.set("nvidia.com/gpu", gpus);
        resources
    }

    #[test]
    fn rows_made_before_a_resource_was_seen_have_none_of_it() {
        let axes = &mut Axes::default();
        let (early, late) = (axes.row(&with_gpus(0)), axes.row(&with_gpus(1)));
        assert!(fits(&early, &late));
        assert!(!fits(&late, &early));
        assert_eq!(axes.resources(&late), with_gpus(1));
    }

    #[test]
    fn a_sum_is_as_long_as_the_longer_row_and_a_difference_stops_at_zero() {
        let axes = &mut Axes::default();
        let (early, late) = (axes.row(&with_gpus(0)), axes.row(&with_gpus(1)));
        let mut row = early.clone();
        add(&mut row, &late);
        assert_eq!(axes.resources(&row), with_gpus(0).plus(&with_gpus(1)));
        subtract(&mut row, &late);
        subtract(&mut row, &late);
        assert!(axes.resources(&row).is_zero());
    }
}
