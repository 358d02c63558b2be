//! What each code of an AWS error asks for. Codes are looked at nowhere else, but for what CreateFleet says of a single
//! override: `launch::answer` knows what else that is about.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use whittle_control::ports::CloudError;
use whittle_core::model::time::Duration;

/// After being throttled, the next try waits this long; the SDK has waited by itself before.
const THROTTLE_WAIT: Duration = Duration::from_secs(5);

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// EC2 has no capacity, or the account may not have more: try other offerings.
    OtherOfferings,
    /// Try later.
    Later,
    /// What was referred to is not there.
    Missing,
    /// It is there already.
    There,
    /// The same client token was used for another request: what it launched has to be looked for.
    Launched,
    /// It was asked whether it would be done, and it would.
    WouldDo,
    /// The account may not do this.
    Denied,
    /// Asking again would be answered alike.
    Rejected,
    /// Nobody has answered, or not with anything that we know: try again.
    Unknown,
}

/// A call that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {}{message}", code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default())]
pub struct Failure {
    /// What was called, as IAM writes it: `ec2:CreateFleet`.
    pub operation: &'static str,
    /// The code of AWS, if anybody has answered.
    pub code: Option<String>,
    /// What it says.
    pub message: String,
}

impl Failure {
    /// What became of a call to `operation`.
    #[must_use]
    pub fn of<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let answered = error.as_service_error();
        Self {
            operation,
            code: answered.and_then(ProvideErrorMetadata::code).map(str::to_owned),
            message: answered
                .and_then(ProvideErrorMetadata::message)
                .map_or_else(|| chain(error), str::to_owned),
        }
    }

    /// Whether it is an instance profile that EC2 does not know: the code is that of all bad parameters.
    #[must_use]
    pub fn is_about_profile(&self) -> bool {
        self.message.to_ascii_lowercase().contains("iaminstanceprofile")
    }

    /// Whether it is a launch template that EC2 does not know.
    #[must_use]
    pub fn is_about_template(&self) -> bool {
        is_about_template(self.code.as_deref())
    }

    /// What it asks for.
    #[must_use]
    pub fn reaction(&self) -> Reaction {
        reaction(self.code.as_deref())
    }
}

/// An error and what is behind it, without the answers that the SDK shows beside.
fn chain(error: &dyn std::error::Error) -> String {
    let texts = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    texts.collect::<Vec<_>>().join(": ")
}

impl From<Failure> for CloudError {
    fn from(failure: Failure) -> Self {
        cloud_error(failure.code.as_deref(), failure.to_string())
    }
}

/// Whether a code is about a launch template that EC2 does not know.
#[must_use]
pub fn is_about_template(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("InvalidLaunchTemplate"))
}

/// What this code asks for.
#[must_use]
pub fn reaction(code: Option<&str>) -> Reaction {
    let Some(code) = code else { return Reaction::Unknown };
    match code {
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientReservedInstanceCapacity"
        | "InsufficientFreeAddressesInSubnet"
        | "InstanceLimitExceeded"
        | "MaxFleetCountExceeded"
        | "MaxSpotInstanceCountExceeded"
        | "ReservationCapacityExceeded"
        | "SpotMaxPriceTooLow"
        | "UnfulfillableCapacity"
        | "Unsupported"
        | "VcpuLimitExceeded"
        | "AuthFailure.ServiceLinkedRoleCreationNotPermitted" => Reaction::OtherOfferings,
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "SlowDown" => Reaction::Later,
        "InvalidInstanceID.NotFound"
        | "InvalidCapacityReservationId.NotFound"
        | "InvalidLaunchTemplateName.NotFoundException"
        | "InvalidLaunchTemplateId.NotFound"
        | "InvalidAMIID.NotFound"
        | "InvalidSubnetID.NotFound"
        | "InvalidGroup.NotFound"
        | "AWS.SimpleQueueService.NonExistentQueue"
        | "QueueDoesNotExist"
        | "NoSuchEntity"
        | "ParameterNotFound"
        | "ResourceNotFoundException" => Reaction::Missing,
        "EntityAlreadyExists" | "InvalidLaunchTemplateName.AlreadyExistsException" => Reaction::There,
        "IdempotentParameterMismatch" => Reaction::Launched,
        "DryRunOperation" => Reaction::WouldDo,
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" | "AuthFailure" => {
            Reaction::Denied
        }
        // Credentials are renewed, and clocks set: what they are now says nothing of what the account may do.
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "RequestExpired"
        | "UnrecognizedClientException" => Reaction::Unknown,
        _ if code.starts_with("Invalid") || code.starts_with("Missing") || code.starts_with("Malformed") => {
            Reaction::Rejected
        }
        _ => Reaction::Unknown,
    }
}

/// An error as the loop wants it. Where one asks for other offerings, whoever launches knows which.
#[must_use]
pub fn cloud_error(code: Option<&str>, message: String) -> CloudError {
    match reaction(code) {
        Reaction::Later => CloudError::Throttled { retry_after: THROTTLE_WAIT },
        Reaction::Denied | Reaction::Rejected => CloudError::Rejected { message },
        Reaction::OtherOfferings
        | Reaction::Missing
        | Reaction::There
        | Reaction::Launched
        | Reaction::WouldDo
        | Reaction::Unknown => CloudError::Transport { message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_asks_for_one_thing() {
        let cases = [
            (Some("InsufficientInstanceCapacity"), Reaction::OtherOfferings),
            (Some("VcpuLimitExceeded"), Reaction::OtherOfferings),
            (Some("RequestLimitExceeded"), Reaction::Later),
            (Some("InvalidInstanceID.NotFound"), Reaction::Missing),
            (Some("InvalidCapacityReservationId.NotFound"), Reaction::Missing),
            (Some("InvalidLaunchTemplateName.AlreadyExistsException"), Reaction::There),
            (Some("IdempotentParameterMismatch"), Reaction::Launched),
            (Some("DryRunOperation"), Reaction::WouldDo),
            (Some("UnauthorizedOperation"), Reaction::Denied),
            (Some("InvalidParameterValue"), Reaction::Rejected),
            (Some("ExpiredToken"), Reaction::Unknown),
            (Some("ExpiredTokenException"), Reaction::Unknown),
            (Some("InvalidClientTokenId"), Reaction::Unknown),
            (Some("RequestExpired"), Reaction::Unknown),
            (Some("UnrecognizedClientException"), Reaction::Unknown),
            (Some("InternalError"), Reaction::Unknown),
            (None, Reaction::Unknown),
        ];
        for (code, expected) in cases {
            assert_eq!(reaction(code), expected, "{code:?}");
        }
    }
}
