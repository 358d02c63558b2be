//! Questions that every policy is tried with before it is in force: nothing at all, and a little of everything.

use whittle_core::advice::words::{LivingNode, Running, WaitingPods};
use whittle_core::advice::{Hook, Question, capacity, consolidation, interruption, offerings, taints};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::pod::Owner;
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::{Duration, Timestamp};

/// When they are asked: a Monday in January.
pub const NOW: Timestamp = Timestamp::from_millis(1_768_212_000_000);

/// The questions to a hook.
#[must_use]
pub fn questions(hook: Hook) -> Vec<Question> {
    match hook {
        Hook::Capacity => vec![
            Question::Choose(capacity::Question::default()),
            Question::Choose(capacity::Question { market: market(), groups: groups() }),
        ],
        Hook::Taints => vec![
            Question::Dress(taints::DressQuestion::default()),
            Question::Dress(taints::DressQuestion { groups: groups() }),
            Question::Review(taints::ReviewQuestion { nodes: nodes() }),
        ],
        Hook::Offerings => vec![
            Question::JudgeOfferings(offerings::Question::default()),
            Question::JudgeOfferings(catalogue()),
        ],
        Hook::Consolidation => vec![
            Question::Rest(consolidation::RestQuestion { nodes: nodes() }),
            Question::JudgeMoves(consolidation::MovesQuestion::default()),
            Question::JudgeMoves(moves()),
        ],
        Hook::Interruption => vec![
            Question::React(interruption::Question::default()),
            Question::React(interruption::Question { notices: notices() }),
        ],
    }
}

fn groups() -> Vec<WaitingPods> {
    let owner = |kind: &str, name: &str| Some(Owner { kind: kind.to_owned(), name: name.to_owned() });
    let requests = Resources { cpu_millis: 500, memory_bytes: 1 << 30, pods: 1, ..Resources::default() };
    let web = WaitingPods {
        owner: owner("Deployment", "web"),
        requests: requests.clone(),
        pending: 5,
        running: vec![Running { capacity_type: CapacityType::Spot, zone: "a".to_owned(), pods: 3 }],
        node_pools: vec!["general".to_owned()],
        ..WaitingPods::default()
    };
    let alone = WaitingPods {
        requests,
        capacity_types: vec![CapacityType::OnDemand],
        waiting: Duration::from_secs(90),
        node_pools: vec!["general".to_owned()],
        ..WaitingPods::default()
    };
    let job = WaitingPods { owner: owner("Job", "rehearsal"), priority: -10, ..web.clone() };
    vec![web, job, alone]
}

fn market() -> Vec<capacity::Supply> {
    let supply = |capacity_type, cheapest| capacity::Supply {
        capacity_type,
        zone: "a".to_owned(),
        offerings: 10,
        cheapest: Price::from_micros(cheapest),
        running: 4,
        ..capacity::Supply::default()
    };
    vec![supply(CapacityType::Spot, 30_000), supply(CapacityType::OnDemand, 100_000)]
}

fn nodes() -> Vec<LivingNode> {
    let node = |claim: &str, capacity_type| LivingNode {
        claim: claim.to_owned(),
        node_pool: "general".to_owned(),
        instance_type: "m6i.large".to_owned(),
        zone: "a".to_owned(),
        capacity_type,
        price: Price::from_micros(50_000),
        created: NOW - Duration::from_secs(3_600),
        initialized: Some(NOW - Duration::from_secs(3_500)),
        ..LivingNode::default()
    };
    vec![node("general-1", CapacityType::Spot), node("general-2", CapacityType::OnDemand)]
}

fn catalogue() -> offerings::Question {
    let types = ["m5.large", "m7i.large"].map(|name| offerings::Type {
        name: name.to_owned(),
        allocatable: Resources { cpu_millis: 1_930, memory_bytes: 7 << 30, pods: 29, ..Resources::default() },
        ..offerings::Type::default()
    });
    let offering = |instance_type, capacity_type, micros| offerings::Offering {
        instance_type,
        zone: "a".to_owned(),
        capacity_type,
        price: Price::from_micros(micros),
        ..offerings::Offering::default()
    };
    let offerings = vec![
        offering(0, CapacityType::OnDemand, 96_000),
        offering(0, CapacityType::Spot, 30_000),
        offering(1, CapacityType::OnDemand, 100_800),
    ];
    offerings::Question { node_pool: "general".to_owned(), types: types.to_vec(), offerings }
}

fn moves() -> consolidation::MovesQuestion {
    let movement = |nodes: &[u32], pods_moved| consolidation::Movement {
        nodes: nodes.to_vec(),
        saving: Price::from_micros(50_000),
        pods_moved,
        disruption_cost: u64::from(pods_moved) * 1_000,
        ..consolidation::Movement::default()
    };
    consolidation::MovesQuestion { nodes: nodes(), moves: vec![movement(&[0], 0), movement(&[0, 1], 9)] }
}

fn notices() -> Vec<interruption::Notice> {
    use interruption::Kind;
    let kinds = [Kind::Reclaim, Kind::Rebalance, Kind::Maintenance, Kind::StateChange];
    let notice = |kind| interruption::Notice {
        kind,
        node: nodes().remove(0),
        received: NOW,
        deadline: NOW + Duration::from_secs(120),
    };
    kinds.map(notice).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_is_asked_its_own_questions() {
        for hook in Hook::ALL {
            assert!(questions(hook).iter().all(|question| question.hook() == hook), "{hook}");
            assert!(questions(hook).iter().any(|question| question.len() > 1), "{hook}");
        }
    }
}
