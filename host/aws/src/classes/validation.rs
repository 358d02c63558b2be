//! Whether what was found for a class can be launched: user data and a launch template are made of it, and EC2 is asked,
//! by dry runs, whether it would allow CreateFleet and RunInstances.
//!
//! That something would not do is told by what EC2 says of the request, never by capacity, which may be there later.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_ec2::types as ec2;
use whittle_api::convert::node_class::ami_family;
use whittle_api::node_class::status::{Ami, Subnet};
use whittle_api::node_class::{AmiFamily, Ec2NodeClass};
use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::labels::{ACCELERATOR_COUNT, ARCH, GPU_COUNT};
use whittle_core::model::node::NodeClaim;
use whittle_core::model::price::Price;

use crate::classes::cache::Cache;
use crate::classes::choice::{TypeLabels, image_for};
use crate::classes::step::Miss;
use crate::cluster::Cluster;
use crate::connect::Clients;
use crate::error::{Failure, Reaction};
use crate::launch::tags;
use crate::launch::template::{Market, Template, Variant, digest, template};

/// What would do is asked again after this long (Karpenter: 30 min).
const LASTS: Duration = Duration::from_secs(30 * 60);
/// The NodePool that is named in what is made for a check and deleted after it. IAM conditions ask for one.
const NODE_POOL: &str = "validation";
/// How many pods the user data of a check speaks of; any number does.
const MAX_PODS: u64 = 110;
/// EC2 takes so many bytes of user data, before they are encoded.
const USER_DATA_MAX: usize = 16 * 1_024;
/// The types that a check names where it is not known yet what the class can launch: by the architecture of the images.
const TYPES: [(&str, &str); 2] = [("amd64", "m5.large"), ("arm64", "m6g.large")];

/// Checks classes.
#[derive(Debug)]
pub(crate) struct Checks {
    clients: Clients,
    is_dry_run: DryRun,
    passed: Cache<String, ()>,
}

/// Whether EC2 is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// It is.
    Asked,
    /// It is not: there are accounts in which dry runs are not answered rightly.
    Disabled,
}

/// What a check asks for.
#[derive(Clone, Debug)]
struct Trial {
    template: Template,
    instance_type: String,
    subnets: Vec<String>,
    /// One of them in each zone: a fleet takes no more of a type.
    of_zones: Vec<String>,
    /// The tags of what would be launched.
    tags: BTreeMap<String, String>,
    context: Option<String>,
    is_profile_ours: bool,
}

/// What a dry run says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// Soon, perhaps: a new profile and a new launch template become known little by little.
    NotYet(Failure),
    Refused(Failure),
}

impl Checks {
    /// Nothing was checked yet.
    pub(crate) const fn new(clients: Clients, is_dry_run: DryRun) -> Self {
        Self { clients, is_dry_run, passed: Cache::new(LASTS) }
    }

