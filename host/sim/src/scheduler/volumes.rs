//! How many volumes a node has and can have, driver by driver.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::event::ObjectKey;

use super::Claims;

/// The volumes of a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attached {
    /// How many of each CSI driver at most; a driver that is not listed has no limit.
    limits: BTreeMap<String, u32>,
    /// The claims whose volumes are there, with how many pods mount each.
    claims: BTreeMap<ObjectKey, u32>,
}

impl Attached {
    pub(super) fn within(limits: BTreeMap<String, u32>) -> Self {
        Self { limits, claims: BTreeMap::new() }
    }

    pub(super) fn limit(&mut self, limits: BTreeMap<String, u32>) {
        self.limits = limits;
    }

    pub(super) fn attach(&mut self, volumes: &[ObjectKey]) {
        volumes.iter().for_each(|claim| *self.claims.entry(claim.clone()).or_default() += 1);
    }

    pub(super) fn detach(&mut self, volumes: &[ObjectKey]) {
        for claim in volumes {
            if let Some(pods) = self.claims.get_mut(claim) {
                *pods -= 1;
                if *pods == 0 {
                    self.claims.remove(claim);
                }
            }
        }
    }

    /// Whether the volumes of one more pod can be there too. Drivers of which the pod brings nothing new may have
    /// too many already.
    pub(super) fn holds(&self, volumes: &[ObjectKey], known: &Claims) -> bool {
        let driver = |claim: &ObjectKey| known.get(claim).and_then(|claim| claim.driver.as_deref());
        let new: BTreeSet<_> = volumes.iter().filter(|claim| !self.claims.contains_key(*claim)).collect();
        self.limits.iter().all(|(name, limit)| {
            let more = new.iter().filter(|claim| driver(claim) == Some(name)).count();
            let there = self.claims.keys().filter(|claim| driver(claim) == Some(name)).count();
            more == 0 || there + more <= usize::try_from(*limit).unwrap_or(usize::MAX)
        })
    }
}
