//! From objects of the API to the core's events. Objects that refer to others are told anew when those change.
//!
//! What is kept here is what the core does not: volumes, StorageClasses and PriorityClasses, which it knows only by what
//! they mean for others. Everything else is dropped once it is converted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use whittle_api::conditions::{self, NODE_REGISTRATION_HEALTHY};
use whittle_api::convert;
use whittle_api::convert::fingerprint;
use whittle_api::convert::node_class::{NodeClassSettings, is_ec2_node_class};
use whittle_api::convert::pod::{Priorities, namespace};
use whittle_api::convert::volume::{Volumes, volume_claim};
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::problem::Defect;
use whittle_core::event::{Event, ObjectKey};
use whittle_core::model::fingerprint::{Fingerprint, MadeFrom};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels;
use whittle_core::model::node::{Node, NodeClaim};
use whittle_core::model::node_pool::NodeClass;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;

use crate::book::{Book, Named};
use crate::patch::is_held;
use crate::watch::{Change, Id, Kind, Object};

/// Who knows what a class can launch.
pub trait InstanceTypes: fmt::Debug + Send + Sync {
    /// The class with its instance types, their prices and what is left of them for pods.
    fn node_class(&self, settings: &NodeClassSettings) -> NodeClass;

    /// A node has joined: what types are said to have before that is an estimate.
    fn learn(&self, _joined: &Joined<'_>) {}

    /// When prices were found, by how it is bought; none that were not found while the process runs.
    fn priced(&self) -> BTreeMap<CapacityType, Timestamp> {
        BTreeMap::new()
    }
}

/// What a node that has joined has.
#[derive(Clone, Debug)]
pub struct Joined<'a> {
    /// Its name.
    pub node: &'a str,
    /// When its Node was made.
    pub created: Timestamp,
    /// Its EC2NodeClass.
    pub node_class: &'a str,
    /// Its instance type.
    pub instance_type: &'a str,
    /// All its memory.
    pub memory_bytes: u64,
    /// The fingerprint that the class had when the node was made.
    pub class_then: Option<Fingerprint>,
    /// What it has for pods, once it is ready for them.
    pub allocatable: Option<&'a Resources>,
}

/// What came of a change.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// What the core has to hear, in order.
    pub events: Vec<Event>,
    /// What could not be understood.
    pub problems: Vec<Unclear>,
}

/// An object that could not be understood. What was known of it still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: Option<String>,
    /// What was found and what was expected, everything at once.
    pub message: String,
}

/// What has to be known about some objects to understand others.
#[derive(Debug)]
pub struct Intake {
    book: Arc<Book>,
    types: Arc<dyn InstanceTypes>,
    priority_classes: BTreeMap<String, PriorityClass>,
    priorities: Priorities,
    daemon_sets: BTreeMap<ObjectKey, DaemonSet>,
    volume_claims: BTreeMap<ObjectKey, PersistentVolumeClaim>,
    volumes: BTreeMap<String, PersistentVolume>,
    storage_classes: BTreeMap<String, StorageClass>,
    /// What was last understood of each class, which has other instance types when others become known.
    node_classes: BTreeMap<String, NodeClassSettings>,
    /// NodeClaims with an instance, whose price is that of the class.
    launched: BTreeMap<String, NodeClaim>,
    incomplete: BTreeSet<Kind>,
    /// NodeClaims and Nodes that are there and not understood, as they are now.
    unclear: BTreeSet<(Kind, String)>,
}

impl Intake {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(book: Arc<Book>, types: Arc<dyn InstanceTypes>) -> Self {
        Self {
            book,
            types,
            priority_classes: BTreeMap::new(),
            priorities: Priorities::new(&[]),
            daemon_sets: BTreeMap::new(),
            volume_claims: BTreeMap::new(),
            volumes: BTreeMap::new(),
            storage_classes: BTreeMap::new(),
            node_classes: BTreeMap::new(),
            launched: BTreeMap::new(),
            incomplete: Kind::ALL.into_iter().collect(),
            unclear: BTreeSet::new(),
        }
    }

    /// The kinds of which not everything has been seen yet that was there at the start.
    #[must_use]
    pub const fn incomplete(&self) -> &BTreeSet<Kind> {
        &self.incomplete
    }

    /// When prices were found.
    #[must_use]
    pub fn priced(&self) -> BTreeMap<CapacityType, Timestamp> {
        self.types.priced()
    }

    /// Other instance types or prices are known: every class is told anew, with the NodeClaims whose price changes.
    pub fn retell_classes(&mut self) -> Taken {
        let mut taken = Taken::default();
        let classes: Vec<_> = self.node_classes.values().map(|class| self.types.node_class(class)).collect();
        for class in classes {
            self.tell_class(class, &mut taken);
        }
        taken
    }

