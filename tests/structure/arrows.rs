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
    ("xtask", Sight::Only(&[])),
];

/// What any crate directly below `policies/` may see, and any guest that the tests of policies are made with.
const A_POLICY: Sight = Sight::Only(&["guest-sdk"]);

/// Crates that no other may depend on.
const SEEN_BY_NOBODY: [&str; 2] = ["tests", "xtask"];

/// The arrows between crates of the workspace, and the crates, that are not in the plan. Dependencies for tests
/// count like any other: a test that needs more than its crate may see belongs into `tests/`.
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
        for &to in package.dependencies.iter().filter_map(|name| folders.get(name.as_str())) {
            if !sees(sight, to) {
                findings.push(format!("{from} may not depend on {to}"));
            }
        }
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

fn sees(sight: &Sight, folder: &str) -> bool {
    !SEEN_BY_NOBODY.contains(&folder)
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
            ("tests", &["host", "host/core", "host/sim", "policies/spot-ratio"]),
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
