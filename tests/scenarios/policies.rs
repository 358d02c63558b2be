//! Policies of scenarios: beside a scenario lies their list, and the modules that it names are built.
//!
//! The folder `policies` is in force from the beginning; others come by the scenario's events. A module that lies beside
//! the list is taken as it is, so a scenario can bring a broken one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use anyhow::{Context as _, Result, anyhow};
use tempfile::TempDir;
use whittle_control::ports::policies::Policies;
use whittle_policy::advisor::{Advisor, Patience};
use whittle_policy::attachments;
use whittle_policy::cache::Cache;
use whittle_policy::engine::Engine;
use whittle_policy::reload::bring_in;
use whittle_sim::policies::{PolicySource, Source};
use whittle_tests::modules::module;

/// One engine for all scenarios: each reserves address space for its pool.
static ENGINE: LazyLock<Result<Arc<Engine>, String>> =
    LazyLock::new(|| Engine::new().map(Arc::new).map_err(|error| format!("{error:#}")));

/// Where compiled modules are kept from one scenario, and one run, to the next.
const COMPILED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled-policies");

/// The folder beside a scenario whose policies are in force from the beginning.
const INITIAL: &str = "policies";

/// Policies of the folders beside a scenario.
#[derive(Debug)]
struct Beside {
    advisor: Arc<Advisor>,
    /// The scenario's folder.
    base: PathBuf,
}

impl PolicySource for Beside {
    fn policies(&self) -> Arc<dyn Policies> {
        Arc::clone(&self.advisor) as Arc<dyn Policies>
    }

    fn swap(&self, directory: &str) -> Result<String, String> {
        let folder = with_modules(&self.base.join(directory)).map_err(|error| format!("{error:#}"))?;
        let cache = Cache::open(Path::new(COMPILED)).map_err(|error| error.to_string())?;
        bring_in(&self.advisor, Some(&cache), folder.path()).map_err(|problems| problems.to_string())?;
        let current = self.advisor.current();
        let names = current.policies.iter().map(|policy| policy.attachment.name.as_str());
        Ok(names.collect::<Vec<_>>().join(", "))
    }
}

/// The policies of a scenario, if there are any.
pub(crate) fn source(directory: &Path) -> Result<Option<Source>> {
    let mut entries = directory.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.retain(|path| path.join(attachments::FILE).exists());
    if entries.is_empty() {
        return Ok(None);
    }
    let engine = ENGINE.as_ref().map_err(|error| anyhow!(error.clone()))?;
    let advisor = Arc::new(Advisor::new(Arc::clone(engine), Patience::Simulation));
    let beside = Beside { advisor, base: directory.to_owned() };
    if directory.join(INITIAL).exists() {
        beside.swap(INITIAL).map_err(|problems| anyhow!(problems))?;
    }
    Ok(Some(Source(Arc::new(beside))))
}

/// A copy of a folder with the modules that its list names and that do not lie there.
fn with_modules(folder: &Path) -> Result<TempDir> {
    let copy = tempfile::tempdir()?;
    for entry in folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        fs::copy(entry.path(), copy.path().join(entry.file_name()))?;
    }
    let list = fs::read_to_string(folder.join(attachments::FILE))?;
    for attachment in attachments::parse(&list).unwrap_or_default() {
        let path = copy.path().join(&attachment.module);
        if !path.exists() {
            let name = attachment.module.trim_end_matches(".wasm");
            fs::write(path, module(name))?;
        }
    }
    Ok(copy)
}
