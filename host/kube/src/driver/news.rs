//! Whether an event is news.

use whittle_core::event::Event;
use whittle_core::state::Snapshot;

/// Whether an event says anything that is not known: a new list repeats everything, and kubelets repeat themselves.
pub(super) fn is_news(event: &Event, snapshot: &Snapshot) -> bool {
    match event {
        Event::NodePool(pool) => snapshot.node_pools.get(&pool.name) != Some(pool),
        Event::Node(node) => snapshot.nodes.get(&node.name) != Some(node),
        Event::Pod(pod) => snapshot.pods.get(&pod.uid) != Some(pod),
        Event::VolumeLimits(limits) => snapshot.volume_limits.get(&limits.node) != Some(&limits.drivers),
        Event::PodDisruptionBudget(budget) => {
            let key = (budget.namespace.clone(), budget.name.clone());
            snapshot.disruption_budgets.get(&key) != Some(budget)
        }
        Event::VolumeClaim(claim) => {
            let key = (claim.namespace.clone(), claim.name.clone());
            snapshot.volume_claims.get(&key) != Some(claim)
        }
        Event::Namespace(name, labels) => snapshot.namespaces.get(name) != Some(labels),
        Event::NodeClass(class) => snapshot.node_classes.get(&class.name) != Some(class),
        // What is known of these is more than what the object says.
        Event::NodeClaim(_) | Event::DaemonSet(_) => true,
        Event::VolumeAttachment(one) => snapshot.attachments.get(&one.name) != Some(one),
        Event::InstanceDrift { provider_id, found } => {
            snapshot.cloud_drift.get(provider_id).copied() != *found
        }
        Event::NodePoolGone(_)
        | Event::NodeClassGone(_)
        | Event::NodeClaimGone(_)
        | Event::NodeGone(_)
        | Event::VolumeLimitsGone(_)
        | Event::VolumeAttachmentGone(_)
        | Event::PodGone(_)
        | Event::DaemonSetGone(_)
        | Event::PodDisruptionBudgetGone(_)
        | Event::VolumeClaimGone(_)
        | Event::Notice(_)
        | Event::Outcome(_) => true,
    }
}
