//! Our custom resources on a real API server: the definitions, and every manifest of ours that is meant to be right.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_client::api::{Api, ListParams, PostParams, Request};
use kube_client::core::Status;
use kube_client::{Client, Error};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::shared::{Shared, trial};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(shared, "every_definition_of_the_chart_is_established", |_, client| established(client)),
        trial(shared, "every_custom_resource_of_the_examples_is_accepted", |_, client| accepted(client)),
        trial(shared, "a_list_of_node_pools_has_karpenters_columns", |_, client| columns(client)),
    ]
}

/// The custom resources: kind, group, plural.
const KINDS: [(&str, &str, &str); 3] = [
    ("NodePool", "karpenter.sh", "nodepools"),
    ("NodeClaim", "karpenter.sh", "nodeclaims"),
    ("EC2NodeClass", "karpenter.k8s.aws", "ec2nodeclasses"),
];

/// Has the API server judge a custom resource without keeping it: `None` where it would be created, else why not.
/// Fields that nobody knows count, as they do for kubectl.
pub(crate) async fn judge(client: &Client, object: &Value) -> Result<Option<Status>> {
    let (_, group, plural) = kind(object).context("a custom resource of ours")?;
    let request = Request::new(format!("/apis/{group}/v1/{plural}"));
    let mut request = request.create(&PostParams::default(), serde_json::to_vec(object)?)?;
    *request.uri_mut() = format!("/apis/{group}/v1/{plural}?dryRun=All&fieldValidation=Strict").parse()?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(None),
        Err(Error::Api(status)) => Ok(Some(*status)),
        Err(error) => Err(error.into()),
    }
}

fn kind(object: &Value) -> Option<(&'static str, &'static str, &'static str)> {
    let is_ours = |(kind, group, _): &(&str, &str, &str)| {
        object["kind"] == *kind && object["apiVersion"] == format!("{group}/v1")
    };
    KINDS.into_iter().find(is_ours)
}

async fn established(client: Client) -> Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(client).list(&ListParams::default()).await?;
    let mut found = BTreeSet::new();
    for definition in definitions {
        let conditions = definition.status.and_then(|status| status.conditions).unwrap_or_default();
        let state: Vec<String> =
            conditions.iter().map(|one| format!("{}={}", one.type_, one.status)).collect();
        // In any order; no word of a schema that is not structural.
        let state: BTreeSet<&str> = state.iter().map(String::as_str).collect();
        assert_eq!(state, BTreeSet::from(["Established=True", "NamesAccepted=True"]));
        found.insert(definition.spec.names.kind);
    }
    assert_eq!(found, KINDS.iter().map(|(kind, ..)| (*kind).to_owned()).collect());
    Ok(())
}

async fn accepted(client: Client) -> Result<()> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut kinds = BTreeSet::new();
    for file in manifests(&examples)? {
        let text = fs::read_to_string(&file)?;
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).with_context(|| file.display().to_string())?;
        for document in documents {
            let Some((kind, ..)) = kind(&document) else { continue };
            let refused = judge(&client, &document).await?;
            ensure!(refused.is_none(), "{} {}: {refused:?}", file.display(), document["metadata"]["name"]);
            kinds.insert(kind);
        }
    }
    assert_eq!(kinds, BTreeSet::from(["EC2NodeClass", "NodePool"]));
    Ok(())
}

/// All YAML files below a folder.
fn manifests(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(manifests(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The columns that kubectl prints, in their order, those of `-o wide` included.
const COLUMNS: [(&str, &str, &[&str]); 3] = [
    ("karpenter.sh", "nodepools", &["Name", "NodeClass", "Nodes", "Ready", "Age", "Weight", "CPU", "Memory"]),
    (
        "karpenter.sh",
        "nodeclaims",
        &[
            "Name",
            "Type",
            "Capacity",
            "Zone",
            "Node",
            "Ready",
            "Age",
            "ImageID",
            "ID",
            "NodePool",
            "NodeClass",
            "Drifted",
        ],
    ),
    ("karpenter.k8s.aws", "ec2nodeclasses", &["Name", "Ready", "Age", "Role"]),
];

async fn columns(client: Client) -> Result<()> {
    for (group, plural, expected) in COLUMNS {
        let mut request = Request::new(format!("/apis/{group}/v1/{plural}")).list(&ListParams::default())?;
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io".parse()?;
        request.headers_mut().insert("accept", table);
        let table: Value = client.request(request).await?;
        let columns = table["columnDefinitions"].as_array().context("a table has columns")?;
        let names: Vec<&str> = columns.iter().filter_map(|column| column["name"].as_str()).collect();
        assert_eq!(names, expected, "{plural}");
    }
    Ok(())
}
