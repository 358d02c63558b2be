//! When to decide what: the batch window, the disruption round, and moves that wait for their second look.
//!
//! A state machine without IO. Whoever drives it hands in events and the time, asks when it wants to be woken,
//! and carries out the plans it gives.

mod drift;

use std::sync::Arc;

use whittle_core::check::Violation;
use whittle_core::check::legal::keep_legal;
use whittle_core::disrupt::Move;
use whittle_core::disrupt::drifted::{replacements, wants_places};
use whittle_core::event::Event;
use whittle_core::interruption::interruption;
use whittle_core::lifecycle::lifecycle;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, Delete, DeleteReason, Outcome, Plan, Retaint};
use whittle_core::provision::problem::Cache;
use whittle_core::state::replacing::stamp;
use whittle_core::state::{ClusterState, Snapshot};
use whittle_core::why::{MoveBlocked, Unplaced};

use crate::advised::Advised;
use crate::batch::BatchWindow;
use crate::controller::drift::{Look, Tries};
use crate::ports::policies::Policies;

/// How the loop behaves. The defaults are Karpenter's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A batch of waiting pods is closed when no new one has come for this long.
    pub batch_idle: Duration,
    /// A batch of waiting pods is closed at the latest after this long.
    pub batch_max: Duration,
    /// How often pods that wait are looked at again.
    pub retry_interval: Duration,
    /// How often nodes are looked at for disruption.
    pub disruption_interval: Duration,
    /// How long a consolidation waits before it is looked at again and carried out.
    pub validation_delay: Duration,
    /// The seed from which names are made.
    pub seed: u64,
    /// What changes decisions themselves.
    pub decisions: whittle_core::settings::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_idle: Duration::from_secs(1),
            batch_max: Duration::from_secs(10),
            retry_interval: Duration::from_secs(10),
            disruption_interval: Duration::from_secs(10),
            validation_delay: Duration::from_secs(15),
            seed: 0,
            decisions: whittle_core::settings::Settings::default(),
        }
    }
}

/// The loop's state. Besides what is known about the cluster it holds only what may be lost: a batch that is being
/// collected, and moves that have not been carried out.
#[derive(Clone, Debug)]
pub struct Controller {
    settings: Settings,
    state: ClusterState,
    advised: Advised,
    cache: Cache,
    batch: BatchWindow,
    /// Whether instances that EC2 takes back are to be looked after at once.
    urgent: bool,
    retry: Option<Retry>,
    pending: Option<PendingMoves>,
    next_round: Timestamp,
    tries: Tries,
    /// The state's version when the last round found nothing, and when the next look is worth it all the same.
    seen: Option<(u64, Option<Timestamp>)>,
    next_step: Option<Timestamp>,
    unplaced: Vec<Unplaced>,
    blocked: Vec<MoveBlocked>,
}

/// Pods that wait, to be looked at again when something has changed.
#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Timestamp,
    /// The state's version when they were last looked at.
    version: u64,
    /// When an offering that EC2 refused may be asked for again, or a pod is no longer expected where it was.
    expiry: Option<Timestamp>,
}

/// Moves that wait for their second look.
#[derive(Clone, Debug)]
struct PendingMoves {
    moves: Vec<Move>,
    at: Timestamp,
}

/// A round of disruption is worth it at the latest after this long, whatever has changed (Karpenter: 5 min).
const ROUND_AT_LEAST_EVERY: Duration = Duration::from_secs(300);

