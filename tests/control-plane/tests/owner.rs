//! What becomes of a control plane whose owner ends: asked nicely, or killed.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use whittle_control_plane::component::Component;

/// How long processes may take to go once nobody holds them.
const PATIENCE: Duration = Duration::from_secs(60);

/// An owner, the kubeconfig that it has printed, and the processes that it has started.
struct Up {
    owner: Child,
    kubeconfig: PathBuf,
    components: Vec<PathBuf>,
}

impl Drop for Up {
    fn drop(&mut self) {
        // Both fail where a test has done it already.
        self.owner.kill().ok();
        self.owner.wait().ok();
    }
}

/// Starts what `cargo xtask cluster up` starts, and returns when it says that it is up.
fn up() -> Result<Up> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whittle-control-plane"));
    let owner = command.arg("up").stdout(Stdio::piped()).spawn()?;
    let mut up = Up { owner, kubeconfig: PathBuf::new(), components: Vec::new() };
    for line in BufReader::new(up.owner.stdout.take().context("its output is piped")?).lines() {
        let line = line?;
        if let Some((_, path)) = line.split_once("export KUBECONFIG=") {
            up.kubeconfig = PathBuf::from(path);
        }
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    up.components = children(up.owner.id())?;
    assert_eq!(up.components.len(), Component::ALL.len(), "{:?}", up.components);
    Ok(up)
}

/// The folders under `/proc` of the processes that one has started.
fn children(of: u32) -> Result<Vec<PathBuf>> {
    let proc = Path::new("/proc");
    let mut children = Vec::new();
    for task in proc.join(of.to_string()).join("task").read_dir()? {
        let ids = fs::read_to_string(task?.path().join("children"))?;
        children.extend(ids.split_whitespace().map(|id| proc.join(id)));
    }
    Ok(children)
}

/// Whether a process is there and runs; one that has ended and that nobody has waited for does not.
fn runs(process: &Path) -> bool {
    let Ok(status) = fs::read_to_string(process.join("status")) else { return false };
    !status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}

#[track_caller]
fn assert_all_end(components: &[PathBuf]) {
    let begin = Instant::now();
    while components.iter().any(|process| runs(process)) {
        assert!(begin.elapsed() < PATIENCE, "still there: {components:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_owner_that_is_killed_leaves_no_process() {
    let mut up = up().unwrap();
    up.owner.kill().unwrap();
    up.owner.wait().unwrap();
    assert_all_end(&up.components);
    let folder = up.kubeconfig.parent().unwrap();
    assert!(folder.is_dir(), "nobody was left to remove it");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_owner_that_is_interrupted_leaves_nothing() {
    let mut up = up().unwrap();
    let sent = Command::new("kill").args(["-INT", &up.owner.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert!(up.owner.wait().unwrap().success());
    assert_all_end(&up.components);
    assert!(!up.kubeconfig.parent().unwrap().exists());
}
