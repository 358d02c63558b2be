//! Requirements on labels, taints and tolerations.
//!
//! Label keys of nodes are replaced by their stable names here, so that the core knows one name for each label.

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use whittle_core::model::labels;
use whittle_core::model::pod::LabelSelector;
use whittle_core::model::requirement::{
    Operator, Requirement, Taint, TaintEffect, Toleration, TolerationOperator,
};

use crate::names;
use crate::problem::{At, Defect};
use crate::template;

/// A requirement of a custom resource, its key by the stable name.
#[must_use]
pub fn requirement(
    key: &str,
    operator: template::Operator,
    values: &[String],
    min_values: Option<i32>,
) -> Requirement {
    Requirement {
        key: labels::normalized(key).to_owned(),
        operator: core_operator(operator),
        values: values.to_vec(),
        min_values: min_values.and_then(|count| u32::try_from(count).ok()),
    }
}

fn core_operator(operator: template::Operator) -> Operator {
    match operator {
        template::Operator::In => Operator::In,
        template::Operator::NotIn => Operator::NotIn,
        template::Operator::Exists => Operator::Exists,
        template::Operator::DoesNotExist => Operator::DoesNotExist,
        template::Operator::Gt => Operator::Gt,
        template::Operator::Lt => Operator::Lt,
        template::Operator::Gte => Operator::Gte,
        template::Operator::Lte => Operator::Lte,
    }
}

/// The core's operator as custom resources write it.
#[must_use]
pub fn api_operator(operator: Operator) -> template::Operator {
    match operator {
        Operator::In => template::Operator::In,
        Operator::NotIn => template::Operator::NotIn,
        Operator::Exists => template::Operator::Exists,
        Operator::DoesNotExist => template::Operator::DoesNotExist,
        Operator::Gt => template::Operator::Gt,
        Operator::Lt => template::Operator::Lt,
        Operator::Gte => template::Operator::Gte,
        Operator::Lte => template::Operator::Lte,
    }
}

/// A taint of a custom resource.
#[must_use]
pub fn taint(taint: &template::Taint) -> Taint {
    let effect = match taint.effect {
        template::TaintEffect::NoSchedule => TaintEffect::NoSchedule,
        template::TaintEffect::PreferNoSchedule => TaintEffect::PreferNoSchedule,
        template::TaintEffect::NoExecute => TaintEffect::NoExecute,
    };
    Taint { key: taint.key.clone(), value: taint.value.clone().unwrap_or_default(), effect }
}

/// The core's taint as custom resources write it.
#[must_use]
pub fn api_taint(taint: &Taint) -> template::Taint {
    let effect = match taint.effect {
        TaintEffect::NoSchedule => template::TaintEffect::NoSchedule,
        TaintEffect::PreferNoSchedule => template::TaintEffect::PreferNoSchedule,
        TaintEffect::NoExecute => template::TaintEffect::NoExecute,
    };
    let value = Some(taint.value.clone()).filter(|value| !value.is_empty());
    template::Taint { key: taint.key.clone(), value, effect, time_added: None }
}

