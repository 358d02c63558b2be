//! From the decision to end a node to its end: who leaves when.

use std::sync::Arc;

use whittle_core::event::Event;
use whittle_core::lifecycle::drain::held;
use whittle_core::model::labels::DISRUPTED_TAINT;
use whittle_core::model::node::VolumeAttachment;
use whittle_core::model::node_pool::VolumeClaim;

use crate::cluster::nodes::{Machine, node};
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{attached_volume, pdb, taint};
use crate::cluster::{Cluster, START, at, secs};

const CRITICAL: i32 = 2_000_000_000;

/// A node whose end was decided at the start, cordoned already.
fn leaving(name: &str) -> Machine {
    node(name).leaving(START).marked(taint(DISRUPTED_TAINT))
}

/// The same, and it has so many seconds to drain.
fn hurried(seconds: u64) -> Machine {
    leaving("a").claim(|claim| claim.termination_grace_period = Some(secs(seconds)))
}

#[test]
fn a_leaving_node_is_cordoned_first() {
    let cluster = Cluster::new().with(node("a").leaving(START)).with(pod("web").on("a"));
    assert_eq!(cluster.due(START), ["cordon a (Requested)", "evict web"]);
}

#[test]
fn pods_leave_in_four_tiers_each_waiting_for_the_one_before() {
    let mut cluster = Cluster::new()
        .with(leaving("a"))
        .with(pod("web").on("a"))
        .with(pod("logs").daemon().on("a"))
        .with(pod("dns").priority(CRITICAL).on("a"))
        .with(pod("cni").daemon().priority(CRITICAL).on("a"));
    for tier in ["web", "logs", "dns", "cni"] {
        assert_eq!(cluster.due(START), [format!("evict {tier}")]);
        cluster = cluster.with(pod(tier).on("a").leaving(START).priority(if tier < "d" || tier == "dns" {
            CRITICAL
        } else {
            0
        }));
        cluster = cluster.with(Event::PodGone(tier.into()));
    }
    assert_eq!(cluster.due(at(5)), ["terminate a"]);
}

#[test]
fn a_tier_waits_for_pods_that_are_still_leaving() {
    let cluster = Cluster::new()
        .with(leaving("a"))
        .with(pod("web").on("a").leaving(START))
        .with(pod("logs").daemon().on("a"));
    assert_eq!(cluster.due(at(1)), Vec::<String>::new());
    assert_eq!(cluster.lifecycle(at(1)).next, Some(at(90)), "its grace period and a minute");
    assert_eq!(cluster.due(at(90)), ["evict logs"], "a stuck pod is not waited for");
}

#[test]
fn pods_that_stay_with_their_node_are_not_evicted_and_not_waited_for() {
    let mut ended = pod("ended").on("a").object();
    ended.phase = whittle_core::model::pod::PodPhase::Succeeded;
    let cluster = Cluster::new()
        .with(leaving("a"))
        .with(pod("static").owned_by("Node").on("a"))
        .with(pod("tolerant").tolerates(DISRUPTED_TAINT).on("a"))
        .with(pod("stoic").daemon().tolerates_everything().on("a"))
        .with(ended);
    assert_eq!(cluster.due(at(5)), ["terminate a"]);
}

#[test]
fn an_empty_node_is_kept_for_five_seconds() {
    let cluster = Cluster::new().with(leaving("a"));
    assert_eq!((cluster.due(at(4)), cluster.lifecycle(at(4)).next), (vec![], Some(at(5))));
    assert_eq!(cluster.due(at(5)), ["terminate a"]);
}

#[test]
fn an_instance_without_a_node_is_ended_at_once() {
    let cluster = Cluster::new().with(node("a").in_flight().leaving(START));
    assert_eq!(cluster.due(START), ["terminate a"]);
    let cluster = cluster.with(node("a").terminated());
    assert_eq!(cluster.due(START), ["finalize a"]);
}

#[test]
fn a_claim_is_let_go_of_when_its_instance_is_gone() {
    let cluster = Cluster::new().with(leaving("a")).with(node("a").terminated());
    assert_eq!(cluster.due(at(60)), ["finalize a"]);
}

