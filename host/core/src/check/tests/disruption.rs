//! Nodes that are taken away: budgets, what asks to be left alone, and where the pods go.

use super::build::{
    NOW, Scene, cordon, daemon_pod, delete, disrupt, disrupted, disruption_budget, each, empty, launch, node,
    nominate, pod, refusal, running,
};
use crate::model::fingerprint::{Fingerprint, VERSION};
use crate::model::node_pool::DisruptionReason::{Drifted, Empty, Underutilized};
use crate::model::node_pool::{Budget, BudgetNodes, BudgetWindow, ConsolidationPolicy};
use crate::model::pod::{DoNotDisrupt, PodPhase};
use crate::model::requirement::Requirement;
use crate::model::time::{Duration, Timestamp};
use crate::plan::{Action, DeleteReason};

/// The pod of an underutilized node moves to another node.
fn one_move() -> Scene {
    Scene {
        nodes: vec![node("x", "a"), node("y", "b")],
        pods: vec![running("p", "x")],
        actions: vec![disrupt("claim-x", Underutilized), nominate("p", "claim-y")],
        ..empty()
    }
}

/// The first node was made from another template than the NodePool has, and goes for that.
fn drift(scene: &mut Scene, claim: &str) {
    let made = Fingerprint { version: VERSION.into(), hash: "of long ago".into() };
    scene.claim(0).made_from.node_pool = Some(made);
    scene.actions[0] = disrupt(claim, Drifted);
}

/// A node with a DaemonSet pod only.
fn one_empty() -> Scene {
    Scene {
        nodes: vec![node("x", "a"), node("y", "b")],
        pods: vec![daemon_pod("logs", "x")],
        actions: vec![disrupt("claim-x", Empty)],
        ..empty()
    }
}

#[test]
fn a_node_that_is_disrupted_is_initialized_and_stays_but_for_this() {
    each(
        one_move,
        &[
            (
                |scene| scene.actions.push(disrupt("ghost", Empty)),
                &["candidate: ghost: found no such NodeClaim, expected one that exists"],
            ),
            (
                |scene| scene.claim(0).deleting = Some(NOW),
                &[
                    "candidate: claim-x: found a NodeClaim that is being deleted already, expected one that is not",
                ],
            ),
            (
                |scene| {
                    scene.claim(0).initialized = None;
                    scene.pool().disruption.budgets.clear();
                },
                &["candidate: claim-x: found a node that is not initialized, expected one that is"],
            ),
            (
                |scene| {
                    scene.pods.push(pod("w"));
                    scene.nominations.push(("w", "claim-x"));
                },
                &["candidate: claim-x: found pod shop/w expected on it, \
                   expected a node that no waiting pod is expected on"],
            ),
            (
                // It was decided on earlier, and its quiet is over since.
                |scene| {
                    scene.node(0).taints.push(disrupted());
                    scene.claim(0).last_pod_event = Some(NOW);
                },
                &[],
            ),
            (
                |scene| {
                    scene.actions.push(cordon("claim-x", "node-x", DeleteReason::Disrupted(Underutilized)))
                },
                &[],
            ),
        ],
    );
}

#[test]
fn nodes_and_pods_that_ask_to_be_left_alone_are() {
    each(
        one_move,
        &[
            (
                |scene| scene.node(0).do_not_disrupt = true,
                &[
                    "do-not-disrupt: claim-x: found a node that asks to be left alone, expected one that does not",
                ],
            ),
            (
                |scene| scene.spec(0).do_not_disrupt = Some(DoNotDisrupt::Always),
                &["do-not-disrupt: claim-x: found pod shop/p that asks to be left alone, expected none"],
            ),
            (|scene| scene.spec(0).do_not_disrupt = Some(DoNotDisrupt::For(Duration::from_secs(60))), &[]),
            (
                // A drifted node whose drain is bounded goes regardless.
                |scene| {
                    scene.spec(0).do_not_disrupt = Some(DoNotDisrupt::Always);
                    scene.claim(0).termination_grace_period = Some(Duration::from_secs(60));
                    drift(scene, "claim-x");
                },
                &[],
            ),
            (
                |scene| {
                    scene.pods.push(daemon_pod("logs", "x"));
                    scene.spec(1).do_not_disrupt = Some(DoNotDisrupt::Always);
                },
                &["do-not-disrupt: claim-x: found pod shop/logs that asks to be left alone, expected none"],
            ),
        ],
    );
}

