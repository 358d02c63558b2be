//! From the core's words to those of version 0.1. Only the labels that a policy reads are copied.

use std::collections::{BTreeMap, BTreeSet};

use whittle_core::advice::words::{self, LivingNode, Past, Reads, WaitingPods};
use whittle_core::advice::{
    capacity as asked_capacity, consolidation as asked_consolidation, interruption as asked_interruption,
    offerings as asked_offerings,
};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::node_pool::DisruptionReason;
use whittle_core::model::pod::Owner;
use whittle_core::model::requirement::{Taint, TaintEffect, Toleration, TolerationOperator};
use whittle_core::model::resources::Resources;

use super::bindings::exports::whittle::policy::{capacity, consolidation, interruption, offerings};
use super::bindings::whittle::policy::types;

pub(super) fn groups(groups: &[WaitingPods], reads: &Reads) -> Vec<types::PodGroup> {
    groups.iter().map(|waiting| group(waiting, reads)).collect()
}

fn group(group: &WaitingPods, reads: &Reads) -> types::PodGroup {
    let (owner_kind, owner_name) = owner(group.owner.as_ref());
    types::PodGroup {
        namespace: group.namespace.clone(),
        owner_kind,
        owner_name,
        labels: labels(&group.labels, &reads.pod_labels),
        priority: group.priority,
        requests: resources(&group.requests),
        tolerations: group.tolerations.iter().map(toleration).collect(),
        pending: group.pending,
        waiting: group.waiting.millis(),
        running: group.running.iter().map(running).collect(),
        capacity_types: group.capacity_types.iter().copied().map(capacity_type).collect(),
        node_pools: group.node_pools.clone(),
        facts: flag("pod-group.do-not-disrupt", group.do_not_disrupt).into_iter().collect(),
    }
}

pub(super) fn nodes(nodes: &[LivingNode], reads: &Reads) -> Vec<types::Node> {
    nodes.iter().map(|living| node(living, reads)).collect()
}

fn node(node: &LivingNode, reads: &Reads) -> types::Node {
    let quiet = node.consolidate_after.and_then(|span| i64::try_from(span.millis()).ok());
    let quiet = quiet.map(|millis| types::Fact {
        name: "node.consolidate-after".to_owned(),
        value: types::Value::Integer(millis),
    });
    types::Node {
        claim: node.claim.clone(),
        node_pool: node.node_pool.clone(),
        instance_type: node.instance_type.clone(),
        zone: node.zone.clone(),
        capacity_type: capacity_type(node.capacity_type),
        price: node.price.micros(),
        created: node.created.millis(),
        initialized: node.initialized.map(|at| at.millis()),
        last_pod_event: node.last_pod_event.map(|at| at.millis()),
        labels: labels(&node.labels, &reads.node_labels),
        taints: node.taints.iter().map(taint).collect(),
        allocatable: resources(&node.allocatable),
        requested: resources(&node.requested),
        residents: node.residents.iter().map(|pods| residents(pods, reads)).collect(),
        facts: flag("node.do-not-disrupt", node.do_not_disrupt).into_iter().chain(quiet).collect(),
    }
}

fn residents(pods: &words::Residents, reads: &Reads) -> types::Residents {
    let (owner_kind, owner_name) = owner(pods.owner.as_ref());
    types::Residents {
        namespace: pods.namespace.clone(),
        owner_kind,
        owner_name,
        labels: labels(&pods.labels, &reads.pod_labels),
        priority: pods.priority,
        pods: pods.pods,
    }
}

pub(super) fn supply(supply: &asked_capacity::Supply) -> capacity::Supply {
    capacity::Supply {
        capacity_type: capacity_type(supply.capacity_type),
        zone: supply.zone.clone(),
        offerings: supply.offerings,
        unavailable: supply.unavailable,
        cheapest: supply.cheapest.micros(),
        running: supply.running,
        reclaims: history(supply.reclaims),
        recent_reclaims: supply.recent_reclaims.clone(),
        shortages: history(supply.shortages),
        facts: Vec::new(),
    }
}

pub(super) fn instance_type(asked: &asked_offerings::Type, reads: &Reads) -> offerings::InstanceType {
    offerings::InstanceType {
        name: asked.name.clone(),
        allocatable: resources(&asked.allocatable),
        labels: labels(&asked.labels, &reads.offering_labels),
        facts: Vec::new(),
    }
}

