//! Where the policies of one process stand, for people and for programs.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use whittle_core::advice::merge::Mode;
use whittle_core::model::time::Timestamp;

use crate::advisor::Advisor;
use crate::reload::State;

/// Where the policies stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// When this was so.
    pub at: Timestamp,
    /// The directory that is watched.
    pub directory: Option<String>,
    /// The digest of the set in force; empty when there is none.
    pub generation: String,
    /// Since when it has been in force.
    pub since: Option<Timestamp>,
    /// How often a new set came into force.
    pub swaps: u64,
    /// Whether it is the last good set from local disk rather than what lies in the directory.
    pub from_last_good: bool,
    /// The policies, in the order in which they are listed.
    pub policies: Vec<PolicyStatus>,
    /// What lies in the directory and is not in force, and why.
    pub refused: Option<RefusedStatus>,
    /// Why the directory cannot be read.
    pub unreadable: Option<String>,
    /// What else an operator should know.
    pub warnings: Vec<String>,
}

/// Where one policy stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Its name, as it is attached.
    pub name: String,
    /// The file of its module.
    pub module: String,
    /// What the module calls itself, and its version.
    pub about: String,
    /// The digest of the module.
    pub digest: String,
    /// `enforce`, `shadow` or `off`.
    pub mode: String,
    /// How it does, by hook.
    pub hooks: Vec<HookStatus>,
}

/// How a policy does with one hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookStatus {
    /// The hook.
    pub hook: String,
    /// How often it was asked.
    pub asked: u64,
    /// How often it failed.
    pub faults: u64,
    /// Until when it is not asked, because it failed too often.
    pub open_until: Option<Timestamp>,
    /// What went wrong last.
    pub last_fault: Option<String>,
    /// Where it was then, the innermost frame first.
    pub backtrace: Vec<String>,
    /// The most fuel that an answer took.
    pub fuel_most: u64,
    /// The most time that an answer took, in microseconds.
    pub micros_most: u64,
}

/// What is not in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedStatus {
    /// The digest of what lies in the directory.
    pub digest: String,
    /// When it was refused.
    pub at: Timestamp,
    /// Everything that is wrong with it.
    pub problems: Vec<String>,
}

/// Where the policies of `advisor` stand.
pub(crate) fn status(advisor: &Advisor, reloaded: Option<(&Path, &State)>, now: Timestamp) -> Status {
    let current = advisor.current();
    let health = advisor.health();
    let asked_at = health.asked_at.unwrap_or(now);
    let policies = current.policies.iter().map(|policy| {
        let hooks = policy.hooks.iter().map(|hook| {
            let record =
                health.records.get(&(policy.attachment.name.clone(), *hook)).cloned().unwrap_or_default();
            let (last_fault, backtrace) =
                record.last_fault.map(|(_, message, backtrace)| (message, backtrace)).unzip();
            HookStatus {
                hook: hook.name().to_owned(),
                asked: record.asked,
                faults: record.faults,
                open_until: record.breaker.open_until().filter(|until| *until > asked_at),
                last_fault,
                backtrace: backtrace.unwrap_or_default(),
                fuel_most: record.most.fuel,
                micros_most: u64::try_from(record.most.took.as_micros()).unwrap_or(u64::MAX),
            }
        });
        PolicyStatus {
            name: policy.attachment.name.clone(),
            module: policy.attachment.module.clone(),
            about: format!("{} {}", policy.module.about.name, policy.module.about.version),
            digest: policy.module.digest.to_string(),
            mode: match policy.attachment.mode {
                Some(Mode::Enforce) => "enforce",
                Some(Mode::Shadow) => "shadow",
                None => "off",
            }
            .to_owned(),
            hooks: hooks.collect(),
        }
    });
    let mut status = Status {
        at: now,
        generation: current.digest.map(|digest| digest.to_string()).unwrap_or_default(),
        policies: policies.collect(),
        ..Status::default()
    };
    if let Some((root, state)) = reloaded {
        status.directory = Some(root.display().to_string());
        status.since = state.swapped_at;
        status.swaps = state.swaps;
        status.from_last_good = state.from_last_good;
        status.refused = state.refused.as_ref().map(|(digest, at, problems)| RefusedStatus {
            digest: digest.to_string(),
            at: *at,
            problems: problems.iter().map(ToString::to_string).collect(),
        });
        status.unreadable = state.unreadable.as_ref().map(ToString::to_string);
        status.warnings.clone_from(&state.warnings);
        let detached = state.detached.iter();
        status.warnings.extend(detached.map(|module| format!("{module} is gone: its policies are detached")));
    }
    status
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = self.directory.as_deref().unwrap_or("no directory");
        let short: String = self.generation.chars().take(12).collect();
        let from = if self.from_last_good { ", the last good set from local disk" } else { "" };
        match short.as_str() {
            "" => writeln!(f, "{directory}: no policies in force")?,
            short => writeln!(f, "{directory}: {short} in force{from}, {} swaps", self.swaps)?,
        }
        for policy in &self.policies {
            let digest: String = policy.digest.chars().take(12).collect();
            writeln!(f, "\n{} ({}, {} {digest}) {}", policy.name, policy.about, policy.module, policy.mode)?;
            for hook in &policy.hooks {
                write!(f, "  {:<14} asked {}, {} faults", hook.hook, hook.asked, hook.faults)?;
                if hook.asked > 0 {
                    write!(f, ", at most {} fuel and {} µs", hook.fuel_most, hook.micros_most)?;
                }
                if hook.open_until.is_some() {
                    f.write_str(", not asked for a while")?;
                }
                writeln!(f)?;
                if let Some(fault) = &hook.last_fault {
                    writeln!(f, "    last fault: {fault}")?;
                }
                hook.backtrace.iter().try_for_each(|frame| writeln!(f, "      {frame}"))?;
            }
        }
        if let Some(refused) = &self.refused {
            let digest: String = refused.digest.chars().take(12).collect();
            writeln!(f, "\n{digest} is refused:")?;
            refused.problems.iter().try_for_each(|problem| writeln!(f, "{problem}"))?;
        }
        if let Some(unreadable) = &self.unreadable {
            writeln!(f, "\nnothing can be read: {unreadable}")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "\nwarning: {warning}"))
    }
}