#[test]
fn a_pod_that_asks_to_be_left_alone_holds_its_node() {
    let cluster = Cluster::new().with(leaving("a")).with(pod("web").do_not_disrupt().on("a"));
    assert_eq!(cluster.due(at(100_000)), Vec::<String>::new());
}

#[test]
fn pod_disruption_budgets_are_kept_across_all_nodes_that_leave() {
    let cluster = Cluster::new()
        .with(leaving("a"))
        .with(leaving("b"))
        .with(pods("web", 1).named("one").on("a"))
        .with(pods("web", 1).named("two").on("b"))
        .with(pdb("strict", "web", 1));
    assert_eq!(cluster.due(START), ["evict one"]);
    let cluster = cluster.with(pdb("strict", "web", 2));
    assert_eq!(cluster.due(START), ["evict one", "evict two"]);
    let cluster = cluster.with(pdb("other", "web", 2));
    assert_eq!(cluster.due(START), Vec::<String>::new(), "the eviction API refuses under two budgets");
}

#[test]
fn when_time_is_short_pods_are_deleted_whatever_protects_them() {
    let cluster = Cluster::new()
        .with(hurried(100))
        .with(pod("web").do_not_disrupt().grace(30).on("a"))
        .with(pod("logs").daemon().grace(10).on("a"))
        .with(pdb("strict", "web", 0));
    assert_eq!((cluster.due(at(69)), cluster.lifecycle(at(69)).next), (vec![], Some(at(70))));
    assert_eq!(cluster.due(at(70)), ["force web in 30s"]);
    assert_eq!(cluster.due(at(90)), ["force logs in 10s", "force web in 10s"], "in every tier at once");
    assert_eq!(cluster.due(at(500)), ["force logs in 1s", "force web in 1s"], "never less than a second");
}

#[test]
fn without_a_grace_period_nothing_is_forced() {
    let cluster = Cluster::new().with(leaving("a")).with(pod("web").on("a")).with(pdb("strict", "web", 0));
    assert_eq!(cluster.due(at(1_000_000)), Vec::<String>::new());
}

#[test]
fn pods_without_an_owner_are_evicted_too() {
    let mut orphan = pod("web").on("a");
    orphan.spec.owner = None;
    assert_eq!(Cluster::new().with(leaving("a")).with(orphan).due(START), ["evict web"]);
}

/// A volume that is attached to a Node.
fn attached(name: &str, volume: Option<&str>, node: &str) -> Event {
    let volume = volume.map(str::to_owned);
    Event::VolumeAttachment(VolumeAttachment { name: name.into(), node: node.into(), volume })
}

/// A PersistentVolumeClaim with its volume.
fn bound(claim: &str, volume: &str) -> Event {
    Event::VolumeClaim(VolumeClaim { volume: Some(volume.into()), ..attached_volume(claim) })
}

#[test]
fn an_instance_ends_when_its_volumes_are_detached() {
    let with = |one: Event| Cluster::new().with(leaving("a")).with(bound("data", "pv-1")).with(one);
    let cases = [
        ("its own", with(attached("x", Some("pv-1"), "node-a")), false),
        ("one that nobody here knows", with(attached("x", Some("pv-9"), "node-a")), false),
        ("one of a pod's own lines", with(attached("x", None, "node-a")), false),
        ("one of another node", with(attached("x", Some("pv-1"), "node-b")), true),
    ];
    for (volume, cluster, ends) in cases {
        let expected: &[&str] = if ends { &["terminate a"] } else { &[] };
        assert_eq!(cluster.due(at(600)), expected, "{volume}");
        let detached = cluster.with(Event::VolumeAttachmentGone("x".into()));
        assert_eq!(detached.due(at(600)), ["terminate a"], "{volume}, once it is detached");
    }
}

