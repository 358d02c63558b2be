//! Finds the scenario among files and reads what it says about the world as a whole. Its events are in `events`.

use std::collections::BTreeMap;
use std::path::{Component, Path as FilePath};

use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use whittle_api::convert::pod::placement::default_spread;
use whittle_api::duration;
use whittle_api::manifest::File;
use whittle_api::problem::{At, Defect, Path, Problem, Segment, Source};
use whittle_catalog::catalog::Catalog;
use whittle_catalog::price_book::PriceBook;
use whittle_core::model::pod::TopologySpread;
use whittle_core::model::time::{Duration, Timestamp};

use super::clock::{Clock, parse_timestamp};
use super::{
    API_VERSION, DefaultSpreadSpec, KIND, Scenario, ScenarioSpec, TimingsSpec, reservations, schema, shape,
};
use crate::input::{START_DEFAULT, Timings};
use crate::load::Place;
use crate::problems::{Finder, one_of, path};

/// A world that goes on for longer says nothing that a year does not, and its events do not end.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
/// The region when nobody says.
const REGION_DEFAULT: &str = "us-east-1";
/// The curves of a record have at most about so many points: one a minute for a day.
const SAMPLES: u64 = 1_440;
/// Samples are at least this far apart: the loop itself thinks in rounds of ten seconds.
const SAMPLE_EVERY_MIN: Duration = Duration::from_secs(10);
/// Without a duration the world stops here at the latest: whoever waits for a settled cluster does not wait longer.
const SETTLE_MAX: Duration = Duration::from_secs(6 * 3_600);

/// How a run is set up, and the files that the scenario brings in later.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) seed: u64,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// Whether to stop before the end when nothing happens any more.
    pub(crate) until_settled: bool,
    pub(crate) clock: Clock,
    pub(crate) timings: Timings,
    /// How pods are spread that say nothing about it.
    pub(crate) default_spread: Vec<TopologySpread>,
    pub(crate) draws_reclaims: bool,
    pub(crate) sample_every: Duration,
    /// Whether nobody has said which region it is.
    pub(crate) is_region_default: bool,
    pub(crate) place: Place,
    pub(crate) spec: ScenarioSpec,
    pub(crate) source: Source,
    /// Places of the file that are of the wrong shape, and told.
    pub(crate) misshapen: Vec<Path>,
    pub(crate) doubts: Doubts,
}

/// A scenario as its file says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub(crate) scenario: Scenario,
    pub(crate) source: Source,
    misshapen: Vec<Path>,
    doubts: Doubts,
}

/// What was said in a way that nobody understands: nothing is judged by it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Doubts {
    pub(crate) region: bool,
    pub(crate) end: bool,
    pub(crate) clock: bool,
}

/// The scenario among the files of a directory, and the other files.
pub(crate) struct Found {
    pub(crate) scenario: Option<Written>,
    pub(crate) manifests: Vec<File>,
    /// Files that the scenario brings in later, by name.
    pub(crate) later: BTreeMap<String, File>,
}

/// Finds the scenario among files.
pub(crate) fn find(files: Vec<File>, problems: &mut Vec<Problem>) -> Found {
    let (scenarios, manifests): (Vec<File>, Vec<File>) = files.into_iter().partition(is_scenario);
    let mut found = Found { scenario: None, manifests, later: BTreeMap::new() };
    for file in scenarios {
        let source = Source { file: file.name.clone(), kind: KIND.to_owned(), ..Source::default() };
        let mut finder = Finder::new(source.clone());
        if let Some(first) = &found.scenario {
            let second = format!("a second scenario, the first is {}", first.source.file);
            finder.add(&Path::default(), second, "at most one");
        }
        let read = parse(&file, source, &mut finder);
        problems.append(&mut finder.found);
        if found.scenario.is_none() {
            found.scenario = read;
        }
    }
    let Some(written) = &found.scenario else { return found };
    let events = written.scenario.spec.events.iter();
    let named = events.flat_map(|event| [&event.submit, &event.apply]).flatten();
    let named: Vec<String> = named.map(|file| file.file.clone()).collect();
    let (later, manifests) = found.manifests.into_iter().partition(|file| named.contains(&file.name));
    found.manifests = manifests;
    found.later = Vec::into_iter(later).map(|file| (file.name.clone(), file)).collect();
    found
}

