//! What is under way: writes and launches in tasks of their own, so many at a time, each of which reports back.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration as Span;

use futures::future::join_all;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::Instrument as _;
use whittle_control::execute::lanes::lanes;
use whittle_control::execute::{Effect, carry_out, launch_for, retaint_one};
use whittle_control::ports::{Cloud, CloudError, ClusterError};
use whittle_core::lifecycle::demoted::Demoted;
use whittle_core::lifecycle::leftover::{Running, Unlaunched};
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, Outcome, Retaint};

use crate::cluster::Session;
use crate::cluster::nominations::Renomination;
use crate::cluster::writer::Writer;
use crate::driver::traced;

/// So many launches and ends may wait for the cloud at a time: as many as it takes together. Nobody who has only to
/// write to the cluster, and whose node may have two minutes left, waits behind them.
const CLOUD_AT_ONCE: usize = 1_000;

/// Something is not under way any more.
#[derive(Debug)]
pub(super) enum Done {
    /// An action of a plan.
    Action { action: Action, effect: Effect },
    /// The launch for a NodeClaim that was there.
    Launch { claim: String, outcome: Outcome },
    /// The taints of a NodeClaim's node were changed.
    Retaint { claim: String, effect: Effect },
    /// A pod was nominated anew.
    Nomination { uid: String, result: Result<(), ClusterError> },
    /// The status of a NodePool is written.
    Published { pool: String, result: Result<(), String> },
    /// What is said of a NodeClaim is written.
    Said { claim: String, result: Result<(), String> },
    /// The fingerprint of an EC2NodeClass is written.
    Printed { class: String, result: Result<(), String> },
    /// The cloud has listed its instances, when it was asked at this time.
    Listed { running: Result<Vec<Running>, CloudError>, at: Timestamp },
}

/// Everything that is under way.
#[derive(Debug)]
pub(super) struct Work<C> {
    cloud: Arc<C>,
    permits: Arc<Semaphore>,
    /// For what waits for the cloud, which may take its time.
    cloud_permits: Arc<Semaphore>,
    report: mpsc::UnboundedSender<Done>,
    tasks: JoinSet<()>,
}