    /// Takes a change in.
    pub fn take(&mut self, change: Change) -> Taken {
        let mut taken = Taken::default();
        match change {
            Change::Seen(object) => self.see(object, &mut taken),
            Change::Gone(kind, id) => self.lose(kind, &id, &mut taken),
            Change::Complete(kind) => self.complete(kind, &mut taken),
            Change::Bad { kind, metadata, message } => taken.problems.push(unclear(kind, &metadata, message)),
            // Nothing has changed; who runs the loop says so in its log.
            Change::Trouble(..) => {}
        }
        self.note_unclear(&taken);
        taken
    }

    /// Whether a NodeClaim or Node is there and is not understood: nothing may follow from its absence.
    #[must_use]
    pub fn is_unclear(&self, kind: Kind, name: &str) -> bool {
        self.unclear.contains(&(kind, name.to_owned()))
    }

    fn note_unclear(&mut self, taken: &Taken) {
        for event in &taken.events {
            let subject = match event {
                Event::NodeClaim(claim) => (Kind::NodeClaim, &claim.name),
                Event::NodeClaimGone(name) => (Kind::NodeClaim, name),
                Event::Node(node) => (Kind::Node, &node.name),
                Event::NodeGone(name) => (Kind::Node, name),
                _ => continue,
            };
            self.unclear.remove(&(subject.0, subject.1.clone()));
        }
        let of_nodes = taken.problems.iter().filter(|one| matches!(one.kind, Kind::NodeClaim | Kind::Node));
        self.unclear.extend(of_nodes.map(|one| (one.kind, one.name.clone())));
    }

    fn complete(&mut self, kind: Kind, taken: &mut Taken) {
        let is_first = self.incomplete.remove(&kind);
        // A PriorityClass that is missing now does not come.
        if is_first && kind == Kind::PriorityClass {
            self.retell_daemon_sets(taken);
        }
    }

    fn see(&mut self, object: Object, taken: &mut Taken) {
        match object {
            // What has a class of another kind is another provider's.
            Object::NodePool(pool) if !is_ec2_node_class(&pool.spec.template.spec.node_class_ref) => {}
            Object::NodeClaim(claim) if !is_ec2_node_class(&claim.spec.node_class_ref) => {}
            Object::NodePool(pool) => {
                let metadata = &pool.metadata;
                self.note_uid(Named::NodePool, metadata);
                let said = pool
                    .status
                    .as_ref()
                    .and_then(|status| conditions::known(&status.conditions, NODE_REGISTRATION_HEALTHY));
                self.book.put_registration(&name_of(metadata), said);
                if let Some(pool) =
                    understood(Kind::NodePool, metadata, convert::node_pool::node_pool(&pool), taken)
                {
                    self.book.put_pool(pool.clone());
                    taken.events.push(Event::NodePool(Box::new(pool)));
                }
            }
            Object::Ec2NodeClass(class) => self.see_class(&class, taken),
            Object::PriorityClass(class) => {
                self.priority_classes.insert(name_of(&class.metadata), *class);
                self.reprioritize(taken);
            }
            Object::StorageClass(class) => {
                self.storage_classes.insert(name_of(&class.metadata), *class);
                self.retell_claims(|_| true, taken);
            }
            Object::PersistentVolume(volume) => {
                let name = name_of(&volume.metadata);
                self.volumes.insert(name.clone(), *volume);
                self.retell_claims(|claim| volume_of(claim) == Some(&name), taken);
            }
            Object::PersistentVolumeClaim(claim) => {
                let key = key_of(&claim.metadata);
                taken.events.push(self.volume_claim(&claim));
                self.volume_claims.insert(key, *claim);
            }
            Object::CsiNode(node) => {
                let limits = convert::volume::volume_limits(&node);
                let limits = understood(Kind::CsiNode, &node.metadata, limits, taken);
                taken.events.extend(limits.map(Event::VolumeLimits));
            }
            Object::VolumeAttachment(one) => {
                taken.events.push(Event::VolumeAttachment(convert::volume::attachment(&one)));
            }
            Object::Namespace(space) => {
                let labels = space.metadata.labels.clone().unwrap_or_default();
                taken.events.push(Event::Namespace(name_of(&space.metadata), labels));
            }
            Object::PodDisruptionBudget(budget) => {
                let read = convert::budget::pod_disruption_budget(&budget);
                let read = understood(Kind::PodDisruptionBudget, &budget.metadata, read, taken);
                taken.events.extend(read.map(|(budget, _)| Event::PodDisruptionBudget(budget)));
            }
            Object::DaemonSet(set) => {
                self.tell_daemon_set(&set, taken);
                self.daemon_sets.insert(key_of(&set.metadata), *set);
            }
            // What is left of it is somebody else's business.
            Object::NodeClaim(claim) if is_let_go(&claim.metadata) => {
                self.lose_claim(name_of(&claim.metadata), taken);
            }
            Object::NodeClaim(claim) => {
                self.note_uid(Named::NodeClaim, &claim.metadata);
                let read = convert::node_claim::node_claim(&claim);
                if let Some(claim) = understood(Kind::NodeClaim, &claim.metadata, read, taken) {
                    self.tell_node_claim(claim, taken);
                }
            }
            Object::Node(node) => {
                self.note_uid(Named::Node, &node.metadata);
                let read = understood(Kind::Node, &node.metadata, convert::node::node(&node), taken);
                if let Some(read) = read {
                    self.learn(&read, &node.metadata);
                    taken.events.push(Event::Node(Box::new(read)));
                }
            }
            Object::Pod(pod) => {
                let read = convert::pod::pod(&pod, &self.priorities);
                let read = understood(Kind::Pod, &pod.metadata, read, taken);
                taken.events.extend(read.map(|pod| Event::Pod(Arc::new(pod))));
            }
        }
    }

