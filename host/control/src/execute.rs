//! Carrying out a plan, action by action, in the plan's order. Nothing is decided here.

use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, Launch, NodeRef, Outcome, Plan, Retaint};
use whittle_core::state::claim_for;

use crate::ports::{Cloud, CloudError, Cluster, ClusterError};

/// Carries out `plan` at `now` and tells what came of it. What fails is tried again by a later plan, because the
/// state that asked for it has not changed.
pub async fn execute(
    plan: &Plan,
    now: Timestamp,
    cloud: &impl Cloud,
    cluster: &impl Cluster,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for action in &plan.actions {
        outcomes.extend(carry_out(action, now, cloud, cluster).await);
    }
    outcomes
}

/// Changes the taints of living nodes and tells what failed. It is asked for again as long as it is not done.
pub async fn retaint(retaints: &[Retaint], cluster: &impl Cluster) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for retaint in retaints {
        outcomes.extend(settled(&retaint.claim, cluster.retaint(retaint).await));
    }
    outcomes
}

async fn carry_out(
    action: &Action,
    now: Timestamp,
    cloud: &impl Cloud,
    cluster: &impl Cluster,
) -> Option<Outcome> {
    match action {
        Action::Launch(launch) => Some(launch_node(launch, now, cloud, cluster).await),
        Action::Nominate(nomination) => settled(&nomination.node, cluster.nominate(nomination).await),
        Action::Register(NodeRef { claim, node }) => match node {
            Some(node) => settled(claim, cluster.register(claim, node).await),
            None => None,
        },
        Action::Initialize(NodeRef { claim, node }) => match node {
            Some(node) => settled(claim, cluster.initialize(claim, node).await),
            None => None,
        },
        Action::Cordon(cordon) => settled(&cordon.claim, cluster.cordon(&cordon.node).await),
        Action::Uncordon(NodeRef { claim, node }) => match node {
            Some(node) => settled(claim, cluster.uncordon(node).await),
            None => None,
        },
        Action::Delete(delete) => settled(&delete.claim, cluster.delete_claim(&delete.claim).await),
        Action::Evict(eviction) => {
            let result = match eviction.forced {
                Some(grace) => cluster.delete_pod(&eviction.pod, grace).await,
                None => cluster.evict(&eviction.pod).await,
            };
            settled(&eviction.claim, result)
        }
        Action::Terminate(termination) => {
            let claim = termination.claim.clone();
            Some(match cloud.terminate(&termination.provider_id).await {
                Ok(()) => Outcome::Terminated { claim },
                Err(error) => failed(&claim, &error),
            })
        }
        Action::Finalize(NodeRef { claim, node }) => {
            settled(claim, cluster.finalize(claim, node.as_deref()).await)
        }
    }
}

/// The NodeClaim is written before the instance is asked for, so that an instance never lacks an owner.
async fn launch_node(launch: &Launch, now: Timestamp, cloud: &impl Cloud, cluster: &impl Cluster) -> Outcome {
    let claim = claim_for(launch, now);
    if let Err(error) = cluster.create_claim(&claim).await {
        return failed(&claim.name, &error);
    }
    let instance = match cloud.launch(&claim, &launch.offerings).await {
        Ok(instance) => instance,
        Err(CloudError::InsufficientCapacity { offerings }) => {
            return Outcome::InsufficientCapacity { claim: claim.name, offerings, at: now };
        }
        Err(error) => return failed(&claim.name, &error),
    };
    if let Err(error) = cluster.set_instance(&claim.name, &instance).await {
        return failed(&claim.name, &error);
    }
    Outcome::Launched { claim: claim.name, instance }
}

/// An object that is gone needs nothing more, and a blocked eviction is tried again by the next plan.
fn settled(claim: &str, result: Result<(), ClusterError>) -> Option<Outcome> {
    match result {
        Ok(()) | Err(ClusterError::NotFound { .. } | ClusterError::Blocked { .. }) => None,
        Err(error @ ClusterError::Transport { .. }) => Some(failed(claim, &error)),
    }
}

fn failed(claim: &str, error: &dyn std::error::Error) -> Outcome {
    Outcome::Failed { claim: claim.to_owned(), message: error.to_string() }
}
