//! `inspect`: everything that a module says about itself, and what it would be shown.

use std::fmt::Write as _;

use whittle_core::advice::words::Reads;

use crate::author::check::describe;
use crate::canned;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::module::Module;
use crate::v0_1::json;

/// A module's settings, and for each hook the questions that it is tried out with, as it would be shown them.
#[must_use]
pub fn inspect(engine: &Engine, module: &Module, settings: &str) -> String {
    let mut text = describe(module);
    let schema: serde_json::Value = serde_json::from_str(&module.about.settings_schema).unwrap_or_default();
    let _ = writeln!(text, "\nsettings\n{}", pretty(&schema));
    let reads = match module.configure(engine, settings, Limits::default().patient()) {
        Ok(reads) => {
            let _ = writeln!(text, "\nreads, with the settings {settings}\n{}", pretty(&reads));
            reads
        }
        Err(refusals) => {
            let _ = writeln!(text, "\ndoes not accept the settings {settings}");
            for refusal in refusals {
                let _ = writeln!(text, "  {}: {}", refusal.found, refusal.expected);
            }
            Reads::default()
        }
    };
    for hook in &module.hooks {
        for question in canned::questions(*hook).iter().filter(|question| !question.is_empty()) {
            let shown = pretty(&json::shown(question, &reads));
            let _ = writeln!(text, "\n{hook}: {}\n{shown}", question.kind());
        }
    }
    text
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