    fn learn(&self, node: &Node, metadata: &ObjectMeta) {
        let label = |key: &str| node.labels.get(key).map(String::as_str);
        let is_registered = label(labels::REGISTERED) == Some("true");
        let is_initialized = label(labels::INITIALIZED) == Some("true");
        let of = label(labels::NODE_CLASS).zip(label(labels::INSTANCE_TYPE));
        let memory_bytes = node.capacity.memory_bytes;
        if let Some((node_class, instance_type)) = of.filter(|_| is_registered && memory_bytes > 0) {
            let class_then = self.made_from(metadata).node_class;
            let allocatable = Some(&node.allocatable).filter(|_| is_initialized);
            let (node, created) = (node.name.as_str(), node.created);
            self.types.learn(&Joined {
                node,
                created,
                node_class,
                instance_type,
                memory_bytes,
                class_then,
                allocatable,
            });
        }
    }

    /// What a Node's NodeClaim was made from. Once there is one of ours that says so: the Node says what it said when the
    /// Node joined, which may have been Karpenter's time.
    fn made_from(&self, node: &ObjectMeta) -> MadeFrom {
        let owners = node.owner_references.iter().flatten().filter(|owner| owner.kind == "NodeClaim");
        let claim = owners.filter_map(|owner| self.launched.get(&owner.name)).next();
        claim.map_or_else(|| fingerprint::made_from(node), |claim| claim.made_from.clone())
    }

    fn lose(&mut self, kind: Kind, id: &Id, taken: &mut Taken) {
        let name = id.name.to_string();
        let key = (id.namespace.to_string(), name.clone());
        match kind {
            Kind::NodePool => {
                self.book.remove(Named::NodePool, &name);
                taken.events.push(Event::NodePoolGone(name));
            }
            Kind::Ec2NodeClass => {
                self.book.remove_class(&name);
                self.node_classes.remove(&name);
                self.book.remove(Named::NodeClass, &name);
                taken.events.push(Event::NodeClassGone(name));
            }
            Kind::PriorityClass => {
                self.priority_classes.remove(&name);
                self.reprioritize(taken);
            }
            Kind::StorageClass => {
                self.storage_classes.remove(&name);
                self.retell_claims(|_| true, taken);
            }
            Kind::PersistentVolume => {
                self.volumes.remove(&name);
                self.retell_claims(|claim| volume_of(claim) == Some(&name), taken);
            }
            Kind::PersistentVolumeClaim => {
                self.volume_claims.remove(&key);
                taken.events.push(Event::VolumeClaimGone(key));
            }
            Kind::CsiNode => taken.events.push(Event::VolumeLimitsGone(name)),
            Kind::VolumeAttachment => taken.events.push(Event::VolumeAttachmentGone(name)),
            // Its pods are gone as well, and nobody else asks for its labels.
            Kind::Namespace => {}
            Kind::PodDisruptionBudget => taken.events.push(Event::PodDisruptionBudgetGone(key)),
            Kind::DaemonSet => {
                self.daemon_sets.remove(&key);
                taken.events.push(Event::DaemonSetGone(key));
            }
            Kind::NodeClaim => self.lose_claim(name, taken),
            Kind::Node => {
                self.book.remove(Named::Node, &name);
                taken.events.push(Event::NodeGone(name));
            }
            Kind::Pod => taken.events.push(Event::PodGone(name)),
        }
    }

    fn lose_claim(&mut self, name: String, taken: &mut Taken) {
        self.book.remove(Named::NodeClaim, &name);
        self.launched.remove(&name);
        taken.events.push(Event::NodeClaimGone(name));
    }

    fn note_uid(&self, kind: Named, metadata: &ObjectMeta) {
        if let (Some(name), Some(uid)) = (&metadata.name, &metadata.uid) {
            self.book.put_uid(kind, name, uid);
            self.book.put_generation(kind, name, metadata.generation);
        }
    }

