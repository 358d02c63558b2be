//! What decisions take and what they cost: `cargo bench -p whittle-core`, and behind `--` words that the names of the
//! cases to run contain.
//!
//! Every case runs in a process of its own, so that the most memory a process has held is that of one case, and no case
//! finds the heap as another has left it. Nothing here depends on how long something took: node counts that are known,
//! rules and determinism are checked, times are printed. They are medians, and only as good as the machine is idle;
//! prices beside the plan in Karpenter's order hold on any machine.

mod bound;
mod cases;
mod chance;
mod cluster;
mod decision;
mod events;
mod measure;
mod pods;
mod report;
mod workloads;
mod world;

use std::env;
use std::io;
use std::process::{Command, ExitCode};

use crate::cases::{Case, Subject};

/// The command's own allocator: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// With this word, a process is told to run one case and print its line.
const ALONE: &str = "--alone";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let cases = cases::all();
    if let [word, name] = arguments.as_slice()
        && word == ALONE
    {
        cases.iter().filter(|case| case.name == *name).for_each(run);
        return ExitCode::SUCCESS;
    }
    // Cargo says `--bench` to every benchmark.
    let words: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |case: &&Case| words.is_empty() || words.iter().any(|word| case.name.contains(*word));
    match run_apart(cases.iter().filter(wanted)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("no process for a case: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs each case in a process of its own, one after the other. Says whether all went well.
fn run_apart<'a>(cases: impl Iterator<Item = &'a Case>) -> io::Result<bool> {
    let this = env::current_exe()?;
    let (mut well, mut above) = (true, String::new());
    for case in cases {
        let header = match &case.subject {
            Subject::Decision(_) => report::decisions_header(),
            Subject::Events(_) => report::events_header(),
        };
        if header != above {
            println!("{header}");
            above = header;
        }
        well &= Command::new(&this).args([ALONE, &case.name]).status()?.success();
    }
    Ok(well)
}

fn run(case: &Case) {
    let line = match &case.subject {
        Subject::Decision(decision) => report::decision(&case.name, &decision.measure()),
        Subject::Events(change) => report::event(&case.name, &change.measure()),
    };
    println!("{line}");
}
