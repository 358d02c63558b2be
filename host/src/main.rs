//! The `whittle` command: reads arguments, builds what a subcommand needs, and runs it. No logic of its own.

mod args;
mod catalog;
mod crds;
mod learned;
mod look;
mod output;
mod policies;
mod policy;
mod run;
mod simulate;
mod snapshot;
mod telemetry;
mod top;
mod types;
mod why;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

/// A decision makes and drops many small things; this allocator takes a third less time over them than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Simulate(args) => simulate::simulate(&args),
        Command::Plan(args) => simulate::plan(&args),
        Command::Catalog(args) => catalog::run(args),
        Command::Crds => crds::run(),
        Command::Run(args) => run::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Snapshot(args) => snapshot::run(&args),
        Command::Policy(args) => policy::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failed(&error),
    }
}
