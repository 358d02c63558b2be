//! What a requirement means for one value of a label, or for its absence.

use std::collections::BTreeMap;

use whittle_core::model::labels::normalized;
use whittle_core::model::requirement::{Operator, Requirement};

/// Whether a label with this value, or without any, is as required. A missing label fulfils `NotIn` and `DoesNotExist`.
pub(super) fn is_fulfilled(requirement: &Requirement, value: Option<&str>) -> bool {
    let listed = |value: &str| requirement.values.iter().any(|other| other == value);
    let compared = |holds: fn(i64, i64) -> bool| {
        let bound = requirement.values.first().and_then(|bound| bound.parse().ok());
        let number = value.and_then(|value| value.parse().ok());
        number.zip(bound).is_some_and(|(number, bound)| holds(number, bound))
    };
    match requirement.operator {
        Operator::In => value.is_some_and(listed),
        Operator::NotIn => !value.is_some_and(listed),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
        Operator::Gt => compared(|number, bound| number > bound),
        Operator::Lt => compared(|number, bound| number < bound),
        Operator::Gte => compared(|number, bound| number >= bound),
        Operator::Lte => compared(|number, bound| number <= bound),
    }
}

/// Whether the labels of a node, which are final, are as required.
pub(super) fn are_fulfilled(term: &[Requirement], labels: &BTreeMap<String, String>) -> bool {
    term.iter().all(|requirement| {
        is_fulfilled(requirement, labels.get(normalized(&requirement.key)).map(String::as_str))
    })
}

/// The requirements on one label.
pub(super) fn about<'a>(
    said: &'a [Requirement],
    key: &'a str,
) -> impl Iterator<Item = &'a Requirement> + Clone {
    said.iter().filter(move |requirement| normalized(&requirement.key) == key)
}

/// What a label may be that nothing but requirements says anything of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// One of these, or nothing when none is left.
    Listed(Vec<String>),
    /// Any of more values than can be listed.
    Unlisted,
    /// It must be absent.
    Absent,
    Nothing,
}

/// What such a label may be when all of this is said of it.
pub(super) fn open(said: &[Requirement], key: &str) -> Open {
    let all = about(said, key);
    let holds = |value: Option<&str>| all.clone().all(|requirement| is_fulfilled(requirement, value));
    if let Some(list) = all.clone().find(|requirement| requirement.operator == Operator::In) {
        let mut left: Vec<_> = list.values.iter().filter(|value| holds(Some(value))).cloned().collect();
        left.sort();
        left.dedup();
        return if left.is_empty() { Open::Nothing } else { Open::Listed(left) };
    }
    if all.clone().any(|requirement| requirement.operator == Operator::DoesNotExist) {
        return if holds(None) { Open::Absent } else { Open::Nothing };
    }
    // Generated bounds are small numbers; a word stands for all values that are none.
    let could_be = (-9..99).any(|number: i64| holds(Some(&number.to_string())));
    if could_be || holds(Some("any other word")) || holds(None) { Open::Unlisted } else { Open::Nothing }
}
