//! CreateFleet, and the launch templates that it needs.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use aws_sdk_ec2::operation::create_fleet::CreateFleetOutput;
use aws_sdk_ec2::types as ec2;
use whittle_control::ports::CloudError;
use whittle_core::model::instance_type::CapacityType;

use super::answer::{Launched, shared_out};
use super::request::{Override, Request};
use super::tags;
use super::template::{Template, digest};
use crate::connect::Clients;
use crate::error::{Failure, Reaction, reaction};

/// Launches fleets, and remembers which launch templates are there.
#[derive(Debug)]
pub(crate) struct Fleets {
    clients: Clients,
    cluster: String,
    templates: Mutex<BTreeSet<String>>,
}

impl Fleets {
    /// No launch template is known yet.
    pub(crate) fn new(clients: Clients, cluster: &str) -> Self {
        Self { clients, cluster: cluster.to_owned(), templates: Mutex::default() }
    }

    /// Launches an instance for each of the NodeClaims, and answers in their order.
    pub(crate) async fn launch(
        &self,
        request: &Request,
        claims: Vec<String>,
    ) -> Vec<Result<Launched, CloudError>> {
        let mut answers = std::collections::BTreeMap::new();
        for fleet in tags::fleets(&request.node_pool, claims.clone()) {
            let launched = self.launch_fleet(request, &fleet).await;
            answers.extend(fleet.into_iter().zip(launched));
        }
        let never = || Err(CloudError::Transport { message: "asked for twice at a time".to_owned() });
        claims.iter().map(|claim| answers.remove(claim).unwrap_or_else(never)).collect()
    }

    async fn launch_fleet(&self, request: &Request, claims: &[String]) -> Vec<Result<Launched, CloudError>> {
        match self.answered(request, claims).await {
            Ok(answer) => shared_out(request, claims.len(), answer.instances(), answer.errors()),
            Err(error) => claims.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Asks once more where a launch template was deleted behind our back.
    async fn answered(&self, request: &Request, claims: &[String]) -> Result<CreateFleetOutput, CloudError> {
        self.provide(request).await?;
        let first = self.create(request, claims, 0).await;
        if !is_template_missing(&first) {
            return Ok(first?);
        }
        tracing::warn!("a launch template was deleted by somebody else: it is made anew");
        self.forget(request);
        self.provide(request).await?;
        Ok(self.create(request, claims, 1).await?)
    }

    async fn create(
        &self,
        request: &Request,
        claims: &[String],
        attempt: u32,
    ) -> Result<CreateFleetOutput, Failure> {
        let mut of_each = request.tags.clone();
        match claims {
            [one] => of_each.insert(tags::NODE_CLAIM.to_owned(), one.clone()),
            several => of_each.insert(tags::NODE_CLAIMS.to_owned(), tags::names(&request.node_pool, several)),
        };
        let specification = |kind| {
            ec2::TagSpecification::builder().resource_type(kind).set_tags(Some(tags::of(&of_each))).build()
        };
        let kinds = [ec2::ResourceType::Instance, ec2::ResourceType::Volume, ec2::ResourceType::Fleet];
        self.clients
            .ec2
            .create_fleet()
            .r#type(ec2::FleetType::Instant)
            .client_token(token(&self.cluster, claims, attempt))
            .target_capacity_specification(capacity(request.capacity_type, claims.len()))
            .spot_options(
                ec2::SpotOptionsRequest::builder()
                    .allocation_strategy(ec2::SpotAllocationStrategy::PriceCapacityOptimized)
                    .build(),
            )
            .on_demand_options(
                ec2::OnDemandOptionsRequest::builder()
                    .allocation_strategy(ec2::FleetOnDemandAllocationStrategy::LowestPrice)
                    .build(),
            )
            .set_launch_template_configs(Some(request.templates.iter().map(config).collect()))
            .set_tag_specifications(Some(kinds.into_iter().map(specification).collect()))
            .set_context(request.context.clone())
            .send()
            .await
            .map_err(|error| Failure::of("ec2:CreateFleet", &error))
    }

    /// Makes the launch templates that are not there yet.
    async fn provide(&self, request: &Request) -> Result<(), Failure> {
        for (template, _) in &request.templates {
            if self.known(|known| known.contains(&template.name)) {
                continue;
            }
            self.make(template).await?;
            self.known(|known| known.insert(template.name.clone()));
        }
        Ok(())
    }

    async fn make(&self, template: &Template) -> Result<(), Failure> {
        let specification = ec2::TagSpecification::builder()
            .resource_type(ec2::ResourceType::LaunchTemplate)
            .set_tags(Some(tags::of(&template.tags)))
            .build();
        let made = self
            .clients
            .ec2
            .create_launch_template()
            .launch_template_name(&template.name)
            .launch_template_data(template.data.clone())
            .tag_specifications(specification)
            .send()
            .await;
        match made {
            Ok(_) => Ok(()),
            // Its name says that it is the same.
            Err(error) if reaction(error.code()) == Reaction::There => Ok(()),
            Err(error) => Err(Failure::of("ec2:CreateLaunchTemplate", &error)),
        }
    }

    fn forget(&self, request: &Request) {
        self.known(|known| {
            for (template, _) in &request.templates {
                known.remove(&template.name);
            }
        });
    }

    /// Forgets all launch templates: what was deleted is made anew when it is needed.
    pub(crate) fn forget_all(&self) {
        self.known(BTreeSet::clear);
    }

    fn known<T>(&self, look: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        look(&mut self.templates.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The same NodeClaims have the same token, so that a request that is made again launches nothing more. One that is made
/// with new launch templates is another.
fn token(cluster: &str, claims: &[String], attempt: u32) -> String {
    digest(&format!("{cluster}\n{}\n{attempt}", claims.join("\n")))
}

fn capacity(capacity_type: CapacityType, count: usize) -> ec2::TargetCapacitySpecificationRequest {
    let bought = match capacity_type {
        CapacityType::Spot => ec2::DefaultTargetCapacityType::Spot,
        CapacityType::OnDemand | CapacityType::Reserved => ec2::DefaultTargetCapacityType::OnDemand,
    };
    ec2::TargetCapacitySpecificationRequest::builder()
        .default_target_capacity_type(bought)
        .total_target_capacity(i32::try_from(count).unwrap_or(i32::MAX))
        .build()
}

fn config((template, overrides): &(Template, Vec<Override>)) -> ec2::FleetLaunchTemplateConfigRequest {
    let specification = ec2::FleetLaunchTemplateSpecificationRequest::builder()
        .launch_template_name(&template.name)
        .version("$Latest")
        .build();
    let overrides = overrides.iter().map(|one| {
        ec2::FleetLaunchTemplateOverridesRequest::builder()
            .instance_type(one.offering.instance_type.as_str().into())
            .subnet_id(&one.subnet)
            .image_id(&one.image)
            .availability_zone(&one.offering.zone)
            .build()
    });
    ec2::FleetLaunchTemplateConfigRequest::builder()
        .launch_template_specification(specification)
        .set_overrides(Some(overrides.collect()))
        .build()
}

/// EC2 says so of the whole request, or of each override.
fn is_template_missing(answer: &Result<CreateFleetOutput, Failure>) -> bool {
    let is_missing = |code: Option<&str>| code.is_some_and(|code| code.starts_with("InvalidLaunchTemplate"));
    match answer {
        Ok(answer) => {
            answer.instances().is_empty()
                && answer.errors().iter().any(|error| is_missing(error.error_code()))
        }
        Err(failure) => failure.reaction() == Reaction::Missing && is_missing(failure.code.as_deref()),
    }
}
