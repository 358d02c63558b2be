//! What a cloud says by itself: what will happen to instances, and which of them are not what their class selects.
//!
//! An instance is named by its id alone: a message of EC2 says no more, and the loop knows the rest.

use whittle_core::drift::CloudDrift;
use whittle_core::event::NoticeKind;
use whittle_core::model::time::Timestamp;

/// What will happen to an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstanceNotice {
    /// The instance's id: `i-…`.
    pub instance: String,
    /// What will happen.
    pub kind: NoticeKind,
    /// When it was heard of.
    pub received: Timestamp,
    /// When it will happen.
    pub deadline: Timestamp,
}

/// In what an instance is not what its class selects, or that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceDrift {
    /// `aws:///<zone>/<instance id>`.
    pub provider_id: String,
    /// In what it differs.
    pub found: Option<CloudDrift>,
}
