//! Living nodes, the moves that end them, and what EC2 says about them.

use std::collections::BTreeMap;

use super::shown;
use crate::advice::consolidation::{Movement, MovesQuestion};
use crate::advice::interruption;
use crate::advice::words::{LivingNode, Reads, Residents};
use crate::disrupt::Move;
use crate::event::{Notice, NoticeKind};
use crate::model::node::NodeClaim;
use crate::state::Snapshot;

/// What an ordinary pod counts for in the measure of disruption that policies see.
const ORDINARY: u64 = 1_000;

/// The nodes that run, by name of their NodeClaim.
#[must_use]
pub fn living_nodes(snapshot: &Snapshot, reads: &Reads) -> Vec<LivingNode> {
    let claims = snapshot.claims.values().filter(|claim| !snapshot.is_leaving(claim));
    claims.filter_map(|claim| living(snapshot, claim, reads)).collect()
}

/// A NodeClaim with its Node; `None` before it has joined.
fn living(snapshot: &Snapshot, claim: &NodeClaim, reads: &Reads) -> Option<LivingNode> {
    let (node, instance) = (snapshot.node_of_claim(claim)?, claim.instance.as_ref()?);
    let mut workloads: BTreeMap<Residents, u32> = BTreeMap::new();
    for (group, pods) in snapshot.groups_on(&node.name) {
        let spec = &snapshot.group(group).spec;
        if spec.belongs_to_node() {
            continue;
        }
        let residents = Residents {
            namespace: spec.namespace.clone(),
            owner: spec.owner.clone(),
            labels: shown(&spec.labels, &reads.pod_labels),
            priority: spec.priority,
            pods: 0,
        };
        *workloads.entry(residents).or_default() += pods;
    }
    let pool = snapshot.node_pools.get(&claim.node_pool);
    Some(LivingNode {
        claim: claim.name.clone(),
        node_pool: claim.node_pool.clone(),
        instance_type: instance.instance_type.clone(),
        zone: instance.zone.clone(),
        capacity_type: instance.capacity_type,
        price: instance.price,
        created: claim.created,
        initialized: claim.initialized,
        last_pod_event: claim.last_pod_event,
        labels: shown(&node.labels, &reads.node_labels),
        taints: node.taints.clone(),
        allocatable: node.allocatable.clone(),
        requested: snapshot.used_on(&node.name),
        residents: workloads.into_iter().map(|(residents, pods)| Residents { pods, ..residents }).collect(),
        do_not_disrupt: node.do_not_disrupt || claim.do_not_disrupt,
        consolidate_after: pool.and_then(|pool| pool.disruption.consolidate_after),
    })
}

/// Moves that were found to be legal. A move of a node that is gone meanwhile is asked about without it, and so with
/// nothing to say about it.
#[must_use]
pub fn moves(snapshot: &Snapshot, found: &[Move], reads: &Reads) -> MovesQuestion {
    let mut question = MovesQuestion::default();
    for found in found {
        let node = snapshot.claims.get(&found.claim).and_then(|claim| living(snapshot, claim, reads));
        let mut movement = Movement { reason: found.reason, ..Movement::default() };
        if let Some(node) = node {
            movement.nodes.push(u32::try_from(question.nodes.len()).unwrap_or(u32::MAX));
            movement.saving = node.price;
            for residents in &node.residents {
                movement.pods_moved = movement.pods_moved.saturating_add(residents.pods);
                let cost = weight(residents.priority).saturating_mul(u64::from(residents.pods));
                movement.disruption_cost = movement.disruption_cost.saturating_add(cost);
            }
            question.nodes.push(node);
        }
        question.moves.push(movement);
    }
    question
}

/// What a pod of this priority counts for: an ordinary one a thousand, one of the highest priority that users may give
/// thirty times as much more, one of very negative priority nothing (Karpenter: `1 + priority / 2^25`).
fn weight(priority: i32) -> u64 {
    let more = i64::from(priority) * 1_000 / (1 << 25);
    ORDINARY.saturating_add_signed(more)
}

/// A notice about the instance of a node; `None` when there is no node on it.
#[must_use]
pub fn notice(snapshot: &Snapshot, notice: &Notice, reads: &Reads) -> Option<interruption::Notice> {
    let claim = snapshot.claim_of_instance(&notice.provider_id)?;
    Some(interruption::Notice {
        kind: match notice.kind {
            NoticeKind::Reclaim => interruption::Kind::Reclaim,
            NoticeKind::Rebalance => interruption::Kind::Rebalance,
            NoticeKind::Maintenance => interruption::Kind::Maintenance,
            NoticeKind::StateChange => interruption::Kind::StateChange,
        },
        node: living(snapshot, claim, reads)?,
        received: notice.received,
        deadline: notice.deadline.max(notice.received),
    })
}
