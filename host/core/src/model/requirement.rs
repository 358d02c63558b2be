//! Requirements on labels, taints and tolerations, as Kubernetes objects state them.
//!
//! Words only. How two requirements are intersected is in `provision::requirements`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a requirement compares a label's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// The value is one of those listed.
    In,
    /// The value is none of those listed, or the label is absent.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The value is an integer above the one listed.
    Gt,
    /// The value is an integer below the one listed.
    Lt,
    /// The value is an integer not below the one listed.
    Gte,
    /// The value is an integer not above the one listed.
    Lte,
}

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How its value is compared.
    pub operator: Operator,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// How many distinct values must remain among the instance types of a launch (NodePools only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_values: Option<u32>,
}

impl Requirement {
    /// A requirement without a minimum of distinct values.
    #[must_use]
    pub fn new<V: Into<String>>(
        key: impl Into<String>,
        operator: Operator,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self { key: key.into(), operator, values, min_values: None }
    }

    /// Whether a label that may have any of `values` can fulfil it; one without values is absent.
    #[must_use]
    pub fn can_be_fulfilled_by(&self, values: &[String]) -> bool {
        let listed = |value: &String| self.values.contains(value);
        let number = self.values.first().and_then(|text| text.parse::<i64>().ok());
        let compares = |holds: fn(&i64, &i64) -> bool| {
            let mut own = values.iter().filter_map(|value| value.parse::<i64>().ok());
            number.is_some_and(|number| own.any(|own| holds(&own, &number)))
        };
        match self.operator {
            Operator::In => values.iter().any(listed),
            Operator::NotIn => values.is_empty() || !values.iter().all(listed),
            Operator::Exists => !values.is_empty(),
            Operator::DoesNotExist => values.is_empty(),
            Operator::Gt => compares(i64::gt),
            Operator::Lt => compares(i64::lt),
            Operator::Gte => compares(i64::ge),
            Operator::Lte => compares(i64::le),
        }
    }

    /// The requirement that a label has exactly this value.
    #[must_use]
    pub fn equals(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(key, Operator::In, [value.into()])
    }
}

impl fmt::Display for Requirement {
    /// `topology.kubernetes.io/zone In [a, b]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.key, self.operator)?;
        if self.values.is_empty() { Ok(()) } else { write!(f, " [{}]", self.values.join(", ")) }
    }
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaintEffect {
    /// They are not scheduled here.
    NoSchedule,
    /// They are scheduled here only when nothing else is left.
    PreferNoSchedule,
    /// They are not scheduled here, and are evicted if they run here.
    NoExecute,
}

/// A mark on a node that keeps pods away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Taint {
    /// The taint's key.
    pub key: String,
    /// The taint's value, often empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What it does.
    pub effect: TaintEffect,
}

impl fmt::Display for Taint {
    /// `key=value:NoSchedule`, as `kubectl taint` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equals = if self.value.is_empty() { "" } else { "=" };
        write!(f, "{}{equals}{}:{:?}", self.key, self.value, self.effect)
    }
}

/// What a pod says about the taints it can live with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Toleration {
    /// The taint's key; `None` tolerates every key and goes with `TolerationOperator::Exists`.
    pub key: Option<String>,
    /// How the value is compared.
    pub operator: TolerationOperator,
    /// The effect tolerated; `None` tolerates every effect.
    pub effect: Option<TaintEffect>,
}

/// How a toleration compares a taint's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TolerationOperator {
    /// Any value.
    Exists,
    /// Exactly this value.
    Equal(String),
}

impl Toleration {
    /// Whether a pod with this toleration can live with `taint`.
    #[must_use]
    pub fn tolerates(&self, taint: &Taint) -> bool {
        let effect = self.effect.is_none_or(|effect| effect == taint.effect);
        let key = self.key.as_ref().is_none_or(|key| *key == taint.key);
        let value = match &self.operator {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal(value) => *value == taint.value,
        };
        effect && key && value
    }
}

/// The first taint that keeps a pod with these tolerations off a node. `PreferNoSchedule` keeps nobody off.
#[must_use]
pub fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration]) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|taint| taint.effect != TaintEffect::PreferNoSchedule)
        .find(|taint| !tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}

#[cfg(test)]
mod tests {
    use super::{Operator, Requirement, Taint, TaintEffect, Toleration, TolerationOperator, untolerated};

    fn taint(value: &str, effect: TaintEffect) -> Taint {
        Taint { key: "dedicated".into(), value: value.into(), effect }
    }

    #[test]
    fn each_operator_compares_in_its_way() {
        let cases = [
            (Operator::In, &["1", "2"][..], true, false),
            (Operator::In, &["3"], false, false),
            (Operator::NotIn, &["3"], true, true),
            (Operator::NotIn, &["2"], false, true),
            (Operator::Exists, &[], true, false),
            (Operator::DoesNotExist, &[], false, true),
            (Operator::Gt, &["1"], true, false),
            (Operator::Gt, &["2"], false, false),
            (Operator::Lt, &["3"], true, false),
            (Operator::Gte, &["2"], true, false),
            (Operator::Lte, &["1"], false, false),
            (Operator::Gt, &["many"], false, false),
        ];
        for (operator, values, of_two, of_none) in cases {
            let requirement = Requirement::new("count", operator, values.to_vec());
            assert_eq!(requirement.can_be_fulfilled_by(&["2".to_owned()]), of_two, "{requirement}");
            assert_eq!(requirement.can_be_fulfilled_by(&[]), of_none, "{requirement}");
        }
    }

    #[test]
    fn a_toleration_without_a_key_tolerates_everything() {
        let all = Toleration { key: None, operator: TolerationOperator::Exists, effect: None };
        assert_eq!(untolerated(&[taint("x", TaintEffect::NoExecute)], &[all]), None);
    }

    #[test]
    fn an_equal_toleration_compares_value_and_effect() {
        let loadtest = Toleration {
            key: Some("dedicated".into()),
            operator: TolerationOperator::Equal("loadtest".into()),
            effect: Some(TaintEffect::NoSchedule),
        };
        assert!(loadtest.tolerates(&taint("loadtest", TaintEffect::NoSchedule)));
        assert!(!loadtest.tolerates(&taint("other", TaintEffect::NoSchedule)));
        assert!(!loadtest.tolerates(&taint("loadtest", TaintEffect::NoExecute)));
    }

    #[test]
    fn prefer_no_schedule_keeps_nobody_off() {
        assert_eq!(untolerated(&[taint("x", TaintEffect::PreferNoSchedule)], &[]), None);
    }
}
