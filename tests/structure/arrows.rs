//! Which crate may see which. Nothing here knows what a crate does with what it sees.

use std::collections::BTreeMap;

use crate::workspace::Crate;

/// The crates of the workspace that one crate may depend on, by folder.
enum Sight {
    /// These.
    Only(&'static [&'static str]),
    /// All but those in [`SEEN_BY_NOBODY`].
    Everything,
}

/// The plan. Every crate of the host sees the core anyway, through what it depends on, so it may name it too.
/// `xtask` sees nothing: it has to build, and quickly, while the host does not.
const PLAN: &[(&str, Sight)] = &[
    ("guest-sdk", Sight::Only(&[])),
    ("host", Sight::Everything),
    ("host/api", Sight::Only(&["host/core"])),
    ("host/aws", Sight::Only(&["host/api", "host/catalog", "host/control", "host/core"])),
    ("host/catalog", Sight::Only(&["host/core"])),
    ("host/control", Sight::Only(&["host/core"])),
    ("host/core", Sight::Only(&[])),
    ("host/kube", Sight::Only(&["host/api", "host/control", "host/core"])),
    ("host/policy", Sight::Only(&["host/control", "host/core"])),
    ("host/sim", Sight::Only(&["host/api", "host/catalog", "host/control", "host/core"])),
    ("tests", Sight::Everything),
    ("tests/control-plane", Sight::Only(&[])),
    ("xtask", Sight::Only(&[])),
];

/// What any crate directly below `policies/` may see, and any guest that the tests of policies are made with.
const A_POLICY: Sight = Sight::Only(&["guest-sdk"]);

/// An arrow that is there for benchmarks alone: what a crate is built from stays as the plan wants it.
struct ForBenches {
    from: &'static str,
    to: &'static str,
    /// The one folder whose sources may name the crate.
    folder: &'static str,
}

/// Whether decisions are quick and cheap is seen on the types and prices that EC2 has, and those are in the catalogue,
/// which is built on the core. Cargo takes such a circle for tests and benchmarks. Tests of the core keep to small
/// catalogues of their own, so the benchmarks are all that may use it.
const FOR_BENCHES: &[ForBenches] = &[
    ForBenches { from: "host/core", to: "host/catalog", folder: "host/core/benches/" },
    // What policies cost is told beside what the same ones cost natively.
    ForBenches { from: "host/policy", to: "guest-sdk", folder: "host/policy/benches/" },
    ForBenches { from: "host/policy", to: "policies/load-test-isolation", folder: "host/policy/benches/" },
    ForBenches { from: "host/policy", to: "policies/no-job-eviction", folder: "host/policy/benches/" },
    ForBenches { from: "host/policy", to: "policies/payback", folder: "host/policy/benches/" },
    ForBenches { from: "host/policy", to: "policies/prefer-generation", folder: "host/policy/benches/" },
    ForBenches { from: "host/policy", to: "policies/spot-ratio", folder: "host/policy/benches/" },
    ForBenches { from: "host/policy", to: "tests/policies/guests/hostile", folder: "host/policy/benches/" },
];

/// Crates that no other may depend on.
const SEEN_BY_NOBODY: [&str; 2] = ["tests", "xtask"];

/// Crates that are there for the tests.
const SEEN_BY_TESTS: [&str; 1] = ["tests/control-plane"];

/// The arrows between crates of the workspace, and the crates, that are not in the plan. Dependencies for tests
/// count like any other, but for those in [`FOR_BENCHES`]: a test that needs more than its crate may see belongs into
/// `tests/`.
pub(crate) fn outside_the_plan(crates: &[Crate]) -> Vec<String> {
    let folders: BTreeMap<&str, &str> =
        crates.iter().map(|package| (package.name.as_str(), package.folder.as_str())).collect();
    let mut findings = Vec::new();
    for package in crates {
        let from = package.folder.as_str();
        let Some(sight) = sight_of(from) else {
            findings.push(format!("{from} is a crate that is not in the plan"));
            continue;
        };
        let known = |name: &String| folders.get(name.as_str()).copied();
        let built_from = package.dependencies.iter().filter_map(known);
        let tested_with = package.test_dependencies.iter().filter_map(known);
        let tested_with = tested_with.filter(|to| !is_for_benches(from, to));
        let unseen = built_from.chain(tested_with).filter(|to| !sees(from, sight, to));
        findings.extend(unseen.map(|to| format!("{from} may not depend on {to}")));
    }
    findings
}

fn is_for_benches(from: &str, to: &str) -> bool {
    FOR_BENCHES.iter().any(|arrow| arrow.from == from && arrow.to == to)
}

/// The sources that use a crate which is there for the benchmarks of theirs alone. Paths are relative to the
/// workspace's root.
pub(crate) fn used_outside_benches(sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Vec::new();
    for ForBenches { from, to, folder } in FOR_BENCHES {
        let name = name_of(to).replace('-', "_");
        let theirs = |path: &str| path.starts_with(&format!("{from}/")) && !path.starts_with(folder);
        let users = sources.iter().filter(|(path, source)| theirs(path) && source.contains(&name));
        findings.extend(users.map(|(path, _)| format!("{path} names {name}, which is there for {folder}")));
    }
    findings
}

fn sight_of(folder: &str) -> Option<&'static Sight> {
    if is_policy(folder) {
        return Some(&A_POLICY);
    }
    PLAN.iter().find(|(planned, _)| *planned == folder).map(|(_, sight)| sight)
}

fn is_policy(folder: &str) -> bool {
    ["policies/", "tests/policies/guests/"]
        .iter()
        .any(|above| folder.strip_prefix(above).is_some_and(|name| !name.contains('/')))
}

