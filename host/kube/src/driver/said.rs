//! What is said: of what waits and what is about to be done, by Events and in the log; and once a second on NodePools
//! themselves, as far as it has changed, by the one that leads.

use whittle_control::ports::Cloud;
use whittle_core::plan::{Action, Plan};

use super::Driver;
use crate::lease::Role;
use crate::{pools, tell};

impl<C: Cloud + Send + Sync + 'static> Driver<C> {
    /// Brings metrics and the status of NodePools up to date.
    pub(super) fn stand(&mut self) {
        self.tick();
        let snapshot = self.controller.snapshot();
        self.metrics.stand(snapshot, self.controller.unplaced().len());
        if !self.leads() {
            return;
        }
        let changed: Vec<_> = snapshot
            .node_pools
            .values()
            .map(|pool| (pool.name.clone(), pools::standing(pool, snapshot)))
            .filter(|(name, standing)| self.standings.get(name) != Some(standing))
            .collect();
        for (name, standing) in changed {
            self.publish(name, standing);
        }
        self.nominate_anew();
        self.list_instances();
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
