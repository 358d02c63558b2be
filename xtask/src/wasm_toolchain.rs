//! A toolchain that can build for WebAssembly: the one that is here, the one that rustup can complete, or one made of
//! Debian's packages without installing any.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};

/// The target of policies: its modules import what they are told to and nothing else.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Set to `here`, `rustup` or `debian`, it has that one way tried and no other.
const ONLY: &str = "WASM_TOOLCHAIN";

/// What Debian calls a toolchain that goes with this code, and the linker. Its `rustc` is years older than ours; the one
/// that it keeps for its browser is not.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// A toolchain, and how it is called.
pub(crate) struct Toolchain {
    /// Where it is from, in words.
    pub(crate) origin: &'static str,
    program: OsString,
    /// Arguments that a command which builds needs besides its own.
    arguments: Vec<&'static str>,
    /// Variables to set.
    environment: Vec<(&'static str, OsString)>,
    /// The folder that it builds into, where it is not the usual one.
    target: Option<PathBuf>,
}

impl Toolchain {
    /// Cargo of this toolchain: its command, and the arguments of that.
    pub(crate) fn cargo<A: AsRef<str>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments.iter().map(AsRef::as_ref)).args(&self.arguments);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        if self.target.is_some() {
            // Of a toolchain that rustup chose nothing is wanted.
            ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTDOC"].into_iter().for_each(|name| {
                command.env_remove(name);
            });
        }
        command
    }

    /// Where modules built with `profile` are.
    pub(crate) fn built(&self, target: &Path, profile: &str) -> PathBuf {
        self.target.as_deref().unwrap_or(target).join(TARGET).join(profile)
    }
}

/// Finds or makes a toolchain. What is made lies in `target`.
pub(crate) fn find(target: &Path) -> Result<Toolchain> {
    let only = env::var(ONLY).unwrap_or_default();
    let may = |way: &str| only.is_empty() || only == way;
    ensure!(
        ["here", "rustup", "debian"].into_iter().any(may),
        "{ONLY}: found {only}, expected here, rustup or debian"
    );
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let usual = |origin| Toolchain {
        origin,
        program: program.clone(),
        arguments: Vec::new(),
        environment: Vec::new(),
        target: None,
    };
    if may("here") && has_target()? {
        return Ok(usual("the toolchain that is here"));
    }
    let mut obstacles = Vec::new();
    if may("rustup") {
        match add_target() {
            Ok(()) => return Ok(usual("the toolchain that is here, with the target that rustup added")),
            Err(error) => obstacles.push(format!("{error:#}")),
        }
    }
    if may("debian") {
        match from_debian(&target.join("debian-rust")) {
            Ok(toolchain) => return Ok(toolchain),
            Err(error) => obstacles.push(format!("{error:#}")),
        }
    }
    bail!(
        "policies need Rust's target {TARGET}: run `rustup target add {TARGET}`, or have apt-get know Debian's packages {}{}",
        DEBIAN_PACKAGES.join(", "),
        if obstacles.is_empty() { String::new() } else { format!(" ({})", obstacles.join("; ")) }
    )
}

/// Whether the compiler that is here has the target's library.
fn has_target() -> Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().context("cannot start rustc")?;
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib").is_dir())
}

/// Has rustup add the target to the toolchain that runs us, which the variable that it set names.
fn add_target() -> Result<()> {
    println!("Rust has no {TARGET} here: asking rustup for it.");
    let status = Command::new("rustup").args(["target", "add", TARGET]).status();
    let Ok(status) = status else { bail!("there is no rustup") };
    ensure!(status.success(), "rustup cannot add it");
    ensure!(has_target()?, "rustup added it to a toolchain that is not the one in use");
    Ok(())
}

