//! The tools of whoever writes policies: what they say of a module, of cases and of settings, right and wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use whittle_core::advice::{Hook, Kind};
use whittle_policy::author::{bench, cases, check, create, inspect};
use whittle_tests::modules::module;

use crate::build::{ENGINE, directory, loaded};

/// A module on disk.
fn file(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(format!("{name}.wasm"));
    fs::write(&path, module(name)).unwrap();
    path
}

#[test]
fn a_module_is_checked_with_its_settings_and_tried_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "spot-ratio");
    let text = check::check_file(&ENGINE, &path, Some(r#"{"spotPercent": 80}"#)).unwrap();
    for part in [
        "spot-ratio 0.1.0: ",
        "\n  answers   capacity\n",
        "\n  imports   whittle:policy/types@0.1.0, whittle:policy/log@0.1.0\n",
        "\n  reads     no labels\n",
        "\n  tried     with the settings {\"spotPercent\": 80}: its answers keep the rules\n",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let needs = check::check_file(&ENGINE, &path, None).unwrap();
    assert!(needs.contains("not tried, because it needs settings"), "{needs}");
    assert!(needs.contains("settings: missing field `spotPercent`"), "{needs}");
}

#[test]
fn what_is_wrong_with_a_module_or_its_settings_has_a_place_what_was_found_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "spot-ratio");
    let refused = |path: &Path, settings: &str| {
        check::check_file(&ENGINE, path, Some(settings)).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&path, r#"{"spotPercent": 101}"#),
        "--settings settings.spotPercent\n  found    found 101, expected 0 to 100\n  expected settings that \
         spot-ratio accepts; `whittle policy inspect` prints their schema"
    );
    let traps = refused(&file(folder.path(), "hostile"), r#"{"does": "trapsAlways"}"#);
    assert!(
        traps.contains("hostile.wasm\n  found    choose: a question for trying out: it stopped: "),
        "{traps}"
    );
    assert!(traps.ends_with("\n  expected an answer that keeps the rules"), "{traps}");
    let text = folder.path().join("text.wasm");
    fs::write(&text, "hello").unwrap();
    assert!(refused(&text, "{}").contains("text.wasm\n  found    text\n  expected a policy built with"));
    let none = refused(&folder.path().join("none.wasm"), "{}");
    assert!(
        none.contains("none.wasm\n  found    ") && none.ends_with("\n  expected the file of a module"),
        "{none}"
    );
    assert!(refused(folder.path(), "{}").contains("\n  found    a directory\n"));
}

#[test]
fn a_directory_is_checked_as_the_host_would_read_it() {
    let list = |percent| {
        format!(
            "policies:\n- name: ratio\n  module: spot-ratio.wasm\n  nodePools: [web]\n  mode: shadow\n  settings: \
             {{spotPercent: {percent}}}\n"
        )
    };
    let folder = directory(&list(80), &["spot-ratio"]);
    let text = check::check_directory(&ENGINE, folder.path()).unwrap();
    assert!(text.contains(": 1 policies, none refused"), "{text}");
    assert!(text.contains("\nratio: in shadow\n  module    spot-ratio.wasm (spot-ratio 0.1.0, "), "{text}");
    assert!(text.contains("\n  about     NodePools web\n  reads     no labels\n"), "{text}");
    fs::write(folder.path().join("policies.yaml"), list(101)).unwrap();
    let refused = check::check_directory(&ENGINE, folder.path()).unwrap_err().to_string();
    assert!(refused.starts_with("policies.yaml policies[0].settings.spotPercent\n  found    "), "{refused}");
}

/// What one case comes to on a module.
fn outcome(name: &str, case: &str) -> Vec<String> {
    let read =
        cases::parse("cases.yaml", &format!("cases:\n- {case}\n")).unwrap_or_else(|error| panic!("{error}"));
    cases::run(&ENGINE, &loaded(name), &read.cases).remove(0).wrong
}

#[test]
fn a_case_passes_or_says_where_the_answer_differs() {
    let case = |percent, on_spot, on_demand| {
        format!(
            "{{name: a, settings: {{spotPercent: {percent}}}, question: {{choose: {{groups: [{{pending: 4}}]}}}}, \
             answer: {{choose: [{{split: {{shares: [{{pods: {on_demand}, prefer: [reserved, on-demand]}}, {{pods: \
             {on_spot}, prefer: [spot, on-demand]}}], reason: 0 of 0 on demand}}}}]}}}}"
        )
    };
    let told = outcome("spot-ratio", &case(50, 1, 3));
    assert!(told.contains(&"choose[0].split.shares[0].pods: found 2, expected 3".to_owned()), "{told:?}");
    assert!(told.contains(&"choose[0].split.shares[1].pods: found 2, expected 1".to_owned()), "{told:?}");
    let told = outcome("spot-ratio", &case(101, 1, 3));
    assert_eq!(told, ["settings.spotPercent: found 101, expected 0 to 100"]);
}

#[test]
fn a_case_about_another_hook_or_with_a_fault_says_so() {
    let case = "{name: a, question: {react: {notices: []}}, answer: {react: []}}";
    assert_eq!(
        outcome("spot-ratio", case),
        ["question: found interruption, expected what spot-ratio answers: capacity"]
    );
    let case = "{name: a, settings: {does: trapsAlways}, question: {choose: {groups: [{}]}}, answer: {choose: [default]}}";
    let told = outcome("hostile", case);
    assert!(told[0].starts_with("it stopped: ") && told[0].contains("as always"), "{told:?}");
    assert!(told.iter().all(|line| !line.contains("panic_handler")), "{told:?}");
}

#[test]
fn what_inspect_prints_are_cases_that_pass() {
    let settings = r#"{"spotPercent":80,"workloads":{"labels":{"tier":"web"}}}"#;
    let module = loaded("spot-ratio");
    let text = inspect::inspect(&ENGINE, &module, Some(settings)).unwrap();
    let start = text.find("\ncases:\n").unwrap();
    let read =
        cases::parse("inspected.yaml", &text[start..]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let outcomes = cases::run(&ENGINE, &module, &read.cases);
    assert!(!outcomes.is_empty());
    assert!(outcomes.iter().all(|outcome| outcome.wrong.is_empty()), "{outcomes:?}");
    assert!(text.contains("tier: example"), "the labels that are read are shown:\n{text}");
}

#[test]
fn inspect_of_every_stock_policy_is_cases_that_pass() {
    for (name, settings) in [
        ("business-hours", r#"{"timeZone":"UTC","windows":[{"begins":"0 9 * * *","lasts":"9h"}]}"#),
        ("critical-on-demand", r#"{"minPriority":1000}"#),
        ("interruption-fallback", r#"{"reclaims":5}"#),
        ("load-test-isolation", r#"{"workloads":{"namespaces":["x"]},"key":"example.com/loadtest"}"#),
        ("no-job-eviction", "{}"),
        ("payback", r#"{"within":"4h","perPod":"0.005"}"#),
        ("prefer-generation", r#"{"atLeast":7,"bandPercent":10}"#),
    ] {
        let module = loaded(name);
        let text = inspect::inspect(&ENGINE, &module, Some(settings))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let start = text.find("\ncases:\n").unwrap();
        let read = cases::parse(name, &text[start..]).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let outcomes = cases::run(&ENGINE, &module, &read.cases);
        let wrong: Vec<_> = outcomes.iter().filter(|outcome| !outcome.wrong.is_empty()).collect();
        assert!(!outcomes.is_empty() && wrong.is_empty(), "{name}: {wrong:?}");
    }
}

#[test]
fn bench_measures_every_size_and_tells_the_fault_of_one_that_has_no_answer() {
    let measured =
        bench::measure(&ENGINE, &loaded("payback"), r#"{"within":"4h","perPod":"0.005"}"#).unwrap();
    let sizes: Vec<(Kind, usize)> = measured.iter().map(|one| (one.kind, one.things)).collect();
    let judged = bench::SIZES.map(|things| (Kind::JudgeMoves, things));
    assert!(judged.iter().all(|one| sizes.contains(one)), "{sizes:?}");
    let fuel: Vec<u64> =
        measured.iter().filter(|one| one.kind == Kind::JudgeMoves).map(|one| one.fuel).collect();
    assert!(fuel.is_sorted() && fuel[0] > 0, "{fuel:?}");
    let spins = bench::measure(&ENGINE, &loaded("hostile"), r#"{"does":"trapsAlways"}"#).unwrap();
    assert!(bench::text(&spins).contains("  it stopped: "));
    assert!(bench::measure(&ENGINE, &loaded("payback"), "{}").is_err());
}

/// A crate for each hook, built and tested as its author would: outside the workspace, with nothing but cargo.
#[test]
fn a_new_crate_passes_its_tests_and_its_module_passes_its_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let place = tempfile::tempdir().unwrap();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path));
    let target = target.join("new-policies");
    // The versions that are here already: a test does not go and look for newer ones.
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    for hook in Hook::ALL {
        let name = format!("my-{hook}");
        let made = create::create(place.path(), &name, hook, &root.join("guest-sdk")).unwrap();
        fs::write(made.join("Cargo.lock"), &lock).unwrap();
        run((&made, &[]), &target, &["test", "--quiet"]);
        // Cargo with a toolchain that has the target, whatever this machine has.
        let build = ["build", "--release", "--quiet", "--target", "wasm32-unknown-unknown"];
        run(
            (root, &["xtask", "wasm"]),
            &target,
            &[&build[..], &["--manifest-path", &manifest(&made)]].concat(),
        );
        let built = format!("wasm32-unknown-unknown/release/my_{hook}.wasm");
        let module = check::load(&ENGINE, &target.join(&built)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(module.hooks, [hook].into());
        let text = fs::read_to_string(made.join("cases.yaml")).unwrap();
        let read = cases::parse("cases.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.module, Some(format!("target/{built}")));
        let outcomes = cases::run(&ENGINE, &module, &read.cases);
        assert!(outcomes.iter().all(|outcome| outcome.wrong.is_empty()), "{hook}: {outcomes:?}");
    }
}

fn manifest(made: &Path) -> String {
    made.join("Cargo.toml").display().to_string()
}

/// Runs cargo in a folder, or a subcommand of it there, to build into `target`.
fn run((folder, subcommand): (&Path, &[&str]), target: &Path, arguments: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(subcommand).args(arguments).arg("--target-dir").arg(target);
    command.args(["--offline", "--config", "net.offline=true"]);
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
