//! Facts about the world: workloads, nodes, the cloud, interruptions, budgets, volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use whittle_catalog::catalog::Catalog;
use whittle_core::cron::Schedule;
use whittle_core::event::{Event, NoticeKind};
use whittle_core::model::instance_type::{
    CapacityType, InstanceType, Offering, Reservation, ReservationKind,
};
use whittle_core::model::labels::{NODE_POOL, ZONE};
use whittle_core::model::node::NodeClaim;
use whittle_core::model::node_pool::{NodeClass, VolumeBinding};
use whittle_core::model::pod::{LabelSelector, Owner, Pod, PodPhase, PodSpec};
use whittle_core::model::price::Price;
use whittle_core::model::requirement::Requirement;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Cordon, DeleteReason, LaunchOffering};

use super::machines::{Launched, RECLAIM_NOTICE, Shortage};
use super::{Setup, World};
use crate::input::{
    Amount, BudgetRule, BudgetSpec, ClaimTemplate, Objects, START_DEFAULT, StorageClass, Timings,
    WorkloadKey, WorkloadKind, WorkloadSpec,
};
use crate::journal::EntryKind;
use crate::script::{InstanceFilter, Many, Step};

mod snapshot;

const GIB: u64 = 1 << 30;

fn offering(zone: &str, capacity_type: CapacityType, micros: u64) -> Offering {
    let price = Price::from_micros(micros);
    let (zone, zone_id) = (zone.to_owned(), String::new());
    Offering { zone, zone_id, capacity_type, price, estimated: false, available: true, reservation: None }
}

fn class() -> NodeClass {
    let capacity = Resources { cpu_millis: 4_000, memory_bytes: 16 * GIB, pods: 58, ..Resources::default() };
    let offerings = vec![
        offering("z1", CapacityType::OnDemand, 100_000),
        offering("z1", CapacityType::Spot, 40_000),
        offering("z2", CapacityType::Spot, 30_000),
    ];
    let kind = InstanceType {
        name: "t1.large".into(),
        labels: BTreeMap::new(),
        capacity,
        overhead: Resources::default(),
        offerings,
    };
    NodeClass { name: "class".into(), ready: true, fingerprint: None, instance_types: vec![kind].into() }
}

fn offerings() -> Vec<LaunchOffering> {
    let class = class();
    let listed = class.instance_types[0].offerings.iter().map(|offering| LaunchOffering {
        instance_type: "t1.large".into(),
        zone: offering.zone.clone(),
        capacity_type: offering.capacity_type,
        reservation: None,
        price: offering.price,
    });
    listed.collect()
}

fn claim(name: &str) -> NodeClaim {
    NodeClaim {
        name: name.into(),
        node_pool: "pool".into(),
        node_class: "class".into(),
        labels: BTreeMap::from([(NODE_POOL.to_owned(), "pool".to_owned())]),
        created: START_DEFAULT,
        ..NodeClaim::default()
    }
}

fn key(kind: &str, name: &str) -> WorkloadKey {
    WorkloadKey { kind: kind.into(), namespace: "shop".into(), name: name.into() }
}

fn workload(kind: WorkloadKind, owner: (&str, &str), replicas: u64) -> (WorkloadKey, WorkloadSpec) {
    let spec = PodSpec {
        namespace: "shop".into(),
        owner: Some(Owner { kind: owner.0.into(), name: owner.1.into() }),
        labels: BTreeMap::from([("app".to_owned(), owner.1.to_owned())]),
        requests: Resources { cpu_millis: 1_000, memory_bytes: GIB, pods: 1, ..Resources::default() },
        termination_grace_period: Duration::from_secs(30),
        ..PodSpec::default()
    };
    let (volume_claims, ephemeral_claims) = (Vec::new(), Vec::new());
    let spec = WorkloadSpec { kind, replicas, pod: Arc::new(spec), volume_claims, ephemeral_claims };
    (key(owner.0, owner.1), spec)
}

fn world(workloads: impl IntoIterator<Item = (WorkloadKey, WorkloadSpec)>) -> World {
    world_with(Objects { workloads: workloads.into_iter().collect(), ..Objects::default() })
}

