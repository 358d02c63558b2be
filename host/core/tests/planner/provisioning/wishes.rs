//! Preferences: held to like requirements while they can be had, given up one by one where they cannot.

use whittle_core::model::labels::{ARCH, HOSTNAME, ZONE};
use whittle_core::model::pod::WhenUnsatisfiable;
use whittle_core::model::requirement::{Taint, TaintEffect};
use whittle_core::settings::{PreferencePolicy, Settings};

use crate::cluster::Cluster;
use crate::cluster::nodes::{node, values_of};
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{PoolWords, pool};

fn anyway(pods: Pods, key: &str) -> Pods {
    pods.spread(key, 1, |spread| spread.when_unsatisfiable = WhenUnsatisfiable::ScheduleAnyway)
}

fn soft(key: &str) -> Taint {
    Taint { key: key.into(), value: String::new(), effect: TaintEffect::PreferNoSchedule }
}

#[test]
fn a_wish_to_be_spread_is_held_to_while_it_can_be() {
    let mut cluster = Cluster::new().with(pool("general")).with(anyway(pods("web", 2), HOSTNAME));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0", "general c.large/a/spot: web-1"]);
}

#[test]
fn where_preferences_are_ignored_a_wish_launches_nothing() {
    let settings = Settings { preferences: PreferencePolicy::Ignore, ..Settings::default() };
    let wishful = anyway(pods("web", 2), HOSTNAME).would_like(1, ZONE, "b").would_avoid("web", HOSTNAME);
    let mut cluster = Cluster::set(settings).with(pool("general")).with(wishful);
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0 web-1"]);
}

#[test]
fn the_heaviest_wish_that_can_be_had_decides_where_a_node_is() {
    let wishful = pod("web").would_like(1, ZONE, "b").would_like(9, ZONE, "c");
    let mut cluster = Cluster::new().with(pool("general")).with(wishful.clone());
    assert_eq!(cluster.provisioned(), ["general c.large/c/spot: web"]);
    let narrow = pool("general").only(ZONE, &["a", "b"]);
    let mut cluster = Cluster::new().with(narrow).with(wishful);
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: web"]);
}

#[test]
fn a_wish_that_contradicts_what_is_required_is_given_up() {
    let torn = pod("web").select(ZONE, "a").would_like(1, ZONE, "b");
    let mut cluster = Cluster::new().with(pool("general")).with(torn);
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn a_node_is_launched_for_a_wish_though_another_has_room() {
    let wishful = pod("web").would_like(1, ZONE, "b");
    let mut cluster = Cluster::new().with(pool("general")).with(node("one").zone("a")).with(wishful.clone());
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: web"]);
    let narrow = pool("general").only(ZONE, &["a"]);
    let mut cluster = Cluster::new().with(narrow).with(node("one").zone("a")).with(wishful);
    assert_eq!(cluster.provisioned(), ["web on one"], "what cannot be had is no reason to launch");
}

#[test]
fn pods_that_would_rather_be_apart_share_when_the_zones_are_used_up() {
    let shy = pods("web", 4).would_avoid("web", ZONE);
    let mut cluster = Cluster::new().with(pool("general")).with(shy);
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: web-0 web-3",
            "general c.large/b/spot: web-1",
            "general c.large/c/spot: web-2",
        ]
    );
}

#[test]
fn a_wish_to_be_away_from_others_keeps_nobody_else_away() {
    let shy = pod("shy").would_avoid("web", HOSTNAME).cpu(600);
    let mut cluster = Cluster::new().with(pool("general")).with(shy).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: shy web"]);
}

#[test]
fn a_wish_to_be_near_others_is_given_up_before_one_to_be_away_from_them() {
    let torn = pod("web").would_be_near("cache", ZONE).would_avoid("cache", ZONE);
    let there = node("one").zone("b");
    let mut cluster = Cluster::new()
        .with(pool("general").only(ZONE, &["b", "c"]))
        .with(there)
        .with(pod("cache").on("one"))
        .with(torn);
    assert_eq!(cluster.provisioned(), ["general c.large/c/spot: web"]);
}

#[test]
fn a_soft_taint_puts_pods_off_until_nothing_else_is_left() {
    let avoided = pool("avoided").weight(9).change(|pool| pool.taints.push(soft("old")));
    let mut cluster = Cluster::new().with(avoided.clone()).with(pool("other")).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["other c.large/a/spot: web"]);
    let mut cluster =
        Cluster::new().with(avoided).with(pool("other").only(ARCH, &["s390x"])).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["avoided c.large/a/spot: web"]);
}

#[test]
fn a_node_with_a_soft_taint_is_used_when_nothing_can_be_launched() {
    let there = node("one").marked(soft("old"));
    let mut cluster = Cluster::new().with(pool("general").limit("cpu", 0)).with(there).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["web on one"]);
}

#[test]
fn each_pod_of_a_group_has_its_wishes_anew() {
    // The first fills what there is in the zone that both would like; the second finds it elsewhere.
    let wishful = pods("web", 2).cpu(1_500).would_like(1, ZONE, "b");
    let mut cluster = Cluster::new()
        .with(pool("general").limit("nodes", 0))
        .with(node("first").zone("b"))
        .with(node("second").zone("a"))
        .with(wishful);
    assert_eq!(cluster.provisioned(), ["web-0 on first", "web-1 on second"]);
}

#[test]
fn a_node_that_a_pod_took_for_want_of_a_better_one_is_no_better_to_the_next() {
    // Being near the cache is given up before a soft taint is taken, so neither of the two holds to it there.
    let avoided = pool("avoided").label("team", "red").change(|pool| pool.taints.push(soft("old")));
    let mut cluster = Cluster::new()
        .with(pool("general").weight(1))
        .with(avoided)
        .with(pod("cache"))
        .with(pods("web", 2).cpu(50).select("team", "red").would_be_near("cache", ZONE));
    let launches = cluster.launches();
    assert_eq!(launches[1].pods, ["web-0", "web-1"]);
    assert_eq!(values_of(&launches[1], ZONE), ["a", "b", "c"]);
}
