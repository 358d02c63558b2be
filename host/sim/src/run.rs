//! The loop: the world moves on, the controller hears of it, decides, and its plan is carried out in the world.
//!
//! Time goes from one thing that happens to the next, whichever comes first: something in the world, or the moment
//! at which the controller wants to look again. Between them nothing is computed.

use std::io::ErrorKind;
use std::path::Path as FilePath;

use futures::executor::block_on;
use whittle_api::manifest::{File, Gathered, files_below};
use whittle_control::controller::{Controller, Settings};
use whittle_control::execute::{execute, is_judged};
use whittle_core::check::{Violation, check};
use whittle_core::event::Event;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, Outcome, Plan};

use crate::input::Objects;
use crate::journal::EntryKind;
use crate::load;
use crate::policies::Source;
use crate::problems::Problems;
use crate::record::recorder::Recorder;
use crate::record::{Record, RecordSettings};
use crate::scenario::compile::{self, Course};
use crate::scenario::events;
use crate::scenario::reservations;
use crate::script::Step;
use crate::world::ports::Ports;
use crate::world::{Setup, World};

/// How a simulation is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The seed, in place of the scenario's.
    pub seed: Option<u64>,
    /// The AWS region, in place of the scenario's.
    pub region: Option<String>,
    /// How the loop behaves; its seed is that of the simulation.
    pub control: Settings,
    /// Where policies come from. Without it, there are none.
    pub policies: Option<Source>,
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How much virtual time has passed.
    pub elapsed: Duration,
    /// How much there is at most.
    pub total: Duration,
    /// How many nodes there are.
    pub nodes: u64,
    /// How many pods wait for a node.
    pub waiting_pods: u64,
}

/// The list of a directory of policies: no manifest, wherever it lies.
const POLICIES: &str = "policies.yaml";

/// A world is settled when nothing has happened for this long: longer than any default of consolidation.
const SETTLED_AFTER: Duration = Duration::from_secs(15 * 60);

/// A plan leads to events and these to another plan at the same moment: a node joins, is registered, gets its pods.
/// More steps than this at one moment are a loop that does not come to rest; it goes on a second later.
const DECISIONS_AT_ONCE_MAX: usize = 64;

/// How long a loop that would turn on the spot is held back.
const HOLD_BACK: Duration = Duration::from_secs(1);

