//! Spread, affinity and anti-affinity, with pods that run, come and move.

use super::build::{NOW, Scene, app, each, empty, launch, node, nominate, pod, running, spread, taint, term};
use crate::event::Event;
use crate::model::labels::{HOSTNAME, ZONE};
use crate::model::pod::{
    InclusionPolicy, LabelSelector, Owner, PodAffinityTerm, TopologySpread, WhenUnsatisfiable,
};
use crate::model::requirement::{Operator, Requirement};

/// A pod in each of the zones a and b; zone c is empty and gets a pod that is spread over zones.
fn spread_over_zones() -> Scene {
    let mut scene = Scene {
        nodes: vec![node("x", "a"), node("y", "b")],
        pods: vec![pod("p"), running("q", "x"), running("r", "y")],
        actions: vec![launch("new", &["c"], &["p"])],
        ..empty()
    };
    scene.spec(0).topology_spread.push(spread(ZONE));
    scene
}

fn rule(scene: &mut Scene) -> &mut TopologySpread {
    &mut scene.spec(0).topology_spread[0]
}

const TOO_MANY_IN_A: &[&str] =
    &["topology spread: shop/p: found 2 pods in a (topology.kubernetes.io/zone), \
     0 in the emptiest, expected a difference of at most 1"];

#[test]
fn a_pod_that_is_spread_comes_to_a_domain_within_the_skew() {
    fn to_zone_a(scene: &mut Scene) {
        scene.actions = vec![nominate("p", "claim-x")];
    }
    each(
        spread_over_zones,
        &[
            (to_zone_a, TOO_MANY_IN_A),
            (
                // The skew allows it.
                |scene| {
                    to_zone_a(scene);
                    rule(scene).max_skew = 2;
                },
                &[],
            ),
            (
                // A wish is no rule.
                |scene| {
                    to_zone_a(scene);
                    rule(scene).when_unsatisfiable = WhenUnsatisfiable::ScheduleAnyway;
                },
                &[],
            ),
            (
                // No selector counts nobody.
                |scene| {
                    to_zone_a(scene);
                    rule(scene).selector = None;
                },
                &[],
            ),
            (
                // The pods that are there are in another namespace.
                |scene| {
                    to_zone_a(scene);
                    scene.spec(0).namespace = "other".into();
                },
                &[],
            ),
            (
                // Zone c is not the pod's.
                |scene| {
                    to_zone_a(scene);
                    scene.spec(0).node_affinity =
                        vec![vec![Requirement::new(ZONE, Operator::In, ["a", "b"])]];
                },
                &[],
            ),
            (
                // Nothing is for sale in zone c.
                |scene| {
                    to_zone_a(scene);
                    scene.pool().requirements.push(Requirement::new(ZONE, Operator::In, ["a", "b"]));
                },
                &[],
            ),
            (
                // Zone c is none of the pod's, but there are not as many zones as it wants.
                |scene| {
                    to_zone_a(scene);
                    scene.spec(0).node_affinity =
                        vec![vec![Requirement::new(ZONE, Operator::In, ["a", "b"])]];
                    rule(scene).min_domains = Some(3);
                },
                TOO_MANY_IN_A,
            ),
            (
                // The pods of the same template hash are counted only.
                |scene| {
                    to_zone_a(scene);
                    scene.spec(0).labels.insert("hash".into(), "2".into());
                    rule(scene).match_label_keys = vec!["hash".into(), "unknown".into()];
                },
                &[],
            ),
            (
                // A pod that is on its way out is not counted.
                |scene| {
                    to_zone_a(scene);
                    scene.pods[1].deleting = Some(NOW);
                },
                &[],
            ),
        ],
    );
}

#[test]
fn nodes_that_the_pod_could_not_use_are_counted_as_the_policies_say() {
    each(
        || {
            let mut scene = spread_over_zones();
            scene.pool().requirements.push(Requirement::new(ZONE, Operator::In, ["a", "b"]));
            scene.nodes.push(node("z", "c"));
            scene.node(2).taints.push(taint("gpu"));
            scene.actions = vec![nominate("p", "claim-x")];
            rule(&mut scene).node_taints_policy = InclusionPolicy::Honor;
            scene
        },
        &[(|scene| rule(scene).node_taints_policy = InclusionPolicy::Ignore, TOO_MANY_IN_A)],
    );
}

