//! The plan in Karpenter's order, beside the same order said slowly and simply.

use proptest::prelude::{prop_assert_eq, proptest};

use super::{config, planned_in_karpenter_order};
use crate::cluster::at;
use crate::generated::{LATE, worlds};
use crate::reference;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_plan_in_karpenters_order_is_that_of_the_slow_and_simple_reference(world in worlds()) {
        let cluster = world.cluster();
        let plan = planned_in_karpenter_order(&cluster);
        prop_assert_eq!(reference::answer(&plan), reference::plan(cluster.state.snapshot(), at(LATE)));
    }
}
