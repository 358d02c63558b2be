//! Decisions in words, to compare whole. Names of new NodeClaims are left out: they mean nothing.

use whittle_core::disrupt::Round;
use whittle_core::plan::{Action, Launch, Plan};

/// Actions in order, then the pods without a place.
pub(crate) fn plan(plan: &Plan) -> Vec<String> {
    let mut lines = actions(&plan.actions);
    lines.extend(plan.report.unplaced.iter().map(ToString::to_string));
    lines
}

pub(crate) fn actions(actions: &[Action]) -> Vec<String> {
    actions.iter().map(action).collect()
}

fn action(action: &Action) -> String {
    match action {
        Action::Launch(launch) => launched(launch),
        Action::Nominate(nomination) => format!("{} on {}", nomination.pod, nomination.node),
        Action::Register(node) => format!("register {}", node.claim),
        Action::Initialize(node) => format!("initialize {}", node.claim),
        Action::Cordon(cordon) => format!("cordon {} ({:?})", cordon.claim, cordon.reason),
        Action::Uncordon(node) => format!("uncordon {}", node.claim),
        Action::Delete(delete) => format!("delete {} ({:?})", delete.claim, delete.reason),
        Action::Evict(eviction) => match eviction.forced {
            None => format!("evict {}", eviction.pod),
            Some(grace) => format!("force {} in {grace}", eviction.pod),
        },
        Action::Terminate(termination) => format!("terminate {}", termination.claim),
        Action::Finalize(node) => format!("finalize {}", node.claim),
    }
}

/// `general c.large/a/spot: web-0 web-1`, with the offering that the plan counts on.
fn launched(launch: &Launch) -> String {
    let first = launch.offerings.first().expect("a launch that lists an offering");
    let (kind, zone, way) = (&first.instance_type, &first.zone, first.capacity_type);
    format!("{} {kind}/{zone}/{way}: {}", launch.node_pool, launch.pods.join(" "))
}

/// Moves in order, then what keeps the others.
pub(crate) fn round(round: &Round) -> Vec<String> {
    let moves = round.moves.iter().map(|found| format!("{} {:?}", found.claim, found.reason));
    let blocked = round.blocked.iter().map(|blocked| format!("{}: {}", blocked.claim, blocked.why));
    moves.chain(blocked).collect()
}