/// Simulates the cluster and the scenario in a directory. `progress` is called now and then.
///
/// # Errors
///
/// Everything that is wrong with the files, at once.
pub fn simulate(
    dir: &FilePath,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Record, Problems> {
    let input = read(dir, options)?;
    Ok(run(input, options, progress))
}

/// Simulates a directory that is nowhere on a disk: its manifests, and the scenario among them. Files with prices are
/// no manifests, so a scenario that names one is told that it is not there.
///
/// # Errors
///
/// Everything that is wrong with the files, at once.
pub fn simulate_files(
    files: Vec<File>,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Record, Problems> {
    let input = read_files(files, options)?;
    Ok(run(input, options, progress))
}

/// What a directory says, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// The directory's own name, without the way there.
    pub(crate) directory: String,
    pub(crate) course: Course,
    pub(crate) objects: Objects,
    pub(crate) steps: Vec<(Timestamp, Step)>,
}

/// Reads a directory.
pub(crate) fn read(dir: &FilePath, options: &Options) -> Result<Input, Problems> {
    let prices = |file: &str| std::fs::read_to_string(dir.join(file));
    understood(own_name(dir), files_below(dir), prices, options)
}

/// Reads files that are in memory.
pub(crate) fn read_files(files: Vec<File>, options: &Options) -> Result<Input, Problems> {
    let gathered = Gathered { files, problems: Vec::new() };
    understood(String::new(), gathered, |_| Err(ErrorKind::NotFound.into()), options)
}

/// What files say together; `prices` gives the text of one that is no manifest.
fn understood(
    directory: String,
    gathered: Gathered,
    prices: impl Fn(&str) -> std::io::Result<String>,
    options: &Options,
) -> Result<Input, Problems> {
    let Gathered { mut files, mut problems } = gathered;
    // Beside a scenario lie the policies that it swaps in; their list is read by whoever loads them.
    files.retain(|file| file.name.rsplit('/').next() != Some(POLICIES));
    let mut found = compile::find(files, &mut problems);
    let mut course = compile::course(found.scenario.take(), options.region.as_deref(), prices, &mut problems);
    course.seed = options.seed.unwrap_or(course.seed);
    let objects = load::objects(&found.manifests, &course.place, &mut problems);
    let steps = events::steps(&course, &objects, &found, &mut problems);
    let in_doubt = course.doubts.region || problems.iter().any(|one| one.source.kind == "EC2NodeClass");
    if !in_doubt {
        problems.extend(reservations::judge(&course, &objects, steps.iter().map(|(_, step)| step)));
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    Ok(Input { directory, course, objects, steps })
}

/// The name of a directory without the way there, also of `.` and `..`; empty for the root.
fn own_name(dir: &FilePath) -> String {
    let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Runs a world to its end.
pub(crate) fn run(input: Input, options: &Options, progress: &mut dyn FnMut(Progress)) -> Record {
    let Input { directory, course, objects, steps } = input;
    let mut world = World::new(setup(&course), objects);
    for (at, step) in steps {
        world.enter(at, step);
    }
    let mut driver = Driver {
        controller: controller(&course, options),
        policies: options.policies.clone(),
        recorder: Recorder::new(course.sample_every),
        world,
        held_until: Timestamp::EPOCH,
        last_change: course.start,
    };
    let total = course.end.since(course.start);
    while let Some(now) = driver.next(&course) {
        driver.step(now);
        let nodes = driver.world.nodes.len() as u64;
        let waiting_pods = driver.world.waiting_pods();
        progress(Progress { elapsed: now.since(course.start), total, nodes, waiting_pods });
    }
    driver.finish(&course, directory)
}

/// The loop on this course.
pub(crate) fn controller(course: &Course, options: &Options) -> Controller {
    let controller = Controller::new(settings(course, &options.control));
    match &options.policies {
        Some(source) => controller.with_policies(source.0.policies()),
        None => controller,
    }
}

/// How the loop behaves on this course.
fn settings(course: &Course, control: &Settings) -> Settings {
    let mut settings = Settings { seed: course.seed, ..control.clone() };
    if !course.default_spread.is_empty() {
        settings.decisions.default_spread.clone_from(&course.default_spread);
    }
    settings
}

/// How a world behaves on this course.
pub(crate) fn setup(course: &Course) -> Setup {
    Setup {
        seed: course.seed,
        start: course.start,
        end: course.end,
        region: course.place.region.clone(),
        timings: course.timings.clone(),
        default_spread: course.default_spread.clone(),
        draws_reclaims: course.draws_reclaims,
        catalog: course.place.catalog.clone(),
    }
}

struct Driver {
    controller: Controller,
    policies: Option<Source>,
    recorder: Recorder,
    world: World,
    /// The controller is not asked again before, because it turned on the spot.
    held_until: Timestamp,
    last_change: Timestamp,
}

impl Driver {
    /// When something happens next; `None` at the end.
    fn next(&self, course: &Course) -> Option<Timestamp> {
        let wake = self.controller.next_wake().map(|at| at.max(self.held_until).max(self.world.now));
        let first = self.last_change == course.start && self.world.has_events();
        let at =
            if first { Some(course.start) } else { self.world.next_time().into_iter().chain(wake).min() };
        let at = at.filter(|at| *at <= course.end)?;
        let settled = course.until_settled
            && self.world.next_time().is_none()
            && at.since(self.last_change) > SETTLED_AFTER;
        (!settled).then_some(at)
    }

    fn step(&mut self, now: Timestamp) {
        self.world.advance(now);
        self.swap_policies();
        self.hear(now);
        for _ in 0..DECISIONS_AT_ONCE_MAX {
            let wake = self.controller.next_wake().filter(|at| *at <= now);
            if wake.is_none() || self.held_until > now {
                self.recorder.sample(&self.world);
                return;
            }
            let plan = self.controller.decide(now);
            self.recorder.decided(&plan, &mut self.world);
            if !self.carry_out(&plan, now) {
                break;
            }
        }
        if self.controller.next_wake().is_some_and(|at| at <= now) {
            self.held_until = now + HOLD_BACK;
        }
        self.recorder.sample(&self.world);
    }

    /// Puts the policies in force that the scenario wants.
    fn swap_policies(&mut self) {
        for directory in self.world.take_policies() {
            let text = match &self.policies {
                None => {
                    format!("policies of {directory} are not loaded: nobody brought a source of policies")
                }
                Some(source) => match source.0.swap(&directory) {
                    Ok(set) if set.is_empty() => format!("policies of {directory} are in force: none"),
                    Ok(set) => format!("policies of {directory} are in force: {set}"),
                    Err(problems) => {
                        format!("policies of {directory} are refused, the old ones stay: {problems}")
                    }
                },
            };
            self.world.note(EntryKind::Policy, None, "", text);
            self.controller.reconsider(self.world.now);
        }
    }

    /// Carries a plan out, if it is legal, and tells whether anything came of it.
    fn carry_out(&mut self, plan: &Plan, now: Timestamp) -> bool {
        if plan.actions.is_empty() {
            return false;
        }
        let violations = if plan.actions.iter().any(is_judged) {
            check(self.controller.snapshot(), plan, now)
        } else {
            Vec::new()
        };
        if !violations.is_empty() {
            self.refuse(plan, violations, now);
            return false;
        }
        let before = self.recorder.before(plan, &self.world);
        let outcomes = {
            let ports = Ports::new(&mut self.world);
            block_on(execute(plan, now, &ports, &ports))
        };
        self.recorder.after(plan, before, &outcomes, &mut self.world);
        self.world.settle();
        let heard = self.hear(now);
        for outcome in outcomes {
            self.controller.handle(Event::Outcome(outcome), now);
        }
        if plan.actions.iter().any(|action| !matches!(action, Action::Nominate(_))) {
            self.last_change = now;
        }
        heard
    }

    /// Does nothing of a plan that is not legal. The controller hears that its launches came to nothing, so that it
    /// expects no nodes from them.
    fn refuse(&mut self, plan: &Plan, violations: Vec<Violation>, now: Timestamp) {
        let launches = plan.actions.iter().filter_map(|action| match action {
            Action::Launch(launch) => Some(launch.claim.clone()),
            _ => None,
        });
        let rules: Vec<String> = violations.iter().map(ToString::to_string).collect();
        for claim in launches {
            let message = format!("not carried out: {}", rules.join("; "));
            self.controller.handle(Event::Outcome(Outcome::Failed { claim, message }), now);
        }
        self.recorder.violated(violations, &mut self.world);
        self.held_until = now + HOLD_BACK;
    }

    /// Tells the controller what has changed, and whether anything has.
    fn hear(&mut self, now: Timestamp) -> bool {
        let events = self.world.take_events();
        let any = !events.is_empty();
        for event in events {
            self.controller.handle(event, now);
        }
        if any {
            self.last_change = now;
        }
        any
    }

    fn finish(mut self, course: &Course, directory: String) -> Record {
        let end = if course.until_settled { self.world.now } else { course.end };
        self.world.advance(end);
        let settings = RecordSettings {
            name: course.name.clone(),
            directory,
            description: course.description.clone(),
            region: course.place.region.clone(),
            is_region_default: course.is_region_default,
            seed: course.seed,
            start: course.start,
            end,
            utc_offset_seconds: course.clock.offset_seconds(),
        };
        let blocked = self.controller.blocked().to_vec();
        self.recorder.finish(&mut self.world, settings, blocked)
    }
}

#[cfg(test)]
mod tests;
