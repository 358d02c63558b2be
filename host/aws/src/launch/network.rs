//! The network interfaces of a launch template.
//!
//! EC2 takes security groups either of the instance or of each interface, so where an interface has to be spelled out,
//! the groups are said there.

use aws_sdk_ec2::types as ec2;
use whittle_api::node_class::Ec2NodeClassSpec;
use whittle_api::node_class::hardware::{InterfaceType, NetworkInterface};

type Interface = ec2::LaunchTemplateInstanceNetworkInterfaceSpecificationRequest;

/// An interface to be made.
#[derive(Clone, Copy, Debug)]
struct Asked {
    card: i32,
    device: i32,
    kind: &'static str,
}

impl Asked {
    const FIRST: Self = Self { card: 0, device: 0, kind: "interface" };

    /// As a class lists it.
    const fn listed(one: &NetworkInterface) -> Self {
        let kind = match one.interface_type {
            InterfaceType::Interface => "interface",
            InterfaceType::EfaOnly => "efa-only",
        };
        Self { card: one.network_card_index, device: one.device_index, kind }
    }

    /// The EFA interface of a network card. The first card's is the primary interface of the instance.
    fn efa(card: i32) -> Self {
        Self { card, device: card.min(1), kind: "efa" }
    }
}

/// The interfaces, or the security groups where nothing is said about interfaces. EFA interfaces are asked for where the
/// class lists none of its own.
pub(super) fn interfaces(
    spec: &Ec2NodeClassSpec,
    groups: Vec<String>,
    efa_interfaces: u64,
) -> (Option<Vec<Interface>>, Option<Vec<String>>) {
    let says_more = spec.associate_public_ip_address.is_some()
        || spec.ip_prefix_count.is_some()
        || spec.connection_tracking.is_some();
    let cards = i32::try_from(efa_interfaces).unwrap_or(0);
    let asked: Vec<Asked> = match (spec.network_interfaces.as_slice(), cards) {
        ([], 0) if says_more => vec![Asked::FIRST],
        ([], 0) => return (None, Some(groups)),
        ([], cards) => (0..cards).map(Asked::efa).collect(),
        (listed, _) => listed.iter().map(Asked::listed).collect(),
    };
    // EC2 gives a public address only to an instance with one interface.
    let public = spec.associate_public_ip_address.filter(|_| asked.len() == 1);
    let made = asked.iter().map(|one| {
        // An `efa-only` interface has none, and pods get theirs from the primary one.
        let carries_addresses = one.kind == "interface" || (one.kind == "efa" && one.device == 0);
        Interface::builder()
            .device_index(one.device)
            .network_card_index(one.card)
            .interface_type(one.kind)
            .set_groups(Some(groups.clone()))
            .set_associate_public_ip_address(public)
            .set_ipv4_prefix_count(spec.ip_prefix_count.filter(|_| carries_addresses))
            .set_connection_tracking_specification(tracking(spec))
            .delete_on_termination(true)
            .build()
    });
    (Some(made.collect()), None)
}

fn tracking(spec: &Ec2NodeClassSpec) -> Option<ec2::ConnectionTrackingSpecificationRequest> {
    let tracking = spec.connection_tracking.as_ref()?;
    let builder = ec2::ConnectionTrackingSpecificationRequest::builder()
        .set_tcp_established_timeout(tracking.tcp_established_timeout)
        .set_udp_stream_timeout(tracking.udp_stream_timeout)
        .set_udp_timeout(tracking.udp_timeout);
    Some(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_said_once_and_a_public_address_only_of_a_single_interface() {
        let groups = vec!["sg-1".to_owned()];
        let plain = Ec2NodeClassSpec::default();
        assert_eq!(interfaces(&plain, groups.clone(), 0), (None, Some(groups.clone())));
        let public = Ec2NodeClassSpec { associate_public_ip_address: Some(false), ..plain.clone() };
        let (made, left) = interfaces(&public, groups.clone(), 0);
        let made = made.unwrap();
        assert_eq!((made.len(), made[0].associate_public_ip_address(), left), (1, Some(false), None));
        let card = |index, kind| NetworkInterface {
            network_card_index: index,
            device_index: index.min(1),
            interface_type: kind,
        };
        let two = vec![card(0, InterfaceType::Interface), card(1, InterfaceType::EfaOnly)];
        let spec = Ec2NodeClassSpec { network_interfaces: two, ip_prefix_count: Some(2), ..public };
        let made = interfaces(&spec, groups, 4).0.unwrap();
        assert_eq!(made[0].associate_public_ip_address(), None);
        assert_eq!((made[0].ipv4_prefix_count(), made[1].ipv4_prefix_count()), (Some(2), None));
        assert_eq!(made[1].interface_type(), Some("efa-only"));
        assert_eq!(made.len(), 2, "the class says it");
    }

    #[test]
    fn each_network_card_has_an_efa_interface_where_pods_ask_for_efa() {
        let made = interfaces(&Ec2NodeClassSpec::default(), vec!["sg-1".to_owned()], 3).0.unwrap();
        let made: Vec<_> = made
            .iter()
            .map(|one| (one.network_card_index(), one.device_index(), one.interface_type().unwrap_or("")))
            .collect();
        let efa = |card, device| (Some(card), Some(device), "efa");
        assert_eq!(made, [efa(0, 0), efa(1, 1), efa(2, 1)]);
    }
}
