//! Settings that an author gives a module, and what is said when it does not take them.

use serde_json::Value;
use whittle_core::advice::words::Reads;

use crate::attachments::{Problem, Problems};
use crate::engine::Engine;
use crate::limits::Limits;
use crate::module::Module;

/// Settings from a command line, as YAML or JSON, in the form in which a module gets them.
///
/// # Errors
/// When the text is neither, or not an object.
pub fn parse(text: &str) -> Result<String, Problems> {
    let problem = |found: String, expected: &str| {
        let (file, path) = ("--settings".to_owned(), String::new());
        Problems(vec![Problem { file, path, found, expected: expected.to_owned() }])
    };
    let value: Value = serde_saphyr::from_str(text)
        .map_err(|error| problem(without_place(&error), "YAML or JSON, such as '{onDemandBase: 2}'"))?;
    match value {
        Value::Null => Ok("{}".to_owned()),
        Value::Object(_) => Ok(value.to_string()),
        other => Err(problem(other.to_string(), "an object, such as '{onDemandBase: 2}'")),
    }
}

/// Hands a module settings. `of` is where they stand: a file and a place in it.
///
/// # Errors
/// With each complaint of the policy, at its place.
pub fn configure(
    engine: &Engine,
    module: &Module,
    settings: &str,
    (file, path): (&str, &str),
) -> Result<Reads, Problems> {
    module.configure(engine, settings, Limits::default().patient()).map_err(|refusals| {
        let problems = refusals.into_iter().map(|refusal| match refusal.found.strip_prefix("settings") {
            // What a policy says about its settings is what was found; what it would take is in its schema.
            Some(place) => Problem {
                file: file.to_owned(),
                path: format!("{path}settings{place}"),
                found: refusal.expected,
                expected: format!(
                    "settings that {} accepts; `whittle policy inspect` prints their schema",
                    module.about.name
                ),
            },
            None => Problem {
                file: file.to_owned(),
                path: format!("{path}settings"),
                found: refusal.found,
                expected: refusal.expected,
            },
        });
        Problems(problems.collect())
    })
}

/// What a reader of YAML says, without the place, which is told beside it.
pub(super) fn without_place(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.split_once(" at line ").map_or(text, |(words, _)| words).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_yaml_or_json_and_an_object() {
        assert_eq!(parse("{onDemandBase: 2}"), Ok(r#"{"onDemandBase":2}"#.to_owned()));
        assert_eq!(parse(r#"{"onDemandBase": 2}"#), Ok(r#"{"onDemandBase":2}"#.to_owned()));
        assert_eq!(parse(""), Ok("{}".to_owned()));
        for (wrong, found) in [("7", "7"), ("[a]", r#"["a"]"#)] {
            assert_eq!(parse(wrong).unwrap_err().0[0].found, found);
        }
        let unfinished = parse("{onDemandBase: ").unwrap_err().0.remove(0);
        assert!(unfinished.expected.starts_with("YAML or JSON") && !unfinished.found.is_empty());
    }
}
