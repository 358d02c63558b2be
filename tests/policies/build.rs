//! Modules, built once for all tests by `cargo xtask policies`, and small sets of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::{env, fs};

use whittle_policy::directory::{self, Contents};
use whittle_policy::engine::Engine;
use whittle_policy::generation::{Generation, Loader, Vanished};
use whittle_policy::module::Module;

/// One engine for all tests: each reserves address space for its pool.
pub(crate) static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| Arc::new(Engine::new().unwrap()));

/// The folder with the modules.
static MODULES: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["xtask", "policies"]).current_dir(root).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    target.join("policies")
});

/// The bytes of a module, by its crate's name.
pub(crate) fn module(name: &str) -> Vec<u8> {
    let path = MODULES.join(format!("{}.wasm", name.replace('-', "_")));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A module, loaded.
pub(crate) fn loaded(name: &str) -> Module {
    Module::load(&ENGINE, None, &module(name)).unwrap_or_else(|refusal| panic!("{name}: {refusal}"))
}

/// A directory with `policies.yaml` and modules, under the names of their crates.
pub(crate) fn directory(attachments: &str, modules: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policies.yaml"), attachments).unwrap();
    for name in modules {
        fs::write(folder.path().join(format!("{name}.wasm")), module(name)).unwrap();
    }
    folder
}

/// What a directory with these things in it holds.
pub(crate) fn contents(attachments: &str, modules: &[&str]) -> Contents {
    directory::read(directory(attachments, modules).path()).unwrap()
}

/// A set of policies; when it will not load, everything that is wrong.
pub(crate) fn generation(attachments: &str, modules: &[&str]) -> Result<Generation, String> {
    let before = Generation::default();
    let loader = Loader { engine: &ENGINE, cache: None, before: &before, recorded: &[] };
    loader
        .load(&contents(attachments, modules), &Vanished::default())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}
