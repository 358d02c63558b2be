//! A value against its schema: unknown fields, wrong types, broken limits. All of them, and none twice.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use serde_json::{Map, Value};

use super::schema::Schemas;
use super::suggestion::{fields, options};
use crate::problem::{At, Defect, Path, Segment};
use crate::quantity;

/// Who made the schema, which decides what the API server lets pass.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A CRD: what is said is meant literally.
    Custom,
    /// Kubernetes itself: null is nothing, and a quantity may be a number with decimals.
    Kubernetes,
}

/// A walk along a value and its schema.
pub(super) struct Walk<'a> {
    pub(super) schemas: &'a Schemas,
    pub(super) origin: Origin,
    pub(super) defects: Vec<Defect>,
    /// What is missing or of a wrong type, each with a harmless value in its place.
    pub(super) wrong: Vec<(Path, Value)>,
}

/// Puts the defaults of a schema where nothing is said.
pub(super) fn apply_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                if let (None | Some(Value::Null), Some(default)) = (map.get(name), property.get("default")) {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(inner) = map.get_mut(name) {
                    apply_defaults(property, inner);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| apply_defaults(schema, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts harmless values where something is missing or of a wrong type, so that the rest can be read and its own
/// problems told.
pub(super) fn mend(value: &mut Value, wrong: Vec<(Path, Value)>) {
    for (path, harmless) in wrong {
        let Some((last, parents)) = path.0.split_last() else { continue };
        let parent = parents.iter().try_fold(&mut *value, |part, segment| match segment {
            Segment::Key(key) => part.get_mut(key),
            Segment::Index(index) => part.get_mut(index),
        });
        match (parent, last) {
            (Some(Value::Object(map)), Segment::Key(key)) => drop(map.insert(key.clone(), harmless)),
            (Some(Value::Array(items)), Segment::Index(index)) if *index < items.len() => {
                items[*index] = harmless
            }
            _ => {}
        }
    }
}

/// The least value that a schema allows.
fn harmless(schemas: &Schemas, schema: &Value) -> Value {
    let (schema, _) = schemas.resolved(schema);
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let fields = required.filter_map(|name| {
                let name = name.as_str()?;
                Some((name.to_owned(), harmless(schemas, schema.get("properties")?.get(name)?)))
            });
            Value::Object(fields.collect())
        }
        Some("array") => Value::Array(Vec::new()),
        Some("string") if schema.get("format").is_some_and(|format| format == "date-time") => {
            "1970-01-01T00:00:00Z".into()
        }
        Some("string") => schema.get("enum").and_then(|all| all.get(0)).cloned().unwrap_or_else(|| "".into()),
        Some("boolean") => false.into(),
        _ => 0.into(),
    }
}

impl Walk<'_> {
    /// Checks `value` against `schema`. Nulls that say nothing are taken away on the way.
    pub(super) fn check(&mut self, schema: &Value, value: &mut Value, at: &At<'_>) {
        let (schema, name) = self.schemas.resolved(schema);
        if name.ends_with("resource.Quantity")
            || schema.get("pattern").is_some_and(|p| p == crate::shape::QUANTITY) && is_int_or_string(schema)
        {
            self.quantity(schema, value, at);
        } else if is_int_or_string(schema) || name.ends_with("intstr.IntOrString") {
            if !value.is_string() && !value.is_i64() && !value.is_u64() {
                self.refuse(schema, value, "a number or a text", at);
            }
        } else {
            match schema.get("type").and_then(Value::as_str) {
                Some("object") => self.object(schema, value, at),
                Some("array") => self.array(schema, value, at),
                Some("string") => self.text(schema, value, at),
                Some("integer") => self.integer(schema, value, at),
                Some("number") if !value.is_number() => self.refuse(schema, value, "a number", at),
                Some("boolean") if !value.is_boolean() => self.refuse(schema, value, "true or false", at),
                _ => {}
            }
        }
    }

    fn add(&mut self, at: &At<'_>, found: impl Into<String>, expected: impl Into<String>) {
        self.defects.push(Defect::new(at, found, expected));
    }

    fn refuse(&mut self, schema: &Value, value: &Value, expected: &str, at: &At<'_>) {
        self.add(at, shown(value), expected);
        self.wrong.push((at.path(), harmless(self.schemas, schema)));
    }

    fn quantity(&mut self, schema: &Value, value: &Value, at: &At<'_>) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_f64() && self.origin == Origin::Custom => {
                return self.refuse(schema, value, "a whole number, or a text such as \"1.5\"", at);
            }
            Value::Number(number) => number.to_string(),
            _ => return self.refuse(schema, value, quantity::EXPECTED, at),
        };
        if quantity::whole(&text).is_none() {
            self.add(at, shown(value), quantity::EXPECTED);
        }
    }

    fn object(&mut self, schema: &Value, value: &mut Value, at: &At<'_>) {
        let Value::Object(map) = value else { return self.refuse(schema, value, "a map of fields", at) };
        let properties = schema.get("properties").and_then(Value::as_object);
        let values = schema.get("additionalProperties").filter(|schema| schema.is_object());
        match (properties, values) {
            (Some(properties), _) => {
                map.retain(|name, value| !(value.is_null() && properties.contains_key(name)));
                self.fields(schema, properties, map, at);
            }
            (None, Some(schema)) => self.entries(schema, map, at),
            (None, None) => {}
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            if !map.contains_key(name) {
                let at = at.key(name);
                self.add(&at, "nothing", format!("the field '{name}'"));
                let property = properties.and_then(|properties| properties.get(name)).unwrap_or(&Value::Null);
                self.wrong.push((at.path(), harmless(self.schemas, property)));
            }
        }
        self.size(map.len(), schema, ["minProperties", "maxProperties"], ["entry", "entries"], at);
    }

    fn fields(
        &mut self,
        schema: &Value,
        known: &Map<String, Value>,
        map: &mut Map<String, Value>,
        at: &At<'_>,
    ) {
        let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        for (name, value) in map {
            let at = at.key(name);
            match known.get(name) {
                Some(schema) => self.check(schema, value, &at),
                None if open || is_in_status(&at) => {}
                None => self.add(&at, format!("the unknown field '{name}'"), fields(name, known.keys())),
            }
        }
    }

    fn entries(&mut self, schema: &Value, map: &mut Map<String, Value>, at: &At<'_>) {
        for (name, value) in map {
            if value.is_null()
                && self.origin == Origin::Kubernetes
                && schema.get("type").is_some_and(|t| t == "string")
            {
                *value = Value::String(String::new());
            }
            self.check(schema, value, &at.key(name));
        }
    }

    fn array(&mut self, schema: &Value, value: &mut Value, at: &At<'_>) {
        let Value::Array(items) = value else { return self.refuse(schema, value, "a list", at) };
        if let Some(schema) = schema.get("items") {
            for (position, item) in items.iter_mut().enumerate() {
                self.check(schema, item, &at.index(position));
            }
        }
        self.size(items.len(), schema, ["minItems", "maxItems"], ["item", "items"], at);
    }

    fn text(&mut self, schema: &Value, value: &Value, at: &At<'_>) {
        let Value::String(text) = value else {
            let quotes =
                if value.is_object() || value.is_array() || value.is_null() { "" } else { ", in quotes" };
            return self.refuse(schema, value, &format!("a text{quotes}"), at);
        };
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
            let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            if !allowed.contains(&text.as_str()) {
                self.add(at, shown(value), options(text, &allowed));
                self.wrong.push((at.path(), harmless(self.schemas, schema)));
            }
        }
        if schema.get("format").is_some_and(|format| format == "date-time")
            && text.parse::<k8s_openapi::jiff::Timestamp>().is_err()
        {
            self.refuse(schema, value, "a time such as 2030-01-31T12:00:00Z", at);
        }
        let pattern = schema.get("pattern").and_then(Value::as_str);
        if let Some(pattern) = pattern.filter(|pattern| !matches(pattern, text)) {
            self.add(at, shown(value), pattern_in_words(pattern));
        }
        self.size(text.chars().count(), schema, ["minLength", "maxLength"], ["character", "characters"], at);
    }

    fn integer(&mut self, schema: &Value, value: &Value, at: &At<'_>) {
        let Some(number) = value.as_i64() else { return self.refuse(schema, value, "a whole number", at) };
        if schema.get("format").is_some_and(|format| format == "int32") && i32::try_from(number).is_err() {
            return self.refuse(schema, value, "a whole number of 32 bits", at);
        }
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        #[expect(clippy::cast_precision_loss, reason = "limits of the schemas are small whole numbers")]
        let (number, least, most) = (number as f64, limit("minimum"), limit("maximum"));
        let outside = least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most);
        if outside {
            let expected = match (least, most) {
                (Some(least), Some(most)) => format!("a number from {least} to {most}"),
                (Some(least), None) => format!("a number not below {least}"),
                (None, most) => format!("a number not above {}", most.unwrap_or_default()),
            };
            self.add(at, shown(value), expected);
        }
    }

    fn size(
        &mut self,
        size: usize,
        schema: &Value,
        [least, most]: [&str; 2],
        [one, many]: [&str; 2],
        at: &At<'_>,
    ) {
        let limit = |name: &str| {
            schema.get(name).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok())
        };
        let counted = |count: usize| format!("{count} {}", if count == 1 { one } else { many });
        if let Some(least) = limit(least).filter(|least| size < *least) {
            self.add(at, counted(size), format!("at least {}", counted(least)));
        }
        if let Some(most) = limit(most).filter(|most| size > *most) {
            self.add(at, counted(size), format!("at most {}", counted(most)));
        }
    }
}

