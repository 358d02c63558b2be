//! What holds for every cluster. A failure prints the cluster and the seed.

mod drift;
mod parity;
mod prices;
mod reserved;
mod second;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::{RngSeed, TestCaseError};
use whittle_core::check::check;
use whittle_core::disrupt::disrupt;
use whittle_core::event::Event;
use whittle_core::model::pod::{Pod, PodPhase};
use whittle_core::plan::{Action, Delete, DeleteReason, Plan};
use whittle_core::provision::problem::Cache;
use whittle_core::provision::{provision, provision_in_karpenter_order};
use whittle_core::state::Snapshot;
use whittle_core::why::Why;

use crate::cluster::nodes::{carried_out, claimed};
use crate::cluster::{Cluster, at, launches, secs, text};
use crate::generated::{LATE, judgeable_worlds, quiet_worlds, staying_worlds, worlds};

/// The same clusters in every run, so that a failure is a failure for everybody; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(20_260_823),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn bytes(plan: &Plan) -> String {
    serde_json::to_string(plan).expect("a plan is plain data")
}

fn planned(cluster: &Cluster, cache: &mut Cache) -> Plan {
    provision(cluster.state.snapshot(), cache, at(LATE), 7)
}

fn planned_in_karpenter_order(cluster: &Cluster) -> Plan {
    provision_in_karpenter_order(cluster.state.snapshot(), &mut Cache::default(), at(LATE), 7)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_same_cluster_gives_the_same_bytes(world in worlds(), other in worlds()) {
        let cluster = world.cluster();
        let fresh = planned(&cluster, &mut Cache::default());
        let mut used = Cache::default();
        planned(&other.cluster(), &mut used);
        prop_assert_eq!(bytes(&fresh), bytes(&planned(&cluster, &mut used)), "whatever was decided before");
    }

    #[test]
    fn the_order_in_which_things_become_known_does_not_matter(world in worlds(), seed in any::<u64>()) {
        let (one, other) = (world.cluster(), world.shuffled(seed));
        let plans = [&one, &other].map(|cluster| planned(cluster, &mut Cache::default()));
        prop_assert_eq!(bytes(&plans[0]), bytes(&plans[1]));
        let rounds = [&one, &other]
            .map(|cluster| disrupt(cluster.state.snapshot(), &mut Cache::default(), at(LATE), None));
        prop_assert_eq!(&rounds[0], &rounds[1]);
    }

    #[test]
    fn no_plan_breaks_a_rule(world in judgeable_worlds()) {
        let cluster = world.cluster();
        for plan in [planned(&cluster, &mut Cache::default()), planned_in_karpenter_order(&cluster)] {
            prop_assert_eq!(check(cluster.state.snapshot(), &plan, at(LATE)), vec![]);
        }
    }

    #[test]
    fn every_waiting_pod_is_in_exactly_one_place(world in worlds()) {
        let cluster = world.cluster();
        let plan = planned(&cluster, &mut Cache::default());
        let waiting: BTreeSet<_> = cluster.state.snapshot().waiting().flat_map(|(_, pods)| pods.map(|pod| pod.uid.clone())).collect();
        let found: Vec<_> = places(&plan).into_iter().filter(|pod| waiting.contains(pod)).collect();
        let once: BTreeSet<_> = found.iter().cloned().collect();
        prop_assert_eq!(found.len(), once.len(), "no pod twice");
        prop_assert_eq!(once, waiting);
    }

    #[test]
    fn nothing_is_left_to_plan_while_a_plan_is_carried_out(world in staying_worlds()) {
        let mut cluster = world.cluster();
        let plan = planned(&cluster, &mut Cache::default());
        cluster.state.expect(&plan, at(LATE));
        nothing_more(&cluster, &plan)?;
        for launch in launches(&plan) {
            cluster.tell(claimed(&launch, at(LATE)), at(LATE));
        }
        nothing_more(&cluster, &plan)?;
        for launch in launches(&plan) {
            cluster.tell(carried_out(&launch, at(LATE)), at(LATE));
        }
        nothing_more(&cluster, &plan)?;
        bind(&mut cluster, &plan);
        nothing_more(&cluster, &plan)?;
    }

    #[test]
    fn a_node_goes_only_when_its_pods_fit_on_the_others(world in quiet_worlds()) {
        let cluster = world.cluster();
        let round = disrupt(cluster.state.snapshot(), &mut Cache::default(), at(LATE), None);
        let actions = round.moves.iter().map(|found| {
            let reason = DeleteReason::Disrupted(found.reason);
            Action::Delete(Delete { claim: found.claim.clone(), reason })
        });
        let plan = Plan { actions: actions.collect(), ..Plan::default() };
        prop_assert_eq!(check(cluster.state.snapshot(), &plan, at(LATE)), vec![]);
        if let Some(first) = round.moves.first() {
            let mut cluster = cluster.clone();
            evict_all(&mut cluster, &first.claim);
            let plan = planned(&cluster, &mut Cache::default());
            prop_assert_eq!(launches(&plan), vec![], "of {}", first.claim);
            prop_assert_eq!(&plan.report.unplaced, &vec![], "of {}", first.claim);
        }
    }
}

