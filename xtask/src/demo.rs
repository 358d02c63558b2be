//! `cargo xtask demo`: the example cluster, simulated, and its report.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::step::{self, Step};

/// Where the report goes, from the root of the workspace.
const REPORT: &str = "out/ticket-cluster.html";

/// A release build, because the planner is what the demonstration is about and a debug build is many times slower.
const SIMULATE: Step = Step {
    name: "demo",
    arguments: &[
        "run",
        "--release",
        "--package",
        "whittle",
        "--",
        "simulate",
        "examples/ticket-cluster",
        "--report",
        REPORT,
    ],
    environment: &[],
};

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("`demo` takes no arguments, found `{argument}`");
    }
    let report = root.join(REPORT);
    if let Some(folder) = report.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    step::run(&SIMULATE, root)?;
    println!("\nThe report is in {}", report.display());
    Ok(())
}
