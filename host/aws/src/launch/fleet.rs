//! CreateFleet, and the launch templates that it needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use aws_sdk_ec2::operation::create_fleet::CreateFleetOutput;
use aws_sdk_ec2::types as ec2;
use futures::future::join_all;
use whittle_control::ports::CloudError;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::time::Timestamp;

use super::answer::{Launched, shared_out, used_up, without_addresses};
use super::request::{Override, Request};
use super::tags;
use super::template::{Reserved, Template, digest};
use super::templates::Templates;
use crate::connect::Clients;
use crate::error::{Failure, Reaction, is_about_template, reaction};
use crate::known::Known;

/// Launches fleets, and remembers which launch templates are there.
#[derive(Debug)]
pub(crate) struct Fleets {
    clients: Clients,
    cluster: String,
    known: Arc<Known>,
    clock: fn() -> Timestamp,
    templates: Templates,
    /// How often requests for the same NodeClaims were refused.
    attempts: Mutex<BTreeMap<String, u32>>,
}

impl Fleets {
    /// No launch template is known yet.
    pub(crate) fn new(clients: Clients, cluster: &str, known: Arc<Known>, clock: fn() -> Timestamp) -> Self {
        Self {
            known,
            templates: Templates::new(clock()),
            clients,
            cluster: cluster.to_owned(),
            clock,
            attempts: Mutex::default(),
        }
    }

    /// Deletes the launch templates that nobody has launched from for long.
    pub(crate) async fn sweep(&self, now: Timestamp) {
        self.templates.sweep(&self.clients, &self.cluster, now).await;
    }

    /// Launches an instance for each of the NodeClaims, and answers in their order.
    pub(crate) async fn launch(
        &self,
        request: &Request,
        claims: Vec<String>,
    ) -> Vec<Result<Launched, CloudError>> {
        if let Err(failure) = self.provide(request).await {
            return claims.iter().map(|_| Err(refused(request, failure.clone()))).collect();
        }
        let fleets = tags::fleets(&request.node_pool, claims.clone());
        // Each takes EC2 some seconds.
        let launched = join_all(fleets.iter().map(|fleet| self.launch_fleet(request, fleet))).await;
        let answered = fleets.iter().zip(launched).flat_map(|(fleet, answers)| fleet.iter().zip(answers));
        let mut answers: BTreeMap<&String, _> = answered.collect();
        let never = || Err(CloudError::Transport { message: "asked for twice at a time".to_owned() });
        claims.iter().map(|claim| answers.remove(claim).unwrap_or_else(never)).collect()
    }