fn world_with(objects: Objects) -> World {
    let setup = Setup {
        seed: 7,
        start: START_DEFAULT,
        end: START_DEFAULT + Duration::from_secs(86_400),
        region: "us-east-1".into(),
        timings: Timings { jitter_percent: 0, ..Timings::default() },
        default_spread: Vec::new(),
        draws_reclaims: false,
        catalog: Catalog::embedded(),
    };
    let node_classes = BTreeMap::from([("class".to_owned(), class())]);
    World::new(setup, Objects { node_classes, ..objects })
}

fn seconds(seconds: u64) -> Timestamp {
    START_DEFAULT + Duration::from_secs(seconds)
}

/// Launches an instance and takes its node as far as pods can use it; returns the node's name.
fn grow(world: &mut World, name: &str) -> String {
    let claim = claim(name);
    world.create_claim(&claim);
    let Launched::Instance(instance) = world.launch(&claim, &offerings()) else { panic!("no instance") };
    world.set_instance(name, &instance);
    world.advance(world.now + Duration::from_secs(40));
    let node = world.machines[&instance.provider_id].node.clone().unwrap();
    world.register(name, &node);
    world.initialize(name, &node);
    world.settle();
    world.advance(world.now + Duration::from_secs(5));
    node
}

#[test]
fn a_capacity_reservation_has_as_many_instances_as_it_says() {
    let mut class = class();
    let mut kind = class.instance_types[0].clone();
    let (id, kind_of) = ("cr-1".to_owned(), ReservationKind::Default);
    let reservation = Some(Reservation { id: id.clone(), kind: kind_of, instances: 1 });
    kind.offerings.push(Offering { reservation, ..offering("z1", CapacityType::Reserved, 1) });
    class.instance_types = vec![kind].into();
    let mut world = world([]);
    world.put_class(class);
    let listed = [LaunchOffering {
        instance_type: "t1.large".into(),
        zone: "z1".into(),
        capacity_type: CapacityType::Reserved,
        reservation: Some(id.clone()),
        price: Price::from_micros(1),
    }];
    let shortage = |capacity_type| Shortage {
        filter: InstanceFilter { capacity_type, ..InstanceFilter::default() },
        until: seconds(60),
    };
    world.shortages.push(shortage(None));
    let Launched::Instance(instance) = world.launch(&claim("first"), &listed) else {
        panic!("what is reserved is there when all else has run out")
    };
    assert_eq!((instance.capacity_type, instance.reservation.clone()), (CapacityType::Reserved, Some(id)));
    assert!(matches!(world.launch(&claim("second"), &listed), Launched::NoCapacity), "it has one");
    world.terminate(&instance.provider_id);
    assert!(matches!(world.launch(&claim("second"), &listed), Launched::NoCapacity), "it shuts down");
    world.advance(seconds(30));
    assert!(matches!(world.launch(&claim("second"), &listed), Launched::Instance(_)), "it is free again");
}

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = world.pods.values().map(|entry| entry.pod.name.clone()).collect();
    names.sort();
    names
}

fn ready(world: &World) -> usize {
    world.pods.values().filter(|entry| entry.pod.ready && entry.pod.deleting.is_none()).count()
}

fn running(world: &World, capacity_type: CapacityType) -> Vec<String> {
    let filter = InstanceFilter { capacity_type: Some(capacity_type), ..InstanceFilter::default() };
    world.running_machines(&filter)
}

#[test]
fn an_instance_joins_unregistered_becomes_ready_and_takes_pods_once_it_is_registered() {
    let mut world = world([workload(WorkloadKind::Deployment, ("Deployment", "web"), 2)]);
    assert_eq!(world.waiting_pods(), 2);
    let claim = claim("a");
    world.create_claim(&claim);
    let Launched::Instance(instance) = world.launch(&claim, &offerings()) else { panic!("no instance") };
    // Spot goes before on-demand, and z2 is the cheaper zone.
    assert_eq!((instance.capacity_type, instance.zone.as_str()), (CapacityType::Spot, "z2"));
    world.set_instance("a", &instance);
    world.advance(seconds(29));
    assert_eq!(world.nodes.len(), 0);
    world.advance(seconds(40));
    let node = world.nodes.values().next().unwrap().clone();
    assert!(node.ready);
    assert_eq!(
        node.taints.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["karpenter.sh/unregistered:NoExecute"]
    );
    assert_eq!(world.waiting_pods(), 2);
    world.register("a", &node.name);
    world.settle();
    assert_eq!(world.waiting_pods(), 0);
    assert_eq!(world.nodes[&node.name].labels[ZONE], "z2");
    world.advance(seconds(43));
    assert_eq!(ready(&world), 2);
}

