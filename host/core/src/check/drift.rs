//! Does a node that goes as drifted differ from what is asked for, and do its pods have places elsewhere?

use crate::check::disruption::Decision;
use crate::check::labels::selects;
use crate::check::placement::is_reschedulable;
use crate::check::world::{Place, World};
use crate::check::{Rule, Violation, broken};
use crate::model::fingerprint::Fingerprint;
use crate::model::instance_type::CapacityType;
use crate::model::node::{Instance, NodeClaim};
use crate::model::node_pool::NodePool;
use crate::model::pod::Pod;

/// Judges one node that goes as drifted.
pub(super) fn check(world: &World<'_>, decision: &Decision<'_, '_>) -> Vec<Violation> {
    let Decision { claim, place, pool, .. } = decision;
    let mut violations = Vec::new();
    if pool.is_some_and(|pool| !is_drifted(world, decision, pool)) {
        let found = "a node that is what its NodePool and its EC2NodeClass ask for";
        violations.push(broken(Rule::Drift, &claim.name, found, "one that is not"));
    }
    let stranded = place.there.iter().filter(|pod| pod.node.is_some() && has_to_move(world, pod));
    let stranded = stranded.filter(|pod| !has_place(world, pod));
    violations.extend(stranded.map(|pod| {
        let found = format!("pod {} that is expected nowhere else", pod.full_name());
        broken(Rule::PodsFit, &claim.name, found, "a place for each pod before its node goes")
    }));
    violations
}

/// Judges the end of a node whose replacement was decided on earlier: the places of its pods are ready.
pub(super) fn check_end(world: &World<'_>, claim: &NodeClaim, place: &Place<'_>) -> Vec<Violation> {
    let is_ready = |pod: &Pod| {
        let earlier = world.snapshot.nominations.get(&pod.uid).filter(|(_, until)| *until > world.now);
        let place = earlier.and_then(|(target, _)| world.places.get(target.as_str()));
        place.is_some_and(|place| {
            place.leaving.is_none()
                && place.node.is_some()
                && place.claim.is_none_or(|claim| claim.initialized.is_some())
        })
    };
    let moving = place.there.iter().filter(|pod| pod.node.is_some() && has_to_move(world, pod));
    let early = moving.filter(|pod| !is_ready(pod)).map(|pod| {
        let found = format!("pod {} whose place is not ready", pod.full_name());
        broken(Rule::PodsFit, &claim.name, found, "a place for each pod that is ready for it")
    });
    early.collect()
}

/// Whether anything at all is different.
fn is_drifted(world: &World<'_>, decision: &Decision<'_, '_>, pool: &NodePool) -> bool {
    let Decision { claim, place, .. } = decision;
    let differ = |made: Option<&Fingerprint>, asked: Option<&Fingerprint>| {
        made.zip(asked).is_some_and(|(made, asked)| made.version == asked.version && made.hash != asked.hash)
    };
    let class = world.snapshot.node_classes.get(&claim.node_class);
    let by_pool = differ(claim.made_from.node_pool.as_ref(), Some(&pool.fingerprint()));
    let by_class = differ(claim.made_from.node_class.as_ref(), class.and_then(|it| it.fingerprint.as_ref()));
    let by_labels = !place.fulfils_one_of(std::slice::from_ref(&pool.requirements));
    let Some(instance) = &claim.instance else { return false };
    let by_cloud = world.snapshot.cloud_drift.contains_key(&instance.provider_id);
    by_pool || by_class || by_labels || by_cloud || !is_sold(world, &claim.node_class, instance)
}

fn is_sold(world: &World<'_>, class: &str, instance: &Instance) -> bool {
    let kind = world.instance_types.get(class).and_then(|types| types.get(instance.instance_type.as_str()));
    kind.is_some_and(|kind| {
        kind.offerings.iter().any(|offering| {
            let reserved = instance.capacity_type == CapacityType::Reserved;
            let may_be = offering.capacity_type == instance.capacity_type
                || (reserved && offering.capacity_type == CapacityType::OnDemand);
            may_be && offering.zone == instance.zone
        })
    })
}

/// Whether a pod has to start elsewhere before its node goes: one that nothing may move stays until the end.
fn has_to_move(world: &World<'_>, pod: &Pod) -> bool {
    let budgets = world.snapshot.disruption_budgets.values();
    let covering = budgets.filter(|budget| {
        budget.namespace == pod.spec.namespace && selects(budget.selector.as_ref(), &pod.spec.labels)
    });
    let covering: Vec<_> = covering.collect();
    let stays = pod.is_do_not_disrupt(world.now)
        || covering.len() > 1
        || covering.iter().any(|budget| budget.blocks_always);
    is_reschedulable(pod) && !stays
}

/// Whether a pod is expected somewhere that stays: by this plan, or by one before it.
fn has_place(world: &World<'_>, pod: &Pod) -> bool {
    let by_plan = world.placements.iter().find(|(uid, _)| *uid == pod.uid).map(|(_, target)| *target);
    let earlier = world.snapshot.nominations.get(&pod.uid).filter(|(_, until)| *until > world.now);
    let target = by_plan.or(earlier.map(|(target, _)| target.as_str()));
    target.is_some_and(|target| world.places.get(target).is_some_and(|place| place.leaving.is_none()))
}
