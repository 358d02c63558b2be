//! What is said of one pod or one node to whoever asks.

use whittle_core::model::labels::DISRUPTED_TAINT;
use whittle_core::why::about::{NodeStanding, PodStanding, of_node, of_pod};

use crate::cluster::nodes::{Machine, node};
use crate::cluster::pods::pod;
use crate::cluster::pools::{pdb, pool, taint};
use crate::cluster::{Cluster, START, at, secs};

fn said(cluster: &Cluster, machine: &Machine) -> String {
    let snapshot = cluster.state.snapshot();
    of_node(snapshot, &snapshot.claims[&machine.name()], START).to_string()
}

#[test]
fn a_pod_stands_where_its_object_says() {
    let of = |change: fn(&mut whittle_core::model::pod::Pod)| {
        let mut pod = pod("web").object();
        change(&mut pod);
        of_pod(&pod)
    };
    assert_eq!(of(|_| {}), PodStanding::Waits);
    assert_eq!(of(|pod| pod.unschedulable = false), PodStanding::NotTried);
    assert_eq!(of(|pod| pod.deleting = Some(START)), PodStanding::Leaving);
    let node = "n".to_owned();
    assert_eq!(
        of(|pod| pod.nominated_node = Some("n".into())),
        PodStanding::Nominated { node: node.clone() }
    );
    assert_eq!(of(|pod| pod.node = Some("n".into())), PodStanding::Bound { node });
    assert_eq!(of(|pod| pod.phase = whittle_core::model::pod::PodPhase::Failed), PodStanding::Ended);
    assert_eq!(of_pod(&pod("logs").daemon().object()), PodStanding::OfItsNode);
}

#[test]
fn a_node_that_leaves_names_each_pod_that_it_waits_for_and_what_keeps_it() {
    let machine = node("a").leaving(START).marked(taint(DISRUPTED_TAINT));
    let cluster = Cluster::new()
        .with(machine.clone())
        .with(pod("held").label("app", "held").on("a"))
        .with(pdb("guard", "held", 0))
        .with(pod("left-alone").do_not_disrupt().on("a"))
        .with(pod("on-its-way").leaving(START).on("a"));
    let said = said(&cluster, &machine);
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("it is being taken away since 1970-01-02T00:00:00Z, and waits for"));
    let mut pods: Vec<&str> = lines.map(str::trim).collect();
    pods.sort_unstable();
    assert_eq!(
        pods,
        [
            "shop/held: PodDisruptionBudget shop/guard allows no eviction now",
            "shop/left-alone: it asks to be left alone (karpenter.sh/do-not-disrupt)",
            "shop/on-its-way: asked to stop at 1970-01-02T00:00:00Z",
        ]
    );
}

#[test]
fn a_node_that_stays_says_until_when_or_why() {
    let general = || pool("general");
    let stands = |machine: Machine, pool: whittle_core::model::node_pool::NodePool| {
        let cluster = Cluster::new().with(pool).with(machine.clone());
        let snapshot = cluster.state.snapshot();
        of_node(snapshot, &snapshot.claims[&machine.name()], START)
    };
    assert_eq!(stands(node("a").unlaunched(), general()), NodeStanding::NotLaunched);
    assert_eq!(stands(node("a").in_flight(), general()), NodeStanding::NotJoined);
    assert_eq!(stands(node("a").uninitialized(), general()), NodeStanding::NotInitialized);
    let mut slow = general();
    slow.disruption.consolidate_after = Some(secs(120));
    let until = at(90);
    assert_eq!(stands(node("a").busy(START - secs(30)), slow), NodeStanding::NotQuiet { until });
    let mut never = general();
    never.disruption.consolidate_after = None;
    let why = "its NodePool says so (consolidateAfter: Never)";
    assert_eq!(stands(node("a"), never), NodeStanding::NeverMoves { why });
    assert_eq!(stands(node("a"), general()), NodeStanding::Quiet { only_when_empty: false });
}
