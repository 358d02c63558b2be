//! The events of a scenario as steps: what they name is looked up, and everything that is wrong is found at once.

use std::collections::{BTreeMap, BTreeSet};

use whittle_api::manifest::File;
use whittle_api::problem::{Path, Problem, Segment};
use whittle_core::event::NoticeKind;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::time::{Duration, Timestamp};

use super::clock::{When, parse_when};
use super::compile::{Course, Found, known_zones, span};
use super::{CapacitySpec, DeleteNodeSpec, EventSpec, InterruptSpec, NoticeSpec, PriceSpec, ScaleSpec};
use crate::input::{Objects, PODS_MAX, WorkloadKey};
use crate::load::{self, Place};
use crate::problems::{Finder, one_of, path};
use crate::script::{InstanceFilter, Many, Step};
use crate::world::machines::RECLAIM_NOTICE;

/// The steps of a scenario for these objects, by time.
pub(crate) fn steps(
    course: &Course,
    objects: &Objects,
    found: &Found,
    problems: &mut Vec<Problem>,
) -> Vec<(Timestamp, Step)> {
    let mut compiler = Compiler {
        course,
        finder: Finder::after(course.source.clone(), course.misshapen.clone()),
        broken: Broken::default(),
        workloads: objects.workloads.keys().cloned().collect(),
        pools: objects.node_pools.keys().cloned().collect(),
        later: BTreeMap::new(),
    };
    for (name, file) in &found.later {
        let brought = load::objects(std::slice::from_ref(file), &course.place, problems);
        compiler.workloads.extend(brought.workloads.keys().cloned());
        compiler.pools.extend(brought.node_pools.keys().cloned());
        compiler.later.insert(name.clone(), brought);
    }
    compiler.workloads.sort();
    compiler.workloads.dedup();
    compiler.broken = Broken::of(problems, found);
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
    broken: Broken,
}

/// Objects that are there, and whose own problems are told already: an event that names one has no problem.
#[derive(Debug, Default)]
struct Broken {
    /// The names of objects with a problem, without their namespaces.
    names: BTreeSet<String>,
    /// The texts of files with a document that says neither what it is nor how it is called.
    unreadable: Vec<String>,
    /// All files with a problem.
    files: BTreeSet<String>,
}

impl Broken {
    fn of(problems: &[Problem], found: &Found) -> Self {
        let mut broken = Self::default();
        for Problem { source, .. } in problems {
            broken.files.insert(source.file.clone());
            if !source.name.is_empty() {
                let name = source.name.rsplit_once('/').map_or(source.name.as_str(), |(_, name)| name);
                broken.names.insert(name.to_owned());
            }
        }
        let is_unreadable = |file: &&File| {
            problems.iter().any(|one| one.source.file == file.name && one.source.name.is_empty())
        };
        let files = found.manifests.iter().chain(found.later.values());
        broken.unreadable = files.filter(is_unreadable).map(|file| file.text.clone()).collect();
        broken
    }