/// A pod that is spread over teams and may run with team red only, beside one of its kind on a node of team red. The
/// NodePool can make nodes of both teams.
fn spread_over_teams() -> Scene {
    let mut scene = Scene {
        nodes: vec![node("x", "a")],
        pods: vec![pod("p"), running("q", "x")],
        actions: vec![nominate("p", "claim-x")],
        ..empty()
    };
    scene.pool().labels.clear();
    scene.pool().requirements.push(Requirement::new("team", Operator::In, ["red", "blue"]));
    scene.claim(0).labels.remove("team");
    scene.claim(0).requirements.push(Requirement::equals("team", "red"));
    scene.node(0).labels.insert("team".into(), "red".into());
    for ord in 0..2 {
        scene.spec(ord).topology_spread.push(spread("team"));
        scene.spec(ord).node_affinity = vec![vec![Requirement::equals("team", "red")]];
    }
    scene
}

#[test]
fn a_value_that_a_node_pool_leaves_open_is_a_domain_for_the_pods_that_may_have_it() {
    const TOO_MANY_RED: &[&str] =
        &["topology spread: shop/p: found 2 pods in red (team), 0 in the emptiest, \
         expected a difference of at most 1"];
    each(
        spread_over_teams,
        &[
            (
                |scene| {
                    // The node is still starting.
                    scene.claim(0).initialized = None;
                    scene.node(0).ready = false;
                },
                &[],
            ),
            (
                // The pods may have both teams.
                |scene| (0..2).for_each(|ord| scene.spec(ord).node_affinity.clear()),
                TOO_MANY_RED,
            ),
            (
                // Team blue, but where there is nothing for sale.
                |scene| {
                    let blue = [("team", "blue"), (ZONE, "nowhere")]
                        .map(|(key, value)| Requirement::equals(key, value));
                    let blue = blue.to_vec();
                    (0..2).for_each(|ord| scene.spec(ord).node_affinity.push(blue.clone()));
                },
                &[],
            ),
            (
                // Team blue, in a zone of its own.
                |scene| {
                    let blue =
                        [("team", "blue"), (ZONE, "b")].map(|(key, value)| Requirement::equals(key, value));
                    let blue = blue.to_vec();
                    (0..2).for_each(|ord| scene.spec(ord).node_affinity.push(blue.clone()));
                },
                TOO_MANY_RED,
            ),
        ],
    );
}

#[test]
fn a_launch_that_may_be_in_several_zones_is_judged_for_each() {
    each(
        || {
            let mut scene = spread_over_zones();
            scene.nodes.clear();
            scene.pods.truncate(1);
            scene.actions = vec![launch("new", &["a", "b"], &["p"])];
            scene
        },
        &[(
            |scene| {
                scene.nodes.push(node("x", "b"));
                scene.pods.push(running("q", "x"));
            },
            &[
                "topology spread: shop/p: found 2 pods in b (topology.kubernetes.io/zone), 0 in the emptiest, \
               expected a difference of at most 1",
            ],
        )],
    );
}

#[test]
fn there_can_always_be_one_more_host() {
    each(
        || {
            let mut scene = spread_over_zones();
            scene.spec(0).topology_spread = vec![spread(HOSTNAME)];
            scene
        },
        &[(
            |scene| scene.actions = vec![nominate("p", "claim-x")],
            &[
                "topology spread: shop/p: found 2 pods in claim-x (kubernetes.io/hostname), 0 in the emptiest, \
               expected a difference of at most 1",
            ],
        )],
    );
}

#[test]
fn pods_that_move_are_counted_where_they_go() {
    let mut scene = spread_over_zones();
    // The node in zone b goes, and its pod moves to zone a: then a has two, b and c none.
    scene.claim(1).deleting = Some(NOW);
    scene.spec(2).topology_spread.push(spread(ZONE));
    scene.actions = vec![nominate("r", "claim-x")];
    let expected = TOO_MANY_IN_A[0].replace("shop/p", "shop/r");
    assert_eq!(scene.judge(), [expected]);
}

/// A pod that must be near a cache in its zone; the cache is in zone a.
fn near_a_cache() -> Scene {
    let mut scene = Scene {
        nodes: vec![node("x", "a"), node("y", "b")],
        pods: vec![pod("p"), running("cache", "x")],
        actions: vec![launch("new", &["a"], &["p"])],
        ..empty()
    };
    scene.spec(1).labels = [("app".to_owned(), "cache".to_owned())].into();
    scene.spec(0).pod_affinity.push(term(ZONE, "cache"));
    scene
}

fn near(scene: &mut Scene) -> &mut PodAffinityTerm {
    &mut scene.spec(0).pod_affinity[0]
}

