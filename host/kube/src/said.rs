//! What was said last: the Events that this controller has written, whichever process it was.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::Event;
use kube_client::Client;
use kube_client::api::{Api, ListParams};

use crate::error::message;
use crate::tell::CONTROLLER;

/// The newest first, a line each.
///
/// # Errors
///
/// What the API server says when Events cannot be listed.
pub async fn last(client: &Client, max: usize) -> Result<Vec<String>, String> {
    let ours = ListParams::default().fields(&format!("reportingComponent={CONTROLLER}"));
    let events = Api::<Event>::all(client.clone()).list(&ours).await;
    let mut events = events.map_err(|error| format!("Events cannot be listed: {}", message(&error)))?.items;
    events.sort_by_key(|event| Reverse(time(event)));
    Ok(events.iter().take(max).map(line).collect())
}

/// When it was last said.
fn time(event: &Event) -> Option<k8s_openapi::jiff::Timestamp> {
    let again = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    again.or(event.event_time.as_ref()).map(|time| time.0)
}

fn line(event: &Event) -> String {
    let at = time(event).map_or_else(|| "?".to_owned(), |time| time.strftime("%H:%M:%S").to_string());
    let about = &event.involved_object;
    let kind = about.kind.as_deref().unwrap_or_default().to_lowercase();
    let name = about.name.as_deref().unwrap_or_default();
    let reason = event.reason.as_deref().unwrap_or_default();
    format!("{at} {kind}/{name} {reason}: {}", event.message.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Event;
    use serde_json::json;

    use super::line;

    #[test]
    fn an_event_is_a_line_with_the_time_at_which_it_was_last_said() {
        let event: Event = serde_json::from_value(json!({
            "metadata": { "name": "a", "namespace": "default" },
            "involvedObject": { "kind": "NodeClaim", "name": "general-1" },
            "reason": "DisruptionBlocked", "message": "pod a/b fits on no other node",
            "eventTime": "2026-01-05T09:30:00.000000Z",
            "series": { "count": 2, "lastObservedTime": "2026-01-05T09:31:00.000000Z" },
        }))
        .unwrap();
        let expected = "09:31:00 nodeclaim/general-1 DisruptionBlocked: pod a/b fits on no other node";
        assert_eq!(line(&event), expected);
    }
}
