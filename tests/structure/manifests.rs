//! What a manifest has to take from the workspace: the lints, and where each dependency comes from.

use toml::{Table, Value};

/// The tables of a manifest, or of one of its targets, that list dependencies.
const DEPENDENCIES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// What the manifest of a crate says for itself although the workspace says it for all.
pub(crate) fn not_inherited(path: &str, manifest: &str) -> Vec<String> {
    let table: Table = match manifest.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("{path}: {error}")],
    };
    let mut findings = Vec::new();
    if !table.get("lints").is_some_and(inherits) {
        findings.push(format!("{path}: [lints] has no `workspace = true`"));
    }
    let targets = table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    for place in targets.filter_map(Value::as_table).chain([&table]) {
        for (name, value) in DEPENDENCIES.iter().filter_map(|list| place.get(*list)?.as_table()).flatten() {
            if !inherits(value) {
                findings.push(format!("{path}: {name} has no `workspace = true`"));
            }
        }
    }
    findings
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_inherits_everything_is_left_alone() {
        let manifest = "
            dependencies.serde.workspace = true
            lints.workspace = true
            [dev-dependencies]
            kube = { workspace = true, features = ['client'] }";
        assert_eq!(not_inherited("Cargo.toml", manifest), Vec::<String>::new());
    }

    #[test]
    fn lints_that_are_missing_or_its_own_are_found() {
        let expected = ["Cargo.toml: [lints] has no `workspace = true`"];
        for manifest in ["", "[lints]", "lints.workspace = false", "lints.rust.missing_docs = 'allow'"] {
            assert_eq!(not_inherited("Cargo.toml", manifest), expected);
        }
    }

    #[test]
    fn a_dependency_with_a_version_of_its_own_is_found() {
        let manifest = "
            dependencies.anyhow = '1'
            dev-dependencies.syn.version = '3'
            build-dependencies.cc.path = '../cc'
            target.'cfg(unix)'.dependencies.libc = '0.2'
            lints.workspace = true";
        let expected = ["libc", "anyhow", "syn", "cc"]
            .map(|name| format!("Cargo.toml: {name} has no `workspace = true`"));
        assert_eq!(not_inherited("Cargo.toml", manifest), expected);
    }

    #[test]
    fn a_manifest_that_is_not_toml_is_found() {
        let found = not_inherited("Cargo.toml", "[lints");
        assert!(
            found.first().is_some_and(|finding| finding.starts_with("Cargo.toml: TOML parse error")),
            "{found:?}"
        );
    }
}