pub(super) fn offering(asked: &asked_offerings::Offering) -> offerings::Offering {
    offerings::Offering {
        instance_type: asked.instance_type,
        zone: asked.zone.clone(),
        capacity_type: capacity_type(asked.capacity_type),
        price: asked.price.micros(),
        estimated: asked.estimated,
        available: asked.available,
        running: asked.running,
        reclaims: history(asked.reclaims),
        shortages: history(asked.shortages),
    }
}

pub(super) fn movement(asked: &asked_consolidation::Movement) -> consolidation::Move {
    let replacements = asked.replacements.iter().map(|replacement| consolidation::Replacement {
        node_pool: replacement.node_pool.clone(),
        instance_type: replacement.instance_type.clone(),
        capacity_type: capacity_type(replacement.capacity_type),
        price: replacement.price.micros(),
    });
    consolidation::Move {
        reason: match asked.reason {
            DisruptionReason::Empty => consolidation::Reason::Empty,
            DisruptionReason::Underutilized => consolidation::Reason::Underutilized,
            DisruptionReason::Drifted => consolidation::Reason::Drifted,
        },
        nodes: asked.nodes.clone(),
        replacements: replacements.collect(),
        saving: asked.saving.micros(),
        pods_moved: asked.pods_moved,
        disruption_cost: asked.disruption_cost,
        facts: Vec::new(),
    }
}

pub(super) fn notice(asked: &asked_interruption::Notice, reads: &Reads) -> interruption::Notice {
    interruption::Notice {
        kind: match asked.kind {
            asked_interruption::Kind::Reclaim => interruption::Kind::Reclaim,
            asked_interruption::Kind::Rebalance => interruption::Kind::Rebalance,
            asked_interruption::Kind::Maintenance => interruption::Kind::Maintenance,
            asked_interruption::Kind::StateChange => interruption::Kind::StateChange,
        },
        node: node(&asked.node, reads),
        received: asked.received.millis(),
        deadline: asked.deadline.millis(),
        facts: Vec::new(),
    }
}

fn running(asked: &words::Running) -> types::Running {
    types::Running {
        capacity_type: capacity_type(asked.capacity_type),
        zone: asked.zone.clone(),
        pods: asked.pods,
    }
}

fn owner(owner: Option<&Owner>) -> (String, String) {
    owner.map(|owner| (owner.kind.clone(), owner.name.clone())).unwrap_or_default()
}

fn labels(labels: &BTreeMap<String, String>, read: &BTreeSet<String>) -> Vec<types::Label> {
    let label = |key: &String| {
        let value = labels.get(key)?;
        Some(types::Label { key: key.clone(), value: value.clone() })
    };
    read.iter().filter_map(label).collect()
}

fn flag(name: &str, is_so: bool) -> Option<types::Fact> {
    is_so.then(|| types::Fact { name: name.to_owned(), value: types::Value::Flag(true) })
}

const fn capacity_type(capacity_type: CapacityType) -> types::CapacityType {
    match capacity_type {
        CapacityType::Reserved => types::CapacityType::Reserved,
        CapacityType::Spot => types::CapacityType::Spot,
        CapacityType::OnDemand => types::CapacityType::OnDemand,
    }
}

const fn effect(effect: TaintEffect) -> types::Effect {
    match effect {
        TaintEffect::NoSchedule => types::Effect::NoSchedule,
        TaintEffect::PreferNoSchedule => types::Effect::PreferNoSchedule,
        TaintEffect::NoExecute => types::Effect::NoExecute,
    }
}

fn taint(taint: &Taint) -> types::Taint {
    types::Taint { key: taint.key.clone(), value: taint.value.clone(), effect: effect(taint.effect) }
}

fn toleration(toleration: &Toleration) -> types::Toleration {
    types::Toleration {
        key: toleration.key.clone(),
        value: match &toleration.operator {
            TolerationOperator::Exists => None,
            TolerationOperator::Equal(value) => Some(value.clone()),
        },
        effect: toleration.effect.map(effect),
    }
}

fn resources(resources: &Resources) -> types::Resources {
    let extended = resources.extended.iter();
    types::Resources {
        cpu_millis: resources.cpu_millis,
        memory_bytes: resources.memory_bytes,
        ephemeral_storage_bytes: resources.ephemeral_storage_bytes,
        pods: resources.pods,
        extended: extended
            .map(|(name, amount)| types::Quantity { name: name.clone(), amount: *amount })
            .collect(),
    }
}

fn history(past: Past) -> types::History {
    types::History {
        last_hour: past.last_hour,
        last_day: past.last_day,
        latest: past.latest.map(|at| at.millis()),
    }
}
