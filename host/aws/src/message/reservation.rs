//! EC2 takes an instance out of an interruptible capacity reservation. The kind is spelt in two ways.

use serde_json::Value;
use whittle_core::event::NoticeKind;

use super::{OfInstance, Said, detail, one};

pub(super) const TYPE: &str = "EC2 Capacity Reservation Instance Interruption Warning";
pub(super) const TYPE_ALSO: &str = "EC2 Capacity Reservation Instance Interruption";

pub(super) fn read(value: Value) -> Result<Said, String> {
    let found: OfInstance = detail(value, TYPE)?;
    Ok(one("capacity_reservation_interrupted", found.instance, NoticeKind::Reclaim))
}
