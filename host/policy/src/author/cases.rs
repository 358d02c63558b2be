//! `test`: cases in YAML, each with settings, a question and the answer that is expected.

use serde::Deserialize;
use serde_json::Value;
use whittle_core::advice::{Answer, Question};
use whittle_core::model::time::Timestamp;

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
    /// What was wrong; `None` when it passed.
    pub wrong: Option<String>,
}

/// Reads cases.
///
/// # Errors
/// With the place in the file, what was found and what was expected.
pub fn parse(text: &str) -> Result<Cases, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// Runs cases on a module.
#[must_use]
pub fn run(engine: &Engine, module: &Module, cases: &[Case]) -> Vec<Outcome> {
    cases.iter().map(|case| Outcome { name: case.name.clone(), wrong: wrong(engine, module, case) }).collect()
}

fn wrong(engine: &Engine, module: &Module, case: &Case) -> Option<String> {
    let settings = if case.settings.is_null() { "{}".to_owned() } else { case.settings.to_string() };
    let limits = Limits::default().patient();
    let reads = match module.configure(engine, &settings, limits) {
        Ok(reads) => reads,
        Err(refusals) => {
            let words: Vec<String> =
                refusals.iter().map(|one| format!("{}: {}", one.found, one.expected)).collect();
            return Some(words.join("\n"));
        }
    };
    let consultation = module.consult(engine, (&settings, limits), (&case.question, &reads, case.now));
    match consultation.answer {
        Err(fault) => Some(format!("it {fault}")),
        Ok(answer) if answer == case.answer => None,
        Ok(answer) => Some(format!("found    {}\nexpected {}", shown(&answer), shown(&case.answer))),
    }
}

fn shown(answer: &Answer) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let cases = parse(text).unwrap();
        assert_eq!((cases.cases.len(), cases.cases[0].question.len()), (1, 1));
        assert!(parse("cases: [{name: a, question: {chose: {}}}]").is_err());
    }
}
