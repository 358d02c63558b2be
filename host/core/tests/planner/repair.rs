//! Node repair: nodes that have been unhealthy for too long, and the brake on it.

use whittle_core::lifecycle::repair::{Braked, braked};
use whittle_core::model::node::{ConditionStatus, NodeCondition};
use whittle_core::settings::{Repair, Settings};

use crate::cluster::nodes::{Machine, node};
use crate::cluster::pods::pod;
use crate::cluster::{Cluster, START, at, secs};

fn repairing() -> Cluster {
    Cluster::set(Settings { repair: Repair::WhenUnhealthy, ..Settings::default() })
}

/// It says so since the start.
fn unwell(name: &str, kind: &str, status: ConditionStatus) -> Machine {
    let condition = NodeCondition { kind: kind.into(), status, since: START };
    node(name).node(|node| node.conditions.push(condition))
}

#[test]
fn how_long_a_node_may_be_unhealthy_depends_on_what_it_lacks() {
    use ConditionStatus::{False, True, Unknown};
    let cases = [
        ("Ready", False, Some(1_800)),
        ("Ready", Unknown, Some(1_800)),
        ("AcceleratedHardwareReady", False, Some(600)),
        ("StorageReady", False, Some(1_800)),
        ("NetworkingReady", False, Some(1_800)),
        ("KernelReady", False, Some(1_800)),
        ("ContainerRuntimeReady", False, Some(1_800)),
        ("Ready", True, None),
        ("StorageReady", Unknown, None),
        ("MemoryPressure", True, None),
    ];
    for (kind, status, tolerated) in cases {
        let cluster = repairing().with(unwell("a", kind, status));
        let due_at = |seconds| cluster.due(at(seconds));
        match tolerated {
            None => assert_eq!(due_at(100_000), Vec::<String>::new(), "{kind} {status:?}"),
            Some(seconds) => {
                assert_eq!(due_at(seconds - 1), Vec::<String>::new(), "{kind} {status:?}");
                assert_eq!(cluster.lifecycle(START).next, Some(at(seconds)), "{kind} {status:?}");
                assert_eq!(due_at(seconds), ["delete a (Unhealthy)"], "{kind} {status:?}");
            }
        }
    }
}

#[test]
fn nodes_are_repaired_only_where_the_operator_wants_it() {
    let cluster = Cluster::new().with(unwell("a", "Ready", ConditionStatus::False));
    assert_eq!(cluster.due(at(100_000)), Vec::<String>::new());
}

#[test]
fn nodes_that_are_starting_or_going_are_not_repaired() {
    let sick = || unwell("a", "Ready", ConditionStatus::False);
    assert_eq!(repairing().with(sick().uninitialized()).due(at(1_800)), Vec::<String>::new());
    let going = repairing().with(sick().leaving(START)).due(at(1_800));
    assert!(!going.contains(&"delete a (Unhealthy)".to_owned()), "{going:?}");
}

#[test]
fn nothing_is_repaired_while_more_than_a_fifth_of_a_pool_is_unhealthy() {
    let sick = |name: &str| unwell(name, "Ready", ConditionStatus::Unknown);
    let pool_of = |sick_ones: usize, healthy: usize| {
        let sick = (0..sick_ones).map(|at| sick(&format!("s{at}")));
        let all = sick.chain((0..healthy).map(|at| node(&format!("h{at}"))));
        all.fold(repairing(), Cluster::with)
    };
    // Rounded up: of one node it is that one, of five one, of six two.
    for (sick_ones, healthy, repaired) in [(1, 0, 1), (1, 4, 1), (2, 3, 0), (2, 4, 2), (3, 7, 0)] {
        let cluster = pool_of(sick_ones, healthy);
        let due = cluster.lifecycle(at(1_800));
        assert_eq!(due.actions.len(), repaired, "{sick_ones} of {}", sick_ones + healthy);
        let kept = braked(cluster.state.snapshot(), at(1_800));
        assert_eq!(kept.len(), sick_ones - repaired);
        if repaired == 0 {
            assert_eq!(due.next, Some(at(1_800) + secs(300)), "they are looked at again");
            let nodes = sick_ones + healthy;
            let first = Braked { claim: "s0".into(), unhealthy: sick_ones, nodes };
            assert_eq!(kept[0], first);
        }
    }
    let others = pool_of(1, 0).with(sick("x").of_pool("other")).with(node("y").of_pool("other"));
    assert_eq!(others.due(at(1_800)).len(), 2, "each NodePool has a brake of its own");
}

#[test]
fn the_drain_of_an_unhealthy_node_is_forced_whatever_its_pods_say() {
    let ends = unwell("a", "Ready", ConditionStatus::False)
        .leaving(at(1_800))
        .claim(|claim| claim.terminate_by = Some(at(1_800)));
    let cluster = repairing().with(ends).with(pod("web").do_not_disrupt().on("a"));
    assert_eq!(cluster.due(at(1_800)), ["cordon a (Requested)", "force web in 1s"]);
}
