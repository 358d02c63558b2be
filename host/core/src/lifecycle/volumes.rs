//! Volumes of a node that is drained: its instance ends when they are detached, so that the pods that left can have them
//! elsewhere at once.

use std::collections::BTreeSet;

use crate::lifecycle::drain::is_drained;
use crate::model::node::{Node, VolumeAttachment};
use crate::model::time::Timestamp;
use crate::state::Snapshot;

/// The attachments that the end of a node waits for: all but those of pods that stay until the end, such as those of
/// DaemonSets that tolerate everything.
pub(crate) fn awaited<'a>(snapshot: &'a Snapshot, node: &Node, now: Timestamp) -> Vec<&'a VolumeAttachment> {
    let attached = snapshot.attachments.values().filter(|one| one.node == node.name);
    let attached: Vec<&VolumeAttachment> = attached.collect();
    if attached.is_empty() {
        return attached;
    }
    let staying = snapshot.pods_on(&node.name).filter(|pod| !is_drained(pod, now));
    let kept: BTreeSet<&str> = staying
        .flat_map(|pod| pod.volume_claims.iter().map(|name| (pod.spec.namespace.clone(), name.clone())))
        .filter_map(|key| snapshot.volume_claims.get(&key)?.volume.as_deref())
        .collect();
    let is_awaited =
        |one: &&VolumeAttachment| one.volume.as_deref().is_none_or(|volume| !kept.contains(volume));
    attached.into_iter().filter(is_awaited).collect()
}
