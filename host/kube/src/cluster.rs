//! Writes: the port `Cluster` on the Kubernetes API.
//!
//! What is changed is read first and written with its version, so that nobody's change is lost; where somebody was
//! quicker it is read again, a few times. Everything can be done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube_client::api::{DeleteParams, EvictParams, Patch, PatchParams, PostParams, Preconditions};
use kube_client::{Api, Client};
use kube_core::Resource;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use whittle_api::node_claim::{NodeClaim, NodeClaimStatus};
use whittle_control::ports::{Cluster, ClusterError};
use whittle_core::lifecycle::given::labels_of;
use whittle_core::model::node as core;
use whittle_core::model::node_pool::DisruptionReason;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, Cordon, DeleteReason, Nomination, Plan, Retaint};
use whittle_core::state::Snapshot;

use crate::book::{Book, Named};
use crate::connect::Ways;
use crate::error::{Reaction, answered, cluster_error, eviction_error, reaction};
use crate::patch;

/// Who writes, for whoever looks at managed fields.
pub(crate) const FIELD_MANAGER: &str = "whittle";

/// So often a change is made anew because somebody else was quicker. A kubelet writes its Node every few seconds at most.
const CONFLICTS_MAX: usize = 5;

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

/// Who writes.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    /// For what is not asked again when the server says no.
    asking_once: Client,
    book: Arc<Book>,
    /// The AWS region, for the labels of nodes.
    region: String,
    nominating: Nominating,
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

/// A pod whose node is open and not ready yet, and which has lost its nomination to a failed attempt of the scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renomination {
    /// The pod's uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Node; `None` takes the name off.
    pub node: Option<String>,
}

