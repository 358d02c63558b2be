//! From a scenario file to steps: everything that can be wrong with it is found here, all at once.

use std::collections::BTreeMap;

use whittle_api::duration;
use whittle_api::manifest::File;
use whittle_api::problem::{Path, Problem, Segment, Source};
use whittle_catalog::catalog::Catalog;
use whittle_catalog::price_book::PriceBook;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::time::{Duration, Timestamp};

use super::clock::{Clock, When, parse_timestamp, parse_when};
use super::{API_VERSION, EventSpec, KIND, Scenario, ScenarioSpec, TimingsSpec, schema, shape};
use crate::input::{Objects, START_DEFAULT, Timings, WorkloadKey};
use crate::load::{self, Place};
use crate::problems::{Finder, one_of, path};
use crate::script::{InstanceFilter, Many, Step};

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
    pub(crate) draws_reclaims: bool,
    pub(crate) sample_every: Duration,
    pub(crate) place: Place,
    pub(crate) spec: ScenarioSpec,
    pub(crate) source: Source,
}

/// The scenario among the files of a directory, and the other files.
pub(crate) struct Found {
    pub(crate) scenario: Option<(Scenario, Source)>,
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
        if let Some((_, first)) = &found.scenario {
            finder.add(
                &Path::default(),
                format!("a second scenario, the first is {}", first.file),
                "at most one",
            );
        }
        let read = parse(&file, &mut finder);
        problems.append(&mut finder.found);
        if let (Some(scenario), None) = (read, &found.scenario) {
            found.scenario = Some((scenario, source));
        }
    }
    let Some((scenario, _)) = &found.scenario else { return found };
    let events = scenario.spec.events.iter();
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

fn parse(file: &File, finder: &mut Finder) -> Option<Scenario> {
    let value: serde_json::Value = match serde_saphyr::from_str(&file.text) {
        Ok(value) => value,
        Err(error) => {
            finder.add(&Path::default(), error.to_string(), "a document in YAML or JSON");
            return None;
        }
    };
    let schema = schema().to_value();
    shape::check(&value, &schema, &schema, &Path::default(), finder);
    for (field, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        let found = value.get(field).and_then(serde_json::Value::as_str);
        if let Some(found) = found.filter(|found| *found != wanted) {
            finder.add(&path(&[field]), format!("{found:?}"), wanted);
        }
    }
    if !finder.found.is_empty() {
        return None;
    }
    match serde_json::from_value(value) {
        Ok(scenario) => Some(scenario),
        Err(error) => {
            finder.add(&Path::default(), error.to_string(), "what the schema of scenarios says");
            None
        }
    }
}

/// Reads what a scenario says about the world as a whole. `prices` gives the text of a file beside it.
pub(crate) fn course(
    scenario: Option<(Scenario, Source)>,
    prices: impl Fn(&str) -> std::io::Result<String>,
    problems: &mut Vec<Problem>,
) -> Course {
    let (scenario, source) = scenario.unwrap_or_default();
    let spec = scenario.spec;
    let mut finder = Finder::new(source.clone());
    let find = &mut finder;
    let (start, written_by) = match &spec.start {
        None => (START_DEFAULT, Clock::default()),
        Some(text) => parse_timestamp(text).unwrap_or_else(|| {
            find.add(
                &path(&["spec", "start"]),
                format!("{text:?}"),
                "a time such as 2026-03-14T06:00:00+09:00",
            );
            (START_DEFAULT, Clock::default())
        }),
    };
    let clock = match &spec.utc_offset {
        None => written_by,
        Some(text) => Clock::parse(text).unwrap_or_else(|| {
            find.add(&path(&["spec", "utcOffset"]), format!("{text:?}"), "an offset such as +09:00 or Z");
            written_by
        }),
    };
    let length = span(spec.duration.as_ref(), &path(&["spec", "duration"]), find);
    let sample_every = span(spec.sample_every.as_ref(), &path(&["spec", "sampleEvery"]), find);
    let usual = Duration::from_millis(length.unwrap_or(SETTLE_MAX).millis() / SAMPLES).max(SAMPLE_EVERY_MIN);
    let timings = timings(spec.timings.as_ref(), find);
    let mut catalog = Catalog::embedded();
    if let Some(file) = &spec.prices {
        let at = path(&["spec", "prices"]);
        match prices(file).map(|text| PriceBook::parse(file, &text, &catalog)) {
            Ok(Ok(book)) => catalog = catalog.with_prices(book),
            Ok(Err(errors)) => {
                for error in errors.errors {
                    find.add(&at, format!("{file}, {}: {}", error.place, error.found), error.expected);
                }
            }
            Err(error) => find.add(&at, format!("{file}: {error}"), "a file beside the scenario"),
        }
    }
    let region = region(&spec, &catalog, find);
    let zones = zones(&spec, &region, &catalog, find);
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
        place: Place { catalog, region, zones, job_run: timings.job_run, start },
        timings,
        spec,
        source,
    }
}

