//! The smallest single change that would place a pod: it is named, and made it places the pod.

use std::sync::Arc;

use whittle_core::event::Event;
use whittle_core::model::labels::{ARCH, HOSTNAME, INSTANCE_TYPE, ZONE};
use whittle_core::model::node_pool::NodePool;
use whittle_core::model::pod::{Pod, PodSpec};
use whittle_core::model::requirement::{Operator, Requirement, Toleration, TolerationOperator};
use whittle_core::plan::Plan;
use whittle_core::why::TopologyRule;
use whittle_core::why::change::{Change, Remedy};

use crate::cluster::catalogue::{CATEGORY, CPUS, GPU};
use crate::cluster::nodes::{claimed, node};
use crate::cluster::pods::{Pods, pod, pods};
use crate::cluster::pools::{PoolWords, daemon_set, pool, volume};
use crate::cluster::{Cluster, GIB, START, at, launches};

/// What would have to be changed for the first pod without a place.
#[track_caller]
fn remedy(plan: &Plan) -> Remedy {
    plan.report.unplaced.first().expect("a pod without a place").remedy.clone()
}

/// The change that is named for a cluster, which is then made: `asking` are the pods that it is made for.
#[track_caller]
fn made(cluster: Cluster, asking: Pods) -> String {
    let mut before = cluster.with(asking.clone());
    let plan = before.provision(START);
    let Remedy::Change(change) = remedy(&plan) else { panic!("no change: {:?}", plan.report.unplaced) };
    let left = plan.report.unplaced.len();
    // What is planned is carried out, and only then is the change made.
    before.state.expect(&plan, START);
    for launch in launches(&plan) {
        before.tell(claimed(&launch, START), START);
    }
    for event in changed(&change, &before, asking) {
        before.tell(event, START);
    }
    let after = before.provision(at(1));
    assert!(after.report.unplaced.len() < left, "{change}: {:?}", after.report.unplaced);
    change.to_string()
}

/// The objects as they are after a change.
fn changed(change: &Change, cluster: &Cluster, asking: Pods) -> Vec<Event> {
    let pools = &cluster.state.snapshot().node_pools;
    let with_pool = |name: &str, make: &dyn Fn(&mut NodePool)| {
        vec![Event::NodePool(Box::new(pools[name].clone().change(make)))]
    };
    let with_pods = |make: &dyn Fn(&mut PodSpec)| {
        let changed = asking.clone().objects().into_iter().map(|pod: Pod| {
            let mut spec = PodSpec::clone(&pod.spec);
            make(&mut spec);
            Event::Pod(Arc::new(Pod { spec: Arc::new(spec), ..pod }))
        });
        changed.collect()
    };
    match change {
        Change::RaiseLimit { node_pool, resource, to, .. } => {
            with_pool(node_pool, &|pool| pool.limits.extend([(resource.clone(), *to)]))
        }
        Change::Tolerate { taint, .. } => with_pods(&|spec| {
            spec.tolerations.push(Toleration {
                key: Some(taint.key.clone()),
                operator: TolerationOperator::Equal(taint.value.clone()),
                effect: Some(taint.effect),
            });
        }),
        Change::Widen { key, value, .. } => with_pods(&|spec| {
            let about = spec.node_affinity.iter_mut().flatten().filter(|one| one.key == *key);
            about.for_each(|one| one.values.push(value.clone()));
        }),
        Change::WidenNodePool { node_pool, key, value } => with_pool(node_pool, &|pool| match value {
            Some(value) => {
                let about = pool.requirements.iter_mut().filter(|one| one.key == *key);
                about.for_each(|one| one.values.push(value.clone()));
            }
            None => pool.requirements.retain(|one| one.key != *key),
        }),
        Change::LowerMinValues { node_pool, key, to, .. } => with_pool(node_pool, &|pool| {
            let about = pool.requirements.iter_mut().filter(|one| one.key == *key);
            about.for_each(|one| one.min_values = Some(*to));
        }),
        Change::Label { node_pool, key, value, .. } => {
            with_pool(node_pool, &|pool| drop(pool.labels.insert(key.clone(), value.clone())))
        }
        Change::Relax { rule, key, .. } => with_pods(&|spec| match rule {
            TopologyRule::Spread => spec.topology_spread.retain(|term| term.key != *key),
            TopologyRule::Affinity => spec.pod_affinity.retain(|term| term.key != *key),
            TopologyRule::AntiAffinity => spec.pod_anti_affinity.retain(|term| term.key != *key),
        }),
        Change::DropRequirement { key, .. } => with_pods(&|spec| {
            spec.node_affinity.iter_mut().for_each(|term| term.retain(|one| one.key != *key));
        }),
        Change::LowerRequest { resource, to, .. } => with_pods(&|spec| spec.requests.set(resource, *to)),
    }
}