/// A taint of a Node.
pub(crate) fn node_taint(taint: &k8s::Taint, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<Taint> {
    names::key(&taint.key, &at.key("key"), defects);
    let effect = effect(&taint.effect, &at.key("effect"), defects)?;
    Some(Taint { key: taint.key.clone(), value: taint.value.clone().unwrap_or_default(), effect })
}

fn effect(text: &str, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<TaintEffect> {
    match text {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        other => {
            defects.push(Defect::new(at, quoted(other), "NoSchedule, PreferNoSchedule or NoExecute"));
            None
        }
    }
}

/// The tolerations of a pod.
pub(crate) fn tolerations(
    tolerations: &[k8s::Toleration],
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Vec<Toleration> {
    let each = tolerations.iter().enumerate();
    each.filter_map(|(position, one)| toleration(one, &at.index(position), defects)).collect()
}

fn toleration(toleration: &k8s::Toleration, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<Toleration> {
    let key = toleration.key.clone().filter(|key| !key.is_empty());
    if let Some(key) = &key {
        names::key(key, &at.key("key"), defects);
    }
    if let Some(value) = &toleration.value {
        names::length(value, &at.key("value"), defects);
    }
    let effect = match toleration.effect.as_deref() {
        None | Some("") => None,
        Some(text) => Some(effect(text, &at.key("effect"), defects)?),
    };
    let operator = match toleration.operator.as_deref() {
        Some("Exists") => TolerationOperator::Exists,
        None | Some("" | "Equal") => TolerationOperator::Equal(toleration.value.clone().unwrap_or_default()),
        Some(other) => {
            defects.push(Defect::new(&at.key("operator"), quoted(other), "Exists or Equal"));
            return None;
        }
    };
    if key.is_none() && operator != TolerationOperator::Exists {
        defects.push(Defect::new(&at.key("operator"), "Equal without a key", "Exists when there is no key"));
        return None;
    }
    Some(Toleration { key, operator, effect })
}

/// The expressions on a node's labels, keys by their stable names.
pub(crate) fn node_expressions(
    expressions: &[k8s::NodeSelectorRequirement],
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Vec<Requirement> {
    let each = expressions.iter().enumerate();
    each.filter_map(|(position, one)| {
        let values = one.values.as_deref().unwrap_or_default();
        expression(labels::normalized(&one.key), &one.operator, values, &at.index(position), defects)
    })
    .collect()
}

/// A label selector for pods. Keys stay as they are: they are not node labels.
pub(crate) fn label_selector(
    selector: &meta::LabelSelector,
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> LabelSelector {
    names::labels(selector.match_labels.as_ref(), &at.key("matchLabels"), defects);
    let labels = selector.match_labels.iter().flatten();
    let mut requirements: Vec<Requirement> =
        labels.map(|(key, value)| Requirement::equals(key.as_str(), value.as_str())).collect();
    let expressions = at.key("matchExpressions");
    for (position, one) in selector.match_expressions.iter().flatten().enumerate() {
        let at = expressions.index(position);
        if matches!(one.operator.as_str(), "Gt" | "Lt" | "Gte" | "Lte") {
            let expected = "In, NotIn, Exists or DoesNotExist";
            defects.push(Defect::new(&at.key("operator"), quoted(&one.operator), expected));
            continue;
        }
        let values = one.values.as_deref().unwrap_or_default();
        requirements.extend(expression(&one.key, &one.operator, values, &at, defects));
    }
    LabelSelector { requirements }
}

fn expression(
    key: &str,
    operator: &str,
    values: &[String],
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) -> Option<Requirement> {
    names::key(key, &at.key("key"), defects);
    let values_at = at.key("values");
    for (position, value) in values.iter().enumerate() {
        names::length(value, &values_at.index(position), defects);
    }
    let Some(parsed) = parse_operator(operator) else {
        let expected = "In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte or Lte";
        defects.push(Defect::new(&at.key("operator"), quoted(operator), expected));
        return None;
    };
    let expected = match parsed {
        Operator::In | Operator::NotIn if values.is_empty() => "at least one value",
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => "no values",
        Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte if !is_one_integer(values) => {
            "exactly one integer"
        }
        _ => return Some(Requirement::new(key, parsed, values.iter().cloned())),
    };
    let found = if values.is_empty() { "none".to_owned() } else { format!("{values:?}") };
    defects.push(Defect::new(&at.key("values"), found, format!("{expected} with operator {operator}")));
    None
}

fn is_one_integer(values: &[String]) -> bool {
    matches!(values, [value] if value.parse::<i64>().is_ok())
}

fn parse_operator(text: &str) -> Option<Operator> {
    Some(match text {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::Gt,
        "Lt" => Operator::Lt,
        "Gte" => Operator::Gte,
        "Lte" => Operator::Lte,
        _ => return None,
    })
}

/// A text as messages quote it.
pub(crate) fn quoted(text: &str) -> String {
    format!("{text:?}")
}
