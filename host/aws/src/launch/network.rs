//! The network interfaces of a launch template.
//!
//! EC2 takes security groups either of the instance or of each interface, so where an interface has to be spelled out,
//! the groups are said there.

use aws_sdk_ec2::types as ec2;
use whittle_api::node_class::Ec2NodeClassSpec;
use whittle_api::node_class::hardware::{InterfaceType, NetworkInterface};

type Interface = ec2::LaunchTemplateInstanceNetworkInterfaceSpecificationRequest;

/// The interfaces, or the security groups where nothing is said about interfaces.
pub(super) fn interfaces(
    spec: &Ec2NodeClassSpec,
    groups: Vec<String>,
) -> (Option<Vec<Interface>>, Option<Vec<String>>) {
    let says_more = spec.associate_public_ip_address.is_some()
        || spec.ip_prefix_count.is_some()
        || spec.connection_tracking.is_some();
    if spec.network_interfaces.is_empty() && !says_more {
        return (None, Some(groups));
    }
    let first =
        NetworkInterface { network_card_index: 0, device_index: 0, interface_type: InterfaceType::Interface };
    let asked = if spec.network_interfaces.is_empty() {
        std::slice::from_ref(&first)
    } else {
        &spec.network_interfaces
    };
    // EC2 gives a public address only to an instance with one interface.
    let public = spec.associate_public_ip_address.filter(|_| asked.len() == 1);
    let made = asked.iter().map(|one| {
        let carries_addresses = one.interface_type == InterfaceType::Interface;
        Interface::builder()
            .device_index(one.device_index)
            .network_card_index(one.network_card_index)
            .interface_type(if carries_addresses { "interface" } else { "efa-only" })
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
        assert_eq!(interfaces(&plain, groups.clone()), (None, Some(groups.clone())));
        let public = Ec2NodeClassSpec { associate_public_ip_address: Some(false), ..plain.clone() };
        let (made, left) = interfaces(&public, groups.clone());
        let made = made.unwrap();
        assert_eq!((made.len(), made[0].associate_public_ip_address(), left), (1, Some(false), None));
        let card = |index, kind| NetworkInterface {
            network_card_index: index,
            device_index: index.min(1),
            interface_type: kind,
        };
        let two = vec![card(0, InterfaceType::Interface), card(1, InterfaceType::EfaOnly)];
        let spec = Ec2NodeClassSpec { network_interfaces: two, ip_prefix_count: Some(2), ..public };
        let made = interfaces(&spec, groups).0.unwrap();
        assert_eq!(made[0].associate_public_ip_address(), None);
        assert_eq!((made[0].ipv4_prefix_count(), made[1].ipv4_prefix_count()), (Some(2), None));
        assert_eq!(made[1].interface_type(), Some("efa-only"));
    }
}
