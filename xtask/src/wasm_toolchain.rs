//! A toolchain that can build for WebAssembly: the one that is here, the one that rustup can complete, or one made from
//! Debian's packages without installing any.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};

/// The target of policies: its modules import what they are told to and nothing else.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// What Debian calls a toolchain with WebAssembly: the compiler, cargo, the library's source, and what they are linked
/// with. Packages that a release does not have are named when it is tried.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// A toolchain, and how it is called.
pub(crate) struct Toolchain {
    pub(crate) cargo: OsString,
    /// Arguments for `cargo build`.
    pub(crate) arguments: Vec<String>,
    /// Variables to set.
    pub(crate) environment: Vec<(String, OsString)>,
    /// The target folder, where it is not the usual one.
    target: Option<PathBuf>,
}

impl Toolchain {
    /// Where modules built with `profile` are.
    pub(crate) fn built(&self, target: &Path, profile: &str) -> PathBuf {
        self.target.as_deref().unwrap_or(target).join(TARGET).join(profile)
    }
}

/// Finds or makes a toolchain.
pub(crate) fn find(target: &Path) -> Result<Toolchain> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let usual = Toolchain { cargo, arguments: Vec::new(), environment: Vec::new(), target: None };
    if has_target()? {
        return Ok(usual);
    }
    println!("Rust has no {TARGET} here: trying rustup.");
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    if added.is_ok_and(|status| status.success()) && has_target()? {
        return Ok(usual);
    }
    println!("rustup cannot add it: trying Debian's packages.");
    match from_debian(&target.join("debian-rust")) {
        Ok(toolchain) => Ok(toolchain),
        Err(error) => bail!(
            "policies need Rust's target {TARGET}: `rustup target add {TARGET}`, or on Debian the packages {} \
             ({error:#})",
            DEBIAN_PACKAGES.join(", ")
        ),
    }
}

/// Whether the compiler that is here has the target's library.
fn has_target() -> Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().context("cannot start rustc")?;
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib").is_dir())
}

/// Unpacks Debian's toolchain below `prefix`, once. Nothing is installed: a package is an archive.
fn from_debian(prefix: &Path) -> Result<Toolchain> {
    let done = prefix.join("complete");
    if !done.is_file() {
        let packages = prefix.join("packages");
        fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
        download(&packages)?;
        for entry in fs::read_dir(&packages)? {
            let status = Command::new("dpkg").arg("-x").arg(entry?.path()).arg(prefix).status()?;
            ensure!(status.success(), "dpkg cannot unpack a package");
        }
        fs::write(&done, b"")?;
    }
    let libraries = prefix.join("usr/lib");
    let folders = [libraries.join(multiarch()?), libraries.clone(), libraries.join("llvm/lib")];
    let search = env::join_paths(folders)?;
    let rustc = first_of(prefix, &["usr/bin/rustc", "usr/lib/rust-web/bin/rustc"])?;
    let cargo =
        first_of(prefix, &["usr/bin/cargo", "usr/lib/cargo-web/bin/cargo", "usr/lib/rust-web/bin/cargo"])?;
    let lld = first_of(prefix, &["usr/bin/wasm-ld", "usr/bin/lld"])?;
    let bin = prefix.join("usr/bin");
    let path =
        env::join_paths([bin].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())))?;
    let own_target = prefix.join("target");
    Ok(Toolchain {
        cargo: cargo.into(),
        // There is no library for the target in the packages, so it is built from the source that is.
        arguments: vec!["-Zbuild-std=std,panic_abort".to_owned()],
        environment: vec![
            ("RUSTC".to_owned(), rustc.into()),
            ("RUSTC_BOOTSTRAP".to_owned(), "1".into()),
            ("LD_LIBRARY_PATH".to_owned(), search),
            ("PATH".to_owned(), path),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER".to_owned(), lld.into()),
            // Another compiler's artefacts are none of ours.
            ("CARGO_TARGET_DIR".to_owned(), own_target.clone().into()),
            // Of a toolchain that rustup chose nothing is wanted.
            ("RUSTUP_TOOLCHAIN".to_owned(), OsString::new()),
        ],
        target: Some(own_target),
    })
}

/// Downloads the packages and what they need besides the C library, which is here.
fn download(folder: &Path) -> Result<()> {
    let output = Command::new("apt-cache")
        .args(["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"])
        .args(["--no-replaces", "--no-enhances"])
        .args(DEBIAN_PACKAGES)
        .output()
        .context("there is no apt-cache")?;
    ensure!(output.status.success(), "Debian has no {}", DEBIAN_PACKAGES.join(", "));
    let wanted =
        ["rust", "cargo", "libstd-rust", "lld", "liblld", "libllvm", "llvm", "libgit2", "libssh2", "libhttp"];
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let names: Vec<&str> = listed
        .lines()
        .filter(|line| !line.starts_with([' ', '<', '|']))
        .filter(|name| wanted.iter().any(|start| name.starts_with(start)))
        .collect();
    let status = Command::new("apt-get").arg("download").args(&names).current_dir(folder).status()?;
    ensure!(status.success(), "apt-get cannot download {}", names.join(", "));
    Ok(())
}

fn first_of(prefix: &Path, places: &[&str]) -> Result<PathBuf> {
    let found = places.iter().map(|place| prefix.join(place)).find(|path| path.exists());
    found.with_context(|| format!("Debian's packages have no {}", places.join(" or ")))
}

/// The folder of libraries for this machine.
fn multiarch() -> Result<String> {
    let output = Command::new("dpkg-architecture").args(["-qDEB_HOST_MULTIARCH"]).output();
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8(output.stdout)?.trim().to_owned()),
        _ => Ok(format!("{}-linux-gnu", env::consts::ARCH)),
    }
}
