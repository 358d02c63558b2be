//! What of a plan may be carried out: all of it, or what is left without the actions that break rules.
//!
//! A plan with a violation is a mistake of ours. It must not be carried out, and it must not keep the rest of a cluster
//! waiting either, so the actions that are to blame are left out and what remains is judged again.

use std::collections::BTreeSet;

use crate::check::{Violation, check};
use crate::model::time::Timestamp;
use crate::plan::{Action, Plan};
use crate::state::Snapshot;

/// An action may have been right only because of one that was left out. After so many looks the whole is given up.
const LOOKS_MAX: usize = 8;

/// Leaves out of a plan what breaks a rule, and then what breaks one without it, until the rest is legal. Tells every
/// violation that was found, those of the whole plan first. Of a plan whose violations name none of its actions, only
/// what no rule is about is left.
pub fn keep_legal(snapshot: &Snapshot, plan: &mut Plan, now: Timestamp) -> Vec<Violation> {
    let mut found = Vec::new();
    for _ in 0..LOOKS_MAX {
        // Judging means looking at the whole cluster, and most plans do no more than tell a node that it has joined.
        if !plan.actions.iter().any(is_judged) {
            return found;
        }
        let violations = check(snapshot, plan, now);
        if violations.is_empty() {
            return found;
        }
        let blamed: BTreeSet<&str> = violations.iter().map(|one| one.subject.as_str()).collect();
        let before = plan.actions.len();
        plan.actions.retain(|action| !is_blamed(action, &blamed, snapshot));
        let nobody = plan.actions.len() == before;
        found.extend(violations);
        if nobody {
            break;
        }
    }
    plan.actions.retain(|action| !is_judged(action));
    found
}

/// Whether any rule is about an action.
fn is_judged(action: &Action) -> bool {
    match action {
        Action::Register(_) | Action::Initialize(_) | Action::Uncordon(_) => false,
        Action::Launch(_)
        | Action::Nominate(_)
        | Action::Cordon(_)
        | Action::Delete(_)
        | Action::Evict(_)
        | Action::Terminate(_)
        | Action::Finalize(_) => true,
    }
}

/// Whether a violation names an action: by its NodeClaim or node, or by a pod that it is about.
fn is_blamed(action: &Action, blamed: &BTreeSet<&str>, snapshot: &Snapshot) -> bool {
    let named = |name: &str| blamed.contains(name);
    let pod = |uid: &String| match snapshot.pods.get(uid) {
        Some(pod) => named(&pod.full_name()),
        None => named(uid),
    };
    match action {
        Action::Launch(launch) => named(&launch.claim) || launch.pods.iter().any(pod),
        Action::Nominate(nomination) => named(&nomination.node) || pod(&nomination.pod),
        Action::Cordon(cordon) => named(&cordon.claim) || named(&cordon.node),
        Action::Delete(delete) => named(&delete.claim),
        Action::Evict(eviction) => named(&eviction.claim) || pod(&eviction.pod),
        Action::Terminate(termination) => named(&termination.claim),
        Action::Finalize(node) => named(&node.claim),
        Action::Register(_) | Action::Initialize(_) | Action::Uncordon(_) => false,
    }
}
