//! `check`: what the gate would say, and what a module is.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::advisor::{Advisor, Patience};
use crate::attachments::{Problem, Problems};
use crate::engine::Engine;
use crate::gate::Refusal;
use crate::limits::MODULE_BYTES_MAX;
use crate::module::Module;
use crate::reload::bring_in;
use crate::status::status;

/// Loads a module from a file.
///
/// # Errors
/// With what was found and what was expected.
pub fn load(engine: &Engine, file: &Path) -> Result<Module, Problems> {
    let of_file = |refusal: Refusal| {
        let (found, expected) = (refusal.found, refusal.expected);
        Problems(vec![Problem { file: file.display().to_string(), path: String::new(), found, expected }])
    };
    let bytes = fs::read(file).map_err(|error| of_file(Refusal::new(error.to_string(), "a module")))?;
    Module::load(engine, None, &bytes).map_err(of_file)
}

/// Checks a module, or a directory with `policies.yaml` and modules, as the host would, and says what it is.
///
/// # Errors
/// With everything that is wrong, in the host's own words.
pub fn check(engine: &std::sync::Arc<Engine>, path: &Path) -> Result<String, Problems> {
    if path.is_dir() {
        let advisor = Advisor::new(std::sync::Arc::clone(engine), Patience::Simulation);
        bring_in(&advisor, None, path)?;
        let mut status = status(&advisor, None, whittle_core::model::time::Timestamp::EPOCH);
        status.directory = Some(path.display().to_string());
        return Ok(status.to_string());
    }
    Ok(describe(&load(engine, path)?))
}

/// What a module is, in a few lines.
#[must_use]
pub fn describe(module: &Module) -> String {
    let hooks: Vec<&str> = module.hooks.iter().map(|hook| hook.name()).collect();
    let imports: Vec<&str> = module.imports.iter().map(String::as_str).collect();
    let kind = if module.was_module { "a core module" } else { "a component" };
    let share = module.bytes * 100 / MODULE_BYTES_MAX;
    let mut text = String::new();
    let _ = writeln!(text, "{} {}: {}", module.about.name, module.about.version, module.about.summary);
    let _ = writeln!(text, "  answers   {}", hooks.join(", "));
    let _ = writeln!(text, "  imports   {}", imports.join(", "));
    let _ = writeln!(
        text,
        "  is        {kind} of {} bytes ({share} % of what is allowed), {} functions",
        module.bytes, module.functions
    );
    let _ = writeln!(text, "  sha256    {}", module.digest);
    if let Some(span) = module.compiled_in {
        let _ = writeln!(text, "  compiled  in {} ms", span.as_millis());
    }
    text
}
