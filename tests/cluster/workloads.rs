//! That the control plane does what the tests on it take for granted: it binds, runs, completes, evicts and ends pods, and
//! gives to a service account the rights it has.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube_client::api::{Api, DeleteParams, EvictParams, ListParams, PostParams};
use kube_client::{Client, Error};
use libtest_mimic::Trial;
use serde_json::{Value, from_value, json};

use crate::machines::{Machine, UNREGISTERED, join, provider_id};
use crate::shared::{Shared, client, client_that_asks_once, trial, until};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(shared, "a_pod_is_bound_to_a_node_that_suits_it_and_runs", |_, client| bound(client)),
        trial(shared, "a_machine_keeps_the_taint_that_it_has_registered_with", |_, client| tainted(client)),
        trial(shared, "a_pod_without_a_node_is_told_to_be_unschedulable", |_, client| unschedulable(client)),
        trial(shared, "an_eviction_beyond_a_budget_is_answered_with_429", evicted),
        trial(shared, "a_pod_that_is_deleted_goes_when_it_has_stopped", |_, client| stopped(client)),
        trial(shared, "a_job_completes", |_, client| completed(client)),
        trial(shared, "a_service_account_has_its_own_rights_and_no_others", rights),
    ]
}

/// A machine with nothing special, for one test alone: its pods ask for it by zone.
const fn machine(name: &'static str, zone: &'static str) -> Machine {
    Machine { name, instance_type: "m6i.large", zone, cpu: "2", memory: "8Gi", taints: &[] }
}

/// A pod for the machine of a zone.
fn pod(name: &str, zone: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "nodeSelector": { "topology.kubernetes.io/zone": zone },
            "containers": [{ "name": "main", "image": "none", "resources": { "requests": { "cpu": "1" } } }],
        },
    })
}

fn pods(client: &Client) -> Api<Pod> {
    Api::namespaced(client.clone(), "default")
}

async fn create(pods: &Api<Pod>, pod: Value) -> Result<Pod> {
    Ok(pods.create(&PostParams::default(), &from_value(pod)?).await?)
}

/// Waits until a pod runs, and tells where.
async fn runs(pods: &Api<Pod>, name: &str) -> Result<String> {
    until(&format!("{name} runs"), async || {
        let pod = pods.get(name).await?;
        let running = pod.status.is_some_and(|status| status.phase.as_deref() == Some("Running"));
        Ok(running.then_some(pod.spec.and_then(|spec| spec.node_name)).flatten())
    })
    .await
}

async fn bound(client: Client) -> Result<()> {
    join(&client, &machine("small", "test-bound")).await?;
    let large = Machine { cpu: "8", ..machine("large", "test-bound") };
    join(&client, &large).await?;
    let mut wanted = pod("needs-the-large-one", "test-bound");
    wanted["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("4");
    create(&pods(&client), wanted).await?;
    assert_eq!(runs(&pods(&client), "needs-the-large-one").await?, "large");
    Ok(())
}

async fn tainted(client: Client) -> Result<()> {
    let machine = Machine { taints: &[UNREGISTERED], ..machine("young", "test-tainted") };
    let node = join(&client, &machine).await?;
    let spec = node.spec.context("a Node has a spec")?;
    let taints: Vec<String> = spec.taints.into_iter().flatten().map(|taint| taint.key).collect();
    assert_eq!((spec.provider_id, taints), (Some(provider_id(&machine)), vec![UNREGISTERED.to_owned()]));
    let allocatable = node.status.and_then(|status| status.allocatable).unwrap_or_default();
    assert_eq!(allocatable.get("cpu").map(|cpu| cpu.0.as_str()), Some("2"), "what it has brought");
    Ok(())
}

async fn unschedulable(client: Client) -> Result<()> {
    let pods = pods(&client);
    create(&pods, pod("homeless", "test-nowhere")).await?;
    let reason = until("the scheduler has looked at it", async || {
        let status = pods.get("homeless").await?.status.unwrap_or_default();
        let mut conditions = status.conditions.into_iter().flatten();
        let scheduled = conditions.find(|one| one.type_ == "PodScheduled" && one.status == "False");
        Ok(scheduled.and_then(|condition| condition.reason))
    })
    .await?;
    assert_eq!(reason, "Unschedulable");
    pods.delete("homeless", &DeleteParams::default()).await?;
    Ok(())
}

async fn evicted(shared: Arc<Shared>, client: Client) -> Result<()> {
    join(&client, &machine("guarded", "test-guarded")).await?;
    let pods = pods(&client);
    create(&pods, pod("guarded", "test-guarded")).await?;
    runs(&pods, "guarded").await?;
    let budgets = Api::<PodDisruptionBudget>::namespaced(client, "default");
    let budget = json!({
        "metadata": { "name": "guarded" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "guarded" } } },
    });
    budgets.create(&PostParams::default(), &from_value(budget)?).await?;
    until("the budget has counted its pod", async || {
        let status = budgets.get("guarded").await?.status.unwrap_or_default();
        Ok((status.expected_pods == Some(1) && status.current_healthy == Some(1)).then_some(()))
    })
    .await?;
    let once = client_that_asks_once(&shared.plane()?.kubeconfig()).await?;
    let pods = Api::<Pod>::namespaced(once, "default");
    let refused = pods.evict("guarded", &EvictParams::default()).await;
    assert!(matches!(&refused, Err(Error::Api(status)) if status.code == 429), "{refused:?}");
    budgets.delete("guarded", &DeleteParams::default()).await?;
    let allowed = pods.evict("guarded", &EvictParams::default()).await;
    assert!(allowed.is_ok(), "{allowed:?}");
    gone(&pods, "guarded").await
}