/// A pod that was nominated and is not on its node this long after it was ready has lost its room to another.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// The pods that are to lose a nomination: their node is ready, and others have taken their room. While they have it they
/// are no new demand, and would wait for ever. `nominated` are the uids of pods that may have a nomination. Where pods leave a node, the scheduler makes room there itself.
#[must_use]
pub fn stale_nominations(
    snapshot: &Snapshot,
    nominated: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<Renomination> {
    let stale = nominated.iter().filter_map(|uid| snapshot.pods.get(uid)).filter(|pod| {
        let Some(node) = pod.nominated_node.as_ref().and_then(|name| snapshot.nodes.get(name)) else {
            return false;
        };
        let ready = snapshot.claim_of_node(node).and_then(|claim| claim.initialized);
        let waits = pod.node.is_none() && pod.deleting.is_none() && pod.unschedulable;
        let is_expected = snapshot.nominations.contains_key(&pod.uid);
        waits
            && !is_expected
            && ready.is_some_and(|since| since + STALE_AFTER <= now)
            && !snapshot.pods_on(&node.name).any(|other| other.deleting.is_some())
    });
    let anew = stale.map(|pod| Renomination {
        uid: pod.uid.clone(),
        namespace: pod.spec.namespace.clone(),
        name: pod.name.clone(),
        node: None,
    });
    anew.collect()
}

/// The pods that are to be nominated anew. A node opens before it is ready, and whatever the scheduler tries in between
/// fails and clears the name.
#[must_use]
pub fn renominations(snapshot: &Snapshot) -> Vec<Renomination> {
    let mut found = Vec::new();
    for (uid, (place, _)) in &snapshot.nominations {
        let Some(claim) = snapshot.claims.get(place) else { continue };
        if claim.registered.is_none() || claim.initialized.is_some() || claim.deleting.is_some() {
            continue;
        }
        let (Some(node), Some(pod)) = (snapshot.node_of_claim(claim), snapshot.pods.get(uid)) else {
            continue;
        };
        if pod.is_provisionable() {
            let (namespace, name) = (pod.spec.namespace.clone(), pod.name.clone());
            let node = Some(node.name.clone());
            found.push(Renomination { uid: uid.clone(), namespace, name, node });
        }
    }
    found
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

impl Writer {
    /// A writer for nodes in this region.
    #[must_use]
    pub fn new(ways: Ways, book: Arc<Book>, region: String, nominating: Nominating) -> Self {
        let Ways { client, asking_once } = ways;
        Self { client, asking_once, book, region, nominating }
    }

    /// Whether pods are nominated.
    #[must_use]
    pub const fn nominating(&self) -> Nominating {
        self.nominating
    }

    fn claims(&self) -> Api<NodeClaim> {
        Api::all(self.client.clone())
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        namespaced(&self.client, namespace)
    }

    async fn claim(&self, name: &str) -> Result<NodeClaim, ClusterError> {
        answered(self.claims().get(name), |error| cluster_error(error, &format!("NodeClaim {name}"))).await
    }

    async fn node(&self, name: &str) -> Result<Node, ClusterError> {
        answered(self.nodes().get(name), |error| cluster_error(error, &format!("Node {name}"))).await
    }

    /// Changes a Node; `change` gives the patch for the Node as it is, or nothing.
    async fn change_node(
        &self,
        name: &str,
        change: impl Fn(&Node) -> Option<Value> + Send + Sync,
    ) -> Result<Node, ClusterError> {
        until_unbeaten(|| self.change_node_once(name, &change)).await
    }

    async fn change_node_once(
        &self,
        name: &str,
        change: &(impl Fn(&Node) -> Option<Value> + Send + Sync),
    ) -> Result<Node, Beaten> {
        let node = self.node(name).await.map_err(Beaten::No)?;
        let Some(patch) = change(&node) else { return Ok(node) };
        let (nodes, parameters, patch) = (self.nodes(), merge(), Patch::Merge(patch));
        patched(nodes.patch(name, &parameters, &patch), &format!("Node {name}")).await
    }

    /// Changes the status of a NodeClaim; `change` is made to the status as it is.
    pub(crate) async fn change_status(
        &self,
        name: &str,
        change: impl Fn(&mut NodeClaimStatus) + Send + Sync,
    ) -> Result<(), ClusterError> {
        until_unbeaten(|| self.change_status_once(name, &change)).await
    }

    async fn change_status_once(
        &self,
        name: &str,
        change: &(impl Fn(&mut NodeClaimStatus) + Send + Sync),
    ) -> Result<(), Beaten> {
        let mut claim = self.claim(name).await.map_err(Beaten::No)?;
        let before = claim.status.clone().unwrap_or_default();
        let mut status = before.clone();
        change(&mut status);
        if status == before {
            return Ok(());
        }
        claim.status = Some(status);
        let (claims, parameters) = (self.claims(), post());
        let write = claims.replace_status(name, &parameters, &claim);
        patched(write, &format!("NodeClaim {name}")).await.map(drop)
    }

    /// Changes what a NodeClaim says besides its status; `change` gives the patch for the NodeClaim as it is, or nothing.
    pub(crate) async fn change_claim(
        &self,
        name: &str,
        change: impl Fn(&NodeClaim) -> Option<Value> + Send + Sync,
    ) -> Result<(), ClusterError> {
        until_unbeaten(|| async {
            let claim = self.claim(name).await.map_err(Beaten::No)?;
            let Some(patch) = change(&claim) else { return Ok(()) };
            let (claims, parameters, patch) = (self.claims(), merge(), Patch::Merge(patch));
            patched(claims.patch(name, &parameters, &patch), &format!("NodeClaim {name}")).await.map(drop)
        })
        .await
    }

    /// Nominates a pod to a Node, or to none.
    ///
    /// # Errors
    ///
    /// `NotFound` when that very pod is gone.
    pub async fn nominate_pod(
        &self,
        (namespace, name, uid): (&str, &str, &str),
        node: Option<&str>,
    ) -> Result<(), ClusterError> {
        let (pods, parameters) = (self.pods(namespace), merge());
        let patch = json!({ "metadata": { "uid": uid }, "status": { "nominatedNodeName": node } });
        let patch = Patch::Merge(patch);
        let write = pods.patch_status(name, &parameters, &patch);
        answered(write, |error| eviction_error(error, &format!("pod {namespace}/{name}"))).await.map(drop)
    }

    /// Lets go of an object and deletes it.
    async fn let_go<K: Held>(&self, api: Api<K>, name: &str) -> Result<(), ClusterError> {
        until_unbeaten(|| let_go_once(&api, name)).await
    }
}

/// A kind of object that our finalizer holds.
trait Held: Resource<DynamicType = ()> + Clone + fmt::Debug + DeserializeOwned + Send + Sync + 'static {}

impl Held for Node {}
impl Held for NodeClaim {}

async fn let_go_once<K: Held>(api: &Api<K>, name: &str) -> Result<(), Beaten> {
    let object = format!("{} {name}", K::kind(&()));
    let read = answered(api.get(name), |error| cluster_error(error, &object)).await;
    let mut found = read.map_err(Beaten::No)?;
    if found.meta().deletion_timestamp.is_none() {
        let is_held = found.meta().finalizers.iter().flatten().next().is_some();
        let parameters = only(found.meta().uid.clone());
        let asked = answered(api.delete(name, &parameters), |error| eviction_error(error, &object)).await;
        asked.map_err(Beaten::No)?;
        if !is_held {
            return Ok(());
        }
        // The deletion has given it a new version.
        let read = answered(api.get(name), |error| cluster_error(error, &object)).await;
        found = read.map_err(Beaten::No)?;
    }
    let Some(patch) = patch::released(found.meta()) else { return Ok(()) };
    let (parameters, patch) = (merge(), Patch::Merge(patch));
    patched(api.patch(name, &parameters, &patch), &object).await.map(drop)
}

/// Whether a write came too late.
enum Beaten {
    /// Somebody else has changed the object since it was read.
    Yes,
    /// It failed for another reason.
    No(ClusterError),
}

impl Beaten {
    fn error(self) -> ClusterError {
        match self {
            Self::No(error) => error,
            Self::Yes => ClusterError::Transport {
                message: format!("somebody else was quicker {CONFLICTS_MAX} times"),
            },
        }
    }
}

/// Does something anew as long as somebody else was quicker, but not for ever.
async fn until_unbeaten<T, F>(attempt: impl Fn() -> F + Send + Sync) -> Result<T, ClusterError>
where
    T: Send,
    F: Future<Output = Result<T, Beaten>> + Send,
{
    let mut outcome = Err(Beaten::Yes);
    for _ in 0..CONFLICTS_MAX {
        outcome = attempt().await;
        if !matches!(outcome, Err(Beaten::Yes)) {
            break;
        }
    }
    outcome.map_err(Beaten::error)
}

async fn patched<T>(
    write: impl Future<Output = Result<T, kube_client::Error>> + Send,
    object: &str,
) -> Result<T, Beaten> {
    let mut beaten = false;
    let answer = answered(write, |error| {
        beaten = reaction(error) == Reaction::Conflict;
        cluster_error(error, object)
    })
    .await;
    answer.map_err(|error| if beaten { Beaten::Yes } else { Beaten::No(error) })
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
        let kind = writer.book.instance_type(&known.spec.node_class_ref.name, &instance.instance_type);
        let labels: BTreeMap<_, _> = labels_of(kind.as_ref(), instance, &writer.region).into_iter().collect();
        let (claims, parameters) = (writer.claims(), merge());
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let told = |error: &kube_client::Error| cluster_error(error, &format!("NodeClaim {claim}"));
        answered(claims.patch(claim, &parameters, &patch), told).await?;
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
            match self.writer.let_go(self.writer.nodes(), node).await {
                Ok(()) | Err(ClusterError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
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
