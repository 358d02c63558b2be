//! Spreads that an operator wants for pods that state none.

use whittle_core::model::labels::{HOSTNAME, ZONE};
use whittle_core::model::pod::WhenUnsatisfiable;
use whittle_core::settings::Settings;

use crate::cluster::Cluster;
use crate::cluster::nodes::node;
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::pool;

/// Pods that nobody has told to be spread are spread over a label.
fn spread_by_default(key: &str, when_unsatisfiable: WhenUnsatisfiable) -> Cluster {
    let mut said = pod("nobody").spread(key, 1, |spread| {
        spread.when_unsatisfiable = when_unsatisfiable;
        spread.selector = None;
    });
    let default_spread = std::mem::take(&mut said.spec.topology_spread);
    Cluster::set(Settings { default_spread, ..Settings::default() }).with(pool("general"))
}

fn over_zones() -> Cluster {
    spread_by_default(ZONE, WhenUnsatisfiable::DoNotSchedule)
}

fn web() -> Pods {
    pods("web", 3).cpu(100).selected()
}

#[test]
fn pods_that_state_no_spread_have_the_operators() {
    assert_eq!(
        over_zones().with(web()).provisioned(),
        ["general c.large/a/spot: web-0", "general c.large/b/spot: web-1", "general c.large/c/spot: web-2"]
    );
    assert_eq!(
        spread_by_default(HOSTNAME, WhenUnsatisfiable::DoNotSchedule).with(web()).provisioned(),
        ["general c.large/a/spot: web-0", "general c.large/a/spot: web-1", "general c.large/a/spot: web-2"]
    );
}

#[test]
fn pods_with_a_spread_of_their_own_have_no_other() {
    let own = web().spread(HOSTNAME, 5, |_| {});
    assert_eq!(over_zones().with(own).provisioned(), ["general c.large/a/spot: web-0 web-1 web-2"]);
}

#[test]
fn pods_that_nobody_selects_are_spread_with_nobody() {
    let unselected = pods("web", 3).cpu(100);
    assert_eq!(over_zones().with(unselected).provisioned(), ["general c.large/a/spot: web-0 web-1 web-2"]);
}

#[test]
fn without_a_default_being_selected_spreads_nothing() {
    let mut cluster = Cluster::new().with(pool("general")).with(web());
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0 web-1 web-2"]);
}

#[test]
fn a_default_counts_the_pods_that_run() {
    let mut cluster = over_zones()
        .with(node("one").zone("a"))
        .with(pods("web", 1).named("old").cpu(100).selected().on("one"))
        .with(pods("web", 2).cpu(100).selected());
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: web-0", "general c.large/c/spot: web-1"]);
}

#[test]
fn a_default_that_is_a_wish_is_given_up_where_it_cannot_be_had() {
    let wish = || spread_by_default(ZONE, WhenUnsatisfiable::ScheduleAnyway);
    let in_a = web().select(ZONE, "a");
    assert_eq!(wish().with(in_a).provisioned(), ["general c.large/a/spot: web-0 web-1 web-2"]);
    assert_eq!(wish().with(web()).provisioned().len(), 3, "a zone for each");
}
