//! `check`: what the gate would say, and what a module is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use whittle_core::advice::merge::{Mode, OnFailure};
use whittle_core::advice::words::Reads;

use crate::advisor::{Advisor, Patience};
use crate::attachments::{Attachment, NodePools, Problem, Problems};
use crate::author::settings;
use crate::directory::read_module;
use crate::engine::Engine;
use crate::gate::Refusal;
use crate::generation::{Attached, try_out};
use crate::limits::{Limits, MODULE_BYTES_MAX};
use crate::module::Module;
use crate::reload::bring_in;

/// Loads a module from a file.
///
/// # Errors
/// With what was found and what was expected.
pub fn load(engine: &Engine, file: &Path) -> Result<Module, Problems> {
    let refused = |refusal: Refusal| of_file(file, refusal);
    let bytes = read_module(file).map_err(|error| Problems(vec![error.problem()]))?;
    Module::load(engine, None, &bytes).map_err(refused)
}

fn of_file(file: &Path, Refusal { found, expected }: Refusal) -> Problems {
    Problems(vec![Problem { file: file.display().to_string(), path: String::new(), found, expected }])
}

/// Checks a module as the host would, tries it out with the settings, and says what it is. Without settings, the empty
/// ones are tried, and a module that does not accept them passes for what it is.
///
/// # Errors
/// With everything that is wrong, in the host's own words.
pub fn check_file(engine: &Engine, file: &Path, given: Option<&str>) -> Result<String, Problems> {
    let module = Arc::new(load(engine, file)?);
    let mut text = describe(&module);
    let settings = given.unwrap_or("{}");
    let reads = match (settings::configure(engine, &module, settings, ("--settings", "")), given) {
        (Ok(reads), _) => reads,
        (Err(problems), Some(_)) => return Err(problems),
        (Err(problems), None) => {
            text.push_str("  not tried, because it needs settings (--settings, or `check` its directory)\n");
            problems.0.iter().for_each(|one| {
                let _ = writeln!(text, "            {}: {}", one.path, one.found);
            });
            return Ok(text);
        }
    };
    let _ = writeln!(text, "  reads     {}", reads_text(&reads));
    let attached = attached_everywhere(&module, settings, reads);
    try_out(engine, &attached, &[]).map_err(|refusal| of_file(file, refusal))?;
    let _ = writeln!(text, "  tried     with the settings {settings}: its answers keep the rules");
    Ok(text)
}

/// A module attached to all NodePools, with what is not said as it is by default.
fn attached_everywhere(module: &Arc<Module>, settings: &str, reads: Reads) -> Attached {
    let attachment = Attachment {
        name: module.about.name.clone(),
        module: String::new(),
        node_pools: NodePools::All,
        hooks: None,
        settings: settings.to_owned(),
        mode: Some(Mode::Enforce),
        on_failure: OnFailure::Default,
        limits: Limits::default(),
        sha256: None,
    };
    Attached { attachment, module: Arc::clone(module), hooks: module.hooks.clone(), reads }
}

/// Checks a directory with `policies.yaml` and modules as the host would, and says what would be in force.
///
/// # Errors
/// With everything that is wrong, in the host's own words.
pub fn check_directory(engine: &Arc<Engine>, directory: &Path) -> Result<String, Problems> {
    let advisor = Advisor::new(Arc::clone(engine), Patience::Simulation);
    let digest = bring_in(&advisor, None, directory)?;
    let current = advisor.current();
    let (shown, policies) = (directory.display(), current.policies.len());
    let mut text =
        format!("{shown}: {policies} policies, none refused; together they are {}\n", digest.short());
    for policy in &current.policies {
        let (attachment, module) = (&policy.attachment, &policy.module);
        let mode = match attachment.mode {
            Some(Mode::Enforce) => "enforced",
            Some(Mode::Shadow) => "in shadow",
            None => "off",
        };
        let hooks: Vec<&str> = policy.hooks.iter().map(|hook| hook.name()).collect();
        let _ = writeln!(text, "\n{}: {mode}", attachment.name);
        let _ = writeln!(
            text,
            "  module    {} ({} {}, {} bytes, {})",
            attachment.module,
            module.about.name,
            module.about.version,
            module.bytes,
            module.digest.short()
        );
        let _ = writeln!(text, "  asked     {}", hooks.join(", "));
        let _ = writeln!(text, "  about     {}", node_pools_text(&attachment.node_pools));
        let _ = writeln!(text, "  reads     {}", reads_text(&policy.reads));
        let _ = writeln!(text, "  settings  {}", attachment.settings);
    }
    Ok(text)
}

fn node_pools_text(node_pools: &NodePools) -> String {
    match node_pools {
        NodePools::All => "all NodePools".to_owned(),
        NodePools::Named(names) => {
            format!("NodePools {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
        NodePools::Labelled(labels) => {
            let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
            format!("NodePools with {}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

fn reads_text(reads: &Reads) -> String {
    let kinds: [(&str, &BTreeSet<String>); 3] =
        [("pods", &reads.pod_labels), ("nodes", &reads.node_labels), ("offerings", &reads.offering_labels)];
    let read = kinds.iter().filter(|(_, keys)| !keys.is_empty());
    let texts = read.map(|(of, keys)| {
        format!("of {of} {}", keys.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    });
    match texts.collect::<Vec<_>>().as_slice() {
        [] => "no labels".to_owned(),
        texts => format!("labels {}", texts.join("; ")),
    }
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
    text
}
