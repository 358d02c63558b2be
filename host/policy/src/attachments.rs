//! `policies.yaml`: which modules are attached, to what, with which settings. Read whole, and everything that is wrong
//! with it is told at once.
//!
//! What a module is, and whether it accepts its settings, is found when the set is loaded.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use whittle_core::advice::Hook;
use whittle_core::advice::merge::{Mode, OnFailure};

use crate::limits::Limits;

/// The name of the file.
pub const FILE: &str = "policies.yaml";

/// A policy that is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name here: what events, metrics and reasons call it.
    pub name: String,
    /// The file of its module, beside `policies.yaml`.
    pub module: String,
    /// The NodePools that it is about.
    pub node_pools: NodePools,
    /// The hooks that it is asked; `None` for all that the module exports.
    pub hooks: Option<BTreeSet<Hook>>,
    /// Its settings, as JSON.
    pub settings: String,
    /// Whether it is obeyed; `None` for not even asked.
    pub mode: Option<Mode>,
    /// What its failing means for `capacity`.
    pub on_failure: OnFailure,
    /// What it may use.
    pub limits: Limits,
    /// The digest that its file must have.
    pub sha256: Option<String>,
}

/// Which NodePools a policy is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePools {
    /// All.
    All,
    /// Those with these names.
    Named(BTreeSet<String>),
    /// Those whose nodes carry all these labels.
    Labelled(BTreeMap<String, String>),
}

/// Something that is wrong with a set of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Where in it; empty for the file as a whole.
    pub path: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.path.is_empty() { "" } else { " " };
        writeln!(f, "{}{space}{}", self.file, self.path)?;
        writeln!(f, "  found    {}", self.found)?;
        write!(f, "  expected {}", self.expected)
    }
}

/// Everything that is wrong with a set of policies; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&shown.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// Reads `policies.yaml`.
///
/// # Errors
/// With everything that is wrong.
pub fn parse(text: &str) -> Result<Vec<Attachment>, Vec<Problem>> {
    read::attachments(text)
}
