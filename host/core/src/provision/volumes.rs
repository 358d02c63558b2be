//! How many more volumes a node that is there can attach.
//!
//! Of a node that does not run yet no limit is known: its CSI drivers have not spoken.

use std::collections::BTreeMap;

use crate::event::ObjectKey;
use crate::state::Snapshot;
use crate::state::volumes::Attachments;

/// What a node can still attach.
#[derive(Clone, Debug, Default)]
pub(crate) struct VolumeRoom<'a> {
    /// How many more volumes of each CSI driver, below zero where there are too many already. A driver that is not
    /// listed has no limit.
    free: BTreeMap<&'a str, i64>,
    /// Claims whose volumes are attached, with how many pods mount each. Those that only one pod mounts may be missing.
    attached: BTreeMap<ObjectKey, u32>,
}

impl<'a> VolumeRoom<'a> {
    /// What the pods on a node leave of it.
    pub(crate) fn of(snapshot: &'a Snapshot, node: &str) -> Self {
        let Some(limits) = snapshot.volume_limits.get(node) else { return Self::default() };
        let free = limits.iter().map(|(driver, limit)| (driver.as_str(), i64::from(*limit)));
        let mut room = Self { free: free.collect(), attached: BTreeMap::new() };
        if room.free.is_empty() {
            return room;
        }
        for (claim, pods) in snapshot.mounted_on(node) {
            let driver = snapshot.volume_claims.get(claim).and_then(|claim| claim.driver.as_deref());
            if let Some(free) = driver.and_then(|driver| room.free.get_mut(driver)) {
                *free -= 1;
                room.attached.insert(claim.clone(), pods);
            }
        }
        room
    }

    /// Whether the volumes of one more pod can be attached.
    pub(crate) fn holds(&self, pod: &Attachments) -> bool {
        if self.free.is_empty() || (pod.own.is_empty() && pod.shared.is_empty()) {
            return true;
        }
        self.free.iter().all(|(driver, free)| {
            let own = pod.own.get(*driver).copied().map_or(0, i64::from);
            let is_new =
                |(of, claim): &&(String, ObjectKey)| of == driver && !self.attached.contains_key(claim);
            let shared = pod.shared.iter().filter(is_new).count();
            let more = own.saturating_add(i64::try_from(shared).unwrap_or(i64::MAX));
            more == 0 || more <= *free
        })
    }

    /// Attaches the volumes of one more pod.
    pub(crate) fn attach(&mut self, pod: &Attachments) {
        if self.free.is_empty() {
            return;
        }
        for (driver, volumes) in &pod.own {
            self.count(driver, -i64::from(*volumes));
        }
        for (driver, claim) in &pod.shared {
            let pods = self.attached.entry(claim.clone()).or_default();
            *pods += 1;
            if *pods == 1 {
                self.count(driver, -1);
            }
        }
    }

    /// The inverse of `attach`.
    pub(crate) fn detach(&mut self, pod: &Attachments) {
        if self.free.is_empty() {
            return;
        }
        for (driver, volumes) in &pod.own {
            self.count(driver, i64::from(*volumes));
        }
        for (driver, claim) in &pod.shared {
            let Some(pods) = self.attached.get_mut(claim) else { continue };
            *pods -= 1;
            if *pods == 0 {
                self.attached.remove(claim);
                self.count(driver, 1);
            }
        }
    }

    fn count(&mut self, driver: &str, volumes: i64) {
        if let Some(free) = self.free.get_mut(driver) {
            *free += volumes;
        }
    }
}
