//! `whittle simulate` and `whittle plan`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use whittle_core::model::time::Duration as Span;
use whittle_policy::advisor::Advisor;
use whittle_policy::reload::{Looked, Reloader};
use whittle_policy::status::Status;
use whittle_policy::watch::Watch;
use whittle_sim::record::Record;
use whittle_sim::record::text::{self, Detail};
use whittle_sim::report;
use whittle_sim::run::{self, Options, Progress};
use whittle_sim::watcher::{Interruption, Watcher};
use whittle_sim::{compare, plan};

use crate::args::{DecideArgs, OutputArg, PlanArgs, SimulateArgs, WorldArgs};
use crate::{output, policies, policy};

pub(crate) fn simulate(args: &SimulateArgs) -> Result<()> {
    if let [left, right] = args.compare.as_slice() {
        return compare(args, (left, right));
    }
    let (options, advisor) = options(&args.world)?;
    let record = match args.pace {
        Some(pace) => {
            let (tell, news) = channel();
            let watch = watch(args, advisor, tell)?;
            let bar = progress_bar();
            let record = run(args, &options, &mut Paced { start: Instant::now(), pace, news, bar });
            drop(watch);
            record
        }
        None => run(args, &options, &mut Unpaced(progress_bar())),
    }?;
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

fn run(args: &SimulateArgs, options: &Options, watcher: &mut dyn Watcher) -> Result<Record> {
    run::simulate_watched(&args.world.dir, options, watcher).map_err(|problems| anyhow!(problems.to_string()))
}

/// A simulation as fast as it goes.
struct Unpaced(ProgressBar);

impl Watcher for Unpaced {
    fn progress(&mut self, progress: Progress) {
        show(&self.0, progress);
    }
}

impl Drop for Unpaced {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A simulation that goes no faster than the clock, and hears of policies that come into force meanwhile.
struct Paced {
    start: Instant,
    /// So many seconds of the simulation pass in one.
    pace: u64,
    news: Receiver<String>,
    bar: ProgressBar,
}

impl Watcher for Paced {
    fn progress(&mut self, progress: Progress) {
        show(&self.bar, progress);
    }

    fn wait(&mut self, next: Span) -> Option<Interruption> {
        let due = Duration::from_millis(next.millis() / self.pace);
        let left = due.saturating_sub(self.start.elapsed());
        match self.news.recv_timeout(left) {
            Ok(text) => {
                let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
                let elapsed = Span::from_millis(elapsed.saturating_mul(self.pace));
                Some(Interruption { elapsed, text })
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(left);
                None
            }
        }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Watches the directory of policies while the simulation goes on, says what comes of it, and tells the simulation.
fn watch(args: &SimulateArgs, advisor: Arc<Advisor>, news: Sender<String>) -> Result<Option<Watch>> {
    let Some(directory) = &args.world.decide.policies else { return Ok(None) };
    let state = args.policy_state.clone();
    let at_start = advisor.current().digest;
    let reloader = Reloader::new(directory, advisor, state.as_deref())?;
    let watch = Watch::start(reloader, move |looked, status| {
        let text = match looked {
            Looked::Unchanged | Looked::Settling(_) => None,
            // What the simulation started with is found once more by the first look.
            Looked::Swapped(digest) if Some(*digest) == at_start && status.swaps == 1 => None,
            Looked::Swapped(digest) => {
                let names = status.policies.iter().map(|policy| policy.name.as_str());
                let names = names.collect::<Vec<_>>().join(", ");
                Some(format!("policies {} are in force: {names}", digest.short()))
            }
            Looked::Refused(problems) => {
                let problems = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                Some(format!("policies are refused, the old ones stay: {problems}"))
            }
            Looked::Unreadable(error) => Some(format!("policies cannot be read, the old ones stay: {error}")),
        };
        if let Some(text) = text {
            eprintln!("{text}");
            // Nobody listens any more when the simulation is over.
            news.send(text).ok();
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
        let decide = DecideArgs { policies, ..args.world.decide.clone() };
        let (options, _) = options(&WorldArgs { decide, ..args.world.clone() })?;
        run(args, &options, &mut Unpaced(progress_bar()))
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

pub(crate) fn options(args: &WorldArgs) -> Result<(Options, Arc<Advisor>)> {
    let control = args.decide.settings();
    let (source, advisor) = policies::source(&args.dir, args.decide.policies.as_deref())?;
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
