//! Writes: the port `Cluster` on the Kubernetes API.
//!
//! Here is what is written for each action; how it is written so that nobody's change is lost is in `writer`, and who is
//! nominated when in `nominations`. Everything can be done twice.

pub mod nominations;
pub mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{DeleteParams, EvictParams, PatchParams, PostParams, Preconditions};
use kube_client::{Api, Client};
use kube_core::Resource;
use serde_json::json;
use whittle_control::ports::{Cluster, ClusterError};
use whittle_core::lifecycle::demoted::Demoted;
use whittle_core::lifecycle::given::labels_of;
use whittle_core::model::node as core;
use whittle_core::model::node_pool::DisruptionReason;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, Cordon, DeleteReason, Nomination, Plan, Retaint};
use whittle_core::state::Snapshot;

use self::writer::Writer;
use crate::book::Named;
use crate::error::{Reaction, answered, cluster_error, eviction_error, reaction};
use crate::patch;

/// Who writes, for whoever looks at managed fields.
pub(crate) const FIELD_MANAGER: &str = "whittle";

/// So many pods are nominated at a time.
const NOMINATIONS_AT_ONCE: usize = 32;

/// Whether pods are nominated to the nodes that they are planned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nominating {
    /// When their node opens, so that kube-scheduler keeps to the plan.
    WhenTheNodeOpens,
    /// Not at all: kube-scheduler puts them where it likes.
    Never,
}

/// What a plan's actions need to know beside themselves, as it was when the plan was made.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Namespace and name of pods, by uid.
    pods: BTreeMap<String, (String, String)>,
    /// The pods that wait for a node, by NodeClaim.
    expected: BTreeMap<String, Vec<String>>,
}

impl Facts {
    /// What this plan needs to know.
    #[must_use]
    pub fn of(plan: &Plan, snapshot: &Snapshot) -> Self {
        let mut facts = Self::default();
        for action in &plan.actions {
            match action {
                Action::Evict(eviction) => facts.add_pod(&eviction.pod, snapshot),
                Action::Register(one) => {
                    let waiting = waiting_for(&one.claim, snapshot);
                    waiting.iter().for_each(|pod| facts.add_pod(pod, snapshot));
                    facts.expected.insert(one.claim.clone(), waiting);
                }
                Action::Launch(_)
                | Action::Nominate(_)
                | Action::Initialize(_)
                | Action::Cordon(_)
                | Action::Uncordon(_)
                | Action::Delete(_)
                | Action::Terminate(_)
                | Action::Finalize(_) => {}
            }
        }
        facts
    }

    fn add_pod(&mut self, uid: &str, snapshot: &Snapshot) {
        if let Some(pod) = snapshot.pods.get(uid) {
            self.pods.insert(uid.to_owned(), (pod.spec.namespace.clone(), pod.name.clone()));
        }
    }
}

/// The pods that are expected on a NodeClaim and still wait.
fn waiting_for(claim: &str, snapshot: &Snapshot) -> Vec<String> {
    let expected = snapshot.nominations.iter().filter(|(_, (place, _))| place == claim);
    let waits =
        |uid: &String| snapshot.pods.get(uid).is_some_and(|pod| pod.node.is_none() && pod.deleting.is_none());
    expected.map(|(uid, _)| uid.clone()).filter(waits).collect()
}

/// The port for one plan.
#[derive(Clone)]
pub struct Session {
    writer: Arc<Writer>,
    facts: Arc<Facts>,
}

impl Session {
    /// Writes what a plan wants that knows this.
    #[must_use]
    pub const fn new(writer: Arc<Writer>, facts: Arc<Facts>) -> Self {
        Self { writer, facts }
    }

    /// Deletes a Node, and takes our finalizer off it. Letting one go that is gone succeeds.
    ///
    /// # Errors
    ///
    /// `Transport` when it is there and stays.
    pub async fn let_node_go(&self, node: &str) -> Result<(), ClusterError> {
        match self.writer.let_go(self.writer.nodes(), node).await {
            Err(ClusterError::NotFound { .. }) => Ok(()),
            answer => answer,
        }
    }

    /// Writes into a NodeClaim and its Node that it is reserved no more.
    ///
    /// # Errors
    ///
    /// `Transport` when one of them is there and still says so.
    pub async fn demote(&self, Demoted { claim, node }: &Demoted) -> Result<(), ClusterError> {
        self.writer.change_claim(claim, |claim| patch::demoted(&claim.metadata)).await?;
        if let Some(node) = node {
            self.writer.change_node(node, |node| patch::demoted(&node.metadata)).await?;
        }
        Ok(())
    }

    /// A pod that cannot be nominated goes where the scheduler likes, which is no reason to keep its node closed.
    async fn nominate_all(&self, expected: &[String], node: &str) {
        let nominations: Vec<_> = expected.iter().map(|uid| self.nominate_one(uid, node)).collect();
        let told: Vec<_> =
            futures::stream::iter(nominations).buffer_unordered(NOMINATIONS_AT_ONCE).collect().await;
        for failed in told.into_iter().filter_map(Result::err) {
            tracing::debug!(node, error = %failed, "a pod is not nominated");
        }
    }

    async fn nominate_one(&self, uid: &str, node: &str) -> Result<(), ClusterError> {
        let (namespace, name) = self.pod(uid)?;
        self.writer.nominate_pod((namespace, name, uid), Some(node)).await
    }

    fn pod(&self, uid: &str) -> Result<(&str, &str), ClusterError> {
        let known = self.facts.pods.get(uid).map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        known.ok_or_else(|| ClusterError::NotFound { object: format!("pod with uid {uid}") })
    }
}

pub(crate) fn namespaced<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), namespace)
}

pub(crate) fn merge() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