fn sees(from: &str, sight: &Sight, folder: &str) -> bool {
    !SEEN_BY_NOBODY.contains(&folder)
        && (from == "tests" || !SEEN_BY_TESTS.contains(&folder))
        && match sight {
            Sight::Only(folders) => folders.contains(&folder),
            Sight::Everything => true,
        }
}

/// The crates whose name does not follow from their folder.
pub(crate) fn not_named_after_their_folder(crates: &[Crate]) -> Vec<String> {
    let mut findings = Vec::new();
    for Crate { name, folder, .. } in crates {
        let expected = name_of(folder);
        if *name != expected {
            findings.push(format!("{folder} holds {name}, expected {expected}"));
        }
    }
    findings
}

/// A policy and `xtask` are called like their folder, for their names are what a user types; the others carry
/// the project's name in front.
fn name_of(folder: &str) -> String {
    let last = folder.rsplit('/').next().unwrap_or(folder);
    match folder {
        "host" => "whittle".to_owned(),
        "xtask" => last.to_owned(),
        _ if is_policy(folder) => last.to_owned(),
        _ => format!("whittle-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of crates with proper names: folders, and the folders that each depends on.
    fn crates(arrows: &[(&str, &[&str])]) -> Vec<Crate> {
        let package = |&(folder, to): &(&str, &[&str])| Crate {
            name: name_of(folder),
            folder: folder.to_owned(),
            dependencies: to.iter().map(|folder| name_of(folder)).chain(["serde".to_owned()]).collect(),
            ..Crate::default()
        };
        arrows.iter().map(package).collect()
    }

    #[test]
    fn the_arrows_of_the_plan_are_allowed() {
        let planned = crates(&[
            ("host/core", &[]),
            ("host/api", &["host/core"]),
            ("host/catalog", &["host/core"]),
            ("host/control", &["host/core"]),
            ("host/kube", &["host/api", "host/control"]),
            ("host/aws", &["host/api", "host/catalog", "host/control"]),
            ("host/policy", &["host/control"]),
            ("host/sim", &["host/api", "host/catalog", "host/control", "host/core"]),
            ("host", &["host/kube", "host/aws", "host/policy", "host/sim"]),
            ("guest-sdk", &[]),
            ("policies/spot-ratio", &["guest-sdk"]),
            ("tests", &["host", "host/core", "host/sim", "policies/spot-ratio", "tests/control-plane"]),
            ("tests/control-plane", &[]),
            ("xtask", &[]),
        ]);
        assert_eq!(outside_the_plan(&planned), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_is_not_in_the_plan_is_found() {
        let cases = [
            ("host/core", "host/api"),
            ("host/api", "host/catalog"),
            ("host/catalog", "host/api"),
            ("host/control", "host/api"),
            ("host/kube", "host/aws"),
            ("host/kube", "host/catalog"),
            ("host/aws", "host/sim"),
            ("host/policy", "host/api"),
            ("host/sim", "host/kube"),
            ("host/sim", "host"),
            ("host", "tests"),
            ("host", "tests/control-plane"),
            ("host/kube", "tests/control-plane"),
            ("tests/control-plane", "host/core"),
            ("host/core", "xtask"),
            ("guest-sdk", "host/core"),
            ("policies/spot-ratio", "host/control"),
            ("tests", "xtask"),
            ("xtask", "host/sim"),
        ];
        for (from, to) in cases {
            let found = outside_the_plan(&crates(&[(from, &[to]), (to, &[])]));
            assert_eq!(found, [format!("{from} may not depend on {to}")]);
        }
    }

    #[test]
    fn an_arrow_for_tests_counts_unless_it_is_there_for_benchmarks() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("host/core", "host/catalog", &[]),
            ("host/core", "host/api", &["host/core may not depend on host/api"]),
            ("host/control", "host/catalog", &["host/control may not depend on host/catalog"]),
            ("host/sim", "host/catalog", &[]),
        ];
        for (from, to, expected) in cases {
            let mut found = crates(&[(from, &[]), (to, &[])]);
            found[0].test_dependencies.insert(name_of(to));
            assert_eq!(outside_the_plan(&found), *expected, "{from} {to}");
        }
    }

    #[test]
    fn a_source_besides_the_benchmarks_that_uses_what_is_there_for_them_is_found() {
        let text = "use whittle_catalog::catalog::Catalog;".to_owned();
        let sources = ["core/benches/a.rs", "core/src/a.rs", "core/tests/a.rs", "sim/src/a.rs"];
        let sources = sources.map(|path| (format!("host/{path}"), text.clone())).into();
        let expected = [
            "host/core/src/a.rs names whittle_catalog, which is there for host/core/benches/",
            "host/core/tests/a.rs names whittle_catalog, which is there for host/core/benches/",
        ];
        assert_eq!(used_outside_benches(&sources), expected);
    }

    #[test]
    fn a_crate_that_the_plan_does_not_know_is_found() {
        let found = outside_the_plan(&crates(&[("host/utils", &[]), ("policies/a/b", &[])]));
        let expected = [
            "host/utils is a crate that is not in the plan",
            "policies/a/b is a crate that is not in the plan",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_crate_with_a_name_of_its_own_is_found() {
        let stray = |name: &str, folder: &str| Crate {
            name: name.to_owned(),
            folder: folder.to_owned(),
            ..Crate::default()
        };
        let found = not_named_after_their_folder(&[
            stray("core", "host/core"),
            stray("whittle-host", "host"),
            stray("whittle-spot-ratio", "policies/spot-ratio"),
            stray("whittle-sim", "host/sim"),
        ]);
        let expected = [
            "host/core holds core, expected whittle-core",
            "host holds whittle-host, expected whittle",
            "policies/spot-ratio holds whittle-spot-ratio, expected spot-ratio",
        ];
        assert_eq!(found, expected);
    }
}
