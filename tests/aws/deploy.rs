//! What `deploy/aws` asks an account for: what tools of others say of it, and that it fits the code.
//!
//! The calls are read off the sources: each is written down where its failure is told, as `"ec2:CreateFleet"`. What one
//! call needs beside its own name is in [`IMPLIED`].

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use syn::visit::Visit;

use crate::python::python;
use crate::shared::failed;

/// What is allowed without being called by that name, with the call that needs it, and why.
const IMPLIED: [(&str, &str); 4] = [
    // A fleet runs its instances with the rights of who asked for it.
    ("ec2:RunInstances", "ec2:CreateFleet"),
    // Tags are asked for together with what gets them.
    ("ec2:CreateTags", "ec2:CreateFleet"),
    ("iam:TagInstanceProfile", "iam:CreateInstanceProfile"),
    // Who puts a role into a profile, or launches with one, hands the role on.
    ("iam:PassRole", "ec2:CreateFleet"),
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("tools_of_others_find_nothing_wrong_with_what_an_account_is_asked_for", || {
            tools_find_nothing().map_err(failed)
        }),
        Trial::test("the_template_has_every_policy_word_for_word", || has_every_policy().map_err(failed)),
        Trial::test("every_call_of_aws_is_allowed_and_nothing_is_that_nobody_calls", || {
            is_allowed_and_needed().map_err(failed)
        }),
        Trial::test("a_call_that_is_not_allowed_and_a_right_that_is_not_used_are_named", || {
            are_named().map_err(failed)
        }),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/aws")
}

fn tools_find_nothing() -> Result<()> {
    let output = python()?.arg("deploy/check.py").arg(folder()).stdin(Stdio::null()).output()?;
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure!(output.status.success() && said.is_empty(), "{said}");
    Ok(())
}

/// The policies by the names of their files.
fn policies() -> Result<Vec<(String, String)>> {
    let mut policies = Vec::new();
    for entry in fs::read_dir(folder().join("iam"))? {
        let path = entry?.path();
        let name = path.file_stem().context("a file has a name")?.to_string_lossy().into_owned();
        policies.push((name, fs::read_to_string(&path)?));
    }
    ensure!(!policies.is_empty(), "there are no policies");
    Ok(policies)
}

fn has_every_policy() -> Result<()> {
    let template = unindented(&fs::read_to_string(folder().join("cloudformation.yaml"))?);
    for (name, text) in policies()? {
        ensure!(
            template.contains(&unindented(&text)),
            "cloudformation.yaml has another policy than iam/{name}.json"
        );
    }
    Ok(())
}

/// A text whose lines begin with their first letters: how deep it stands in another is of no account.
fn unindented(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

fn is_allowed_and_needed() -> Result<()> {
    let mut allowed = BTreeSet::new();
    for (name, text) in policies()? {
        let policy: Value = serde_json::from_str(&text).with_context(|| format!("iam/{name}.json"))?;
        for statement in policy["Statement"].as_array().context("a policy has statements")? {
            let actions = match &statement["Action"] {
                Value::Array(several) => several.as_slice(),
                one => std::slice::from_ref(one),
            };
            allowed.extend(actions.iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    let findings = unlike(&called(&folder().join("../../host/aws/src"))?, &allowed);
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

/// What differs between the calls that are made and those that are allowed.
fn unlike(called: &BTreeSet<String>, allowed: &BTreeSet<String>) -> Vec<String> {
    let implied = IMPLIED.iter().filter(|(_, by)| called.contains(*by)).map(|(right, _)| (*right).to_owned());
    let needed: BTreeSet<String> = called.iter().cloned().chain(implied).collect();
    let denied = needed
        .difference(allowed)
        .map(|call| format!("{call} is called, and deploy/aws/iam does not allow it"));
    let idle =
        allowed.difference(&needed).map(|right| format!("{right} is allowed, and host/aws does not call it"));
    denied.chain(idle).collect()
}

/// The operations of AWS that are named below a folder of sources.
fn called(folder: &Path) -> Result<BTreeSet<String>> {
    let mut operations = Operations::default();
    let mut ahead = vec![folder.to_owned()];
    while let Some(path) = ahead.pop() {
        for entry in fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                ahead.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path)?;
                operations.visit_file(&syn::parse_file(&source).with_context(|| path.display().to_string())?);
            }
        }
    }
    Ok(operations.0)
}

/// The literals that name an operation as IAM does.
#[derive(Default)]
struct Operations(BTreeSet<String>);

impl Visit<'_> for Operations {
    fn visit_lit_str(&mut self, literal: &syn::LitStr) {
        let text = literal.value();
        if is_operation(&text) {
            self.0.insert(text);
        }
    }
}

fn is_operation(text: &str) -> bool {
    let services = ["ec2", "eks", "iam", "pricing", "sqs", "ssm", "sts"];
    text.split_once(':').is_some_and(|(service, operation)| {
        services.contains(&service)
            && operation.starts_with(|first: char| first.is_ascii_uppercase())
            && operation.chars().all(|letter| letter.is_ascii_alphanumeric())
    })
}

fn are_named() -> Result<()> {
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let found = unlike(
        &set(&["sqs:DeleteMessage", "ec2:CreateFleet"]),
        &set(&[
            "ec2:CreateFleet",
            "ec2:RunInstances",
            "ec2:CreateTags",
            "iam:PassRole",
            "iam:TagInstanceProfile",
        ]),
    );
    let expected = [
        "sqs:DeleteMessage is called, and deploy/aws/iam does not allow it",
        "iam:TagInstanceProfile is allowed, and host/aws does not call it",
    ];
    ensure!(found == expected, "{found:?}");
    let named = ["ec2:CreateFleet", "eks:eks-cluster-name", "ec2:", "a sentence: Like this"];
    ensure!(named.map(is_operation) == [true, false, false, false], "{named:?}");
    Ok(())
}