#[test]
fn volumes_of_pods_that_stay_are_not_waited_for_and_the_others_until_time_is_up() {
    let stays = |pod: Pods| {
        Cluster::new()
            .with(leaving("a"))
            .with(bound("data", "pv-1"))
            .with(pod.volume("data").on("a"))
            .with(attached("x", Some("pv-1"), "node-a"))
    };
    assert_eq!(stays(pod("tolerant").tolerates(DISRUPTED_TAINT)).due(at(5)), ["terminate a"]);
    assert_eq!(stays(pod("static").owned_by("Node")).due(at(5)), ["terminate a"]);
    assert_eq!(stays(pod("stuck").leaving(START)).due(at(90)), ["terminate a"]);

    let hurried = Cluster::new().with(hurried(60)).with(attached("x", Some("pv-1"), "node-a"));
    assert_eq!(hurried.due(at(59)), Vec::<String>::new());
    assert_eq!(hurried.lifecycle(at(59)).next, Some(at(60)));
    assert_eq!(hurried.due(at(60)), ["terminate a"]);
}

#[test]
fn a_deadline_that_somebody_has_set_holds_when_it_is_earlier() {
    let by = |seconds| hurried(60).claim(|claim| claim.terminate_by = Some(at(seconds)));
    let with = |machine| Cluster::new().with(machine).with(pod("web").grace(0).on("a").do_not_disrupt());
    assert_eq!(with(by(10)).due(at(9)), Vec::<String>::new());
    assert_eq!(with(by(10)).due(at(10)), ["force web in 1s"]);
    assert_eq!(with(by(100)).due(at(60)), ["force web in 1s"], "never later than its grace period");
}

#[test]
fn who_holds_up_a_drain_is_told_until_time_is_up() {
    let told = |cluster: &Cluster, now| -> Vec<String> {
        held(cluster.state.snapshot(), now).iter().map(|one| format!("{}: {}", one.node, one.why)).collect()
    };
    let budget = Cluster::new().with(leaving("a")).with(pdb("web", "web", 0)).with(pods("web", 2).on("a"));
    let why = "node-a: PodDisruptionBudget shop/web allows no eviction of pod shop/web-0";
    assert_eq!(told(&budget, at(1)), [why]);
    let budget = budget.with(pdb("web", "web", 1));
    assert_eq!(told(&budget, at(1)), Vec::<String>::new());

    let asks = |machine| Cluster::new().with(machine).with(pod("job").grace(0).do_not_disrupt().on("a"));
    let why = "node-a: pod shop/job asks to be left alone (karpenter.sh/do-not-disrupt)";
    assert_eq!(told(&asks(leaving("a")), at(1)), [why]);
    assert_eq!(told(&asks(node("a")), at(1)), Vec::<String>::new(), "it stays");
    assert_eq!(told(&asks(hurried(60)), at(59)), [why]);
    assert_eq!(told(&asks(hurried(60)), at(60)), Vec::<String>::new());

    let later = asks(leaving("a")).with(pod("web").on("a").leaving(START));
    assert_eq!(told(&later, at(1)), [why], "of one tier");
    let critical = Cluster::new()
        .with(leaving("a"))
        .with(pod("dns").priority(CRITICAL).do_not_disrupt().on("a"))
        .with(pod("web").on("a"));
    assert_eq!(told(&critical, at(1)), Vec::<String>::new(), "it is not its turn yet");
}

#[test]
fn a_pod_that_was_given_longer_than_its_node_has_is_told_to_stop_earlier_once() {
    let going = |within: u64, asked: u64| {
        let mut pod = pod("slow").grace(120).on("a").leaving(at(asked)).object();
        pod.stops_within = Some(secs(within));
        Cluster::new().with(hurried(60)).with(Event::Pod(Arc::new(pod)))
    };
    assert_eq!(going(120, 0).due(at(10)), ["force slow in 50s"]);
    assert_eq!(going(60, 0).due(at(10)), Vec::<String>::new(), "it has no longer than its node");
    assert_eq!(going(120, 0).due(at(70)), ["force slow in 1s"]);
    assert_eq!(going(1, 70).due(at(70)), Vec::<String>::new());
    assert_eq!(going(1, 70).due(at(72)), Vec::<String>::new());
}
