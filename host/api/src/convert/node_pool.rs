//! NodePools.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels;
use whittle_core::model::node_pool as core;
use whittle_core::model::requirement::Taint;
use whittle_core::model::time::Duration;

use super::requirement::{quoted, requirement, taint};
use crate::conditions;
use crate::duration;
use crate::node_pool::{Budget, BudgetReason, ConsolidationPolicy, Disruption, NodePool, NodePoolSpec};
use crate::problem::{At, Defect};
use crate::quantity;
use crate::template;

/// A NodePool as the core has it, defaults applied. Without a `Ready` condition it counts as ready.
///
/// # Errors
///
/// All [`Defect`]s that the schema cannot rule out: quantities and spans of time that are too large, duplicate taints,
/// values that a well-known label never has, an empty range of schedule.
pub fn node_pool(pool: &NodePool) -> Result<core::NodePool, Vec<Defect>> {
    let mut defects = Vec::new();
    let root = At::Root;
    let at = root.key("spec");
    let spec = &pool.spec;
    let template = &spec.template.spec;
    let template_at = at.key("template");
    let node_at = template_at.key("spec");
    let metadata = spec.template.metadata.clone().unwrap_or_default();
    let converted = core::NodePool {
        name: pool.metadata.name.clone().unwrap_or_default(),
        weight: spec.weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(0),
        node_class: template.node_class_ref.name.clone(),
        requirements: template
            .requirements
            .iter()
            .map(|one| requirement(&one.key, one.operator, &one.values, one.min_values))
            .collect(),
        labels: metadata
            .labels
            .into_iter()
            .map(|(key, value)| (labels::normalized(&key).to_owned(), value))
            .collect(),
        annotations: metadata.annotations,
        taints: template.taints.iter().map(taint).collect(),
        startup_taints: template.startup_taints.iter().map(taint).collect(),
        limits: limits(spec, &at.key("limits"), &mut defects),
        disruption: disruption(&spec.disruption, &at.key("disruption"), &mut defects),
        expire_after: span_or_never(&template.expire_after, &node_at.key("expireAfter"), &mut defects),
        termination_grace_period: template
            .termination_grace_period
            .as_deref()
            .and_then(|text| span(text, &node_at.key("terminationGracePeriod"), &mut defects)),
        replicas: spec.replicas.and_then(|replicas| u64::try_from(replicas).ok()),
        ready: ready(pool),
        deleting: pool.metadata.deletion_timestamp.is_some(),
    };
    unique_taints(&template.taints, &template.startup_taints, &node_at, &mut defects);
    known_values(pool, &node_at, &mut defects);
    if defects.is_empty() { Ok(converted) } else { Err(defects) }
}

fn ready(pool: &NodePool) -> bool {
    let conditions = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions::find(conditions, conditions::READY).is_none_or(|condition| condition.status == "True")
}

fn limits(spec: &NodePoolSpec, at: &At<'_>, defects: &mut Vec<Defect>) -> BTreeMap<String, u64> {
    let mut limits = BTreeMap::new();
    for (name, limit) in spec.limits.iter().flatten() {
        match quantity::amount(name, limit) {
            Some(amount) => {
                limits.insert(name.clone(), amount);
            }
            None => defects.push(Defect::new(&at.key(name), quoted(&limit.0), quantity::EXPECTED)),
        }
    }
    limits
}

fn disruption(disruption: &Disruption, at: &At<'_>, defects: &mut Vec<Defect>) -> core::Disruption {
    let policy = match disruption.consolidation_policy {
        ConsolidationPolicy::WhenEmpty => core::ConsolidationPolicy::WhenEmpty,
        ConsolidationPolicy::WhenEmptyOrUnderutilized => core::ConsolidationPolicy::WhenEmptyOrUnderutilized,
        ConsolidationPolicy::Balanced => core::ConsolidationPolicy::Balanced,
    };
    let budgets_at = at.key("budgets");
    let budgets = disruption.budgets.iter().enumerate();
    core::Disruption {
        consolidate_after: span_or_never(&disruption.consolidate_after, &at.key("consolidateAfter"), defects),
        policy,
        budgets: budgets.filter_map(|(i, one)| budget(one, &budgets_at.index(i), defects)).collect(),
    }
}

