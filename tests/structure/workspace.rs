//! The workspace as plain data, read from cargo and from disk. The only module here that does IO.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Folders without sources of ours: what cargo builds and what `whittle` writes.
const NOT_OURS: [&str; 2] = ["target", "out"];

/// Crates with a workspace of their own, because they are built in another way. Their sources are ours; which crates they
/// see is nobody's concern, for nothing can depend on them.
const APART: [&str; 1] = ["tests/fuzz/Cargo.toml"];

/// A crate of the workspace. Every path is relative to the workspace's root, with `/` between its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crate {
    pub(crate) name: String,
    /// The folder of its manifest.
    pub(crate) folder: String,
    /// The names of all that its manifest depends on, to build or to run.
    pub(crate) dependencies: BTreeSet<String>,
    /// The names of all that its manifest depends on for its tests and benchmarks.
    pub(crate) test_dependencies: BTreeSet<String>,
    /// The files its targets start from.
    pub(crate) roots: Vec<String>,
}

/// Everything the checks look at.
pub(crate) struct Workspace {
    root: PathBuf,
    pub(crate) crates: Vec<Crate>,
    /// The files that the targets of the crates in [`APART`] start from.
    roots_apart: Vec<String>,
    /// The crates' manifests by path.
    pub(crate) manifests: BTreeMap<String, String>,
    /// All Rust files by path, also those that no crate knows.
    pub(crate) sources: BTreeMap<String, String>,
    /// All Markdown files by path.
    pub(crate) documents: BTreeMap<String, String>,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        let root = metadata.workspace_root.as_std_path();
        let mut crates = Vec::new();
        let mut manifests = BTreeMap::new();
        for package in metadata.workspace_packages() {
            let manifest = package.manifest_path.as_std_path();
            manifests.insert(relative(manifest, root)?, read_text(manifest)?);
            let folder = manifest.parent().context("a manifest has a folder")?;
            let roots = package.targets.iter().map(|target| relative(target.src_path.as_std_path(), root));
            crates.push(Crate {
                name: package.name.to_string(),
                folder: relative(folder, root)?,
                dependencies: dependencies(package, |kind| kind != DependencyKind::Development),
                test_dependencies: dependencies(package, |kind| kind == DependencyKind::Development),
                roots: roots.collect::<Result<_>>()?,
            });
        }
        let mut roots_apart = Vec::new();
        for manifest in APART {
            let apart = MetadataCommand::new().manifest_path(root.join(manifest)).no_deps().exec()?;
            let targets = apart.packages.iter().flat_map(|package| &package.targets);
            let roots = targets.map(|target| relative(target.src_path.as_std_path(), root));
            roots_apart.extend(roots.collect::<Result<Vec<_>>>()?);
        }
        let sources = read_all(root, ".rs")?;
        let documents = read_all(root, ".md")?;
        Ok(Self { root: root.to_owned(), crates, roots_apart, manifests, sources, documents })
    }

    /// Whether there is a file or folder at this path, seen from the workspace's root.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.root.join(path.trim_start_matches('/')).exists()
    }

    /// The files that the targets of all crates start from.
    pub(crate) fn roots(&self) -> Vec<String> {
        self.crates.iter().flat_map(|package| &package.roots).chain(&self.roots_apart).cloned().collect()
    }

    /// The names of all crates that `package` is built from, itself included, with every feature of its own on.
    ///
    /// Asked of `cargo tree` and not of `cargo metadata`, which turns on what any other crate of the workspace
    /// wants: a client that only `host/kube` asks for would seem to be in `host/api` as well.
    pub(crate) fn closure(&self, package: &str) -> Result<BTreeSet<String>> {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["tree", "--package", package, "--edges", "normal", "--all-features"])
            .args(["--prefix", "none", "--format", "{p}"])
            .output()?;
        ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout)?;
        Ok(lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }
}

fn dependencies(package: &Package, counts: impl Fn(DependencyKind) -> bool) -> BTreeSet<String> {
    let wanted = package.dependencies.iter().filter(|dependency| counts(dependency.kind));
    wanted.map(|dependency| dependency.name.clone()).collect()
}

/// All files below `root` whose name ends so, by path.
fn read_all(root: &Path, ending: &str) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                if !name.starts_with('.') && !NOT_OURS.contains(&&*name) {
                    ahead.push(path);
                }
            } else if name.ends_with(ending) {
                texts.insert(relative(&path, root)?, read_text(&path)?);
            }
        }
    }
    Ok(texts)
}

fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn relative(path: &Path, root: &Path) -> Result<String> {
    let parts = path.strip_prefix(root)?.components().map(|part| part.as_os_str().to_string_lossy());
    Ok(parts.collect::<Vec<_>>().join("/"))
}
