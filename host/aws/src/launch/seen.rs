//! Instances as DescribeInstances tells of them, and for which NodeClaim each was launched.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Instance, InstanceLifecycleType, InstanceStateName};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels;
use whittle_core::model::time::Timestamp;

use super::tags;
use crate::classes::choice::TypeLabels;
use crate::classes::drift;

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id: `i-…`.
    pub id: String,
    /// The instance type.
    pub instance_type: String,
    /// The zone's name.
    pub zone: String,
    /// How it is bought.
    pub capacity_type: CapacityType,
    /// The capacity reservation that it runs in.
    pub reservation: Option<String>,
    /// When it was launched.
    pub launched: Timestamp,
    /// Whether it has ended; EC2 tells of such for about an hour.
    pub is_terminated: bool,
    /// Its image.
    pub image: String,
    /// Its subnet.
    pub subnet: String,
    /// Its security groups, in order.
    pub security_groups: Vec<String>,
    /// Its name in its VPC's DNS, which its Node has, too.
    pub dns_name: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Seen {
    /// What the Kubernetes API knows it by.
    #[must_use]
    pub fn provider_id(&self) -> String {
        format!("aws:///{}/{}", self.zone, self.id)
    }

    /// The class it was launched with.
    #[must_use]
    pub fn node_class(&self) -> Option<&str> {
        self.tags.get(labels::NODE_CLASS).map(String::as_str)
    }

    /// What decides whether it is still what its class selects, with the labels of its instance type.
    pub(crate) fn for_drift(&self, labels: Option<TypeLabels>) -> drift::Seen {
        drift::Seen {
            image: self.image.clone(),
            subnet: Some(self.subnet.clone()).filter(|subnet| !subnet.is_empty()),
            security_groups: self.security_groups.iter().cloned().collect(),
            reservation: self.reservation.clone(),
            labels,
        }
    }

    fn node_pool(&self) -> &str {
        self.tags.get(labels::NODE_POOL).map_or("", String::as_str)
    }
}

/// An instance, if it is told of with all that makes one.
pub(crate) fn seen(instance: &Instance) -> Option<Seen> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let tags = instance.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), text(tag.value()))));
    let mut security_groups: Vec<String> =
        instance.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect();
    security_groups.sort();
    let reservation = instance.capacity_reservation_id().filter(|id| !id.is_empty()).map(str::to_owned);
    let capacity_type = match (&reservation, instance.instance_lifecycle()) {
        (_, Some(InstanceLifecycleType::Spot)) => CapacityType::Spot,
        (Some(_), _) => CapacityType::Reserved,
        (None, _) => CapacityType::OnDemand,
    };
    let launched =
        instance.launch_time().and_then(|time| time.to_millis().ok()).and_then(|at| u64::try_from(at).ok());
    Some(Seen {
        id: instance.instance_id()?.to_owned(),
        instance_type: instance.instance_type()?.as_str().to_owned(),
        zone: instance.placement()?.availability_zone()?.to_owned(),
        capacity_type,
        reservation,
        launched: Timestamp::from_millis(launched.unwrap_or(0)),
        is_terminated: instance.state().and_then(|state| state.name())
            == Some(&InstanceStateName::Terminated),
        image: text(instance.image_id()),
        subnet: text(instance.subnet_id()),
        security_groups,
        dns_name: text(instance.private_dns_name()),
        tags: tags.collect(),
    })
}

/// Instances by the NodeClaims that they were launched for.
///
/// A fleet's instances have one tag with the names of all its NodeClaims, and no more is known of which is whose: by the
/// order of their ids. Those that have ended count as well, so that a later look does not shift the others.
pub(crate) fn by_claim(instances: &[Seen]) -> BTreeMap<String, &Seen> {
    let mut fleets: BTreeMap<(&str, &str), Vec<&Seen>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for one in instances {
        if let Some(claim) = one.tags.get(tags::NODE_CLAIM) {
            found.insert(claim.clone(), one);
        }
        if let Some(names) = one.tags.get(tags::NODE_CLAIMS) {
            fleets.entry((one.node_pool(), names)).or_default().push(one);
        }
    }
    for ((node_pool, names), mut launched) in fleets {
        launched.sort_by(|a, b| a.id.cmp(&b.id));
        for (claim, one) in tags::claims(node_pool, names).into_iter().zip(launched) {
            found.entry(claim).or_insert(one);
        }
    }
    found
}