#[test]
fn pod_disruption_budgets_hold() {
    each(
        || Scene { budgets: vec![disruption_budget("web", 1)], ..one_move() },
        &[
            (
                |scene| scene.budgets[0].disruptions_allowed = 0,
                &[
                    "PodDisruptionBudget: claim-x: found PodDisruptionBudget shop/web of pod shop/p allowing none, \
                   expected one that allows a disruption",
                ],
            ),
            (
                |scene| scene.budgets.push(disruption_budget("other", 1)),
                &[
                    "PodDisruptionBudget: claim-x: found pod shop/p under 2 PodDisruptionBudgets, expected at most one",
                ],
            ),
            (
                |scene| {
                    scene.budgets[0].disruptions_allowed = 0;
                    scene.budgets[0].always_allow_unready = true;
                    scene.pods[0].ready = false;
                },
                &[],
            ),
            (
                |scene| {
                    scene.budgets[0].disruptions_allowed = 0;
                    scene.budgets[0].namespace = "other".into();
                },
                &[],
            ),
        ],
    );
}

fn budget(nodes: BudgetNodes) -> Budget {
    Budget { nodes, reasons: Vec::new(), window: None }
}

#[test]
fn a_node_pool_loses_no_more_nodes_at_once_than_its_budgets_allow() {
    each(
        || {
            let nodes = ["v", "w", "x", "y"].map(|name| node(name, "a")).to_vec();
            let mut scene = Scene { nodes, actions: vec![disrupt("claim-v", Empty)], ..empty() };
            // A third of four is one and a bit: two.
            scene.pool().disruption.budgets = vec![budget(BudgetNodes::Percent(33))];
            scene
        },
        &[
            (|scene| scene.actions.push(disrupt("claim-w", Empty)), &[]),
            (
                |scene| scene.actions.extend([disrupt("claim-w", Empty), disrupt("claim-x", Empty)]),
                &["budget: claim-x: found 3 of 4 nodes of NodePool default disrupted at once, \
                   expected at most 2 for Empty"],
            ),
            (
                |scene| {
                    scene.node(2).ready = false;
                    scene.claim(3).deleting = Some(NOW);
                },
                &["budget: claim-v: found 3 of 4 nodes of NodePool default disrupted at once, \
                   expected at most 2 for Empty"],
            ),
            (
                |scene| scene.pool().disruption.budgets.push(budget(BudgetNodes::Count(0))),
                &["budget: claim-v: found 1 of 4 nodes of NodePool default disrupted at once, \
                   expected at most 0 for Empty"],
            ),
            (
                |scene| {
                    let reasons = vec![Drifted];
                    let none = Budget { reasons, ..budget(BudgetNodes::Count(0)) };
                    scene.pool().disruption.budgets.push(none);
                },
                &[],
            ),
            // It is ten o'clock: a window of two hours is open, one of a minute is closed.
            (
                |scene| scene.pool().disruption.budgets.push(from_nine(Duration::from_secs(7_200))),
                &["budget: claim-v: found 1 of 4 nodes of NodePool default disrupted at once, \
                   expected at most 0 for Empty"],
            ),
            (|scene| scene.pool().disruption.budgets.push(from_nine(Duration::from_secs(60))), &[]),
        ],
    );
}

/// No node, from nine o'clock for so long.
fn from_nine(duration: Duration) -> Budget {
    let window = Some(BudgetWindow { schedule: "0 9 * * *".to_owned(), duration });
    Budget { window, ..budget(BudgetNodes::Count(0)) }
}