/// A file is a scenario when any line of it says so at the outermost level, or its one object in JSON does.
fn is_scenario(file: &File) -> bool {
    if file.text.trim_start().starts_with('{') {
        let object: Option<serde_json::Value> = serde_json::from_str(&file.text).ok();
        return object.is_some_and(|object| object.get("kind").is_some_and(|kind| kind == KIND));
    }
    let says = |line: &str| {
        let value = line.strip_prefix("kind:").map(|value| value.trim().trim_matches(['"', '\'']));
        value == Some(KIND)
    };
    file.text.lines().any(says)
}

fn parse(file: &File, source: Source, finder: &mut Finder) -> Option<Written> {
    let value: serde_json::Value = match serde_saphyr::from_str(&file.text) {
        Ok(value) => value,
        Err(error) => {
            // The place is told as of every other problem, and a piece of the file with it would be a second one.
            let line = error.location().and_then(|location| usize::try_from(location.line()).ok());
            finder.add(&Path::default(), error.without_snippet().to_string(), "a document in YAML or JSON");
            finder.found.iter_mut().for_each(|problem| problem.source.line = line.unwrap_or(0));
            return None;
        }
    };
    let schema = schema().to_value();
    shape::check(&value, &schema, &schema, &Path::default(), finder);
    let misshapen: Vec<Path> = finder.found.iter().map(|problem| problem.defect.path.clone()).collect();
    for (field, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        let found = value.get(field).and_then(serde_json::Value::as_str);
        if let Some(found) = found.filter(|found| *found != wanted) {
            finder.add(&path(&[field]), format!("{found:?}"), wanted);
        }
    }
    match serde_json::from_value(shape::mended(&value, &schema, &schema)) {
        Ok(scenario) => {
            let doubts = Doubts::of(&misshapen, &schema);
            Some(Written { scenario, source, misshapen, doubts })
        }
        Err(error) => {
            finder.add(&Path::default(), error.to_string(), "what the schema of scenarios says");
            None
        }
    }
}

impl Doubts {
    /// What is in doubt after the shape of a scenario has been looked at: a field of `spec` that is wrong, and, when
    /// there is a field that nobody knows, all that it may have been meant to be.
    fn of(misshapen: &[Path], schema: &serde_json::Value) -> Self {
        let known = schema.pointer("/$defs/ScenarioSpec/properties");
        let is_known = |name: &str| known.is_some_and(|known| known.get(name).is_some());
        let is_in_doubt = |field: &str| {
            misshapen.iter().any(|path| match path.0.as_slice() {
                [Segment::Key(spec), Segment::Key(name)] if spec == "spec" => {
                    name == field || !is_known(name)
                }
                _ => false,
            })
        };
        Self {
            region: is_in_doubt("region"),
            end: is_in_doubt("duration"),
            clock: is_in_doubt("start") || is_in_doubt("utcOffset"),
        }
    }
}

