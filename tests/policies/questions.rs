//! Questions, generated: everything that a snapshot could make of itself, and more of it than any would.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use whittle_core::advice::words::{LivingNode, Past, Residents, Running, WaitingPods};
use whittle_core::advice::{Hook, Question, capacity, consolidation, interruption, offerings, taints};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::node_pool::DisruptionReason;
use whittle_core::model::pod::Owner;
use whittle_core::model::price::Price;
use whittle_core::model::requirement::{Taint, TaintEffect, Toleration, TolerationOperator};
use whittle_core::model::resources::Resources;
use whittle_core::model::time::{Duration, Timestamp};

/// A time within a few weeks of a Monday in January.
pub(crate) fn now() -> impl Strategy<Value = Timestamp> {
    (0_u64..2_000_000_000).prop_map(|millis| Timestamp::from_millis(1_768_212_000_000 + millis))
}

/// Questions of every kind to a hook.
pub(crate) fn of(hook: Hook) -> BoxedStrategy<Question> {
    match hook {
        Hook::Capacity => (vec(supply(), 0..7), vec(group(), 0..9))
            .prop_map(|(market, groups)| Question::Choose(capacity::Question { market, groups }))
            .boxed(),
        Hook::Taints => prop_oneof![
            vec(group(), 0..9).prop_map(|groups| Question::Dress(taints::DressQuestion { groups })),
            vec(node(), 0..9).prop_map(|nodes| Question::Review(taints::ReviewQuestion { nodes })),
        ]
        .boxed(),
        Hook::Offerings => catalogue().prop_map(Question::JudgeOfferings).boxed(),
        Hook::Consolidation => prop_oneof![
            vec(node(), 0..9).prop_map(|nodes| Question::Rest(consolidation::RestQuestion { nodes })),
            moves().prop_map(Question::JudgeMoves),
        ]
        .boxed(),
        Hook::Interruption => vec(notice(), 0..6)
            .prop_map(|notices| Question::React(interruption::Question { notices }))
            .boxed(),
    }
}

fn capacity_type() -> impl Strategy<Value = CapacityType> {
    prop_oneof![Just(CapacityType::Reserved), Just(CapacityType::Spot), Just(CapacityType::OnDemand)]
}

fn effect() -> impl Strategy<Value = TaintEffect> {
    prop_oneof![
        Just(TaintEffect::NoSchedule),
        Just(TaintEffect::PreferNoSchedule),
        Just(TaintEffect::NoExecute)
    ]
}

fn zone() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just(String::new())]
}

fn pool() -> impl Strategy<Value = String> {
    prop_oneof![Just("general".to_owned()), Just("critical".to_owned()), Just("loadtest".to_owned())]
}

/// Names and labels are few, so that what policies look for is found often.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("web".to_owned()),
        Just("critical".to_owned()),
        Just("loadtest".to_owned()),
        Just("true".to_owned()),
        "[a-z]{0,6}",
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("tier".to_owned()),
        Just("ticket.example/loadtest".to_owned()),
        Just("karpenter.k8s.aws/instance-generation".to_owned()),
        Just("karpenter.k8s.aws/instance-category".to_owned()),
        Just("karpenter.k8s.aws/instance-family".to_owned()),
        Just("kubernetes.io/arch".to_owned()),
        "[a-z]{1,5}",
    ]
}

fn kind() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Deployment".to_owned()),
        Just("Job".to_owned()),
        Just("StatefulSet".to_owned()),
        Just("CronJob".to_owned())
    ]
}

fn owner() -> impl Strategy<Value = Option<Owner>> {
    option::of((kind(), word()).prop_map(|(kind, name)| Owner { kind, name }))
}

fn labels() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    btree_map(key(), prop_oneof![word(), "[1-9]"], 0..5)
}

fn resources() -> impl Strategy<Value = Resources> {
    (
        0_u64..64_000,
        0_u64..(1 << 38),
        0_u64..(1 << 38),
        0_u64..200,
        btree_map("[a-z]{1,4}/gpu", 1_u64..9, 0..2),
    )
        .prop_map(|(cpu_millis, memory_bytes, ephemeral_storage_bytes, pods, extended)| Resources {
            cpu_millis,
            memory_bytes,
            ephemeral_storage_bytes,
            pods,
            extended,
        })
}

fn price() -> impl Strategy<Value = Price> {
    prop_oneof![9 => 0_u64..20_000_000, 1 => any::<u64>()].prop_map(Price::from_micros)
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![8 => 1_768_000_000_000_u64..1_768_300_000_000, 1 => Just(0), 1 => any::<u64>()]
        .prop_map(Timestamp::from_millis)
}

fn past() -> impl Strategy<Value = Past> {
    (0_u32..30, 0_u32..300, option::of(time())).prop_map(|(last_hour, more, latest)| Past {
        last_hour,
        last_day: last_hour + more,
        latest,
    })
}

fn taint() -> impl Strategy<Value = Taint> {
    (key(), word(), effect()).prop_map(|(key, value, effect)| Taint { key, value, effect })
}

fn toleration() -> impl Strategy<Value = Toleration> {
    let operator = prop_oneof![Just(TolerationOperator::Exists), word().prop_map(TolerationOperator::Equal)];
    (option::of(key()), operator, option::of(effect())).prop_map(|(key, operator, effect)| Toleration {
        key,
        operator,
        effect,
    })
}

fn running() -> impl Strategy<Value = Running> {
    (capacity_type(), zone(), 0_u32..50).prop_map(|(capacity_type, zone, pods)| Running {
        capacity_type,
        zone,
        pods,
    })
}

