use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use whittle_api::convert::node_class::NodeClassSettings;
use whittle_core::event::Event;
use whittle_core::model::instance_type::{CapacityType, InstanceType, Offering};
use whittle_core::model::node::VolumeAttachment;
use whittle_core::model::node_pool::{NodeClass, VolumeBinding};
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;

use super::{InstanceTypes, Intake, Joined};
use crate::book::{Book, Named};
use crate::watch::{Change, Id, Kind, Object};

/// A class, a type, all memory of a node of it, and how much CPU it has for pods.
type Lesson = (String, String, u64, Option<u64>);

/// Every class can launch one type in one zone, for as many dollars an hour as its pods per core, and what is added.
#[derive(Debug, Default)]
struct OneType {
    dearer_by: AtomicU64,
    learned: Mutex<Vec<Lesson>>,
}

impl InstanceTypes for OneType {
    fn learn(&self, joined: &Joined<'_>) {
        let cpu = joined.class_then.as_ref().zip(joined.allocatable).map(|(_, left)| left.cpu_millis);
        let (class, kind) = (joined.node_class.into(), joined.instance_type.into());
        self.learned.lock().unwrap().push((class, kind, joined.memory_bytes, cpu));
    }

    fn node_class(&self, settings: &NodeClassSettings) -> NodeClass {
        let dollars = settings.pods_per_core.unwrap_or(0) + self.dearer_by.load(Ordering::Relaxed);
        let offering = Offering {
            zone: "a".into(),
            zone_id: String::new(),
            capacity_type: CapacityType::Spot,
            price: Price::from_micros(dollars * 1_000_000),
            estimated: false,
            available: true,
            reservation: None,
        };
        let only = InstanceType {
            name: "m.large".into(),
            labels: BTreeMap::new(),
            capacity: Resources::default(),
            overhead: Resources::default(),
            offerings: vec![offering],
        };
        NodeClass {
            name: settings.name.clone(),
            ready: settings.ready,
            fingerprint: None,
            instance_types: [only].into(),
        }
    }
}

fn intake() -> (Intake, Arc<Book>) {
    let book = Arc::new(Book::default());
    (Intake::new(Arc::clone(&book), Arc::new(OneType::default())), book)
}

fn object<T: DeserializeOwned>(value: Value) -> Box<T> {
    Box::new(serde_json::from_value(value).unwrap())
}

fn seen(intake: &mut Intake, object: Object) -> Vec<Event> {
    let taken = intake.take(Change::Seen(object));
    assert_eq!(taken.problems, []);
    taken.events
}

fn class(pods_per_core: u32) -> Object {
    class_with(&json!({ "podsPerCore": pods_per_core }))
}

fn class_with(kubelet: &Value) -> Object {
    Object::Ec2NodeClass(object(json!({
        "metadata": { "name": "default" },
        "spec": {
            "amiSelectorTerms": [{ "alias": "al2023@latest" }],
            "subnetSelectorTerms": [{ "tags": { "a": "b" } }],
            "securityGroupSelectorTerms": [{ "tags": { "a": "b" } }],
            "role": "nodes",
            "kubelet": kubelet,
        },
    })))
}

fn prices(events: &[Event]) -> Vec<u64> {
    let claims = events.iter().filter_map(|event| match event {
        Event::NodeClaim(claim) => claim.instance.as_ref(),
        _ => None,
    });
    claims.map(|instance| instance.price.micros()).collect()
}

fn claim() -> Object {
    Object::NodeClaim(object(json!({
        "metadata": {
            "name": "web-1", "uid": "u-1",
            "labels": {
                "karpenter.sh/nodepool": "web", "karpenter.sh/capacity-type": "spot",
                "node.kubernetes.io/instance-type": "m.large", "topology.kubernetes.io/zone": "a",
            },
        },
        "spec": {
            "requirements": [],
            "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
        },
        "status": { "providerID": "aws:///a/i-1" },
    })))
}

/// The prices of all offerings of the classes that are told.
fn sold_at(events: &[Event]) -> Vec<(String, u64)> {
    let classes = events.iter().filter_map(|event| match event {
        Event::NodeClass(class) => Some(class),
        _ => None,
    });
    let offerings = classes.flat_map(|class| {
        let offerings = class.instance_types.iter().flat_map(|kind| &kind.offerings);
        offerings.map(|offering| (class.name.clone(), offering.price.micros()))
    });
    offerings.collect()
}

