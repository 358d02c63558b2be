//! The command `whittle`, built once for each run of a test: cargo builds no programs of other packages for one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program, in the profile that this one was built in.
///
/// # Errors
/// When cargo cannot build it, or this program does not lie where cargo puts tests and benchmarks.
pub fn whittle() -> Result<&'static Path, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(build);
    built.as_deref().map_err(|problem| format!("there is no whittle: {problem}"))
}

/// Whether cargo sets a variable for each program that it runs.
fn is_of_this_package(name: &std::ffi::OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|own| name.starts_with(own)))
}

fn build() -> Result<PathBuf, String> {
    // This program lies in `<target>/<profile>/deps`.
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let elsewhere = || format!("{} does not lie where cargo puts tests", own.display());
    let profile = own.parent().and_then(Path::parent).ok_or_else(elsewhere)?;
    let is_release = profile.file_name().is_some_and(|name| name == "release");
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo has told this program about its own package is kept from it: build scripts look at that (`ring`'s), and
    // half of all dependencies would be built anew.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_this_package(name)) {
        cargo.env_remove(name);
    }
    // As a whole run of the tests builds it, so that its dependencies are built once: it goes with a test of its own.
    cargo.args(["test", "--quiet", "--workspace", "--no-run", "--test", "command", "--target-dir"]);
    cargo.arg(profile.parent().ok_or_else(elsewhere)?);
    cargo.args(is_release.then_some("--release"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = cargo.status().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err("cargo cannot build it".to_owned());
    }
    Ok(profile.join("whittle"))
}
