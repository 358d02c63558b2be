//! What is heard of work that was under way: what became of actions, launches and lists, and what follows from it.

use std::sync::Arc;

use whittle_control::execute::Effect;
use whittle_control::in_flight::{Ended, Key};
use whittle_control::ports::Cloud;
use whittle_core::event::Event;
use whittle_core::lifecycle::demoted::demoted;
use whittle_core::lifecycle::leftover::{Running, strays};
use whittle_core::model::time::Timestamp;
use whittle_core::plan::{Action, Delete, DeleteReason, Outcome};

use super::Driver;
use super::work::Done;
use crate::cluster::Session;
use crate::tell;
use crate::watch::Kind;

impl<C: Cloud + Send + Sync + 'static> Driver<C> {
    pub(super) fn hear(&mut self, done: Done) {
        match done {
            Done::Action { action, effect } => {
                self.in_flight.end(&Key::of(&action), ended(&effect), self.now);
                self.registrations.note(&action, &effect, self.controller.snapshot());
                self.hear_effect(&action, &effect);
                self.compare(&action, &effect);
                if let Effect::Told(outcome) = effect {
                    self.hear_outcome(*outcome);
                }
            }
            Done::Launch { claim, outcome } => {
                self.in_flight.end(&Key::launch(&claim), ended_with(&outcome), self.now);
                self.hear_outcome(outcome);
            }
            Done::Retaint { claim, effect } => {
                self.in_flight.end(&Key::retaint(&claim), ended(&effect), self.now);
                if let Effect::Told(outcome) = effect {
                    self.hear_outcome(*outcome);
                }
            }
            Done::Nomination { uid, result } => {
                let ended = if result.is_ok() { Ended::Well } else { Ended::Badly };
                self.in_flight.end(&Key::renomination(&uid), ended, self.now);
            }
            Done::Published { pool, result } => {
                if let Err(error) = result {
                    tracing::debug!(node_pool = pool, "the status is not written, it will be: {error}");
                    self.standings.remove(&pool);
                }
                return;
            }
            Done::Said { claim, result } => {
                if let Err(error) = result {
                    tracing::debug!(claim, "what is said of it is not written, it will be: {error}");
                    self.claims.forget(&claim);
                }
                return;
            }
            Done::Printed { class, result } => {
                if let Err(error) = result {
                    tracing::debug!(
                        node_class = class,
                        "its fingerprint is not written, it will be: {error}"
                    );
                    self.prints.remove(&class);
                }
                return;
            }
            Done::Listed { running, at } => match running {
                Ok(running) => {
                    self.end_strays(&running, at);
                    self.demote(&running, at);
                }
                Err(error) => tracing::warn!("the cloud does not list its instances: {error}"),
            },
        }
        self.controller.reconsider(self.now);
    }

    fn hear_effect(&mut self, action: &Action, effect: &Effect) {
        if let (Action::Terminate(one), Effect::Told(outcome)) = (action, effect)
            && let Outcome::Failed { message, .. } = &**outcome
        {
            self.teller.tell([tell::not_terminated(&one.claim, message, &self.book)], self.now);
        }
        let Action::Evict(eviction) = action else { return };
        let snapshot = self.controller.snapshot();
        let (told, code) = match effect {
            Effect::Done => (tell::evicted(&eviction.pod, snapshot), "200"),
            Effect::Blocked { budget } => {
                (tell::not_drained(&eviction.claim, &eviction.pod, budget, snapshot), "429")
            }
            Effect::UnderWay | Effect::Told(_) => (None, "500"),
        };
        self.metrics.evicted(code);
        self.teller.tell(told, self.now);
    }

    /// Compares what came of a launch with what was planned.
    fn compare(&self, action: &Action, effect: &Effect) {
        if let (Action::Launch(launch), Effect::Told(outcome)) = (action, effect)
            && let Outcome::Launched { instance, .. } = &**outcome
        {
            self.metrics.launched(launch.price(), instance.price);
        }
    }

    fn hear_outcome(&mut self, outcome: Outcome) {
        match &outcome {
            Outcome::Launched { claim, instance, .. } => tracing::info!(
                claim,
                instance = instance.provider_id,
                instance_type = instance.instance_type,
                zone = instance.zone,
                capacity_type = %instance.capacity_type,
                "launched"
            ),
            Outcome::InsufficientCapacity { claim, offerings, .. } => {
                tracing::warn!(claim, offerings = offerings.len(), "no capacity");
            }
            Outcome::Terminated { claim } => tracing::info!(claim, "terminated"),
            Outcome::Unwritten { claim, message } => tracing::warn!(claim, "not written: {message}"),
            Outcome::Failed { claim, message, .. } => tracing::warn!(claim, "failed: {message}"),
        }
        self.metrics.told(&outcome, self.controller.snapshot());
        self.teller.tell(tell::of_outcome(&outcome, self.controller.snapshot(), &self.book), self.now);
        self.controller.handle(Event::Outcome(outcome), self.now);
    }

    /// What costs more from now on is told apart from what was paid for before.
    fn demote(&mut self, running: &[Running], listed: Timestamp) {
        for one in demoted(self.controller.snapshot(), running, listed) {
            tracing::info!(claim = one.claim, "its capacity reservation has ended: it is on demand now");
            self.work.demote(one, Session::new(Arc::clone(&self.writer), Arc::default()));
        }
    }

    fn end_strays(&mut self, running: &[Running], listed: Timestamp) {
        let snapshot = self.controller.snapshot();
        let found = strays(snapshot, running, listed);
        // An instance whose NodeClaim is there and is not understood has an owner.
        let is_nobodys = |stray: &Running| !self.intake.is_unclear(Kind::NodeClaim, &stray.claim);
        for stray in found.instances.into_iter().filter(is_nobodys) {
            tracing::warn!(
                instance = stray.provider_id,
                claim = stray.claim,
                "an instance without a NodeClaim is ended"
            );
            let node = snapshot.node_of_instance(&stray.provider_id).map(|node| node.name.clone());
            let session = Session::new(Arc::clone(&self.writer), Arc::default());
            self.work.end_stray(stray, node, session);
        }
        // The NodeClaim of a Node may be one of those that are not understood: it will say what becomes of it.
        for node in found.nodes {
            tracing::warn!(node, "a Node without a NodeClaim and without an instance is let go");
            self.work.let_go(node, Session::new(Arc::clone(&self.writer), Arc::default()));
        }
        for claim in found.ended {
            tracing::warn!(claim, "the instance is gone before its drain is over");
            self.hear_outcome(Outcome::Terminated { claim });
        }
        for claim in found.claims {
            tracing::warn!(claim, "a NodeClaim without an instance is deleted");
            let reason = DeleteReason::InstanceGone;
            let action = Action::Delete(Delete { claim, reason });
            if self.in_flight.start(Key::of(&action), self.now) {
                let session = Session::new(Arc::clone(&self.writer), Arc::default());
                self.work.carry_out(vec![action], session, self.now);
            }
        }
    }
}

fn ended(effect: &Effect) -> Ended {
    match effect {
        Effect::Done => Ended::Well,
        Effect::UnderWay => Ended::UnderWay,
        Effect::Blocked { .. } => Ended::Badly,
        Effect::Told(outcome) => ended_with(outcome),
    }
}

const fn ended_with(outcome: &Outcome) -> Ended {
    match outcome {
        Outcome::Launched { .. } | Outcome::Terminated { .. } => Ended::Well,
        Outcome::Failed { retry_after: Some(pause), .. } => Ended::Throttled(*pause),
        Outcome::Unwritten { .. } | Outcome::Failed { .. } | Outcome::InsufficientCapacity { .. } => {
            Ended::Badly
        }
    }
}