fn capacity_types() -> impl Strategy<Value = Vec<CapacityType>> {
    vec(any::<bool>(), 3).prop_map(|chosen| {
        let some: Vec<_> = CapacityType::ALL
            .into_iter()
            .zip(chosen)
            .filter(|(_, chosen)| *chosen)
            .map(|(one, _)| one)
            .collect();
        if some.is_empty() { vec![CapacityType::OnDemand] } else { some }
    })
}

fn group() -> impl Strategy<Value = WaitingPods> {
    let who = (word(), owner(), labels(), any::<i32>(), resources(), vec(toleration(), 0..3));
    let what = (1_u32..200, 0_u64..100_000_000, vec(running(), 0..4), capacity_types(), vec(pool(), 0..3));
    (who, what, any::<bool>()).prop_map(|(who, what, do_not_disrupt)| {
        let (namespace, owner, labels, priority, requests, tolerations) = who;
        let (pending, waiting, running, capacity_types, node_pools) = what;
        WaitingPods {
            namespace,
            owner,
            labels,
            priority,
            requests,
            tolerations,
            pending,
            waiting: Duration::from_millis(waiting),
            running,
            capacity_types,
            node_pools,
            do_not_disrupt,
        }
    })
}

fn supply() -> impl Strategy<Value = capacity::Supply> {
    let bought = (capacity_type(), zone(), 0_u32..900, 0_u32..900, price(), 0_u32..500);
    let recent = vec(prop_oneof![4 => Just(0_u32), 1 => 0_u32..20], capacity::RECENT_SPANS);
    (bought, past(), recent, past()).prop_map(|(bought, reclaims, recent_reclaims, shortages)| {
        let (capacity_type, zone, offerings, unavailable, cheapest, running) = bought;
        capacity::Supply {
            capacity_type,
            zone,
            offerings,
            unavailable,
            cheapest,
            running,
            reclaims,
            recent_reclaims,
            shortages,
        }
    })
}

fn residents() -> impl Strategy<Value = Residents> {
    (word(), owner(), labels(), any::<i32>(), 1_u32..50).prop_map(
        |(namespace, owner, labels, priority, pods)| Residents { namespace, owner, labels, priority, pods },
    )
}

fn node() -> impl Strategy<Value = LivingNode> {
    let bought = (word(), pool(), word(), zone(), capacity_type(), price());
    let times = (time(), option::of(time()), option::of(time()), option::of(0_u64..1_000_000));
    let carried = (labels(), vec(taint(), 0..3), resources(), resources(), vec(residents(), 0..4));
    (bought, times, carried, any::<bool>()).prop_map(|(bought, times, carried, do_not_disrupt)| {
        let (claim, node_pool, instance_type, zone, capacity_type, price) = bought;
        let (created, initialized, last_pod_event, quiet) = times;
        let (labels, taints, allocatable, requested, residents) = carried;
        LivingNode {
            claim,
            node_pool,
            instance_type,
            zone,
            capacity_type,
            price,
            created,
            initialized,
            last_pod_event,
            labels,
            taints,
            allocatable,
            requested,
            residents,
            do_not_disrupt,
            consolidate_after: quiet.map(Duration::from_millis),
        }
    })
}

fn catalogue() -> impl Strategy<Value = offerings::Question> {
    let of_type = ("[a-z][1-8][a-z]?\\.(large|xlarge)", resources(), labels())
        .prop_map(|(name, allocatable, labels)| offerings::Type { name, allocatable, labels });
    let offering =
        (any::<prop::sample::Index>(), zone(), capacity_type(), price(), past(), past(), any::<bool>());
    (pool(), vec(of_type, 1..8), vec(offering, 0..30)).prop_map(|(node_pool, types, offerings)| {
        let offerings = offerings.into_iter().map(
            |(place, zone, capacity_type, price, reclaims, shortages, available)| offerings::Offering {
                instance_type: u32::try_from(place.index(types.len())).unwrap(),
                zone,
                capacity_type,
                price,
                estimated: !available,
                available,
                running: reclaims.last_day,
                reclaims,
                shortages,
            },
        );
        let offerings = offerings.collect();
        offerings::Question { node_pool, types, offerings }
    })
}

fn moves() -> impl Strategy<Value = consolidation::MovesQuestion> {
    let reason = prop_oneof![
        Just(DisruptionReason::Empty),
        Just(DisruptionReason::Underutilized),
        Just(DisruptionReason::Drifted)
    ];
    let replacement = (pool(), word(), capacity_type(), price()).prop_map(
        |(node_pool, instance_type, capacity_type, price)| consolidation::Replacement {
            node_pool,
            instance_type,
            capacity_type,
            price,
        },
    );
    let places = vec(any::<prop::sample::Index>(), 1..4);
    let movement = (reason, places, vec(replacement, 0..2), price(), 0_u32..300, any::<u64>());
    (vec(node(), 1..8), vec(movement, 0..6)).prop_map(|(nodes, moves)| {
        let moves =
            moves.into_iter().map(|(reason, places, replacements, saving, pods_moved, disruption_cost)| {
                consolidation::Movement {
                    reason,
                    nodes: places
                        .iter()
                        .map(|place| u32::try_from(place.index(nodes.len())).unwrap())
                        .collect(),
                    replacements,
                    saving,
                    pods_moved,
                    disruption_cost,
                }
            });
        let moves = moves.collect();
        consolidation::MovesQuestion { nodes, moves }
    })
}

fn notice() -> impl Strategy<Value = interruption::Notice> {
    use interruption::Kind;
    let kind = prop_oneof![
        Just(Kind::Reclaim),
        Just(Kind::Rebalance),
        Just(Kind::Maintenance),
        Just(Kind::StateChange)
    ];
    (kind, node(), time(), 0_u64..1_000_000).prop_map(|(kind, node, received, left)| interruption::Notice {
        kind,
        node,
        received,
        deadline: received + Duration::from_millis(left),
    })
}