impl Controller {
    /// A loop that knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let batch = BatchWindow::new(settings.batch_idle, settings.batch_max);
        let state = ClusterState::new(settings.decisions.clone());
        Self {
            settings,
            batch,
            state,
            advised: Advised::default(),
            cache: Cache::default(),
            urgent: false,
            retry: None,
            pending: None,
            next_round: Timestamp::EPOCH,
            tries: Tries::default(),
            seen: None,
            next_step: Some(Timestamp::EPOCH),
            unplaced: Vec::new(),
            blocked: Vec::new(),
        }
    }

    /// The same loop, asking these policies.
    #[must_use]
    pub fn with_policies(self, policies: Arc<dyn Policies>) -> Self {
        Self { advised: Advised::new(policies), ..self }
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        self.state.snapshot()
    }

    /// The pods for which the last decision about pods found no place.
    #[must_use]
    pub fn unplaced(&self) -> &[Unplaced] {
        &self.unplaced
    }

    /// The quiet nodes that stayed in the last disruption round, and what kept them.
    #[must_use]
    pub fn blocked(&self) -> &[MoveBlocked] {
        &self.blocked
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        match &event {
            Event::Pod(pod) if pod.is_provisionable() => self.batch.trigger(&pod.uid, now),
            // It has a place, or is promised one: should it lose that, it waits anew.
            Event::Pod(pod) => self.batch.forget(&pod.uid),
            Event::NodeClaim(claim) if claim.deleting.is_some() => self.batch.trigger(&claim.name, now),
            // Nothing is gained by waiting: what was refused is needed as much as before.
            Event::Outcome(Outcome::InsufficientCapacity { .. }) | Event::Notice(_) => self.urgent = true,
            _ => {}
        }
        if let Event::PodGone(uid) | Event::NodeClaimGone(uid) = &event {
            self.batch.forget(uid);
        }
        if let Some(event) = self.advised.hear(event, self.state.snapshot(), now) {
            self.state.apply(event, now);
        }
        // What is due next may have come closer.
        self.next_step = Some(self.next_step.map_or(now, |at| at.min(now)));
    }

    /// Other policies are in force: what waits and what stays is to be looked at anew, now.
    pub fn reconsider(&mut self, now: Timestamp) {
        self.next_step = Some(self.next_step.map_or(now, |at| at.min(now)));
    }

    /// When `decide` wants to be called next if nothing else happens; `None`: not before the next event.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let retry = self.retry.and_then(|retry| {
            let changed = retry.version != self.snapshot().version;
            if changed { Some(retry.at) } else { retry.expiry.map(|expiry| expiry.max(retry.at)) }
        });
        let round = match (&self.pending, self.seen) {
            (Some(pending), _) => Some(pending.at),
            (None, Some((version, at))) if version == self.snapshot().version => {
                at.map(|at| at.max(self.next_round))
            }
            (None, _) => (!self.snapshot().claims.is_empty()).then_some(self.next_round),
        };
        let wakes = [self.next_step, self.batch.closes_at(), retry, round];
        wakes.into_iter().flatten().min()
    }

    /// Decides whatever is due at `now`. What would break a rule is left out of the plan and said in its report.
    pub fn decide(&mut self, now: Timestamp) -> Plan {
        self.state.expire(now);
        if self.advised.is_swapped() {
            self.urgent = true;
            self.seen = None;
        }
        let mut plan = Plan::default();
        self.give_up_replacements(now);
        if self.is_provisioning_due(now) || wants_places(self.snapshot(), now) {
            let provisioned = self.advised.provision(&self.state, &mut self.cache, (now, self.settings.seed));
            (plan.actions, plan.report.violations) = self.take_up(provisioned, now);
            // A node that is being replaced and a pod of which has no place any more stays.
            self.give_up_replacements(now);
        }
        let look = if self.is_round_due(now) { self.look_at_drift(now) } else { Look::default() };
        plan.actions.extend(look.launches.iter().cloned());
        plan.report.violations.extend(look.violations.iter().cloned());
        // After provisioning, because a replacement is launched before the node it replaces is cordoned.
        let mut due = interruption(self.snapshot(), now);
        due.extend(lifecycle(self.snapshot(), now));
        due.extend(replacements(self.snapshot(), now));
        self.next_step = due.next;
        let mut rest = Plan { actions: due.actions, ..Plan::default() };
        self.disrupt(now, look, &mut rest);
        plan.report.violations.extend(keep_legal(self.snapshot(), &mut rest, now));
        plan.report.blocked = rest.report.blocked;
        plan.actions.extend(rest.actions);
        plan.report.unplaced.clone_from(&self.unplaced);
        plan.report.heard = self.advised.take_heard();
        plan
    }

    /// Taints that living nodes are to get or to lose, after a decision: what policies want, and what they want no more.
    /// Asking again gives the same until it is done.
    pub fn retaints(&mut self) -> Vec<Retaint> {
        self.advised.retaints(self.state.snapshot())
    }

    /// Whether a decision at `now` gives waiting pods their places.
    #[must_use]
    pub fn is_provisioning_due(&self, now: Timestamp) -> bool {
        let closed = self.batch.closes_at().is_some_and(|at| at <= now);
        let version = self.snapshot().version;
        let retry = self.retry.is_some_and(|retry| retry.at <= now && retry.version != version);
        self.urgent || closed || retry || self.advised.is_due(now)
    }

    /// Takes up what was decided about pods, as far as it breaks no rule.
    fn take_up(&mut self, mut plan: Plan, now: Timestamp) -> (Vec<Action>, Vec<Violation>) {
        self.urgent = false;
        self.batch.close();
        self.note_waiting(&plan, now);
        leave_out_what_ends(&mut plan, self.snapshot(), now);
        stamp(&mut plan, self.snapshot());
        // Before it is expected: nobody is to wait for a node that is not launched.
        let violations = keep_legal(self.snapshot(), &mut plan, now);
        self.state.expect(&plan, now);
        (plan.actions, violations)
    }

    /// Which pods wait, and when they are looked at again.
    fn note_waiting(&mut self, plan: &Plan, now: Timestamp) {
        let snapshot = self.state.snapshot();
        self.unplaced.clone_from(&plan.report.unplaced);
        let waiting = snapshot.is_anything_waiting() || !self.unplaced.is_empty();
        self.retry = waiting.then(|| Retry {
            at: now + self.settings.retry_interval,
            version: snapshot.version,
            expiry: [snapshot.next_expiry(now), self.advised.next_due(now)].into_iter().flatten().min(),
        });
    }

    /// A disruption round, or the second look at the moves of the last one. A round that takes drifted nodes looks for
    /// nothing else: what they leave and what replaces them comes first (Karpenter: one method at a time).
    fn disrupt(&mut self, now: Timestamp, look: Look, plan: &mut Plan) {
        if let Some(pending) = self.pending.take_if(|pending| pending.at <= now) {
            let round = self.advised.disrupt(&self.state, &mut self.cache, now, Some(&pending.moves));
            let still = round.moves.into_iter().filter(|found| pending.moves.contains(found));
            // Whatever was found to hold is carried out; the rest has its next chance in the next round.
            self.seen = None;
            plan.actions.extend(still.map(delete));
            return;
        }
        if !self.is_round_due(now) && !look.acts {
            return;
        }
        self.next_round = now + self.settings.disruption_interval;
        self.advised.review(self.state.snapshot(), now);
        let Look { acts, deletes, blocked, next, .. } = look;
        if acts {
            self.seen = None;
            plan.actions.extend(deletes);
            plan.report.blocked = blocked;
            return;
        }
        let mut round = self.advised.disrupt(&self.state, &mut self.cache, now, None);
        // What keeps a node from being replaced often keeps it from being consolidated as well.
        let known = std::mem::take(&mut round.blocked);
        round.blocked = blocked.into_iter().filter(|one| !known.contains(one)).collect();
        round.blocked.splice(0..0, known);
        round.next = [round.next, next].into_iter().flatten().min();
        plan.report.blocked.clone_from(&round.blocked);
        self.blocked = round.blocked;
        if round.moves.is_empty() {
            let again = now + ROUND_AT_LEAST_EVERY;
            let next = round.next.map_or(again, |next| next.min(again));
            let anything = !self.snapshot().claims.is_empty();
            self.seen = Some((self.snapshot().version, anything.then_some(next)));
        } else {
            let at = now + self.settings.validation_delay;
            self.pending = Some(PendingMoves { moves: round.moves, at });
        }
    }

    fn is_round_due(&self, now: Timestamp) -> bool {
        self.pending.is_none() && now >= self.next_round && !self.is_round_pointless(now)
    }

    fn is_round_pointless(&self, now: Timestamp) -> bool {
        self.seen.is_some_and(|(version, next)| {
            version == self.snapshot().version && next.is_none_or(|next| now < next)
        })
    }
}