    /// Whether an object of this name may be one of them.
    fn may_be(&self, name: &str) -> bool {
        let is_said = |text: &String| {
            text.lines().any(|line| {
                let value = line.trim_start_matches([' ', '-']).strip_prefix("name:");
                value.is_some_and(|value| value.trim().trim_matches(['"', '\'']) == name)
            })
        };
        self.names.contains(name) || self.unreadable.iter().any(is_said)
    }
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
        let when = self.when(&event.at, &at.clone().with(key("at")));
        if let Some(label) = &event.label {
            steps.push((when, Step::Say(label.clone())));
        }
        let found = self.actions(event, at);
        let named: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        self.exactly_one(&named, event, at);
        steps.extend(found.into_iter().filter_map(|(_, step)| Some((when, step?))));
    }

    /// What an event does, by field; `None` for what is wrong.
    fn actions(&mut self, event: &EventSpec, at: &Path) -> Vec<(&'static str, Option<Step>)> {
        let here = |name: &str| at.clone().with(key(name));
        let mut found = Vec::new();
        if let Some(scale) = &event.scale {
            found.push(("scale", self.scale(scale, &here("scale"))));
        }
        if let Some(file) = &event.submit {
            found.push(("submit", self.objects(&file.file, &here("submit"))));
        }
        if let Some(file) = &event.apply {
            found.push(("apply", self.objects(&file.file, &here("apply"))));
        }
        if let Some(delete) = &event.delete {
            found.push(("delete", self.workload(&delete.workload, &here("delete")).map(Step::Delete)));
        }
        if let Some(interrupt) = &event.interrupt {
            found.push(("interrupt", Some(self.interrupt(interrupt, &here("interrupt")))));
        }
        if let Some(notice) = &event.notice {
            found.push(("notice", self.notice(notice, &here("notice"))));
        }
        if let Some(capacity) = &event.capacity {
            found.push(("capacity", self.capacity(capacity, &here("capacity"))));
        }
        if let Some(price) = &event.price {
            found.push(("price", self.price(price, &here("price"))));
        }
        if let Some(policies) = &event.policies {
            found.push(("policies", Some(Step::Policies(policies.directory.clone()))));
        }
        if let Some(delete) = &event.delete_node {
            found.push(("deleteNode", Some(self.delete_node(delete, &here("deleteNode")))));
        }
        found
    }

    fn scale(&mut self, scale: &ScaleSpec, at: &Path) -> Option<Step> {
        let over = span(scale.over.as_ref(), &at.clone().with(key("over")), &mut self.finder);
        let over = over.unwrap_or(Duration::ZERO);
        if scale.replicas > PODS_MAX {
            let expected = format!("at most {PODS_MAX}");
            self.finder.add(&at.clone().with(key("replicas")), scale.replicas.to_string(), expected);
        }
        self.workload(&scale.workload, at).map(|workload| Step::Ramp { workload, to: scale.replicas, over })
    }

    fn interrupt(&mut self, interrupt: &InterruptSpec, at: &Path) -> Step {
        let spot = CapacityType::Spot.label().to_owned();
        let spec = FilterSpec {
            instance_type: interrupt.instance_type.as_ref(),
            family: interrupt.family.as_ref(),
            zone: interrupt.zone.as_ref(),
            capacity_type: Some(&spot),
            node_pool: interrupt.node_pool.as_ref(),
        };
        let filter = self.filter(&spec, at);
        Step::Interrupt { filter, many: self.many(interrupt.count, interrupt.percent, at) }
    }

    fn notice(&mut self, notice: &NoticeSpec, at: &Path) -> Option<Step> {
        let spec = FilterSpec {
            instance_type: notice.instance_type.as_ref(),
            family: notice.family.as_ref(),
            zone: notice.zone.as_ref(),
            capacity_type: notice.capacity_type.as_ref(),
            node_pool: notice.node_pool.as_ref(),
        };
        let filter = self.filter(&spec, at);
        let ahead = span(notice.ahead.as_ref(), &at.clone().with(key("in")), &mut self.finder);
        let (ahead, many) = (ahead.unwrap_or(RECLAIM_NOTICE), self.many(notice.count, notice.percent, at));
        let kind = match notice.kind.as_str() {
            "rebalance" => NoticeKind::Rebalance,
            "maintenance" => NoticeKind::Maintenance,
            "stateChange" => NoticeKind::StateChange,
            other => {
                let expected = "rebalance, maintenance or stateChange";
                self.finder.add(&at.clone().with(key("kind")), other.to_owned(), expected);
                return None;
            }
        };
        Some(Step::Notice { kind, ahead, filter, many })
    }

    fn capacity(&mut self, capacity: &CapacitySpec, at: &Path) -> Option<Step> {
        let spec = FilterSpec {
            instance_type: capacity.instance_type.as_ref(),
            family: capacity.family.as_ref(),
            zone: capacity.zone.as_ref(),
            capacity_type: capacity.capacity_type.as_ref(),
            node_pool: None,
        };
        let filter = self.filter(&spec, at);
        if capacity.available {
            let expected = "false: capacity is there unless an event says otherwise";
            self.finder.add(&at.clone().with(key("available")), "true", expected);
        }
        let span = span(Some(&capacity.span), &at.clone().with(key("for")), &mut self.finder);
        span.map(|span| Step::Shortage { filter, span })
    }

    fn price(&mut self, price: &PriceSpec, at: &Path) -> Option<Step> {
        let spec = FilterSpec {
            instance_type: price.instance_type.as_ref(),
            family: price.family.as_ref(),
            zone: price.zone.as_ref(),
            capacity_type: price.capacity_type.as_ref(),
            node_pool: None,
        };
        let filter = self.filter(&spec, at);
        let factor = self.factor(price.factor, &at.clone().with(key("factor")));
        factor.map(|parts_per_million| Step::Price { filter, parts_per_million })
    }

    fn delete_node(&mut self, delete: &DeleteNodeSpec, at: &Path) -> Step {
        let (zone, node_pool) = (delete.zone.as_ref(), delete.node_pool.as_ref());
        let filter = self.filter(&FilterSpec { zone, node_pool, ..FilterSpec::default() }, at);
        Step::DeleteNodes { filter, many: Many::Count(delete.count.unwrap_or(1)) }
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
        let is_in_doubt = match parse_when(text) {
            Some(When::TimeOfDay(_)) => self.course.doubts.end || self.course.doubts.clock,
            Some(When::After(_)) | None => self.course.doubts.end,
        };
        if when > *end && !is_in_doubt {
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
            if self.broken.may_be(last) {
                return None;
            }
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
        if self.broken.files.contains(file) {
            return None;
        }
        let found = format!("{file:?}, which is not there");
        self.finder.add(&at.clone().with(key("file")), found, "a manifest file in the scenario's directory");
        None
    }

    fn filter(&mut self, spec: &FilterSpec<'_>, at: &Path) -> InstanceFilter {
        let Place { catalog, region, .. } = &self.course.place;
        let field = |name: &str| at.clone().with(key(name));
        let known = known_zones(catalog, region);
        let judged = spec.zone.filter(|_| !self.course.doubts.region);
        if let Some(zone) = judged.filter(|zone| !known.contains(&zone.as_str())) {
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
        let judged = spec.node_pool.filter(|pool| !self.broken.may_be(pool));
        if let Some(pool) = judged.filter(|pool| !self.pools.contains(pool)) {
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
