//! `cargo xtask policies`: every policy, and every guest of the tests, as WebAssembly.
//!
//! They land in `target/policies`, each under its crate's name with `_` for `-`. What this does for an author it does
//! with one command: `cargo build --release --target wasm32-unknown-unknown`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::step;
use crate::wasm_toolchain::{TARGET, Toolchain, find};

/// The folders whose folders are crates of guests, from the root of the workspace.
const FOLDERS: [&str; 2] = ["policies", "tests/policies/guests"];

/// The profile that makes them small.
const PROFILE: &str = "policy";

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let into = match arguments {
        [] => None,
        [folder] => Some(root.join(folder)),
        [_, argument, ..] => bail!("`policies` takes one folder, found `{argument}` as well"),
    };
    let target = step::target_folder(root);
    let toolchain = find(&target)?;
    let crates = crates(root)?;
    build(root, &toolchain, &crates)?;
    let (built, out) = (toolchain.built(&target, PROFILE), target.join("policies"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    for name in &crates {
        let file = format!("{}.wasm", name.replace('-', "_"));
        // Through a name of its own: whoever reads the folder meanwhile sees the old file or the new one.
        let (partial, whole) = (out.join(format!(".{file}.{}", std::process::id())), out.join(&file));
        fs::copy(built.join(&file), &partial).with_context(|| format!("{name} gave no {file}"))?;
        fs::rename(&partial, &whole).with_context(|| format!("cannot write {}", whole.display()))?;
    }
    println!("{} modules in {}", crates.len(), out.display());
    if let Some(into) = into {
        put_stock(root, &out, &into)?;
    }
    Ok(())
}

/// Puts the stock policies where somebody wants them, under the names of their crates.
fn put_stock(root: &Path, out: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("cannot make {}", into.display()))?;
    for name in crates_below(&root.join(FOLDERS[0]))? {
        let (file, whole) = (format!("{}.wasm", name.replace('-', "_")), into.join(format!("{name}.wasm")));
        let partial = into.join(format!(".{file}.{}", std::process::id()));
        fs::copy(out.join(&file), &partial).with_context(|| format!("cannot write {}", partial.display()))?;
        fs::rename(&partial, &whole).with_context(|| format!("cannot write {}", whole.display()))?;
    }
    println!("The stock policies are in {}", into.display());
    Ok(())
}

fn build(root: &Path, toolchain: &Toolchain, crates: &[String]) -> Result<()> {
    let mut arguments = vec!["build", "--profile", PROFILE, "--target", TARGET];
    arguments.extend(crates.iter().flat_map(|name| ["--package", name]));
    let mut command = toolchain.cargo(&arguments);
    command.current_dir(root);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "the policies do not build ({status})");
    Ok(())
}

/// The names of the crates, which are those of their folders.
fn crates(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in FOLDERS {
        names.extend(crates_below(&root.join(folder))?);
    }
    names.sort();
    Ok(names)
}

fn crates_below(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path: PathBuf = entry?.path();
        if path.join("Cargo.toml").is_file() {
            let name = path.file_name().context("a folder has a name")?;
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
