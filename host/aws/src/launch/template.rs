//! A launch template: what all instances of a launch have in common, named by its own content.
//!
//! Two launches with the same content share a template, whoever made it; what changes has another name, so nothing is
//! ever changed in place.

use std::collections::BTreeMap;

use aws_sdk_ec2::types as ec2;
use aws_smithy_types::base64;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use whittle_api::convert::node_class::ami_family;
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_class::hardware::{HttpTokens, InstanceStorePolicy, MetadataOptions, Switch};
use whittle_core::model::labels;
use whittle_core::model::node::NodeClaim;
use whittle_core::model::requirement::{Taint, TaintEffect};

use super::{disks, network, tags};
use crate::cluster::Cluster;
use crate::user_data::{Input, LocalStorage, registrable, user_data};

/// What every name begins with (Karpenter's).
const PREFIX: &str = "karpenter.k8s.aws/";

/// A launch template. Two with one name are equal.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Its name, which follows from everything else.
    pub(crate) name: String,
    /// What it says.
    pub(crate) data: ec2::RequestLaunchTemplateData,
    /// Its own tags.
    pub(crate) tags: BTreeMap<String, String>,
}

/// What tells the templates of one launch apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Variant {
    /// The image.
    pub(crate) image: String,
    /// How many pods its nodes hold.
    pub(crate) max_pods: u64,
    /// The capacity reservation that is launched into.
    pub(crate) reservation: Option<String>,
    /// Whether it is spot capacity.
    pub(crate) is_spot: bool,
}

/// The template for nodes of this NodeClaim.
///
/// # Errors
///
/// What of the class cannot be launched, and why.
pub(crate) fn template(
    cluster: &Cluster,
    class: &Ec2NodeClass,
    claim: &NodeClaim,
    variant: &Variant,
) -> Result<Template, String> {
    let spec = &class.spec;
    let status = class.status.clone().unwrap_or_default();
    let name = class.metadata.name.as_deref().unwrap_or_default();
    let text = user_data(ami_family(spec), &input(cluster, class, claim, variant.max_pods))?;
    let groups: Vec<String> = status.security_groups.into_iter().map(|group| group.id).collect();
    let tags = tags::common(&cluster.name, &claim.node_pool, name, &spec.tags);
    let content = json!([
        cluster.name,
        variant.image,
        text,
        status.instance_profile,
        spec.block_device_mappings,
        ami_family(spec),
        spec.metadata_options,
        spec.detailed_monitoring,
        groups,
        spec.network_interfaces,
        spec.associate_public_ip_address,
        spec.ip_prefix_count,
        spec.connection_tracking,
        spec.cpu_options,
        variant.reservation,
        variant.is_spot,
        tags,
    ]);
    let profile = status
        .instance_profile
        .map(|name| ec2::LaunchTemplateIamInstanceProfileSpecificationRequest::builder().name(name).build());
    let (interfaces, groups) = network::interfaces(spec, groups);
    let data = ec2::RequestLaunchTemplateData::builder()
        .image_id(&variant.image)
        .user_data(base64::encode(text.as_bytes()))
        .set_iam_instance_profile(profile)
        .set_block_device_mappings(Some(disks::mappings(spec)?))
        .metadata_options(metadata(&spec.metadata_options))
        .monitoring(
            ec2::LaunchTemplatesMonitoringRequest::builder()
                .enabled(spec.detailed_monitoring.unwrap_or(false))
                .build(),
        )
        .set_network_interfaces(interfaces)
        .set_security_group_ids(groups)
        .set_cpu_options(processors(class))
        .capacity_reservation_specification(reservation(variant.reservation.as_deref()))
        .set_tag_specifications(Some(of_what_it_makes(&tags, variant.is_spot)))
        .build();
    Ok(Template { name: format!("{PREFIX}{}", digest(&content.to_string())), data, tags })
}

fn input<'a>(cluster: &'a Cluster, class: &'a Ec2NodeClass, claim: &NodeClaim, max_pods: u64) -> Input<'a> {
    let unregistered = Taint {
        key: labels::UNREGISTERED_TAINT.to_owned(),
        value: String::new(),
        effect: TaintEffect::NoExecute,
    };
    let mut of_node = claim.labels.clone();
    of_node.insert(labels::NODE_POOL.to_owned(), claim.node_pool.clone());
    Input {
        cluster,
        kubelet: class.spec.kubelet.clone().unwrap_or_default(),
        max_pods,
        labels: registrable(&of_node),
        taints: claim.taints.iter().chain(&claim.startup_taints).cloned().chain([unregistered]).collect(),
        local_storage: match class.spec.instance_store_policy {
            Some(InstanceStorePolicy::RAID0) => LocalStorage::Raid0,
            None => LocalStorage::Left,
        },
        own: class.spec.user_data.as_deref(),
    }
}

fn metadata(options: &MetadataOptions) -> ec2::LaunchTemplateInstanceMetadataOptionsRequest {
    let tokens = match options.http_tokens {
        HttpTokens::Required => ec2::LaunchTemplateHttpTokensState::Required,
        HttpTokens::Optional => ec2::LaunchTemplateHttpTokensState::Optional,
    };
    let endpoint = match options.http_endpoint {
        Switch::Enabled => ec2::LaunchTemplateInstanceMetadataEndpointState::Enabled,
        Switch::Disabled => ec2::LaunchTemplateInstanceMetadataEndpointState::Disabled,
    };
    let ipv6 = match options.http_protocol_ipv6 {
        Switch::Enabled => ec2::LaunchTemplateInstanceMetadataProtocolIpv6::Enabled,
        Switch::Disabled => ec2::LaunchTemplateInstanceMetadataProtocolIpv6::Disabled,
    };
    ec2::LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_tokens(tokens)
        .http_endpoint(endpoint)
        .http_protocol_ipv6(ipv6)
        .set_http_put_response_hop_limit(i32::try_from(options.http_put_response_hop_limit).ok())
        // What an instance is tagged with is no business of its pods.
        .instance_metadata_tags(ec2::LaunchTemplateInstanceMetadataTagsState::Disabled)
        .build()
}

