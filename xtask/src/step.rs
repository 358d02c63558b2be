//! One program run as one step: announced, timed, its output passed through as it is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fmt};

use anyhow::{Context as _, Result, bail};

/// A call of cargo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What the user calls it.
    pub(crate) name: &'static str,
    /// The arguments for cargo.
    pub(crate) arguments: &'static [&'static str],
    /// Environment variables set for it.
    pub(crate) environment: &'static [(&'static str, &'static str)],
}

impl fmt::Display for Step {
    /// The command as a user would type it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in self.environment {
            write!(f, "{key}='{value}' ")?;
        }
        write!(f, "cargo {}", self.arguments.join(" "))
    }
}

/// Runs a step in `folder` and tells how long it took.
///
/// # Errors
/// When cargo cannot be started, or says that the step failed.
pub(crate) fn run(step: &Step, folder: &Path) -> Result<Duration> {
    println!("\n── {}: {step}", step.name);
    let start = Instant::now();
    let status = cargo_command(folder)
        .args(step.arguments)
        .envs(step.environment.iter().copied())
        .status()
        .with_context(|| format!("cannot start `{step}`"))?;
    let took = start.elapsed();
    if !status.success() {
        bail!("{} failed after {}: `{step}` ({status})", step.name, seconds(took));
    }
    println!("── {}: ok in {}", step.name, seconds(took));
    Ok(took)
}

/// Whether cargo has the subcommand `name`.
pub(crate) fn has_subcommand(name: &str) -> bool {
    Command::new(cargo()).args([name, "--version"]).output().is_ok_and(|output| output.status.success())
}

/// A call of cargo in `folder`, without arguments yet. What cargo has told this program about its own package is kept from
/// it: build scripts look at that, and what a shell had built would be built anew.
pub(crate) fn cargo_command(folder: &Path) -> Command {
    let mut command = Command::new(cargo());
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_this_package(name)) {
        command.env_remove(name);
    }
    command.current_dir(folder);
    command
}

/// Whether cargo sets a variable for each program that it runs.
fn is_of_this_package(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|own| name.starts_with(own)))
}

/// The cargo that runs us, so that a step uses the same toolchain.
fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The folder that cargo builds into.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_reads_as_the_command_a_user_would_type() {
        let step = Step {
            name: "doc",
            arguments: &["doc", "--no-deps"],
            environment: &[("RUSTDOCFLAGS", "-D warnings")],
        };
        assert_eq!(step.to_string(), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }
}