    fn see_class(&mut self, class: &Ec2NodeClass, taken: &mut Taken) {
        self.note_uid(Named::NodeClass, &class.metadata);
        let settings = convert::node_class::node_class_settings(class);
        let Some(mut settings) = understood(Kind::Ec2NodeClass, &class.metadata, settings, taken) else {
            return;
        };
        // In a file a class without a status is a wish; in a cluster it is one that nobody has resolved yet.
        let said = class.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        settings.ready &= conditions::find(said, conditions::READY).is_some();
        let class = self.types.node_class(&settings);
        self.node_classes.insert(settings.name.clone(), settings);
        self.tell_class(class, taken);
    }

    /// A class, and the NodeClaims whose price changes with it.
    fn tell_class(&mut self, class: NodeClass, taken: &mut Taken) {
        self.book.put_class(class.clone());
        let name = class.name.clone();
        taken.events.push(Event::NodeClass(class));
        let of_class: Vec<NodeClaim> =
            self.launched.values().filter(|claim| claim.node_class == name).cloned().collect();
        for claim in of_class {
            let before = claim.instance.as_ref().map(|instance| instance.price);
            let mut claim = claim;
            if let Some(instance) = &mut claim.instance {
                self.book.price(&name, instance);
            }
            if claim.instance.as_ref().map(|instance| instance.price) != before {
                self.tell_node_claim(claim, taken);
            }
        }
    }

    /// Kubernetes does not know what an instance costs; the class does.
    fn tell_node_claim(&mut self, mut claim: NodeClaim, taken: &mut Taken) {
        if let Some(instance) = &mut claim.instance {
            self.book.price(&claim.node_class, instance);
            self.launched.insert(claim.name.clone(), claim.clone());
        }
        taken.events.push(Event::NodeClaim(Box::new(claim)));
    }

    fn reprioritize(&mut self, taken: &mut Taken) {
        let classes: Vec<PriorityClass> = self.priority_classes.values().cloned().collect();
        self.priorities = Priorities::new(&classes);
        // Pods say their priority in a number; only templates have to be read anew.
        self.retell_daemon_sets(taken);
    }

    fn retell_daemon_sets(&self, taken: &mut Taken) {
        for set in self.daemon_sets.values() {
            self.tell_daemon_set(set, taken);
        }
    }

    fn tell_daemon_set(&self, set: &DaemonSet, taken: &mut Taken) {
        let read = convert::workload::daemon_set(set, &self.priorities);
        // Until its PriorityClass is known, a template cannot be understood, and that is nobody's fault.
        if read.is_err() && self.incomplete.contains(&Kind::PriorityClass) {
            return;
        }
        let read = understood(Kind::DaemonSet, &set.metadata, read, taken);
        taken.events.extend(read.map(Event::DaemonSet));
    }

    fn retell_claims(&self, concerns: impl Fn(&PersistentVolumeClaim) -> bool, taken: &mut Taken) {
        let claims = self.volume_claims.values().filter(|claim| concerns(claim));
        taken.events.extend(claims.map(|claim| self.volume_claim(claim)));
    }

    fn volume_claim(&self, claim: &PersistentVolumeClaim) -> Event {
        let volume = volume_of(claim).and_then(|name| self.volumes.get(name));
        let known = Volumes::new(volume, self.storage_classes.values());
        Event::VolumeClaim(volume_claim(claim, &known))
    }
}

fn volume_of(claim: &PersistentVolumeClaim) -> Option<&String> {
    claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref())
}

/// Whether an object is only there because somebody else still holds it.
fn is_let_go(metadata: &ObjectMeta) -> bool {
    metadata.deletion_timestamp.is_some() && !is_held(metadata)
}

fn name_of(metadata: &ObjectMeta) -> String {
    metadata.name.clone().unwrap_or_default()
}

fn key_of(metadata: &ObjectMeta) -> ObjectKey {
    (namespace(metadata).to_owned(), name_of(metadata))
}

/// What a conversion gives, or its defects as one problem.
fn understood<T>(
    kind: Kind,
    metadata: &ObjectMeta,
    read: Result<T, Vec<Defect>>,
    taken: &mut Taken,
) -> Option<T> {
    match read {
        Ok(converted) => Some(converted),
        Err(defects) => {
            let texts: Vec<String> = defects.iter().map(ToString::to_string).collect();
            taken.problems.push(unclear(kind, metadata, texts.join("; ")));
            None
        }
    }
}

fn unclear(kind: Kind, metadata: &ObjectMeta, message: String) -> Unclear {
    let (namespace, uid) = (metadata.namespace.clone(), metadata.uid.clone());
    Unclear { kind, namespace, name: name_of(metadata), uid, message }
}

#[cfg(test)]
mod tests;