fn budget(budget: &Budget, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<core::Budget> {
    let reasons = budget.reasons.iter().flatten().map(|reason| match reason {
        BudgetReason::Underutilized => core::DisruptionReason::Underutilized,
        BudgetReason::Empty => core::DisruptionReason::Empty,
        BudgetReason::Drifted => core::DisruptionReason::Drifted,
    });
    let window = match (&budget.schedule, &budget.duration) {
        (Some(schedule), Some(length)) => Some(core::BudgetWindow {
            schedule: five_fields(schedule, &at.key("schedule"), defects)?,
            duration: span(length, &at.key("duration"), defects)?,
        }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            let found = "one of 'schedule' and 'duration'";
            defects.push(Defect::new(at, found, "both of them or neither"));
            return None;
        }
    };
    Some(core::Budget {
        nodes: budget_nodes(&budget.nodes, &at.key("nodes"), defects)?,
        reasons: reasons.collect(),
        window,
    })
}

fn budget_nodes(text: &str, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<core::BudgetNodes> {
    let nodes = match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().filter(|p| *p <= 100).map(core::BudgetNodes::Percent),
        None => text.parse().ok().map(core::BudgetNodes::Count),
    };
    if nodes.is_none() {
        defects.push(Defect::new(at, quoted(text), "a number of nodes or a percentage from 0% to 100%"));
    }
    nodes
}

/// A schedule as a cron expression with five fields; the short forms are written out.
fn five_fields(text: &str, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<String> {
    let written = match text.trim() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => other,
    };
    let fields: Vec<&str> = written.split_whitespace().collect();
    if fields.len() == 5
        && fields.iter().zip(CRON_FIELDS).all(|(field, limits)| is_cron_field(field, &limits))
    {
        return Some(fields.join(" "));
    }
    let expected = "a cron expression of the five fields minute, hour, day of month, month and day of week, or @hourly, @daily, @weekly, @monthly, @yearly";
    defects.push(Defect::new(at, quoted(text), expected));
    None
}

/// What a field of a cron expression may hold.
struct CronField {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const CRON_FIELDS: [CronField; 5] = [
    CronField { least: 0, most: 59, names: &[] },
    CronField { least: 0, most: 23, names: &[] },
    CronField { least: 1, most: 31, names: &[] },
    CronField {
        least: 1,
        most: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    CronField { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

/// Whether `text` is a list of `*`, `?`, values and ranges, each with an optional step.
fn is_cron_field(text: &str, limits: &CronField) -> bool {
    text.split(',').all(|item| {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let step_holds = step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| step > 0));
        let value = |text: &str| cron_value(text, limits);
        let range_holds = match range.split_once('-') {
            Some((from, to)) => value(from).zip(value(to)).is_some_and(|(from, to)| from <= to),
            None => matches!(range, "*" | "?") || value(range).is_some(),
        };
        step_holds && range_holds
    })
}

fn cron_value(text: &str, limits: &CronField) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let named = limits.names.iter().position(|name| **name == *lower);
    let value = match named {
        Some(position) => limits.least.saturating_add(u32::try_from(position).ok()?),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
        None => return None,
    };
    (limits.least..=limits.most).contains(&value).then_some(value)
}

pub(crate) fn span(text: &str, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<Duration> {
    let span = duration::parse(text);
    if span.is_none() {
        defects.push(Defect::new(at, quoted(text), "a duration such as 30s, 5m or 1h30m, below 290 years"));
    }
    span
}

pub(crate) fn span_or_never(text: &str, at: &At<'_>, defects: &mut Vec<Defect>) -> Option<Duration> {
    if text == duration::NEVER { None } else { span(text, at, defects) }
}

/// Adds a defect for each taint whose key and effect another taint has already.
pub(crate) fn unique_taints(
    taints: &[template::Taint],
    startup_taints: &[template::Taint],
    at: &At<'_>,
    defects: &mut Vec<Defect>,
) {
    let mut seen = BTreeSet::new();
    for (list, taints) in [("taints", taints), ("startupTaints", startup_taints)] {
        for (position, one) in taints.iter().enumerate() {
            let one: Taint = taint(one);
            let shown = format!("a second taint {}:{:?}", one.key, one.effect);
            if !seen.insert((one.key, one.effect)) {
                let expected = "each key and effect once among 'taints' and 'startupTaints'";
                defects.push(Defect::new(&at.key(list).index(position), shown, expected));
            }
        }
    }
}

/// Adds a defect for each requirement or label that names only values which its label never has.
fn known_values(pool: &NodePool, at: &At<'_>, defects: &mut Vec<Defect>) {
    let requirements_at = at.key("requirements");
    for (position, one) in pool.spec.template.spec.requirements.iter().enumerate() {
        let Some(known) = values_known(labels::normalized(&one.key)) else { continue };
        let lists = matches!(one.operator, template::Operator::In | template::Operator::NotIn);
        if lists && !one.values.is_empty() && !one.values.iter().any(|value| known.contains(&value.as_str()))
        {
            let expected = format!("at least one of {}", known.join(", "));
            let at = requirements_at.index(position);
            defects.push(Defect::new(&at.key("values"), format!("{:?}", one.values), expected));
        }
    }
}

/// The values that a label can have, for labels that have few.
fn values_known(key: &str) -> Option<Vec<&'static str>> {
    match key {
        labels::CAPACITY_TYPE => Some(CapacityType::ALL.into_iter().map(CapacityType::label).collect()),
        labels::TENANCY => Some(vec!["default", "dedicated"]),
        _ => None,
    }
}
