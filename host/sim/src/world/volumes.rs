//! Volumes: where they are made, and that they stay there.

use whittle_core::event::{Event, ObjectKey};
use whittle_core::model::labels::ZONE;
use whittle_core::model::node::VolumeLimits;
use whittle_core::model::node_pool::{VolumeBinding, VolumeClaim};
use whittle_core::model::requirement::Requirement;

use super::World;
use crate::input::{ClaimSpec, StorageClass};

impl World {
    /// A claim is there from the start.
    pub(super) fn put_volume_claim(&mut self, key: ObjectKey, spec: ClaimSpec) {
        if spec.waits_for_pod {
            self.unbound_claims.insert(key.clone());
        }
        self.volume_claims.insert(key, spec.claim.clone());
        self.outbox.push(Event::VolumeClaim(spec.claim));
    }

    /// A node's CSI drivers say how many volumes they can attach.
    pub(super) fn put_volume_limits(&mut self, limits: VolumeLimits) {
        self.scheduler.limit_volumes(&limits);
        self.outbox.push(Event::VolumeLimits(limits));
    }

    /// A StatefulSet makes a claim for a pod, unless an earlier pod of that name has left one.
    pub(super) fn claim_from_template(&mut self, namespace: &str, name: &str, class: Option<&str>) {
        let key = (namespace.to_owned(), name.to_owned());
        if self.volume_claims.contains_key(&key) {
            return;
        }
        let found = match class {
            Some(class) => self.storage_classes.get(class),
            None => self.storage_classes.values().find(|class| class.is_default),
        };
        let driver = found.and_then(|class| class.driver.clone());
        let (binding, waits_for_pod) = match (found.cloned(), class) {
            (Some(StorageClass { waits_for_pod: true, topologies, .. }), _) => {
                (VolumeBinding::Nodes(topologies), true)
            }
            (Some(class), _) => (VolumeBinding::Nodes(self.zone_by_chance(&class)), false),
            (None, Some(class)) => {
                (VolumeBinding::Impossible(format!("StorageClass {class} does not exist")), false)
            }
            (None, None) => (VolumeBinding::Impossible("there is no default StorageClass".to_owned()), false),
        };
        let claim =
            VolumeClaim { namespace: key.0.clone(), name: key.1.clone(), volume: None, binding, driver };
        self.put_volume_claim(key, ClaimSpec { claim, waits_for_pod });
    }

    /// Where a volume is made that does not wait for its pod: anywhere that its class allows.
    fn zone_by_chance(&mut self, class: &StorageClass) -> Vec<Vec<Requirement>> {
        let zones: std::collections::BTreeSet<String> = self
            .classes
            .values()
            .flat_map(|class| class.instance_types.iter())
            .flat_map(|instance_type| &instance_type.offerings)
            .map(|offering| offering.zone.clone())
            .filter(|zone| {
                let labels = std::collections::BTreeMap::from([(ZONE.to_owned(), zone.clone())]);
                let holds = |term: &Vec<Requirement>| crate::scheduler::rules::matches_labels(term, &labels);
                class.topologies.is_empty() || class.topologies.iter().any(holds)
            })
            .collect();
        let drawn = self.chances.scenario.below(zones.len() as u64);
        let zone = zones.into_iter().nth(usize::try_from(drawn).unwrap_or(0));
        zone.map(|zone| vec![vec![Requirement::equals(ZONE, zone)]]).unwrap_or_default()
    }

    /// A pod with this claim has got a node: the volume is made in its zone and stays there.
    pub(super) fn bind_volume(&mut self, key: &ObjectKey, node: &str) {
        if !self.unbound_claims.remove(key) {
            return;
        }
        let Some(zone) = self.nodes.get(node).and_then(|node| node.labels.get(ZONE)).cloned() else { return };
        let Some(claim) = self.volume_claims.get_mut(key) else { return };
        claim.binding = VolumeBinding::Nodes(vec![vec![Requirement::equals(ZONE, zone)]]);
        self.outbox.push(Event::VolumeClaim(claim.clone()));
    }
}
