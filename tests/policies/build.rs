//! Modules, loaded, and small sets of them.

use std::fs;
use std::sync::{Arc, LazyLock};

use whittle_policy::directory::{self, Contents};
use whittle_policy::engine::Engine;
use whittle_policy::generation::{Generation, Loader, Vanished};
use whittle_policy::module::Module;
use whittle_tests::modules::module;

/// One engine for all tests: each reserves address space for its pool.
pub(crate) static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| Arc::new(Engine::new().unwrap()));

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
