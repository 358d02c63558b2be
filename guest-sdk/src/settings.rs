//! Types for settings that people write: shares, spans, money, and which workloads are meant.
//!
//! Each reads one spelling, says what it expected when it is another, and has a JSON Schema.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::bindings::policy::whittle::policy::types::{Duration, PodGroup, Residents};
use crate::hooks::offerings::value_of;

/// A share: 0 to 100 per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

impl Percent {
    /// A share of so many per cent; more than a hundred is a hundred.
    #[must_use]
    pub const fn new(percent: u32) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// 0 to 100.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = u64::deserialize(deserializer)?;
        match u32::try_from(percent) {
            Ok(percent) if percent <= 100 => Ok(Self(percent)),
            _ => Err(D::Error::custom(format!("found {percent}, expected 0 to 100"))),
        }
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": 100 })
    }
}

/// A span of time, written as Kubernetes writes durations: `30s`, `5m`, `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    /// A span of so many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: Duration) -> Self {
        Self(millis)
    }

    /// A span of so many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn millis(self) -> Duration {
        self.0
    }

    /// A span from `1h30m`; `None` for what is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut sum: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|character: char| !character.is_ascii_digit())?;
            let amount: u64 = rest.get(..digits)?.parse().ok()?;
            rest = rest.get(digits..)?;
            let unit = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
            let millis = match rest.get(..unit)? {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return None,
            };
            rest = rest.get(unit..)?;
            sum = sum.checked_add(amount.checked_mul(millis)?)?;
        }
        (!text.is_empty()).then_some(Self(sum))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || D::Error::custom(format!("found {text:?}, expected a duration such as 30s, 5m or 1h30m"));
        Self::parse(&text).ok_or_else(wrong)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$", "examples": ["30s", "5m", "1h30m"] })
    }
}

/// US dollars with at most six decimals, written as text so that none of them is lost: `"0.02"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u64);

impl Money {
    /// An amount in millionths of a dollar.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Millionths of a dollar.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// An amount from `0.02`; `None` for what is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(decimals) || decimals.len() > 6 {
            return None;
        }
        let fraction: u64 = format!("{decimals:0<6}").parse().ok()?;
        let micros = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?;
        Some(Self(micros.checked_add(fraction)?))
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("found {text:?}, expected dollars such as \"0.02\""));
        Self::parse(&text).ok_or_else(wrong)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,6})?$", "examples": ["0.02"] })
    }
}

/// Which workloads are meant. A list that is empty says nothing; all that are not must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Workloads {
    /// Their namespaces.
    pub namespaces: Vec<String>,
    /// The kinds of object that make their pods: `Deployment`, `Job`, ….
    pub kinds: Vec<String>,
    /// The names of those objects.
    pub names: Vec<String>,
    /// Labels that their pods have, all of them.
    pub labels: BTreeMap<String, String>,
}

impl Workloads {
    /// Whether nothing is said, so that every workload is meant.
    #[must_use]
    pub fn is_every(&self) -> bool {
        self.namespaces.is_empty() && self.kinds.is_empty() && self.names.is_empty() && self.labels.is_empty()
    }

    /// The keys of pods' labels that have to be read to tell.
    #[must_use]
    pub fn reads(&self) -> Vec<String> {
        self.labels.keys().cloned().collect()
    }

    /// Whether a group of pods is meant.
    #[must_use]
    pub fn contains(&self, group: &PodGroup) -> bool {
        self.says_nothing_against([&group.namespace, &group.owner_kind, &group.owner_name])
            && self.labels.iter().all(|(key, value)| value_of(&group.labels, key) == Some(value))
    }

    /// Whether pods on a node are meant.
    #[must_use]
    pub fn contains_residents(&self, residents: &Residents) -> bool {
        self.says_nothing_against([&residents.namespace, &residents.owner_kind, &residents.owner_name])
            && self.labels.iter().all(|(key, value)| value_of(&residents.labels, key) == Some(value))
    }

    fn says_nothing_against(&self, [namespace, kind, name]: [&String; 3]) -> bool {
        [(&self.namespaces, namespace), (&self.kinds, kind), (&self.names, name)]
            .into_iter()
            .all(|(wanted, found)| wanted.is_empty() || wanted.contains(found))
    }
}

#[cfg(test)]
mod tests {
    use super::{Money, Span, Workloads};
    use crate::build::group;

    #[test]
    fn a_span_is_read_as_kubernetes_writes_it() {
        let cases =
            [("30s", Some(30_000)), ("1h30m", Some(5_400_000)), ("250ms", Some(250)), ("0s", Some(0))];
        for (text, millis) in cases {
            assert_eq!(Span::parse(text).map(Span::millis), millis, "{text}");
        }
        for text in ["", "30", "s", "-5s", "1d", "1.5h", "99999999999999999999h"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn money_loses_no_decimal() {
        let cases = [("0.02", Some(20_000)), ("1", Some(1_000_000)), ("0.000001", Some(1))];
        for (text, micros) in cases {
            assert_eq!(Money::parse(text).map(Money::micros), micros, "{text}");
        }
        for text in ["", ".5", "0.0000001", "-1", "1e3", "$1", "99999999999999999999"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
    }

    #[test]
    fn workloads_are_meant_when_nothing_speaks_against_them() {
        let web = group().in_namespace("shop").owned_by("Deployment", "web").labelled("tier", "front");
        assert!(Workloads::default().contains(&web));
        let shop = Workloads { namespaces: vec!["shop".into()], ..Workloads::default() };
        assert!(shop.contains(&web));
        let jobs = Workloads { kinds: vec!["Job".into()], ..shop.clone() };
        assert!(!jobs.contains(&web));
        let back = Workloads { labels: [("tier".to_owned(), "back".to_owned())].into(), ..shop };
        assert!(!back.contains(&web));
    }
}
