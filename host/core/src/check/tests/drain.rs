//! Pods that are asked to leave, instances that are ended, NodeClaims that are let go of.

use super::build::{
    NOW, Scene, daemon_pod, disrupted, each, empty, evict, node, notice, refusal, running, static_pod,
    tolerates, volume,
};
use crate::event::Event;
use crate::model::node::VolumeAttachment;
use crate::model::node_pool::VolumeClaim;
use crate::model::pod::DoNotDisrupt;
use crate::model::time::{Duration, Timestamp};
use crate::plan::{Action, DeleteReason, Eviction, NodeRef, Outcome, Termination};

/// A node that is being deleted and has one pod.
fn draining() -> Scene {
    let mut scene = Scene { nodes: vec![node("x", "a")], pods: vec![running("p", "x")], ..empty() };
    scene.claim(0).deleting = Some(NOW - Duration::from_secs(60));
    scene.node(0).taints.push(disrupted());
    scene
}

fn eviction() -> Scene {
    Scene { actions: vec![Action::Evict(evict("p", "claim-x"))], ..draining() }
}

fn forced() -> Action {
    Action::Evict(Eviction { forced: Some(Duration::from_secs(1)), ..evict("p", "claim-x") })
}

#[test]
fn a_pod_is_asked_to_leave_only_when_its_node_goes() {
    each(
        eviction,
        &[
            (
                |scene| scene.actions = vec![Action::Evict(evict("ghost", "claim-x"))],
                &["evict: ghost: found no such pod, expected one that exists"],
            ),
            (
                |scene| scene.actions = vec![Action::Evict(evict("p", "ghost"))],
                &[
                    "evict: shop/p: found a NodeClaim that does not exist, expected the one that the pod is on",
                ],
            ),
            (
                |scene| scene.pods[0].node = Some("node-y".into()),
                &["evict: shop/p: found a pod that is not on this node, expected one that is"],
            ),
            (
                |scene| scene.claim(0).deleting = None,
                &["evict: shop/p: found a node that stays, expected one that goes"],
            ),
            (
                |scene| {
                    scene.claim(0).deleting = None;
                    scene.others.push(notice("x"));
                },
                &[],
            ),
            (
                |scene| {
                    scene.claim(0).deleting = None;
                    scene.claim(0).expire_after = Some(Duration::ZERO);
                    scene.actions.insert(0, super::build::delete("claim-x", DeleteReason::Expired));
                },
                &[],
            ),
            (|scene| scene.pods[0] = daemon_pod("p", "x"), &[]),
            (
                |scene| scene.pods[0] = static_pod("p", "x"),
                &["evict: shop/p: found a static pod, expected one that the API server can end"],
            ),
        ],
    );
}

#[test]
fn a_pod_that_asks_to_be_left_alone_is_forced_once_time_is_up_and_never_asked() {
    each(
        || {
            let mut scene = Scene { actions: vec![forced()], ..draining() };
            scene.spec(0).do_not_disrupt = Some(DoNotDisrupt::Always);
            scene.spec(0).termination_grace_period = Duration::from_secs(30);
            scene.claim(0).termination_grace_period = Some(Duration::from_secs(90));
            scene
        },
        &[
            (
                |scene| scene.actions = vec![Action::Evict(evict("p", "claim-x"))],
                &["evict: shop/p: found a pod that asks to be left alone, \
                   expected one that does not, or force once time is up"],
            ),
            (
                |scene| scene.spec(0).termination_grace_period = Duration::from_secs(29),
                &["evict: shop/p: found force before the time is up, expected an eviction"],
            ),
            (
                |scene| scene.claim(0).termination_grace_period = None,
                &["evict: shop/p: found force on a node without a deadline, expected an eviction"],
            ),
        ],
    );
}

/// The volume `pv-1`, attached to the first node.
fn attached() -> Event {
    let (name, node) = ("x".into(), "node-x".into());
    Event::VolumeAttachment(VolumeAttachment { name, node, volume: Some("pv-1".into()) })
}

