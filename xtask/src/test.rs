//! `cargo xtask test`: every check, in the order in which they are cheap.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::step::{self, Step};

/// The checks. Formatting first, because it takes no build; the tests after what the compiler alone can say.
const STEPS: &[Step] = &[
    Step { name: "fmt", arguments: &["fmt", "--all", "--check"], environment: &[] },
    Step {
        name: "clippy",
        arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        environment: &[],
    },
    Step {
        name: "doc",
        arguments: &["doc", "--workspace", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    // What the tests of policies load. They would build it themselves; here a failure has a name.
    Step { name: "policies", arguments: &["xtask", "policies"], environment: &[] },
    // What the tests of the cluster start, likewise: built with Go once, and found from then on.
    Step { name: "cluster", arguments: &["xtask", "cluster", "build"], environment: &[] },
    // Every failing test is worth seeing, not only those of the first package that has one.
    Step { name: "test", arguments: &["test", "--workspace", "--no-fail-fast"], environment: &[] },
    DENY,
];

/// Licences, bans and sources of the dependencies. Advisories are left out: they change without a change of ours,
/// and their database has to be fetched.
const DENY: Step =
    Step { name: "deny", arguments: &["deny", "check", "licenses", "bans", "sources"], environment: &[] };

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let chosen = chosen(arguments)?;
    let mut lines = Vec::new();
    for step in &chosen {
        // The one check whose program does not come with the toolchain, and takes minutes to install.
        if *step == DENY && !step::has_subcommand("deny") {
            if arguments.is_empty() {
                lines.push("deny     not run: cargo-deny is not installed".to_owned());
                continue;
            }
            bail!("cargo-deny is not installed: `cargo install cargo-deny --locked`");
        }
        let took = step::run(step, root)?;
        lines.push(format!("{:<8} ok in {}", step.name, step::seconds(took)));
    }
    println!("\n{}", lines.join("\n"));
    Ok(())
}

/// The steps that the arguments ask for, in their usual order: all of them without `--only`.
fn chosen(arguments: &[String]) -> Result<Vec<Step>> {
    let mut names = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument != "--only" {
            bail!("`test` knows `--only <step>`, found `{argument}`");
        }
        let name = arguments.next().context("`--only` wants the name of a step")?;
        if !STEPS.iter().any(|step| step.name == name) {
            let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            bail!("there is no step `{name}`, only {}", known.join(", "));
        }
        names.push(name.as_str());
    }
    let wanted = |step: &&Step| names.is_empty() || names.contains(&step.name);
    Ok(STEPS.iter().filter(wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Result<Vec<&'static str>, String> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let steps = chosen(&arguments).map_err(|error| error.to_string())?;
        Ok(steps.into_iter().map(|step| step.name).collect())
    }

    #[test]
    fn without_arguments_every_step_runs() {
        assert_eq!(names(&[]), Ok(vec!["fmt", "clippy", "doc", "policies", "cluster", "test", "deny"]));
    }

    #[test]
    fn chosen_steps_run_in_their_usual_order() {
        assert_eq!(names(&["--only", "doc", "--only", "fmt"]), Ok(vec!["fmt", "doc"]));
    }

    #[test]
    fn what_cannot_be_understood_is_refused_with_what_could() {
        let cases = [
            (&["--only"][..], "`--only` wants the name of a step"),
            (
                &["--only", "lint"],
                "there is no step `lint`, only fmt, clippy, doc, policies, cluster, test, deny",
            ),
            (&["fmt"], "`test` knows `--only <step>`, found `fmt`"),
        ];
        for (arguments, expected) in cases {
            assert_eq!(names(arguments), Err(expected.to_owned()));
        }
    }
}
