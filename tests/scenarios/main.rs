//! Every directory beside this file is a test: manifests and a scenario in, a plan, a timeline and a summary out.
//!
//! The expected output lies in the directory, and its README says in a paragraph what it shows. With `UPDATE_GOLDEN=1`
//! the output of today is written there instead of being compared: read the difference like code. Whatever the
//! output is, a run must break no rule, and a second one must give the same bytes.

mod directory;
mod golden;
mod policies;
mod ticket_cluster;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut trials = match directories(&root.join("scenarios")) {
        Ok(directories) => directories.into_iter().map(trial).collect(),
        Err(error) => vec![Trial::test("the_directories_can_be_read", move || failed(Err(error)))],
    };
    let example = root.join("../examples/ticket-cluster");
    let scenarios = root.join("scenarios");
    trials.push(Trial::test("the_node_pools_of_ticket_cluster_are_those_of_the_example", move || {
        failed(ticket_cluster::copies_equal(&example, &scenarios))
    }));
    trials.push(Trial::test("a_line_that_differs_is_shown_among_its_neighbours", || {
        failed(golden::a_line_that_differs_is_shown_among_its_neighbours())
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The directories in alphabetical order.
fn directories(parent: &Path) -> Result<Vec<PathBuf>> {
    let entries = parent.read_dir().with_context(|| format!("cannot read {}", parent.display()))?;
    let mut found = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

fn trial(directory: PathBuf) -> Trial {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Trial::test(name, move || failed(directory::holds(&directory)))
}

fn failed(outcome: Result<()>) -> Result<(), Failed> {
    outcome.map_err(|error| Failed::from(format!("{error:#}")))
}
