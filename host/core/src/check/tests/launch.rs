//! New NodeClaims: their offerings, room, limits, minimum values and names.

use std::sync::Arc;

use super::build::{
    Scene, amount, app, daemon_set, each, empty, launch, offering, pod, refusal, taint, tolerates,
};
use crate::event::Event;
use crate::model::instance_type::CapacityType;
use crate::model::labels::{INSTANCE_TYPE, ZONE};
use crate::model::node_pool::NODES;
use crate::model::price::Price;
use crate::model::requirement::{Operator, Requirement};
use crate::model::resources::Resources;
use crate::plan::{Action, Launch};
use crate::settings::MinValuesPolicy;

/// One pod, one launch for it.
fn one_launch() -> Scene {
    Scene { pods: vec![pod("p")], actions: vec![launch("new", &["a", "b"], &["p"])], ..empty() }
}

fn second(scene: &mut Scene, name: &str) -> Launch {
    let Action::Launch(launch) = launch(name, &["a"], &[]) else { unreachable!() };
    scene.actions.push(Action::Launch(launch.clone()));
    *launch
}

#[test]
fn a_launch_comes_from_a_node_pool_that_may_grow() {
    each(
        one_launch,
        &[
            (
                |scene| scene.pool().ready = false,
                &["NodePool: new: found a NodePool that is not ready, expected one that is"],
            ),
            (
                |scene| scene.pool().deleting = true,
                &["NodePool: new: found a NodePool that is being deleted, expected one that stays"],
            ),
            (
                |scene| scene.pool().replicas = Some(1),
                &[
                    "NodePool: new: found a NodePool with a fixed number of nodes, expected one that follows its pods",
                ],
            ),
            (
                |scene| scene.launch().node_pool = "none".into(),
                &["NodePool: new: found NodePool \"none\", which does not exist, expected a NodePool"],
            ),
            (
                |scene| scene.class.as_mut().unwrap().ready = false,
                &[
                    "NodePool: new: found an EC2NodeClass that is missing or not ready, expected one that is ready",
                ],
            ),
            (
                |scene| scene.pool().node_class = "other".into(),
                &["NodePool: new: found another EC2NodeClass, expected the NodePool's"],
            ),
        ],
    );
}

#[test]
fn a_launch_has_a_name_of_its_own() {
    each(
        one_launch,
        &[
            (
                |scene| {
                    second(scene, "new");
                },
                &["name: new: found a NodeClaim of this name, expected a new name"],
            ),
            (|scene| scene.launch().claim = "claim-x".into(), &[]),
            (
                |scene| {
                    scene.launch().claim = "claim-x".into();
                    scene.nodes.push(super::build::node("x", "a"));
                },
                &["name: claim-x: found a NodeClaim of this name, expected a new name"],
            ),
        ],
    );
}

#[test]
fn every_offering_is_for_sale_at_the_price_stated_cheapest_first() {
    each(
        one_launch,
        &[
            (
                |scene| Arc::make_mut(&mut scene.launch().offerings).clear(),
                &["offering: new: found no offering, expected at least one"],
            ),
            (
                |scene| Arc::make_mut(&mut scene.launch().offerings)[1].zone = "z".into(),
                &["offering: new: found small on-demand in z, expected an offering of the EC2NodeClass"],
            ),
            (
                |scene| Arc::make_mut(&mut scene.launch().offerings)[1].capacity_type = CapacityType::Spot,
                &["offering: new: found small spot in b, expected an offering of the EC2NodeClass"],
            ),
            (
                |scene| scene.small().offerings[0].available = false,
                &["offering: new: found small on-demand in a, which is not available, expected one that is"],
            ),
            (
                |scene| scene.others.push(refusal("old", vec![offering("small", "a")])),
                &["offering: new: found small on-demand in a, which is not available, expected one that is"],
            ),
            (
                |scene| Arc::make_mut(&mut scene.launch().offerings)[1].price = Price::from_micros(101),
                &[
                    "offering: new: found small on-demand in b for 101 micro-dollars, expected 100, as in the catalogue",
                ],
            ),
            (
                |scene| {
                    Arc::make_mut(&mut scene.launch().requirements).clear();
                    Arc::make_mut(&mut scene.launch().offerings).insert(0, offering("large", "a"));
                },
                &[
                    "offering: new: found large on-demand in a before small on-demand in a, which is cheaper, \
                   expected the cheapest first",
                ],
            ),
        ],
    );
}

