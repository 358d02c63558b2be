//! AWS Health: EC2 has something planned for the machines below some instances.

use serde::Deserialize;
use serde_json::Value;
use whittle_core::event::NoticeKind;

use super::{Said, detail};

pub(super) const TYPE: &str = "AWS Health Event";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    service: String,
    event_type_category: String,
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
    if found.service != "EC2" || found.event_type_category != "scheduledChange" {
        return Ok(Said { kind: "no_op", notices: Vec::new() });
    }
    let notices = found.affected_entities.into_iter();
    let notices = notices.map(|entity| (entity.entity_value, NoticeKind::Maintenance)).collect();
    Ok(Said { kind: "scheduled_change", notices })
}
