//! The shape of the workspace, held by tests: which crate may see which, what a crate's dependencies may never
//! bring in, that the compiler reads every source file, and the conventions that no lint knows.
//!
//! Every check is a function from plain data to a list of findings, and is shown bad data in its own module. Here
//! they are shown the workspace itself. What is allowed stands in tables: a change of plan is a change of a table,
//! in the same commit as `docs/ARCHITECTURE.md`.

mod arrows;
mod conventions;
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
fn every_crate_is_named_after_its_folder() {
    let workspace = Workspace::read().unwrap();
    assert_nothing_found(&arrows::not_named_after_their_folder(&workspace.crates));
}

#[test]
fn the_dependencies_of_a_crate_stay_behind_its_wall() {
    let workspace = Workspace::read().unwrap();
    for wall in walls::WALLS {
        let closure = workspace.closure(wall.package).unwrap();
        assert_nothing_found(&walls::breaches(wall, &closure));
    }
}

#[test]
fn every_source_file_is_reached_by_a_mod() {
    let workspace = Workspace::read().unwrap();
    assert_nothing_found(&modules::orphans(&workspace.sources, &workspace.roots()));
}

#[test]
fn every_crate_inherits_the_lints_and_the_dependencies_of_the_workspace() {
    let workspace = Workspace::read().unwrap();
    for (path, manifest) in &workspace.manifests {
        assert_nothing_found(&manifests::not_inherited(path, manifest));
    }
}

#[test]
fn every_source_file_can_be_read_in_one_sitting() {
    let workspace = Workspace::read().unwrap();
    assert_nothing_found(&conventions::too_long(&workspace.sources));
}

#[test]
fn every_source_file_keeps_the_conventions() {
    let workspace = Workspace::read().unwrap();
    for (path, source) in &workspace.sources {
        assert_nothing_found(&conventions::broken(path, source));
    }
}