/// Reads what a scenario says about the world as a whole. `region` is used in place of the scenario's; `prices` gives
/// the text of a file beside it.
pub(crate) fn course(
    written: Option<Written>,
    region: Option<&str>,
    prices: impl Fn(&str) -> std::io::Result<String>,
    problems: &mut Vec<Problem>,
) -> Course {
    let Written { scenario, source, misshapen, mut doubts } = written.unwrap_or_default();
    let spec = scenario.spec;
    let mut finder = Finder::after(source.clone(), misshapen.clone());
    let find = &mut finder;
    let (start, clock) = beginning(&spec, &mut doubts, find);
    let length = length(&spec, find);
    // What is said about the length and stays without effect is a mistake that is told already.
    doubts.end = length.is_none() && (doubts.end || spec.duration.is_some());
    let sample_every = span(spec.sample_every.as_ref(), &path(&["spec", "sampleEvery"]), find);
    let usual = Duration::from_millis(length.unwrap_or(SETTLE_MAX).millis() / SAMPLES).max(SAMPLE_EVERY_MIN);
    let timings = timings(spec.timings.as_ref(), find);
    let default_spread = spread(&spec.default_spread, find);
    let reserved = reservations::counts(&spec.capacity_reservations, find);
    let counts_siblings = !default_spread.is_empty();
    let catalog = catalog(&spec, prices, find);
    let said = region.or(spec.region.as_deref());
    let known = said.unwrap_or(REGION_DEFAULT);
    doubts.region &= said.is_none();
    if catalog.zones(known).is_err() {
        doubts.region = true;
        match region {
            Some(region) => problems.push(unknown_region(region, &catalog)),
            None => {
                find.add(&path(&["spec", "region"]), format!("{known:?}"), one_of(catalog.regions(), known))
            }
        }
    }
    let region = if doubts.region { REGION_DEFAULT } else { known }.to_owned();
    if !doubts.region {
        judge_zones(&spec, &region, &catalog, find);
    }
    problems.append(&mut finder.found);
    Course {
        name: scenario.metadata.name,
        description: spec.description.clone(),
        seed: spec.seed.unwrap_or(0),
        start,
        end: start + length.unwrap_or(SETTLE_MAX),
        until_settled: length.is_none(),
        clock,
        draws_reclaims: spec.reclaims.unwrap_or(false),
        sample_every: sample_every.unwrap_or(usual),
        is_region_default: said.is_none(),
        place: Place {
            catalog,
            region,
            zones: spec.zones.clone(),
            reserved,
            job_run: timings.job_run,
            start,
            counts_siblings,
        },
        default_spread,
        timings,
        spec,
        source,
        misshapen,
        doubts,
    }
}

/// How pods are spread that say nothing about it.
fn spread(specs: &[DefaultSpreadSpec], finder: &mut Finder) -> Vec<TopologySpread> {
    let constraints: Vec<_> = specs
        .iter()
        .map(|spec| TopologySpreadConstraint {
            max_skew: spec.max_skew,
            topology_key: spec.topology_key.clone(),
            when_unsatisfiable: spec.when_unsatisfiable.clone(),
            ..TopologySpreadConstraint::default()
        })
        .collect();
    let root = At::Root;
    let at = root.key("spec");
    default_spread(&constraints, &at.key("defaultSpread")).unwrap_or_else(|defects| {
        defects.iter().for_each(|defect| finder.add(&defect.path, &defect.found, &defect.expected));
        Vec::new()
    })
}

/// How long the world goes on, if the scenario says it.
fn length(spec: &ScenarioSpec, finder: &mut Finder) -> Option<Duration> {
    let at = path(&["spec", "duration"]);
    let length = span(spec.duration.as_ref(), &at, finder)?;
    if length <= DURATION_MAX {
        return Some(length);
    }
    finder.add(&at, format!("{:?}", length.to_string()), format!("at most {DURATION_MAX}, a year"));
    None
}

/// When the world begins, and by which clock its times are read.
fn beginning(spec: &ScenarioSpec, doubts: &mut Doubts, finder: &mut Finder) -> (Timestamp, Clock) {
    let (mut start, mut clock) = (START_DEFAULT, Clock::default());
    if let Some(text) = &spec.start {
        match parse_timestamp(text) {
            Some(said) => (start, clock) = said,
            None => {
                doubts.clock = true;
                let expected = "a time such as 2026-03-14T06:00:00+09:00";
                finder.add(&path(&["spec", "start"]), format!("{text:?}"), expected);
            }
        }
    }
    if let Some(text) = &spec.utc_offset {
        match Clock::parse(text) {
            Some(said) => clock = said,
            None => {
                doubts.clock = true;
                let expected = "an offset such as +09:00 or Z";
                finder.add(&path(&["spec", "utcOffset"]), format!("{text:?}"), expected);
            }
        }
    }
    (start, clock)
}

