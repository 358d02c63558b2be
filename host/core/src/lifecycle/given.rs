//! What a NodeClaim and its node are given once it is known which instance they have.

use crate::model::instance_type::InstanceType;
use crate::model::labels;
use crate::model::node::Instance;

/// The labels that an instance of this type in this place gives to its node. Without the type, only those that follow
/// from the instance itself.
#[must_use]
pub fn labels_of(kind: Option<&InstanceType>, instance: &Instance, region: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (key, values) in kind.into_iter().flat_map(|kind| &kind.labels) {
        if let [value] = values.as_slice() {
            found.push((key.clone(), value.clone()));
        }
    }
    let zone_id = kind
        .into_iter()
        .flat_map(|kind| &kind.offerings)
        .find(|offering| offering.zone == instance.zone)
        .map(|offering| offering.zone_id.clone());
    found.extend(zone_id.filter(|id| !id.is_empty()).map(|id| (labels::ZONE_ID.to_owned(), id)));
    let reservations = kind.into_iter().flat_map(|kind| &kind.offerings);
    let reservation = reservations
        .filter_map(|offering| offering.reservation.as_ref())
        .find(|one| Some(&one.id) == instance.reservation.as_ref());
    if let Some(one) = reservation {
        found.push((labels::RESERVATION_ID.to_owned(), one.id.clone()));
        found.push((labels::RESERVATION_TYPE.to_owned(), one.kind.label().to_owned()));
    }
    let own = [
        (labels::INSTANCE_TYPE, instance.instance_type.as_str()),
        (labels::ZONE, instance.zone.as_str()),
        (labels::REGION, region),
        (labels::CAPACITY_TYPE, instance.capacity_type.label()),
    ];
    found.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    found
}
