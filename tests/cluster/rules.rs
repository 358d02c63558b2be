//! The rules of the custom resources, asked twice: `whittle plan` evaluates them offline, the API server when something is
//! created. What one refuses the other has to refuse, and name the same field, but for what only we refuse.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use kube_client::Client;
use kube_client::core::Status;
use libtest_mimic::Trial;

use crate::custom_resources::judge;
use crate::rule_cases::{self, Table, with};
use crate::shared::{Shared, trial};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    let agree = |name: &str, table: fn() -> Table| {
        let name = format!("the_server_and_whittle_refuse_the_same_of_{name}");
        trial(shared, &name, move |_, client| both_refuse(client, table()))
    };
    vec![
        agree("node_pools", rule_cases::node_pools),
        agree("node_claims", rule_cases::node_claims),
        agree("what_a_node_class_selects", rule_cases::selections),
        agree("node_classes_as_a_whole", rule_cases::whole_node_classes),
        agree("disks_and_kubelets", rule_cases::disks_and_kubelets),
    ]
}

/// What a schema cannot say, or Karpenter's does not: a field, and a part of a value that the server takes there and we do
/// not. The server's controllers would find most of it later, or nobody would.
const OURS_ALONE: [(&str, &str); 6] = [
    ("spec.template.spec.requirements[0].values", "\"Spot\""),
    ("spec.template.spec.requirements[0].values", "\"host\""),
    ("spec.template.spec.startupTaints[0]", "\"dedicated\""),
    ("spec.disruption.budgets[0].schedule", "\"99 9 * * 1-5\""),
    ("spec.limits.cpu", "\"-1\""),
    ("spec.limits.memory", "\"9999999999Ti\""),
];

/// Every case of a table against the server.
async fn both_refuse(client: Client, table: Table) -> Result<()> {
    let refused = judge(&client, &table.base).await?;
    ensure!(refused.is_none(), "the base: {refused:?}");
    let mut findings = Vec::new();
    for case in &table.cases {
        let object = with(table.base.clone(), case.pointer, case.value.clone());
        let ours = case.expected.split(": ").next().unwrap_or_default();
        let theirs = judge(&client, &object).await?.map(|status| fields(&status));
        let what = format!("{} = {}: we name {ours}", case.pointer, case.value);
        let text = case.value.to_string();
        let ours_alone = OURS_ALONE.iter().any(|(field, part)| ours == *field && text.contains(part));
        match theirs {
            None if ours_alone => {}
            Some(fields) if ours_alone => findings.push(format!("{what} alone, and the server {fields:?}")),
            None => findings.push(format!("{what}, the server takes it")),
            Some(fields) if fields.contains(&as_the_server_writes(ours)) => {}
            Some(fields) => findings.push(format!("{what}, the server {fields:?}")),
        }
    }
    ensure!(findings.is_empty(), "\n{}", findings.join("\n"));
    Ok(())
}

/// A path of ours in the server's way: a key with dots in it is a step like any other there.
fn as_the_server_writes(path: &str) -> String {
    path.replace("[\"", ".").replace("\"]", "")
}

/// How the server begins to speak of a field that nobody knows. It names it in the message alone.
const UNKNOWN: &str = "unknown field \"";

/// The fields that the server names.
fn fields(status: &Status) -> BTreeSet<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut fields: BTreeSet<String> = causes.map(|cause| cause.field.clone()).collect();
    let unknown = status.message.split(UNKNOWN).skip(1).filter_map(|rest| rest.split('"').next());
    fields.extend(unknown.map(str::to_owned));
    fields
}