/// A status is written by the cluster, which may be newer than we are; people cannot misspell it.
fn is_in_status(at: &At<'_>) -> bool {
    match at {
        At::Root => false,
        At::Key(At::Root, name) => *name == "status",
        At::Key(parent, _) | At::Index(parent, _) => is_in_status(parent),
    }
}

fn is_int_or_string(schema: &Value) -> bool {
    schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true))
}

/// A value as messages show it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("a list of {} items", items.len()),
        Value::Object(map) => format!("a map of {} fields", map.len()),
    }
}

/// Patterns are few and never change, so each is compiled once.
static PATTERNS: LazyLock<Mutex<BTreeMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);

fn matches(pattern: &str, text: &str) -> bool {
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
    compiled.as_ref().is_none_or(|regex| regex.is_match(text))
}

fn pattern_in_words(pattern: &str) -> String {
    use crate::shape;
    let words = match pattern {
        shape::LABEL_KEY => {
            "a label's key: letters, digits, '-', '_' and '.', with an optional domain before a slash"
        }
        shape::LABEL_VALUE => {
            "a label's value: letters, digits, '-', '_' and '.', a letter or digit at both ends"
        }
        shape::DURATION => "a duration such as 30s, 5m or 1h30m",
        shape::DURATION_OR_NEVER => "a duration such as 30s, 5m or 1h30m, or Never",
        shape::QUANTITY => quantity::EXPECTED,
        shape::QUANTITY_OR_PERCENT => "a quantity such as 100Mi or a percentage such as 5%",
        other => return format!("a text that matches {other}"),
    };
    words.to_owned()
}
