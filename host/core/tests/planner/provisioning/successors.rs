//! Pods that take over the room of those that a node on its way was planned for.

use whittle_core::event::Event;
use whittle_core::model::labels::{HOSTNAME, ZONE};
use whittle_core::model::node_pool::NodeClass;
use whittle_core::plan::{Launch, Outcome};

use crate::cluster::catalogue::class;
use crate::cluster::nodes::{carried_out, claimed, node};
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{PoolWords, daemon_set, pool, taint, volume};
use crate::cluster::{Cluster, START, at, launches, text};

/// A node is on its way for the three pods of one that leaves, which begin to go: one is gone, one goes, one stays yet.
fn begun() -> (Cluster, Launch) {
    // Kubernetes tells a pod where its node is.
    let web = || pods("web", 3).label(ZONE, "a").on("a");
    let mut cluster = Cluster::new().with(pool("general")).with(node("a").leaving(START)).with(web());
    let launch = launches(&cluster.provision_and_expect(START)).swap_remove(0);
    assert_eq!(launch.pods, ["web-0", "web-1", "web-2"]);
    cluster.tell(Event::PodGone("web-0".into()), at(1));
    cluster.tell(web().named("web-1").leaving(at(1)), at(1));
    (cluster, launch)
}

#[test]
fn successors_take_the_room_of_pods_that_a_node_on_its_way_was_planned_for() {
    let (mut cluster, launch) = begun();
    let x = &launch.claim;
    let mut seen = cluster.clone();
    seen.tell(claimed(&launch, START), START);
    for cluster in [&mut cluster, &mut seen] {
        cluster.tell(pods("web", 3).renamed("new"), at(1));
        let first = text::plan(&cluster.provision_and_expect(at(2)));
        let expected =
            ["general c.large/a/spot: new-2".into(), format!("new-0 on {x}"), format!("new-1 on {x}")];
        assert_eq!(first, expected, "web-2 has its room yet");
        assert_eq!(text::plan(&cluster.provision_and_expect(at(60))), Vec::<String>::new());
        cluster.tell(Event::PodGone("web-2".into()), at(61));
        cluster.tell(pods("web", 1).named("last"), at(61));
        assert_eq!(text::plan(&cluster.provision_and_expect(at(62))), [format!("last on {x}")]);
        cluster.tell(pods("web", 1).named("more"), at(63));
        // All room that was planned is taken; the other node is on its way for one pod.
        assert_eq!(text::plan(&cluster.provision(at(64))), ["general c.large/a/spot: more"]);
    }
}

#[test]
fn room_that_was_planned_for_one_kind_of_pods_is_not_promised_to_another() {
    let (cluster, _) = begun();
    let mut cluster = cluster.with(pods("other", 1)).with(pods("web", 1).named("large").cpu(600));
    let plan = cluster.provision(at(2));
    assert_eq!(text::plan(&plan), ["general c.large/a/spot: large other-0"]);
}

#[test]
fn what_a_node_has_room_for_is_told_by_its_instance_once_it_has_one() {
    let (cluster, launch) = begun();
    let mut cluster = cluster.with(carried_out(&launch, START)).with(pods("web", 3).renamed("new"));
    assert_eq!(cluster.state.snapshot().vacancies.len(), 0);
    let plan = text::plan(&cluster.provision(at(2)));
    assert_eq!(plan.len(), 3, "web-2 has its room yet: {plan:?}");
    assert!(plan[0].starts_with("general c.large/a/spot: new-"), "{plan:?}");
}

#[test]
fn nobody_succeeds_on_a_node_that_ec2_does_not_have() {
    let (cluster, launch) = begun();
    let mut cluster = cluster.with(claimed(&launch, START)).with(pods("web", 2).renamed("new"));
    let offerings = launch.offerings.to_vec();
    let claim = launch.claim.clone();
    cluster.tell(
        Event::Outcome(Outcome::InsufficientCapacity { claim: claim.clone(), offerings, at: at(1) }),
        at(1),
    );
    let plan = launches(&cluster.provision(at(2)));
    assert_eq!(plan.iter().map(|launch| launch.pods.len()).sum::<usize>(), 3, "{plan:?}");
    cluster.tell(Event::NodeClaimGone(claim), at(3));
    assert_eq!(cluster.state.snapshot().vacancies.len(), 0);
}

