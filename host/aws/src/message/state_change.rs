//! An instance is stopping or ending, whoever asked for it. That one starts says nothing new.

use serde::Deserialize;
use serde_json::Value;
use whittle_core::event::NoticeKind;

use super::{NOTHING, Said, detail, one};

pub(super) const TYPE: &str = "EC2 Instance State-change Notification";

#[derive(Debug, Deserialize)]
struct Detail {
    #[serde(rename = "instance-id")]
    instance: String,
    state: String,
}

pub(super) fn read(value: Value) -> Result<Said, String> {
    let found: Detail = detail(value, TYPE)?;
    let kind = match found.state.as_str() {
        "stopping" | "stopped" => "instance_stopped",
        "shutting-down" | "terminated" => "instance_terminated",
        _ => return Ok(Said { kind: NOTHING, ..Said::default() }),
    };
    Ok(one(kind, found.instance, NoticeKind::StateChange))
}
