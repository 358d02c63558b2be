//! May this pod be asked to leave, this instance be ended, this NodeClaim be let go of?

use crate::check::disruption::tolerates_disruption;
use crate::check::world::World;
use crate::check::{Rule, Violation, broken};
use crate::model::node::NodeClaim;
use crate::model::pod::Pod;
use crate::model::time::{Duration, Timestamp};
use crate::plan::{Action, Eviction, NodeRef, Termination};

/// How long a pod may take to stop before its node is ended all the same (Karpenter: stuck terminating).
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Judges the steps of drains.
pub(super) fn check(world: &World<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for action in &world.plan.actions {
        match action {
            Action::Evict(eviction) => violations.extend(evict(world, eviction)),
            Action::Terminate(termination) => violations.extend(terminate(world, termination)),
            Action::Finalize(node) => violations.extend(finalize(world, node)),
            Action::Launch(_)
            | Action::Nominate(_)
            | Action::Register(_)
            | Action::Initialize(_)
            | Action::Cordon(_)
            | Action::Uncordon(_)
            | Action::Delete(_) => {}
        }
    }
    violations
}

/// When the deletion of a NodeClaim was asked for: at the latest now, by the plan itself.
fn deleting_since(world: &World<'_>, claim: &NodeClaim) -> Option<Timestamp> {
    let by_plan = world.plan.actions.iter().any(|action| match action {
        Action::Delete(delete) => delete.claim == claim.name,
        _ => false,
    });
    let node = world.snapshot.node_of_claim(claim).and_then(|node| node.deleting);
    claim.deleting.or(node).or(by_plan.then_some(world.now))
}

/// When the drain of a node must be over; `None` when it may take as long as it takes.
fn deadline(world: &World<'_>, claim: &NodeClaim) -> Option<Timestamp> {
    let by_notice = world.snapshot.notices.get(&claim.name).map(|notice| notice.deadline);
    let grace = claim.termination_grace_period;
    let by_grace = deleting_since(world, claim).zip(grace).map(|(since, grace)| since + grace);
    by_notice.into_iter().chain(by_grace).chain(claim.terminate_by).min()
}

fn evict(world: &World<'_>, eviction: &Eviction) -> Option<Violation> {
    let violation = |found: &str, expected: &str| {
        Some(broken(Rule::Evict, world.pod_name(&eviction.pod), found, expected))
    };
    let Some(pod) = world.snapshot.pods.get(&eviction.pod) else {
        return violation("no such pod", "one that exists");
    };
    let Some(claim) = world.snapshot.claims.get(&eviction.claim) else {
        return violation("a NodeClaim that does not exist", "the one that the pod is on");
    };
    let node = world.snapshot.node_of_claim(claim).map(|node| &node.name);
    if node.is_none() || pod.node.as_ref() != node {
        return violation("a pod that is not on this node", "one that is");
    }
    let has_notice = world.snapshot.notices.contains_key(&claim.name);
    if deleting_since(world, claim).is_none() && !has_notice {
        return violation("a node that stays", "one that goes");
    }
    if is_static(pod) {
        return violation("a static pod", "one that the API server can end");
    }
    let Some(deadline) = deadline(world, claim) else {
        return match eviction.forced {
            Some(_) => violation("force on a node without a deadline", "an eviction"),
            None => do_not_disrupt(world, pod),
        };
    };
    match eviction.forced {
        None => do_not_disrupt(world, pod),
        Some(_) if !has_notice && world.now + pod.spec.termination_grace_period < deadline => {
            violation("force before the time is up", "an eviction")
        }
        Some(_) => None,
    }
}

/// Whether the kubelet itself keeps the pod. DaemonSet pods are drained like others, only later.
fn is_static(pod: &Pod) -> bool {
    pod.spec.owner.as_ref().is_some_and(|owner| owner.kind == "Node")
}

fn do_not_disrupt(world: &World<'_>, pod: &Pod) -> Option<Violation> {
    let found = "a pod that asks to be left alone";
    let asks = pod.is_do_not_disrupt(world.now);
    asks.then(|| broken(Rule::Evict, pod.full_name(), found, "one that does not, or force once time is up"))
}

fn terminate(world: &World<'_>, termination: &Termination) -> Option<Violation> {
    let violation =
        |found: &str, expected: &str| Some(broken(Rule::Terminate, &termination.claim, found, expected));
    let Some(claim) = world.snapshot.claims.get(&termination.claim) else {
        return violation("no such NodeClaim", "one that exists");
    };
    if claim.instance.as_ref().map(|instance| &instance.provider_id) != Some(&termination.provider_id) {
        return violation("another instance", "the NodeClaim's");
    }
    if deleting_since(world, claim).is_none() {
        return violation("a NodeClaim that is not being deleted", "one that is");
    }
    if deadline(world, claim).is_some_and(|deadline| deadline <= world.now) {
        return None;
    }
    let node = world.snapshot.node_of_claim(claim)?;
    let is_stuck = |pod: &Pod| pod.deleting.is_some_and(|since| since + STUCK_AFTER < world.now);
    let leaves = |pod: &&Pod| !is_static(pod) && !tolerates_disruption(pod) && !is_stuck(pod);
    if let Some(pod) = world.snapshot.pods_on(&node.name).find(leaves) {
        let found = format!("pod {} still on it", pod.full_name());
        return violation(&found, "a drained node, or one whose time is up");
    }
    let staying: Vec<&Pod> = world.snapshot.pods_on(&node.name).filter(|pod| !leaves(pod)).collect();
    let is_kept = |volume: &str| {
        staying.iter().any(|pod| {
            pod.volume_claims.iter().any(|name| {
                let key = (pod.spec.namespace.clone(), name.clone());
                let claim = world.snapshot.volume_claims.get(&key);
                claim.and_then(|claim| claim.volume.as_deref()) == Some(volume)
            })
        })
    };
    let mut attached = world.snapshot.attachments.values().filter(|one| one.node == node.name);
    let waits = attached.find(|one| !one.volume.as_deref().is_some_and(is_kept))?;
    violation(
        &format!("VolumeAttachment {} still there", waits.name),
        "a node whose volumes are detached, or one whose time is up",
    )
}

fn finalize(world: &World<'_>, node: &NodeRef) -> Option<Violation> {
    let violation = |found: &str, expected: &str| Some(broken(Rule::Finalize, &node.claim, found, expected));
    let Some(claim) = world.snapshot.claims.get(&node.claim) else {
        return violation("no such NodeClaim", "one that exists");
    };
    if deleting_since(world, claim).is_none() && !world.snapshot.refused.contains(&claim.name) {
        return violation("a NodeClaim that stays", "one that is being deleted or was refused");
    }
    if claim.instance.is_some() && !world.snapshot.terminated.contains(&claim.name) {
        return violation("an instance that may still run", "one that is gone");
    }
    None
}
