//! `test`: cases in YAML, each with settings, a question and the answer that is expected.

mod differ;

use serde::Deserialize;
use serde_json::Value;
use whittle_core::advice::{Answer, Question};
use whittle_core::model::time::Timestamp;

use crate::attachments::{Problem, Problems};
use crate::author::settings;
use crate::canned;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::module::Module;

/// A file of cases.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cases {
    /// The module's file, beside this one or by its path from here; whoever runs the cases may name another.
    #[serde(default)]
    pub module: Option<String>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// A case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// What it shows, as a sentence.
    pub name: String,
    /// The settings.
    #[serde(default)]
    pub settings: Value,
    /// The time, in milliseconds since the epoch.
    #[serde(default = "default_now")]
    pub now: Timestamp,
    /// What is asked.
    pub question: Question,
    /// The answer that is expected.
    pub answer: Answer,
}

fn default_now() -> Timestamp {
    canned::NOW
}

/// What a case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The case's name.
    pub name: String,
    /// What was wrong, a line each; empty when it passed.
    pub wrong: Vec<String>,
}

/// Reads cases from the text of a file.
///
/// # Errors
/// With the place in the file, what was found and what was expected.
pub fn parse(file: &str, text: &str) -> Result<Cases, Problems> {
    let cases: Cases =
        serde_saphyr::from_str(text).map_err(|error| Problems(vec![unreadable(file, text, &error)]))?;
    let problem = |path: String, found: &str, expected: &str| Problem {
        file: file.to_owned(),
        path,
        found: found.to_owned(),
        expected: expected.to_owned(),
    };
    let mut problems = Vec::new();
    if cases.cases.is_empty() {
        problems.push(problem("cases".to_owned(), "an empty list", "a case at least"));
    }
    for (place, case) in cases.cases.iter().enumerate() {
        let path = format!("cases[{place}]");
        if !matches!(case.settings, Value::Null | Value::Object(_)) {
            problems.push(problem(format!("{path}.settings"), &case.settings.to_string(), "an object"));
        }
        // An answer that breaks the rules would be a fault, so no module can be meant to give it.
        if let Err(wrong) = case.question.check(&case.answer, case.now) {
            let asked = case.question.kind();
            let path = format!("{path}.answer.{asked}{}", wrong.path);
            problems.push(problem(path, &wrong.found, &wrong.expected));
        }
    }
    if problems.is_empty() { Ok(cases) } else { Err(Problems(problems)) }
}

/// What the reader of YAML says, as we say it.
fn unreadable(file: &str, text: &str, error: &serde_saphyr::Error) -> Problem {
    let words = settings::without_place(error);
    let (place, line) = match error.location() {
        Some(at) => {
            let row = usize::try_from(at.line()).unwrap_or(usize::MAX);
            let line = text.lines().nth(row.saturating_sub(1)).unwrap_or_default().trim();
            (format!("{file}:{}:{}", at.line(), at.column()), line)
        }
        None => (file.to_owned(), ""),
    };
    let (found, expected) = match words.split_once(", expected ") {
        Some((found, expected)) => (found.to_owned(), expected.to_owned()),
        None if line.is_empty() => (words, "a list of cases, as docs/policies.md has them".to_owned()),
        None => (format!("`{line}`: {words}"), "a case, as docs/policies.md has them".to_owned()),
    };
    Problem { file: place, path: String::new(), found, expected }
}

/// Runs cases on a module.
#[must_use]
pub fn run(engine: &Engine, module: &Module, cases: &[Case]) -> Vec<Outcome> {
    let run = |case: &Case| Outcome { name: case.name.clone(), wrong: wrong(engine, module, case) };
    cases.iter().map(run).collect()
}

fn wrong(engine: &Engine, module: &Module, case: &Case) -> Vec<String> {
    let hook = case.question.hook();
    if !module.hooks.contains(&hook) {
        let answered: Vec<&str> = module.hooks.iter().map(|hook| hook.name()).collect();
        return vec![format!(
            "question: found {hook}, expected what {} answers: {}",
            module.about.name,
            answered.join(", ")
        )];
    }
    let settings = if case.settings.is_null() { "{}".to_owned() } else { case.settings.to_string() };
    let reads = match settings::configure(engine, module, &settings, ("", "")) {
        Ok(reads) => reads,
        Err(problems) => {
            let words = problems.0.into_iter();
            return words.map(|one| format!("{}: {}", one.path, one.found)).collect();
        }
    };
    let limits = Limits::default().patient();
    let consultation = module.consult(engine, (&settings, limits), (&case.question, &reads, case.now));
    match consultation.answer {
        Err(fault) => {
            let mut lines = vec![format!("it {fault}")];
            lines.extend(fault.backtrace().iter().map(|frame| format!("  {frame}")));
            lines
        }
        Ok(answer) => differ::lines(&json(&answer), &json(&case.answer)),
    }
}

fn json(answer: &Answer) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        parse("cases.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn cases_say_only_what_they_are_about() {
        let text = "
module: spot-ratio.wasm
cases:
- name: two pods stay off spot
  settings: {onDemandBase: 2, spotPercent: 80}
  question: {choose: {groups: [{owner: {kind: Deployment, name: web}, pending: 2}]}}
  answer: {choose: [{split: {shares: [{pods: 2, prefer: [reserved, on-demand]}], reason: x}}]}
";
        let cases = parse("cases.yaml", text).unwrap();
        assert_eq!((cases.cases.len(), cases.cases[0].question.len()), (1, 1));
    }

    #[test]
    fn what_cannot_be_read_has_its_line_what_was_found_and_what_was_expected() {
        assert_eq!(
            problem("cases:\n- name: a\n  question: {chose: {}}"),
            "cases.yaml:3:14\n  found    unknown variant `chose`\n  expected one of choose, dress, review, \
             judgeOfferings, rest, judgeMoves, react"
        );
        assert_eq!(
            problem("cases:\n- name: a\n  question: {choose: {groups: [{pending: many}]}}"),
            "cases.yaml:3:42\n  found    `question: {choose: {groups: [{pending: many}]}}`: invalid u32\n  \
             expected a case, as docs/policies.md has them"
        );
        assert_eq!(
            problem("cases: []"),
            "cases.yaml cases\n  found    an empty list\n  expected a case at least"
        );
        assert!(problem("").starts_with("cases.yaml"));
    }

    #[test]
    fn an_answer_that_no_policy_may_give_is_no_case() {
        let of = |answer: &str| {
            problem(&format!(
                "cases: [{{name: a, question: {{choose: {{groups: [{{pending: 2}}]}}}}, answer: {answer}}}]"
            ))
        };
        let short = "{choose: [{split: {shares: [{pods: 1, prefer: [spot]}], reason: x}}]}";
        assert_eq!(
            of(short),
            "cases.yaml cases[0].answer.choose[0].split.shares\n  found    1 pods\n  expected the 2 that wait"
        );
        assert!(of("{dress: []}").contains("cases[0].answer.choose"), "{}", of("{dress: []}"));
    }
}
