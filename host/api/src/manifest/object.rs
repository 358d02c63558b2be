//! One document: an object or a list of objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kinds::{Kind, Reading, reading};
use super::schema::SCHEMAS;
use super::structure::{Walk, apply_defaults, mend, shown};
use super::yaml::{Document, Lines};
use super::{Loaded, Manifests, Skipped, rules};
use crate::names;
use crate::problem::{At, Defect, Path, Problem, Segment, Source};

/// Objects that were read, by kind, namespace and name, with where the first of them is.
pub(super) type Seen = BTreeMap<(&'static str, String), String>;

/// Where an object is.
struct Place {
    source: Source,
    within: Path,
    lines: Arc<Lines>,
}

/// Reads a document into `manifests`.
pub(super) fn read(document: Document, source: &Source, seen: &mut Seen, manifests: &mut Manifests) {
    let Document { value, lines, duplicates } = document;
    let lines = Arc::new(lines);
    let object = Source { kind: text(&value, "kind"), name: full_name(&value), ..source.clone() };
    for (path, line) in duplicates {
        let found = format!("the key a second time, first on line {}", lines.line_of(&path));
        let defect = Defect { path, found, expected: "each key once".to_owned() };
        manifests.problems.push(Problem { source: Source { line, ..object.clone() }, defect });
    }
    let api_version = text(&value, "apiVersion");
    match (list_of(&value), value) {
        (Some(kind), Value::Object(mut list)) => {
            let Some(Value::Array(items)) = list.remove("items") else { return };
            for (position, mut item) in items.into_iter().enumerate() {
                complete(&mut item, kind.as_deref(), &api_version);
                let within = Path(vec![Segment::Key("items".to_owned()), Segment::Index(position)]);
                let place = Place { source: source.clone(), within, lines: Arc::clone(&lines) };
                read_object(item, place, seen, manifests);
            }
        }
        (_, value) => {
            let place = Place { source: source.clone(), within: Path::default(), lines };
            read_object(value, place, seen, manifests);
        }
    }
}

/// The kind of a list's items where the list says it: `NodePoolList` says, `List` does not.
fn list_of(value: &Value) -> Option<Option<String>> {
    if !value.get("items")?.is_array() {
        return None;
    }
    let kind = value.get("kind")?.as_str()?.strip_suffix("List")?;
    Some(Some(kind.to_owned()).filter(|kind| !kind.is_empty()))
}

/// The API leaves the kind of a list's items out.
fn complete(item: &mut Value, kind: Option<&str>, api_version: &str) {
    let (Value::Object(map), Some(kind)) = (item, kind) else { return };
    map.entry("kind").or_insert_with(|| kind.into());
    map.entry("apiVersion").or_insert_with(|| api_version.into());
}

fn read_object(mut value: Value, mut place: Place, seen: &mut Seen, manifests: &mut Manifests) {
    place.source.kind = text(&value, "kind");
    place.source.name = full_name(&value);
    place.source.line = place.lines.line_of(&place.within);
    let mut defects = Vec::new();
    let root = At::Root;
    if !value.is_object() {
        defects.push(Defect::new(&root, shown(&value), "a Kubernetes object"));
    }
    for field in ["apiVersion", "kind"].into_iter().filter(|_| value.is_object()) {
        match value.get(field) {
            Some(Value::String(text)) if !text.is_empty() => {}
            Some(other) => defects.push(Defect::new(&root.key(field), shown(other), "a text")),
            None => defects.push(Defect::new(&root.key(field), "nothing", format!("the field '{field}'"))),
        }
    }
    if !defects.is_empty() {
        return report(&place, defects, manifests);
    }
    let api_version = text(&value, "apiVersion");
    match reading(&api_version, &place.source.kind) {
        Reading::Skip => manifests.skipped.push(Skipped { source: place.source, api_version }),
        Reading::Outdated(expected) => {
            let found = format!("{api_version} {}", place.source.kind);
            report(&place, vec![Defect::new(&root.key("apiVersion"), found, expected)], manifests);
        }
        Reading::As(kind) => {
            let defects = validate(kind, &mut value, &place, seen);
            load(kind, value, place, defects, manifests);
        }
    }
}

/// All defects that the schema, its rules and its metadata show. What is wrong in
/// `value` is made harmless afterwards.
fn validate(kind: Kind, value: &mut Value, place: &Place, seen: &mut Seen) -> Vec<Defect> {
    let schemas = &*SCHEMAS;
    let Some(schema) = schemas.of(kind.name) else { return Vec::new() };
    let mut walk = Walk { schemas, origin: kind.origin(), defects: Vec::new(), wrong: Vec::new() };
    apply_defaults(schema, value);
    let root = At::Root;
    walk.check(schema, value, &root);
    let Walk { mut defects, wrong, .. } = walk;
    let reported: BTreeSet<Path> = defects.iter().map(|defect| defect.path.clone()).collect();
    rules::check(schema, value, &root, &reported, &mut defects);
    mend(value, wrong);
    let metadata = root.key("metadata");
    if place.source.name.is_empty() {
        defects.push(Defect::new(&metadata.key("name"), "nothing", "a name"));
    } else {
        check_names(value, &metadata, &mut defects);
        let name = if kind.is_namespaced() { qualified_name(value) } else { own_name(value) };
        let here = format!("{}, line {}", place.source.file, place.source.line);
        if let Some(first) = seen.get(&(kind.name, name.clone())) {
            let found = format!("a second {} {name}, the first is in {first}", kind.name);
            defects.push(Defect::new(&metadata.key("name"), found, "each object once"));
        } else {
            seen.insert((kind.name, name), here);
        }
    }
    defects
}

/// What is wrong with the name, the namespace and the labels of an object.
fn check_names(value: &Value, metadata: &At<'_>, defects: &mut Vec<Defect>) {
    names::name(&own_name(value), &metadata.key("name"), defects);
    let namespace = of_metadata(value, "namespace");
    if !namespace.is_empty() {
        names::name(&namespace, &metadata.key("namespace"), defects);
    }
    let labels = value.get("metadata").and_then(|metadata| metadata.get("labels"));
    let labels = labels.and_then(|labels| serde_json::from_value(labels.clone()).ok());
    names::labels(labels.as_ref(), &metadata.key("labels"), defects);
}

fn load(kind: Kind, value: Value, place: Place, defects: Vec<Defect>, to: &mut Manifests) {
    match kind.name {
        "NodePool" => push(value, place, defects, |to| &mut to.node_pools, to),
        "NodeClaim" => push(value, place, defects, |to| &mut to.node_claims, to),
        "EC2NodeClass" => push(value, place, defects, |to| &mut to.node_classes, to),
        "Deployment" => push(value, place, defects, |to| &mut to.deployments, to),
        "ReplicaSet" => push(value, place, defects, |to| &mut to.replica_sets, to),
        "StatefulSet" => push(value, place, defects, |to| &mut to.stateful_sets, to),
        "DaemonSet" => push(value, place, defects, |to| &mut to.daemon_sets, to),
        "Job" => push(value, place, defects, |to| &mut to.jobs, to),
        "CronJob" => push(value, place, defects, |to| &mut to.cron_jobs, to),
        "Pod" => push(value, place, defects, |to| &mut to.pods, to),
        "Node" => push(value, place, defects, |to| &mut to.nodes, to),
        "PodDisruptionBudget" => push(value, place, defects, |to| &mut to.pod_disruption_budgets, to),
        "PersistentVolumeClaim" => push(value, place, defects, |to| &mut to.persistent_volume_claims, to),
        "PersistentVolume" => push(value, place, defects, |to| &mut to.persistent_volumes, to),
        "StorageClass" => push(value, place, defects, |to| &mut to.storage_classes, to),
        "CSINode" => push(value, place, defects, |to| &mut to.csi_nodes, to),
        "Service" => push(value, place, defects, |to| &mut to.services, to),
        "PriorityClass" => push(value, place, defects, |to| &mut to.priority_classes, to),
        _ => push(value, place, defects, |to| &mut to.namespaces, to),
    }
}

/// An object is kept with its defects until its conversion has been tried: that may find more.
fn push<T: DeserializeOwned>(
    value: Value,
    place: Place,
    mut defects: Vec<Defect>,
    list: impl Fn(&mut Manifests) -> &mut Vec<Loaded<T>>,
    manifests: &mut Manifests,
) {
    match serde_json::from_value(value) {
        Ok(object) => {
            report(&place, defects, manifests);
            let Place { source, within, lines } = place;
            list(manifests).push(Loaded { object, source, within, lines });
        }
        Err(error) => {
            if defects.is_empty() {
                defects.push(Defect::new(&At::Root, error.to_string(), format!("a {}", place.source.kind)));
            }
            report(&place, defects, manifests);
        }
    }
}

fn report(place: &Place, mut defects: Vec<Defect>, manifests: &mut Manifests) {
    defects.sort();
    defects.dedup();
    let problems =
        defects.into_iter().map(|defect| problem(&place.source, &place.within, &place.lines, defect));
    manifests.problems.extend(problems);
}

/// A defect of an object as a problem of its file.
pub(super) fn problem(source: &Source, within: &Path, lines: &Lines, defect: Defect) -> Problem {
    let path = within.join(&defect.path);
    let source = Source { line: lines.line_of(&path), ..source.clone() };
    Problem { source, defect: Defect { path, ..defect } }
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn of_metadata(value: &Value, field: &str) -> String {
    value.get("metadata").map(|metadata| text(metadata, field)).unwrap_or_default()
}

fn own_name(value: &Value) -> String {
    of_metadata(value, "name")
}

/// The name with its namespace, the default one where none is said.
fn qualified_name(value: &Value) -> String {
    let namespace = of_metadata(value, "namespace");
    let namespace = if namespace.is_empty() { "default" } else { &namespace };
    format!("{namespace}/{}", own_name(value))
}

/// The name as messages show it.
fn full_name(value: &Value) -> String {
    let (namespace, name) = (of_metadata(value, "namespace"), own_name(value));
    if namespace.is_empty() || name.is_empty() { name } else { format!("{namespace}/{name}") }
}
