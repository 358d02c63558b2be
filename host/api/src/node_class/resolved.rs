//! What somebody who looked in the account says of an EC2NodeClass.

use std::time::Duration;

use super::status::Ec2NodeClassStatus;

/// What was found for a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// What was found. Its conditions are made from `said`, whatever is in it.
    pub found: Ec2NodeClassStatus,
    /// How it stands, one for each topic that was looked at, in the order in which they depend on each other.
    pub said: Vec<Said>,
    /// When it has to be looked at again.
    pub again: Duration,
}

/// How a class stands in one respect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// In which.
    pub topic: Topic,
    /// Whether it is as it has to be; `None` when that could not be found out.
    pub is_so: Option<bool>,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, in a sentence.
    pub message: String,
}

impl Said {
    /// It is as it has to be.
    #[must_use]
    pub const fn so(topic: Topic) -> Self {
        Self { topic, is_so: Some(true), reason: topic.condition(), message: String::new() }
    }

    /// It is not, and why.
    #[must_use]
    pub const fn not(topic: Topic, reason: &'static str, message: String) -> Self {
        Self { topic, is_so: Some(false), reason, message }
    }

    /// It could not be found out, and why.
    #[must_use]
    pub const fn unknown(topic: Topic, reason: &'static str, message: String) -> Self {
        Self { topic, is_so: None, reason, message }
    }
}

/// What has to be there for a class to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Images.
    Amis,
    /// Capacity reservations; only where a class selects some.
    CapacityReservations,
    /// Subnets.
    Subnets,
    /// Security groups.
    SecurityGroups,
    /// The instance profile.
    InstanceProfile,
    /// What is checked when everything else is there.
    Validation,
}

impl Topic {
    /// All that every class needs.
    pub const NEEDED: [Self; 5] =
        [Self::Amis, Self::Subnets, Self::SecurityGroups, Self::InstanceProfile, Self::Validation];

    /// The condition's type (Karpenter).
    #[must_use]
    pub const fn condition(self) -> &'static str {
        match self {
            Self::Amis => "AMIsReady",
            Self::CapacityReservations => "CapacityReservationsReady",
            Self::Subnets => "SubnetsReady",
            Self::SecurityGroups => "SecurityGroupsReady",
            Self::InstanceProfile => "InstanceProfileReady",
            Self::Validation => "ValidationSucceeded",
        }
    }
}
