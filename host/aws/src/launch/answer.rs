//! What CreateFleet answers: instances for some of the NodeClaims, and why not for the others.

use aws_sdk_ec2::types::{CreateFleetError, CreateFleetInstance, FleetLaunchTemplateOverrides};
use whittle_control::ports::CloudError;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::plan::LaunchOffering;

use super::request::{Override, Request};
use crate::error::{Failure, Reaction, reaction};

/// A capacity reservation is used up.
const NONE_RESERVED: &str = "ReservationCapacityExceeded";
/// A subnet is full.
const NO_ADDRESSES: &str = "InsufficientFreeAddressesInSubnet";

/// An instance that was launched: as which offering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launched {
    /// Its id: `i-…`.
    pub(crate) id: String,
    /// As what.
    pub(crate) offering: LaunchOffering,
    /// Where.
    pub(crate) subnet: String,
    /// What EC2 did not have.
    pub(crate) refused: Vec<LaunchOffering>,
}

/// What each of `claims` gets, in their order: the instances in the order of their ids go to the first of them, so that
/// whoever looks again later gives each the same.
pub(crate) fn shared_out(
    request: &Request,
    claims: usize,
    instances: &[CreateFleetInstance],
    errors: &[CreateFleetError],
) -> Vec<Result<Launched, CloudError>> {
    let refused = refused(request, errors);
    let mut launched: Vec<Launched> =
        instances.iter().flat_map(|one| of_answer(request, one, &refused)).collect();
    launched.sort_by(|a, b| a.id.cmp(&b.id));
    launched.truncate(claims);
    let lacking = claims - launched.len();
    let why = || why_not(request, errors, &refused);
    launched.into_iter().map(Ok).chain(std::iter::repeat_with(|| Err(why())).take(lacking)).collect()
}

fn of_answer(request: &Request, answer: &CreateFleetInstance, refused: &[LaunchOffering]) -> Vec<Launched> {
    let overrides = answer.launch_template_and_overrides().and_then(|one| one.overrides());
    let kind =
        answer.instance_type().or_else(|| overrides.and_then(FleetLaunchTemplateOverrides::instance_type));
    let subnet = answer.subnet_id().or_else(|| overrides.and_then(FleetLaunchTemplateOverrides::subnet_id));
    let zone = answer
        .availability_zone()
        .or_else(|| overrides.and_then(FleetLaunchTemplateOverrides::availability_zone));
    let chosen = request.overrides().find(|one| {
        kind.is_some_and(|kind| kind.as_str() == one.offering.instance_type)
            && (subnet == Some(one.subnet.as_str())
                || (subnet.is_none() && zone == Some(one.offering.zone.as_str())))
    });
    let Some(chosen) = chosen else { return Vec::new() };
    let ids = answer.instance_ids().iter().cloned();
    let Override { offering, subnet, .. } = chosen;
    let launched =
        |id| Launched { id, offering: offering.clone(), subnet: subnet.clone(), refused: refused.to_vec() };
    ids.map(launched).collect()
}

/// The subnets in which EC2 has found no addresses.
pub(crate) fn without_addresses(errors: &[CreateFleetError]) -> impl Iterator<Item = &str> {
    errors.iter().filter(|error| error.error_code() == Some(NO_ADDRESSES)).filter_map(subnet_of)
}

fn subnet_of(error: &CreateFleetError) -> Option<&str> {
    error.launch_template_and_overrides()?.overrides()?.subnet_id()
}

/// The capacity reservations of which nothing is left.
pub(crate) fn used_up<'a>(
    request: &'a Request,
    errors: &'a [CreateFleetError],
) -> impl Iterator<Item = String> + 'a {
    let exceeded = errors.iter().filter(|error| error.error_code() == Some(NONE_RESERVED));
    exceeded.flat_map(|error| concerned(request, error)).filter_map(|one| one.reservation)
}

/// Whether another subnet of the zone will do: what could not be had in this one can be had there.
fn is_elsewhere(request: &Request, error: &CreateFleetError) -> bool {
    error.error_code() == Some(NO_ADDRESSES)
        && subnet_of(error).is_some_and(|subnet| request.spare.contains(subnet))
}

/// Why there is no instance: what EC2 refused, or else what has to be said to somebody.
fn why_not(request: &Request, errors: &[CreateFleetError], refused: &[LaunchOffering]) -> CloudError {
    if refused.is_empty()
        && let Some(full) = errors.iter().find(|error| is_elsewhere(request, error))
    {
        let subnet = subnet_of(full).unwrap_or_default();
        return CloudError::Transport {
            message: format!("{subnet} has no free addresses, another is tried"),
        };
    }
    if refused.is_empty() && errors.iter().any(|error| error.error_code() == Some(NONE_RESERVED)) {
        return CloudError::InsufficientCapacity { offerings: Vec::new() };
    }
    match errors.iter().find(|error| !is_about_capacity(error)) {
        // Something else will not get better by other offerings; as long as some are left, they are tried first.
        Some(error) if refused.is_empty() => Failure {
            operation: "ec2:CreateFleet",
            code: error.error_code().map(str::to_owned),
            message: error.error_message().unwrap_or("no reason is given").to_owned(),
        }
        .into(),
        Some(_) => CloudError::InsufficientCapacity { offerings: refused.to_vec() },
        None if refused.is_empty() => {
            // EC2 says nothing where it has nothing.
            let all = request.overrides().map(|one| one.offering.clone()).collect();
            CloudError::InsufficientCapacity { offerings: all }
        }
        None => CloudError::InsufficientCapacity { offerings: refused.to_vec() },
    }
}

/// Whether other offerings may be to be had.
fn is_about_capacity(error: &CreateFleetError) -> bool {
    reaction(error.error_code()) == Reaction::OtherOfferings
}

/// The offerings that EC2 does not have, each once.
fn refused(request: &Request, errors: &[CreateFleetError]) -> Vec<LaunchOffering> {
    let mut refused = Vec::new();
    for one in errors
        .iter()
        .filter(|error| is_about_capacity(error) && !is_elsewhere(request, error))
        // There may be another reservation of the same type in the same zone.
        .filter(|error| error.error_code() != Some(NONE_RESERVED))
        .flat_map(|error| concerned(request, error))
    {
        if !refused.contains(&one) {
            refused.push(one);
        }
    }
    refused
}

/// The offerings that an error is about: that of its override, or several where its code says more.
fn concerned(request: &Request, error: &CreateFleetError) -> impl Iterator<Item = LaunchOffering> {
    let overrides = error.launch_template_and_overrides().and_then(|one| one.overrides()).cloned();
    let code = error.error_code().unwrap_or_default();
    // An account that may not buy spot capacity may buy none; a subnet without addresses has none for any type.
    let is_about_all =
        matches!(code, "AuthFailure.ServiceLinkedRoleCreationNotPermitted" | "MaxSpotInstanceCountExceeded")
            && request.capacity_type == CapacityType::Spot;
    let is_about_subnet = code == NO_ADDRESSES;
    let matching = move |one: &&Override| {
        let Some(overrides) = &overrides else { return true };
        let here = overrides.subnet_id().map_or_else(
            || overrides.availability_zone().is_none_or(|zone| zone == one.offering.zone),
            |subnet| subnet == one.subnet,
        );
        let like = overrides.instance_type().is_none_or(|kind| kind.as_str() == one.offering.instance_type);
        is_about_all || (here && (like || is_about_subnet))
    };
    request.overrides().filter(matching).map(|one| one.offering.clone()).collect::<Vec<_>>().into_iter()
}
