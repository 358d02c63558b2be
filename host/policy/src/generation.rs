//! A set of policies: modules, settings and attachments, loaded together, in force together, never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whittle_core::advice::words::Reads;
use whittle_core::advice::{Hook, Question};
use whittle_core::model::time::Timestamp;

use crate::attachments::{Attachment, FILE, Problem, parse};
use crate::cache::Cache;
use crate::canned;
use crate::digest::Digest;
use crate::directory::Contents;
use crate::engine::Engine;
use crate::gate::Refusal;
use crate::module::Module;

/// A set of policies.
#[derive(Debug, Default)]
pub struct Generation {
    /// The digest of the directory that it was read from; `None` for the set before the first.
    pub digest: Option<Digest>,
    /// The policies, in the order in which they are listed.
    pub policies: Vec<Attached>,
    /// The labels that they read, all together.
    pub reads: Reads,
}

/// A policy that is attached.
#[derive(Clone, Debug)]
pub struct Attached {
    /// How.
    pub attachment: Attachment,
    /// What.
    pub module: Arc<Module>,
    /// The hooks that it is asked.
    pub hooks: BTreeSet<Hook>,
    /// The labels that it reads with its settings.
    pub reads: Reads,
}

/// What a set is loaded with.
#[derive(Clone, Copy, Debug)]
pub struct Loader<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The cache of compiled modules.
    pub cache: Option<&'a Cache>,
    /// The set in force: a module that has not changed is not loaded again.
    pub before: &'a Generation,
    /// Questions that were asked lately: each policy answers them before it is in force.
    pub recorded: &'a [(Question, Timestamp)],
}

/// What to do about modules that were there a moment ago, by file name.
#[derive(Clone, Debug, Default)]
pub struct Vanished {
    /// These are kept for a while, as they were.
    pub kept: BTreeMap<String, Arc<Module>>,
    /// These have been gone for so long that their policies are detached.
    pub detached: BTreeSet<String>,
}