#[test]
fn consolidation_waits_until_a_node_is_quiet_and_the_policy_allows_it() {
    each(
        one_move,
        &[
            (
                |scene| scene.claim(0).last_pod_event = Some(NOW - Duration::from_secs(59)),
                &["consolidation: claim-x: found 59s of quiet, expected 1m"],
            ),
            (|scene| scene.claim(0).last_pod_event = Some(NOW - Duration::from_secs(60)), &[]),
            (
                |scene| {
                    scene.claim(0).last_pod_event = Some(NOW);
                    drift(scene, "claim-x");
                },
                &[],
            ),
            (
                |scene| scene.pool().disruption.consolidate_after = None,
                &["consolidation: claim-x: found consolidateAfter Never, expected a time"],
            ),
            (
                |scene| scene.pool().disruption.policy = ConsolidationPolicy::WhenEmpty,
                &["consolidation: claim-x: found the policy WhenEmpty, \
                   expected one that allows underutilized nodes to go"],
            ),
            (
                |scene| scene.pool().replicas = Some(2),
                &["consolidation: claim-x: found a NodePool with a fixed number of nodes, \
                   expected one that follows its pods"],
            ),
        ],
    );
}

#[test]
fn an_empty_node_has_no_pods_besides_those_of_daemon_sets() {
    each(
        one_empty,
        &[
            (
                |scene| scene.pods.push(running("p", "x")),
                &["empty: claim-x: found pod shop/p on it, expected no pod besides those of DaemonSets"],
            ),
            (
                |scene| {
                    scene.pods.push(running("p", "x"));
                    scene.pods[1].deleting = Some(NOW);
                },
                &[],
            ),
            (
                |scene| {
                    scene.pods.push(running("p", "x"));
                    scene.spec(1).deletion_cost = -(1 << 27);
                },
                &[],
            ),
        ],
    );
}

#[test]
fn the_pods_of_an_underutilized_node_have_somewhere_to_go() {
    fn unplaced(scene: &mut Scene) {
        scene.actions.truncate(1);
    }
    each(
        one_move,
        &[
            // There is room on the other node.
            (unplaced, &[]),
            (
                |scene| {
                    unplaced(scene);
                    scene.node(1).allocatable.cpu_millis = 499;
                },
                &[
                    "pods fit: claim-x: found pod shop/p that fits nowhere else, expected a place for each pod",
                ],
            ),
            (
                |scene| {
                    unplaced(scene);
                    scene.claim(1).initialized = None;
                    scene.pool().disruption.budgets.clear();
                },
                &[
                    "pods fit: claim-x: found pod shop/p that fits nowhere else, expected a place for each pod",
                ],
            ),
            (
                |scene| {
                    unplaced(scene);
                    scene.node(1).allocatable.cpu_millis = 499;
                    scene.actions.insert(0, launch("new", &["a"], &[]));
                    scene.launch().replaces.push("claim-x".into());
                },
                &[],
            ),
            (
                |scene| {
                    let moved = launch("new", &["a"], &["p"]);
                    scene.actions = vec![moved, disrupt("claim-x", Underutilized)];
                },
                &[],
            ),
        ],
    );
}

#[test]
fn a_reason_other_than_a_disruption_is_the_case() {
    fn ends(reason: DeleteReason) -> Vec<Action> {
        vec![delete("claim-x", reason)]
    }
    each(
        || {
            let mut scene = Scene { actions: ends(DeleteReason::Expired), ..one_move() };
            scene.claim(0).expire_after = Some(Duration::from_secs(36_000));
            // Neither budgets nor pods keep a node that is too old.
            scene.pool().disruption.budgets = vec![budget(BudgetNodes::Count(0))];
            scene.spec(0).do_not_disrupt = Some(DoNotDisrupt::Always);
            scene
        },
        &[
            (
                |scene| scene.claim(0).created = Timestamp::from_millis(1),
                &[
                    "reason: claim-x: found a node that is not that old, expected one older than its expireAfter",
                ],
            ),
            (
                |scene| scene.actions = ends(DeleteReason::Interrupted),
                &["reason: claim-x: found no notice by EC2, expected one"],
            ),
            (
                |scene| {
                    scene.actions = ends(DeleteReason::Interrupted);
                    scene.others.push(super::build::notice("x"));
                },
                &[],
            ),
            (
                |scene| scene.actions = ends(DeleteReason::InsufficientCapacity),
                &["reason: claim-x: found a NodeClaim that EC2 has not refused, expected one that it has"],
            ),
            (
                |scene| {
                    scene.actions = ends(DeleteReason::InsufficientCapacity);
                    scene.others.push(refusal("claim-x", Vec::new()));
                },
                &[],
            ),
            (
                |scene| scene.actions = ends(DeleteReason::NeverJoined),
                &["reason: claim-x: found a node that has joined, expected one that has not"],
            ),
            (
                |scene| scene.actions = ends(DeleteReason::NodeDeleted),
                &["reason: claim-x: found a Node that nobody deleted, expected one that somebody did"],
            ),
            (
                |scene| scene.actions = vec![cordon("claim-x", "node-x", DeleteReason::Requested)],
                &[
                    "reason: claim-x: found a node whose deletion nobody asked for, expected one that is being deleted",
                ],
            ),
            (
                |scene| {
                    scene.claim(0).deleting = Some(NOW);
                    scene.actions = vec![cordon("claim-x", "node-x", DeleteReason::Requested)];
                },
                &[],
            ),
            (|scene| scene.actions = ends(DeleteReason::InstanceGone), &[]),
        ],
    );
}

