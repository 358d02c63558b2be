//! Drift: what was launched a moment ago is what is asked for, and no step of a replacement breaks a rule.

use proptest::prelude::{prop_assert_eq, proptest};
use whittle_core::check::check;
use whittle_core::disrupt::drifted::{drifted, pods_to_move, replacements};
use whittle_core::drift::drift;
use whittle_core::event::Event;
use whittle_core::model::fingerprint::{Fingerprint, VERSION};
use whittle_core::plan::{Action, Delete, DeleteReason, Plan};
use whittle_core::provision::problem::Cache;
use whittle_core::state::replacing::stamp;

use super::{config, planned};
use crate::cluster::nodes::carried_out;
use crate::cluster::{at, launches};
use crate::generated::{LATE, judgeable_worlds, worlds};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_just_launched_is_what_is_asked_for(world in worlds()) {
        let mut cluster = world.cluster();
        let mut plan = planned(&cluster, &mut Cache::default());
        stamp(&mut plan, cluster.state.snapshot());
        for launch in launches(&plan) {
            let made_from = launch.made_from.clone();
            cluster.tell(carried_out(&launch, at(LATE)).claim(|claim| claim.made_from = made_from), at(LATE));
            let snapshot = cluster.state.snapshot();
            prop_assert_eq!(drift(snapshot, &snapshot.claims[&launch.claim], at(LATE + 7_200)), None);
        }
    }

    #[test]
    fn no_step_of_a_replacement_breaks_a_rule(world in judgeable_worlds()) {
        let mut cluster = world.cluster();
        let old = Fingerprint { version: VERSION.to_owned(), hash: "of long ago".to_owned() };
        let claims: Vec<_> = cluster.state.snapshot().claims.values().cloned().collect();
        for mut claim in claims {
            claim.made_from.node_pool = Some(old.clone());
            cluster.tell(Event::NodeClaim(Box::new(claim)), at(LATE));
        }
        let found = drifted(cluster.state.snapshot(), at(LATE));
        let delete = |claim: &String| {
            let reason = DeleteReason::Disrupted(whittle_core::model::node_pool::DisruptionReason::Drifted);
            Action::Delete(Delete { claim: claim.clone(), reason })
        };
        let actions = found.at_once.moves.iter().map(|one| delete(&one.claim)).collect();
        let plan = Plan { actions, ..Plan::default() };
        prop_assert_eq!(check(cluster.state.snapshot(), &plan, at(LATE)), vec![]);
        for one in found.with_pods {
            let mut tried = cluster.clone();
            tried.state.replace(&one.claim, at(LATE));
            let plan = planned(&tried, &mut Cache::default());
            prop_assert_eq!(check(tried.state.snapshot(), &plan, at(LATE)), vec![]);
            let snapshot = tried.state.snapshot();
            let unplaced = |uid: &str| plan.report.unplaced.iter().any(|unplaced| unplaced.pod == uid);
            if pods_to_move(snapshot, &snapshot.claims[&one.claim], at(LATE)).any(|pod| unplaced(&pod.uid)) {
                continue;
            }
            tried.state.expect(&plan, at(LATE));
            let actions = replacements(tried.state.snapshot(), at(LATE)).actions;
            let plan = Plan { actions, ..Plan::default() };
            prop_assert_eq!(check(tried.state.snapshot(), &plan, at(LATE)), vec![]);
        }
    }
}
