//! What is left of plans that break rules.

use super::build::{Scene, empty, launch, node, nominate, pod, term};
use crate::model::labels::ZONE;
use crate::plan::{Action, NodeRef};

/// A pod for a node, and two launches for a pod each.
fn three_places() -> Scene {
    Scene {
        nodes: vec![node("x", "a")],
        pods: vec![pod("p"), pod("q"), pod("r")],
        actions: vec![
            nominate("p", "claim-x"),
            launch("new", &["a", "b"], &["q"]),
            launch("other", &["c"], &["r"]),
        ],
        ..empty()
    }
}

#[test]
fn a_legal_plan_is_left_as_it_is() {
    let actions = three_places().actions;
    assert_eq!(three_places().keep_legal(), (actions, Vec::new()));
}

#[test]
fn only_the_actions_that_are_to_blame_are_left_out() {
    let [nomination, _, other] = <[Action; 3]>::try_from(three_places().actions).unwrap();
    let scene = three_places().with(|scene| drop(scene.labels().remove("team")));
    let violation = "template: new: found the label team None, expected \"shop\"";
    assert_eq!(scene.keep_legal(), (vec![nomination, other], vec![violation.to_owned()]));
}

#[test]
fn a_pod_that_is_to_blame_takes_the_node_with_it_that_is_launched_for_it() {
    let [nomination, new, _] = <[Action; 3]>::try_from(three_places().actions).unwrap();
    let scene = three_places().with(|scene| scene.pods[2].unschedulable = false);
    let (left, violations) = scene.keep_legal();
    assert_eq!(left, vec![nomination, new]);
    let violation =
        "pod: shop/r: found a pod that needs no place, expected one that waits, or whose node goes";
    assert_eq!(violations, vec![violation]);
}

/// A cache on a launch, a pod that must be near it on another, and one that needs nobody.
fn followed() -> Scene {
    let mut scene = Scene {
        nodes: vec![node("x", "a")],
        pods: vec![pod("cache"), pod("p"), pod("q")],
        actions: vec![
            launch("new", &["c"], &["cache"]),
            launch("other", &["c"], &["p"]),
            nominate("q", "claim-x"),
        ],
        ..empty()
    };
    scene.spec(0).labels = [("app".to_owned(), "cache".to_owned())].into();
    scene.spec(1).pod_affinity.push(term(ZONE, "cache"));
    scene
}

#[test]
fn what_was_right_only_with_an_action_that_is_left_out_is_left_out_too() {
    assert_eq!(followed().judge(), Vec::<String>::new());
    let (left, violations) = followed().with(|scene| drop(scene.labels().remove("team"))).keep_legal();
    assert_eq!(left, vec![nominate("q", "claim-x")]);
    assert_eq!(
        violations,
        vec![
            "template: new: found the label team None, expected \"shop\"",
            "pod affinity: shop/p: found none of the pods it must be near in the topology.kubernetes.io/zone of \
             other, expected one of them",
        ]
    );
}

#[test]
fn what_no_rule_is_about_is_left_whatever_else_is_wrong() {
    let joined = Action::Register(NodeRef { claim: "claim-x".into(), node: Some("node-x".into()) });
    let mut scene = followed().with(|scene| drop(scene.labels().remove("team")));
    scene.actions.pop();
    scene.actions.push(joined.clone());
    assert_eq!(scene.keep_legal().0, vec![joined]);
}
