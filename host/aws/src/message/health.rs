//! AWS Health: EC2 has something planned for the machines below some instances.

use serde::Deserialize;
use serde_json::Value;
use whittle_core::event::NoticeKind;

use super::{NOTHING, Said, detail, timestamp};

pub(super) const TYPE: &str = "AWS Health Event";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    service: String,
    event_type_category: String,
    #[serde(default)]
    status_code: String,
    #[serde(default)]
    start_time: String,
    #[serde(default)]
    affected_entities: Vec<Entity>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    entity_value: String,
}

pub(super) fn read(value: Value) -> Result<Said, String> {
    let found: Detail = detail(value, TYPE)?;
    let is_planned = found.service == "EC2" && found.event_type_category == "scheduledChange";
    // What is closed has come and gone, or was called off; Karpenter drains for it all the same.
    if !is_planned || found.status_code == "closed" {
        return Ok(Said { kind: NOTHING, ..Said::default() });
    }
    let notices = found.affected_entities.into_iter();
    let notices = notices.map(|entity| (entity.entity_value, NoticeKind::Maintenance)).collect();
    // RFC 1123, unlike every other time in these messages.
    let happens = jiff::fmt::rfc2822::parse(&found.start_time).ok().and_then(|at| timestamp(at.timestamp()));
    Ok(Said { kind: "scheduled_change", notices, said: None, happens })
}