#[test]
fn launching_again_for_the_same_claim_gives_the_same_instance() {
    let mut world = world([]);
    let claim = claim("a");
    let mut launch = || match world.launch(&claim, &offerings()) {
        Launched::Instance(instance) => instance.provider_id,
        Launched::NoCapacity | Launched::Rejected(_) => "none".to_owned(),
    };
    assert_eq!(launch(), launch());
    assert_eq!(world.launches(), 1);
}

#[test]
fn a_shortage_leaves_what_is_left_and_ends_in_time() {
    let mut world = world([]);
    let spot = InstanceFilter { capacity_type: Some(CapacityType::Spot), ..InstanceFilter::default() };
    world.enter(seconds(0), Step::Shortage { filter: spot, span: Duration::from_secs(600) });
    world.advance(seconds(1));
    let capacity_type = |world: &mut World, name: &str, offerings: &[LaunchOffering]| match world
        .launch(&claim(name), offerings)
    {
        Launched::Instance(instance) => Some(instance.capacity_type),
        Launched::NoCapacity | Launched::Rejected(_) => None,
    };
    assert_eq!(capacity_type(&mut world, "a", &offerings()), Some(CapacityType::OnDemand));
    assert_eq!(capacity_type(&mut world, "b", &offerings()[1..]), None);
    world.advance(seconds(601));
    assert_eq!(capacity_type(&mut world, "c", &offerings()[1..]), Some(CapacityType::Spot));
}

#[test]
fn a_deployment_replaces_what_is_lost_and_gives_up_the_youngest_when_it_shrinks() {
    let mut world = world([workload(WorkloadKind::Deployment, ("Deployment", "web"), 3)]);
    grow(&mut world, "a");
    let before = names(&world);
    let oldest = *world.pods.keys().next().unwrap();
    assert_eq!(world.evict(oldest), Ok(()));
    world.settle();
    // The replacement is there at once, the evicted pod still stops.
    assert_eq!((names(&world).len(), ready(&world)), (4, 2));
    world.advance(world.now + Duration::from_secs(10));
    assert_eq!((names(&world).len(), ready(&world)), (3, 3));
    assert_ne!(names(&world), before);
    let youngest = *world.pods.keys().last().unwrap();
    world.scale(&key("Deployment", "web"), 2);
    world.settle();
    assert!(world.pods[&youngest].pod.deleting.is_some());
}

#[test]
fn a_stateful_set_comes_one_by_one_and_its_volumes_stay_in_their_zone() {
    let claims = vec![ClaimTemplate { name: "data".into(), storage_class: Some("gp3".into()) }];
    let kind = WorkloadKind::StatefulSet { ordered: true, claims };
    let gp3 = StorageClass { waits_for_pod: true, ..StorageClass::default() };
    let mut world = world_with(Objects {
        workloads: [workload(kind, ("StatefulSet", "db"), 2)].into(),
        storage_classes: BTreeMap::from([("gp3".to_owned(), gp3)]),
        ..Objects::default()
    });
    assert_eq!(names(&world), ["db-0"]);
    let node = grow(&mut world, "a");
    assert_eq!(names(&world), ["db-0", "db-1"]);
    let bound =
        |world: &World| world.volume_claims[&("shop".to_owned(), "data-db-0".to_owned())].binding.clone();
    let in_z2 = VolumeBinding::Nodes(vec![vec![Requirement::equals(ZONE, "z2")]]);
    assert_eq!(bound(&world), in_z2);
    let reason = DeleteReason::Requested;
    world.cordon(&Cordon { claim: "a".into(), node, reason });
    let first = world.find_pod("pod-000001").unwrap();
    assert_eq!(world.evict(first), Ok(()));
    world.settle();
    // The name is taken until the pod is gone; then it is made anew, with the volume that it had.
    assert_eq!(names(&world), ["db-0", "db-1"]);
    world.advance(world.now + Duration::from_secs(10));
    assert_eq!(names(&world), ["db-0", "db-1"]);
    assert_eq!((world.waiting_pods(), bound(&world)), (1, in_z2));
}