#[test]
fn when_other_prices_are_known_every_class_is_told_anew_and_then_what_runs() {
    let types = Arc::new(OneType::default());
    let known: Arc<dyn InstanceTypes> = Arc::<OneType>::clone(&types);
    let mut intake = Intake::new(Arc::new(Book::default()), known);
    assert_eq!(intake.retell_classes().events, []);
    seen(&mut intake, class(2));
    seen(&mut intake, claim());

    let unchanged = intake.retell_classes();
    assert_eq!(sold_at(&unchanged.events), [("default".to_owned(), 2_000_000)]);
    assert_eq!((prices(&unchanged.events), unchanged.events.len()), (vec![], 1));

    types.dearer_by.store(5, Ordering::Relaxed);
    let renewed = intake.retell_classes();
    assert_eq!(sold_at(&renewed.events), [("default".to_owned(), 7_000_000)]);
    assert_eq!((prices(&renewed.events), renewed.events.len()), (vec![7_000_000], 2));
    assert!(matches!(renewed.events[0], Event::NodeClass(_)), "the class comes before what runs");

    // What is not understood changes nothing; what was understood before is told.
    let broken = class_with(&json!({ "podsPerCore": 9, "kubeReserved": { "memory": "many" } }));
    assert_ne!(intake.take(Change::Seen(broken)).problems, []);
    assert_eq!(sold_at(&intake.retell_classes().events), [("default".to_owned(), 7_000_000)]);

    let id = Id { namespace: "".into(), name: "default".into() };
    intake.take(Change::Gone(Kind::Ec2NodeClass, id));
    assert_eq!(intake.retell_classes().events, []);
}

#[test]
fn a_claims_instance_has_the_price_of_its_class_whichever_is_seen_first_and_when_it_changes() {
    let (mut intake, book) = intake();
    assert_eq!(prices(&seen(&mut intake, claim())), [0]);
    assert_eq!(prices(&seen(&mut intake, class(2))), [2_000_000]);
    assert_eq!(prices(&seen(&mut intake, claim())), [2_000_000]);
    assert_eq!(prices(&seen(&mut intake, class(2))), [0_u64; 0]);
    assert_eq!(prices(&seen(&mut intake, class(3))), [3_000_000]);
    assert_eq!(book.uid(Named::NodeClaim, "web-1"), Some("u-1".into()));

    let id = Id { namespace: "".into(), name: "web-1".into() };
    let gone = intake.take(Change::Gone(Kind::NodeClaim, id));
    assert_eq!(gone.events, [Event::NodeClaimGone("web-1".into())]);
    assert_eq!(book.uid(Named::NodeClaim, "web-1"), None);
    assert_eq!(prices(&seen(&mut intake, class(4))), [0_u64; 0]);
}

#[test]
fn a_volume_claim_is_told_anew_when_its_volume_or_its_class_becomes_known_or_is_gone() {
    let (mut intake, _) = intake();
    let claim = |name: &str, spec: Value, annotations: Value| {
        let metadata = json!({ "namespace": "shop", "name": name, "annotations": annotations });
        Object::PersistentVolumeClaim(object(json!({ "metadata": metadata, "spec": spec })))
    };
    let bindings = |events: Vec<Event>| -> Vec<(String, bool)> {
        let told = events.into_iter().map(|event| match event {
            Event::VolumeClaim(claim) => (claim.name, matches!(claim.binding, VolumeBinding::Nodes(_))),
            other => panic!("{other:?}"),
        });
        told.collect()
    };
    let bound = json!({ "pv.kubernetes.io/bind-completed": "yes" });
    let told = seen(&mut intake, claim("bound", json!({ "volumeName": "pv-1" }), bound));
    assert_eq!(bindings(told), [("bound".to_owned(), false)]);
    let told = seen(&mut intake, claim("waits", json!({ "storageClassName": "gp3" }), json!({})));
    assert_eq!(bindings(told), [("waits".to_owned(), false)]);

    let volume = json!({ "metadata": { "name": "pv-1" }, "spec": {} });
    let told = seen(&mut intake, Object::PersistentVolume(object(volume)));
    assert_eq!(bindings(told), [("bound".to_owned(), true)]);
    let class = json!({
        "metadata": { "name": "gp3" }, "provisioner": "ebs.csi.aws.com",
        "volumeBindingMode": "WaitForFirstConsumer",
    });
    let told = seen(&mut intake, Object::StorageClass(object(class)));
    assert_eq!(bindings(told), [("bound".to_owned(), true), ("waits".to_owned(), true)]);

    let id = Id { namespace: "".into(), name: "gp3".into() };
    let told = intake.take(Change::Gone(Kind::StorageClass, id)).events;
    assert_eq!(bindings(told), [("bound".to_owned(), true), ("waits".to_owned(), false)]);
}

