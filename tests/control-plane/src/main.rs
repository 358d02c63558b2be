//! `cargo xtask cluster`: a control plane for a developer, and kubectl to look at it.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, io};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use whittle_control_plane::plane::ControlPlane;
use whittle_control_plane::program::Program;

const USAGE: &str = "usage: cargo xtask cluster <up | kubectl [argument]… | build>";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["up"] => up(),
        ["build"] => {
            println!("{}", Program::provide()?.path().display());
            Ok(())
        }
        ["kubectl", ref rest @ ..] => kubectl(rest),
        _ => bail!(USAGE),
    }
}

/// Keeps a control plane until somebody asks for its end.
fn up() -> Result<()> {
    let program = Program::provide()?;
    let plane = ControlPlane::start(&program, &[])?;
    plane.apply(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/whittle-crd/crds"))?;
    println!("The API server is at {}. In another terminal:\n", plane.address());
    println!("  export KUBECONFIG={}", plane.kubeconfig().display());
    println!("  cargo xtask cluster kubectl get nodepools,nodeclaims,nodes,pods -A\n");
    println!("Ctrl-C ends it, and everything in it is gone.");
    wait_for_the_end().context("cannot wait for Ctrl-C")
}

/// Returns when a terminal or a service manager says so.
fn wait_for_the_end() -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        Ok(())
    })
}

/// kubectl as it is, for the cluster that KUBECONFIG names.
fn kubectl(arguments: &[&str]) -> Result<()> {
    let program = Program::provide()?;
    let mut command = Command::new(program.path());
    let status = command.arg("kubectl").args(arguments).status().context("cannot start kubectl")?;
    ensure!(status.success(), "kubectl has failed ({status})");
    Ok(())
}
