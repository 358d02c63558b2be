//! What holds for the second of two decisions: pods go on coming while nodes are on their way for others.

use proptest::prelude::{prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;
use whittle_core::check::check;
use whittle_core::event::Event;
use whittle_core::model::pod::Pod;
use whittle_core::provision::problem::Cache;

use super::{config, planned, planned_in_karpenter_order};
use crate::cluster::nodes::{carried_out, claimed};
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
