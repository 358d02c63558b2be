//! A launch template: what all instances of a launch have in common, named by its own content.
//!
//! Two launches with the same content share a template, whoever made it; what changes has another name, so nothing is
//! ever changed in place.

use std::collections::BTreeMap;

use aws_sdk_ec2::types as ec2;
use aws_smithy_types::base64;
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
pub(super) const PREFIX: &str = "karpenter.k8s.aws/";

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
    /// How many EFA interfaces the nodes have, beside what the class says.
    pub(crate) efa_interfaces: u64,
    /// How it is bought.
    pub(crate) market: Market,
}

/// How instances of a template are bought.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Market {
    /// Spot capacity.
    Spot,
    /// On demand.
    OnDemand,
    /// From the capacity reservation of this id.
    Reservation(String, Reserved),
}

/// How a capacity reservation was bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reserved {
    /// On demand.
    OnDemand,
    /// For some days, a long time before.
    CapacityBlock,
    /// Lent by another account, which may take it back.
    Interruptible,
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
    let profile = status
        .instance_profile
        .map(|name| ec2::LaunchTemplateIamInstanceProfileSpecificationRequest::builder().name(name).build());
    let (interfaces, groups) = network::interfaces(spec, groups, variant.efa_interfaces);
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
        .set_placement(placement(claim))
        .set_instance_market_options(bought(&variant.market))
        .capacity_reservation_specification(reservation(&variant.market))
        .set_tag_specifications(Some(of_what_it_makes(&tags, variant.market == Market::Spot)))
        .build();
    // What the SDK prints of it leaves user data out.
    let name = digest(&format!("{} {text:?} {tags:?} {data:?}", cluster.name));
    Ok(Template { name: format!("{PREFIX}{name}"), data, tags })
}

/// Hardware of one's own, for NodeClaims that ask for it. EC2 shares it otherwise.
fn placement(claim: &NodeClaim) -> Option<ec2::LaunchTemplatePlacementRequest> {
    let shared = "default".to_owned();
    let is_labelled = claim.labels.get(labels::TENANCY).is_some_and(|tenancy| *tenancy != shared);
    let mut requirements = claim.requirements.iter().filter(|one| one.key == labels::TENANCY);
    let is_required = requirements.any(|one| !one.can_be_fulfilled_by(std::slice::from_ref(&shared)));
    let builder = ec2::LaunchTemplatePlacementRequest::builder();
    (is_labelled || is_required).then(|| builder.tenancy(ec2::Tenancy::Dedicated).build())
}