/// Pods of a node that leaves go, one after another, and others like them come before the nodes for them are launched.
fn succeeded(web: &Pods) -> Vec<String> {
    let mut cluster =
        Cluster::new().with(pool("general").only(ZONE, &["a", "b"])).with(node("a").leaving(START));
    cluster.tell(web.clone().on("a"), START);
    let launched = launches(&cluster.provision_and_expect(START));
    assert_eq!(launched.len(), 2, "they are apart: {launched:?}");
    for uid in ["web-0", "web-1"] {
        cluster.tell(Event::PodGone(uid.into()), at(1));
    }
    cluster.tell(web.clone().renamed("new"), at(1));
    let plan = text::plan(&cluster.provision(at(2)));
    launched.iter().enumerate().fold(plan, |plan, (at, launch)| {
        plan.into_iter().map(|line| line.replace(&launch.claim, &format!("node {at}"))).collect()
    })
}

#[test]
fn successors_are_apart_as_those_before_them_were() {
    let expected = ["new-0 on node 0", "new-1 on node 1"];
    assert_eq!(succeeded(&pods("web", 2).apart(HOSTNAME)), expected);
    assert_eq!(succeeded(&pods("web", 2).zone_spread(1)), expected);
}

#[test]
fn no_successor_takes_room_where_others_have_come_that_it_keeps_away_from() {
    let web = pods("web", 1).zone_spread(1).label("tier", "front");
    let mut cluster =
        Cluster::new().with(pool("general").only(ZONE, &["a", "b"])).with(node("a").leaving(START));
    cluster.tell(web.clone().on("a"), START);
    let launch = launches(&cluster.provision_and_expect(START)).swap_remove(0);
    assert_eq!(launch.offerings[0].zone, "a");
    cluster.tell(Event::PodGone("web-0".into()), at(1));
    let others = pods("web", 1).named("other").label("tier", "front").on("other");
    let mut cluster = cluster.with(node("other")).with(others).with(web.renamed("new"));
    assert_eq!(text::plan(&cluster.provision(at(2))), ["general c.large/b/spot: new-0"]);
}

#[test]
fn room_on_nodes_that_are_there_comes_first() {
    let (cluster, launch) = begun();
    let mut cluster = cluster.with(node("b").node(|node| node.allocatable.cpu_millis = 500));
    cluster.tell(pods("web", 2).renamed("new"), at(1));
    let expected = [format!("new-1 on {}", launch.claim), "new-0 on b".to_owned()];
    assert_eq!(text::plan(&cluster.provision(at(2))), expected);
}

#[test]
fn larger_pods_come_first_to_nodes_that_are_there() {
    let (cluster, launch) = begun();
    let mut cluster = cluster.with(node("b").node(|node| node.allocatable.cpu_millis = 1_000));
    cluster.tell(pod("large").cpu(1_000), at(1));
    cluster.tell(pods("web", 1).named("new"), at(1));
    let plan = text::plan(&cluster.provision(at(2)));
    assert_eq!(plan.len(), 2, "{plan:?}");
    assert!(plan.contains(&"large on b".to_owned()), "{plan:?}");
    assert!(plan.contains(&format!("new on {}", launch.claim)), "{plan:?}");
}

#[test]
fn pods_that_still_run_lose_no_room_to_a_vacancy() {
    let (mut cluster, launch) = begun();
    let b = node("b").spot();
    let reclaimed = b.reclaimed(at(1));
    cluster.tell(b.marked(taint("x")), at(1));
    cluster.tell(pods("web", 2).renamed("other").on("b"), at(1));
    cluster.tell(reclaimed, at(1));
    // Just enough for what runs on b.
    cluster.tell(node("e").node(|node| node.allocatable.cpu_millis = 1_000), at(1));
    assert_eq!(text::plan(&cluster.provision(at(2))), Vec::<String>::new(), "beside {}", launch.claim);
}