    /// Checks a class whose status says what was found. The reason is that of the condition when it is true.
    pub(crate) async fn check(
        &self,
        class: &Ec2NodeClass,
        cluster: Option<&Cluster>,
        allowed: &[InstanceType],
    ) -> Result<&'static str, Miss> {
        let trial = trial(class, cluster, allowed)?;
        if self.is_dry_run == DryRun::Disabled {
            return Ok("DryRunDisabled");
        }
        let key = digest(&format!("{:?} {:?}", trial.template.name, trial.subnets));
        if self.passed.get(&key, Instant::now()).is_none() {
            self.make(&trial.template).await?;
            let judged = self.launch(&trial).await;
            let deleted = self.delete(&trial.template).await;
            judged.and(deleted)?;
            self.passed.put(key, (), Instant::now());
        }
        Ok("ValidationSucceeded")
    }

    async fn launch(&self, trial: &Trial) -> Result<(), Miss> {
        self.fleet(trial).await?;
        self.run(trial).await
    }

    async fn make(&self, template: &Template) -> Result<(), Miss> {
        let request = self.clients.ec2.create_launch_template().launch_template_name(&template.name);
        let of_template = specification(ec2::ResourceType::LaunchTemplate, &template.tags);
        let request = request.launch_template_data(template.data.clone()).tag_specifications(of_template);
        let Err(error) = request.send().await else { return Ok(()) };
        let failure = Failure::of("ec2:CreateLaunchTemplate", &error);
        match failure.reaction() {
            // One that was left when the last process ended.
            Reaction::There => Ok(()),
            Reaction::Denied | Reaction::Rejected => {
                Err(not("CreateLaunchTemplateAuthCheckFailed", &failure))
            }
            _ => Err(failure.into()),
        }
    }

    async fn delete(&self, template: &Template) -> Result<(), Miss> {
        let request = self.clients.ec2.delete_launch_template().launch_template_name(&template.name);
        let Err(error) = request.send().await else { return Ok(()) };
        let failure = Failure::of("ec2:DeleteLaunchTemplate", &error);
        if failure.reaction() == Reaction::Missing { Ok(()) } else { Err(failure.into()) }
    }

    async fn fleet(&self, trial: &Trial) -> Result<(), Miss> {
        let of_template = ec2::FleetLaunchTemplateSpecificationRequest::builder()
            .launch_template_name(&trial.template.name)
            .version("$Latest")
            .build();
        let overrides = trial.of_zones.iter().map(|subnet| {
            ec2::FleetLaunchTemplateOverridesRequest::builder()
                .instance_type(trial.instance_type.as_str().into())
                .subnet_id(subnet)
                .build()
        });
        let config = ec2::FleetLaunchTemplateConfigRequest::builder()
            .launch_template_specification(of_template)
            .set_overrides(Some(overrides.collect()))
            .build();
        let capacity = ec2::TargetCapacitySpecificationRequest::builder()
            .default_target_capacity_type(ec2::DefaultTargetCapacityType::OnDemand)
            .total_target_capacity(1)
            .build();
        let kinds = [ec2::ResourceType::Instance, ec2::ResourceType::Volume, ec2::ResourceType::Fleet];
        let specifications = kinds.into_iter().map(|kind| specification(kind, &trial.tags)).collect();
        let answer = self
            .clients
            .ec2
            .create_fleet()
            .dry_run(true)
            .r#type(ec2::FleetType::Instant)
            .launch_template_configs(config)
            .target_capacity_specification(capacity)
            .set_tag_specifications(Some(specifications))
            .set_context(trial.context.clone())
            .send()
            .await;
        let failure = answer.err().map(|error| Failure::of("ec2:CreateFleet", &error));
        judged(failure, trial.is_profile_ours).done("CreateFleetAuthCheckFailed")
    }

    /// It is enough when one subnet will do; of all that do not, the first is told (Karpenter).
    async fn run(&self, trial: &Trial) -> Result<(), Miss> {
        let mut first = None;
        for subnet in &trial.subnets {
            let of_template = ec2::LaunchTemplateSpecification::builder()
                .launch_template_name(&trial.template.name)
                .version("$Latest")
                .build();
            let kinds =
                [ec2::ResourceType::Instance, ec2::ResourceType::Volume, ec2::ResourceType::NetworkInterface];
            let specifications = kinds.into_iter().map(|kind| specification(kind, &trial.tags)).collect();
            // A request with network interfaces of its own names their subnet there.
            let has_interfaces = !trial.template.data.network_interfaces().is_empty();
            let answer = self
                .clients
                .ec2
                .run_instances()
                .dry_run(true)
                .launch_template(of_template)
                .instance_type(trial.instance_type.as_str().into())
                .set_subnet_id((!has_interfaces).then(|| subnet.clone()))
                .set_network_interfaces(has_interfaces.then(|| vec![primary(subnet)]))
                .min_count(1)
                .max_count(1)
                .set_tag_specifications(Some(specifications))
                .send()
                .await;
            let failure = answer.err().map(|error| Failure::of("ec2:RunInstances", &error));
            match judged(failure, trial.is_profile_ours) {
                Verdict::Passed => return Ok(()),
                other => drop(first.get_or_insert(other)),
            }
        }
        first.map_or(Ok(()), |verdict| verdict.done("RunInstancesAuthCheckFailed"))
    }
}

impl Verdict {
    fn done(self, reason: &'static str) -> Result<(), Miss> {
        match self {
            Self::Passed => Ok(()),
            Self::NotYet(failure) => {
                let reason = if failure.is_about_profile() {
                    "InstanceProfileNotFound"
                } else {
                    "LaunchTemplateNotFound"
                };
                Err(Miss::Unknown { reason, message: failure.to_string() })
            }
            Self::Refused(failure) if failure.is_about_profile() => {
                Err(not("InstanceProfileNotFound", &failure))
            }
            Self::Refused(failure) => match failure.reaction() {
                Reaction::Later | Reaction::Unknown => Err(failure.into()),
                _ => Err(not(reason, &failure)),
            },
        }
    }
}

/// What EC2 says of a dry run. That there is no capacity, or not here, is said of what it would have allowed.
fn judged(failure: Option<Failure>, is_profile_ours: bool) -> Verdict {
    let Some(failure) = failure else { return Verdict::Passed };
    match failure.reaction() {
        Reaction::WouldDo | Reaction::OtherOfferings => Verdict::Passed,
        Reaction::Rejected | Reaction::Missing if failure.is_about_profile() && is_profile_ours => {
            Verdict::NotYet(failure)
        }
        // It was made a moment ago.
        Reaction::Missing if failure.is_about_template() => Verdict::NotYet(failure),
        Reaction::Later
        | Reaction::Missing
        | Reaction::There
        | Reaction::Launched
        | Reaction::Denied
        | Reaction::Rejected
        | Reaction::Unknown => Verdict::Refused(failure),
    }
}

fn not(reason: &'static str, failure: &Failure) -> Miss {
    Miss::Not { reason, message: failure.to_string() }
}

