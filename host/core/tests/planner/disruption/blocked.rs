//! What keeps a node: do-not-disrupt and PodDisruptionBudgets.

use crate::cluster::nodes::node;
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{pdb, pool};
use crate::cluster::{Cluster, START, at, text};

/// A pod on `a` that would fit on `b`.
fn with(pods: Pods) -> Cluster {
    Cluster::new().with(pool("general")).with(node("a")).with(node("b").unmanaged()).with(pods.on("a"))
}

#[test]
fn a_node_that_asks_to_be_left_alone_is() {
    for machine in [
        node("a").node(|node| node.do_not_disrupt = true),
        node("a").claim(|claim| claim.do_not_disrupt = true),
    ] {
        let mut cluster = Cluster::new().with(pool("general")).with(machine);
        assert_eq!(cluster.disrupted(), ["a: the node asks to be left alone (karpenter.sh/do-not-disrupt)"]);
    }
}

#[test]
fn any_pod_that_asks_to_be_left_alone_keeps_its_node() {
    for kind in [pod("web"), pod("web").daemon(), pod("web").owned_by("Node")] {
        assert_eq!(
            with(kind.do_not_disrupt()).disrupted(),
            ["a: pod shop/web asks to be left alone (karpenter.sh/do-not-disrupt)"]
        );
    }
}

#[test]
fn a_pod_may_ask_to_be_left_alone_for_a_while() {
    let mut cluster = with(pod("web").left_alone_for(60).started(START));
    assert_eq!(cluster.disrupt(at(59)).moves, []);
    assert_eq!(text::round(&cluster.disrupt(at(60))), ["a Underutilized"]);
}

#[test]
fn a_leaving_pod_asks_for_nothing_any_more() {
    assert_eq!(with(pod("web").do_not_disrupt().leaving(START)).disrupted(), ["a Empty"]);
}

#[test]
fn a_budget_that_allows_nothing_keeps_the_node() {
    let mut cluster = with(pod("web")).with(pdb("strict", "web", 0));
    assert_eq!(
        cluster.disrupted(),
        ["a: PodDisruptionBudget shop/strict allows no eviction of pod shop/web"]
    );
    let mut cluster = cluster.with(pdb("strict", "web", 1));
    assert_eq!(cluster.disrupted(), ["a Underutilized"]);
}

#[test]
fn two_budgets_over_one_pod_keep_the_node() {
    let mut cluster = with(pod("web")).with(pdb("one", "web", 1)).with(pdb("two", "web", 1));
    assert_eq!(cluster.disrupted(), ["a: PodDisruptionBudget shop/one allows no eviction of pod shop/web"]);
}

#[test]
fn a_budget_of_another_namespace_or_app_keeps_nothing() {
    let mut elsewhere = pdb("strict", "web", 0);
    elsewhere.namespace = "bank".into();
    let mut nobody = pdb("nobody", "web", 0);
    nobody.selector = None;
    let mut cluster = with(pod("web")).with(elsewhere).with(pdb("other", "api", 0)).with(nobody);
    assert_eq!(cluster.disrupted(), ["a Underutilized"]);
}

#[test]
fn an_unready_pod_is_let_go_when_its_budget_says_so() {
    let strict = || pdb("strict", "web", 0);
    let mut lenient = strict();
    lenient.always_allow_unready = true;
    assert_eq!(with(pod("web").unready()).with(strict()).disrupt(START).moves, []);
    assert_eq!(with(pod("web")).with(lenient.clone()).disrupt(START).moves, []);
    assert_eq!(with(pod("web").unready()).with(lenient).disrupted(), ["a Underutilized"]);
}

#[test]
fn a_budget_holds_for_daemons_and_not_for_static_pods() {
    let strict = || pdb("strict", "web", 0);
    assert_eq!(with(pod("web").daemon()).with(strict()).disrupt(START).moves, []);
    assert_eq!(with(pod("web").owned_by("Node")).with(strict()).disrupted(), ["a Empty"]);
}

#[test]
fn pods_without_an_owner_keep_nothing() {
    let mut orphan = pods("web", 1);
    orphan.spec.owner = None;
    assert_eq!(with(orphan).disrupted(), ["a Underutilized"]);
}
