//! Spans: one for each decision with what it came to, and below it one for each action that is carried out, with what came
//! of that. Where they are sent, if anywhere, is the command's business.

use tracing::field::{Empty, display};
use tracing::{Span, info_span};
use whittle_control::execute::Effect;
use whittle_core::plan::{Action, Outcome, Plan};
use whittle_core::state::Snapshot;

/// A decision that is about to be made.
pub(super) fn decision() -> Span {
    info_span!(
        "decision",
        nodes = Empty,
        pods = Empty,
        launches = Empty,
        deletes = Empty,
        evictions = Empty,
        actions = Empty,
        unplaced = Empty,
        violations = Empty
    )
}

/// What a decision came to.
pub(super) fn note(decision: &Span, plan: &Plan, snapshot: &Snapshot) {
    if decision.is_disabled() {
        return;
    }
    let count = |is_one: fn(&Action) -> bool| plan.actions.iter().filter(|action| is_one(action)).count();
    decision.record("nodes", snapshot.nodes.len());
    decision.record("pods", snapshot.pods.len());
    decision.record("launches", count(|action| matches!(action, Action::Launch(_))));
    decision.record("deletes", count(|action| matches!(action, Action::Delete(_))));
    decision.record("evictions", count(|action| matches!(action, Action::Evict(_))));
    decision.record("actions", plan.actions.len());
    decision.record("unplaced", plan.report.unplaced.len());
    decision.record("violations", plan.report.violations.len());
}

/// An action that is carried out, because of a decision.
pub(super) fn action(decision: &Span, action: &Action) -> Span {
    macro_rules! span {
        ($name:literal, $($fields:tt)*) => {
            info_span!(parent: decision, $name, $($fields)*, outcome = Empty)
        };
    }
    match action {
        Action::Launch(one) => span!(
            "launch",
            claim = one.claim,
            node_pool = one.node_pool,
            pods = one.pods.len(),
            offerings = one.offerings.len(),
            instance = Empty,
            instance_type = Empty,
            zone = Empty
        ),
        Action::Nominate(one) => span!("nominate", pod = one.pod, node = one.node),
        Action::Register(one) => span!("register", claim = one.claim),
        Action::Initialize(one) => span!("initialize", claim = one.claim),
        Action::Cordon(one) => span!("cordon", claim = one.claim, node = one.node),
        Action::Uncordon(one) => span!("uncordon", claim = one.claim),
        Action::Delete(one) => span!("delete", claim = one.claim, reason = ?one.reason),
        Action::Evict(one) => span!("evict", claim = one.claim, pod = one.pod),
        Action::Terminate(one) => span!("terminate", claim = one.claim, instance = one.provider_id),
        Action::Finalize(one) => span!("finalize", claim = one.claim),
    }
}

/// A launch for a NodeClaim that was there already.
pub(super) fn launch(claim: &str) -> Span {
    info_span!("launch", claim, instance = Empty, instance_type = Empty, zone = Empty, outcome = Empty)
}

/// What came of an action.
pub(super) fn came(span: &Span, effect: &Effect) {
    match effect {
        Effect::Done => drop(span.record("outcome", "done")),
        Effect::UnderWay => drop(span.record("outcome", "under way")),
        Effect::Blocked { budget } => drop(span.record("outcome", display(format_args!("held by {budget}")))),
        Effect::Told(outcome) => became(span, outcome),
    }
}

/// What became of a launch or of an end.
pub(super) fn became(span: &Span, outcome: &Outcome) {
    match outcome {
        Outcome::Launched { instance, .. } => {
            span.record("instance", &instance.provider_id);
            span.record("instance_type", &instance.instance_type);
            span.record("zone", &instance.zone);
            span.record("outcome", "launched");
        }
        Outcome::InsufficientCapacity { .. } => drop(span.record("outcome", "no capacity")),
        Outcome::Terminated { .. } => drop(span.record("outcome", "terminated")),
        Outcome::Unwritten { message, .. } | Outcome::Failed { message, .. } => {
            span.record("outcome", message);
        }
    }
}
