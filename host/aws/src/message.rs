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
use whittle_control::ports::news::InstanceNotice;
use whittle_core::event::NoticeKind;
use whittle_core::model::time::{Duration, Timestamp};

/// The kind of a message that says nothing to us.
const NOTHING: &str = "no_op";

/// What every message has.
#[derive(Clone, Debug, Deserialize)]
struct Envelope {
    version: String,
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    #[serde(default)]
    time: String,
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
    /// When it was said.
    pub said: Option<Timestamp>,
    /// When it will happen, where the message says so.
    pub happens: Option<Timestamp>,
}

impl Said {
    /// What the loop hears of it at `now`.
    #[must_use]
    pub fn notices(&self, now: Timestamp) -> Vec<InstanceNotice> {
        let said = self.said.unwrap_or(now);
        self.notices
            .iter()
            .map(|(instance, kind)| InstanceNotice {
                instance: instance.clone(),
                kind: *kind,
                received: now,
                deadline: match kind {
                    NoticeKind::StateChange => said,
                    NoticeKind::Reclaim | NoticeKind::Rebalance | NoticeKind::Maintenance => {
                        self.happens.unwrap_or(said + WARNING_TIME)
                    }
                },
            })
            .collect()
    }
}

/// EC2 warns so long before it takes a spot instance back.
const WARNING_TIME: Duration = Duration::from_secs(120);

/// What a message says.
///
/// # Errors
///
/// What is wrong with it: it is no message of EventBridge, or one of a kind that we know and not of its shape.
pub fn read(body: &str) -> Result<Said, String> {
    let envelope: Envelope = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let nothing = Said { kind: NOTHING, ..Said::default() };
    if envelope.version != "0" {
        return Ok(nothing);
    }
    let said = envelope.time.parse().ok().and_then(timestamp);
    let detail = envelope.detail;
    let found = match (envelope.source.as_str(), envelope.detail_type.as_str()) {
        ("aws.ec2", spot::TYPE) => spot::read(detail),
        ("aws.ec2", rebalance::TYPE) => rebalance::read(detail),
        ("aws.ec2", state_change::TYPE) => state_change::read(detail),
        ("aws.ec2", reservation::TYPE | reservation::TYPE_ALSO) => reservation::read(detail),
        ("aws.health", health::TYPE) => health::read(detail),
        _ => Ok(nothing),
    };
    Ok(Said { said, ..found? })
}

fn timestamp(time: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(time.as_millisecond()).ok().map(Timestamp::from_millis)
}

fn detail<T: for<'a> Deserialize<'a>>(detail: Value, kind: &str) -> Result<T, String> {
    serde_json::from_value(detail).map_err(|error| format!("{kind}: {error}"))
}

fn one(kind: &'static str, instance: String, notice: NoticeKind) -> Said {
    Said { kind, notices: vec![(instance, notice)], ..Said::default() }
}

/// The detail of a message about one instance.
#[derive(Debug, Deserialize)]
struct OfInstance {
    #[serde(rename = "instance-id")]
    instance: String,
}

#[cfg(test)]
mod tests;
