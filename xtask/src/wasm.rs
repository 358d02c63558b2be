//! `cargo xtask wasm`: cargo with a toolchain that can build for WebAssembly, whatever this machine has. Without
//! arguments it provides one and says which it is.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::step;
use crate::wasm_toolchain::find;

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let toolchain = find(&step::target_folder(root))?;
    if arguments.is_empty() {
        println!("Policies are built with {}", toolchain.origin);
        return Ok(());
    }
    let mut command = toolchain.cargo(arguments);
    // Where the user stands, not where this crate does.
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo {} failed ({status})", arguments.join(" "));
    Ok(())
}
