//! Which actions of a plan may be carried out side by side: those in different lanes.
//!
//! A plan is in order, and most of the order says nothing: two new nodes have nothing to do with one another. What
//! concerns one NodeClaim stays in order, and a NodeClaim that stands in for others comes before what is done to them.

use std::collections::BTreeMap;

use whittle_core::plan::Action;

/// The positions of the plan's actions by lane, each lane in the plan's order.
#[must_use]
pub fn lanes(actions: &[Action]) -> Vec<Vec<usize>> {
    let mut lanes: Vec<Vec<usize>> = Vec::new();
    let mut lane_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (position, action) in actions.iter().enumerate() {
        let subjects = subjects(action);
        let mut known: Vec<usize> =
            subjects.iter().filter_map(|subject| lane_of.get(subject).copied()).collect();
        known.sort_unstable();
        known.dedup();
        let lane = known.first().copied().unwrap_or_else(|| {
            lanes.push(Vec::new());
            lanes.len() - 1
        });
        for joined in known.into_iter().skip(1) {
            let moved = std::mem::take(&mut lanes[joined]);
            lanes[lane].extend(moved);
            lanes[lane].sort_unstable();
            for theirs in lane_of.values_mut().filter(|theirs| **theirs == joined) {
                *theirs = lane;
            }
        }
        lanes[lane].push(position);
        lane_of.extend(subjects.into_iter().map(|subject| (subject, lane)));
    }
    lanes.retain(|lane| !lane.is_empty());
    lanes
}

/// What an action is about. Evictions and nominations are about one pod and wait for nothing: a node's pods leave side
/// by side.
fn subjects(action: &Action) -> Vec<&str> {
    match action {
        Action::Launch(launch) => {
            std::iter::once(&launch.claim).chain(&launch.replaces).map(String::as_str).collect()
        }
        Action::Nominate(nomination) => vec![&nomination.pod],
        Action::Evict(eviction) => vec![&eviction.pod],
        Action::Register(one) | Action::Initialize(one) | Action::Uncordon(one) | Action::Finalize(one) => {
            vec![&one.claim]
        }
        Action::Cordon(cordon) => vec![&cordon.claim],
        Action::Delete(delete) => vec![&delete.claim],
        Action::Terminate(termination) => vec![&termination.claim],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use whittle_core::model::resources::Resources;
    use whittle_core::plan::{Action, Cordon, Delete, DeleteReason, Eviction, Launch, NodeRef};

    use super::lanes;

    fn launch(claim: &str, replaces: &[&str]) -> Action {
        Action::Launch(Box::new(Launch {
            claim: claim.into(),
            node_pool: "pool".into(),
            node_class: "class".into(),
            labels: Arc::default(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            requirements: Arc::default(),
            min_values_relaxed: false,
            offerings: Arc::default(),
            requests: Resources::default(),
            pods: Vec::new(),
            expire_after: None,
            termination_grace_period: None,
            replaces: replaces.iter().map(|&name| name.to_owned()).collect(),
            made_from: whittle_core::model::fingerprint::MadeFrom::default(),
        }))
    }

    fn cordon(claim: &str) -> Action {
        let (claim, node) = (claim.to_owned(), format!("node-of-{claim}"));
        Action::Cordon(Cordon { claim, node, reason: DeleteReason::Interrupted })
    }

    fn delete(claim: &str) -> Action {
        Action::Delete(Delete { claim: claim.into(), reason: DeleteReason::Interrupted })
    }

    fn evict(pod: &str, claim: &str) -> Action {
        Action::Evict(Eviction { pod: pod.into(), claim: claim.into(), forced: None })
    }

    #[test]
    fn what_concerns_one_claim_stays_in_order_and_the_rest_goes_side_by_side() {
        let register = Action::Register(NodeRef { claim: "c".into(), node: Some("n".into()) });
        let plan = [launch("a", &[]), launch("b", &[]), cordon("d"), register, delete("d")];
        assert_eq!(lanes(&plan), [vec![0], vec![1], vec![2, 4], vec![3]]);
    }

    #[test]
    fn a_replacement_comes_before_what_is_done_to_all_that_it_replaces() {
        let plan = [cordon("y"), launch("new", &["x", "y"]), cordon("x"), delete("x"), delete("y")];
        assert_eq!(lanes(&plan), [[0, 1, 2, 3, 4]]);
    }

    #[test]
    fn pods_of_one_node_leave_side_by_side() {
        assert_eq!(lanes(&[evict("1", "a"), evict("2", "a")]), [[0], [1]]);
    }
}
