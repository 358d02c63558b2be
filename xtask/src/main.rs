//! `cargo xtask`: what the project does that cargo alone cannot.
//!
//! One file per subcommand, each listed in [`COMMANDS`]. Nothing here knows the host's crates: they are built and
//! run through cargo, like a user would, so that this crate compiles in seconds even while they do not.

mod cluster;
mod demo;
mod policies;
mod step;
mod test;
mod wasm;
mod wasm_toolchain;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

/// A subcommand.
struct Command {
    /// What the user types.
    name: &'static str,
    /// Its arguments as they stand in the help.
    arguments: &'static str,
    /// What it does, in half a line.
    summary: &'static str,
    /// Does it, given the root of the workspace and the arguments behind the name.
    run: fn(&Path, &[String]) -> Result<()>,
}

/// Every subcommand in the order of the help.
const COMMANDS: &[Command] = &[
    Command {
        name: "cluster",
        arguments: "up|kubectl […]|build",
        summary: "run a real Kubernetes control plane until Ctrl-C, and look at it",
        run: cluster::run,
    },
    Command {
        name: "demo",
        arguments: "",
        summary: "simulate the example cluster and write its report",
        run: demo::run,
    },
    Command {
        name: "policies",
        arguments: "[FOLDER]",
        summary: "build every policy as WebAssembly, and put the stock ones into FOLDER",
        run: policies::run,
    },
    Command {
        name: "test",
        arguments: "[--only fmt|clippy|doc|policies|cluster|test|deny]…",
        summary: "run every check, the same ones that guard a merge",
        run: test::run,
    },
    Command {
        name: "wasm",
        arguments: "[CARGO'S ARGUMENTS]…",
        summary: "call cargo with a toolchain that builds WebAssembly, fetched if need be",
        run: wasm::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match workspace_root().and_then(|root| dispatch(&root, &arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace's manifest. Cargo tells a program that it runs where that program's own manifest is.
fn workspace_root() -> Result<PathBuf> {
    let own = env::var_os("CARGO_MANIFEST_DIR").context("start me as `cargo xtask`")?;
    let root = Path::new(&own).parent().context("this crate's manifest has no folder above it")?;
    Ok(root.to_owned())
}

fn dispatch(root: &Path, arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else { bail!("no subcommand\n\n{}", help()) };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{}", help());
        return Ok(());
    }
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(root, rest),
        None => bail!("there is no subcommand `{name}`\n\n{}", help()),
    }
}

fn help() -> String {
    let mut text = String::from("usage: cargo xtask <subcommand>\n");
    for Command { name, arguments, summary, .. } in COMMANDS {
        let usage = format!("{name} {arguments}");
        text.push_str(&format!("\n  {usage:<42} {summary}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_subcommand() {
        let help = help();
        let missing: Vec<&str> =
            COMMANDS.iter().map(|command| command.name).filter(|name| !help.contains(name)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn an_unknown_subcommand_is_named_in_the_error() {
        let error = dispatch(Path::new("."), &["frobnicate".to_owned()]).unwrap_err().to_string();
        assert_eq!(error.lines().next(), Some("there is no subcommand `frobnicate`"));
    }
}