fn delete(found: Move) -> Action {
    Action::Delete(Delete { claim: found.claim, reason: DeleteReason::Disrupted(found.reason) })
}

/// Takes the nominations out that name a NodeClaim whose time is up at this very moment: it is ended by the same plan.
/// Its pods get their place as soon as it is known to go.
fn leave_out_what_ends(provisioned: &mut Plan, snapshot: &Snapshot, now: Timestamp) {
    if !provisioned.actions.iter().any(|action| matches!(action, Action::Nominate(_))) {
        return;
    }
    let due = lifecycle(snapshot, now).actions;
    let ends = |node: &str| {
        due.iter().any(|action| matches!(action, Action::Delete(delete) if delete.claim == node))
    };
    provisioned.actions.retain(|action| !matches!(action, Action::Nominate(one) if ends(&one.node)));
}

#[cfg(test)]
mod tests {
    use whittle_core::model::time::{Duration, Timestamp};

    use super::{Controller, Settings};

    #[test]
    fn an_empty_cluster_asks_for_one_look_and_then_for_none() {
        let mut controller = Controller::new(Settings::default());
        assert_eq!(controller.next_wake(), Some(Timestamp::EPOCH));
        let now = Timestamp::EPOCH + Duration::from_secs(60);
        assert_eq!(controller.decide(now).actions, Vec::new());
        assert_eq!(controller.next_wake(), None);
    }
}
