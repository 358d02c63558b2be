//! Watches of everything that the core wants to know about: one task per kind, one channel for all.
//!
//! An object that cannot be read is told and passed over; it never ends a watch. A watch that is lost is started anew
//! with a whole list, and what is not in that list any more is told to be gone: nothing is lost meanwhile.

use std::collections::BTreeSet;
use std::fmt;

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::{CSINode, StorageClass, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_client::{Api, Client};
use kube_core::{DeserializeGuard, Resource};
use kube_runtime::{WatchStreamExt as _, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use whittle_api::node_claim::NodeClaim;
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_pool::NodePool;

use crate::error::watch_message;

/// So many changes wait for the loop; then the watches wait, and the server keeps what they do not take.
const WAITING_MAX: usize = 1024;

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is called like its kind")]
pub enum Kind {
    NodePool,
    Ec2NodeClass,
    PriorityClass,
    StorageClass,
    PersistentVolume,
    PersistentVolumeClaim,
    CsiNode,
    VolumeAttachment,
    Namespace,
    PodDisruptionBudget,
    DaemonSet,
    NodeClaim,
    Node,
    Pod,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NodePool,
        Self::Ec2NodeClass,
        Self::PriorityClass,
        Self::StorageClass,
        Self::PersistentVolume,
        Self::PersistentVolumeClaim,
        Self::CsiNode,
        Self::VolumeAttachment,
        Self::Namespace,
        Self::PodDisruptionBudget,
        Self::DaemonSet,
        Self::NodeClaim,
        Self::Node,
        Self::Pod,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ec2NodeClass => f.write_str("EC2NodeClass"),
            Self::CsiNode => f.write_str("CSINode"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// An object as the server has it, without what nobody here reads.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is called like its kind")]
pub enum Object {
    NodePool(Box<NodePool>),
    Ec2NodeClass(Box<Ec2NodeClass>),
    PriorityClass(Box<PriorityClass>),
    StorageClass(Box<StorageClass>),
    PersistentVolume(Box<PersistentVolume>),
    PersistentVolumeClaim(Box<PersistentVolumeClaim>),
    CsiNode(Box<CSINode>),
    VolumeAttachment(Box<VolumeAttachment>),
    Namespace(Box<Namespace>),
    PodDisruptionBudget(Box<PodDisruptionBudget>),
    DaemonSet(Box<DaemonSet>),
    NodeClaim(Box<NodeClaim>),
    Node(Box<Node>),
    Pod(Box<Pod>),
}

impl Object {
    /// Its kind, and its namespace and name for people.
    #[must_use]
    pub fn named(&self) -> (Kind, String) {
        let (kind, metadata) = match self {
            Self::NodePool(it) => (Kind::NodePool, &it.metadata),
            Self::Ec2NodeClass(it) => (Kind::Ec2NodeClass, &it.metadata),
            Self::PriorityClass(it) => (Kind::PriorityClass, &it.metadata),
            Self::StorageClass(it) => (Kind::StorageClass, &it.metadata),
            Self::PersistentVolume(it) => (Kind::PersistentVolume, &it.metadata),
            Self::PersistentVolumeClaim(it) => (Kind::PersistentVolumeClaim, &it.metadata),
            Self::CsiNode(it) => (Kind::CsiNode, &it.metadata),
            Self::VolumeAttachment(it) => (Kind::VolumeAttachment, &it.metadata),
            Self::Namespace(it) => (Kind::Namespace, &it.metadata),
            Self::PodDisruptionBudget(it) => (Kind::PodDisruptionBudget, &it.metadata),
            Self::DaemonSet(it) => (Kind::DaemonSet, &it.metadata),
            Self::NodeClaim(it) => (Kind::NodeClaim, &it.metadata),
            Self::Node(it) => (Kind::Node, &it.metadata),
            Self::Pod(it) => (Kind::Pod, &it.metadata),
        };
        let name = metadata.name.as_deref().unwrap_or_default();
        (kind, full_name(metadata.namespace.as_deref().unwrap_or_default(), name))
    }
}

/// `namespace/name`, or the name alone of what has no namespace.
#[must_use]
pub fn full_name(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

/// What an object is known by: a pod by its uid, everything else by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// The namespace; empty for pods and for what has none.
    pub namespace: Box<str>,
    /// The name, or the uid of a pod.
    pub name: Box<str>,
}

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum Change {
    /// An object is there or has changed.
    Seen(Object),
    /// An object is gone.
    Gone(Kind, Id),
    /// Everything of this kind has been told that there was when the watch was started.
    Complete(Kind),
    /// An object cannot be read. What was known of it still holds.
    Bad {
        /// Its kind.
        kind: Kind,
        /// Its metadata.
        metadata: Box<ObjectMeta>,
        /// What is wrong with it.
        message: String,
    },
    /// A watch does not work; it is tried again.
    Trouble(Kind, String),
}

/// A kind that is watched.
pub(crate) trait Watched:
    Resource<DynamicType = ()> + Clone + fmt::Debug + DeserializeOwned + Send + Sync + 'static
{
    const KIND: Kind;
    fn object(self) -> Object;
}

macro_rules! watched {
    ($($kind:ident: $type:ty),+ $(,)?) => {
        $(impl Watched for $type {
            const KIND: Kind = Kind::$kind;
            fn object(self) -> Object {
                Object::$kind(Box::new(self))
            }
        })+
    };
}

watched!(
    NodePool: NodePool,
    Ec2NodeClass: Ec2NodeClass,
    PriorityClass: PriorityClass,
    StorageClass: StorageClass,
    PersistentVolume: PersistentVolume,
    PersistentVolumeClaim: PersistentVolumeClaim,
    CsiNode: CSINode,
    VolumeAttachment: VolumeAttachment,
    Namespace: Namespace,
    PodDisruptionBudget: PodDisruptionBudget,
    DaemonSet: DaemonSet,
    NodeClaim: NodeClaim,
    Node: Node,
    Pod: Pod,
);

/// Starts all watches. They end when the tasks or the receiver are dropped.
#[must_use]
pub fn start(client: &Client) -> (JoinSet<()>, mpsc::Receiver<Change>) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let mut tasks = JoinSet::new();
    tasks.spawn(follow::<NodePool>(client.clone(), sender.clone()));
    tasks.spawn(follow::<Ec2NodeClass>(client.clone(), sender.clone()));
    tasks.spawn(follow::<PriorityClass>(client.clone(), sender.clone()));
    tasks.spawn(follow::<StorageClass>(client.clone(), sender.clone()));
    tasks.spawn(follow::<PersistentVolume>(client.clone(), sender.clone()));
    tasks.spawn(follow::<PersistentVolumeClaim>(client.clone(), sender.clone()));
    tasks.spawn(follow::<CSINode>(client.clone(), sender.clone()));
    tasks.spawn(follow::<VolumeAttachment>(client.clone(), sender.clone()));
    tasks.spawn(follow::<Namespace>(client.clone(), sender.clone()));
    tasks.spawn(follow::<PodDisruptionBudget>(client.clone(), sender.clone()));
    tasks.spawn(follow::<DaemonSet>(client.clone(), sender.clone()));
    tasks.spawn(follow::<NodeClaim>(client.clone(), sender.clone()));
    tasks.spawn(follow::<Node>(client.clone(), sender.clone()));
    tasks.spawn(follow::<Pod>(client.clone(), sender));
    (tasks, receiver)
}

/// Follows one kind for as long as somebody listens.
pub(crate) async fn follow<K: Watched>(client: Client, sender: mpsc::Sender<Change>) {
    let api: Api<DeserializeGuard<K>> = Api::all(client);
    let events = watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(events);
    let mut roll = Roll::default();
    while let Some(event) = events.next().await {
        let changes = match event {
            Ok(event) => roll.call(event),
            Err(error) => vec![Change::Trouble(K::KIND, watch_message(&error))],
        };
        for change in changes {
            if sender.send(change).await.is_err() {
                return;
            }
        }
    }
}

/// Who is there, so that after a new list it can be told who is not any more.
#[derive(Debug, Default)]
struct Roll {
    known: BTreeSet<Id>,
    /// Who is in the list that is just coming.
    listed: Option<BTreeSet<Id>>,
}

impl Roll {
    fn call<K: Watched>(&mut self, event: watcher::Event<DeserializeGuard<K>>) -> Vec<Change> {
        match event {
            watcher::Event::Init => {
                self.listed = Some(BTreeSet::new());
                Vec::new()
            }
            watcher::Event::InitApply(object) => {
                let id = id(K::KIND, object.meta());
                self.listed.get_or_insert_default().insert(id.clone());
                self.known.insert(id);
                vec![seen(object)]
            }
            watcher::Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let gone = self.known.iter().filter(|id| !listed.contains(id)).cloned();
                let gone = gone.map(|id| Change::Gone(K::KIND, id));
                let changes = gone.chain([Change::Complete(K::KIND)]).collect();
                self.known = listed;
                changes
            }
            watcher::Event::Apply(object) => {
                self.known.insert(id(K::KIND, object.meta()));
                vec![seen(object)]
            }
            watcher::Event::Delete(object) => {
                let id = id(K::KIND, object.meta());
                self.known.remove(&id);
                vec![Change::Gone(K::KIND, id)]
            }
        }
    }
}

fn id(kind: Kind, metadata: &ObjectMeta) -> Id {
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
    match kind {
        Kind::Pod => Id { namespace: "".into(), name: text(&metadata.uid) },
        _ => Id { namespace: text(&metadata.namespace), name: text(&metadata.name) },
    }
}

fn seen<K: Watched>(object: DeserializeGuard<K>) -> Change {
    match object.0 {
        Ok(mut object) => {
            // Who wrote which field is often half of an object, and is read by nobody here.
            object.meta_mut().managed_fields = None;
            Change::Seen(object.object())
        }
        Err(invalid) => {
            Change::Bad { kind: K::KIND, metadata: Box::new(invalid.metadata), message: invalid.error }
        }
    }
}

#[cfg(test)]
mod tests {
    use kube_core::DeserializeGuard;
    use kube_runtime::watcher::Event;
    use serde_json::json;
    use whittle_api::node_claim::NodeClaim;

    use super::{Change, Roll};

    fn claim(name: &str) -> DeserializeGuard<NodeClaim> {
        let reference = json!({ "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" });
        let spec = json!({ "requirements": [], "nodeClassRef": reference });
        serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec })).unwrap()
    }

    fn told(roll: &mut Roll, events: Vec<Event<DeserializeGuard<NodeClaim>>>) -> Vec<String> {
        let word = |change: Change| match change {
            Change::Seen(object) => match object {
                super::Object::NodeClaim(claim) => format!("seen {}", claim.metadata.name.unwrap()),
                other => panic!("{other:?}"),
            },
            Change::Gone(kind, id) => format!("gone {kind} {}", id.name),
            Change::Complete(kind) => format!("complete {kind}"),
            Change::Bad { kind, metadata, message } => {
                format!("bad {kind} {}: {message}", metadata.name.unwrap())
            }
            Change::Trouble(kind, message) => format!("trouble {kind} {message}"),
        };
        events.into_iter().flat_map(|event| roll.call(event)).map(word).collect()
    }

    #[test]
    fn what_vanished_while_the_watch_was_lost_is_told_to_be_gone() {
        let mut roll = Roll::default();
        let first =
            vec![Event::Init, Event::InitApply(claim("a")), Event::InitApply(claim("b")), Event::InitDone];
        assert_eq!(told(&mut roll, first), ["seen a", "seen b", "complete NodeClaim"]);
        assert_eq!(told(&mut roll, vec![Event::Apply(claim("c"))]), ["seen c"]);
        let second = vec![Event::Init, Event::InitApply(claim("b")), Event::InitDone];
        let expected = ["seen b", "gone NodeClaim a", "gone NodeClaim c", "complete NodeClaim"];
        assert_eq!(told(&mut roll, second), expected);
        assert_eq!(told(&mut roll, vec![Event::Delete(claim("b"))]), ["gone NodeClaim b"]);
    }

    #[test]
    fn an_object_that_cannot_be_read_is_told_and_does_not_count_as_gone() {
        let mut roll = Roll::default();
        let bad = json!({ "metadata": { "name": "a" }, "spec": { "requirements": "none" } });
        let bad: DeserializeGuard<NodeClaim> = serde_json::from_value(bad).unwrap();
        let events = vec![Event::Init, Event::InitApply(claim("a")), Event::InitDone, Event::Apply(bad)];
        let told = told(&mut roll, events);
        assert_eq!(told[..2], ["seen a", "complete NodeClaim"]);
        assert!(told[2].starts_with("bad NodeClaim a: "), "{told:?}");
        assert_eq!(told.len(), 3);
    }
}
