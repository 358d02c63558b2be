//! What holds for the second of two decisions: pods go on coming while nodes are on their way for others.

use proptest::prelude::{prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;
use whittle_core::check::check;
use whittle_core::event::Event;
use whittle_core::model::pod::{Pod, PodSpec};
use whittle_core::provision::problem::Cache;

use super::{config, planned, planned_in_karpenter_order};
use crate::cluster::nodes::{carried_out, claimed};
use crate::cluster::pods::pods;
use crate::cluster::pools::daemon_set;
use crate::cluster::{Cluster, at, launches};
use crate::generated::{LATE, staying_worlds};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_second_plan_breaks_a_rule_while_the_first_is_carried_out(world in staying_worlds()) {
        let mut cluster = world.cluster();
        let late = hold_back(&mut cluster);
        let first = planned(&cluster, &mut Cache::default());
        cluster.state.expect(&first, at(LATE));
        nothing_is_broken(&cluster, &late)?;
        for launch in launches(&first) {
            cluster.tell(claimed(&launch, at(LATE)), at(LATE));
        }
        nothing_is_broken(&cluster, &late)?;
        for launch in launches(&first) {
            cluster.tell(carried_out(&launch, at(LATE)), at(LATE));
        }
        nothing_is_broken(&cluster, &late)?;
    }

    #[test]
    fn no_successor_gets_a_node_of_its_own_while_one_is_on_its_way_for_those_before_it(world in staying_worlds()) {
        let mut cluster = world.cluster();
        let first = planned(&cluster, &mut Cache::default());
        cluster.state.expect(&first, at(LATE));
        let launches = launches(&first);
        let successors: Vec<String> = succeeded(&mut cluster, launches.iter().flat_map(|one| &one.pods));
        get_none_of_their_own(&cluster, &successors)?;
        for launch in &launches {
            cluster.tell(claimed(launch, at(LATE)), at(LATE));
        }
        get_none_of_their_own(&cluster, &successors)?;
        cluster.tell(daemon_set(pods("late", 0).cpu(500)), at(LATE));
        nothing_is_broken(&cluster, &[])?;
    }
}

/// Pods go and others like them come.
fn succeeded<'a>(cluster: &mut Cluster, pods: impl Iterator<Item = &'a String>) -> Vec<String> {
    let gone: Vec<Pod> = pods.filter_map(|uid| cluster.state.snapshot().pods.get(uid).cloned()).collect();
    for pod in &gone {
        cluster.tell(Event::PodGone(pod.uid.clone()), at(LATE));
    }
    let successors = gone.into_iter().map(|pod| {
        let (uid, name) = (format!("{}-again", pod.uid), format!("{}-again", pod.name));
        cluster.tell(Pod { uid: uid.clone(), name, node: None, unschedulable: true, ..pod }, at(LATE));
        uid
    });
    successors.collect()
}

fn get_none_of_their_own(cluster: &Cluster, successors: &[String]) -> Result<(), TestCaseError> {
    for plan in [planned(cluster, &mut Cache::default()), planned_in_karpenter_order(cluster)] {
        prop_assert_eq!(check(cluster.state.snapshot(), &plan, at(LATE)), vec![]);
        let launched = launches(&plan).into_iter().flat_map(|launch| launch.pods);
        let again: Vec<String> = launched.filter(|pod| successors.contains(pod)).collect();
        // Who has come since may keep them from where those before them would have been.
        if !cluster.state.snapshot().pods.iter().any(|pod| minds_others(&pod.spec)) {
            prop_assert_eq!(again, Vec::<String>::new());
        }
    }
    Ok(())
}

fn minds_others(spec: &PodSpec) -> bool {
    !(spec.topology_spread.is_empty() && spec.pod_affinity.is_empty() && spec.pod_anti_affinity.is_empty())
}

/// Every second pod that waits comes later.
fn hold_back(cluster: &mut Cluster) -> Vec<Pod> {
    let waiting = cluster.state.snapshot().waiting().flat_map(|(_, pods)| pods.cloned());
    let late: Vec<Pod> = waiting.skip(1).step_by(2).collect();
    for pod in &late {
        cluster.tell(Event::PodGone(pod.uid.clone()), at(LATE));
    }
    late
}

fn nothing_is_broken(cluster: &Cluster, late: &[Pod]) -> Result<(), TestCaseError> {
    let mut cluster = cluster.clone();
    for pod in late {
        cluster.tell(pod.clone(), at(LATE));
    }
    for plan in [planned(&cluster, &mut Cache::default()), planned_in_karpenter_order(&cluster)] {
        prop_assert_eq!(check(cluster.state.snapshot(), &plan, at(LATE)), vec![]);
    }
    Ok(())
}