#[test]
fn a_daemon_set_waits_for_its_priority_class_and_is_told_when_it_changes() {
    let (mut intake, _) = intake();
    let set = || {
        let template = json!({
            "metadata": { "labels": { "app": "log" } },
            "spec": { "containers": [], "priorityClassName": "high" },
        });
        let spec = json!({ "selector": { "matchLabels": { "app": "log" } }, "template": template });
        Object::DaemonSet(object(json!({ "metadata": { "namespace": "logs", "name": "log" }, "spec": spec })))
    };
    let priorities = |events: Vec<Event>| -> Vec<i32> {
        let told = events.into_iter().map(|event| match event {
            Event::DaemonSet(set) => set.spec.priority,
            other => panic!("{other:?}"),
        });
        told.collect()
    };
    assert_eq!(seen(&mut intake, set()), []);
    let class =
        |value: i32| Object::PriorityClass(object(json!({ "metadata": { "name": "high" }, "value": value })));
    assert_eq!(priorities(seen(&mut intake, class(7))), [7]);
    assert_eq!(priorities(seen(&mut intake, class(8))), [8]);

    // Once all classes are known, one that is missing is a mistake.
    assert_eq!(priorities(intake.take(Change::Complete(Kind::PriorityClass)).events), [8]);
    let id = Id { namespace: "".into(), name: "high".into() };
    let taken = intake.take(Change::Gone(Kind::PriorityClass, id));
    assert_eq!(taken.events, []);
    let [problem] = taken.problems.try_into().unwrap();
    assert_eq!(
        problem.message,
        "spec.template.spec.priorityClassName: found \"high\", expected the name of a PriorityClass that exists"
    );
}

#[test]
fn a_daemon_set_whose_priority_class_is_missing_is_reported_whichever_is_listed_first() {
    let set = || {
        let template = json!({ "spec": { "containers": [], "priorityClassName": "nobody-made-it" } });
        Object::DaemonSet(object(json!({
            "metadata": { "namespace": "logs", "name": "log" },
            "spec": { "selector": {}, "template": template },
        })))
    };
    let complete = || Change::Complete(Kind::PriorityClass);
    for order in [[complete(), Change::Seen(set())], [Change::Seen(set()), complete()]] {
        let (mut intake, _) = intake();
        let reported = order.map(|change| intake.take(change).problems.len());
        assert_eq!(reported.iter().sum::<usize>(), 1, "{reported:?}");
    }
}

#[test]
fn an_object_that_makes_no_sense_is_reported_with_everything_that_is_wrong_and_changes_nothing() {
    let (mut intake, _) = intake();
    let pod = json!({
        "metadata": { "namespace": "shop", "name": "web-1", "uid": "u-1" },
        "spec": {
            "containers": [{ "name": "web", "resources": { "requests": { "cpu": "many", "memory": "-1" } } }],
        },
    });
    let taken = intake.take(Change::Seen(Object::Pod(object(pod))));
    assert_eq!(taken.events, []);
    let [problem] = taken.problems.try_into().unwrap();
    let about = (problem.kind, problem.namespace.as_deref(), problem.name.as_str(), problem.uid.as_deref());
    assert_eq!(about, (Kind::Pod, Some("shop"), "web-1", Some("u-1")));
    for found in ["found \"many\"", "found \"-1\""] {
        assert!(problem.message.contains(found), "{}", problem.message);
    }
}

#[test]
fn everything_is_known_when_every_kind_is_complete() {
    let (mut intake, _) = intake();
    for kind in Kind::ALL {
        assert!(intake.incomplete().contains(&kind));
        intake.take(Change::Complete(kind));
    }
    assert!(intake.incomplete().is_empty());
}

#[test]
fn what_has_a_class_of_another_provider_is_nobodys_business() {
    let (mut intake, book) = intake();
    let theirs = json!({ "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default" });
    let pool = json!({
        "metadata": { "name": "theirs", "uid": "1" },
        "spec": { "template": { "spec": { "nodeClassRef": theirs, "requirements": [] } } },
    });
    assert_eq!(seen(&mut intake, Object::NodePool(object(pool))), []);
    let claim =
        json!({ "metadata": { "name": "theirs" }, "spec": { "nodeClassRef": theirs, "requirements": [] } });
    assert_eq!(seen(&mut intake, Object::NodeClaim(object(claim))), []);
    assert_eq!(book.uid(Named::NodePool, "theirs"), None);
}

