//! What holds for clusters with capacity reservations. Pods may wait for those until the next decision, so not
//! everything that holds for others holds for them.

use proptest::prelude::{any, prop_assert_eq, proptest};
use whittle_core::check::{Rule, Violation, check};
use whittle_core::provision::problem::Cache;

use super::{bytes, config, planned, planned_in_karpenter_order};
use crate::cluster::nodes::claimed;
use crate::cluster::{Cluster, at, launches};
use crate::generated::{LATE, reserved_worlds};

/// What the next plan promises of reserved capacity that is not there.
fn promised_too_often(cluster: &Cluster) -> Vec<Violation> {
    let next = planned(cluster, &mut Cache::default());
    let violations = check(cluster.state.snapshot(), &next, at(LATE));
    violations.into_iter().filter(|one| matches!(one.rule, Rule::Reservation | Rule::Offering)).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_plan_promises_reserved_capacity_twice_or_breaks_another_rule(world in reserved_worlds()) {
        let mut cluster = world.cluster();
        let plan = planned(&cluster, &mut Cache::default());
        for plan in [plan.clone(), planned_in_karpenter_order(&cluster)] {
            prop_assert_eq!(check(cluster.state.snapshot(), &plan, at(LATE)), vec![]);
        }
        cluster.state.expect(&plan, at(LATE));
        prop_assert_eq!(promised_too_often(&cluster), vec![], "what is asked for counts");
        for launch in launches(&plan) {
            cluster.tell(claimed(&launch, at(LATE)), at(LATE));
        }
        prop_assert_eq!(promised_too_often(&cluster), vec![], "what is on its way counts");
    }

    #[test]
    fn with_reservations_too_the_order_in_which_things_become_known_does_not_matter(
        world in reserved_worlds(),
        seed in any::<u64>(),
    ) {
        let (one, other) = (world.cluster(), world.shuffled(seed));
        let plans = [&one, &other].map(|cluster| planned(cluster, &mut Cache::default()));
        prop_assert_eq!(bytes(&plans[0]), bytes(&plans[1]));
    }
}
