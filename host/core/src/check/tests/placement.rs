//! Pods on places: room, taints, labels, ports and volumes.

use std::sync::Arc;

use super::build::{
    NOW, Scene, amount, attached, daemon_pod, daemon_set, disrupted, each, empty, launch, node, nominate,
    notice, pod, running, taint, tolerates, volume, volume_limit,
};
use crate::model::labels::{HOSTNAME, NOT_READY_TAINT, ZONE};
use crate::model::pod::HostPort;
use crate::model::requirement::{Operator, Requirement};
use crate::model::resources::Resources;
use crate::model::time::Timestamp;

/// One pod for a node that has two.
fn one_nomination() -> Scene {
    Scene {
        nodes: vec![node("x", "a"), node("y", "b")],
        pods: vec![pod("p"), running("q", "x"), running("r", "x")],
        actions: vec![nominate("p", "claim-x")],
        ..empty()
    }
}

/// One pod on a launch that may be in zone a or b.
fn one_launch() -> Scene {
    Scene { pods: vec![pod("p")], actions: vec![launch("new", &["a", "b"], &["p"])], ..empty() }
}

/// The node is on its way: it has joined and is not ready for pods.
fn uninitialized(scene: &mut Scene) {
    scene.claim(0).initialized = None;
}

#[test]
fn a_pod_that_is_placed_needs_a_place_and_gets_one() {
    each(
        one_nomination,
        &[
            (
                |scene| scene.actions.push(nominate("p", "claim-y")),
                &["pod: shop/p: found a second place for it, expected one place"],
            ),
            (
                |scene| scene.actions.push(nominate("ghost", "claim-y")),
                &["pod: ghost: found no such pod, expected one that exists"],
            ),
            (
                |scene| scene.actions.push(nominate("q", "claim-y")),
                &[
                    "pod: shop/q: found a pod that needs no place, expected one that waits, or whose node goes",
                ],
            ),
            (
                |scene| scene.pods[0].unschedulable = false,
                &[
                    "pod: shop/p: found a pod that needs no place, expected one that waits, or whose node goes",
                ],
            ),
            (
                |scene| scene.actions.push(nominate("p", "nowhere")),
                &[
                    "pod: shop/p: found a second place for it, expected one place",
                    "place: nowhere: found a pod for nowhere, which does not exist, expected a NodeClaim or Node",
                ],
            ),
            (
                |scene| {
                    scene.claim(1).deleting = Some(NOW);
                    scene.pods.push(running("moved", "y"));
                    scene.actions.push(nominate("moved", "claim-x"));
                },
                &[],
            ),
            (
                |scene| {
                    scene.claim(1).deleting = Some(NOW);
                    scene.pods.push(daemon_pod("moved", "y"));
                    scene.actions.push(nominate("moved", "claim-x"));
                },
                &[
                    "pod: shop/moved: found a pod that needs no place, expected one that waits, or whose node goes",
                ],
            ),
        ],
    );
}

#[test]
fn a_place_stays() {
    each(
        one_nomination,
        &[
            (
                |scene| scene.claim(0).deleting = Some(NOW),
                &[
                    "place: claim-x: found pods for it although its NodeClaim is being deleted, expected a place that stays",
                ],
            ),
            (
                |scene| scene.node(0).deleting = Some(NOW),
                &[
                    "place: claim-x: found pods for it although its Node is being deleted, expected a place that stays",
                ],
            ),
            (
                |scene| scene.others.push(notice("x")),
                &[
                    "place: claim-x: found pods for it although EC2 takes it back, expected a place that stays",
                ],
            ),
            (
                |scene| {
                    scene.node(0).taints.push(disrupted());
                    scene.spec(0).tolerations.push(tolerates("karpenter.sh/disrupted"));
                },
                &["place: claim-x: found pods for it although it has the taint karpenter.sh/disrupted, \
                   expected a place that stays"],
            ),
            (
                |scene| {
                    scene.claim(0).instance = None;
                    scene.claim(0).node = None;
                    scene.claim(0).requirements = vec![Requirement::equals(ZONE, "nowhere")];
                },
                &[
                    "place: claim-x: found a NodeClaim that nothing is known of yet, expected a place that is known",
                ],
            ),
        ],
    );
}

