//! `inspect`: everything that a module says about itself, what it would be shown, and what it answers then.
//!
//! Questions and answers are printed as cases for `test`, so that a case begins as a copy of what is seen here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use whittle_core::advice::words::{LivingNode, Reads, WaitingPods};
use whittle_core::advice::{Answer, Question};

use crate::attachments::Problems;
use crate::author::check::describe;
use crate::author::settings;
use crate::canned;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::module::Module;

/// A case as it is printed, its fields in the order in which they are read.
#[derive(Serialize)]
struct Shown {
    name: &'static str,
    settings: Value,
    question: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
}

/// What labels carry that a question for trying out has to have and that nobody set.
const EXAMPLE: &str = "example";

/// A module's settings, and for each hook the questions that it is tried out with, with its answers. Without settings,
/// the empty ones are tried, and a module that does not accept them says only what it is.
///
/// # Errors
/// When the module does not accept the settings that are given.
pub fn inspect(engine: &Engine, module: &Module, given: Option<&str>) -> Result<String, Problems> {
    let mut text = describe(module);
    let schema: Value = serde_json::from_str(&module.about.settings_schema).unwrap_or_default();
    let _ = writeln!(text, "\n# The schema of the settings.\n{}", yaml(&schema).trim_end());
    let settings = given.unwrap_or("{}");
    let reads = match (settings::configure(engine, module, settings, ("--settings", "")), given) {
        (Ok(reads), _) => reads,
        (Err(problems), Some(_)) => return Err(problems),
        (Err(problems), None) => {
            text.push_str("\n# Questions and answers depend on settings: give some with --settings.\n");
            problems.0.iter().for_each(|one| {
                let _ = writeln!(text, "# {}: {}", one.path, one.found);
            });
            return Ok(text);
        }
    };
    let _ = writeln!(text, "\n# With these settings it is shown the labels\n{}", yaml(&reads).trim_end());
    let _ = writeln!(text, "\n# What it answers, as cases for `whittle policy test`.\ncases:");
    for question in module.hooks.iter().flat_map(|hook| canned::questions(*hook)) {
        if !question.is_empty() {
            text.push_str(&case(engine, module, (settings, &reads), question));
        }
    }
    Ok(text)
}

fn case(
    engine: &Engine,
    module: &Module,
    (settings, reads): (&str, &Reads),
    mut question: Question,
) -> String {
    label(&mut question, reads);
    let limits = Limits::default().patient();
    let consultation = module.consult(engine, (settings, limits), (&question, reads, canned::NOW));
    let settings: Value = serde_json::from_str(settings).unwrap_or_default();
    let (name, question) = (question.kind().name(), brief(&question));
    let (answer, fault) = match consultation.answer {
        Ok(answer) => (Some(answer), String::new()),
        Err(fault) => (None, format!("  # It {fault}.\n")),
    };
    yaml(&[Shown { name, settings, question, answer }]) + &fault
}

/// A question without what is as it would be anyway.
fn brief(question: &Question) -> Value {
    let whole = serde_json::to_value(question).unwrap_or_default();
    let pruned = pruned(whole.clone());
    // Where leaving something out would say something else, nothing is left out.
    match serde_json::from_value::<Question>(pruned.clone()) {
        Ok(read) if read == *question => pruned,
        Ok(_) | Err(_) => whole,
    }
}

fn pruned(value: Value) -> Value {
    let says_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_u64() == Some(0),
        // One zero is a place, such as that of a node; many are a past in which nothing happened.
        Value::Array(items) => items.len() != 1 && items.iter().all(|item| item.as_u64() == Some(0)),
        Value::Object(fields) => fields.is_empty(),
        Value::String(_) | Value::Bool(true) => false,
    };
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().map(|(key, value)| (key, pruned(value)));
            Value::Object(kept.filter(|(_, value)| !says_nothing(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(pruned).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Puts the labels that a policy reads on what it is shown.
fn label(question: &mut Question, reads: &Reads) {
    match question {
        Question::Choose(question) => label_pods(&mut question.groups, reads),
        Question::Dress(question) => label_pods(&mut question.groups, reads),
        Question::Review(question) => label_nodes(&mut question.nodes, reads),
        Question::JudgeOfferings(question) => {
            question.types.iter_mut().for_each(|one| add(&mut one.labels, &reads.offering_labels));
        }
        Question::Rest(question) => label_nodes(&mut question.nodes, reads),
        Question::JudgeMoves(question) => label_nodes(&mut question.nodes, reads),
        Question::React(question) => {
            question.notices.iter_mut().for_each(|one| add(&mut one.node.labels, &reads.node_labels));
        }
    }
}

fn label_pods(groups: &mut [WaitingPods], reads: &Reads) {
    groups.iter_mut().for_each(|group| add(&mut group.labels, &reads.pod_labels));
}

fn label_nodes(nodes: &mut [LivingNode], reads: &Reads) {
    nodes.iter_mut().for_each(|node| add(&mut node.labels, &reads.node_labels));
}

fn add(labels: &mut BTreeMap<String, String>, keys: &BTreeSet<String>) {
    for key in keys {
        labels.entry(key.clone()).or_insert_with(|| EXAMPLE.to_owned());
    }
}

fn yaml(value: &impl Serialize) -> String {
    serde_saphyr::to_string(value).unwrap_or_default()
}
