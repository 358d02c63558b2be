//! What the loop asks of the outside world: a cloud that has instances and a cluster that has objects.
//!
//! Errors are named by the reaction they ask for. Reading is not here: what happens outside arrives as events.

pub mod news;
pub mod policies;

use std::future::Future;

use whittle_core::lifecycle::leftover::Running;
use whittle_core::model::node::{Instance, NodeClaim};
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Cordon, LaunchOffering, Nomination, Retaint};

/// A cloud that launches and ends instances.
pub trait Cloud: Sync {
    /// Launches one instance for `claim`, which was made just now, of whichever of `offerings` the cloud prefers.
    ///
    /// # Errors
    /// `InsufficientCapacity` when none of the offerings is to be had, and the others as `CloudError` says.
    fn launch(
        &self,
        claim: &NodeClaim,
        offerings: &[LaunchOffering],
    ) -> impl Future<Output = Result<Launched, CloudError>> + Send;

    /// Launches one instance for a `claim` that was there before, or tells of the one that it has already: whoever made it,
    /// or this process, may have asked for it and not have heard the answer.
    ///
    /// # Errors
    /// As for `launch`.
    fn launch_again(
        &self,
        claim: &NodeClaim,
        offerings: &[LaunchOffering],
    ) -> impl Future<Output = Result<Launched, CloudError>> + Send {
        self.launch(claim, offerings)
    }

    /// Ends an instance, and tells how far that is. One that is gone has ended.
    ///
    /// # Errors
    /// As `CloudError` says.
    fn terminate(&self, provider_id: &str) -> impl Future<Output = Result<End, CloudError>> + Send;

    /// The instances of this cluster that run or are about to.
    ///
    /// # Errors
    /// As `CloudError` says.
    fn list(&self) -> impl Future<Output = Result<Vec<Running>, CloudError>> + Send;
}

/// What came of a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The instance.
    pub instance: Instance,
    /// What the cloud would rather have given and did not have.
    pub refused: Vec<LaunchOffering>,
}

impl From<Instance> for Launched {
    fn from(instance: Instance) -> Self {
        Self { instance, refused: Vec::new() }
    }
}

/// How far the end of an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It stops: its node must not be forgotten yet. Ask again.
    UnderWay,
    /// There is nothing left of it.
    Over,
}

/// A cluster whose objects are written.
pub trait Cluster: Sync {
    /// Makes a NodeClaim. Making one that is there already succeeds.
    ///
    /// # Errors
    /// As `ClusterError` says, like all that follow.
    fn create_claim(&self, claim: &NodeClaim) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Records the instance that was launched for a NodeClaim in its status.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn set_instance(
        &self,
        claim: &str,
        instance: &Instance,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Gives a Node that has joined its labels and taints, and takes the unregistered taint off.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn register(&self, claim: &str, node: &str) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Marks a Node as ready for its pods.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn initialize(&self, claim: &str, node: &str) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Puts the disrupted taint on a Node, and writes into its NodeClaim that it is replaced, where it is.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn cordon(&self, cordon: &Cordon) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Takes the disrupted taint off a Node, and what was written into its NodeClaim when it was put on.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn uncordon(&self, claim: &str, node: &str) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Gives a Node taints, and takes others off. What it carries already, or does not carry, is no error.
    ///
    /// # Errors
    /// As `ClusterError` says; of a cluster that was not made for it, that it was not.
    fn retaint(&self, retaint: &Retaint) -> impl Future<Output = Result<(), ClusterError>> + Send {
        let message = format!("node {} keeps its taints: they cannot be changed here", retaint.node);
        async { Err(ClusterError::Transport { message }) }
    }

    /// Writes into a NodeClaim when its drain must be over. An earlier time that is there stays.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn end_by(&self, claim: &str, at: Timestamp) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Asks for the deletion of a NodeClaim; a finalizer keeps it until `finalize`.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn delete_claim(&self, claim: &str) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Lets go of a NodeClaim that is being deleted, and of its Node.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn finalize(
        &self,
        claim: &str,
        node: Option<&str>,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Evicts a pod through the eviction API, so that PodDisruptionBudgets hold.
    ///
    /// # Errors
    /// `Blocked` when a PodDisruptionBudget does not allow it now.
    fn evict(&self, pod_uid: &str) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Deletes a pod with this much time to stop, whatever PodDisruptionBudgets say.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn delete_pod(
        &self,
        pod_uid: &str,
        grace: Duration,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Makes it known that a pending pod is expected on a node.
    ///
    /// # Errors
    /// As `ClusterError` says.
    fn nominate(&self, nomination: &Nomination) -> impl Future<Output = Result<(), ClusterError>> + Send;
}

/// Why the cloud did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// It has no capacity for these offerings now: try others.
    #[error("insufficient capacity in {} offerings", offerings.len())]
    InsufficientCapacity {
        /// The offerings that were refused.
        offerings: Vec<LaunchOffering>,
    },
    /// It is asked too often: try again later.
    #[error("throttled, try again after {retry_after}")]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// It will not do this however often it is asked.
    #[error("rejected: {message}")]
    Rejected {
        /// What the cloud said.
        message: String,
    },
    /// It could not be reached or did not answer: try again.
    #[error("transport: {message}")]
    Transport {
        /// What went wrong.
        message: String,
    },
}

/// Why the cluster did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The object is gone: nothing is left to do.
    #[error("not found: {object}")]
    NotFound {
        /// Which object.
        object: String,
    },
    /// A PodDisruptionBudget does not allow it now: try again later.
    #[error("blocked by PodDisruptionBudget {budget}")]
    Blocked {
        /// `namespace/name` of the budget.
        budget: String,
    },
    /// It could not be reached or did not answer: try again.
    #[error("transport: {message}")]
    Transport {
        /// What went wrong.
        message: String,
    },
}
