//! From what lies in the directory to what is in force.
//!
//! ```text
//!  look ─► read at one moment ─► settled? ─► load and try out ─► swap ─► keep as the last good set
//! ```
//!
//! Any step that fails leaves the set in force as it is, and says why. Time is an argument; who looks when is `watch`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use whittle_core::model::time::{Duration, Timestamp};

use crate::advisor::Advisor;
use crate::attachments::{self, Problem, Problems};
use crate::cache::Cache;
use crate::digest::Digest;
use crate::directory::{self, Contents, Unreadable};
use crate::generation::{Loader, Vanished};
use crate::last_good::LastGood;
use crate::status::{Status, status};

/// What was read has to stay the same for so long before it is loaded: a file that is being copied changes.
pub const SETTLE: Duration = Duration::from_millis(250);

/// How long a module may be gone until its policy is detached: long enough for a tool that deletes before it writes.
pub const DETACH_AFTER: Duration = Duration::from_secs(30);

/// Puts what lies in a directory in force at once: for whoever knows that nobody is writing there.
///
/// # Errors
/// With everything that is wrong; what was in force still is.
pub fn bring_in(advisor: &Advisor, cache: Option<&Cache>, root: &Path) -> Result<Digest, Problems> {
    let contents = directory::read(root).map_err(|error| Problems(vec![error.problem()]))?;
    let (before, recorded) = (advisor.current(), advisor.recorded());
    let loader = Loader { engine: advisor.engine(), cache, before: &before, recorded: &recorded };
    let generation = loader.load(&contents, &Vanished::default()).map_err(Problems)?;
    advisor.swap(generation);
    Ok(contents.digest)
}

/// Brings what lies in a directory into force.
#[derive(Debug)]
pub struct Reloader {
    root: PathBuf,
    advisor: Arc<Advisor>,
    cache: Option<Cache>,
    last_good: Option<LastGood>,
    /// What was read last, and since when it has been the same.
    seen: Option<(Digest, Timestamp)>,
    /// What was loaded or refused last: it is not tried again until something changes.
    tried: Option<Digest>,
    /// Since when modules that are in force have been gone from the directory.
    vanished: BTreeMap<String, Timestamp>,
    state: State,
}

/// Where the directory stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) swapped_at: Option<Timestamp>,
    pub(crate) swaps: u64,
    pub(crate) from_last_good: bool,
    pub(crate) refused: Option<(Digest, Timestamp, Vec<Problem>)>,
    pub(crate) unreadable: Option<Unreadable>,
    pub(crate) warnings: Vec<String>,
    pub(crate) detached: BTreeSet<String>,
}

/// What a look at the directory came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// Nothing is new.
    Unchanged,
    /// Something is new; it has to stay the same until this moment.
    Settling(Timestamp),
    /// Something new is in force.
    Swapped(Digest),
    /// Something new is refused, and what was in force still is.
    Refused(Vec<Problem>),
    /// Nothing can be read, and what was in force still is.
    Unreadable(Unreadable),
}