async fn gone(pods: &Api<Pod>, name: &str) -> Result<()> {
    until(&format!("{name} is gone"), async || Ok(pods.get_opt(name).await?.is_none().then_some(()))).await
}

async fn stopped(client: Client) -> Result<()> {
    join(&client, &machine("slow", "test-slow")).await?;
    let pods = pods(&client);
    let mut slow = pod("slow", "test-slow");
    slow["metadata"]["annotations"] = json!({ "test.whittle.dev/stops-after": "1h" });
    slow["spec"]["terminationGracePeriodSeconds"] = json!(3600);
    create(&pods, slow).await?;
    create(&pods, pod("quick", "test-slow")).await?;
    runs(&pods, "slow").await?;
    runs(&pods, "quick").await?;
    pods.delete("slow", &DeleteParams::default()).await?;
    pods.delete("quick", &DeleteParams::default()).await?;
    gone(&pods, "quick").await?;
    let slow = pods.get("slow").await?;
    assert!(slow.metadata.deletion_timestamp.is_some(), "it is asked to stop, and still there");
    pods.delete("slow", &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }).await?;
    gone(&pods, "slow").await
}

async fn completed(client: Client) -> Result<()> {
    join(&client, &machine("worker", "test-jobs")).await?;
    let jobs = Api::<Job>::namespaced(client, "default");
    let mut template = pod("import", "test-jobs");
    template["spec"]["restartPolicy"] = json!("Never");
    let job = json!({
        "metadata": { "name": "import" },
        "spec": { "completions": 2, "template": { "spec": template["spec"] } },
    });
    jobs.create(&PostParams::default(), &from_value(job)?).await?;
    let succeeded = until("the job has succeeded", async || {
        let status = jobs.get("import").await?.status.unwrap_or_default();
        Ok(status.completion_time.map(|_| status.succeeded))
    })
    .await?;
    assert_eq!(succeeded, Some(2));
    Ok(())
}

async fn rights(shared: Arc<Shared>, admin: Client) -> Result<()> {
    let post = PostParams::default();
    let namespace = json!({ "metadata": { "name": "test-rights" } });
    Api::<Namespace>::all(admin.clone()).create(&post, &from_value(namespace)?).await?;
    let account = json!({ "metadata": { "name": "reader" } });
    Api::<ServiceAccount>::namespaced(admin.clone(), "test-rights")
        .create(&post, &from_value(account)?)
        .await?;
    let role = json!({
        "metadata": { "name": "test-rights" },
        "rules": [{ "apiGroups": [""], "resources": ["nodes"], "verbs": ["list"] }],
    });
    Api::<ClusterRole>::all(admin.clone()).create(&post, &from_value(role)?).await?;
    let binding = json!({
        "metadata": { "name": "test-rights" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "test-rights" },
        "subjects": [{ "kind": "ServiceAccount", "namespace": "test-rights", "name": "reader" }],
    });
    Api::<ClusterRoleBinding>::all(admin).create(&post, &from_value(binding)?).await?;
    let kubeconfig = shared.plane()?.kubeconfig_of_service_account("test-rights", "reader")?;
    let reader = client(Path::new(&kubeconfig)).await?;
    let nodes = Api::<Node>::all(reader.clone());
    // The API server learns of a binding by a watch of its own.
    until("it may list Nodes", async || match nodes.list(&ListParams::default()).await {
        Ok(_) => Ok(Some(())),
        Err(Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(error.into()),
    })
    .await?;
    let refused = Api::<Pod>::all(reader).list(&ListParams::default()).await.map(|_| ());
    assert!(matches!(&refused, Err(Error::Api(status)) if status.code == 403), "{refused:?}");
    Ok(())
}
