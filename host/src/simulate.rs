//! `whittle simulate` and `whittle plan`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use whittle_control::controller::Settings;
use whittle_policy::advisor::Advisor;
use whittle_policy::reload::{Looked, Reloader};
use whittle_policy::status::Status;
use whittle_policy::watch::Watch;
use whittle_sim::record::Record;
use whittle_sim::record::text::{self, Detail};
use whittle_sim::report;
use whittle_sim::run::{self, Options, Progress};
use whittle_sim::{compare, plan};

use crate::args::{OutputArg, PlanArgs, SimulateArgs, WorldArgs};
use crate::{output, policies, policy};

pub(crate) fn simulate(args: &SimulateArgs) -> Result<()> {
    if let [left, right] = args.compare.as_slice() {
        return compare(args, (left, right));
    }
    let (options, advisor) = options(&args.world)?;
    let watch = match args.pace {
        Some(_) => watch(args, advisor)?,
        None => None,
    };
    let record = run(args, &options)?;
    drop(watch);
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

fn run(args: &SimulateArgs, options: &Options) -> Result<Record> {
    let bar = progress_bar();
    let start = Instant::now();
    let record = run::simulate(&args.world.dir, options, &mut |progress| {
        show(&bar, progress);
        if let Some(pace) = args.pace {
            let due = Duration::from_millis(progress.elapsed.millis() / pace);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
    });
    bar.finish_and_clear();
    record.map_err(|problems| anyhow!(problems.to_string()))
}

/// Watches the directory of policies while the simulation goes on, and says what comes of it.
fn watch(args: &SimulateArgs, advisor: Arc<Advisor>) -> Result<Option<Watch>> {
    let Some(directory) = &args.world.policies else { return Ok(None) };
    let state = args.policy_state.clone();
    let reloader = Reloader::new(directory, advisor, state.as_deref())?;
    let watch = Watch::start(reloader, move |looked, status| {
        match looked {
            Looked::Unchanged | Looked::Settling(_) => {}
            Looked::Swapped(digest) => eprintln!("policies {} are in force", digest.short()),
            Looked::Refused(problems) => {
                eprintln!("policies are refused, the old ones stay");
                problems.iter().for_each(|problem| eprintln!("{problem}"));
            }
            Looked::Unreadable(error) => eprintln!("policies cannot be read, the old ones stay: {error}"),
        }
        if let Some(state) = &state
            && let Err(error) = keep_status(state, status)
        {
            eprintln!("the status of policies is not kept: {error:#}");
        }
    });
    Ok(Some(watch?))
}

pub(crate) fn keep_status(state: &Path, status: &Status) -> Result<()> {
    let (partial, whole) = (state.join(".status"), state.join(policy::STATUS));
    fs::write(&partial, serde_json::to_string_pretty(status)?)?;
    Ok(fs::rename(partial, whole)?)
}

/// The same day with the policies of two directories.
fn compare(args: &SimulateArgs, (left, right): (&Path, &Path)) -> Result<()> {
    let day = |directory: &Path| -> Result<Record> {
        let policies = (directory != Path::new("none")).then(|| directory.to_owned());
        let (options, _) = options(&WorldArgs { policies, ..args.world.clone() })?;
        run(args, &options)
    };
    let (before, after) = (day(left)?, day(right)?);
    let (left, right) = (left.display().to_string(), right.display().to_string());
    match args.world.output {
        OutputArg::Text => output::print(&compare::text((&left, &before), (&right, &after))),
        OutputArg::Json => {
            let totals = [(left, &before.totals), (right, &after.totals)];
            output::print(&serde_json::to_string_pretty(&totals)?)
        }
    }
}

pub(crate) fn plan(args: &PlanArgs) -> Result<()> {
    let report = plan::plan(&args.world.dir, &options(&args.world)?.0);
    let report = report.map_err(|problems| anyhow!(problems.to_string()))?;
    match args.world.output {
        OutputArg::Text => output::print(&plan::text(&report)),
        OutputArg::Json => output::print(&serde_json::to_string_pretty(&report)?),
    }
}

fn options(args: &WorldArgs) -> Result<(Options, Arc<Advisor>)> {
    let mut control = Settings::default();
    control.decisions.min_values = args.min_values_policy.into();
    control.decisions.preferences = args.preference_policy.into();
    let (source, advisor) = policies::source(&args.dir, args.policies.as_deref())?;
    let options = Options { seed: args.seed, region: args.region.clone(), control, policies: Some(source) };
    Ok((options, advisor))
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