#[test]
fn a_pod_tolerates_the_taints_of_its_place() {
    each(
        one_nomination,
        &[
            (
                |scene| scene.node(0).taints.push(taint("gpu")),
                &["taints: shop/p: found the taint gpu:NoSchedule on claim-x, expected a toleration for it"],
            ),
            (
                |scene| {
                    scene.node(0).taints.push(taint("gpu"));
                    scene.spec(0).tolerations.push(tolerates("gpu"));
                },
                &[],
            ),
            (
                |scene| scene.node(0).taints.push(taint(NOT_READY_TAINT)),
                &["taints: shop/p: found the taint node.kubernetes.io/not-ready:NoSchedule on claim-x, \
                   expected a toleration for it"],
            ),
            (
                |scene| {
                    uninitialized(scene);
                    scene.node(0).taints.extend([taint(NOT_READY_TAINT), taint("cni")]);
                    scene.claim(0).startup_taints.push(taint("cni"));
                },
                &[],
            ),
            (
                |scene| {
                    uninitialized(scene);
                    scene.claim(0).registered = None;
                    scene.claim(0).taints.push(taint("gpu"));
                },
                &["taints: shop/p: found the taint gpu:NoSchedule on claim-x, expected a toleration for it"],
            ),
        ],
    );
    each(
        one_launch,
        &[
            (
                |scene| scene.launch().taints.push(taint("gpu")),
                &["taints: shop/p: found the taint gpu:NoSchedule on new, expected a toleration for it"],
            ),
            (|scene| scene.launch().startup_taints.push(taint("cni")), &[]),
        ],
    );
}

#[test]
fn a_place_fulfils_the_pods_node_affinity_and_volumes_whatever_ec2_chooses() {
    each(
        one_nomination,
        &[
            (
                |scene| scene.spec(0).node_affinity = vec![vec![Requirement::equals(ZONE, "b")]],
                &["node affinity: shop/p: found labels of claim-x that do not match, \
                   expected those that the pod's node affinity asks for"],
            ),
            (
                |scene| {
                    let alternatives = ["b", "a"].map(|zone| vec![Requirement::equals(ZONE, zone)]);
                    scene.spec(0).node_affinity = alternatives.to_vec();
                },
                &[],
            ),
            (
                |scene| {
                    scene.spec(0).node_affinity =
                        vec![vec![Requirement::equals("karpenter.k8s.aws/instance-cpu", "2")]]
                },
                &["node affinity: shop/p: found labels of claim-x that do not match, \
                   expected those that the pod's node affinity asks for"],
            ),
            (
                |scene| {
                    // Until the node says so itself, its instance type does.
                    uninitialized(scene);
                    scene.spec(0).node_affinity =
                        vec![vec![Requirement::equals("karpenter.k8s.aws/instance-cpu", "2")]];
                },
                &[],
            ),
        ],
    );
    each(
        one_launch,
        &[
            (
                |scene| scene.spec(0).node_affinity = vec![vec![Requirement::equals(ZONE, "a")]],
                &["node affinity: shop/p: found labels of new that do not match, \
                   expected those that the pod's node affinity asks for"],
            ),
            (
                |scene| {
                    scene.spec(0).node_affinity = vec![vec![Requirement::new(ZONE, Operator::NotIn, ["c"])]]
                },
                &[],
            ),
            (
                |scene| scene.spec(0).node_affinity = vec![vec![Requirement::equals(HOSTNAME, "new")]],
                &["node affinity: shop/p: found labels of new that do not match, \
                   expected those that the pod's node affinity asks for"],
            ),
            (
                |scene| {
                    scene.volumes.push(volume(&["a"]));
                    scene.pods[0].volume_claims.push("data".into());
                },
                &["volumes: shop/p: found new, where a volume of the pod cannot be, \
                   expected a place where all its volumes can be"],
            ),
            (
                |scene| {
                    scene.volumes.push(volume(&["b", "a"]));
                    scene.pods[0].volume_claims.push("data".into());
                },
                &[],
            ),
            (
                |scene| scene.pods[0].volume_claims.push("lost".into()),
                &["volumes: shop/p: found PersistentVolumeClaim shop/lost does not exist, \
                   expected volumes that can be somewhere"],
            ),
        ],
    );
}

#[test]
fn a_node_has_room_for_its_pods_and_the_daemon_set_pods_still_to_come() {
    each(
        one_nomination,
        &[
            (
                |scene| scene.spec(0).requests.cpu_millis = 1_001,
                &["room: claim-x: found 1001 of cpu asked for, expected at most 1000, which is free"],
            ),
            (
                |scene| scene.daemon_sets.push(daemon_set()),
                &["room: claim-x: found 500 of cpu asked for, expected at most 0, which is free"],
            ),
            (
                |scene| {
                    // The DaemonSet's pod is one of the two that are there.
                    scene.daemon_sets.push(daemon_set());
                    scene.pods[1] = daemon_pod("q", "x");
                    Arc::make_mut(&mut scene.pods[1].spec).requests = daemon_set().spec.requests.clone();
                },
                &[],
            ),
            (
                |scene| {
                    scene.pods.extend([pod("s"), pod("t")]);
                    scene.actions.extend([nominate("s", "claim-x"), nominate("t", "claim-x")]);
                },
                &["room: claim-x: found 1500 of cpu asked for, expected at most 1000, which is free"],
            ),
            (
                |scene| {
                    // Two more are expected there from an earlier plan.
                    scene.pods.extend([pod("s"), pod("t")]);
                    scene.nominations.extend([("s", "claim-x"), ("t", "claim-x")]);
                },
                &["room: claim-x: found 500 of cpu asked for, expected at most 0, which is free"],
            ),
            (
                |scene| {
                    scene.node(0).allocatable = amount(0, 0);
                    scene.node(0).allocatable.pods = 0;
                    uninitialized(scene);
                },
                &[],
            ),
        ],
    );
}

