//! `bench`: what answers cost, in time and in fuel, by the size of the question.

use std::fmt::Write as _;
use std::time::Duration;

use whittle_core::advice::words::Reads;
use whittle_core::advice::{Hook, Question};

use crate::canned;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::limits::Limits;
use crate::module::Module;

/// The sizes that are measured: one thing, a small cluster, a large one.
pub const SIZES: [usize; 4] = [1, 10, 100, 1_000];

/// How often each question is asked; the median is what is told.
const TIMES: usize = 25;

/// What answers to a question cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The name of the question.
    pub kind: &'static str,
    /// How many things it asked about.
    pub things: usize,
    /// Half of the answers took no longer.
    pub median: Duration,
    /// Fuel, the same each time.
    pub fuel: u64,
}

/// Measures every hook of a module with the settings.
///
/// # Errors
/// With the first fault: a policy that fails has no price.
pub fn measure(
    engine: &Engine,
    module: &Module,
    settings: &str,
    limits: Limits,
) -> Result<Vec<Measured>, Fault> {
    let reads = module.configure(engine, settings, limits.patient()).map_err(|refusals| {
        Fault::Settings(refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let mut measured = Vec::new();
    for hook in &module.hooks {
        for question in questions(*hook) {
            for things in SIZES {
                let question = grown(&question, things);
                measured.push(ask(engine, module, (settings, limits.patient()), (&question, &reads))?);
            }
        }
    }
    Ok(measured)
}

/// The kinds of questions that a hook is asked, each with a little of everything.
fn questions(hook: Hook) -> Vec<Question> {
    let mut kinds: Vec<Question> = Vec::new();
    for question in canned::questions(hook).into_iter().filter(|question| !question.is_empty()) {
        if !kinds.iter().any(|known| known.kind() == question.kind()) {
            kinds.push(question);
        }
    }
    kinds
}

/// A question about so many things: those of a small one over and over.
#[must_use]
pub fn grown(question: &Question, things: usize) -> Question {
    let mut question = question.clone();
    match &mut question {
        Question::Choose(question) => repeat(&mut question.groups, things),
        Question::Dress(question) => repeat(&mut question.groups, things),
        Question::Review(question) => repeat(&mut question.nodes, things),
        Question::JudgeOfferings(question) => repeat(&mut question.offerings, things),
        Question::Rest(question) => repeat(&mut question.nodes, things),
        Question::JudgeMoves(question) => repeat(&mut question.moves, things),
        Question::React(question) => repeat(&mut question.notices, things),
    }
    question
}

fn repeat<T: Clone>(items: &mut Vec<T>, things: usize) {
    *items = items.iter().cycle().take(things).cloned().collect();
}

fn ask(
    engine: &Engine,
    module: &Module,
    settings: (&str, Limits),
    (question, reads): (&Question, &Reads),
) -> Result<Measured, Fault> {
    let mut spans = Vec::with_capacity(TIMES);
    let mut fuel = 0;
    for _ in 0..TIMES {
        let consultation = module.consult(engine, settings, (question, reads, canned::NOW));
        consultation.answer?;
        spans.push(consultation.cost.took);
        fuel = consultation.cost.fuel;
    }
    spans.sort_unstable();
    let median = spans.get(spans.len() / 2).copied().unwrap_or_default();
    Ok(Measured { kind: question.kind(), things: question.len(), median, fuel })
}

/// The figures in a table.
#[must_use]
pub fn text(measured: &[Measured]) -> String {
    let mut text = format!("{:<16}{:>8}{:>12}{:>14}\n", "QUESTION", "THINGS", "MEDIAN", "FUEL");
    for Measured { kind, things, median, fuel } in measured {
        let micros = format!("{} µs", median.as_micros());
        let _ = writeln!(text, "{kind:<16}{things:>8}{micros:>12}{fuel:>14}");
    }
    text
}
