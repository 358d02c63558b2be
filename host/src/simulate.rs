//! `whittle simulate` and `whittle plan`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use whittle_control::controller::Settings;
use whittle_sim::plan;
use whittle_sim::record::Record;
use whittle_sim::record::text::{self, Detail};
use whittle_sim::report;
use whittle_sim::run::{self, Options, Progress};

use crate::args::{OutputArg, PlanArgs, SimulateArgs, WorldArgs};
use crate::output;

pub(crate) fn simulate(args: &SimulateArgs) -> Result<()> {
    let bar = progress_bar();
    let record = run::simulate(&args.world.dir, &options(&args.world), &mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    let record = record.map_err(|problems| anyhow!(problems.to_string()))?;
    if let Some(path) = &args.report {
        write_report(&record, path)?;
    }
    match args.world.output {
        OutputArg::Text => {
            let detail = if args.verbose { Detail::Verbose } else { Detail::Compact };
            output::print(&format!("{}\n{}", text::timeline(&record, detail), text::summary(&record, detail)))
        }
        OutputArg::Json => output::print(&serde_json::to_string_pretty(&record)?),
    }
}

pub(crate) fn plan(args: &PlanArgs) -> Result<()> {
    let report = plan::plan(&args.world.dir, &options(&args.world));
    let report = report.map_err(|problems| anyhow!(problems.to_string()))?;
    match args.world.output {
        OutputArg::Text => output::print(&plan::text(&report)),
        OutputArg::Json => output::print(&serde_json::to_string_pretty(&report)?),
    }
}

fn options(args: &WorldArgs) -> Options {
    let mut control = Settings::default();
    control.decisions.min_values = args.min_values_policy.into();
    control.decisions.preferences = args.preference_policy.into();
    Options { seed: args.seed, region: args.region.clone(), control }
}

fn write_report(record: &Record, path: &Path) -> Result<()> {
    let shown = path.display();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make the directory of {shown}"))?;
    }
    fs::write(path, report::html(record)).with_context(|| format!("cannot write the report to {shown}"))
}

/// Shown on a terminal only: indicatif draws nothing when standard error is none.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {percent:>3} % of the time · {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.total.millis());
    bar.set_position(progress.elapsed.millis());
    bar.set_message(format!("{} nodes, {} pods wait", progress.nodes, progress.waiting_pods));
}