/// The catalogue, with the scenario's own prices.
fn catalog(
    spec: &ScenarioSpec,
    prices: impl Fn(&str) -> std::io::Result<String>,
    finder: &mut Finder,
) -> Catalog {
    let catalog = Catalog::embedded();
    let Some(file) = &spec.prices else { return catalog };
    let at = path(&["spec", "prices"]);
    // What is elsewhere is not the scenario's to show, and messages quote what they find.
    if !FilePath::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        finder.add(&at, format!("{file:?}"), "a file beside the scenario or in a directory below it");
        return catalog;
    }
    match prices(file).map(|text| PriceBook::parse(file, &text, &catalog)) {
        Ok(Ok(book)) => return catalog.with_prices(book),
        Ok(Err(errors)) => {
            for error in errors.errors {
                finder.add(&at, format!("{file}, {}: {}", error.place, error.found), error.expected);
            }
        }
        Err(error) => finder.add(&at, format!("{file}: {error}"), "a file beside the scenario"),
    }
    catalog
}

/// A region that was asked for beside the files, and that there is not.
fn unknown_region(region: &str, catalog: &Catalog) -> Problem {
    let regions: Vec<&str> = catalog.regions().collect();
    Problem {
        source: Source { file: "the region that was asked for".to_owned(), ..Source::default() },
        defect: Defect {
            path: Path::default(),
            found: format!("{region:?}"),
            expected: format!("one of {}", regions.join(", ")),
        },
    }
}

fn judge_zones(spec: &ScenarioSpec, region: &str, catalog: &Catalog, finder: &mut Finder) {
    let known = known_zones(catalog, region);
    let zones = spec.zones.iter().flatten().enumerate();
    for (position, zone) in zones.filter(|(_, zone)| !known.contains(&zone.as_str())) {
        let at = path(&["spec", "zones"]).with(Segment::Index(position));
        finder.add(&at, format!("{zone:?}"), one_of(known.iter().copied(), zone));
    }
}

pub(super) fn known_zones(catalog: &Catalog, region: &str) -> Vec<&'static str> {
    catalog.zones(region).unwrap_or_default().iter().map(|zone| zone.name).collect()
}

fn timings(spec: Option<&TimingsSpec>, finder: &mut Finder) -> Timings {
    let mut timings = Timings::default();
    let Some(spec) = spec else { return timings };
    let fields = [
        ("join", &spec.join, &mut timings.join),
        ("ready", &spec.ready, &mut timings.ready),
        ("startupTaints", &spec.startup_taints, &mut timings.startup_taints),
        ("terminate", &spec.terminate, &mut timings.terminate),
        ("podStart", &spec.pod_start, &mut timings.pod_start),
        ("podStop", &spec.pod_stop, &mut timings.pod_stop_max),
        ("jobRun", &spec.job_run, &mut timings.job_run),
    ];
    for (name, text, target) in fields {
        if let Some(said) = span(text.as_ref(), &path(&["spec", "timings", name]), finder) {
            *target = said;
        }
    }
    if let Some(percent) = spec.jitter_percent {
        if percent > 100 {
            finder.add(&path(&["spec", "timings", "jitterPercent"]), percent.to_string(), "at most 100");
        }
        timings.jitter_percent = percent.min(100);
    }
    timings
}

/// The span of time that a text says, if there is one.
pub(super) fn span(text: Option<&String>, at: &Path, finder: &mut Finder) -> Option<Duration> {
    let text = text?;
    let parsed = duration::parse(text);
    if parsed.is_none() {
        finder.add(at, format!("{text:?}"), "a span of time such as 30s, 20m or 1h30m");
    }
    parsed
}
