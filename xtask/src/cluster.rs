//! `cargo xtask cluster`: a real Kubernetes control plane for a developer. All of it is in the crate
//! `whittle-control-plane`, which is built and run through cargo.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::step;

/// How cargo runs the program, without a word of its own unless it fails.
const RUN: [&str; 5] = ["run", "--quiet", "--package", "whittle-control-plane", "--"];

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let status = step::cargo_command(root).args(RUN).args(arguments).status()?;
    ensure!(status.success(), "`cluster` has ended ({status})");
    Ok(())
}