impl Reloader {
    /// A reloader of a directory. With `state`, a folder of ours on local disk, compiled modules and the last good set
    /// are kept there.
    ///
    /// # Errors
    /// When the folder for compiled modules is not private.
    pub fn new(
        root: &Path,
        advisor: Arc<Advisor>,
        state: Option<&Path>,
    ) -> Result<Self, crate::cache::NoCache> {
        let cache = state.map(|state| Cache::open(&state.join("compiled"))).transpose()?;
        let last_good = state.map(LastGood::below);
        let root = root.to_owned();
        let (seen, tried, vanished) = (None, None, BTreeMap::new());
        Ok(Self { root, advisor, cache, last_good, seen, tried, vanished, state: State::default() })
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Puts the last good set in force, if there is one: the first thing after a start, so that a directory that is
    /// empty or broken is no reason to decide without policies.
    pub fn start(&mut self, now: Timestamp) -> bool {
        let Some(contents) = self.last_good.as_ref().and_then(LastGood::find) else { return false };
        match self.load(&contents, &Vanished::default()) {
            Ok(()) => {
                self.state.from_last_good = true;
                self.state.swapped_at = Some(now);
                true
            }
            Err(problems) => {
                self.state.refused = Some((contents.digest, now, problems));
                false
            }
        }
    }

    /// Looks at the directory, and loads what is new and has settled.
    pub fn look(&mut self, now: Timestamp) -> Looked {
        let contents = match directory::read(&self.root) {
            Ok(contents) => contents,
            Err(error) => {
                self.state.unreadable = Some(error.clone());
                self.seen = None;
                return Looked::Unreadable(error);
            }
        };
        self.state.unreadable = None;
        let due = self.vanished.values().any(|since| now.since(*since) >= DETACH_AFTER);
        if self.tried == Some(contents.digest) && !due {
            return Looked::Unchanged;
        }
        let since = match self.seen {
            Some((digest, since)) if digest == contents.digest => since,
            Some(_) | None => {
                self.seen = Some((contents.digest, now));
                now
            }
        };
        if now < since + SETTLE {
            return Looked::Settling(since + SETTLE);
        }
        self.bring_in(&contents, now)
    }

    /// When a look is due although nothing has changed.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.vanished.values().map(|since| *since + DETACH_AFTER).min()
    }

    fn bring_in(&mut self, contents: &Contents, now: Timestamp) -> Looked {
        let vanished = self.vanished(contents, now);
        self.tried = Some(contents.digest);
        match self.load(contents, &vanished) {
            Err(problems) => {
                self.state.refused = Some((contents.digest, now, problems.clone()));
                Looked::Refused(problems)
            }
            Ok(()) => {
                let detached = vanished.detached.clone();
                self.state = State {
                    swapped_at: Some(now),
                    swaps: self.state.swaps + 1,
                    detached,
                    ..State::default()
                };
                // A set that lives on files that are gone could not be loaded again.
                if vanished.kept.is_empty() && vanished.detached.is_empty() {
                    let kept = self.last_good.as_ref().map_or(Ok(()), |last_good| last_good.keep(contents));
                    if let Err(error) = kept {
                        self.state.warnings.push(format!("the last good set is not kept: {error}"));
                    }
                }
                Looked::Swapped(contents.digest)
            }
        }
    }

    fn load(&self, contents: &Contents, vanished: &Vanished) -> Result<(), Vec<Problem>> {
        let before = self.advisor.current();
        let recorded = self.advisor.recorded();
        let engine = self.advisor.engine();
        let loader = Loader { engine, cache: self.cache.as_ref(), before: &before, recorded: &recorded };
        self.advisor.swap(loader.load(contents, vanished)?);
        Ok(())
    }

    /// The modules in force that the list still names and that are gone from the directory.
    fn vanished(&mut self, contents: &Contents, now: Timestamp) -> Vanished {
        let current = self.advisor.current();
        let named: BTreeSet<String> = attachments::parse(&contents.attachments)
            .map(|list| list.into_iter().map(|attachment| attachment.module).collect())
            .unwrap_or_default();
        let is_gone = |name: &String| named.contains(name) && !contents.modules.contains_key(name);
        let mut vanished = Vanished::default();
        for policy in &current.policies {
            let name = policy.attachment.module.clone();
            if is_gone(&name) {
                vanished.kept.insert(name, Arc::clone(&policy.module));
            }
        }
        // One that was detached stays so until its file is back.
        vanished.detached = self.state.detached.iter().filter(|name| is_gone(name)).cloned().collect();
        self.vanished.retain(|name, _| vanished.kept.contains_key(name));
        for name in vanished.kept.keys() {
            self.vanished.entry(name.clone()).or_insert(now);
        }
        let long_gone: Vec<String> = self
            .vanished
            .iter()
            .filter(|(_, since)| now.since(**since) >= DETACH_AFTER)
            .map(|(name, _)| name.clone())
            .collect();
        for name in long_gone {
            self.vanished.remove(&name);
            vanished.kept.remove(&name);
            vanished.detached.insert(name);
        }
        vanished
    }

    /// Where everything stands.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        status(&self.advisor, Some((&self.root, &self.state)), now)
    }
}
