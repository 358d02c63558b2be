//! The ports of the loop over this world: what a plan does to it, at once and without waiting.

use std::sync::{Mutex, MutexGuard, PoisonError};

use whittle_control::ports::{self, Cloud, CloudError, Cluster, ClusterError, End};
use whittle_core::lifecycle::leftover::Running;
use whittle_core::model::node::{Instance, NodeClaim};
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Cordon, LaunchOffering, Nomination, Retaint};

use super::World;
use super::machines::Launched;
use super::nodes::Found;

/// The world as the loop sees it.
#[derive(Debug)]
pub(crate) struct Ports<'a> {
    world: Mutex<&'a mut World>,
}

impl<'a> Ports<'a> {
    pub(crate) fn new(world: &'a mut World) -> Self {
        Self { world: Mutex::new(world) }
    }

    fn world(&self) -> MutexGuard<'_, &'a mut World> {
        // Nobody else has this lock; were a panic caught somewhere, the world would still be whole.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cloud for Ports<'_> {
    async fn launch(
        &self,
        claim: &NodeClaim,
        offerings: &[LaunchOffering],
    ) -> Result<ports::Launched, CloudError> {
        match self.world().launch(claim, offerings) {
            Launched::Instance(instance) => Ok((*instance).into()),
            Launched::NoCapacity => Err(CloudError::InsufficientCapacity { offerings: offerings.to_vec() }),
            Launched::Rejected(message) => Err(CloudError::Rejected { message }),
        }
    }

    async fn terminate(&self, provider_id: &str) -> Result<End, CloudError> {
        self.world().terminate(provider_id);
        Ok(End::Over)
    }

    async fn list(&self) -> Result<Vec<Running>, CloudError> {
        Ok(self.world().running())
    }
}

impl Cluster for Ports<'_> {
    async fn create_claim(&self, claim: &NodeClaim) -> Result<(), ClusterError> {
        self.world().create_claim(claim);
        Ok(())
    }

    async fn set_instance(&self, claim: &str, instance: &Instance) -> Result<(), ClusterError> {
        found(claim, self.world().set_instance(claim, instance))
    }

    async fn register(&self, claim: &str, node: &str) -> Result<(), ClusterError> {
        found(node, self.world().register(claim, node))
    }

    async fn initialize(&self, claim: &str, node: &str) -> Result<(), ClusterError> {
        found(node, self.world().initialize(claim, node))
    }

    async fn cordon(&self, cordon: &Cordon) -> Result<(), ClusterError> {
        found(&cordon.node, self.world().cordon(cordon))
    }

    async fn uncordon(&self, claim: &str, node: &str) -> Result<(), ClusterError> {
        found(node, self.world().uncordon(claim, node))
    }

    async fn retaint(&self, retaint: &Retaint) -> Result<(), ClusterError> {
        found(&retaint.node, self.world().retaint(retaint))
    }

    async fn end_by(&self, claim: &str, at: Timestamp) -> Result<(), ClusterError> {
        found(claim, self.world().end_by(claim, at))
    }

    async fn delete_claim(&self, claim: &str) -> Result<(), ClusterError> {
        found(claim, self.world().delete_claim(claim))
    }

    async fn finalize(&self, claim: &str, node: Option<&str>) -> Result<(), ClusterError> {
        found(claim, self.world().finalize(claim, node))
    }

    async fn evict(&self, pod_uid: &str) -> Result<(), ClusterError> {
        let mut world = self.world();
        let Some(pod) = world.find_pod(pod_uid) else { return Err(not_found(pod_uid)) };
        world.evict(pod).map_err(|refused| ClusterError::Blocked { budget: refused.budget })
    }

    async fn delete_pod(&self, pod_uid: &str, grace: Duration) -> Result<(), ClusterError> {
        let mut world = self.world();
        let Some(pod) = world.find_pod(pod_uid) else { return Err(not_found(pod_uid)) };
        world.stop_pod(pod, grace);
        Ok(())
    }

    /// kube-scheduler would not know, and so neither does this world's.
    async fn nominate(&self, _nomination: &Nomination) -> Result<(), ClusterError> {
        Ok(())
    }
}

fn found(object: &str, found: Found) -> Result<(), ClusterError> {
    match found {
        Found::Something => Ok(()),
        Found::Nothing => Err(not_found(object)),
    }
}

fn not_found(object: &str) -> ClusterError {
    ClusterError::NotFound { object: object.to_owned() }
}
