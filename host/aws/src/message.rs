//! Messages of the interruption queue: EventBridge envelopes, read into what they say of which instances.
//!
//! Pure. One file per kind knows the detail of that kind; what is none of them says nothing, and is no error.

mod health;
mod rebalance;
mod reservation;
mod spot;
mod state_change;

use serde::Deserialize;
use serde_json::Value;
use whittle_core::event::NoticeKind;

/// What every message has.
#[derive(Clone, Debug, Deserialize)]
struct Envelope {
    version: String,
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    #[serde(default)]
    detail: Value,
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What kind of message it is, for metrics and logs; Karpenter's names.
    pub kind: &'static str,
    /// The instances that it concerns, and what will happen to them.
    pub notices: Vec<(String, NoticeKind)>,
}

/// What a message says.
///
/// # Errors
///
/// What is wrong with it: it is no message of EventBridge, or one of a kind that we know and not of its shape.
pub fn read(body: &str) -> Result<Said, String> {
    let envelope: Envelope = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let nothing = Said { kind: "no_op", notices: Vec::new() };
    if envelope.version != "0" {
        return Ok(nothing);
    }
    let detail = envelope.detail;
    match (envelope.source.as_str(), envelope.detail_type.as_str()) {
        ("aws.ec2", spot::TYPE) => spot::read(detail),
        ("aws.ec2", rebalance::TYPE) => rebalance::read(detail),
        ("aws.ec2", state_change::TYPE) => state_change::read(detail),
        ("aws.ec2", reservation::TYPE | reservation::TYPE_ALSO) => reservation::read(detail),
        ("aws.health", health::TYPE) => health::read(detail),
        _ => Ok(nothing),
    }
}

fn detail<T: for<'a> Deserialize<'a>>(detail: Value, kind: &str) -> Result<T, String> {
    serde_json::from_value(detail).map_err(|error| format!("{kind}: {error}"))
}

fn one(kind: &'static str, instance: String, notice: NoticeKind) -> Said {
    Said { kind, notices: vec![(instance, notice)] }
}

/// The detail of a message about one instance.
#[derive(Debug, Deserialize)]
struct OfInstance {
    #[serde(rename = "instance-id")]
    instance: String,
}

#[cfg(test)]
mod tests;
