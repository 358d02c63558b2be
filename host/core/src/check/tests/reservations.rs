//! Reserved capacity: promised once, and alone.

use std::sync::Arc;

use super::build::{Scene, each, empty, launch, node, pod};
use crate::model::instance_type::{CapacityType, Offering, Reservation, ReservationKind};
use crate::model::labels::RESERVATION_ID;
use crate::model::price::Price;
use crate::model::requirement::Requirement;
use crate::plan::{Action, Launch};

const ID: &str = "cr-1";

/// Two reserved instances of `small` in the zone a. One runs, and the other is launched for a pod.
fn reserved() -> Scene {
    let mut scene = Scene {
        pods: vec![pod("p")],
        nodes: vec![node("x", "a")],
        actions: vec![launch("new", &["a"], &["p"])],
        ..empty()
    };
    let reservation = Reservation { id: ID.into(), kind: ReservationKind::Default, instances: 2 };
    let price = Price::from_micros(1);
    let on_demand = scene.small().offerings[0].clone();
    let capacity_type = CapacityType::Reserved;
    let offering = Offering { capacity_type, price, reservation: Some(reservation), ..on_demand };
    scene.small().offerings.push(offering);
    let instance = scene.claim(0).instance.as_mut().unwrap();
    (instance.capacity_type, instance.reservation) = (capacity_type, Some(ID.into()));
    is_reserved(scene.launch());
    scene
}

fn is_reserved(launch: &mut Launch) {
    let listed = &mut Arc::make_mut(&mut launch.offerings)[0];
    listed.capacity_type = CapacityType::Reserved;
    listed.reservation = Some(ID.into());
    listed.price = Price::from_micros(1);
    Arc::make_mut(&mut launch.requirements).push(Requirement::equals(RESERVATION_ID, ID));
}

/// Another launch of it, for no pod.
fn another(scene: &mut Scene) {
    let Action::Launch(mut another) = launch("another", &["a"], &[]) else { unreachable!() };
    is_reserved(&mut another);
    scene.actions.push(Action::Launch(another));
}

#[test]
fn no_reservation_is_promised_more_often_than_it_has_instances() {
    each(
        reserved,
        &[
            (
                another,
                &["capacity reservation: another: found 3 instances of cr-1 promised, expected at most 2"],
            ),
            (
                |scene| {
                    // The other instance is not reserved.
                    scene.claim(0).instance.as_mut().unwrap().reservation = None;
                    another(scene);
                },
                &[],
            ),
            (
                |scene| {
                    // What is on its way may become either.
                    scene.nodes[0].1 = None;
                    let claim = scene.claim(0);
                    (claim.instance, claim.node) = (None, None);
                    (claim.registered, claim.initialized) = (None, None);
                    claim.requirements = vec![Requirement::equals(RESERVATION_ID, ID)];
                    another(scene);
                },
                &["capacity reservation: another: found 3 instances of cr-1 promised, expected at most 2"],
            ),
            (
                |scene| scene.small().offerings[3].reservation.as_mut().unwrap().instances = 1,
                &[
                    "offering: new: found small reserved in a, which is not available, expected one that is",
                    "capacity reservation: new: found 2 instances of cr-1 promised, expected at most 1",
                ],
            ),
        ],
    );
}

#[test]
fn a_launch_of_reserved_capacity_lists_nothing_else_and_says_so() {
    each(
        reserved,
        &[
            (
                |scene| {
                    let launch = scene.launch();
                    Arc::make_mut(&mut launch.requirements).pop();
                    Arc::make_mut(&mut launch.offerings).push(super::build::offering("small", "a"));
                    Arc::make_mut(&mut launch.requirements).push(Requirement::new(
                        RESERVATION_ID,
                        crate::model::requirement::Operator::Exists,
                        [""; 0],
                    ));
                },
                &[
                    "requirements: new: found small on-demand in a with karpenter.k8s.aws/capacity-reservation-id [], \
                     expected karpenter.k8s.aws/capacity-reservation-id Exists",
                    "capacity reservation: new: found on-demand beside reserved capacity, expected reserved capacity alone",
                    "capacity reservation: new: found {\"cr-1\"} listed and {} required, \
                     expected the same capacity reservations",
                ],
            ),
            (
                |scene| drop(Arc::make_mut(&mut scene.launch().requirements).pop()),
                &["capacity reservation: new: found {\"cr-1\"} listed and {} required, \
                   expected the same capacity reservations"],
            ),
        ],
    );
}
