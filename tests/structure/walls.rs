//! What a crate must never be built from, however far down: the wall is the manifest, not a promise.

use std::collections::BTreeSet;

/// A crate and the names that its dependencies may not have.
pub(crate) struct Wall {
    pub(crate) package: &'static str,
    /// Names; one that ends in `*` stands for every name that starts so.
    pub(crate) forbidden: &'static [&'static str],
}

/// The walls of the crates that exist.
pub(crate) const WALLS: &[Wall] = &[
    // Pure: no async runtime, client, sandbox, clock, source of chance, file system, environment or log.
    Wall {
        package: "whittle-core",
        forbidden: &[
            "async-*",
            "aws-*",
            "chrono*",
            "clap*",
            "env_logger",
            "futures*",
            "getrandom",
            "hyper*",
            "jiff*",
            "k8s-openapi*",
            "kube*",
            "log",
            "rand",
            "reqwest*",
            "smol*",
            "tempfile",
            "time",
            "tokio*",
            "tracing*",
            "walkdir",
            "wasmtime*",
        ],
    },
    // Types and tables: whoever reads a manifest or a price list does not need a connection.
    Wall { package: "whittle-api", forbidden: CLIENTS },
    Wall { package: "whittle-catalog", forbidden: CLIENTS },
    // The loop and the world in memory know the outside by their ports only.
    Wall { package: "whittle-control", forbidden: ADAPTERS },
    Wall { package: "whittle-sim", forbidden: ADAPTERS },
];

const CLIENTS: &[&str] = &[
    "async-*",
    "aws-*",
    "hyper*",
    "kube-client",
    "kube-runtime",
    "reqwest*",
    "rustls*",
    "tokio*",
    "tower*",
    "wasmtime*",
];

const ADAPTERS: &[&str] =
    &["aws-*", "hyper*", "kube-client", "kube-runtime", "reqwest*", "rustls*", "tower*", "wasmtime*"];

/// The crates of a closure that the wall forbids.
pub(crate) fn breaches(wall: &Wall, closure: &BTreeSet<String>) -> Vec<String> {
    let forbidden = |name: &&String| wall.forbidden.iter().any(|pattern| matches(pattern, name));
    closure.iter().filter(forbidden).map(|name| format!("{} is built from {name}", wall.package)).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(package: &'static str, closure: &[&str]) -> Vec<String> {
        let wall = WALLS.iter().find(|wall| wall.package == package).unwrap();
        breaches(wall, &closure.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_runtime_a_client_a_clock_or_a_log_in_the_core_is_found() {
        for name in [
            "async-trait",
            "aws-sdk-ec2",
            "chrono",
            "getrandom",
            "hyper-util",
            "k8s-openapi",
            "kube-core",
            "log",
            "reqwest",
            "tokio",
            "tokio-util",
            "tracing-core",
            "wasmtime",
        ] {
            let expected = format!("whittle-core is built from {name}");
            assert_eq!(found("whittle-core", &["serde", name, "whittle-core"]), [expected]);
        }
    }

    #[test]
    fn a_client_in_the_types_or_the_tables_is_found() {
        for package in ["whittle-api", "whittle-catalog"] {
            let expected = [
                format!("{package} is built from hyper"),
                format!("{package} is built from kube-client"),
                format!("{package} is built from tokio"),
            ];
            assert_eq!(found(package, &["hyper", "kube-client", "kube-core", "tokio"]), expected);
        }
    }

    #[test]
    fn a_name_that_only_begins_like_a_forbidden_one_is_no_breach() {
        assert_eq!(found("whittle-core", &["logos", "rand_chacha", "timeline"]), Vec::<String>::new());
    }
}