/// Unpacks Debian's toolchain as `prefix`, once. Nothing is installed: a package is an archive.
fn from_debian(prefix: &Path) -> Result<Toolchain> {
    if !prefix.is_dir() {
        println!("Making a toolchain of Debian's packages, once; the first build with it takes minutes.");
        // Under a name of its own until it is whole: what was interrupted is not taken for a toolchain.
        let partial = prefix.with_extension(format!("{}.partial", std::process::id()));
        let unpacked = unpack(&partial);
        if unpacked.is_ok() && !prefix.is_dir() {
            fs::rename(&partial, prefix).with_context(|| format!("cannot make {}", prefix.display()))?;
        } else {
            fs::remove_dir_all(&partial).ok();
        }
        unpacked?;
    }
    let prefix = prefix.canonicalize()?;
    let libraries = prefix.join("usr/lib");
    let search = [libraries.join(multiarch()), libraries.clone()];
    let inherited = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let search = env::join_paths(search.into_iter().chain(env::split_paths(&inherited)))?;
    let lld = fs::read_dir(&libraries)?.flatten().map(|entry| entry.path().join("bin/wasm-ld"));
    let lld = lld.filter(|path| path.exists()).max().context("Debian's packages have no wasm-ld")?;
    let [rustc, cargo] = ["usr/bin/rustc", "usr/bin/cargo"].map(|name| prefix.join(name));
    for program in [&rustc, &cargo] {
        ensure!(program.is_file(), "Debian's packages have no {}", program.display());
    }
    let target = prefix.join("target");
    Ok(Toolchain {
        origin: "one made of Debian's packages",
        program: cargo.into(),
        // There is no library for the target in the packages, so it is built from the source that is.
        arguments: vec!["-Zbuild-std=std,panic_abort"],
        environment: vec![
            ("RUSTC", rustc.into()),
            ("RUSTC_BOOTSTRAP", "1".into()),
            ("LD_LIBRARY_PATH", search),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", lld.into()),
            ("CARGO_TARGET_DIR", target.clone().into()),
        ],
        target: Some(target),
    })
}

/// Downloads the packages, and those that they need and this machine has not, and unpacks them.
fn unpack(prefix: &Path) -> Result<()> {
    let packages = prefix.join("packages");
    fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
    let names = match missing() {
        Ok(names) => names,
        Err(_) => {
            // A machine that was never told what there is. Where that is not ours to do, it stays so.
            Command::new("apt-get").args(["update", "-qq"]).status().ok();
            missing()?
        }
    };
    let status = Command::new("apt-get")
        .args(["download", "-q", "-o", "APT::Sandbox::User=root"])
        .args(&names)
        .current_dir(&packages)
        .status()?;
    ensure!(status.success(), "apt-get cannot download {}", names.join(", "));
    for entry in fs::read_dir(&packages)? {
        let path = entry?.path();
        let status =
            Command::new("dpkg").arg("-x").arg(&path).arg(prefix).status().context("there is no dpkg")?;
        ensure!(status.success(), "dpkg cannot unpack {}", path.display());
    }
    Ok(fs::remove_dir_all(packages)?)
}

/// What apt would install, and does not.
fn missing() -> Result<Vec<String>> {
    let mut command = Command::new("apt-get");
    command.args(["install", "--simulate", "--no-install-recommends"]).args(DEBIAN_PACKAGES);
    let output = command.output().context("there is no apt-get")?;
    ensure!(output.status.success(), "there are no packages {}", DEBIAN_PACKAGES.join(", "));
    let mut names = to_install(&String::from_utf8_lossy(&output.stdout));
    // What is installed already lies elsewhere, and the toolchain wants itself in one place.
    names.extend(DEBIAN_PACKAGES.into_iter().map(str::to_owned));
    names.sort();
    names.dedup();
    Ok(names)
}

/// The packages that apt says it would install.
fn to_install(simulated: &str) -> Vec<String> {
    let lines = simulated.lines().filter_map(|line| line.strip_prefix("Inst "));
    lines.filter_map(|rest| rest.split(' ').next()).map(str::to_owned).collect()
}

/// The folder of libraries for this machine.
fn multiarch() -> String {
    format!("{}-linux-gnu", env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_would_install_is_read_from_its_words() {
        let simulated = "Reading package lists...\nRemv rustc [1.63.0]\nInst libllvm22 (1:22.1.8 Debian:12 [amd64])\n\
                         Inst rustc-web [1.85.0] (1.96.0 Debian:12 [amd64])\nConf libllvm22 (1:22.1.8 Debian:12 [amd64])\n";
        assert_eq!(to_install(simulated), ["libllvm22", "rustc-web"]);
    }

    #[test]
    fn a_toolchain_of_debians_builds_its_library_and_keeps_its_artefacts_apart() {
        let toolchain = Toolchain {
            origin: "a test",
            program: "cargo".into(),
            arguments: vec!["-Zbuild-std=std"],
            environment: vec![("RUSTC_BOOTSTRAP", "1".into())],
            target: Some("apart".into()),
        };
        let command = toolchain.cargo(&["build", "--release"]);
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["build", "--release", "-Zbuild-std=std"]);
        assert_eq!(
            toolchain.built(Path::new("usual"), "release"),
            Path::new("apart").join(TARGET).join("release")
        );
    }
}
