//! Status conditions of custom resources: reading the list that Kubernetes keeps, and times as it writes them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use whittle_core::model::labels::TERMINATION_TIMESTAMP;
use whittle_core::model::time::Timestamp;

/// The condition that sums up all others.
pub const READY: &str = "Ready";
/// An instance was launched for the claim.
pub const LAUNCHED: &str = "Launched";
/// The claim's node has joined and carries its labels and taints.
pub const REGISTERED: &str = "Registered";
/// The claim's node is ready for pods.
pub const INITIALIZED: &str = "Initialized";

/// The claim's node is not what its NodePool or EC2NodeClass asks for any more.
pub const DRIFTED: &str = "Drifted";
/// The claim's node is being replaced, and why.
pub const DISRUPTION_REASON: &str = "DisruptionReason";

/// The nodes of a NodePool join.
pub const NODE_REGISTRATION_HEALTHY: &str = "NodeRegistrationHealthy";

/// What the condition of this type says; `None` when it is unknown or absent.
#[must_use]
pub fn known(conditions: &[Condition], type_: &str) -> Option<bool> {
    match find(conditions, type_)?.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

/// The condition of this type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Since when the condition of this type is true; `None` when it is false, unknown or absent.
#[must_use]
pub fn true_since(conditions: &[Condition], type_: &str) -> Option<Timestamp> {
    find(conditions, type_)
        .filter(|condition| condition.status == "True")
        .map(|condition| timestamp(&condition.last_transition_time))
}

/// A point in time as the core has it; what is before 1970 becomes 1970.
#[must_use]
pub fn timestamp(time: &Time) -> Timestamp {
    Timestamp::from_millis(u64::try_from(time.0.as_millisecond()).unwrap_or(0))
}

/// A point in time as Kubernetes has it; what is beyond year 9999 becomes that.
#[must_use]
pub fn time(timestamp: Timestamp) -> Time {
    let millis = i64::try_from(timestamp.millis()).unwrap_or(i64::MAX);
    Time(k8s_openapi::jiff::Timestamp::from_millisecond(millis).unwrap_or(k8s_openapi::jiff::Timestamp::MAX))
}

/// When the drain of a NodeClaim must be over, where somebody has said so. What is no time says nothing.
#[must_use]
pub fn terminate_by(metadata: &ObjectMeta) -> Option<Timestamp> {
    let text = metadata.annotations.as_ref()?.get(TERMINATION_TIMESTAMP)?;
    let time: k8s_openapi::jiff::Timestamp = text.parse().ok()?;
    Some(timestamp(&Time(time)))
}
