//! What has to hold for a directory.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use whittle_sim::plan;
use whittle_sim::record::Record;
use whittle_sim::record::text::{self, Detail};
use whittle_sim::run::{Options, simulate};

use crate::{golden, policies};

/// Expected output of a directory that can be simulated, and what is expected of one that cannot.
const PROBLEMS: &str = "problems.txt";
const PLAN: &str = "plan.txt";
const TIMELINE: &str = "timeline.txt";
const SUMMARY: &str = "summary.txt";

/// Runs a directory twice and compares with what is expected of it.
pub(crate) fn holds(directory: &Path) -> Result<()> {
    is_explained(directory)?;
    let outputs = outputs(directory)?;
    ensure!(outputs == self::outputs(directory)?, "a second run gives something else");
    golden::compare(directory, &outputs)
}

/// A golden file alone does not say what is right about it.
fn is_explained(directory: &Path) -> Result<()> {
    let text = fs::read_to_string(directory.join("README.md")).context("no README.md says what is shown")?;
    let title = directory.file_name().unwrap_or_default().to_string_lossy();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    ensure!(lines.next() == Some(&format!("# {title}")), "README.md does not open with `# {title}`");
    ensure!(lines.next().is_some(), "README.md does not say what is shown");
    Ok(())
}

/// What a directory gives, by the name of the golden file, in the order of reading.
///
/// A directory with `plan.txt` shows one decision; one with a scenario shows what happens over time. Which of the
/// golden files there are says which is meant; a new directory gets those that suit it.
fn outputs(directory: &Path) -> Result<Vec<(&'static str, String)>> {
    let options = options(directory)?;
    let record = match simulate(directory, &options, &mut |_| ()) {
        Ok(record) => record,
        Err(problems) => return Ok(vec![(PROBLEMS, format!("{problems}\n"))]),
    };
    breaks_no_rule(&record)?;
    // A policy that failed in the simulation is not known to have failed where only a plan is wanted.
    let options = self::options(directory)?;
    let planned = match plan::plan(directory, &options) {
        Ok(planned) => planned,
        Err(problems) => bail!("can be simulated and not planned: {problems}"),
    };
    if let Some(violation) = planned.violations.first() {
        bail!("the plan breaks a rule: {violation}");
    }
    let is_scenario = directory.join("scenario.yaml").exists();
    let has = |name: &str| directory.join(name).exists();
    let is_new = ![PLAN, TIMELINE, SUMMARY, PROBLEMS].into_iter().any(has);
    let mut outputs = Vec::new();
    if has(PLAN) || (is_new && !is_scenario) {
        outputs.push((PLAN, plan::text(&planned)));
    }
    if has(TIMELINE) || has(SUMMARY) || (is_new && is_scenario) {
        outputs.push((TIMELINE, text::timeline(&record, Detail::Verbose)));
        outputs.push((SUMMARY, text::summary(&record, Detail::Compact)));
    }
    ensure!(!has(PROBLEMS), "nothing is wrong with these files any more, and {PROBLEMS} says there is");
    // The golden files show less than there is to compare: the curves, the nodes, every pod.
    outputs.push((golden::IN_MEMORY, serde_json::to_string(&(&record, &planned))?));
    Ok(outputs)
}

/// Nobody else's policies: what a policy is known for lasts as long as those who ask it.
fn options(directory: &Path) -> Result<Options> {
    Ok(Options { policies: policies::source(directory)?, ..Options::default() })
}

fn breaks_no_rule(record: &Record) -> Result<()> {
    if let Some(broken) = record.violations.first() {
        bail!("a plan broke a rule: {}", broken.violation);
    }
    Ok(())
}
