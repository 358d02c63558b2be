//! The command as a process: what it exits with and where it says what. What it decides is asked elsewhere.

use std::process::{Command, Output};

fn whittle(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_whittle")).args(arguments).output();
    command.expect("the command that was built beside this test")
}

#[test]
fn a_directory_that_is_not_there_is_an_error_that_names_it() {
    let output = whittle(&["plan", "nowhere-to-be-found"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true), "{said}");
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("nowhere-to-be-found"), "{said}");
}

#[test]
fn a_command_that_is_not_understood_shows_how_it_is_used() {
    let output = whittle(&["pln"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("Usage: whittle"), "{said}");
}

#[test]
fn the_definitions_of_all_three_custom_resources_are_printed() {
    let output = whittle(&["crds"]);
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8_lossy(&output.stdout);
    for name in ["nodepools.karpenter.sh", "nodeclaims.karpenter.sh", "ec2nodeclasses.karpenter.k8s.aws"] {
        assert!(printed.contains(&format!("name: {name}")), "{name}");
    }
}
