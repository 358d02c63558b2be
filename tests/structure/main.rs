//! The shape of the workspace, held by tests: which crate may see which, what a crate's dependencies may never
//! bring in, that the compiler reads every source file, that documents speak of what exists, and the conventions that no lint knows.
//!
//! Every check is a function from plain data to a list of findings, and is shown bad data in its own module. Here
//! they are shown the workspace itself. What is allowed stands in tables: a change of plan is a change of a table,
//! in the same commit as `docs/ARCHITECTURE.md`.

mod arrows;
mod conformance;
mod conventions;
mod documents;
mod manifests;
mod modules;
mod walls;
mod workspace;

use workspace::Workspace;

/// Fails with one finding a line.
#[track_caller]
fn assert_nothing_found(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn every_arrow_between_crates_is_in_the_plan() {
    let workspace = Workspace::read().unwrap();
    assert_nothing_found(&arrows::outside_the_plan(&workspace.crates));
}

#[test]
fn what_is_there_for_benchmarks_is_used_by_benchmarks_alone() {
    let workspace = Workspace::read().unwrap();
    assert_nothing_found(&arrows::used_outside_benches(&workspace.sources));
}

#[test]
fn every_crate_is_named_after_its_folder() {
    let workspace = Workspace::read().unwrap();
    assert_nothing_found(&arrows::not_named_after_their_folder(&workspace.crates));
}

#[test]
fn the_dependencies_of_a_crate_stay_behind_its_wall() {
    let workspace = Workspace::read().unwrap();
    let breaches = |wall| walls::breaches(wall, &workspace.closure(wall.package).unwrap());
    assert_nothing_found(&walls::WALLS.iter().flat_map(breaches).collect::<Vec<_>>());
}

#[test]
fn every_source_file_is_reached_by_a_mod() {
    let workspace = Workspace::read().unwrap();
    assert_nothing_found(&modules::orphans(&workspace.sources, &workspace.roots()));
}

#[test]
fn every_crate_inherits_the_lints_and_the_dependencies_of_the_workspace() {
    let workspace = Workspace::read().unwrap();
    let manifests = workspace.manifests.iter();
    let findings = manifests.flat_map(|(path, manifest)| manifests::not_inherited(path, manifest));
    assert_nothing_found(&findings.collect::<Vec<_>>());
}

#[test]
fn every_source_file_can_be_read_in_one_sitting() {
    let workspace = Workspace::read().unwrap();
    assert_nothing_found(&conventions::too_long(&workspace.sources));
}

#[test]
fn every_source_file_keeps_the_conventions() {
    let workspace = Workspace::read().unwrap();
    let findings = workspace.sources.iter().flat_map(|(path, source)| conventions::broken(path, source));
    assert_nothing_found(&findings.collect::<Vec<_>>());
}

#[test]
fn every_document_speaks_of_what_exists() {
    let workspace = Workspace::read().unwrap();
    let mut findings = Vec::new();
    for (path, text) in &workspace.documents {
        findings.extend(documents::dangling_links(path, text, |target| workspace.exists(target)));
        findings.extend(documents::missing_tests(path, text, &workspace.sources));
    }
    assert_nothing_found(&findings);
}

#[test]
fn every_behaviour_is_held_by_something_or_has_a_reason() {
    let workspace = Workspace::read().unwrap();
    let page = &workspace.documents[conformance::PAGE];
    let exists = |path: &str| workspace.exists(path);
    assert_nothing_found(&conformance::broken(page, &workspace.sources, exists, &conformance::PENDING));
}