#[test]
fn every_offering_fulfils_what_node_pool_and_launch_ask_for() {
    each(
        one_launch,
        &[
            (
                |scene| Arc::make_mut(&mut scene.launch().offerings).push(offering("large", "c")),
                &[
                    "requirements: new: found large on-demand in c with node.kubernetes.io/instance-type [\"large\"], \
                   expected node.kubernetes.io/instance-type In [small]",
                ],
            ),
            (
                |scene| scene.pool().requirements.push(Requirement::equals(ZONE, "a")),
                &["requirements: new: found small on-demand in b with topology.kubernetes.io/zone [\"b\"], \
                   expected topology.kubernetes.io/zone In [a]"],
            ),
            (
                |scene| {
                    let few = Requirement::new("karpenter.k8s.aws/instance-cpu", Operator::Gt, ["1"]);
                    let many = Requirement::new("karpenter.k8s.aws/instance-cpu", Operator::Gte, ["3"]);
                    scene.pool().requirements.extend([few, many]);
                },
                &[
                    "requirements: new: found small on-demand in a with karpenter.k8s.aws/instance-cpu [\"2\"], \
                   expected karpenter.k8s.aws/instance-cpu Gte [3]",
                ],
            ),
            (
                |scene| {
                    scene
                        .pool()
                        .requirements
                        .push(Requirement::equals("karpenter.k8s.aws/instance-gpu-name", "t4"))
                },
                &[
                    "requirements: new: found small on-demand in a with karpenter.k8s.aws/instance-gpu-name [], \
                   expected karpenter.k8s.aws/instance-gpu-name In [t4]",
                ],
            ),
        ],
    );
}

#[test]
fn a_launch_carries_the_labels_and_taints_of_its_node_pool() {
    each(
        one_launch,
        &[
            (
                |scene| drop(scene.labels().remove("team")),
                &["template: new: found the label team None, expected \"shop\""],
            ),
            (
                |scene| drop(scene.labels().insert("karpenter.sh/nodepool".into(), "other".into())),
                &[
                    "template: new: found the label karpenter.sh/nodepool Some(\"other\"), expected \"default\"",
                ],
            ),
            (
                |scene| scene.pool().taints.push(taint("gpu")),
                &["template: new: found no taint gpu:NoSchedule, expected the NodePool's taints"],
            ),
            (
                |scene| scene.pool().startup_taints.push(taint("cni")),
                &["template: new: found no taint cni:NoSchedule, expected the NodePool's taints"],
            ),
            (
                |scene| {
                    scene.pool().taints.push(taint("gpu"));
                    scene.launch().taints.push(taint("gpu"));
                    scene.spec(0).tolerations.push(tolerates("gpu"));
                },
                &[],
            ),
        ],
    );
}

#[test]
fn every_offering_holds_the_pods_and_the_daemon_set_pods() {
    each(
        one_launch,
        &[
            (
                |scene| {
                    scene.daemon_sets.push(daemon_set());
                    scene.launch().requests = Resources { pods: 2, ..amount(1_500, 2) };
                },
                &[],
            ),
            (
                |scene| {
                    scene.daemon_sets.push(daemon_set());
                    scene.spec(0).requests.cpu_millis = 1_001;
                    scene.launch().requests = Resources { pods: 2, ..amount(2_001, 2) };
                },
                &["room: new: found 2001 of cpu asked for on small, expected at most 2000"],
            ),
            (
                |scene| {
                    // Room may be kept for pods that come in another zone only.
                    let mut set = daemon_set();
                    Arc::make_mut(&mut set.spec).node_affinity = vec![vec![Requirement::equals(ZONE, "z")]];
                    scene.daemon_sets.push(set);
                    scene.launch().requests = Resources { pods: 2, ..amount(1_500, 2) };
                },
                &[],
            ),
            (
                |scene| {
                    // It would run on another architecture only.
                    let mut set = daemon_set();
                    let mut spec = (*set.spec).clone();
                    spec.requests.cpu_millis = 9_000;
                    spec.node_affinity = vec![vec![Requirement::equals("kubernetes.io/arch", "arm64")]];
                    set.spec = std::sync::Arc::new(spec);
                    scene.daemon_sets.push(set);
                },
                &[],
            ),
            (
                |scene| {
                    scene.spec(0).requests.set("nvidia.com/gpu", 1);
                    scene.launch().requests.set("nvidia.com/gpu", 1);
                },
                &["room: new: found 1 of nvidia.com/gpu asked for on small, expected at most 0"],
            ),
            (
                |scene| {
                    scene.small().capacity.pods = 0;
                },
                &["room: new: found 1 of pods asked for on small, expected at most 0"],
            ),
            (
                |scene| scene.launch().requests.cpu_millis = 499,
                &["requests: new: found Resources { cpu_millis: 499, memory_bytes: 1073741824, \
                   ephemeral_storage_bytes: 0, pods: 1, extended: {} }, expected Resources { cpu_millis: 500, \
                   memory_bytes: 1073741824, ephemeral_storage_bytes: 0, pods: 1, extended: {} }, the sum of its \
                   pods and DaemonSet pods"],
            ),
        ],
    );
}