#[test]
fn pods_on_one_node_take_different_host_ports() {
    fn port(ip: &str) -> HostPort {
        HostPort { ip: ip.into(), port: 80, protocol: "TCP".into() }
    }
    each(
        || {
            let mut scene = one_nomination();
            scene.spec(0).host_ports.push(port("10.0.0.1"));
            scene
        },
        &[
            (
                |scene| scene.spec(1).host_ports.push(port("0.0.0.0")),
                &[
                    "host ports: shop/p: found the host port 80 TCP on claim-x taken twice, expected one pod for each",
                ],
            ),
            (|scene| scene.spec(1).host_ports.push(port("10.0.0.2")), &[]),
            (
                |scene| scene.spec(1).host_ports.push(HostPort { protocol: "UDP".into(), ..port("0.0.0.0") }),
                &[],
            ),
            (
                |scene| {
                    let mut set = daemon_set();
                    let spec = Arc::make_mut(&mut set.spec);
                    spec.host_ports.push(port("10.0.0.1"));
                    spec.requests = Resources::default();
                    scene.daemon_sets.push(set);
                },
                &[
                    "host ports: shop/p: found the host port 80 TCP on claim-x taken twice, expected one pod for each",
                ],
            ),
        ],
    );
}

#[test]
fn a_node_that_nobody_manages_is_a_place_under_its_own_name() {
    let mut scene = one_nomination();
    scene.nodes[0].0 = None;
    scene.actions = vec![nominate("p", "node-x")];
    scene.pods[0].created = Timestamp::EPOCH;
    assert_eq!(scene.judge(), Vec::<String>::new());
}

#[test]
fn a_pod_that_asks_for_what_no_node_pool_can_promise_is_placed_nowhere() {
    each(
        one_nomination,
        &[
            (
                |scene| {
                    scene.node(0).labels.insert("karpenter.sh/custom".into(), "x".into());
                    scene.spec(0).node_affinity = vec![vec![Requirement::equals("karpenter.sh/custom", "x")]];
                },
                &[
                    "node affinity: shop/p: found the pod asks for the label karpenter.sh/custom, which no NodePool \
                   may promise, expected a pod that a node of a NodePool could be for",
                ],
            ),
            (
                |scene| {
                    let restricted = vec![Requirement::equals("karpenter.sh/custom", "x")];
                    scene.spec(0).node_affinity = vec![restricted, vec![Requirement::equals(ZONE, "a")]];
                },
                &[],
            ),
        ],
    );
}

/// A pod with two volumes for a node that has one and can attach three.
fn one_with_volumes() -> Scene {
    let mut scene = one_nomination();
    scene.volumes = ["there", "own", "also"].map(attached).into();
    scene.pods[1].volume_claims = vec!["there".into()];
    scene.pods[0].volume_claims = vec!["own".into(), "also".into()];
    scene.others.push(volume_limit("x", 3));
    scene
}

#[test]
fn a_node_attaches_no_more_volumes_than_its_drivers_allow() {
    each(
        one_with_volumes,
        &[
            (
                |scene| scene.others.push(volume_limit("x", 2)),
                &[
                    "volume limits: claim-x: found 3 volumes of ebs, expected at most 2, which the node can attach",
                ],
            ),
            (
                |scene| {
                    scene.volumes.push(attached("third"));
                    scene.pods[0].volume_claims.push("third".into());
                },
                &[
                    "volume limits: claim-x: found 4 volumes of ebs, expected at most 3, which the node can attach",
                ],
            ),
            // One that is there already, or that two pods mount, counts once.
            (
                |scene| {
                    scene.others.push(volume_limit("x", 2));
                    scene.pods[0].volume_claims = vec!["own".into(), "there".into()];
                },
                &[],
            ),
            (
                |scene| {
                    scene.pods.push(pod("s"));
                    scene.pods[3].volume_claims = vec!["own".into()];
                    scene.actions.push(nominate("s", "claim-x"));
                },
                &[],
            ),
            // Another driver, another limit.
            (
                |scene| {
                    scene.others.push(volume_limit("x", 1));
                    scene.volumes[1].driver = Some("efs".into());
                    scene.volumes[2].driver = None;
                },
                &[],
            ),
            // Too many already, and no more come.
            (
                |scene| {
                    scene.others.push(volume_limit("x", 0));
                    scene.pods[0].volume_claims.clear();
                },
                &[],
            ),
        ],
    );
}