#[test]
fn nobody_succeeds_where_it_is_not_certain_any_more_that_there_is_room() {
    let sold_no_more = NodeClass { instance_types: [].into(), ..class() };
    let closed = || {
        let mut pool = pool("general");
        pool.ready = false;
        pool
    };
    let (known, launch) = begun();
    for (why, mut cluster) in [
        ("a DaemonSet has come", known.clone().with(daemon_set(pods("logs", 0).cpu(900)))),
        ("the types are sold no more", known.clone().with(sold_no_more)),
        ("its NodePool is not ready", known.clone().with(closed()).with(pool("other"))),
    ] {
        cluster.tell(pods("web", 1).named("new"), at(1));
        let plan = text::plan(&cluster.provision(at(2)));
        assert!(!plan.contains(&format!("new on {}", launch.claim)), "{why}: {plan:?}");
        assert!(
            plan.iter().any(|line| line.contains("new")),
            "it is launched for, or said to wait: {plan:?}"
        );
    }
}

#[test]
fn nobody_succeeds_out_of_reach_of_its_volume() {
    let db = || pods("db", 1).named("db-0").volume("data");
    for (zone, expected) in [("a", "db-0 on it"), ("c", "general c.large/c/spot: db-0")] {
        let mut cluster =
            Cluster::new().with(pool("general").only(ZONE, &["a", "c"])).with(volume("data", &["a", "c"]));
        cluster.tell(db(), START);
        let launch = launches(&cluster.provision_and_expect(START)).swap_remove(0);
        cluster.tell(Event::PodGone("db-0".into()), at(1));
        cluster.tell(volume("data", &[zone]), at(1));
        cluster.tell(db(), at(1));
        let plan = text::plan(&cluster.provision(at(2)));
        assert_eq!(plan, [expected.replace("it", &launch.claim)], "{:?}", launch.requirements);
    }
}

#[test]
fn pods_that_still_run_leave_the_room_to_those_that_wait() {
    let a = node("a").spot();
    let b = node("b").spot();
    let (of_a, of_b) = (a.reclaimed(START), b.reclaimed(at(2)));
    let mut cluster =
        Cluster::new().with(pool("general")).with(a.marked(taint("x"))).with(b.marked(taint("x")));
    cluster.tell(pods("web", 1).named("web-0").on("a"), START);
    cluster.tell(pods("web", 1).named("web-1").on("b"), START);
    cluster.tell(of_a, START);
    assert_eq!(launches(&cluster.provision_and_expect(START)).len(), 1);
    cluster.tell(Event::PodGone("web-0".into()), at(1));
    cluster.tell(of_b, at(2));
    let plan = launches(&cluster.provision_and_expect(at(2)));
    assert_eq!(plan.iter().flat_map(|launch| &launch.pods).collect::<Vec<_>>(), ["web-1"]);
    let due = text::actions(&cluster.interruption(at(3)).actions);
    assert!(!due.contains(&"delete b (Interrupted)".to_owned()), "its replacement is not there: {due:?}");
}

#[test]
fn a_node_that_stays_after_all_leaves_the_room_that_was_planned_for_its_pods() {
    let mut cluster = Cluster::new().with(pool("general")).with(node("a")).with(pod("web").on("a"));
    cluster.state.replace("a", START);
    let launch = launches(&cluster.provision_and_expect(START)).swap_remove(0);
    cluster.state.keep("a");
    let filler = node("a").node(|node| node.allocatable.cpu_millis = 500);
    cluster.tell(filler, at(1));
    cluster.tell(pod("web").named("new"), at(1));
    assert_eq!(text::plan(&cluster.provision(at(2))), [format!("new on {}", launch.claim)]);
}
