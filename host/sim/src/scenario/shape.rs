//! A value against the scenario's JSON schema: unknown fields, missing ones, wrong types. All of them at once.
//!
//! Only what schemars makes of [`super::Scenario`] is understood: objects, arrays, scalars, references, optional
//! fields. What a value means is checked in `compile`.

use serde_json::{Map, Value};
use whittle_api::problem::{Path, Segment};

use crate::problems::{Finder, one_of};

/// Checks `value` against `schema`, whose definitions are in `root`.
pub(super) fn check(value: &Value, schema: &Value, root: &Value, path: &Path, finder: &mut Finder) {
    let schema = resolved(schema, root);
    let types = types(schema);
    if value.is_null() && (types.contains(&"null") || types.is_empty()) {
        return;
    }
    match (value, schema) {
        (Value::Object(fields), _) if types.contains(&"object") => {
            check_fields(fields, schema, root, path, finder);
        }
        (Value::Array(items), _) if types.contains(&"array") => {
            let item_schema = schema.get("items").unwrap_or(&Value::Null);
            for (position, item) in items.iter().enumerate() {
                check(item, item_schema, root, &path.clone().with(Segment::Index(position)), finder);
            }
        }
        _ if types.is_empty() || types.iter().any(|kind| is_a(value, kind)) => {
            let least = schema.get("minimum").and_then(Value::as_f64);
            if let (Some(least), Some(number)) = (least, value.as_f64())
                && number < least
            {
                finder.add(path, number.to_string(), format!("at least {least}"));
            }
        }
        _ => finder.add(path, shown(value), expected(&types)),
    }
}

fn check_fields(fields: &Map<String, Value>, schema: &Value, root: &Value, path: &Path, finder: &mut Finder) {
    let empty = Map::new();
    let known = properties(schema).unwrap_or(&empty);
    for (name, value) in fields {
        let here = path.clone().with(Segment::Key(name.clone()));
        match known.get(name) {
            Some(schema) => check(value, schema, root, &here, finder),
            None => {
                let names = known.keys().map(String::as_str);
                finder.add(&here, format!("the unknown field {name:?}"), one_of(names, name));
            }
        }
    }
    for name in required(schema).filter(|name| !fields.contains_key(*name)) {
        let here = path.clone().with(Segment::Key(name.to_owned()));
        let wanted = known.get(name).map(|schema| expected(&types(resolved(schema, root))));
        finder.add(&here, "nothing", wanted.unwrap_or_default());
    }
}

/// A value of the right shape that says whatever `value` says in the right shape: unknown fields are left out, and
/// what is missing or of the wrong type is blank. Lists keep their positions, so that places stay what they are.
pub(super) fn mended(value: &Value, schema: &Value, root: &Value) -> Value {
    said(value, schema, root).unwrap_or_else(|| blank(schema, root))
}

/// The value in the right shape; `None` when its type is wrong.
fn said(value: &Value, schema: &Value, root: &Value) -> Option<Value> {
    let inner = resolved(schema, root);
    let types = types(inner);
    match value {
        Value::Object(fields) if types.contains(&"object") => {
            let mut mended = blank_object(inner, root);
            for (name, schema) in properties(inner).into_iter().flatten() {
                if let Some(value) = fields.get(name).and_then(|value| said(value, schema, root)) {
                    mended.insert(name.clone(), value);
                }
            }
            Some(Value::Object(mended))
        }
        Value::Array(items) if types.contains(&"array") => {
            let schema = inner.get("items").unwrap_or(&Value::Null);
            Some(items.iter().map(|item| mended(item, schema, root)).collect())
        }
        Value::Number(number) => {
            let least = inner.get("minimum").and_then(Value::as_f64);
            let is_enough = least.is_none_or(|least| number.as_f64().is_some_and(|number| number >= least));
            (is_enough && types.iter().any(|kind| is_a(value, kind))).then(|| value.clone())
        }
        _ => types.iter().any(|kind| is_a(value, kind)).then(|| value.clone()),
    }
}

fn blank(schema: &Value, root: &Value) -> Value {
    let schema = resolved(schema, root);
    match types(schema).first().copied() {
        Some("string") => Value::String(String::new()),
        Some("boolean") => Value::Bool(false),
        Some("integer" | "number") => Value::from(0),
        Some("array") => Value::Array(Vec::new()),
        Some("object") => Value::Object(blank_object(schema, root)),
        _ => Value::Null,
    }
}

/// An object with its required fields alone, and these blank.
fn blank_object(schema: &Value, root: &Value) -> Map<String, Value> {
    let fields = properties(schema).into_iter().flatten();
    let required = fields.filter(|(name, _)| required(schema).any(|required| required == name.as_str()));
    required.map(|(name, schema)| (name.clone(), blank(schema, root))).collect()
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// What a reference or an optional field refers to.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str);
    if let Some(name) = reference.and_then(|reference| reference.strip_prefix("#/$defs/")) {
        return root.get("$defs").and_then(|defs| defs.get(name)).unwrap_or(schema);
    }
    let options = schema.get("anyOf").and_then(Value::as_array);
    let inner = options.and_then(|options| options.iter().find(|option| option.get("$ref").is_some()));
    inner.map_or(schema, |inner| resolved(inner, root))
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        _ => value.is_null(),
    }
}

fn expected(types: &[&str]) -> String {
    let words: Vec<&str> = types
        .iter()
        .filter(|kind| **kind != "null")
        .map(|kind| match *kind {
            "string" => "a text",
            "boolean" => "true or false",
            "integer" => "a whole number",
            "number" => "a number",
            "array" => "a list",
            _ => "an object",
        })
        .collect();
    words.join(" or ")
}

/// A value as a message quotes it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
