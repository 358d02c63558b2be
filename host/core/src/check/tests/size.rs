//! A plan of ten thousand pods, one of which is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::{Scene, amount, class, empty, launch, pod, spread, term};
use crate::model::labels::{HOSTNAME, ZONE};
use crate::model::requirement::Requirement;
use crate::model::resources::Resources;
use crate::plan::Action;

/// How many launches of ten pods the plan has.
const LAUNCHES: usize = 1_000;
/// How many kinds of pods there are.
const APPS: usize = 100;

/// A plan of ten thousand pods, each spread over zones and kept from its siblings on one host.
fn large() -> Scene {
    let mut scene = Scene { class: Some(class()), ..empty() };
    for ord in 0..LAUNCHES * 10 {
        let name = format!("p{ord:05}");
        let app = format!("app-{}", ord % APPS);
        let mut pod = pod(&name);
        let spec = Arc::make_mut(&mut pod.spec);
        spec.labels = BTreeMap::from([("app".into(), app.clone())]);
        spec.requests = Resources { pods: 1, ..amount(100, 0) };
        spec.topology_spread.push(spread(ZONE));
        spec.topology_spread[0].selector = term(ZONE, &app).selector;
        spec.pod_anti_affinity.push(term(HOSTNAME, &app));
        scene.pods.push(pod);
    }
    for ord in 0..LAUNCHES {
        let zone = ["a", "b", "c"][ord / 10 % 3];
        let uids: Vec<String> = (ord * 10..ord * 10 + 10).map(|pod| format!("p{pod:05}")).collect();
        let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
        let mut action = launch(&format!("new-{ord:04}"), &[zone], &uids);
        if let Action::Launch(launch) = &mut action {
            Arc::make_mut(&mut launch.requirements).push(Requirement::equals(ZONE, zone));
            launch.requests = Resources { pods: 10, ..amount(1_000, 0) };
        }
        scene.actions.push(action);
    }
    scene
}

#[test]
fn a_plan_of_ten_thousand_pods_is_judged_as_a_small_one_is() {
    assert_eq!(large().judge(), Vec::<String>::new());
}

#[test]
fn one_pod_placed_twice_among_ten_thousand_is_found() {
    let mut scene = large();
    if let Action::Launch(launch) = &mut scene.actions[7] {
        launch.pods.push("p00000".into());
        launch.requests = Resources { pods: 11, ..amount(1_100, 0) };
    }
    assert_eq!(
        scene.judge(),
        [
            "pod: shop/p00000: found a second place for it, expected one place",
            "room: new-0007: found 11 of pods asked for on small, expected at most 10",
            "topology spread: shop/p00000: found 35 pods in a (topology.kubernetes.io/zone), 33 in the emptiest, \
             expected a difference of at most 1",
        ]
    );
}