#[test]
fn a_node_that_goes_as_drifted_is_drifted_and_its_pods_have_places() {
    let not_drifted = "drift: claim-x: found a node that is what its NodePool and its EC2NodeClass ask for, \
                       expected one that is not";
    let stranded = "pods fit: claim-x: found pod shop/p that is expected nowhere else, \
                    expected a place for each pod before its node goes";
    let drifted = || {
        let mut scene = one_move();
        drift(&mut scene, "claim-x");
        scene
    };
    assert_eq!(drifted().judge(), [] as [&str; 0]);
    type Change = fn(&mut Scene);
    let cases: [(Change, &[&str]); 8] = [
        (|scene| scene.claim(0).made_from.node_pool = None, &[not_drifted]),
        (
            |scene| {
                scene.claim(0).made_from.node_pool = None;
                scene.pool().requirements.push(Requirement::equals("team", "other"));
            },
            &[],
        ),
        (
            |scene| {
                let made = Fingerprint { version: "another".into(), hash: "of long ago".into() };
                scene.claim(0).made_from.node_pool = Some(made);
            },
            &[not_drifted],
        ),
        (|scene| drop(scene.actions.pop()), &[stranded]),
        (|scene| scene.nominations.push(("p", "claim-y")), &[]),
        (
            |scene| {
                scene.actions.pop();
                scene.nominations.push(("p", "claim-y"));
            },
            &[],
        ),
        (
            // It may not be moved, and its node's drain is bounded: it stays until the end.
            |scene| {
                scene.actions.pop();
                scene.spec(0).do_not_disrupt = Some(DoNotDisrupt::Always);
                scene.claim(0).termination_grace_period = Some(Duration::from_secs(60));
            },
            &[],
        ),
        (
            |scene| {
                let reason = DeleteReason::Disrupted(Drifted);
                scene.actions[0] = cordon("claim-x", "node-x", reason);
            },
            &[],
        ),
    ];
    for (position, (change, expected)) in cases.into_iter().enumerate() {
        let mut scene = drifted();
        change(&mut scene);
        assert_eq!(scene.judge(), expected, "case {position}");
    }
}

#[test]
fn a_node_that_was_to_be_replaced_ends_when_the_places_of_its_pods_are_ready() {
    let early = "pods fit: claim-x: found pod shop/p whose place is not ready, \
                 expected a place for each pod that is ready for it";
    let replaced = || {
        let mut scene = one_move();
        drift(&mut scene, "claim-x");
        scene.actions.truncate(1);
        scene.claim(0).disrupted = Some(Timestamp::EPOCH);
        scene.node(0).taints.push(disrupted());
        scene.nominations.push(("p", "claim-y"));
        scene
    };
    assert_eq!(replaced().judge(), [] as [&str; 0]);
    type Change = fn(&mut Scene);
    let cases: [(Change, &[&str]); 4] = [
        (|scene| scene.claim(1).initialized = None, &[early]),
        (|scene| scene.nominations.clear(), &[early]),
        (|scene| scene.claim(1).deleting = Some(NOW), &[early]),
        (|scene| scene.pods[0].phase = PodPhase::Succeeded, &[]),
    ];
    for (position, (change, expected)) in cases.into_iter().enumerate() {
        let mut scene = replaced();
        change(&mut scene);
        assert_eq!(scene.judge(), expected, "case {position}");
    }
}