#[test]
fn a_daemon_set_has_a_pod_on_every_node_that_it_suits() {
    let (key, mut set) = workload(WorkloadKind::DaemonSet, ("DaemonSet", "agent"), 0);
    let elsewhere = workload(WorkloadKind::DaemonSet, ("DaemonSet", "gpu"), 0);
    let mut gpu = elsewhere.1;
    let mut spec = PodSpec::clone(&gpu.pod);
    spec.node_affinity = vec![vec![Requirement::equals("gpu", "yes")]];
    gpu.pod = Arc::new(spec);
    set.replicas = 0;
    let mut world = world([(key, set), (elsewhere.0, gpu)]);
    let (a, b) = (grow(&mut world, "a"), grow(&mut world, "b"));
    let mut homes: Vec<String> = world.pods.values().filter_map(|entry| entry.pod.node.clone()).collect();
    homes.sort();
    let mut nodes = [a, b];
    nodes.sort();
    assert_eq!(homes, nodes);
    assert_eq!(world.waiting_pods(), 0);
}

#[test]
fn a_job_runs_so_many_at_once_until_all_are_done() {
    let kind = WorkloadKind::Job { completions: 5, run: Duration::from_secs(60) };
    let mut world = world([workload(kind, ("Job", "load"), 2)]);
    grow(&mut world, "a");
    assert_eq!(ready(&world), 2);
    world.advance(world.now + Duration::from_secs(300));
    let done = world.journal.entries.iter().find(|entry| entry.kind == EntryKind::JobDone);
    assert_eq!(done.map(|entry| entry.text.as_str()), Some("Job shop/load is done, 5 of 5 pods ended well"));
    assert_eq!(world.pods.len(), 0);
}

#[test]
fn a_cron_job_makes_its_pods_when_its_time_comes() {
    let schedule = Schedule::parse("*/10 * * * *").unwrap();
    let kind = WorkloadKind::CronJob { schedule, completions: 1, run: Duration::from_secs(60) };
    let mut world = world([workload(kind, ("CronJob", "report"), 1)]);
    world.advance(seconds(599));
    assert_eq!(world.waiting_pods(), 0);
    world.advance(seconds(600));
    assert_eq!(world.waiting_pods(), 1);
    world.advance(seconds(1_800));
    // Nothing has run yet; each run has asked for one pod, one at once.
    assert_eq!(world.waiting_pods(), 1);
}

#[test]
fn a_budget_lets_so_many_pods_go_and_no_more() {
    let selector = Some(LabelSelector { requirements: vec![Requirement::equals("app", "web")] });
    let rule = BudgetRule::MaxUnavailable(Amount::Count(1));
    let budget = BudgetSpec { selector, rule, always_allow_unready: false };
    let mut world = world_with(Objects {
        workloads: [workload(WorkloadKind::Deployment, ("Deployment", "web"), 3)].into(),
        budgets: BTreeMap::from([(("shop".to_owned(), "web".to_owned()), budget)]),
        ..Objects::default()
    });
    grow(&mut world, "a");
    let pods: Vec<u64> = world.pods.keys().copied().collect();
    assert_eq!(world.evict(pods[0]), Ok(()));
    assert_eq!(world.evict(pods[1]).unwrap_err().budget, "shop/web");
    world.settle();
    world.advance(world.now + Duration::from_secs(10));
    assert_eq!(world.evict(pods[1]), Ok(()));
}