#[test]
fn a_limit_is_raised_to_what_suffices_in_whole_units() {
    let cases = [
        (pool("general").limit("cpu", 2_500), "cpu of NodePool general from 2500m to 4"),
        (pool("general").limit("memory", 9 * GIB), "memory of NodePool general from 9Gi to 12Gi"),
        (pool("general").limit("nodes", 1), "nodes of NodePool general from 1 to 2"),
    ];
    for (limited, expected) in cases {
        let limited = limited.only(INSTANCE_TYPE, &["c.large"]);
        let cluster = Cluster::new().with(limited.limit("pods", 100)).with(node("a"));
        let asking = pods("web", 2).cpu(1_900).memory(1);
        let named = made(cluster, asking);
        assert_eq!(named, format!("raise spec.limits.{expected}"));
    }
}

#[test]
fn a_limit_that_is_exceeded_already_is_raised_from_what_is_in_use() {
    let limited = pool("general").limit("cpu", 1_000).only(INSTANCE_TYPE, &["c.large"]);
    let cluster = Cluster::new().with(limited).with(node("a")).with(pod("old").cpu(1_900).on("a"));
    assert_eq!(made(cluster, pod("web").cpu(1_900)), "raise spec.limits.cpu of NodePool general from 1 to 4");
}

#[test]
fn a_pod_that_one_taint_keeps_off_is_told_the_toleration() {
    let cluster =
        Cluster::new().with(pool("general").only(ARCH, &["arm64"])).with(pool("gpu").taint("dedicated"));
    assert_eq!(
        made(cluster, pod("web").asking(GPU, 1)),
        "add the toleration dedicated:NoSchedule to the pod, and NodePool gpu would do"
    );
}

#[test]
fn two_taints_are_no_single_change() {
    let mut cluster = Cluster::new().with(pool("general").taint("dedicated").taint("slow")).with(pod("web"));
    assert_eq!(remedy(&cluster.provision(START)), Remedy::NoSingleChange);
}

#[test]
fn a_value_that_is_offered_is_good_enough_too_the_cheapest_first() {
    let cluster = Cluster::new().with(pool("general").only(CATEGORY, &["m", "r"]));
    assert_eq!(
        made(cluster, pod("web").select(CATEGORY, "g")),
        "let the pod run on nodes with karpenter.k8s.aws/instance-category=m too, and NodePool general would do"
    );
    let cluster = Cluster::new().with(pool("red").only("team", &["red"]));
    assert_eq!(
        made(cluster, pod("web").select("team", "blue")),
        "let the pod run on nodes with team=red too, and NodePool red would do"
    );
}

#[test]
fn a_node_pool_launches_more_where_the_pod_asks_for_nothing_that_it_could_give_up() {
    let cluster = Cluster::new().with(pool("general").only(CPUS, &["2", "4"]));
    assert_eq!(
        made(cluster, pod("web").cpu(6_000)),
        "let NodePool general launch nodes with karpenter.k8s.aws/instance-cpu=8 too"
    );
    let cluster = Cluster::new().with(pool("general").needs(CPUS, Operator::Lt, &["5"]));
    assert_eq!(
        made(cluster, pod("web").cpu(6_000)),
        "drop the requirement on karpenter.k8s.aws/instance-cpu from NodePool general"
    );
}

#[test]
fn a_volume_elsewhere_takes_a_node_pool_there() {
    let cluster = Cluster::new().with(pool("general").only(ZONE, &["a", "b"])).with(volume("data", &["c"]));
    assert_eq!(
        made(cluster, pod("db").volume("data")),
        "let NodePool general launch nodes with topology.kubernetes.io/zone=c too"
    );
}

#[test]
fn a_node_pool_in_one_more_zone_is_judged_with_the_spread_over_its_zones() {
    // A third zone would be the emptiest: the spread leaves it alone, so that a volume there can be had.
    let cluster = Cluster::new().with(pool("general").only(ZONE, &["a", "b"])).with(volume("data", &["c"]));
    let asking = pods("db", 1).zone_spread(1).volume("data");
    assert_eq!(
        made(cluster, asking),
        "let NodePool general launch nodes with topology.kubernetes.io/zone=c too"
    );
}

#[test]
fn fewer_distinct_values_are_asked_for() {
    let cluster = Cluster::new().with(pool("general").min_values(CATEGORY, 3));
    assert_eq!(
        made(cluster, pod("web").cpu(7_000)),
        "lower minValues of karpenter.k8s.aws/instance-category in NodePool general from 3 to 2"
    );
}

#[test]
fn a_label_that_no_node_pool_gives_is_given_and_one_that_no_node_has_is_not() {
    let cluster = Cluster::new().with(pool("general"));
    assert_eq!(made(cluster, pod("web").select("disk", "fast")), "give NodePool general the label disk=fast");
    let cluster = Cluster::new().with(pool("general"));
    assert_eq!(
        made(cluster, pod("web").select("karpenter.k8s.aws/instance-gpu-name", "h100")),
        "drop the requirement on karpenter.k8s.aws/instance-gpu-name from the pod, and NodePool general would do"
    );
}

