//! How many more volumes a node that is there can attach.
//!
//! Of a node that does not run yet no limit is known: its CSI drivers have not spoken.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::ObjectKey;
use crate::state::Snapshot;
use crate::state::volumes::Attachments;

/// What a node can still attach. A copy is shared until one of them changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct VolumeRoom {
    /// `None` where no driver has a limit.
    left: Option<Arc<Left>>,
}

#[derive(Clone, Debug, Default)]
struct Left {
    /// How many more volumes of each CSI driver, below zero where there are too many already. A driver that is not
    /// listed has no limit.
    free: BTreeMap<String, i64>,
    /// Claims whose volumes are attached, with how many pods mount each. Those that only one pod mounts may be missing.
    attached: BTreeMap<ObjectKey, u32>,
}

impl VolumeRoom {
    /// What the pods on a node leave of it.
    pub(crate) fn of(snapshot: &Snapshot, node: &str) -> Self {
        let Some(limits) = snapshot.volume_limits.get(node).filter(|limits| !limits.is_empty()) else {
            return Self::default();
        };
        let free = limits.iter().map(|(driver, limit)| (driver.clone(), i64::from(*limit)));
        let mut left = Left { free: free.collect(), attached: BTreeMap::new() };
        for (claim, pods) in snapshot.mounted_on(node) {
            let driver = snapshot.volume_claims.get(claim).and_then(|claim| claim.driver.as_deref());
            if let Some(free) = driver.and_then(|driver| left.free.get_mut(driver)) {
                *free -= 1;
                left.attached.insert(claim.clone(), pods);
            }
        }
        Self { left: Some(Arc::new(left)) }
    }

    /// Whether the volumes of one more pod can be attached.
    pub(crate) fn holds(&self, pod: &Attachments) -> bool {
        let Some(left) = self.left.as_deref().filter(|_| !pod.is_empty()) else { return true };
        left.free.iter().all(|(driver, free)| {
            let own = pod.own.get(driver).copied().map_or(0, i64::from);
            let is_new =
                |(of, claim): &&(String, ObjectKey)| of == driver && !left.attached.contains_key(claim);
            let shared = pod.shared.iter().filter(is_new).count();
            let more = own.saturating_add(i64::try_from(shared).unwrap_or(i64::MAX));
            more == 0 || more <= *free
        })
    }

    /// Attaches the volumes of one more pod.
    pub(crate) fn attach(&mut self, pod: &Attachments) {
        let Some(left) = self.left.as_mut().filter(|_| !pod.is_empty()).map(Arc::make_mut) else { return };
        for (driver, volumes) in &pod.own {
            left.count(driver, -i64::from(*volumes));
        }
        for (driver, claim) in &pod.shared {
            let pods = left.attached.entry(claim.clone()).or_default();
            *pods += 1;
            if *pods == 1 {
                left.count(driver, -1);
            }
        }
    }

    /// The inverse of `attach`.
    pub(crate) fn detach(&mut self, pod: &Attachments) {
        let Some(left) = self.left.as_mut().filter(|_| !pod.is_empty()).map(Arc::make_mut) else { return };
        for (driver, volumes) in &pod.own {
            left.count(driver, i64::from(*volumes));
        }
        for (driver, claim) in &pod.shared {
            let Some(pods) = left.attached.get_mut(claim) else { continue };
            *pods -= 1;
            if *pods == 0 {
                left.attached.remove(claim);
                left.count(driver, 1);
            }
        }
    }
}

impl Left {
    fn count(&mut self, driver: &str, volumes: i64) {
        if let Some(free) = self.free.get_mut(driver) {
            *free += volumes;
        }
    }
}
