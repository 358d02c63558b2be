//! Instances that EC2 takes back.

use whittle_core::event::NoticeKind;
use whittle_core::model::labels::DISRUPTED_TAINT;

use crate::cluster::nodes::{carried_out, node};
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{pdb, pool, taint};
use crate::cluster::{Cluster, START, at, launches, text};

/// A node with pods that is taken back in two minutes, and nowhere to go for them.
fn reclaimed(pods: Pods) -> Cluster {
    let machine = node("a").spot();
    let notice = machine.reclaimed(START);
    Cluster::new().with(pool("general")).with(machine).with(pods.on("a")).with(notice)
}

fn due(cluster: &Cluster, seconds: u64) -> Vec<String> {
    text::actions(&cluster.interruption(at(seconds)).actions)
}

#[test]
fn the_replacement_is_launched_at_once() {
    assert_eq!(reclaimed(pods("web", 2)).provisioned(), ["general c.large/a/spot: web-0 web-1"]);
}

#[test]
fn the_node_takes_no_more_pods_from_the_moment_of_the_notice() {
    let mut cluster = reclaimed(pod("web"));
    cluster.provision_and_expect(START);
    assert_eq!(due(&cluster, 0), ["cordon a (Interrupted)"]);
    let cluster = cluster.with(node("a").spot().marked(taint(DISRUPTED_TAINT)));
    assert_eq!(due(&cluster, 0), Vec::<String>::new());
    let mut cluster = cluster.with(pod("new"));
    assert!(!text::plan(&cluster.provision(at(1))).contains(&"new on a".to_owned()));
}

#[test]
fn the_drain_begins_when_the_replacement_is_ready() {
    let mut cluster = reclaimed(pod("web"));
    let launch = launches(&cluster.provision_and_expect(START)).swap_remove(0);
    let cluster = cluster.with(node("a").spot().marked(taint(DISRUPTED_TAINT)));
    assert_eq!(due(&cluster, 1), Vec::<String>::new(), "it is not there yet");
    let mut cluster = cluster.with(carried_out(&launch, at(2)));
    assert_eq!(due(&cluster, 30), Vec::<String>::new(), "it is not ready yet");
    cluster.tell(carried_out(&launch, at(2)).joined(), at(40));
    assert_eq!(due(&cluster, 40), ["delete a (Interrupted)"]);
}

#[test]
fn the_drain_begins_in_time_for_the_longest_grace_period() {
    for (grace, latest) in [(30, 80), (5, 105), (600, 50)] {
        let mut cluster = reclaimed(pod("web").grace(grace));
        cluster.provision_and_expect(START);
        let cluster = cluster.with(node("a").spot().marked(taint(DISRUPTED_TAINT)));
        assert_eq!(cluster.interruption(START).next, Some(at(latest)), "{grace}");
        assert_eq!(due(&cluster, latest - 1), Vec::<String>::new(), "{grace}");
        assert_eq!(due(&cluster, latest), ["delete a (Interrupted)"], "{grace}");
    }
}

#[test]
fn a_node_whose_pods_need_no_other_is_drained_at_once() {
    for pods in [pod("logs").daemon(), pod("static").owned_by("Node"), pod("gone").leaving(START)] {
        let mut cluster = reclaimed(pods);
        cluster.provision_and_expect(START);
        assert_eq!(due(&cluster, 0), ["cordon a (Interrupted)", "delete a (Interrupted)"]);
    }
}

#[test]
fn pods_that_fit_on_nodes_that_are_there_wait_for_nothing() {
    let mut cluster = reclaimed(pod("web")).with(node("b"));
    assert_eq!(text::plan(&cluster.provision_and_expect(START)), Vec::<String>::new());
    assert_eq!(due(&cluster, 0), ["cordon a (Interrupted)", "delete a (Interrupted)"]);
}

#[test]
fn nothing_holds_an_interrupted_node() {
    let mut cluster = reclaimed(pod("web").do_not_disrupt()).with(pdb("strict", "web", 0));
    cluster.provision_and_expect(START);
    assert!(due(&cluster, 80).contains(&"delete a (Interrupted)".to_owned()));
}

#[test]
fn a_refused_replacement_is_replaced_and_waited_for() {
    let mut cluster = reclaimed(pod("web"));
    let first = launches(&cluster.provision_and_expect(START)).swap_remove(0);
    let claim = first.claim.clone();
    let refused = whittle_core::plan::Outcome::InsufficientCapacity {
        claim: claim.clone(),
        offerings: first.offerings.to_vec(),
        at: at(2),
    };
    let mut cluster = cluster
        .with(crate::cluster::nodes::claimed(&first, at(1)))
        .with(whittle_core::event::Event::Outcome(refused))
        .with(node("a").spot().marked(taint(DISRUPTED_TAINT)));
    assert_eq!(text::plan(&cluster.provision_and_expect(at(3))), ["general c.large/a/on-demand: web"]);
    let cluster = cluster.with(whittle_core::event::Event::NodeClaimGone(claim));
    assert_eq!(due(&cluster, 4), Vec::<String>::new());
}

#[test]
fn a_drain_that_is_under_way_is_not_asked_for_again() {
    let cluster = reclaimed(pod("web")).with(node("a").spot().leaving(START));
    assert_eq!(due(&cluster, 119), Vec::<String>::new());
    assert_eq!(cluster.due(START), ["cordon a (Interrupted)", "evict web"]);
}

#[test]
fn a_recommendation_moves_nothing() {
    let machine = node("a").spot();
    let notice = machine.notice(NoticeKind::Rebalance, START);
    let mut cluster =
        Cluster::new().with(pool("general")).with(machine).with(pod("web").on("a")).with(notice);
    assert_eq!((due(&cluster, 119), cluster.provisioned()), (vec![], vec![]));
}

#[test]
fn a_notice_about_an_instance_of_somebody_else_is_nothing_to_us() {
    let machine = node("a");
    let notice = machine.reclaimed(START);
    let cluster = Cluster::new().with(machine.unmanaged()).with(notice);
    assert_eq!(due(&cluster, 119), Vec::<String>::new());
}

#[test]
fn a_recommendation_after_a_notice_does_not_take_it_back() {
    let machine = node("a").spot();
    let rebalance = machine.notice(NoticeKind::Rebalance, at(1));
    let cluster = reclaimed(pod("web")).with(rebalance);
    assert_eq!(due(&cluster, 119), ["cordon a (Interrupted)", "delete a (Interrupted)"]);
}
