//! Where two answers differ, place by place, as short as it can be said.

use serde_json::Value;

/// A line for each place at which `found` is not what was `expected`; empty when they are equal.
pub(super) fn lines(found: &Value, expected: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", Some(found), Some(expected), &mut lines);
    lines
}

fn compare(path: &str, found: Option<&Value>, expected: Option<&Value>, lines: &mut Vec<String>) {
    match (found, expected) {
        (found, expected) if found == expected => {}
        (Some(Value::Object(found)), Some(Value::Object(expected)))
            if have_one_in_common(found, expected) =>
        {
            let more = expected.keys().filter(|key| !found.contains_key(*key));
            for key in found.keys().chain(more) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, found.get(key), expected.get(key), lines);
            }
        }
        (Some(Value::Array(found)), Some(Value::Array(expected)))
            if found.iter().any(|one| !is_plain(one)) =>
        {
            for place in 0..found.len().max(expected.len()) {
                compare(&format!("{path}[{place}]"), found.get(place), expected.get(place), lines);
            }
        }
        (found, expected) => {
            lines.push(format!("{path}: found {}, expected {}", shown(found), shown(expected)))
        }
    }
}

/// An object with one key is often a choice among several: choices that differ are shown whole.
fn have_one_in_common(
    found: &serde_json::Map<String, Value>,
    expected: &serde_json::Map<String, Value>,
) -> bool {
    found.keys().any(|key| expected.contains_key(key))
}

fn is_plain(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told_and_where() {
        let answer = |pods, prefer: &[&str]| json!({"choose": [{"split": {"shares": [{"pods": pods, "prefer": prefer}]}}, "default"]});
        assert_eq!(lines(&answer(1, &["spot"]), &answer(1, &["spot"])), Vec::<String>::new());
        assert_eq!(
            lines(&answer(1, &["spot"]), &answer(2, &["on-demand"])),
            [
                "choose[0].split.shares[0].pods: found 1, expected 2",
                r#"choose[0].split.shares[0].prefer: found ["spot"], expected ["on-demand"]"#,
            ]
        );
        assert_eq!(
            lines(&json!([{"hold": 5}, "default"]), &json!([{"split": 1}])),
            [r#"[0]: found {"hold":5}, expected {"split":1}"#, r#"[1]: found "default", expected nothing"#]
        );
    }
}