/// Every mention of a pod in a plan.
fn places(plan: &Plan) -> Vec<String> {
    let mut found: Vec<String> = plan.report.unplaced.iter().map(|unplaced| unplaced.pod.clone()).collect();
    for action in &plan.actions {
        match action {
            Action::Launch(launch) => found.extend(launch.pods.iter().cloned()),
            Action::Nominate(nomination) => found.push(nomination.pod.clone()),
            other => panic!("provisioning does not {other:?}"),
        }
    }
    found
}

/// The next plan does nothing, and no pod that had no place has one now. Limits and minimum values are the exception:
/// a launch is charged as the largest type that it lists, and may turn out smaller; and once it is one type there is no
/// choice of types any more that a pod could narrow too far.
fn nothing_more(cluster: &Cluster, before: &Plan) -> Result<(), TestCaseError> {
    let unplaced = &before.report.unplaced;
    let mut reasons = unplaced.iter().flat_map(|unplaced| &unplaced.node_pools);
    let limited = reasons.any(|reason| matches!(reason.why, Why::Limit { .. }));
    // Of several alternatives of a pod only the first is given a reason, so this cannot be told by reasons.
    let pools = &cluster.state.snapshot().node_pools;
    let mut asked = pools.values().flat_map(|pool| &pool.requirements);
    let narrowed = !unplaced.is_empty() && asked.any(|requirement| requirement.min_values.is_some());
    if limited || narrowed {
        return Ok(());
    }
    let after = planned(cluster, &mut Cache::default());
    prop_assert_eq!(text::actions(&after.actions), Vec::<String>::new());
    let unplaced = |plan: &Plan| plan.report.unplaced.iter().map(|u| u.pod.clone()).collect::<Vec<_>>();
    prop_assert_eq!(unplaced(&after), unplaced(before));
    prop_assert!(check(cluster.state.snapshot(), &after, at(LATE)).is_empty());
    Ok(())
}

/// All new nodes are ready, and kube-scheduler has put the pods where they were expected.
fn bind(cluster: &mut Cluster, plan: &Plan) {
    let mut bound: BTreeMap<String, String> = BTreeMap::new();
    for action in &plan.actions {
        match action {
            Action::Launch(launch) => {
                let machine = carried_out(launch, at(LATE)).joined();
                let node = machine.node.as_ref().expect("a node that has joined").name.clone();
                cluster.tell(machine, at(LATE));
                bound.extend(launch.pods.iter().map(|pod| (pod.clone(), node.clone())));
            }
            Action::Nominate(nomination) => {
                // A node that has not joined yet does so when the pod is bound; its name is known beforehand.
                let node = match cluster.state.snapshot().nodes.contains_key(&nomination.node) {
                    true => nomination.node.clone(),
                    false => format!("node-{}", nomination.node),
                };
                bound.insert(nomination.pod.clone(), node);
            }
            _ => {}
        }
    }
    join_all(cluster);
    for (uid, node) in bound {
        let pod = cluster.state.snapshot().pods.get(&uid).cloned().expect("a plan places known pods");
        cluster.tell(running(pod, &node), at(LATE));
    }
}

/// Every node that is on its way joins and is initialized.
fn join_all(cluster: &mut Cluster) {
    let claims: Vec<_> = cluster.state.snapshot().claims.values().cloned().collect();
    for claim in claims.into_iter().filter(|claim| claim.deleting.is_none() && claim.node.is_none()) {
        let machine = crate::cluster::nodes::Machine { claim: Some(claim), node: None };
        cluster.tell(machine.joined(), at(LATE));
    }
}

fn running(pod: Pod, node: &str) -> Pod {
    Pod { node: Some(node.to_owned()), phase: PodPhase::Running, unschedulable: false, ready: true, ..pod }
}

/// A node is gone, and its pods wait.
fn evict_all(cluster: &mut Cluster, claim: &str) {
    let snapshot: Snapshot = cluster.state.snapshot().clone();
    let node = &snapshot.claims[claim].node.clone().expect("a node that has joined");
    for pod in snapshot.pods_on(node) {
        let waits = Pod {
            node: None,
            phase: PodPhase::Pending,
            unschedulable: true,
            ready: false,
            started: None,
            ..pod.clone()
        };
        cluster.tell(waits, at(LATE));
    }
    cluster.tell(Event::NodeGone(node.clone()), at(LATE) + secs(1));
    cluster.tell(Event::NodeClaimGone(claim.to_owned()), at(LATE) + secs(1));
}
