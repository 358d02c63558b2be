//! `bench`: what answers cost, in time and in fuel, by the size of the question.

use std::fmt::Write as _;
use std::time::Duration;

use whittle_core::advice::words::Reads;
use whittle_core::advice::{Hook, Kind, Question};

use crate::attachments::Problems;
use crate::author::settings::configure;
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
    /// What was asked.
    pub kind: Kind,
    /// How many things it asked about.
    pub things: usize,
    /// Half of the answers took no longer.
    pub median: Duration,
    /// Fuel, the same each time.
    pub fuel: u64,
    /// Why there was no answer, if there was none: a large question may be more than a policy is given fuel for.
    pub fault: Option<Fault>,
}

/// Measures every hook of a module with the settings.
///
/// # Errors
/// When the module does not accept the settings.
pub fn measure(engine: &Engine, module: &Module, settings: &str) -> Result<Vec<Measured>, Problems> {
    let reads = configure(engine, module, settings, ("--settings", ""))?;
    let mut measured = Vec::new();
    for question in module.hooks.iter().flat_map(|hook| questions(*hook)) {
        for things in SIZES {
            measured.push(ask(engine, module, settings, (&grown(&question, things), &reads)));
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

fn ask(engine: &Engine, module: &Module, settings: &str, (question, reads): (&Question, &Reads)) -> Measured {
    // Fuel is the limit that is meant to be met; the clock has no say while it is what is measured.
    let limits = Limits::default().patient();
    let mut measured = Measured {
        kind: question.kind(),
        things: question.len(),
        median: Duration::ZERO,
        fuel: 0,
        fault: None,
    };
    let mut spans = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let consultation = module.consult(engine, (settings, limits), (question, reads, canned::NOW));
        measured.fuel = consultation.cost.fuel;
        spans.push(consultation.cost.took);
        if let Err(fault) = consultation.answer {
            measured.fault = Some(fault);
            break;
        }
    }
    spans.sort_unstable();
    measured.median = spans.get(spans.len() / 2).copied().unwrap_or_default();
    measured
}

/// The figures in a table.
#[must_use]
pub fn text(measured: &[Measured]) -> String {
    let limits = Limits::default();
    let mut text =
        format!("{:<16}{:>8}{:>12}{:>14}{:>10}\n", "QUESTION", "THINGS", "MEDIAN", "FUEL", "OF LIMIT");
    for Measured { kind, things, median, fuel, fault } in measured {
        let micros = format!("{} µs", median.as_micros());
        let share = format!("{} %", fuel.saturating_mul(100) / limits.fuel);
        let _ = write!(text, "{kind:<16}{things:>8}{micros:>12}{fuel:>14}{share:>10}");
        match fault {
            Some(fault) => {
                let _ = writeln!(text, "  it {fault}");
            }
            None => text.push('\n'),
        }
    }
    let wall = limits.wall.as_millis();
    let _ = writeln!(
        text,
        "\nA consultation has {} fuel and {wall} ms, unless `limits` in policies.yaml grant it more. Settings are read in \
         each.",
        limits.fuel
    );
    text
}
