//! What was found for a class as its status, and what of it is news. Data in, data out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use whittle_api::conditions::{self, READY};
use whittle_api::node_class::resolved::{Resolved, Said};
use whittle_api::node_class::status::Ec2NodeClassStatus;
use whittle_core::model::time::Timestamp;

use crate::patch::set;

/// Writes what was found for the class of this generation. What others say of it stays.
pub(super) fn write(
    status: &mut Ec2NodeClassStatus,
    resolved: &Resolved,
    generation: Option<i64>,
    now: Timestamp,
) {
    let conditions = std::mem::take(&mut status.conditions);
    *status = Ec2NodeClassStatus { conditions, ..resolved.found.clone() };
    let conditions = &mut status.conditions;
    for said in &resolved.said {
        let standing = (word(said.is_so), said.reason, said.message.as_str());
        set(conditions, said.topic.condition(), standing, now);
    }
    let (is_ready, reason, message) = ready(&resolved.said);
    set(conditions, READY, (word(is_ready), reason, &message), now);
    let types = resolved.said.iter().map(|said| said.topic.condition()).chain([READY]);
    for type_ in types {
        let mut of_type = conditions.iter_mut().filter(|condition| condition.type_ == type_);
        of_type.by_ref().for_each(|condition| condition.observed_generation = generation);
    }
}

/// What is wrong and was not said before: reason and sentence.
pub(super) fn news(before: &[Condition], said: &[Said]) -> Vec<(&'static str, String)> {
    let wrong = said.iter().filter(|said| said.is_so == Some(false));
    let is_new = |said: &&Said| {
        conditions::find(before, said.topic.condition()).is_none_or(|known| {
            (known.status.as_str(), known.reason.as_str(), &known.message)
                != (word(said.is_so), said.reason, &said.message)
        })
    };
    wrong.filter(is_new).map(|said| (said.reason, said.message.clone())).collect()
}

const fn word(is_so: Option<bool>) -> &'static str {
    match is_so {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    }
}

/// A class is ready when everything is; what is wrong counts before what is not known. Reasons are Karpenter's.
fn ready(said: &[Said]) -> (Option<bool>, &'static str, String) {
    let those = |is_so| {
        let those = said.iter().filter(move |said| said.is_so == is_so);
        let texts: Vec<String> =
            those.map(|said| format!("{}={}", said.topic.condition(), word(is_so))).collect();
        texts.join(", ")
    };
    let (wrong, unknown) = (those(Some(false)), those(None));
    if !wrong.is_empty() {
        (Some(false), "UnhealthyDependents", wrong)
    } else if !unknown.is_empty() {
        (None, "ReconcilingDependents", unknown)
    } else {
        (Some(true), READY, String::new())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use whittle_api::node_class::resolved::Topic;
    use whittle_api::node_class::status::Subnet;
    use whittle_core::model::time::Duration as Span;

    use super::*;

    fn resolved(said: Vec<Said>) -> Resolved {
        let subnet = Subnet { id: "subnet-1".into(), zone: "a".into(), zone_id: None };
        let found = Ec2NodeClassStatus { subnets: vec![subnet], ..Ec2NodeClassStatus::default() };
        Resolved { found, said, again: Duration::from_secs(60) }
    }

    fn words(status: &Ec2NodeClassStatus) -> Vec<String> {
        let generation = |one: &Condition| one.observed_generation.unwrap_or_default();
        let word = |one: &Condition| {
            format!("{}={} {} {} @{}", one.type_, one.status, one.reason, one.message, generation(one))
        };
        status.conditions.iter().map(word).collect()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Span::from_secs(seconds)
    }

    #[test]
    fn a_class_is_ready_when_everything_is_and_says_of_which_generation() {
        let mut status = Ec2NodeClassStatus::default();
        let not = Said::not(Topic::Amis, "AMINotFound", "none".into());
        let unknown = Said::unknown(Topic::Validation, "DependenciesNotReady", String::new());
        write(&mut status, &resolved(vec![not, Said::so(Topic::Subnets), unknown]), Some(1), at(1));
        let expected = [
            "AMIsReady=False AMINotFound none @1",
            "SubnetsReady=True SubnetsReady  @1",
            "ValidationSucceeded=Unknown DependenciesNotReady  @1",
            "Ready=False UnhealthyDependents AMIsReady=False @1",
        ];
        assert_eq!(words(&status), expected);
        assert_eq!(status.subnets.len(), 1);

        let unknown = Said::unknown(Topic::Amis, "ResolutionFailed", String::new());
        write(&mut status, &resolved(vec![unknown, Said::so(Topic::Validation)]), Some(2), at(2));
        assert_eq!(
            words(&status)[3],
            "Ready=Unknown ReconcilingDependents AMIsReady=Unknown @2",
            "what is not known is not wrong"
        );

        let all: Vec<Said> = Topic::NEEDED.into_iter().map(Said::so).collect();
        write(&mut status, &resolved(all.clone()), Some(2), at(3));
        assert_eq!(words(&status)[3], "Ready=True Ready  @2");
        let before = status.clone();
        write(&mut status, &resolved(all), Some(2), at(4));
        assert_eq!(status, before, "what is said already is not said anew");
        assert_eq!(status.conditions[1].last_transition_time, conditions::time(at(1)));
    }

    #[test]
    fn what_has_become_wrong_is_news_once() {
        let mut status = Ec2NodeClassStatus::default();
        let not = |why: &str| vec![Said::not(Topic::Amis, "AMINotFound", why.to_owned())];
        assert_eq!(news(&[], &not("none")), [("AMINotFound", "none".to_owned())]);
        write(&mut status, &resolved(not("none")), Some(1), at(1));
        assert_eq!(news(&status.conditions, &not("none")), []);
        assert_eq!(
            news(&status.conditions, &not("none at all")),
            [("AMINotFound", "none at all".to_owned())]
        );
        assert_eq!(news(&status.conditions, &[Said::so(Topic::Amis)]), []);
    }
}
