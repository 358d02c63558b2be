//! Who writes. What is changed is read first and written with its version, so that nobody's change is lost; where somebody
//! was quicker it is read again, a few times.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube_client::api::Patch;
use kube_client::{Api, Client};
use kube_core::Resource;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use whittle_api::node_claim::{NodeClaim, NodeClaimStatus};
use whittle_control::ports::ClusterError;

use super::{Nominating, merge, namespaced, only, post};
use crate::book::Book;
use crate::connect::Ways;
use crate::error::{Reaction, answered, cluster_error, eviction_error, reaction};
use crate::patch;

/// So often a change is made anew because somebody else was quicker. A kubelet writes its Node every few seconds at most.
const CONFLICTS_MAX: usize = 5;

/// Who writes.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    /// For what is not asked again when the server says no.
    pub(super) asking_once: Client,
    pub(super) book: Arc<Book>,
    /// The AWS region, for the labels of nodes.
    pub(super) region: String,
    pub(super) nominating: Nominating,
}

impl Writer {
    /// A writer for nodes in this region.
    #[must_use]
    pub fn new(ways: Ways, book: Arc<Book>, region: String, nominating: Nominating) -> Self {
        let Ways { client, asking_once, .. } = ways;
        Self { client, asking_once, book, region, nominating }
    }

    /// Whether pods are nominated.
    #[must_use]
    pub const fn nominating(&self) -> Nominating {
        self.nominating
    }

    pub(super) fn claims(&self) -> Api<NodeClaim> {
        Api::all(self.client.clone())
    }

    pub(super) fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    pub(super) fn pods(&self, namespace: &str) -> Api<Pod> {
        namespaced(&self.client, namespace)
    }

    pub(super) async fn claim(&self, name: &str) -> Result<NodeClaim, ClusterError> {
        answered(self.claims().get(name), |error| cluster_error(error, &format!("NodeClaim {name}"))).await
    }

    pub(super) async fn node(&self, name: &str) -> Result<Node, ClusterError> {
        answered(self.nodes().get(name), |error| cluster_error(error, &format!("Node {name}"))).await
    }

    /// Changes a Node; `change` gives the patch for the Node as it is, or nothing.
    pub(super) async fn change_node(
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
    pub(super) async fn let_go<K: Held>(&self, api: Api<K>, name: &str) -> Result<(), ClusterError> {
        until_unbeaten(|| let_go_once(&api, name)).await
    }
}

/// A kind of object that our finalizer holds.
pub(super) trait Held:
    Resource<DynamicType = ()> + Clone + fmt::Debug + DeserializeOwned + Send + Sync + 'static
{
}

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
