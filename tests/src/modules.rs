//! Policies as WebAssembly: built once for each run of a test, by the command that builds them for anybody.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

/// The folder with the modules.
static MODULES: LazyLock<PathBuf> = LazyLock::new(|| match build() {
    Ok(folder) => folder,
    Err(problem) => panic!("policies are not built: {problem}"),
});

fn build() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["xtask", "policies"]).current_dir(&root).output();
    let built = built.map_err(|error| error.to_string())?;
    if !built.status.success() {
        return Err(String::from_utf8_lossy(&built.stderr).into_owned());
    }
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    Ok(target.join("policies"))
}

/// The bytes of a module, by its crate's name.
///
/// # Panics
/// When there is no such crate, or none of them can be built: nothing that follows would be a test.
#[must_use]
pub fn module(name: &str) -> Vec<u8> {
    let path = MODULES.join(format!("{}.wasm", name.replace('-', "_")));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
