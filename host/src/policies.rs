//! Policies for a simulation: from a directory, and from others that a scenario names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use whittle_control::ports::policies::Policies;
use whittle_policy::advisor::{Advisor, Patience};
use whittle_policy::engine::Engine;
use whittle_policy::reload::bring_in;
use whittle_sim::policies::{PolicySource, Source};

/// Directories of policies.
#[derive(Debug)]
struct Directories {
    advisor: Arc<Advisor>,
    /// The directory that is simulated: what a scenario names is seen from there.
    base: PathBuf,
}

impl PolicySource for Directories {
    fn policies(&self) -> Arc<dyn Policies> {
        Arc::clone(&self.advisor) as Arc<dyn Policies>
    }

    fn swap(&self, directory: &str) -> Result<String, String> {
        bring_in(&self.advisor, None, &self.base.join(directory)).map_err(|problems| problems.to_string())?;
        let current = self.advisor.current();
        let names: Vec<&str> =
            current.policies.iter().map(|policy| policy.attachment.name.as_str()).collect();
        Ok(names.join(", "))
    }
}

/// A source for the simulation of `base`, with the policies of `initial` in force, if there are any.
pub(crate) fn source(base: &Path, initial: Option<&Path>) -> Result<(Source, Arc<Advisor>)> {
    let engine = Arc::new(Engine::new()?);
    // The clock of the machine has no say in a simulation: the same files and the same seed give the same bytes.
    let advisor = Arc::new(Advisor::new(engine, Patience::Simulation));
    if let Some(directory) = initial {
        bring_in(&advisor, None, directory)?;
    }
    let directories = Directories { advisor: Arc::clone(&advisor), base: base.to_owned() };
    Ok((Source(Arc::new(directories)), advisor))
}