fn primary(subnet: &str) -> ec2::InstanceNetworkInterfaceSpecification {
    ec2::InstanceNetworkInterfaceSpecification::builder().device_index(0).subnet_id(subnet).build()
}

fn specification(kind: ec2::ResourceType, of: &BTreeMap<String, String>) -> ec2::TagSpecification {
    ec2::TagSpecification::builder().resource_type(kind).set_tags(Some(tags::of(of))).build()
}

/// What is asked for, or what is wrong before anybody is asked.
fn trial(class: &Ec2NodeClass, cluster: Option<&Cluster>, allowed: &[InstanceType]) -> Result<Trial, Miss> {
    let family = ami_family(&class.spec);
    if let AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025 = family {
        let message = format!("nodes of the family {family:?} cannot be launched");
        return Err(Miss::Not { reason: "UnsupportedAMIFamily", message });
    }
    let Some(cluster) = cluster else {
        let message = "the cluster is not known yet".to_owned();
        return Err(Miss::Unknown { reason: "ClusterNotFound", message });
    };
    if family == AmiFamily::AL2023 && cluster.cidr.is_none() {
        let message = "the CIDR of the cluster's services is not known".to_owned();
        return Err(Miss::Unknown { reason: "ClusterCIDRResolutionFailed", message });
    }
    let status = class.status.clone().unwrap_or_default();
    let Some((image, instance_type)) = image(class, allowed) else {
        let message = "there is no image for any instance type".to_owned();
        return Err(Miss::Unknown { reason: "DependenciesNotReady", message });
    };
    let variant = Variant { image, max_pods: MAX_PODS, efa_interfaces: 0, market: Market::OnDemand };
    let made = template(cluster, class, &claim(class), &variant);
    let made = made.map_err(|message| Miss::Not { reason: "UserDataInvalid", message })?;
    let encoded = made.data.user_data().map_or(0, str::len);
    if encoded > USER_DATA_MAX.div_ceil(3) * 4 {
        let message = format!("user data has {} bytes, EC2 takes {USER_DATA_MAX}", encoded / 4 * 3);
        return Err(Miss::Not { reason: "UserDataSizeLimitExceeded", message });
    }
    let name = class.metadata.name.as_deref().unwrap_or_default();
    Ok(Trial {
        tags: tags::common(&cluster.name, NODE_POOL, name, &class.spec.tags),
        template: made,
        instance_type,
        of_zones: one_of_each_zone(&status.subnets),
        subnets: status.subnets.into_iter().map(|subnet| subnet.id).collect(),
        context: class.spec.context.clone(),
        is_profile_ours: class.spec.role.is_some(),
    })
}

fn one_of_each_zone(subnets: &[Subnet]) -> Vec<String> {
    let by_zone: BTreeMap<&str, &Subnet> =
        subnets.iter().rev().map(|subnet| (subnet.zone.as_str(), subnet)).collect();
    by_zone.into_values().map(|subnet| subnet.id.clone()).collect()
}

/// An image of the class and a type that boots it: of what its NodePools allow, because others may be forbidden in the
/// account, the cheapest that is not accelerated.
fn image(class: &Ec2NodeClass, allowed: &[InstanceType]) -> Option<(String, String)> {
    let amis = &class.status.as_ref()?.amis;
    let mut allowed: Vec<&InstanceType> = allowed.iter().collect();
    allowed.sort_by_key(|kind| {
        let is_accelerated = [GPU_COUNT, ACCELERATOR_COUNT].iter().any(|key| kind.labels.contains_key(*key));
        let on_demand = kind.offerings.iter().filter(|one| one.capacity_type == CapacityType::OnDemand);
        (is_accelerated, on_demand.map(|one| one.price).min().unwrap_or(Price::MAX), &kind.name)
    });
    let booted = |kind: &&InstanceType| Some((image_for(amis, &kind.labels)?.id.clone(), kind.name.clone()));
    allowed.iter().find_map(booted).or_else(|| usual(amis))
}

/// Whoever has images for accelerated types only has them tried on one without: EC2 does not mind.
fn usual(amis: &[Ami]) -> Option<(String, String)> {
    let accelerators = [&[][..], &[GPU_COUNT], &[ACCELERATOR_COUNT]];
    accelerators.into_iter().find_map(|keys| {
        TYPES.iter().find_map(|(arch, instance_type)| {
            let arch = (ARCH.to_owned(), vec![(*arch).to_owned()]);
            let counts = keys.iter().map(|key| ((*key).to_owned(), vec!["1".to_owned()]));
            let labels: TypeLabels = counts.chain([arch]).collect();
            image_for(amis, &labels).map(|ami| (ami.id.clone(), (*instance_type).to_owned()))
        })
    })
}

/// A NodeClaim that asks for nothing.
fn claim(class: &Ec2NodeClass) -> NodeClaim {
    NodeClaim {
        name: NODE_POOL.to_owned(),
        node_pool: NODE_POOL.to_owned(),
        node_class: class.metadata.name.clone().unwrap_or_default(),
        ..NodeClaim::default()
    }
}

#[cfg(test)]
mod tests;
