//! EC2 may take a spot instance back soon.

use serde_json::Value;
use whittle_core::event::NoticeKind;

use super::{OfInstance, Said, detail, one};

pub(super) const TYPE: &str = "EC2 Instance Rebalance Recommendation";

pub(super) fn read(value: Value) -> Result<Said, String> {
    let found: OfInstance = detail(value, TYPE)?;
    Ok(one("rebalance_recommendation", found.instance, NoticeKind::Rebalance))
}
