//! What is said: of what waits and what is about to be done, by Events and in the log; and on the objects themselves,
//! which is the status of NodePools, conditions of NodeClaims and fingerprints. The latter once a second, as far as it has
//! changed, by the one that leads.

use std::sync::Arc;

use tokio::task::block_in_place;
use whittle_control::ports::Cloud;
use whittle_core::plan::{Action, Plan};

use super::Driver;
use crate::book::Named;
use crate::classes::fingerprint;
use crate::lease::Role;
use crate::serve::Asked;
use crate::{claims, pools, tell};

impl<C: Cloud + Send + Sync + 'static> Driver<C> {
    /// Works out how things stand, for whoever reads the metrics next.
    pub(super) fn tell_metrics(&mut self, answer: Asked) {
        self.tick();
        let unplaced = self.controller.unplaced().len();
        block_in_place(|| self.metrics.look(self.controller.snapshot(), unplaced, (self.now, self.detail)));
        // Whoever asked has gone, and the next one asks again.
        answer.send(()).ok();
    }

    /// Brings the status of NodePools and what is said of NodeClaims up to date.
    pub(super) fn stand(&mut self) {
        self.tick();
        if !self.leads() {
            return;
        }
        let snapshot = self.controller.snapshot();
        let changed: Vec<_> = snapshot
            .node_pools
            .values()
            .map(|pool| {
                let generation = |kind, name: &str| self.book.generation(kind, name);
                let versions =
                    (generation(Named::NodePool, &pool.name), generation(Named::NodeClass, &pool.node_class));
                let said = self.book.registration(&pool.name);
                let registers = self.registrations.are_healthy(&pool.name, versions, said);
                (pool.name.clone(), pools::standing(pool, snapshot, registers))
            })
            .filter(|(name, standing)| self.standings.get(name) != Some(standing))
            .collect();
        self.registrations.keep_only(|name| snapshot.node_pools.contains_key(name));
        for (name, standing) in changed {
            self.publish(name, standing);
        }
        self.say();
        self.settle();
        self.take_stale_nominations_off();
        self.list_instances();
    }

    /// Says of NodeClaims and EC2NodeClasses what is new of them.
    fn say(&mut self) {
        let snapshot = self.controller.snapshot();
        self.teller.tell(claims::of_claims(snapshot, &self.book, self.now), self.now);
        for due in self.claims.due(snapshot, self.now) {
            self.teller.tell(claims::of_due(&due, &self.book), self.now);
            self.work.say(due.name.clone(), claims::write(Arc::clone(&self.writer), due, self.now));
        }
        for class in snapshot.node_classes.values() {
            let Some(print) = &class.fingerprint else { continue };
            if self.prints.get(&class.name) != Some(print) {
                self.prints.insert(class.name.clone(), print.clone());
                let (client, name, print) = (self.client.clone(), class.name.clone(), print.clone());
                let write = async move { fingerprint::publish(&client, &name, &print).await };
                self.work.print(class.name.clone(), write);
            }
        }
    }

    pub(super) fn publish(&mut self, name: String, standing: pools::Standing) {
        if *self.lines.role.borrow() != Role::Leader {
            return;
        }
        self.standings.insert(name.clone(), standing.clone());
        let (client, now) = (self.client.clone(), self.now);
        self.work.publish(name.clone(), async move { pools::publish(&client, &name, &standing, now).await });
    }

    /// Says what a decision left alone, and why.
    pub(super) fn say_what_waits(&mut self, plan: &Plan) {
        for violation in &plan.report.violations {
            tracing::error!("left out of the plan, because it breaks a rule: {violation}");
            self.metrics.violated();
        }
        for heard in &plan.report.heard {
            tracing::info!(
                policy = heard.policy,
                obeyed = heard.obeyed,
                failed = heard.failed,
                "{}: {}",
                heard.about,
                heard.words
            );
        }
        let snapshot = self.controller.snapshot();
        let unplaced = tell::of_unplaced(&plan.report.unplaced, snapshot);
        let blocked = tell::of_blocked(&plan.report.blocked, &self.book);
        self.teller.tell(unplaced.into_iter().chain(blocked), self.now);
    }
}

/// What is about to be done, one line each.
pub(super) fn log(action: &Action) {
    match action {
        Action::Launch(launch) => tracing::info!(
            claim = launch.claim,
            node_pool = launch.node_pool,
            pods = launch.pods.len(),
            offerings = launch.offerings.len(),
            price = %launch.price(),
            "launch"
        ),
        Action::Nominate(one) => tracing::debug!(pod = one.pod, node = one.node, "nominate"),
        Action::Register(one) => tracing::info!(claim = one.claim, node = one.node, "register"),
        Action::Initialize(one) => tracing::info!(claim = one.claim, node = one.node, "initialize"),
        Action::Cordon(one) => tracing::info!(claim = one.claim, node = one.node, "cordon"),
        Action::Uncordon(one) => tracing::info!(claim = one.claim, node = one.node, "uncordon"),
        Action::Delete(one) => tracing::info!(claim = one.claim, reason = ?one.reason, "delete"),
        Action::Evict(one) => {
            tracing::info!(claim = one.claim, pod = one.pod, forced = one.forced.is_some(), "evict");
        }
        Action::Terminate(one) => tracing::info!(claim = one.claim, instance = one.provider_id, "terminate"),
        Action::Finalize(one) => tracing::info!(claim = one.claim, node = one.node, "finalize"),
    }
}