fn region(spec: &ScenarioSpec, catalog: &Catalog, finder: &mut Finder) -> String {
    let region = spec.region.clone().unwrap_or_else(|| REGION_DEFAULT.to_owned());
    if catalog.zones(&region).is_err() {
        finder.add(&path(&["spec", "region"]), format!("{region:?}"), one_of(catalog.regions(), &region));
        return REGION_DEFAULT.to_owned();
    }
    region
}

fn zones(spec: &ScenarioSpec, region: &str, catalog: &Catalog, finder: &mut Finder) -> Option<Vec<String>> {
    let zones = spec.zones.clone()?;
    let known = known_zones(catalog, region);
    for (position, zone) in zones.iter().enumerate().filter(|(_, zone)| !known.contains(&zone.as_str())) {
        let at = path(&["spec", "zones"]).with(Segment::Index(position));
        finder.add(&at, format!("{zone:?}"), one_of(known.iter().copied(), zone));
    }
    Some(zones)
}

fn known_zones(catalog: &Catalog, region: &str) -> Vec<&'static str> {
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

fn span(text: Option<&String>, at: &Path, finder: &mut Finder) -> Option<Duration> {
    let text = text?;
    let parsed = duration::parse(text);
    if parsed.is_none() {
        finder.add(at, format!("{text:?}"), "a span of time such as 30s, 20m or 1h30m");
    }
    parsed
}

/// The steps of a scenario for these objects, by time.
pub(crate) fn steps(
    course: &Course,
    objects: &Objects,
    later: &BTreeMap<String, File>,
    problems: &mut Vec<Problem>,
) -> Vec<(Timestamp, Step)> {
    let mut compiler = Compiler {
        course,
        finder: Finder::new(course.source.clone()),
        workloads: objects.workloads.keys().cloned().collect(),
        pools: objects.node_pools.keys().cloned().collect(),
        later: BTreeMap::new(),
    };
    for (name, file) in later {
        let brought = load::objects(std::slice::from_ref(file), &course.place, problems);
        compiler.workloads.extend(brought.workloads.keys().cloned());
        compiler.pools.extend(brought.node_pools.keys().cloned());
        compiler.later.insert(name.clone(), brought);
    }
    compiler.workloads.sort();
    compiler.workloads.dedup();
    let mut steps = Vec::new();
    for (position, event) in course.spec.events.iter().enumerate() {
        let at = path(&["spec", "events"]).with(Segment::Index(position));
        compiler.event(event, &at, &mut steps);
    }
    problems.append(&mut compiler.finder.found);
    steps
}

struct Compiler<'a> {
    course: &'a Course,
    finder: Finder,
    workloads: Vec<WorkloadKey>,
    pools: Vec<String>,
    later: BTreeMap<String, Objects>,
}

/// Which instances an event is about, as the file says it.
#[derive(Default)]
struct FilterSpec<'a> {
    instance_type: Option<&'a String>,
    family: Option<&'a String>,
    zone: Option<&'a String>,
    capacity_type: Option<&'a String>,
    node_pool: Option<&'a String>,
}

