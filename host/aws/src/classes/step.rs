//! What comes of looking for one part of a class, and what is said of it.

use whittle_api::node_class::resolved::{Said, Topic};

use crate::error::{Failure, Reaction};

/// Why a part of a class was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// It is not as it has to be.
    Not {
        /// In one word.
        reason: &'static str,
        /// In a sentence.
        message: String,
    },
    /// It cannot be said yet.
    Unknown {
        /// In one word.
        reason: &'static str,
        /// In a sentence.
        message: String,
    },
    /// AWS has not answered, or not what was asked.
    Failed(Failure),
}

impl From<Failure> for Miss {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A part of a class, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part<T> {
    pub(crate) found: T,
    pub(crate) said: Said,
    /// Whether AWS is to be asked again soon.
    pub(crate) is_pressing: bool,
}

/// What is said when this came of looking. What was found `before` stays while nobody knows better; that a call is not
/// allowed is said at once, and which.
pub(crate) fn part<T: Default>(topic: Topic, came: Result<T, Miss>, before: Option<T>) -> Part<T> {
    match came {
        Ok(found) => Part { found, said: Said::so(topic), is_pressing: false },
        Err(Miss::Not { reason, message }) => {
            Part { found: T::default(), said: Said::not(topic, reason, message), is_pressing: false }
        }
        Err(Miss::Unknown { reason, message }) => unknown(topic, (reason, message), before),
        Err(Miss::Failed(failure)) => failed(topic, &failure, before),
    }
}

fn failed<T: Default>(topic: Topic, failure: &Failure, before: Option<T>) -> Part<T> {
    tracing::warn!(condition = topic.condition(), "{failure}");
    let message = failure.to_string();
    match failure.reaction() {
        Reaction::Denied => Part {
            found: before.unwrap_or_default(),
            said: Said::not(topic, "Unauthorized", message),
            is_pressing: false,
        },
        Reaction::Rejected => Part {
            found: T::default(),
            said: Said::not(topic, "ResolutionFailed", message),
            is_pressing: false,
        },
        Reaction::OtherOfferings
        | Reaction::Later
        | Reaction::Missing
        | Reaction::There
        | Reaction::Launched
        | Reaction::WouldDo
        | Reaction::Unknown => unknown(topic, ("ResolutionFailed", message), before),
    }
}

/// What was good before is so until somebody knows better.
fn unknown<T: Default>(
    topic: Topic,
    (reason, message): (&'static str, String),
    before: Option<T>,
) -> Part<T> {
    let said = if before.is_some() { Said::so(topic) } else { Said::unknown(topic, reason, message) };
    Part { found: before.unwrap_or_default(), said, is_pressing: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is there, whether it is as it has to be, why, and whether AWS is to be asked again soon.
    type Expected = (u8, Option<bool>, &'static str, bool);

    #[test]
    fn what_was_found_stays_while_aws_does_not_answer_and_what_is_not_allowed_is_said() {
        let failure = |code: &str| {
            Err(Miss::Failed(Failure {
                operation: "ec2:DescribeSubnets",
                code: Some(code.to_owned()),
                message: "no".to_owned(),
            }))
        };
        let not = |reason| Miss::Not { reason, message: "none".to_owned() };
        let unknown = |reason| Miss::Unknown { reason, message: "none".to_owned() };
        let cases: [(Result<u8, Miss>, Option<u8>, Expected); 10] = [
            (Ok(1), Some(2), (1, Some(true), "SubnetsReady: ", false)),
            (Err(not("SubnetsNotFound")), Some(2), (0, Some(false), "SubnetsNotFound: none", false)),
            (Err(unknown("Later")), Some(2), (2, Some(true), "SubnetsReady: ", true)),
            (Err(unknown("Later")), None, (0, None, "Later: none", true)),
            (failure("RequestLimitExceeded"), Some(2), (2, Some(true), "SubnetsReady: ", true)),
            (
                failure("RequestLimitExceeded"),
                None,
                (0, None, "ResolutionFailed: ec2:DescribeSubnets: RequestLimitExceeded: no", true),
            ),
            (failure("InternalError"), Some(2), (2, Some(true), "SubnetsReady: ", true)),
            (
                failure("UnauthorizedOperation"),
                Some(2),
                (2, Some(false), "Unauthorized: ec2:DescribeSubnets: UnauthorizedOperation: no", false),
            ),
            (
                failure("AccessDenied"),
                None,
                (0, Some(false), "Unauthorized: ec2:DescribeSubnets: AccessDenied: no", false),
            ),
            (
                failure("InvalidParameterValue"),
                Some(2),
                (0, Some(false), "ResolutionFailed: ec2:DescribeSubnets: InvalidParameterValue: no", false),
            ),
        ];
        for (came, before, expected) in cases {
            let text = format!("{came:?}");
            let Part { found, said, is_pressing } = part(Topic::Subnets, came, before);
            let why = format!("{}: {}", said.reason, said.message);
            assert_eq!((found, said.is_so, why.as_str(), is_pressing), expected, "{text}");
        }
    }
}
