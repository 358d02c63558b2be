//! Pods on nodes that are on their way out get another place in time.

use whittle_core::event::Event;
use whittle_core::model::labels::{HOSTNAME, ZONE};
use whittle_core::plan::{Launch, Outcome};

use crate::cluster::nodes::{carried_out, claimed, node};
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{PoolWords, pdb, pool};
use crate::cluster::{Cluster, START, at, launches, text};

#[test]
fn a_node_is_launched_for_the_pods_of_one_that_leaves() {
    let reclaimed = node("b");
    let notice = reclaimed.reclaimed(START);
    for cluster in [
        Cluster::new().with(node("a").leaving(START)),
        Cluster::new().with(node("a")).with(reclaimed).with(notice).with(pod("other").cpu(1_900).on("a")),
    ] {
        let name = if cluster.state.snapshot().nodes.contains_key("node-b") { "b" } else { "a" };
        let mut cluster = cluster.with(pool("general")).with(pod("web").on(name));
        assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
    }
}

#[test]
fn pods_of_a_leaving_node_take_room_that_is_there_without_being_nominated() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a").leaving(START))
        .with(node("b"))
        .with(pod("web").cpu(1_000).on("a"))
        .with(pod("young").cpu(1_000));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: young"]);
}

#[test]
fn pods_that_end_with_their_node_need_no_other() {
    let mut ended = pod("ended").on("a").object();
    ended.phase = whittle_core::model::pod::PodPhase::Succeeded;
    let mut blocking = pdb("frozen", "frozen", 0);
    blocking.blocks_always = true;
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a").leaving(START))
        .with(pods("logs", 1).daemon().on("a"))
        .with(pods("static", 1).owned_by("Node").on("a"))
        .with(pod("leaving").on("a").leaving(START))
        .with(ended)
        .with(pod("stays").do_not_disrupt().on("a"))
        .with(blocking)
        .with(pod("frozen").on("a"));
    assert_eq!(cluster.provisioned(), Vec::<String>::new());
}

#[test]
fn a_leaving_pod_of_a_stateful_set_will_come_back_and_needs_a_place() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(node("a").leaving(START))
        .with(pod("db-0").owned_by("StatefulSet").on("a").leaving(START));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: db-0"]);
}

#[test]
fn pods_of_a_leaving_node_do_not_count_where_they_are() {
    let mut cluster = Cluster::new()
        .with(pool("general").only(ZONE, &["a", "b"]))
        .with(node("a").leaving(START))
        .with(pods("web", 2).zone_spread(1).on("a"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0", "general c.large/b/spot: web-1"]);
}

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
