//! The CEL rules of a schema, evaluated as the API server evaluates them.
//!
//! Rules on changes (`oldSelf`) need the object that is there already and are left to the API server.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cel::extractors::This;
use cel::{Context, Env, Program};
use regex::Regex;
use serde_json::Value;

use crate::problem::{At, Defect, Path};

/// Adds a defect for each rule of `schema` that `value` breaks.
///
/// Rules of a place that is `reported` already are left out, and so is a rule that cannot be evaluated where
/// something inside is: they would say nothing new.
pub(super) fn check(
    schema: &Value,
    value: &Value,
    at: &At<'_>,
    reported: &BTreeSet<Path>,
    defects: &mut Vec<Defect>,
) {
    let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
    let here = at.path();
    for rule in rules.into_iter().flatten().filter(|_| !reported.contains(&here)) {
        let (Some(text), Some(message)) = (text(rule, "rule"), text(rule, "message")) else { continue };
        if text.contains("oldSelf") {
            continue;
        }
        let broken = match holds(text, value) {
            Some(holds) => !holds,
            None => !reported.iter().any(|path| path.0.starts_with(&here.0)),
        };
        if broken {
            defects.push(Defect::new(at, value.to_string(), message));
        }
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let property = schema.get("properties").and_then(|properties| properties.get(name));
                if let Some(schema) = property.or_else(|| schema.get("additionalProperties")) {
                    check(schema, value, &at.key(name), reported, defects);
                }
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    check(schema, item, &at.index(position), reported, defects);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn text<'a>(rule: &'a Value, field: &str) -> Option<&'a str> {
    rule.get(field).and_then(Value::as_str)
}

/// What Kubernetes adds to CEL and our rules use.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::stdlib();
    environment.add_extension(cel::extensions::strings).expect("the extension stands alone");
    Arc::new(environment)
});

/// Rules are few and never change, so each is compiled once.
static PROGRAMS: LazyLock<Mutex<BTreeMap<String, Option<Arc<Program>>>>> = LazyLock::new(Mutex::default);

/// Whether `value` keeps the rule; `None` when the rule cannot be evaluated.
fn holds(rule: &str, value: &Value) -> Option<bool> {
    let program = {
        let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = programs.entry(rule.to_owned());
        compiled.or_insert_with(|| ENVIRONMENT.compile(rule).ok().map(Arc::new)).clone()?
    };
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    context.add_function("find", find).ok()?;
    context.add_variable_from_value("self", cel_value(value));
    match program.execute(&context) {
        Ok(cel::Value::Bool(holds)) => Some(holds),
        _ => None,
    }
}

/// Kubernetes' `find`: the first match of a pattern, empty when there is none.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the interpreter calls")]
fn find(This(text): This<Arc<String>>, pattern: Arc<String>) -> String {
    let regex = Regex::new(&pattern).ok();
    regex.and_then(|regex| regex.find(&text).map(|found| found.as_str().to_owned())).unwrap_or_default()
}

/// JSON as CEL has it: whole numbers are `int`.
fn cel_value(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => cel::Value::Int(number),
            None => cel::Value::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(cel_value).collect())),
        Value::Object(map) => {
            let fields: HashMap<String, cel::Value> =
                map.iter().map(|(name, value)| (name.clone(), cel_value(value))).collect();
            cel::Value::Map(fields.into())
        }
    }
}