#[test]
fn a_node_pool_stays_within_its_limits_with_the_largest_type_counted() {
    each(
        || {
            let mut scene = one_launch();
            scene.pool().limits = [("cpu".to_owned(), 4_000), (NODES.to_owned(), 2)].into();
            scene.nodes.push(super::build::node("x", "a"));
            scene
        },
        &[
            (
                |scene| {
                    scene.pool().limits.remove(NODES);
                    second(scene, "newer");
                },
                &["limits: newer: found 6000 of cpu in NodePool default, expected at most 4000"],
            ),
            (
                |scene| {
                    scene.pool().limits.insert(NODES.into(), 1);
                },
                &["limits: new: found 2 of nodes in NodePool default, expected at most 1"],
            ),
            (
                |scene| {
                    Arc::make_mut(&mut scene.launch().requirements).clear();
                    Arc::make_mut(&mut scene.launch().offerings).push(offering("large", "a"));
                },
                &["limits: new: found 10000 of cpu in NodePool default, expected at most 4000"],
            ),
        ],
    );
}

#[test]
fn a_launch_keeps_as_many_values_as_its_node_pool_asks_for() {
    each(
        || {
            let mut scene = one_launch();
            let types = Requirement::new(INSTANCE_TYPE, Operator::Exists, Vec::<String>::new());
            scene.pool().requirements.push(Requirement { min_values: Some(2), ..types });
            Arc::make_mut(&mut scene.launch().requirements).clear();
            Arc::make_mut(&mut scene.launch().offerings).push(offering("large", "a"));
            scene
        },
        &[(
            |scene| drop(Arc::make_mut(&mut scene.launch().offerings).pop()),
            &["minValues: new: found 1 values of node.kubernetes.io/instance-type, expected at least 2"],
        )],
    );
}

/// The launch states this minimum of instance types, and whether it says that it was lowered.
fn states(scene: &mut Scene, least: u32, min_values_relaxed: bool) {
    let launch = scene.launch();
    launch.min_values_relaxed = min_values_relaxed;
    Arc::make_mut(&mut launch.requirements)[0].min_values = Some(least);
}

#[test]
fn a_minimum_is_lowered_only_where_that_is_set_and_said() {
    each(
        || {
            let mut scene = one_launch();
            scene.settings.min_values = MinValuesPolicy::BestEffort;
            let types = Requirement::new(INSTANCE_TYPE, Operator::Exists, Vec::<String>::new());
            scene.pool().requirements.push(Requirement { min_values: Some(3), ..types });
            states(&mut scene, 1, true);
            scene
        },
        &[
            (
                |scene| scene.settings.min_values = MinValuesPolicy::Strict,
                &["minValues: new: found a minimum of 1 values of node.kubernetes.io/instance-type, \
                   expected the NodePool's 3"],
            ),
            (
                |scene| states(scene, 1, false),
                &["minValues: new: found a minimum of 1 values of node.kubernetes.io/instance-type, \
                   expected the NodePool's 3"],
            ),
            (
                |scene| states(scene, 2, true),
                &["minValues: new: found 1 values of node.kubernetes.io/instance-type, expected at least 2"],
            ),
            (
                |scene| {
                    scene.pool().requirements.clear();
                    states(scene, 1, true);
                },
                &["minValues: new: found minimum values that are said to be lowered and are not, \
                   expected the truth"],
            ),
        ],
    );
}

#[test]
fn a_namespace_without_rules_changes_nothing() {
    let mut scene = one_launch();
    scene.others.push(Event::Namespace("shop".into(), std::collections::BTreeMap::new()));
    scene.spec(0).labels =
        app("web").requirements.iter().map(|r| (r.key.clone(), r.values[0].clone())).collect();
    assert_eq!(scene.judge(), Vec::<String>::new());
}
