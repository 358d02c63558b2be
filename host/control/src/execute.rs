//! Carrying out a plan, action by action. Nothing is decided here.

pub mod lanes;

use whittle_core::model::node::NodeClaim;
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, Delete, Launch, LaunchOffering, NodeRef, Outcome, Plan, Retaint};
use whittle_core::state::claim_for;

use crate::ports::{Cloud, CloudError, Cluster, ClusterError, End, Launched};

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is done, or there was nothing left to do.
    Done,
    /// A PodDisruptionBudget did not allow it now.
    Blocked {
        /// `namespace/name` of the budget, as far as it is known.
        budget: String,
    },
    /// It goes on, and has to be asked for again to learn how far it is.
    UnderWay,
    /// Something that the state has to hear of.
    Told(Box<Outcome>),
}

/// Carries out `plan` at `now`, in its order, and tells what came of it. What fails is tried again by a later plan,
/// because the state that asked for it has not changed.
pub async fn execute(
    plan: &Plan,
    now: Timestamp,
    cloud: &impl Cloud,
    cluster: &impl Cluster,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for action in &plan.actions {
        match carry_out(action, now, cloud, cluster).await {
            Effect::Told(outcome) => outcomes.push(*outcome),
            // What is blocked or goes on is asked for again by the next plan.
            Effect::Done | Effect::Blocked { .. } | Effect::UnderWay => {}
        }
    }
    outcomes
}

/// Changes the taints of living nodes and tells what failed. It is asked for again as long as it is not done.
pub async fn retaint(retaints: &[Retaint], cluster: &impl Cluster) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for retaint in retaints {
        if let Effect::Told(outcome) = retaint_one(retaint, cluster).await {
            outcomes.push(*outcome);
        }
    }
    outcomes
}

/// Changes the taints of one living node.
pub async fn retaint_one(retaint: &Retaint, cluster: &impl Cluster) -> Effect {
    settled(&retaint.claim, cluster.retaint(retaint).await)
}

/// Carries out one action of a plan that was made at `now`.
pub async fn carry_out(
    action: &Action,
    now: Timestamp,
    cloud: &impl Cloud,
    cluster: &impl Cluster,
) -> Effect {
    match action {
        Action::Launch(launch) => Effect::Told(Box::new(launch_node(launch, now, cloud, cluster).await)),
        Action::Nominate(nomination) => settled(&nomination.node, cluster.nominate(nomination).await),
        Action::Register(NodeRef { claim, node }) => match node {
            Some(node) => settled(claim, cluster.register(claim, node).await),
            None => Effect::Done,
        },
        Action::Initialize(NodeRef { claim, node }) => match node {
            Some(node) => settled(claim, cluster.initialize(claim, node).await),
            None => Effect::Done,
        },
        Action::Cordon(cordon) => settled(&cordon.claim, cluster.cordon(cordon).await),
        Action::Uncordon(NodeRef { claim, node }) => match node {
            Some(node) => settled(claim, cluster.uncordon(claim, node).await),
            None => Effect::Done,
        },
        Action::Delete(delete) => settled(&delete.claim, end(delete, now, cluster).await),
        Action::Evict(eviction) => {
            let result = match eviction.forced {
                Some(grace) => cluster.delete_pod(&eviction.pod, grace).await,
                None => cluster.evict(&eviction.pod).await,
            };
            settled(&eviction.claim, result)
        }
        Action::Terminate(termination) => {
            let claim = termination.claim.clone();
            match cloud.terminate(&termination.provider_id).await {
                Ok(End::UnderWay) => Effect::UnderWay,
                Ok(End::Over) => Effect::Told(Box::new(Outcome::Terminated { claim })),
                Err(error) => Effect::Told(Box::new(refused(&claim, &error))),
            }
        }
        Action::Finalize(NodeRef { claim, node }) => {
            settled(claim, cluster.finalize(claim, node.as_deref()).await)
        }
    }
}

/// The deadline is written before the deletion is asked for, so that no drain begins without it.
async fn end(delete: &Delete, now: Timestamp, cluster: &impl Cluster) -> Result<(), ClusterError> {
    if delete.is_forced() {
        cluster.end_by(&delete.claim, now).await?;
    }
    cluster.delete_claim(&delete.claim).await
}

/// The NodeClaim is written before the instance is asked for, so that an instance never lacks an owner.
async fn launch_node(launch: &Launch, now: Timestamp, cloud: &impl Cloud, cluster: &impl Cluster) -> Outcome {
    let claim = claim_for(launch, now);
    if let Err(error) = cluster.create_claim(&claim).await {
        return Outcome::Unwritten { claim: claim.name, message: error.to_string() };
    }
    let launched = cloud.launch(&claim, &launch.offerings).await;
    written(&claim, launched, now, cluster).await
}

/// Launches the instance of a NodeClaim that was there before, if nobody has yet.
pub async fn launch_for(
    (claim, offerings): (&NodeClaim, &[LaunchOffering]),
    now: Timestamp,
    cloud: &impl Cloud,
    cluster: &impl Cluster,
) -> Outcome {
    let launched = cloud.launch_again(claim, offerings).await;
    written(claim, launched, now, cluster).await
}

/// Writes into a NodeClaim what came of its launch.
async fn written(
    claim: &NodeClaim,
    launched: Result<Launched, CloudError>,
    now: Timestamp,
    cluster: &impl Cluster,
) -> Outcome {
    let Launched { instance, refused } = match launched {
        Ok(launched) => launched,
        Err(CloudError::InsufficientCapacity { offerings }) => {
            return Outcome::InsufficientCapacity { claim: claim.name.clone(), offerings, at: now };
        }
        Err(error) => return refused(&claim.name, &error),
    };
    if let Err(error) = cluster.set_instance(&claim.name, &instance).await {
        return failed(&claim.name, &error);
    }
    Outcome::Launched { claim: claim.name.clone(), instance: Box::new(instance), refused }
}

/// An object that is gone needs nothing more.
fn settled(claim: &str, result: Result<(), ClusterError>) -> Effect {
    match result {
        Ok(()) | Err(ClusterError::NotFound { .. }) => Effect::Done,
        Err(ClusterError::Blocked { budget }) => Effect::Blocked { budget },
        Err(error @ ClusterError::Transport { .. }) => Effect::Told(Box::new(failed(claim, &error))),
    }
}

fn failed(claim: &str, error: &dyn std::error::Error) -> Outcome {
    Outcome::Failed { claim: claim.to_owned(), message: error.to_string(), retry_after: None }
}

fn refused(claim: &str, error: &CloudError) -> Outcome {
    let retry_after = match error {
        CloudError::Throttled { retry_after } => Some(*retry_after),
        CloudError::InsufficientCapacity { .. }
        | CloudError::Rejected { .. }
        | CloudError::Transport { .. } => None,
    };
    Outcome::Failed { claim: claim.to_owned(), message: error.to_string(), retry_after }
}