const NOT_NEAR: &[&str] = &["pod affinity: shop/p: found none of the pods it must be near in the \
     topology.kubernetes.io/zone of new, expected one of them"];

#[test]
fn a_pod_is_near_the_pods_it_must_be_near() {
    each(
        near_a_cache,
        &[
            (|scene| scene.actions = vec![launch("new", &["b"], &["p"])], NOT_NEAR),
            (|scene| scene.actions = vec![launch("new", &["a", "b"], &["p"])], NOT_NEAR),
            (|scene| near(scene).selector = None, NOT_NEAR),
            (|scene| near(scene).namespaces = vec!["other".into()], NOT_NEAR),
            (
                |scene| {
                    let labels = [("tier".to_owned(), "back".to_owned())].into();
                    scene.others.push(Event::Namespace("far".into(), labels));
                    let requirements = vec![Requirement::equals("tier", "back")];
                    near(scene).namespace_selector = Some(LabelSelector { requirements });
                },
                NOT_NEAR,
            ),
            (|scene| near(scene).namespace_selector = Some(LabelSelector::default()), &[]),
            (
                |scene| {
                    // They come together.
                    scene.pods[1] = pod("cache");
                    scene.spec(1).labels = [("app".to_owned(), "cache".to_owned())].into();
                    scene.actions = vec![launch("new", &["a", "b"], &["p", "cache"])];
                },
                &[],
            ),
            (
                |scene| near(scene).key = "rack".into(),
                &["pod affinity: shop/p: found new without the label rack, expected a place that has it"],
            ),
        ],
    );
}

#[test]
fn pods_that_want_to_be_near_their_own_kind_open_one_domain() {
    each(
        || {
            let mut scene = empty();
            scene.pods = vec![pod("p"), pod("q")];
            for ord in 0..2 {
                scene.spec(ord).pod_affinity.push(term(ZONE, "web"));
            }
            scene.actions = vec![launch("one", &["a"], &["p"]), launch("two", &["a"], &["q"])];
            scene
        },
        &[
            (
                |scene| scene.actions[1] = launch("two", &["b"], &["q"]),
                &["pod affinity: shop/q: found none of the pods it must be near in the \
                   topology.kubernetes.io/zone of two, expected the domain of one, which the first of them opens"],
            ),
            (|scene| scene.actions = vec![launch("one", &["a", "b"], &["p", "q"])], &[]),
        ],
    );
}

/// Two kinds of pods that must be near the second of them, and none is there yet.
fn near_the_second() -> Scene {
    let mut scene = empty();
    scene.pods = vec![pod("p"), pod("q")];
    for (ord, app) in ["k1", "k2"].into_iter().enumerate() {
        scene.spec(ord).labels = [("app".to_owned(), app.to_owned())].into();
        scene.spec(ord).pod_affinity.push(term(ZONE, "k2"));
    }
    scene.actions = vec![launch("one", &["a"], &["p"]), launch("two", &["a"], &["q"])];
    scene
}

#[test]
fn pods_follow_one_that_opens_a_domain_for_its_own_kind() {
    const NOBODY: &[&str] = &["pod affinity: shop/p: found none of the pods it must be near in the \
         topology.kubernetes.io/zone of one, expected one of them"];
    const ELSEWHERE: &[&str] = &["pod affinity: shop/p: found none of the pods it must be near in the \
         topology.kubernetes.io/zone of one, expected the domain of two, which the first of them opens"];
    each(
        near_the_second,
        &[
            (|scene| scene.actions = vec![launch("new", &["a", "b"], &["p", "q"])], &[]),
            (|scene| scene.actions[1] = launch("two", &["b"], &["q"]), ELSEWHERE),
            (|scene| scene.actions[1] = launch("two", &["a", "b"], &["q"]), ELSEWHERE),
            (|scene| drop(scene.actions.pop()), NOBODY),
        ],
    );
}

/// A node in zone a that goes, with a pod that the plan gives no new place, and one in zone b that would take it.
fn a_pod_roams() -> Scene {
    let mut scene = near_a_cache();
    scene.claim(0).deleting = Some(NOW);
    scene
}