fn input<'a>(cluster: &'a Cluster, class: &'a Ec2NodeClass, claim: &NodeClaim, max_pods: u64) -> Input<'a> {
    let unregistered = Taint {
        key: labels::UNREGISTERED_TAINT.to_owned(),
        value: String::new(),
        effect: TaintEffect::NoExecute,
    };
    let mut of_node = claim.labels.clone();
    of_node.insert(labels::NODE_POOL.to_owned(), claim.node_pool.clone());
    // What tolerates everything may have begun before anybody here has seen the Node, and have taken its startup taint off.
    of_node.insert(labels::DO_NOT_SYNC_TAINTS.to_owned(), "true".to_owned());
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

/// What a template has to say of how its instances are bought; CreateFleet says the rest.
fn bought(market: &Market) -> Option<ec2::LaunchTemplateInstanceMarketOptionsRequest> {
    let kind = match market {
        Market::Spot | Market::OnDemand | Market::Reservation(_, Reserved::OnDemand) => return None,
        Market::Reservation(_, Reserved::CapacityBlock) => ec2::MarketType::CapacityBlock,
        Market::Reservation(_, Reserved::Interruptible) => ec2::MarketType::InterruptibleCapacityReservation,
    };
    Some(ec2::LaunchTemplateInstanceMarketOptionsRequest::builder().market_type(kind).build())
}

/// An instance takes a reservation that it was meant for, and no other that happens to be open.
fn reservation(market: &Market) -> ec2::LaunchTemplateCapacityReservationSpecificationRequest {
    let builder = ec2::LaunchTemplateCapacityReservationSpecificationRequest::builder();
    match market {
        Market::Spot | Market::OnDemand => {
            builder.capacity_reservation_preference(ec2::CapacityReservationPreference::None).build()
        }
        Market::Reservation(id, _) => builder
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
    use serde_json::json;
    use whittle_core::model::requirement::{Operator, Requirement};

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
        made_for(&claim("web", "web-1"), spec, variant)
    }

    fn made_for(claim: &NodeClaim, spec: serde_json::Value, variant: &Variant) -> Template {
        let cluster = Cluster {
            name: "shop".to_owned(),
            endpoint: "https://shop.example".to_owned(),
            cidr: Some("10.100.0.0/16".to_owned()),
            ..Cluster::default()
        };
        template(&cluster, &class(spec), claim, variant).unwrap()
    }

    fn variant() -> Variant {
        Variant { image: "ami-1".to_owned(), max_pods: 58, efa_interfaces: 0, market: Market::Spot }
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
            made(json!({}), &Variant { market: Market::OnDemand, ..variant() }),
            made(json!({}), &Variant { efa_interfaces: 4, ..variant() }),
            made_for(&dedicated(), json!({}), &variant()),
        ];
        let names: std::collections::BTreeSet<_> = others.iter().map(|one| &one.name).collect();
        assert_eq!(names.len(), others.len());
        assert!(!names.contains(&first) && first.starts_with(PREFIX));
    }

    fn dedicated() -> NodeClaim {
        let tenancy = Requirement::new(labels::TENANCY, Operator::In, vec!["dedicated"]);
        NodeClaim { requirements: vec![tenancy], ..claim("web", "web-1") }
    }

    #[test]
    fn hardware_of_ones_own_is_for_claims_that_take_no_other() {
        let tenancy = |claim: &NodeClaim| placement(claim).and_then(|place| place.tenancy().cloned());
        let asking = |operator, values: &[&str]| NodeClaim {
            requirements: vec![Requirement::new(labels::TENANCY, operator, values.to_vec())],
            ..claim("web", "web-1")
        };
        let labelled = |value: &str| NodeClaim {
            labels: [(labels::TENANCY.to_owned(), value.to_owned())].into(),
            ..claim("web", "web-1")
        };
        for own in [dedicated(), asking(Operator::NotIn, &["default"]), labelled("dedicated")] {
            assert_eq!(tenancy(&own), Some(ec2::Tenancy::Dedicated), "{own:?}");
        }
        let either = asking(Operator::In, &["dedicated", "default"]);
        for shared in [claim("web", "web-1"), either, labelled("default")] {
            assert_eq!(tenancy(&shared), None, "{shared:?}");
        }
    }

    #[test]
    fn each_kind_of_reservation_is_bought_in_its_own_way() {
        let data = |market| made(json!({}), &Variant { market, ..variant() }).data;
        let bought = |kind| {
            let data = data(Market::Reservation("cr-1".to_owned(), kind));
            let specification = data.capacity_reservation_specification().unwrap().clone();
            let target = specification.capacity_reservation_target().unwrap();
            assert_eq!(target.capacity_reservation_id(), Some("cr-1"));
            data.instance_market_options().and_then(|options| options.market_type().cloned())
        };
        assert_eq!(bought(Reserved::OnDemand), None);
        assert_eq!(bought(Reserved::CapacityBlock), Some(ec2::MarketType::CapacityBlock));
        let lent = Some(ec2::MarketType::InterruptibleCapacityReservation);
        assert_eq!(bought(Reserved::Interruptible), lent);
        let none = data(Market::OnDemand);
        let preference = none.capacity_reservation_specification().unwrap().capacity_reservation_preference();
        assert_eq!(preference, Some(&ec2::CapacityReservationPreference::None));
    }

    #[test]
    fn what_a_template_says_is_what_the_class_does() {
        let data = made(json!({}), &variant()).data;
        assert_eq!(data.image_id(), Some("ami-1"));
        assert_eq!(data.iam_instance_profile().and_then(|profile| profile.name()), Some("nodes"));
        assert_eq!(data.security_group_ids(), ["sg-1"]);
        let text = String::from_utf8(base64::decode(data.user_data().unwrap()).unwrap()).unwrap();
        assert!(text.contains("karpenter.sh/do-not-sync-taints=true"), "{text}");
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