impl<C: Cloud + Send + Sync + 'static> Work<C> {
    pub(super) fn new(cloud: Arc<C>, at_once: usize, report: mpsc::UnboundedSender<Done>) -> Self {
        let [permits, cloud_permits] =
            [at_once.max(1), at_once.max(CLOUD_AT_ONCE)].map(|count| Arc::new(Semaphore::new(count)));
        Self { cloud, permits, cloud_permits, report, tasks: JoinSet::new() }
    }

    /// Forgets tasks that have ended.
    pub(super) fn forget_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!("a task ended in the middle: {error}");
            }
        }
    }

    /// Waits for what is under way, but not for ever.
    pub(super) async fn finish(&mut self, at_most: Span) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(at_most, all).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "not everything that was under way has ended");
        }
    }

    /// Writes the status of a NodePool.
    pub(super) fn publish(
        &mut self,
        pool: String,
        write: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        let report = self.report.clone();
        self.tasks.spawn(async move {
            let result = write.await;
            send(&report, Done::Published { pool, result });
        });
    }

    /// Writes what is said of a NodeClaim.
    pub(super) fn say(
        &mut self,
        claim: String,
        write: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        let (permits, report) = (Arc::clone(&self.permits), self.report.clone());
        self.tasks.spawn(async move {
            let _permit = permits.acquire().await;
            let result = write.await;
            send(&report, Done::Said { claim, result });
        });
    }

    /// Writes the fingerprint of an EC2NodeClass.
    pub(super) fn print(
        &mut self,
        class: String,
        write: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        let report = self.report.clone();
        self.tasks.spawn(async move {
            let result = write.await;
            send(&report, Done::Printed { class, result });
        });
    }

    /// Carries out actions: one task for each lane. Pods are asked to leave when everything is closed that is to be closed:
    /// else they would go from one node that ends to another.
    pub(super) fn carry_out(&mut self, actions: Vec<Action>, session: Session, now: Timestamp) {
        let (evictions, others): (Vec<_>, Vec<_>) =
            actions.into_iter().partition(|action| matches!(action, Action::Evict(_)));
        let (closing, others): (Vec<_>, Vec<_>) = by_lane(others).into_iter().partition(|lane| {
            !evictions.is_empty() && lane.iter().any(|action| matches!(action, Action::Cordon(_)))
        });
        for lane in others {
            self.tasks.spawn(self.lane(lane, session.clone(), now));
        }
        let closing: Vec<_> = closing.into_iter().map(|lane| self.lane(lane, session.clone(), now)).collect();
        let leaving: Vec<_> =
            by_lane(evictions).into_iter().map(|lane| self.lane(lane, session.clone(), now)).collect();
        self.tasks.spawn(async move {
            join_all(closing).await;
            join_all(leaving).await;
        });
    }

    /// Carries out the actions of a lane, one after the other.
    fn lane(
        &self,
        lane: Vec<Action>,
        session: Session,
        now: Timestamp,
    ) -> impl Future<Output = ()> + Send + use<C> {
        let permits = if lane.iter().any(waits_for_cloud) { &self.cloud_permits } else { &self.permits };
        let (cloud, permits) = (Arc::clone(&self.cloud), Arc::clone(permits));
        let report = self.report.clone();
        let decision = tracing::Span::current();
        async move {
            // It is never closed; if it were, waiting in line would be over.
            let _permit = permits.acquire().await;
            for action in lane {
                let span = traced::action(&decision, &action);
                let effect = carry_out(&action, now, &*cloud, &session).instrument(span.clone()).await;
                traced::came(&span, &effect);
                send(&report, Done::Action { action, effect });
            }
        }
    }

    /// Launches the instance of a NodeClaim that is written.
    pub(super) fn launch(&mut self, one: Unlaunched, session: Session, now: Timestamp) {
        let (cloud, permits) = (Arc::clone(&self.cloud), Arc::clone(&self.cloud_permits));
        let report = self.report.clone();
        let span = traced::launch(&one.claim.name);
        self.tasks.spawn(async move {
            let _permit = permits.acquire().await;
            let launched = launch_for((&one.claim, &one.offerings), now, &*cloud, &session);
            let outcome = launched.instrument(span.clone()).await;
            traced::became(&span, &outcome);
            send(&report, Done::Launch { claim: one.claim.name, outcome });
        });
    }

    /// Changes the taints of a living node.
    pub(super) fn retaint(&mut self, one: Retaint, session: Session) {
        let permits = Arc::clone(&self.permits);
        let report = self.report.clone();
        self.tasks.spawn(async move {
            let _permit = permits.acquire().await;
            let effect = retaint_one(&one, &session).await;
            send(&report, Done::Retaint { claim: one.claim, effect });
        });
    }

    /// Nominates a pod anew.
    pub(super) fn nominate(&mut self, one: Renomination, writer: Arc<Writer>) {
        let permits = Arc::clone(&self.permits);
        let report = self.report.clone();
        self.tasks.spawn(async move {
            let _permit = permits.acquire().await;
            let result =
                writer.nominate_pod((&one.namespace, &one.name, &one.uid), one.node.as_deref()).await;
            send(&report, Done::Nomination { uid: one.uid, result });
        });
    }

    /// Asks the cloud what runs.
    pub(super) fn list(&mut self, now: Timestamp) {
        let (cloud, report) = (Arc::clone(&self.cloud), self.report.clone());
        self.tasks.spawn(async move {
            let running = cloud.list().await;
            send(&report, Done::Listed { running, at: now });
        });
    }

    /// Ends an instance that no NodeClaim stands for, and its Node.
    pub(super) fn end_stray(&mut self, stray: Running, node: Option<String>, session: Session) {
        let cloud = Arc::clone(&self.cloud);
        self.tasks.spawn(async move {
            if let Err(error) = cloud.terminate(&stray.provider_id).await {
                tracing::warn!(instance = stray.provider_id, "a stray instance is not ended: {error}");
                return;
            }
            if let Some(node) = node {
                let_go(&node, &session).await;
            }
        });
    }

    /// Writes that something is on demand now. What fails is done again when the cloud has listed its instances anew.
    pub(super) fn demote(&mut self, demoted: Demoted, session: Session) {
        self.tasks.spawn(async move {
            if let Err(error) = session.demote(&demoted).await {
                tracing::warn!(claim = demoted.claim, "it is still labelled as reserved: {error}");
            }
        });
    }

    /// Lets a Node go that nobody else would.
    pub(super) fn let_go(&mut self, node: String, session: Session) {
        self.tasks.spawn(async move { let_go(&node, &session).await });
    }
}

const fn waits_for_cloud(action: &Action) -> bool {
    matches!(action, Action::Launch(_) | Action::Terminate(_))
}

async fn let_go(node: &str, session: &Session) {
    if let Err(error) = session.let_node_go(node).await {
        tracing::warn!(node, "a Node without a NodeClaim stays: {error}");
    }
}

fn by_lane(actions: Vec<Action>) -> Vec<Vec<Action>> {
    let lanes = lanes(&actions);
    let mut by_position: Vec<Option<Action>> = actions.into_iter().map(Some).collect();
    lanes.into_iter().map(|lane| lane.into_iter().filter_map(|at| by_position[at].take()).collect()).collect()
}

/// Nobody listens any more only at the very end.
fn send(report: &mpsc::UnboundedSender<Done>, done: Done) {
    if report.send(done).is_err() {
        tracing::debug!("a report comes after the end");
    }
}