#[test]
fn rules_on_where_pods_are_become_preferences() {
    let only = || Cluster::new().with(pool("general"));
    let nowhere = |key: &str| pod("web").near("nobody", key);
    assert_eq!(
        made(only(), nowhere(ZONE)),
        "make the pod's pod affinity over topology.kubernetes.io/zone a preference, and NodePool general would do"
    );
    assert_eq!(
        made(only(), pods("web", 4).apart(ZONE)),
        "make the pod's pod anti-affinity over topology.kubernetes.io/zone a preference, and NodePool general would do"
    );
    assert_eq!(
        made(only(), pod("web").spread("rack", 1, |_| {})),
        "make the pod's topology spread over rack a preference, and NodePool general would do"
    );
}

#[test]
fn what_other_pods_refuse_is_not_the_pods_to_change() {
    let mut cluster = Cluster::new().with(pool("general").only(ZONE, &["a"]));
    cluster.tell(node("a"), START);
    let mut cluster = cluster.with(pod("lonely").away_from("web", ZONE).on("a")).with(pod("web").cpu(1_900));
    let found = remedy(&cluster.provision(START));
    let Remedy::Change(Change::WidenNodePool { key, value, .. }) = found else { panic!("{found:?}") };
    assert_eq!((key.as_str(), value.as_deref()), (ZONE, Some("b")), "elsewhere it may be");
}

#[test]
fn a_requirement_is_dropped_where_nothing_less_would_do() {
    let cluster = Cluster::new().with(pool("general").label("team", "red"));
    assert_eq!(
        made(cluster, pod("web").needs("team", Operator::DoesNotExist, &[])),
        "drop the requirement on team from the pod, and NodePool general would do"
    );
    let cluster = Cluster::new().with(pool("general"));
    assert_eq!(
        made(cluster, pod("web").select(HOSTNAME, "node-x")),
        "drop the requirement on kubernetes.io/hostname from the pod, and NodePool general would do"
    );
}

#[test]
fn a_spread_counts_anew_when_its_pod_may_run_elsewhere() {
    // Among the fast nodes, of which there is one in zone a, zone b has none of these pods. Among the slow ones it has:
    // there the spread, which counts where its pods may run, leaves no place for another.
    let slow = pool("general").label("disk", "slow").only(ZONE, &["b"]);
    let cluster = Cluster::new()
        .with(slow)
        .with(node("fast").label("disk", "fast").zone("a"))
        .with(pod("filler").cpu(1_900).on("fast"))
        .with(node("slow").label("disk", "slow").zone("b"))
        .with(pods("web", 1).named("old").cpu(1_800).on("slow"));
    let asking = || pod("web").cpu(1_800).select("disk", "fast");
    assert_eq!(
        made(cluster.clone(), asking()),
        "let the pod run on nodes with disk=slow too, and NodePool general would do"
    );
    assert_eq!(
        made(cluster, asking().zone_spread(1)),
        "change the label disk of NodePool general from slow to fast"
    );
}

#[test]
fn a_request_is_lowered_to_what_the_largest_type_has_for_pods() {
    let cluster = Cluster::new().with(pool("general")).with(daemon_set(pods("agent", 1).cpu(400).memory(1)));
    assert_eq!(
        made(cluster, pod("web").cpu(70_000)),
        "lower the pod's request for cpu from 70 to 63500m, and NodePool general would do"
    );
    let cluster = Cluster::new().with(pool("general"));
    assert_eq!(
        made(cluster, pod("web").memory(300)),
        "lower the pod's request for memory from 300Gi to 261632Mi, and NodePool general would do"
    );
    let mut none = Cluster::new().with(pool("general")).with(pod("web").asking("example.com/fpga", 1));
    assert_eq!(remedy(&none.provision(START)), Remedy::NoSingleChange, "none is no less");
}

#[test]
fn of_several_changes_the_one_that_touches_fewest_is_named() {
    // Each of these would do: a higher limit, a toleration, and no request for the label.
    let limited = pool("general").limit("cpu", 1_000);
    let cluster = Cluster::new().with(limited.clone()).with(pool("free").taint("dedicated"));
    assert_eq!(made(cluster, pod("web")), "raise spec.limits.cpu of NodePool general from 1 to 2");
    let cluster =
        Cluster::new().with(pool("other").only("team", &["red"])).with(pool("free").taint("dedicated"));
    let asking = pod("web").needs("team", Operator::NotIn, &["red"]);
    assert_eq!(
        made(cluster, asking),
        "add the toleration dedicated:NoSchedule to the pod, and NodePool free would do"
    );
}

#[test]
fn changes_are_tried_for_some_kinds_of_pods_and_the_others_have_their_reasons() {
    let mut cluster = Cluster::new().with(pool("general"));
    for kind in 0..40 {
        let missing = Requirement::equals("disk", format!("fast-{kind}"));
        let mut asking = pod(&format!("web-{kind}"));
        asking.spec.node_affinity = vec![vec![missing]];
        cluster.tell(asking, START);
    }
    let unplaced = cluster.provision(START).report.unplaced;
    let tried = unplaced.iter().filter(|one| one.remedy != Remedy::NotTried).count();
    let explained = unplaced.iter().filter(|one| one.node_pools.len() == 1).count();
    assert_eq!((tried, explained), (16, 40));
}
