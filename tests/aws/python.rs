//! The Python that the emulator runs with: an environment of its own in the user's cache folder, made once.
//!
//! What is in it is `emulator/requirements.txt`, to the patch. A machine that has it needs neither the network nor pip.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};

/// The version of moto, which names the folder.
const NAME: &str = "moto-5.2.5";

/// What is installed: what the emulator and the checks of `deploy/` run with.
const REQUIREMENTS: &str = include_str!("emulator/requirements.txt");

/// What is said where there is no Python.
const NO_PYTHON: &str =
    "the emulator of AWS needs python3, 3.10 or newer, with venv and pip (Debian: python3-venv)";

/// A call of Python in the folder of these tests. The first on a machine installs what it needs, which takes a minute
/// and asks PyPI. Several processes may call at once.
pub(crate) fn python() -> Result<Command> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| provide().map_err(|error| format!("{error:#}")));
    let path = installed.as_ref().map_err(|problem| anyhow!("there is no emulator of AWS: {problem}"))?;
    let mut command = Command::new(path);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("aws"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

fn provide() -> Result<PathBuf> {
    let cache = cache_folder()?;
    let folder = cache.join(NAME);
    let python = folder.join("bin/python");
    // Written last: what is there with these words in it is whole.
    let done = folder.join("requirements.txt");
    let is_done = || fs::read_to_string(&done).is_ok_and(|found| found == REQUIREMENTS);
    if is_done() {
        return Ok(python);
    }
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = File::create(cache.join(format!("{NAME}.lock"))).context("cannot lock the cache folder")?;
    lock.lock().context("cannot lock the cache folder")?;
    if !is_done() {
        install(&folder, &python)?;
        fs::write(&done, REQUIREMENTS).with_context(|| format!("cannot write {}", done.display()))?;
    }
    Ok(python)
}

fn install(folder: &Path, python: &Path) -> Result<()> {
    eprintln!("Installing the emulator of AWS, once, in {} …", folder.display());
    let made = Command::new("python3").args(["-m", "venv"]).arg(folder).status();
    ensure!(made.context(NO_PYTHON)?.success(), "`python3 -m venv` fails: {NO_PYTHON}");
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("aws/emulator/requirements.txt");
    let installed = Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(requirements)
        .status()
        .context("cannot start pip")?;
    ensure!(installed.success(), "pip cannot install moto, and says why above: PyPI has to be in reach");
    Ok(())
}

fn cache_folder() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("whittle"))
}