pub(crate) fn post() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// Only the object with this uid.
fn only(uid: Option<String>) -> DeleteParams {
    let preconditions = Preconditions { uid, resource_version: None };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}

/// The time by the clock of this machine.
#[must_use]
pub fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Cluster for Session {
    async fn create_claim(&self, claim: &core::NodeClaim) -> Result<(), ClusterError> {
        let writer = &self.writer;
        let pool = writer.book.uid(Named::NodePool, &claim.node_pool);
        let made = patch::new_claim(claim, pool, writer.book.annotations(&claim.node_pool));
        let (claims, parameters) = (writer.claims(), post());
        let mut is_there = false;
        let answer = answered(claims.create(&parameters, &made), |error| {
            is_there = reaction(error) == Reaction::Conflict;
            cluster_error(error, &format!("NodeClaim {}", claim.name))
        })
        .await;
        if is_there { Ok(()) } else { answer.map(drop) }
    }

    async fn set_instance(&self, claim: &str, instance: &core::Instance) -> Result<(), ClusterError> {
        let writer = &self.writer;
        let known = writer.claim(claim).await?;
        if patch::has_another(known.status.as_ref(), instance) {
            let message = format!("NodeClaim {claim} has another instance than {}", instance.provider_id);
            return Err(ClusterError::Transport { message });
        }
        let kind = writer.book.instance_type(&known.spec.node_class_ref.name, &instance.instance_type);
        let labels: BTreeMap<_, _> = labels_of(kind.as_ref(), instance, &writer.region).into_iter().collect();
        writer.change_claim(claim, |claim| Some(patch::labelled(claim, &labels))).await?;
        writer.change_status(claim, |status| patch::launched(status, instance, instance.launched)).await
    }

    async fn register(&self, claim: &str, node: &str) -> Result<(), ClusterError> {
        let writer = &self.writer;
        let known = writer.claim(claim).await?;
        let joined = writer.change_node(node, |node| Some(patch::joined(node, &known))).await?;
        let expected = self.facts.expected.get(claim).map(Vec::as_slice).unwrap_or_default();
        if writer.nominating == Nominating::WhenTheNodeOpens && !patch::is_registered(&joined) {
            self.nominate_all(expected, node).await;
        }
        writer.change_node(node, |node| Some(patch::opened(node))).await?;
        writer.change_status(claim, |status| patch::registered(status, node, clock())).await
    }

    async fn initialize(&self, claim: &str, node: &str) -> Result<(), ClusterError> {
        let labels = json!({ whittle_core::model::labels::INITIALIZED: "true" });
        let patch = json!({ "metadata": { "labels": labels } });
        self.writer.change_node(node, |_| Some(patch.clone())).await?;
        self.writer.change_status(claim, |status| patch::initialized(status, clock())).await
    }

    /// That it is replaced is written first: a Node that is closed and whose NodeClaim says nothing would be opened again
    /// by a process that starts in between.
    async fn cordon(&self, cordon: &Cordon) -> Result<(), ClusterError> {
        if cordon.reason == DeleteReason::Disrupted(DisruptionReason::Drifted) {
            self.writer.change_status(&cordon.claim, |status| patch::replaced(status, clock())).await?;
        }
        self.writer.change_node(&cordon.node, patch::cordoned).await.map(drop)
    }

    async fn uncordon(&self, claim: &str, node: &str) -> Result<(), ClusterError> {
        self.writer.change_status(claim, patch::kept).await?;
        self.writer.change_node(node, patch::uncordoned).await.map(drop)
    }

    async fn retaint(&self, retaint: &Retaint) -> Result<(), ClusterError> {
        self.writer.change_node(&retaint.node, |node| patch::retainted(node, retaint)).await.map(drop)
    }

    async fn end_by(&self, claim: &str, at: Timestamp) -> Result<(), ClusterError> {
        self.writer.change_claim(claim, |claim| patch::ended_by(claim, at)).await
    }

    async fn delete_claim(&self, claim: &str) -> Result<(), ClusterError> {
        let (claims, parameters) = (self.writer.claims(), DeleteParams::default());
        let told = |error: &kube_client::Error| cluster_error(error, &format!("NodeClaim {claim}"));
        answered(claims.delete(claim, &parameters), told).await.map(drop)
    }

    async fn finalize(&self, claim: &str, node: Option<&str>) -> Result<(), ClusterError> {
        if let Some(node) = node {
            self.let_node_go(node).await?;
        }
        self.writer.let_go(self.writer.claims(), claim).await
    }

    async fn evict(&self, pod_uid: &str) -> Result<(), ClusterError> {
        let (namespace, name) = self.pod(pod_uid)?;
        let pods: Api<Pod> = namespaced(&self.writer.asking_once, namespace);
        let parameters =
            EvictParams { delete_options: Some(only(Some(pod_uid.to_owned()))), ..EvictParams::default() };
        let told = |error: &kube_client::Error| eviction_error(error, &format!("pod {namespace}/{name}"));
        answered(pods.evict(name, &parameters), told).await.map(drop)
    }

    async fn delete_pod(&self, pod_uid: &str, grace: Duration) -> Result<(), ClusterError> {
        let (namespace, name) = self.pod(pod_uid)?;
        let pods = self.writer.pods(namespace);
        let seconds = u32::try_from(grace.millis().div_ceil(1_000)).unwrap_or(u32::MAX);
        let parameters =
            DeleteParams { grace_period_seconds: Some(seconds), ..only(Some(pod_uid.to_owned())) };
        let told = |error: &kube_client::Error| eviction_error(error, &format!("pod {namespace}/{name}"));
        answered(pods.delete(name, &parameters), told).await.map(drop)
    }

    /// The scheduler is told when the node opens; before, it would forget.
    async fn nominate(&self, _nomination: &Nomination) -> Result<(), ClusterError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