impl Loader<'_> {
    /// Loads what a directory holds.
    ///
    /// # Errors
    /// With everything that is wrong. Nothing is half-loaded.
    pub fn load(&self, contents: &Contents, vanished: &Vanished) -> Result<Generation, Vec<Problem>> {
        let attachments = parse(&contents.attachments)?;
        let mut modules: BTreeMap<String, Result<Arc<Module>, Refusal>> = BTreeMap::new();
        let mut problems = Vec::new();
        let mut policies = Vec::new();
        for (place, attachment) in attachments.into_iter().enumerate() {
            let name = attachment.module.clone();
            if vanished.detached.contains(&name) {
                continue;
            }
            let module = modules.entry(name).or_insert_with_key(|name| self.module(name, contents, vanished));
            match module {
                Ok(module) => match self.attach(place, attachment, Arc::clone(module), contents) {
                    Ok(attached) => policies.push(attached),
                    Err(more) => problems.extend(more),
                },
                Err(refusal) => problems.push(of_module(&attachment.module, refusal)),
            }
        }
        if !problems.is_empty() {
            problems.dedup();
            return Err(problems);
        }
        let mut reads = Reads::default();
        policies.iter().for_each(|policy| reads.extend(&policy.reads));
        Ok(Generation { digest: Some(contents.digest), policies, reads })
    }

    fn module(&self, name: &str, contents: &Contents, vanished: &Vanished) -> Result<Arc<Module>, Refusal> {
        let Some(bytes) = contents.modules.get(name) else {
            return match vanished.kept.get(name) {
                Some(module) => Ok(Arc::clone(module)),
                None => Err(Refusal::new("no such file", format!("a module beside {FILE}"))),
            };
        };
        let digest = Digest::of(bytes);
        let known = self.before.policies.iter().find(|policy| policy.module.digest == digest);
        match known {
            Some(policy) => Ok(Arc::clone(&policy.module)),
            None => Module::load(self.engine, self.cache, bytes).map(Arc::new),
        }
    }

    fn attach(
        &self,
        place: usize,
        attachment: Attachment,
        module: Arc<Module>,
        contents: &Contents,
    ) -> Result<Attached, Vec<Problem>> {
        let path = format!("policies[{place}]");
        let problem = |field: &str, refusal: &Refusal| Problem {
            file: FILE.to_owned(),
            path: format!("{path}{field}"),
            found: refusal.found.clone(),
            expected: refusal.expected.clone(),
        };
        if let Some(pin) = &attachment.sha256
            && contents.modules.contains_key(&attachment.module)
            && *pin != module.digest.to_string()
        {
            let refusal =
                Refusal::new(pin, format!("{}, the digest of {}", module.digest, attachment.module));
            return Err(vec![problem(".sha256", &refusal)]);
        }
        let hooks = attachment.hooks.clone().unwrap_or_else(|| module.hooks.clone());
        if let Some(hook) = hooks.difference(&module.hooks).next() {
            let exported: Vec<_> = module.hooks.iter().map(|hook| hook.name()).collect();
            let expected = format!("hooks that {} exports: {}", attachment.module, exported.join(", "));
            return Err(vec![problem(".hooks", &Refusal::new(hook.name(), expected))]);
        }
        // Loading is not hurried: what it finds must not depend on how busy the machine is.
        let limits = attachment.limits.patient();
        let reads = module.configure(self.engine, &attachment.settings, limits).map_err(|refusals| {
            let of_settings = |refusal: &Refusal| {
                // What the policy complains about in the words of this host reads as a complaint of the host.
                let told =
                    refusal.expected.strip_prefix("found ").and_then(|told| told.split_once(", expected "));
                let accepted = || format!("settings that {} accepts", module.about.name);
                let (found, expected) = match told {
                    Some((found, expected)) => (found.to_owned(), expected.to_owned()),
                    None => (refusal.expected.clone(), accepted()),
                };
                Problem { file: FILE.to_owned(), path: format!("{path}.{}", refusal.found), found, expected }
            };
            refusals
                .iter()
                .map(|refusal| match refusal.found.starts_with("settings") {
                    true => of_settings(refusal),
                    false => problem("", refusal),
                })
                .collect::<Vec<_>>()
        })?;
        let attached = Attached { attachment, module, hooks, reads };
        try_out(self.engine, &attached, self.recorded).map_err(|refusal| vec![problem("", &refusal)])?;
        Ok(attached)
    }
}

/// Asks a policy what every policy is asked, and what was asked lately.
///
/// # Errors
/// With the first question that came to nothing.
pub(crate) fn try_out(
    engine: &Engine,
    attached: &Attached,
    recorded: &[(Question, Timestamp)],
) -> Result<(), Refusal> {
    let limits = attached.attachment.limits.patient();
    let canned = attached.hooks.iter().flat_map(|hook| canned::questions(*hook));
    let canned = canned.map(|question| (question, canned::NOW, "a question for trying out"));
    let recorded = recorded.iter().filter(|(question, _)| attached.hooks.contains(&question.hook()));
    let recorded = recorded.map(|(question, now)| (question.clone(), *now, "the last question asked"));
    for (question, now, which) in canned.chain(recorded) {
        let settings = attached.attachment.settings.as_str();
        let question = (&question, &attached.reads, now);
        let consultation = attached.module.consult(engine, (settings, limits), question);
        if let Err(fault) = consultation.answer {
            let found = format!("{}: {which}: it {fault}", question.0.kind());
            return Err(Refusal::new(found, "an answer that keeps the rules"));
        }
    }
    Ok(())
}

fn of_module(name: &str, refusal: &Refusal) -> Problem {
    let (found, expected) = (refusal.found.clone(), refusal.expected.clone());
    Problem { file: name.to_owned(), path: String::new(), found, expected }
}
