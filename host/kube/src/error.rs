//! What an error of the API server asks for. Nowhere else are codes looked at.

use std::future::Future;
use std::time::Duration;

use kube_client::Error;
use kube_core::Status;
use kube_runtime::watcher;
use whittle_control::ports::ClusterError;

/// A write that is not answered in this time is given up, and asked for again by a later plan.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;
const TOO_MANY_REQUESTS: u16 = 429;
const SERVER_ERROR: u16 = 500;
const FORBIDDEN: u16 = 403;

/// How a failed write is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The object is gone.
    Gone,
    /// Somebody else has made or changed it since it was read.
    Conflict,
    /// The server asks to come again later: a PodDisruptionBudget, or too many requests.
    Later,
    /// Anything else.
    Failed,
}

/// How an answer is to be taken.
#[must_use]
pub fn reaction(error: &Error) -> Reaction {
    match error {
        Error::Api(status) => match status.code {
            NOT_FOUND => Reaction::Gone,
            CONFLICT => Reaction::Conflict,
            TOO_MANY_REQUESTS => Reaction::Later,
            _ => Reaction::Failed,
        },
        _ => Reaction::Failed,
    }
}

/// What came of a write of which nobody is left to hear when its object is gone.
pub(crate) fn unless_gone<T>(written: Result<T, Error>) -> Result<(), String> {
    match written {
        Ok(_) => Ok(()),
        Err(error) if reaction(&error) == Reaction::Gone => Ok(()),
        Err(error) => Err(message(&error)),
    }
}

/// The error of a write to `object`.
#[must_use]
pub fn cluster_error(error: &Error, object: &str) -> ClusterError {
    match reaction(error) {
        Reaction::Gone => ClusterError::NotFound { object: object.to_owned() },
        Reaction::Conflict | Reaction::Later | Reaction::Failed => {
            ClusterError::Transport { message: format!("{object}: {}", message(error)) }
        }
    }
}

/// The error of an eviction or deletion of a pod that has to be the one that was meant.
#[must_use]
pub fn eviction_error(error: &Error, pod: &str) -> ClusterError {
    match (reaction(error), error) {
        // Another pod of the same name is there by now: the one that was meant is gone.
        (Reaction::Gone | Reaction::Conflict, _) => ClusterError::NotFound { object: pod.to_owned() },
        (Reaction::Later, Error::Api(status)) => ClusterError::Blocked { budget: budget_of(status) },
        // Two budgets cover the pod, which the server takes for a mistake in the budgets.
        (Reaction::Failed, Error::Api(status))
            if status.code == SERVER_ERROR && status.message.contains("PodDisruptionBudget") =>
        {
            ClusterError::Blocked { budget: "more than one".to_owned() }
        }
        _ => ClusterError::Transport { message: format!("{pod}: {}", message(error)) },
    }
}

/// Which budget stands in the way. The server names it in the cause `DisruptionBudget`, in a sentence.
fn budget_of(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let said = causes.filter(|cause| cause.reason == "DisruptionBudget").map(|cause| &cause.message);
    let name = |sentence: &String| {
        let rest = sentence.strip_prefix("The disruption budget ")?;
        rest.split(' ').next().map(str::to_owned)
    };
    said.filter_map(name).next().unwrap_or_else(|| "that is not named".to_owned())
}

/// What went wrong, for people.
#[must_use]
pub fn message(error: &Error) -> String {
    match error {
        Error::Api(status) if status.code == FORBIDDEN => format!("not allowed: {}", status.message),
        Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => chain(other),
    }
}

/// What went wrong with a watch, for people. It is tried again whatever it is.
#[must_use]
pub fn watch_message(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(source) => format!("cannot be listed: {}", message(source)),
        watcher::Error::WatchStartFailed(source) => format!("cannot be watched: {}", message(source)),
        watcher::Error::WatchError(status) => {
            format!("the watch ended: {} ({})", status.message, status.code)
        }
        watcher::Error::WatchFailed(source) => format!("the watch was lost: {}", message(source)),
        watcher::Error::NoResourceVersion => "the server gave a list without a version".to_owned(),
    }
}

/// An error and what is behind it, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        let more = behind.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = behind.source();
    }
    text
}

/// A request that is given up when nobody answers.
///
/// # Errors
///
/// What `request` fails with, as `told` puts it; and `Transport` when there is no answer.
pub async fn answered<T>(
    request: impl Future<Output = Result<T, Error>> + Send,
    told: impl FnOnce(&Error) -> ClusterError + Send,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(ANSWER_WITHIN, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(told(&error)),
        Err(_) => Err(ClusterError::Transport {
            message: format!("no answer in {} seconds", ANSWER_WITHIN.as_secs()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use kube_client::Error;
    use kube_core::Status;
    use serde_json::json;
    use whittle_control::ports::ClusterError;

    use super::{cluster_error, eviction_error};

    fn answer(status: serde_json::Value) -> Error {
        Error::Api(Box::new(serde_json::from_value::<Status>(status).unwrap()))
    }

    #[test]
    fn each_answer_to_an_eviction_asks_for_its_own_reaction() {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = json!({
            "reason": "DisruptionBudget",
            "message": "The disruption budget web needs 3 healthy pods and has 3 currently",
        });
        let blocked = json!({
            "status": "Failure", "code": 429, "reason": "TooManyRequests", "message": message,
            "details": { "causes": [cause] },
        });
        let two = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        let not_found = || ClusterError::NotFound { object: "shop/web-1".into() };
        let cases = [
            (blocked, ClusterError::Blocked { budget: "web".into() }),
            (
                json!({ "code": 500, "message": two }),
                ClusterError::Blocked { budget: "more than one".into() },
            ),
            (json!({ "code": 404, "message": "pods \"web-1\" not found" }), not_found()),
            (json!({ "code": 409, "message": "the UID in the precondition does not match" }), not_found()),
            (
                json!({ "code": 503, "message": "apiserver is shutting down" }),
                ClusterError::Transport { message: "shop/web-1: apiserver is shutting down (503)".into() },
            ),
        ];
        for (status, expected) in cases {
            assert_eq!(eviction_error(&answer(status.clone()), "shop/web-1"), expected, "{status}");
        }
    }

    #[test]
    fn a_right_that_is_missing_is_named() {
        let denied =
            "nodes \"n1\" is forbidden: User \"whittle\" cannot patch resource \"nodes\" in API group \"\"";
        let error = answer(json!({ "code": 403, "reason": "Forbidden", "message": denied }));
        let message = format!("node n1: not allowed: {denied}");
        assert_eq!(cluster_error(&error, "node n1"), ClusterError::Transport { message });
    }
}