#[test]
fn a_volume_attachment_names_its_node_and_its_volume() {
    let (mut intake, _) = intake();
    let attachment = json!({
        "metadata": { "name": "x" },
        "spec": { "attacher": "ebs.csi.aws.com", "nodeName": "n", "source": { "persistentVolumeName": "pv-1" } },
    });
    let events = seen(&mut intake, Object::VolumeAttachment(object(attachment)));
    let (name, node, volume) = ("x".to_owned(), "n".to_owned(), Some("pv-1".to_owned()));
    assert_eq!(events, [Event::VolumeAttachment(VolumeAttachment { name, node, volume })]);
    let id = Id { namespace: "".into(), name: "x".into() };
    let gone = intake.take(Change::Gone(Kind::VolumeAttachment, id));
    assert_eq!(gone.events, [Event::VolumeAttachmentGone("x".to_owned())]);
}

#[test]
fn a_node_claim_that_only_somebody_else_holds_is_gone() {
    let (mut intake, _) = intake();
    let held_by = |finalizers: &[&str]| {
        let Object::NodeClaim(mut claim) = claim() else { unreachable!("it is a NodeClaim") };
        claim.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        claim.metadata.finalizers = Some(finalizers.iter().map(ToString::to_string).collect());
        Object::NodeClaim(claim)
    };
    let both = seen(&mut intake, held_by(&["karpenter.sh/termination", "example.com/other"]));
    assert!(matches!(both.as_slice(), [Event::NodeClaim(_)]), "{both:?}");
    let other = seen(&mut intake, held_by(&["example.com/other"]));
    assert_eq!(other, [Event::NodeClaimGone("web-1".into())]);
}

#[test]
fn a_node_claim_that_is_not_understood_is_known_to_be_there_until_it_is_understood_or_gone() {
    let (mut intake, _) = intake();
    let Object::NodeClaim(good) = claim() else { unreachable!("it is one") };
    let mut bad = good.clone();
    let capacity = serde_json::from_value(json!({ "cpu": "-1" })).unwrap();
    bad.status.get_or_insert_default().capacity = Some(capacity);
    let is_unclear = |intake: &Intake| intake.is_unclear(Kind::NodeClaim, "web-1");
    assert!(!is_unclear(&intake));
    intake.take(Change::Seen(Object::NodeClaim(bad.clone())));
    assert!(is_unclear(&intake) && !intake.is_unclear(Kind::Node, "web-1"));
    intake.take(Change::Seen(Object::NodeClaim(good)));
    assert!(!is_unclear(&intake));
    intake.take(Change::Seen(Object::NodeClaim(bad)));
    intake.take(Change::Gone(Kind::NodeClaim, Id { namespace: "".into(), name: "web-1".into() }));
    assert!(!is_unclear(&intake));
}

#[test]
fn memory_is_learned_of_nodes_that_have_joined() {
    let learned = learned_of(&[
        (labels_of("true"), json!({ "capacity": { "memory": "7Gi" } })),
        (labels_of("false"), json!({ "capacity": { "memory": "6Gi" } })),
        (labels_of("true"), json!({ "capacity": { "memory": "0" } })),
        (json!({ "karpenter.sh/registered": "true" }), json!({ "capacity": { "memory": "5Gi" } })),
    ]);
    assert_eq!(learned, [("default".to_owned(), "m.large".to_owned(), 7 << 30, None)]);
}

#[test]
fn what_is_left_for_pods_is_learned_of_nodes_that_are_ready_for_them() {
    let status = json!({ "capacity": { "memory": "7Gi" }, "allocatable": { "cpu": "1800m" } });
    let mut ready = labels_of("true");
    ready["karpenter.sh/initialized"] = json!("true");
    let cpu: Vec<_> = learned_of(&[(labels_of("true"), status.clone()), (ready, status)])
        .into_iter()
        .map(|(_, _, _, cpu)| cpu)
        .collect();
    assert_eq!(cpu, [None, Some(1_800)]);
}

fn labels_of(registered: &str) -> Value {
    json!({
        "karpenter.k8s.aws/ec2nodeclass": "default", "node.kubernetes.io/instance-type": "m.large",
        "karpenter.sh/registered": registered,
    })
}

/// What is learned of a node with these labels and in this state, one after another.
fn learned_of(tellings: &[(Value, Value)]) -> Vec<Lesson> {
    let types = Arc::new(OneType::default());
    let mut intake = Intake::new(Arc::default(), Arc::clone(&types) as Arc<dyn InstanceTypes>);
    for (labels, status) in tellings {
        let annotations = json!({
            "karpenter.k8s.aws/ec2nodeclass-hash": "1", "karpenter.k8s.aws/ec2nodeclass-hash-version": "v",
        });
        let node = json!({
            "metadata": { "name": "n", "uid": "u", "labels": labels, "annotations": annotations },
            "spec": { "providerID": "aws:///a/i-1" },
            "status": status,
        });
        seen(&mut intake, Object::Node(object(node)));
    }
    types.learned.lock().unwrap().clone()
}