#[test]
fn a_pod_whose_node_goes_may_be_wherever_it_would_be_taken() {
    fn to_zone_b(scene: &mut Scene) {
        scene.actions = vec![launch("new", &["b"], &["p"])];
    }
    each(
        a_pod_roams,
        &[
            (to_zone_b, &[]),
            (|scene| scene.actions = vec![nominate("p", "claim-y")], &[]),
            (
                // No node is there to take it.
                |scene| scene.actions = vec![launch("new", &["c"], &["p"])],
                NOT_NEAR,
            ),
            (
                |scene| {
                    to_zone_b(scene);
                    scene.node(1).taints.push(taint("gpu"));
                },
                NOT_NEAR,
            ),
            (
                |scene| {
                    to_zone_b(scene);
                    scene.spec(1).node_affinity = vec![vec![Requirement::equals(ZONE, "a")]];
                },
                NOT_NEAR,
            ),
            (
                // It ends with its node.
                |scene| {
                    to_zone_b(scene);
                    let owner = Owner { kind: "DaemonSet".into(), name: "logs".into() };
                    scene.spec(1).owner = Some(owner);
                },
                NOT_NEAR,
            ),
            (
                // It is on its way out, and a StatefulSet makes it anew.
                |scene| {
                    to_zone_b(scene);
                    scene.pods[1].deleting = Some(NOW);
                    let owner = Owner { kind: "StatefulSet".into(), name: "cache".into() };
                    scene.spec(1).owner = Some(owner);
                },
                &[],
            ),
        ],
    );
}

#[test]
fn a_pod_whose_node_goes_may_fill_the_emptiest_domain() {
    each(
        || {
            // One pod in zone a, none in b, and one on a node in zone a that goes.
            let mut scene = spread_over_zones();
            scene.pool().requirements.push(Requirement::new(ZONE, Operator::In, ["a", "b"]));
            scene.nodes.push(node("z", "a"));
            scene.claim(2).deleting = Some(NOW);
            scene.pods[2] = running("r", "z");
            scene.actions = vec![nominate("p", "claim-x")];
            scene
        },
        &[(|scene| scene.node(1).taints.push(taint("gpu")), TOO_MANY_IN_A)],
    );
}

/// A pod that must not be in the zone of another of its kind, and one that is in zone a.
fn apart() -> Scene {
    let mut scene = Scene {
        nodes: vec![node("x", "a")],
        pods: vec![pod("p"), running("q", "x")],
        actions: vec![launch("new", &["b", "c"], &["p"])],
        ..empty()
    };
    scene.spec(0).pod_anti_affinity.push(term(ZONE, "web"));
    scene
}

const TOGETHER: &[&str] = &["pod anti-affinity: shop/p: found it and a pod that it must not be near in a \
     (topology.kubernetes.io/zone), expected them apart"];

#[test]
fn a_pod_keeps_away_from_the_pods_it_must_not_be_near() {
    each(
        apart,
        &[
            (|scene| scene.actions = vec![launch("new", &["a"], &["p"])], TOGETHER),
            (|scene| scene.actions = vec![launch("new", &["a", "b"], &["p"])], TOGETHER),
            (
                // The term of the pod that is there counts as well.
                |scene| {
                    scene.actions = vec![nominate("p", "claim-x")];
                    let term = scene.spec(0).pod_anti_affinity.remove(0);
                    scene.spec(1).pod_anti_affinity.push(term);
                },
                TOGETHER,
            ),
            (
                |scene| {
                    scene.actions = vec![launch("new", &["a"], &["p"])];
                    scene.spec(0).pod_anti_affinity[0].key = HOSTNAME.into();
                },
                &[],
            ),
            (
                |scene| {
                    scene.actions = vec![launch("new", &["a"], &["p"])];
                    scene.spec(0).pod_anti_affinity[0].selector = Some(app("cache"));
                },
                &[],
            ),
            (
                // The other is on its way out.
                |scene| {
                    scene.actions = vec![launch("new", &["a"], &["p"])];
                    scene.pods[1].deleting = Some(NOW);
                },
                &[],
            ),
            (
                |scene| {
                    scene.pods.push(pod("r"));
                    scene.spec(2).pod_anti_affinity.push(term(ZONE, "web"));
                    scene.actions = vec![launch("new", &["b"], &["p"]), launch("newer", &["c"], &["r"])];
                },
                &[],
            ),
            (
                |scene| {
                    scene.pods.push(pod("r"));
                    scene.spec(2).pod_anti_affinity.push(term(HOSTNAME, "web"));
                    scene.actions = vec![launch("new", &["b"], &["p", "r"])];
                },
                &[
                    "pod anti-affinity: shop/p: found it and a pod that it must not be near in b \
                     (topology.kubernetes.io/zone), expected them apart",
                    "pod anti-affinity: shop/p: found it and a pod that it must not be near in new \
                     (kubernetes.io/hostname), expected them apart",
                ],
            ),
        ],
    );
}