#[test]
fn a_reclaimed_instance_is_gone_after_two_minutes_with_what_still_runs_on_it() {
    let mut world = world([workload(WorkloadKind::Deployment, ("Deployment", "web"), 2)]);
    let node = grow(&mut world, "a");
    world.take_events();
    let begin = world.now;
    let many = Many::Percent(100);
    world.enter(begin, Step::Interrupt { filter: InstanceFilter::default(), many });
    world.advance(begin);
    let notice = world.take_events().into_iter().find_map(|event| match event {
        Event::Notice(notice) => Some(notice),
        _ => None,
    });
    let notice = notice.unwrap();
    assert_eq!((notice.kind, notice.deadline), (NoticeKind::Reclaim, begin + RECLAIM_NOTICE));
    world.advance(begin + Duration::from_secs(119));
    assert_eq!((ready(&world), world.journal.interrupted), (2, 0));
    world.advance(begin + Duration::from_secs(120));
    assert_eq!((ready(&world), world.journal.interrupted, world.waiting_pods()), (0, 2, 2));
    assert!(!world.nodes[&node].ready);
    assert_eq!(running(&world, CapacityType::Spot), Vec::<String>::new());
    // 45 s of growing and two minutes of notice, at 30 000 micro-dollars per hour.
    assert_eq!(world.meters.pools["pool"].cost_micros(), 30_000 * 165 / 3_600);
}

#[test]
fn a_price_that_changes_changes_what_running_instances_cost() {
    let mut world = world([]);
    grow(&mut world, "a");
    let spot = InstanceFilter { capacity_type: Some(CapacityType::Spot), ..InstanceFilter::default() };
    world.enter(world.now, Step::Price { filter: spot, parts_per_million: 2_000_000 });
    world.advance(world.now);
    assert_eq!(world.meters.pools["pool"].rate, Price::from_micros(60_000));
    assert_eq!(world.classes["class"].instance_types[0].offerings[0].price, Price::from_micros(100_000));
}

#[test]
fn an_instance_that_is_terminated_costs_nothing_while_it_shuts_down() {
    let mut world = world([]);
    let node = grow(&mut world, "a");
    let id = running(&world, CapacityType::Spot).remove(0);
    world.terminate(&id);
    world.finalize("a", Some(&node));
    world.settle();
    assert_eq!((world.meters.pools["pool"].rate, world.nodes.len()), (Price::ZERO, 0));
    world.advance(world.now + Duration::from_secs(60));
    assert_eq!(world.meters.pools["pool"].cost_micros(), 30_000 * 45 / 3_600);
}

#[test]
fn a_ramp_changes_one_pod_at_a_time_and_ends_where_it_should() {
    let mut world = world([workload(WorkloadKind::Deployment, ("Deployment", "web"), 2)]);
    let (workload, over) = (key("Deployment", "web"), Duration::from_secs(100));
    world.enter(seconds(0), Step::Ramp { workload, to: 12, over });
    let mut counts = Vec::new();
    for second in [0, 9, 10, 55, 100] {
        world.advance(seconds(second));
        counts.push(world.waiting_pods());
    }
    assert_eq!(counts, [2, 2, 3, 7, 12]);
}

#[test]
fn a_snapshot_goes_on_from_where_it_was() {
    let mut grown = world([]);
    let node = grow(&mut grown, "a");
    let (_, spec) = workload(WorkloadKind::Deployment, ("Deployment", "web"), 2);
    let pod = Pod {
        uid: "from-the-cluster".into(),
        name: "web-1".into(),
        spec: Arc::clone(&spec.pod),
        volume_claims: Vec::new(),
        node: Some(node.clone()),
        unschedulable: false,
        nominated_node: None,
        phase: PodPhase::Running,
        ready: true,
        created: START_DEFAULT,
        started: Some(START_DEFAULT),
        deleting: None,
        stops_within: None,
    };
    let mut world = world_with(Objects {
        workloads: [(key("Deployment", "web"), spec)].into(),
        node_claims: grown.node_claims.clone(),
        nodes: grown.nodes.clone(),
        pods: vec![pod],
        ..Objects::default()
    });
    // The pod counts as one of two, the other one has room beside it, and the instance is paid for from now on.
    assert_eq!((world.pods.len(), world.waiting_pods(), world.launches()), (2, 0, 0));
    world.advance(seconds(3_600));
    assert_eq!(world.meters.pools["pool"].cost_micros(), 30_000);
    assert_eq!(world.meters.pools["pool"].requested.cpu_millis, 2_000);
}
