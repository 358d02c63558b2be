//! What nodes that have joined really have. Forgotten at the end of the process, and learned again from the nodes that
//! are there at the start of the next.
//!
//! What is left for pods is learned of the newest node of a type: with a newer image, or without what one NodePool's
//! DaemonSets set aside, it may be more again. Extended resources are not learned: a device plugin that has not come up yet
//! reports none of its devices.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use whittle_core::model::fingerprint::Fingerprint;
use whittle_core::model::instance_type::InstanceType;
use whittle_core::model::node_pool::NodeClass;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::Timestamp;
use whittle_kube::intake::Joined;

#[derive(Debug, Default)]
pub(crate) struct Learned {
    pages: Mutex<Pages>,
    retyped: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Pages {
    /// The least that any node of a class has had of memory, by instance type (Karpenter).
    memory: BTreeMap<String, BTreeMap<String, u64>>,
    /// What the newest node has for pods, by instance type; of a class as it was when the node was made.
    allocatable: BTreeMap<(String, Fingerprint), BTreeMap<String, Newest>>,
    /// Each class as it was told last.
    assumed: BTreeMap<String, Assumed>,
}

#[derive(Debug)]
struct Newest {
    /// When the node was made, and its name.
    node: (Timestamp, String),
    allocatable: Resources,
}

#[derive(Debug)]
struct Assumed {
    fingerprint: Option<Fingerprint>,
    types: Arc<[InstanceType]>,
}

impl Learned {
    /// Nothing is learned yet. `retyped` hears when a class has to be told anew.
    pub(crate) fn new(retyped: Arc<Notify>) -> Self {
        Self { pages: Mutex::default(), retyped }
    }

    /// How much memory the types of a class have.
    pub(crate) fn memory(&self, class: &str) -> BTreeMap<String, u64> {
        self.with(|pages| pages.memory.get(class).cloned().unwrap_or_default())
    }

    /// A class is told: pods are not promised more of its types than nodes have had for them.
    pub(crate) fn tell(&self, class: &mut NodeClass) {
        self.with(|pages| {
            let key = class.fingerprint.clone().map(|fingerprint| (class.name.clone(), fingerprint));
            if let Some(known) = key.and_then(|key| pages.allocatable.get(&key)) {
                for kind in Arc::make_mut(&mut class.instance_types) {
                    known.get(&kind.name).into_iter().for_each(|newest| lessen(kind, &newest.allocatable));
                }
            }
            let (fingerprint, types) = (class.fingerprint.clone(), Arc::clone(&class.instance_types));
            pages.assumed.insert(class.name.clone(), Assumed { fingerprint, types });
        });
    }

    /// A node has joined, or says something new.
    pub(crate) fn learn(&self, joined: &Joined<'_>) {
        if self.with(|pages| pages.learn(joined)) {
            self.retyped.notify_one();
        }
    }

