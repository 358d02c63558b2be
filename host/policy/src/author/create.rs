//! `new`: a crate to start from, with settings, a hook, tests that pass as they stand, and a case.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use whittle_core::advice::Hook;

/// Why there is no new crate.
#[derive(Debug, thiserror::Error)]
pub enum NotCreated {
    /// The name will not do.
    #[error(
        "found the name {0:?}, expected at most 63 lower-case letters, digits and -, a letter first and no - last"
    )]
    Name(String),
    /// The name means something to Rust, or to the crate itself.
    #[error(
        "found the name {0:?}, which means something else to cargo, expected another, such as {0}-policy"
    )]
    Reserved(String),
    /// There is something already.
    #[error("{0} is there already")]
    Exists(String),
    /// It cannot be written.
    #[error("{path}: {error}")]
    Io {
        /// What.
        path: String,
        /// Why.
        error: io::Error,
    },
}

/// Crates of the language, its keywords, and what the new crate depends on: no crate can be called so, and cargo says it in
/// other words.
const RESERVED: [&str; 59] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "schemars",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "whittle-guest-sdk",
    "yield",
];

/// Types of the SDK with names of two words; those of one word are told from ours by another rule.
const TAKEN: [&str; 5] = ["CapacityType", "InstanceType", "MoveVerdict", "OfferingVerdict", "PodGroup"];

/// Makes the crate `name` below `parent`, for a hook. `sdk` is where the SDK is, as the manifest should name it.
///
/// # Errors
/// When the name will not do, something is there already, or it cannot be written.
pub fn create(parent: &Path, name: &str, hook: Hook, sdk: &Path) -> Result<PathBuf, NotCreated> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let ends_well = !name.ends_with('-') && !name.contains("--");
    if !starts_well || !ends_well || name.len() > 63 || !name.bytes().all(is_inner) {
        return Err(NotCreated::Name(name.to_owned()));
    }
    if RESERVED.contains(&name) {
        return Err(NotCreated::Reserved(name.to_owned()));
    }
    let folder = parent.join(name);
    if folder.exists() {
        return Err(NotCreated::Exists(folder.display().to_string()));
    }
    let sdk = sdk.display().to_string();
    let filled = |template: &str| {
        template
            .replace("{name}", name)
            .replace("{file}", &name.replace('-', "_"))
            .replace("{type}", &type_name(name))
            .replace("{hook}", hook.name())
            .replace("{sdk}", &sdk)
    };
    let (source, cases) = templates(hook);
    let files = [
        ("Cargo.toml", filled(include_str!("templates/Cargo.toml.txt"))),
        ("README.md", filled(include_str!("templates/README.md.txt"))),
        (".gitignore", "/target\n".to_owned()),
        ("src/lib.rs", filled(source)),
        ("cases.yaml", filled(cases)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        let failed = |error| NotCreated::Io { path: path.display().to_string(), error };
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
    }
    Ok(folder)
}

/// The source and the cases for a hook.
const fn templates(hook: Hook) -> (&'static str, &'static str) {
    match hook {
        Hook::Capacity => {
            (include_str!("templates/capacity.rs.txt"), include_str!("templates/capacity.cases.yaml.txt"))
        }
        Hook::Taints => {
            (include_str!("templates/taints.rs.txt"), include_str!("templates/taints.cases.yaml.txt"))
        }
        Hook::Offerings => {
            (include_str!("templates/offerings.rs.txt"), include_str!("templates/offerings.cases.yaml.txt"))
        }
        Hook::Consolidation => (
            include_str!("templates/consolidation.rs.txt"),
            include_str!("templates/consolidation.cases.yaml.txt"),
        ),
        Hook::Interruption => (
            include_str!("templates/interruption.rs.txt"),
            include_str!("templates/interruption.cases.yaml.txt"),
        ),
    }
}

/// `web-ratio` as a type: `WebRatio`. What could be a type of the SDK, such as `capacity`, becomes `CapacityPolicy`.
fn type_name(name: &str) -> String {
    let mut text = String::new();
    for part in name.split('-') {
        let mut letters = part.chars();
        text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    if !name.contains('-') || TAKEN.contains(&text.as_str()) {
        text.push_str("Policy");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_crate_is_refused() {
        let place = tempfile::tempdir().unwrap();
        for name in ["", "A", "-a", "a-", "a--b", "a b", "../a", "7up"] {
            assert!(matches!(
                create(place.path(), name, Hook::Capacity, Path::new("x")),
                Err(NotCreated::Name(_))
            ));
        }
    }

    #[test]
    fn a_name_of_the_language_is_refused_and_one_of_the_sdk_is_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let refused = create(place.path(), "type", Hook::Capacity, Path::new("x")).unwrap_err().to_string();
        assert!(refused.ends_with("expected another, such as type-policy"), "{refused}");
        for name in ["use", "true", "proc-macro", "serde", "whittle-guest-sdk"] {
            let refused = create(place.path(), name, Hook::Capacity, Path::new("x"));
            assert!(matches!(refused, Err(NotCreated::Reserved(_))), "{name}");
        }
        let names = ["capacity", "pod-group", "web-ratio"].map(type_name);
        assert_eq!(names, ["CapacityPolicy", "PodGroupPolicy", "WebRatio"]);
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        let place = tempfile::tempdir().unwrap();
        let made = create(place.path(), "web-ratio", Hook::Capacity, Path::new("../sdk")).unwrap();
        let source = fs::read_to_string(made.join("src/lib.rs")).unwrap();
        assert!(source.contains("struct WebRatio") && !source.contains("{type}"), "{source}");
        let again = create(place.path(), "web-ratio", Hook::Capacity, Path::new("../sdk"));
        assert!(matches!(again, Err(NotCreated::Exists(_))));
    }
}