fn terminate(provider_id: &str) -> Action {
    Action::Terminate(Termination { claim: "claim-x".into(), provider_id: provider_id.into() })
}

#[test]
fn an_instance_is_ended_when_its_node_is_drained_or_its_time_is_up() {
    const STILL_THERE: &[&str] = &["terminate: claim-x: found pod shop/p still on it, \
         expected a drained node, or one whose time is up"];
    fn occupied(scene: &mut Scene) {
        scene.pods[0] = running("p", "x");
    }
    each(
        || Scene {
            pods: vec![static_pod("logs", "x")],
            actions: vec![terminate("aws:///a/i-x")],
            ..draining()
        },
        &[
            (occupied, STILL_THERE),
            (
                |scene| {
                    occupied(scene);
                    scene.claim(0).termination_grace_period = Some(Duration::from_secs(61));
                },
                STILL_THERE,
            ),
            (
                |scene| {
                    occupied(scene);
                    scene.claim(0).termination_grace_period = Some(Duration::from_secs(60));
                },
                &[],
            ),
            (
                |scene| {
                    occupied(scene);
                    scene.spec(0).tolerations.push(tolerates("karpenter.sh/disrupted"));
                },
                &[],
            ),
            (
                |scene| {
                    occupied(scene);
                    scene.pods[0].deleting = Some(Timestamp::EPOCH);
                },
                &[],
            ),
            (
                |scene| scene.others.push(attached()),
                &["terminate: claim-x: found VolumeAttachment x still there, \
                   expected a node whose volumes are detached, or one whose time is up"],
            ),
            (
                |scene| {
                    scene.others.push(attached());
                    scene.claim(0).termination_grace_period = Some(Duration::from_secs(60));
                },
                &[],
            ),
            (
                // A pod that stays until the end keeps it.
                |scene| {
                    occupied(scene);
                    scene.spec(0).tolerations.push(tolerates("karpenter.sh/disrupted"));
                    scene.pods[0].volume_claims.push("data".into());
                    scene.volumes.push(VolumeClaim { volume: Some("pv-1".into()), ..volume(&["a"]) });
                    scene.others.push(attached());
                },
                &[],
            ),
            (
                |scene| scene.claim(0).deleting = None,
                &["terminate: claim-x: found a NodeClaim that is not being deleted, expected one that is"],
            ),
            (
                |scene| scene.actions = vec![terminate("aws:///a/i-y")],
                &["terminate: claim-x: found another instance, expected the NodeClaim's"],
            ),
            (
                |scene| scene.nodes.clear(),
                &["terminate: claim-x: found no such NodeClaim, expected one that exists"],
            ),
        ],
    );
}

#[test]
fn a_node_claim_is_let_go_of_when_it_is_going_and_its_instance_is_gone() {
    each(
        || {
            let finalize = Action::Finalize(NodeRef { claim: "claim-x".into(), node: None });
            let gone = Event::Outcome(Outcome::Terminated { claim: "claim-x".into() });
            Scene { actions: vec![finalize], others: vec![gone], ..draining() }
        },
        &[
            (
                |scene| scene.claim(0).deleting = None,
                &[
                    "finalize: claim-x: found a NodeClaim that stays, expected one that is being deleted or was refused",
                ],
            ),
            (
                |scene| scene.others.clear(),
                &["finalize: claim-x: found an instance that may still run, expected one that is gone"],
            ),
            (
                |scene| {
                    scene.claim(0).deleting = None;
                    scene.claim(0).instance = None;
                    scene.others = vec![refusal("claim-x", Vec::new())];
                },
                &[],
            ),
            (
                |scene| {
                    scene.nodes.clear();
                    scene.others.clear();
                },
                &["finalize: claim-x: found no such NodeClaim, expected one that exists"],
            ),
        ],
    );
}