    // Nothing that is done under the lock can leave it half done.
    fn with<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        change(&mut self.pages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pages {
    /// Notes what a node has, and says whether something else was assumed.
    fn learn(&mut self, joined: &Joined<'_>) -> bool {
        let (class, kind) = (joined.node_class, joined.instance_type);
        let known = self.memory.entry(class.to_owned()).or_default();
        let memory = known.entry(kind.to_owned()).or_insert(joined.memory_bytes);
        *memory = joined.memory_bytes.min(*memory);
        let memory = *memory;
        let is_news = self.learn_allocatable(joined);
        let Some(assumed) = self.assumed.get(class) else { return false };
        let is_news = is_news && assumed.fingerprint == joined.class_then;
        let now = assumed.types.iter().find(|one| one.name == kind);
        is_news || now.is_some_and(|now| now.capacity.memory_bytes != memory)
    }

    /// Notes what a node has for pods, and says whether that of its type has changed by it.
    fn learn_allocatable(&mut self, joined: &Joined<'_>) -> bool {
        let Some((fingerprint, allocatable)) = joined.class_then.clone().zip(joined.allocatable) else {
            return false;
        };
        let of_class = self.allocatable.entry((joined.node_class.to_owned(), fingerprint)).or_default();
        let node = (joined.created, joined.node.to_owned());
        let known = of_class.get(joined.instance_type);
        let is_newest = known.is_none_or(|known| known.node <= node);
        let has_changed = known.is_none_or(|known| known.allocatable != *allocatable);
        if is_newest {
            let newest = Newest { node, allocatable: allocatable.clone() };
            of_class.insert(joined.instance_type.to_owned(), newest);
        }
        is_newest && has_changed
    }
}

/// Keeps so much from pods that no more is left for them than a node has. What it has nothing of it has not reported.
fn lessen(kind: &mut InstanceType, node: &Resources) {
    let left = kind.allocatable();
    let missing = |node: u64, assumed: u64| if node > 0 { assumed.saturating_sub(node) } else { 0 };
    kind.overhead = kind.overhead.plus(&Resources {
        cpu_millis: missing(node.cpu_millis, left.cpu_millis),
        memory_bytes: missing(node.memory_bytes, left.memory_bytes),
        ephemeral_storage_bytes: missing(node.ephemeral_storage_bytes, left.ephemeral_storage_bytes),
        pods: missing(node.pods, left.pods),
        ..Resources::default()
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn print(hash: &str) -> Fingerprint {
        Fingerprint { version: "v".to_owned(), hash: hash.to_owned() }
    }

    /// A class of one type with so much memory, of which nothing is kept from pods.
    fn class(hash: &str, memory_bytes: u64) -> NodeClass {
        let capacity = Resources { cpu_millis: 2_000, memory_bytes, pods: 29, ..Resources::default() };
        let (labels, overhead, offerings) = Default::default();
        let kind = InstanceType { name: "m5.large".into(), labels, capacity, overhead, offerings };
        let name = "default".to_owned();
        NodeClass { name, ready: true, fingerprint: Some(print(hash)), instance_types: [kind].into() }
    }

    fn joined(node_class: &str, memory_bytes: u64) -> Joined<'_> {
        Joined {
            node: "n",
            created: Timestamp::EPOCH,
            node_class,
            instance_type: "m5.large",
            memory_bytes,
            class_then: Some(print("now")),
            allocatable: None,
        }
    }

    async fn is_news(retyped: &Notify) -> bool {
        timeout(Duration::ZERO, retyped.notified()).await.is_ok()
    }

    #[tokio::test]
    async fn the_least_memory_of_a_type_is_learned_and_news_is_only_what_was_not_assumed() {
        let retyped = Arc::new(Notify::new());
        let learned = Learned::new(Arc::clone(&retyped));
        learned.tell(&mut class("now", 100));
        learned.learn(&joined("default", 100));
        assert!(!is_news(&retyped).await, "it is as it was assumed");
        learned.learn(&joined("default", 90));
        assert!(is_news(&retyped).await);
        learned.tell(&mut class("now", 90));
        learned.learn(&joined("default", 95));
        learned.learn(&joined("another", 80));
        assert!(!is_news(&retyped).await, "another node has more, and of another class nothing was assumed");
        assert_eq!(learned.memory("default"), [("m5.large".to_owned(), 90)].into());
        assert_eq!(learned.memory("another"), [("m5.large".to_owned(), 80)].into());
    }

    #[tokio::test]
    async fn no_more_is_promised_to_pods_than_the_newest_node_of_the_same_class_has_for_them() {
        let retyped = Arc::new(Notify::new());
        let learned = Learned::new(Arc::clone(&retyped));
        let has = |cpu_millis, memory_bytes| Resources { cpu_millis, memory_bytes, ..Resources::default() };
        let learn = |hash: &str, second: u64, allocatable: &Resources| {
            let class_then = Some(print(hash));
            let created = Timestamp::from_millis(second * 1_000);
            let node = joined("default", 100);
            learned.learn(&Joined { class_then, created, allocatable: Some(allocatable), ..node });
        };
        let left = |hash: &str| {
            let mut class = class(hash, 100);
            learned.tell(&mut class);
            class.instance_types[0].allocatable()
        };
        let all = Resources { pods: 29, ..has(2_000, 100) };
        assert_eq!(left("now"), all, "nothing is known");
        learn("now", 5, &has(1_800, 70));
        assert!(is_news(&retyped).await);
        learn("now", 5, &has(1_800, 70));
        assert!(!is_news(&retyped).await, "it says the same again");
        assert_eq!(left("now"), Resources { pods: 29, ..has(1_800, 70) }, "pods are not reported");
        learn("now", 4, &has(1_000, 10));
        assert!(!is_news(&retyped).await, "an older one");
        learn("now", 6, &has(3_000, 90));
        assert!(is_news(&retyped).await);
        assert_eq!(left("now"), Resources { pods: 29, ..has(2_000, 90) }, "never more than was estimated");
        learn("before", 9, &has(1_000, 0));
        assert!(!is_news(&retyped).await, "of a class as it is not any more");
        assert_eq!(left("before"), Resources { cpu_millis: 1_000, ..all.clone() });
        assert_eq!(left("later"), all, "of a class as it was when the node was made");
    }
}
