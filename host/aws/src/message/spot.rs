//! EC2 takes a spot instance back, in two minutes.

use serde_json::Value;
use whittle_core::event::NoticeKind;

use super::{OfInstance, Said, detail, one};

pub(super) const TYPE: &str = "EC2 Spot Instance Interruption Warning";

pub(super) fn read(value: Value) -> Result<Said, String> {
    let found: OfInstance = detail(value, TYPE)?;
    Ok(one("spot_interrupted", found.instance, NoticeKind::Reclaim))
}