impl Compiler<'_> {
    fn event(&mut self, event: &EventSpec, at: &Path, steps: &mut Vec<(Timestamp, Step)>) {
        let when = self.when(&event.at, &at.clone().with(Segment::Key("at".to_owned())));
        if let Some(label) = &event.label {
            steps.push((when, Step::Say(label.clone())));
        }
        let before = steps.len();
        let mut named = Vec::new();
        let mut add = |name: &'static str, step: Option<Step>| {
            named.push(name);
            steps.extend(step.map(|step| (when, step)));
        };
        let here = |name: &str| at.clone().with(Segment::Key(name.to_owned()));
        if let Some(scale) = &event.scale {
            let at = here("scale");
            let over = span(scale.over.as_ref(), &at.clone().with(key("over")), &mut self.finder);
            let workload = self.workload(&scale.workload, &at);
            let over = over.unwrap_or(Duration::ZERO);
            add("scale", workload.map(|workload| Step::Ramp { workload, to: scale.replicas, over }));
        }
        if let Some(file) = &event.submit {
            add("submit", self.objects(&file.file, &here("submit")));
        }
        if let Some(file) = &event.apply {
            add("apply", self.objects(&file.file, &here("apply")));
        }
        if let Some(delete) = &event.delete {
            add("delete", self.workload(&delete.workload, &here("delete")).map(Step::Delete));
        }
        if let Some(interrupt) = &event.interrupt {
            let at = here("interrupt");
            let spot = CapacityType::Spot.label().to_owned();
            let filter = self.filter(
                &FilterSpec {
                    instance_type: interrupt.instance_type.as_ref(),
                    family: interrupt.family.as_ref(),
                    zone: interrupt.zone.as_ref(),
                    capacity_type: Some(&spot),
                    node_pool: interrupt.node_pool.as_ref(),
                },
                &at,
            );
            let many = self.many(interrupt.count, interrupt.percent, &at);
            add("interrupt", Some(Step::Interrupt { filter, many }));
        }
        if let Some(capacity) = &event.capacity {
            let at = here("capacity");
            let filter = self.filter(
                &FilterSpec {
                    instance_type: capacity.instance_type.as_ref(),
                    family: capacity.family.as_ref(),
                    zone: capacity.zone.as_ref(),
                    capacity_type: capacity.capacity_type.as_ref(),
                    node_pool: None,
                },
                &at,
            );
            if capacity.available {
                let expected = "false: capacity is there unless an event says otherwise";
                self.finder.add(&at.clone().with(key("available")), "true", expected);
            }
            let span = span(Some(&capacity.span), &at.with(key("for")), &mut self.finder);
            add("capacity", span.map(|span| Step::Shortage { filter, span }));
        }
        if let Some(price) = &event.price {
            let at = here("price");
            let filter = self.filter(
                &FilterSpec {
                    instance_type: price.instance_type.as_ref(),
                    family: price.family.as_ref(),
                    zone: price.zone.as_ref(),
                    capacity_type: price.capacity_type.as_ref(),
                    node_pool: None,
                },
                &at,
            );
            let factor = self.factor(price.factor, &at.with(key("factor")));
            add("price", factor.map(|parts_per_million| Step::Price { filter, parts_per_million }));
        }
        if let Some(delete) = &event.delete_node {
            let at = here("deleteNode");
            let spec = FilterSpec {
                zone: delete.zone.as_ref(),
                node_pool: delete.node_pool.as_ref(),
                ..FilterSpec::default()
            };
            let filter = self.filter(&spec, &at);
            add(
                "deleteNode",
                Some(Step::DeleteNodes { filter, many: Many::Count(delete.count.unwrap_or(1)) }),
            );
        }
        self.exactly_one(&named, event, at);
        debug_assert!(steps.len() <= before + named.len(), "an event has a step per field at most");
    }

    fn exactly_one(&mut self, named: &[&str], event: &EventSpec, at: &Path) {
        match named {
            [] if event.label.is_none() => {
                self.finder.add(at, "neither a label nor anything that happens", "one of the two");
            }
            [] | [_] => {}
            several => {
                let found = several.join(" and ");
                self.finder.add(at, found, "one thing that happens; write a second event with the same time");
            }
        }
    }

    fn when(&mut self, text: &str, at: &Path) -> Timestamp {
        let Course { start, end, clock, .. } = self.course;
        let when = match parse_when(text) {
            Some(When::After(span)) => *start + span,
            Some(When::TimeOfDay(second)) => clock.first(*start, second),
            None => {
                let expected = "a time of day such as \"09:30\", or a span after the start such as +1h30m";
                self.finder.add(at, format!("{text:?}"), expected);
                return *start;
            }
        };
        if when > *end {
            let expected = format!("a time before the end, which is {} after the start", end.since(*start));
            self.finder.add(at, format!("{text:?}, {} after the start", when.since(*start)), expected);
        }
        when
    }

    fn workload(&mut self, text: &str, at: &Path) -> Option<WorkloadKey> {
        let parts: Vec<&str> = text.split('/').collect();
        let fits = |key: &&WorkloadKey| match parts.as_slice() {
            [name] => key.name == *name,
            [first, name] => {
                key.name == *name && (key.kind.eq_ignore_ascii_case(first) || key.namespace == *first)
            }
            [kind, namespace, name] => {
                key.kind.eq_ignore_ascii_case(kind) && key.namespace == *namespace && key.name == *name
            }
            _ => false,
        };
        let found: Vec<&WorkloadKey> = self.workloads.iter().filter(fits).collect();
        if let [one] = found.as_slice() {
            return Some((*one).clone());
        }
        let at = at.clone().with(key("workload"));
        let full = |key: &WorkloadKey| format!("{}/{}/{}", key.kind.to_lowercase(), key.namespace, key.name);
        let known: Vec<String> = if found.is_empty() {
            let last = parts.last().copied().unwrap_or_default();
            let names = self.workloads.iter().map(|key| key.name.as_str());
            self.finder.add(&at, format!("{text:?}"), one_of(names, last));
            return None;
        } else {
            found.into_iter().map(full).collect()
        };
        let found = format!("{text:?}, which could be any of {}", known.len());
        self.finder.add(&at, found, one_of(known.iter().map(String::as_str), text));
        None
    }

    fn objects(&mut self, file: &str, at: &Path) -> Option<Step> {
        if let Some(objects) = self.later.get(file) {
            return Some(Step::Put(Box::new(objects.clone())));
        }
        let found = format!("{file:?}, which is not there");
        self.finder.add(&at.clone().with(key("file")), found, "a manifest file in the scenario's directory");
        None
    }

    fn filter(&mut self, spec: &FilterSpec<'_>, at: &Path) -> InstanceFilter {
        let Place { catalog, region, .. } = &self.course.place;
        let field = |name: &str| at.clone().with(key(name));
        let known = known_zones(catalog, region);
        if let Some(zone) = spec.zone.filter(|zone| !known.contains(&zone.as_str())) {
            self.finder.add(&field("zone"), format!("{zone:?}"), one_of(known.iter().copied(), zone));
        }
        if let Some(name) = spec.instance_type.filter(|name| catalog.specification(name).is_none()) {
            let names = catalog.specifications().iter().map(|specification| specification.name);
            self.finder.add(&field("instanceType"), format!("{name:?}"), one_of(names, name));
        }
        let families = || catalog.specifications().iter().map(|specification| specification.family());
        if let Some(family) = spec.family.filter(|family| !families().any(|known| known == *family)) {
            self.finder.add(&field("family"), format!("{family:?}"), one_of(families(), family));
        }
        if let Some(pool) = spec.node_pool.filter(|pool| !self.pools.contains(pool)) {
            let names = self.pools.iter().map(String::as_str);
            self.finder.add(&field("nodePool"), format!("{pool:?}"), one_of(names, pool));
        }
        let capacity_type = spec.capacity_type.and_then(|label| {
            let found = CapacityType::from_label(label);
            if found.is_none() {
                let names = CapacityType::ALL.map(CapacityType::label);
                self.finder.add(&field("capacityType"), format!("{label:?}"), one_of(names, label));
            }
            found
        });
        InstanceFilter {
            instance_type: spec.instance_type.cloned(),
            family: spec.family.cloned(),
            zone: spec.zone.cloned(),
            capacity_type,
            node_pool: spec.node_pool.cloned(),
        }
    }

    fn many(&mut self, count: Option<u64>, percent: Option<u64>, at: &Path) -> Many {
        match (count, percent) {
            (None, None) => Many::Percent(100),
            (Some(count), None) => Many::Count(count),
            (None, Some(percent)) => {
                if percent > 100 {
                    self.finder.add(&at.clone().with(key("percent")), percent.to_string(), "at most 100");
                }
                Many::Percent(percent.min(100))
            }
            (Some(count), Some(_)) => {
                self.finder.add(at, "count and percent", "only one of the two");
                Many::Count(count)
            }
        }
    }

    /// A factor in parts per million; it comes as a decimal number and is one again when it is rounded.
    fn factor(&mut self, factor: f64, at: &Path) -> Option<u64> {
        const FACTOR_MAX: f64 = 1_000.0;
        if !(0.0..=FACTOR_MAX).contains(&factor) {
            self.finder.add(at, factor.to_string(), "a number from 0 to 1000");
            return None;
        }
        let millionths = format!("{:.0}", factor * 1_000_000.0);
        millionths.parse().ok()
    }
}

fn key(name: &str) -> Segment {
    Segment::Key(name.to_owned())
}