    async fn launch_fleet(&self, request: &Request, claims: &[String]) -> Vec<Result<Launched, CloudError>> {
        match self.answered(request, claims).await {
            Ok(answer) => {
                for subnet in without_addresses(answer.errors()) {
                    self.known.addresses.none_left(subnet);
                }
                // Until somebody looks again, within a minute.
                let used_up = used_up(request, answer.errors()).map(|reservation| (reservation, 0));
                self.known.put_reserved(used_up.collect());
                shared_out(request, claims.len(), answer.instances(), answer.errors())
            }
            Err(failure) => {
                let error = refused(request, failure);
                claims.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    /// Asks once more where a launch template was deleted behind our back.
    async fn answered(&self, request: &Request, claims: &[String]) -> Result<CreateFleetOutput, Failure> {
        let first = self.create(request, claims).await;
        if !is_template_missing(&first) {
            return first;
        }
        tracing::warn!("a launch template was deleted by somebody else: it is made anew");
        self.forget(request);
        self.provide(request).await?;
        self.create(request, claims).await
    }

    async fn create(&self, request: &Request, claims: &[String]) -> Result<CreateFleetOutput, Failure> {
        let key = key(&self.cluster, claims);
        let attempt = self.attempts(|attempts| attempts.get(&key).copied().unwrap_or(0));
        let answer = self.send(request, claims, token(&key, attempt)).await;
        self.attempts(|attempts| match is_final(&answer) {
            Some(Launch::Over) => drop(attempts.remove(&key)),
            Some(Launch::Refused) => drop(attempts.insert(key, attempt + 1)),
            None => {}
        });
        answer
    }

    async fn send(
        &self,
        request: &Request,
        claims: &[String],
        token: String,
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
            .client_token(token)
            .target_capacity_specification(capacity(request, claims.len()))
            .set_spot_options(of_spot(request))
            .set_on_demand_options(of_on_demand(request))
            .set_reserved_capacity_options(lent(request))
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
            if !self.templates.is_there(&template.name, (self.clock)()) {
                self.make(template).await?;
                self.templates.is_made(&template.name, (self.clock)());
            }
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
        for (template, _) in &request.templates {
            self.templates.is_gone(&template.name);
        }
    }

    fn attempts<T>(&self, look: impl FnOnce(&mut BTreeMap<String, u32>) -> T) -> T {
        look(&mut self.attempts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is said of a whole request holds for all that it asked for.
fn refused(request: &Request, failure: Failure) -> CloudError {
    match failure.reaction() {
        Reaction::OtherOfferings => {
            tracing::warn!("{failure}");
            let offerings = request.overrides().map(|one| one.offering.clone()).collect();
            CloudError::InsufficientCapacity { offerings }
        }
        _ => failure.into(),
    }
}

/// What came of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Launch {
    /// Instances, or no capacity: these NodeClaims are not asked for again.
    Over,
    /// A refusal: they may be.
    Refused,
}

/// What came of a launch, if EC2 has said so for good.
///
/// EC2 answers a token that it knows as it did the first time, so after a refusal the next request needs another. One whose
/// token was used for another request launches nothing either, and who was launched by that one was looked for before.
fn is_final(answer: &Result<CreateFleetOutput, Failure>) -> Option<Launch> {
    let is_refusal = |code| reaction(code) != Reaction::OtherOfferings;
    match answer {
        Ok(answer) if !answer.instances().is_empty() => Some(Launch::Over),
        Ok(answer) if answer.errors().iter().any(|error| is_refusal(error.error_code())) => {
            Some(Launch::Refused)
        }
        Ok(_) => Some(Launch::Over),
        Err(failure) => match failure.reaction() {
            Reaction::Launched | Reaction::Denied | Reaction::Rejected | Reaction::Missing => {
                Some(Launch::Refused)
            }
            Reaction::OtherOfferings => Some(Launch::Over),
            Reaction::Later | Reaction::There | Reaction::WouldDo | Reaction::Unknown => None,
        },
    }
}

fn key(cluster: &str, claims: &[String]) -> String {
    digest(&format!("{cluster}\n{}", claims.join("\n")))
}

/// The same NodeClaims have the same token until EC2 has refused them, so that a request that is made again because its
/// answer was lost launches nothing more.
fn token(key: &str, attempt: u32) -> String {
    format!("{key}-{attempt}")
}

fn capacity(request: &Request, count: usize) -> ec2::TargetCapacitySpecificationRequest {
    let bought = match (request.capacity_type, request.reserved) {
        (CapacityType::Spot, _) => ec2::DefaultTargetCapacityType::Spot,
        (_, Some(Reserved::CapacityBlock)) => ec2::DefaultTargetCapacityType::CapacityBlock,
        (_, Some(Reserved::Interruptible)) => ec2::DefaultTargetCapacityType::ReservedCapacity,
        (CapacityType::OnDemand | CapacityType::Reserved, _) => ec2::DefaultTargetCapacityType::OnDemand,
    };
    ec2::TargetCapacitySpecificationRequest::builder()
        .default_target_capacity_type(bought)
        .total_target_capacity(i32::try_from(count).unwrap_or(i32::MAX))
        .build()
}

fn of_spot(request: &Request) -> Option<ec2::SpotOptionsRequest> {
    let strategy = ec2::SpotAllocationStrategy::PriceCapacityOptimized;
    let builder = ec2::SpotOptionsRequest::builder().allocation_strategy(strategy);
    (request.capacity_type == CapacityType::Spot).then(|| builder.build())
}

/// What is reserved on demand is launched on demand.
fn of_on_demand(request: &Request) -> Option<ec2::OnDemandOptionsRequest> {
    let is_on_demand = match request.reserved {
        Some(Reserved::CapacityBlock | Reserved::Interruptible) => false,
        Some(Reserved::OnDemand) | None => request.capacity_type != CapacityType::Spot,
    };
    let strategy = ec2::FleetOnDemandAllocationStrategy::LowestPrice;
    let builder = ec2::OnDemandOptionsRequest::builder().allocation_strategy(strategy);
    is_on_demand.then(|| builder.build())
}

/// Capacity that another account lends is asked for by its kind.
fn lent(request: &Request) -> Option<ec2::ReservedCapacityOptionsRequest> {
    let kind = ec2::FleetReservationType::InterruptibleCapacityReservation;
    let builder = ec2::ReservedCapacityOptionsRequest::builder().reservation_types(kind);
    (request.reserved == Some(Reserved::Interruptible)).then(|| builder.build())
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
    match answer {
        Ok(answer) => {
            answer.instances().is_empty()
                && answer.errors().iter().any(|error| is_about_template(error.error_code()))
        }
        Err(failure) => failure.reaction() == Reaction::Missing && failure.is_about_template(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Result<CreateFleetOutput, Failure> {
        let message = String::new();
        Err(Failure { operation: "ec2:CreateFleet", code: Some(code.to_owned()), message })
    }

    fn said(code: &str) -> CreateFleetOutput {
        let error = ec2::CreateFleetError::builder().error_code(code).build();
        CreateFleetOutput::builder().errors(error).build()
    }

    #[test]
    fn a_lost_answer_keeps_its_token_and_a_refusal_does_not() {
        let launched = CreateFleetOutput::builder()
            .instances(ec2::CreateFleetInstance::builder().instance_ids("i-1").build())
            .build();
        let lost = Failure { operation: "ec2:CreateFleet", code: None, message: String::new() };
        for (answer, expected) in [
            (Ok(launched), Some(Launch::Over)),
            (Ok(said("InsufficientInstanceCapacity")), Some(Launch::Over)),
            (Ok(said("UnauthorizedOperation")), Some(Launch::Refused)),
            (refused("UnauthorizedOperation"), Some(Launch::Refused)),
            (refused("MaxSpotInstanceCountExceeded"), Some(Launch::Over)),
            (refused("IdempotentParameterMismatch"), Some(Launch::Refused)),
            (refused("InternalError"), None),
            (refused("RequestLimitExceeded"), None),
            (Err(lost), None),
        ] {
            assert_eq!(is_final(&answer), expected, "{answer:?}");
        }
        let key = key("shop", &["web-1".to_owned(), "web-2".to_owned()]);
        assert_ne!(token(&key, 0), token(&key, 1));
        assert!(token(&key, u32::MAX).len() <= 64, "EC2 takes no longer one");
    }
}