fn processors(class: &Ec2NodeClass) -> Option<ec2::LaunchTemplateCpuOptionsRequest> {
    let nested = class.spec.cpu_options.as_ref()?.nested_virtualization?;
    let nested = match nested {
        Switch::Enabled => ec2::NestedVirtualizationSpecification::Enabled,
        Switch::Disabled => ec2::NestedVirtualizationSpecification::Disabled,
    };
    Some(ec2::LaunchTemplateCpuOptionsRequest::builder().nested_virtualization(nested).build())
}

/// An instance takes a reservation that it was meant for, and no other that happens to be open.
fn reservation(id: Option<&str>) -> ec2::LaunchTemplateCapacityReservationSpecificationRequest {
    let builder = ec2::LaunchTemplateCapacityReservationSpecificationRequest::builder();
    match id {
        None => builder.capacity_reservation_preference(ec2::CapacityReservationPreference::None).build(),
        Some(id) => builder
            .capacity_reservation_preference(ec2::CapacityReservationPreference::CapacityReservationsOnly)
            .capacity_reservation_target(
                ec2::CapacityReservationTarget::builder().capacity_reservation_id(id).build(),
            )
            .build(),
    }
}

/// The tags of what EC2 makes beside the instance; those of instances and volumes come with the fleet.
fn of_what_it_makes(
    tags: &BTreeMap<String, String>,
    is_spot: bool,
) -> Vec<ec2::LaunchTemplateTagSpecificationRequest> {
    let kinds = [
        Some(ec2::ResourceType::NetworkInterface),
        is_spot.then_some(ec2::ResourceType::SpotInstancesRequest),
    ];
    let specification = |kind| {
        ec2::LaunchTemplateTagSpecificationRequest::builder()
            .resource_type(kind)
            .set_tags(Some(tags::of(tags)))
            .build()
    };
    kinds.into_iter().flatten().map(specification).collect()
}

/// The digest of a text, in hexadecimal; half of it, which is plenty for what lies in one account.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::tests::claim;

    fn class(spec: serde_json::Value) -> Ec2NodeClass {
        let mut whole = json!({
            "role": "node",
            "amiSelectorTerms": [{ "alias": "al2023@latest" }],
            "subnetSelectorTerms": [{ "id": "subnet-1" }],
            "securityGroupSelectorTerms": [{ "id": "sg-1" }],
        });
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": { "name": "default" },
            "spec": whole,
            "status": { "securityGroups": [{ "id": "sg-1" }], "instanceProfile": "nodes" },
        }))
        .unwrap()
    }

    fn made(spec: serde_json::Value, variant: &Variant) -> Template {
        let cluster = Cluster {
            name: "shop".to_owned(),
            endpoint: "https://shop.example".to_owned(),
            cidr: Some("10.100.0.0/16".to_owned()),
            ..Cluster::default()
        };
        template(&cluster, &class(spec), &claim("web", "web-1"), variant).unwrap()
    }

    fn variant() -> Variant {
        Variant { image: "ami-1".to_owned(), max_pods: 58, reservation: None, is_spot: true }
    }

    #[test]
    fn a_template_has_another_name_as_soon_as_it_says_something_else() {
        let first = made(json!({}), &variant()).name;
        assert_eq!(first, made(json!({}), &variant()).name);
        let others = [
            made(json!({ "detailedMonitoring": true }), &variant()),
            made(json!({ "tags": { "team": "a" } }), &variant()),
            made(json!({ "metadataOptions": { "httpTokens": "optional" } }), &variant()),
            made(json!({ "userData": "echo" }), &variant()),
            made(json!({ "associatePublicIPAddress": true }), &variant()),
            made(json!({}), &Variant { max_pods: 57, ..variant() }),
            made(json!({}), &Variant { image: "ami-2".to_owned(), ..variant() }),
            made(json!({}), &Variant { is_spot: false, ..variant() }),
        ];
        let names: std::collections::BTreeSet<_> = others.iter().map(|one| &one.name).collect();
        assert_eq!(names.len(), others.len());
        assert!(!names.contains(&first) && first.starts_with(PREFIX));
    }

    #[test]
    fn what_a_template_says_is_what_the_class_does() {
        let data = made(json!({}), &variant()).data;
        assert_eq!(data.image_id(), Some("ami-1"));
        assert_eq!(data.iam_instance_profile().and_then(|profile| profile.name()), Some("nodes"));
        assert_eq!(data.security_group_ids(), ["sg-1"]);
        let options = data.metadata_options().unwrap();
        assert_eq!(options.http_tokens(), Some(&ec2::LaunchTemplateHttpTokensState::Required));
        assert_eq!(options.http_put_response_hop_limit(), Some(1));
        let kinds: Vec<_> =
            data.tag_specifications().iter().map(|one| one.resource_type().cloned()).collect();
        assert_eq!(
            kinds,
            [Some(ec2::ResourceType::NetworkInterface), Some(ec2::ResourceType::SpotInstancesRequest)]
        );
    }
}
