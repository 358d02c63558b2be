//! Files with expected output.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use similar::TextDiff;

/// Output that is compared between two runs alone, and with no file.
pub(crate) const IN_MEMORY: &str = "";

/// Lines around a difference: enough to see which node it is about.
const CONTEXT_LINES: usize = 3;

/// Compares outputs with the files of these names and shows every difference; writes them when asked to.
pub(crate) fn compare(directory: &Path, outputs: &[(&str, String)]) -> Result<()> {
    let is_update = env::var_os("UPDATE_GOLDEN").is_some_and(|value| value != "0");
    let mut differences = String::new();
    for (name, output) in outputs.iter().filter(|(name, _)| *name != IN_MEMORY) {
        let path = directory.join(name);
        if is_update {
            fs::write(&path, output).with_context(|| format!("cannot write {}", path.display()))?;
            continue;
        }
        // A file that is not there is one that is empty: all of the output is new.
        let expected = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        if expected != *output {
            differences.push_str(&difference(name, &expected, output));
        }
    }
    ensure!(differences.is_empty(), "{differences}UPDATE_GOLDEN=1 makes this the expected output");
    Ok(())
}

fn difference(name: &str, expected: &str, output: &str) -> String {
    let diff = TextDiff::from_lines(expected, output);
    let mut text = String::new();
    let mut unified = diff.unified_diff();
    let unified = unified.context_radius(CONTEXT_LINES).header(&format!("{name}, expected"), name);
    let _ = writeln!(text, "{unified}");
    text
}

/// A test of this file; the harness of this target runs no other kind.
pub(crate) fn a_line_that_differs_is_shown_among_its_neighbours() -> Result<()> {
    let (expected, output) = ("1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\nsix\n");
    let shown = difference("plan.txt", expected, output);
    ensure!(
        shown == "--- plan.txt, expected\n+++ plan.txt\n@@ -3,4 +3,4 @@\n 3\n 4\n 5\n-6\n+six\n\n",
        "{shown}"
    );
    Ok(())
}
