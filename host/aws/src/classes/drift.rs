//! Whether an instance still is what its class selects.
//!
//! Pure, and asked of a class whose status says what was found just now. What was found for nothing says nothing: a
//! class that is not resolved has no drifted instances.

use std::collections::BTreeSet;

use whittle_api::node_class::Ec2NodeClass;
use whittle_core::drift::CloudDrift;

use crate::classes::choice::{TypeLabels, image_for};

/// An instance as EC2 describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The id of its image.
    pub image: String,
    /// The id of its subnet; `None` when EC2 does not say.
    pub subnet: Option<String>,
    /// The ids of its security groups.
    pub security_groups: BTreeSet<String>,
    /// The id of its capacity reservation.
    pub reservation: Option<String>,
    /// The labels of its instance type; `None` when the type is not known.
    pub labels: Option<TypeLabels>,
}

/// In what an instance differs from what was found for its class, in Karpenter's order.
#[must_use]
pub fn drift(class: &Ec2NodeClass, instance: &Seen) -> Option<CloudDrift> {
    let status = class.status.as_ref().filter(|status| !status.subnets.is_empty())?;
    let groups: BTreeSet<&str> = status.security_groups.iter().map(|group| group.id.as_str()).collect();
    let own: BTreeSet<&str> = instance.security_groups.iter().map(String::as_str).collect();
    let is_elsewhere = || {
        let subnet = instance.subnet.as_ref()?;
        Some(status.subnets.iter().all(|one| one.id != *subnet))
    };
    let is_of_another =
        |reservation: &String| status.capacity_reservations.iter().all(|one| one.id != *reservation);
    if has_another_image(class, instance) {
        Some(CloudDrift::Ami)
    } else if !groups.is_empty() && groups != own {
        Some(CloudDrift::SecurityGroups)
    } else if is_elsewhere().unwrap_or(false) {
        Some(CloudDrift::Subnet)
    } else if instance.reservation.as_ref().is_some_and(is_of_another) {
        Some(CloudDrift::CapacityReservation)
    } else {
        None
    }
}

/// Whether a new instance of its type would boot another image. Of a type that is not known any image of the class will
/// do, and where no image fits there is nothing that it should have.
fn has_another_image(class: &Ec2NodeClass, instance: &Seen) -> bool {
    let amis = class.status.as_ref().map(|status| status.amis.as_slice()).unwrap_or_default();
    match &instance.labels {
        Some(labels) => image_for(amis, labels).is_some_and(|ami| ami.id != instance.image),
        None => !amis.is_empty() && amis.iter().all(|ami| ami.id != instance.image),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class() -> Ec2NodeClass {
        let arch =
            |value: &str| json!([{ "key": "kubernetes.io/arch", "operator": "In", "values": [value] }]);
        let status = json!({
            "amis": [
                { "id": "ami-new", "requirements": arch("amd64") },
                { "id": "ami-old", "requirements": arch("amd64") },
                { "id": "ami-arm", "requirements": arch("arm64") },
            ],
            "subnets": [{ "id": "subnet-a", "zone": "a" }, { "id": "subnet-b", "zone": "b" }],
            "securityGroups": [{ "id": "sg-1" }, { "id": "sg-2" }],
            "capacityReservations": [],
        });
        let status = serde_json::from_value(status).unwrap();
        let mut class = Ec2NodeClass::new("default", whittle_api::node_class::Ec2NodeClassSpec::default());
        class.status = Some(status);
        class
    }

    fn as_it_should_be() -> Seen {
        Seen {
            image: "ami-new".to_owned(),
            subnet: Some("subnet-b".to_owned()),
            security_groups: ["sg-2".to_owned(), "sg-1".to_owned()].into(),
            reservation: None,
            labels: Some([("kubernetes.io/arch".to_owned(), vec!["amd64".to_owned()])].into()),
        }
    }

    #[test]
    fn an_instance_differs_in_its_image_its_groups_or_its_subnet_and_the_first_of_these_counts() {
        let good = as_it_should_be();
        let cases = [
            (good.clone(), None),
            (Seen { image: "ami-old".into(), ..good.clone() }, Some(CloudDrift::Ami)),
            (Seen { image: "ami-old".into(), labels: None, ..good.clone() }, None),
            (Seen { image: "ami-gone".into(), labels: None, ..good.clone() }, Some(CloudDrift::Ami)),
            (Seen { image: "ami-x".into(), labels: Some(TypeLabels::new()), ..good.clone() }, None),
            (
                Seen { security_groups: ["sg-1".to_owned()].into(), ..good.clone() },
                Some(CloudDrift::SecurityGroups),
            ),
            (Seen { subnet: Some("subnet-c".into()), ..good.clone() }, Some(CloudDrift::Subnet)),
            (Seen { subnet: None, ..good.clone() }, None),
            (
                Seen { reservation: Some("cr-1".into()), ..good.clone() },
                Some(CloudDrift::CapacityReservation),
            ),
            (
                Seen { image: "ami-old".into(), subnet: Some("subnet-c".into()), ..good },
                Some(CloudDrift::Ami),
            ),
        ];
        for (seen, expected) in cases {
            assert_eq!(drift(&class(), &seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn of_a_class_that_is_not_resolved_nothing_has_drifted() {
        let mut class = class();
        class.status = Some(serde_json::from_value(json!({})).unwrap());
        assert_eq!(drift(&class, &as_it_should_be()), None);
        class.status = None;
        assert_eq!(drift(&class, &as_it_should_be()), None);
    }
}
